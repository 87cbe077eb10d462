//! How long to wait before trying again.
//!
//! Lives here: exponential growth with jitter, as Java's `ExponentialBackoff`.
//! Never here: a clock, a timer, a random number generator. The jitter is a function of a seed and
//! of the attempt, so that clients spread and a simulation repeats itself.

use std::time::Duration;

/// Waiting times: `base × 2^attempt`, at most `max`, each up to 20 % shorter or longer.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    seed: u64,
}

impl Backoff {
    /// `seed` tells clients apart that would otherwise come back at the same moment.
    pub fn new(base: Duration, max: Duration, seed: &str) -> Self {
        let seed = seed.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { base, max, seed }
    }

    /// Before the attempt that follows `attempt`, which counts from 0.
    pub fn delay(&self, attempt: u32) -> Duration {
        let grown = self
            .base
            .saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX));
        let percent = 80 + self.spread(attempt.into()) % 41;
        // As in Java, jitter applies to the bounded value.
        grown
            .min(self.max.max(self.base))
            .mul_f64(percent as f64 / 100.0)
    }

    /// The same where what is waited for mostly comes within milliseconds, such as a topic that the question before has
    /// created: four short waits come first, `base / 5 × 1, 1, 2, 4`, which are less than two of the usual ones.
    pub(crate) fn hasty_delay(&self, attempt: u32) -> Duration {
        let fifths = match attempt {
            0 | 1 => 1,
            2 => 2,
            3 => 4,
            later => return self.delay(later - 3),
        };
        self.delay(0) * fifths / 5
    }

    /// A number that differs between clients, and for one client between values of `of`.
    pub(crate) fn spread(&self, of: u64) -> u64 {
        mix(self.seed.wrapping_add(of))
    }
}

/// SplitMix64.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hasty_waits_grow_into_the_usual_ones() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1), "me");
        let waits: Vec<Duration> = (0..7).map(|attempt| backoff.hasty_delay(attempt)).collect();
        let usual = backoff.delay(0);
        assert_eq!(
            waits[..4],
            [usual / 5, usual / 5, usual * 2 / 5, usual * 4 / 5]
        );
        assert_eq!(waits[4..], [1, 2, 3].map(|attempt| backoff.delay(attempt)));
    }

    #[test]
    fn doubles_up_to_the_maximum_with_jitter() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1), "me");
        let centres = [100, 200, 400, 800, 1000, 1000].into_iter().enumerate();
        for (attempt, centre) in centres.chain([(31, 1000), (32, 1000), (500, 1000)]) {
            let delay = backoff.delay(attempt as u32).as_millis();
            assert!(
                (centre * 8 / 10..=centre * 12 / 10).contains(&delay),
                "{attempt}: {delay}"
            );
        }
    }

    #[test]
    fn clients_spread_and_repeat_themselves() {
        let delays = |seed| {
            let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1), seed);
            (0..5)
                .map(|attempt| backoff.delay(attempt))
                .collect::<Vec<_>>()
        };
        assert_eq!(delays("a"), delays("a"));
        assert_ne!(delays("a"), delays("b"));
    }
}
