//! Chance out of a seed.
//!
//! Lives here: [`Chance`].
//! Never here: what the choices mean.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A stream of choices that a seed fixes.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// Another stream, so that one more choice in one place changes nothing in another.
    pub fn fork(&mut self) -> Chance {
        Chance(self.word())
    }

    /// SplitMix64 by Sebastiano Vigna.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = (*range.start(), *range.end());
        assert!(low <= high, "an empty range has nothing to choose");
        match (high - low).checked_add(1) {
            Some(count) => low + self.word() % count,
            None => self.word(),
        }
    }

    /// `true` so many times in a thousand.
    pub fn permille(&mut self, permille: u64) -> bool {
        self.word() % 1000 < permille
    }

    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.within(0..=among.len() as u64 - 1) as usize]
    }

    pub fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_choices_and_a_fork_is_apart() {
        let choices = |seed| {
            let mut chance = Chance::new(seed);
            (0..20).map(|_| chance.within(3..=7)).collect::<Vec<_>>()
        };
        assert_eq!(choices(1), choices(1));
        assert_ne!(choices(1), choices(2));
        assert!(choices(9).iter().all(|choice| (3..=7).contains(choice)));
        let mut chance = Chance::new(1);
        let mut fork = chance.fork();
        assert_ne!(chance.word(), fork.word());
    }

    #[test]
    fn permille_is_about_that_often() {
        let mut chance = Chance::new(7);
        let count = (0..100_000).filter(|_| chance.permille(30)).count();
        assert!((2_700..3_300).contains(&count), "{count}");
    }
}
