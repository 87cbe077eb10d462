//! The 64-bit MurmurHash3 that Debezium took from Infinispan, of which the upper half is used.
//!
//! Not the published MurmurHash3: other constants, and bytes behind the last whole block count with their sign.

const SEED: u64 = 9001;

struct State {
    h1: u64,
    h2: u64,
    c1: u64,
    c2: u64,
}

impl State {
    fn mix(&mut self, k1: u64, k2: u64) {
        let k1 = k1
            .wrapping_mul(self.c1)
            .rotate_left(23)
            .wrapping_mul(self.c2);
        self.h1 = (self.h1 ^ k1).wrapping_add(self.h2);
        self.h2 = self.h2.rotate_left(41);
        let k2 = k2
            .wrapping_mul(self.c2)
            .rotate_left(23)
            .wrapping_mul(self.c1);
        self.h2 = (self.h2 ^ k2).wrapping_add(self.h1);
        self.h1 = self.h1.wrapping_mul(3).wrapping_add(0x52dc_e729);
        self.h2 = self.h2.wrapping_mul(3).wrapping_add(0x3849_5ab5);
        self.c1 = self.c1.wrapping_mul(5).wrapping_add(0x7b7d_159c);
        self.c2 = self.c2.wrapping_mul(5).wrapping_add(0x6bce_6396);
    }
}

/// The hash of bytes, as `MurmurHash3.hash` of Debezium.
pub(super) fn hash(bytes: &[u8]) -> i32 {
    let mut state = State {
        h1: 0x9368_e53c_2f6a_f274 ^ SEED,
        h2: 0x586d_cd20_8f7c_d3fd ^ SEED,
        c1: 0x87c3_7b91_1142_53d5,
        c2: 0x4cf5_ad43_2745_937f,
    };
    let blocks = bytes.chunks_exact(16);
    let tail = blocks.remainder();
    for block in blocks {
        let word = |at: usize| {
            let bytes = block[at..at + 8]
                .try_into()
                .expect("eight of sixteen bytes");
            u64::from_le_bytes(bytes)
        };
        state.mix(word(0), word(8));
    }
    if !tail.is_empty() {
        let (first, second) = tail.split_at(tail.len().min(8));
        state.mix(signed_word(first), signed_word(second));
    }
    state.h2 ^= bytes.len() as u64;
    state.h1 = state.h1.wrapping_add(state.h2);
    state.h2 = state.h2.wrapping_add(state.h1);
    let (h1, h2) = (finish(state.h1), finish(state.h2));
    (h1.wrapping_add(h2) >> 32) as i32
}

fn signed_word(bytes: &[u8]) -> u64 {
    let bytes = bytes.iter().enumerate();
    bytes.fold(0, |word, (at, byte)| {
        word ^ ((*byte as i8 as i64) << (8 * at)) as u64
    })
}

fn finish(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}
