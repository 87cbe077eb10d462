//! Ids of the cluster and of topics.
//!
//! Lives here: [`Identities`], ids that differ from all others, or with a seed the same ones in
//! every run.
//! Never here: what an id names.

use std::hash::{BuildHasher, RandomState};

use uuid::Uuid;

#[derive(Debug)]
pub(super) struct Identities {
    /// `None`: from the secret that the operating system gave this process.
    seed: Option<u64>,
    secret: RandomState,
    count: u64,
}

impl Identities {
    pub(super) fn new(seed: Option<u64>) -> Identities {
        Identities {
            seed,
            secret: RandomState::new(),
            count: 0,
        }
    }

    pub(super) fn next(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        for half in bytes.chunks_exact_mut(8) {
            self.count += 1;
            let word = match self.seed {
                Some(seed) => mixed(seed.wrapping_add(self.count)),
                None => self.secret.hash_one(self.count),
            };
            half.copy_from_slice(&word.to_be_bytes());
        }
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// SplitMix64 by Sebastiano Vigna: neighbours give unlike words.
fn mixed(counter: u64) -> u64 {
    let mut word = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// As Kafka writes cluster ids and topic ids: 22 characters of URL-safe base64.
pub(super) fn base64(id: &Uuid) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let number = id.as_u128();
    (0..22u32)
        .map(|place| {
            // 22 digits of 6 bits are 132 bits: the last one ends with four zeros.
            let shifted = match 122u32.checked_sub(place * 6) {
                Some(shift) => number >> shift,
                None => number << 4,
            };
            char::from(DIGITS[(shifted & 63) as usize])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_new_each_time_and_the_same_with_a_seed() {
        let three = |seed| {
            let mut identities = Identities::new(seed);
            [identities.next(), identities.next(), identities.next()]
        };
        assert_eq!(three(Some(1)), three(Some(1)));
        assert_ne!(three(Some(1)), three(Some(2)));
        assert_ne!(three(None), three(None));
        let [a, b, c] = three(Some(1));
        assert!(a != b && b != c && a.get_version_num() == 4);
    }

    #[test]
    fn base64_is_javas() {
        // Java: Uuid.fromString("AAECAwQFBgcICQoLDA0ODw")
        let id = Uuid::from_bytes(std::array::from_fn(|index| index as u8));
        assert_eq!(base64(&id), "AAECAwQFBgcICQoLDA0ODw");
        assert_eq!(
            base64(&Uuid::from_u128(u128::MAX)),
            "_____________________w"
        );
    }
}
