//! Which partition a key goes to: the hash of Kafka's Java clients, bit for bit.
//!
//! Source: `Utils.murmur2` and `BuiltInPartitioner.partitionForKey` in apache/kafka, clients.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// 32-bit murmur2 with Kafka's seed.
pub fn murmur2(data: &[u8]) -> i32 {
    // Java's length is an int; a longer slice cannot come from a Kafka record.
    let mut h = SEED ^ (data.len() as u32);
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * index);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    (h ^ (h >> 15)) as i32
}

/// Java's `Utils.toPositive`: the sign bit cleared, which is not the absolute value.
pub fn to_positive(hash: i32) -> i32 {
    hash & i32::MAX
}

/// The partition of a record with a key, as the default partitioner chooses it.
///
/// Panics: when `partitions` is not positive; a topic has at least one.
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    assert!(
        partitions > 0,
        "a topic has at least one partition, got {partitions}"
    );
    to_positive(murmur2(key)) % partitions
}
