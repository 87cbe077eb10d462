//! Whether and when an operation that failed for a reason that may pass is tried again.
//!
//! Lives here: `errors.retry.timeout` and `errors.retry.delay.max.ms` as a pure decision.
//! Never here: a clock, waiting.
//! Source: `RetryWithToleranceOperator.backoff` of Apache Kafka 4.3.

use std::time::Duration;

/// First wait; each further one is twice as long.
const DELAY_MIN: Duration = Duration::from_millis(300);

/// How long one connector's operations are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// From the first attempt on; `None` without end.
    pub timeout: Option<Duration>,
    pub delay_max: Duration,
}

impl RetryPolicy {
    /// From the configuration's milliseconds, of which a negative timeout means without end.
    pub fn of_ms(timeout_ms: i64, delay_max_ms: i64) -> Self {
        Self {
            timeout: u64::try_from(timeout_ms).ok().map(Duration::from_millis),
            delay_max: Duration::from_millis(u64::try_from(delay_max_ms).unwrap_or_default()),
        }
    }

    /// How long to wait before the attempt behind number `attempt`, which began to fail `elapsed` after the first
    /// one; `None`: give up.
    ///
    /// `random`: in 0..1, for waits that would be longer than the longest.
    pub fn wait(&self, attempt: u32, elapsed: Duration, random: f64) -> Option<Duration> {
        if self.timeout.is_some_and(|timeout| elapsed >= timeout) {
            return None;
        }
        let doubled = 1u32.checked_shl(attempt.saturating_sub(1));
        let mut wait = doubled.map_or(Duration::MAX, |factor| DELAY_MIN.saturating_mul(factor));
        if wait > self.delay_max {
            wait = self.delay_max.mul_f64(random);
        }
        match self.timeout {
            Some(timeout) => Some(wait.min(timeout - elapsed)),
            None => Some(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(policy: (i64, i64), attempt: u32, elapsed_ms: u64, expected_ms: Option<u64>) {
        let policy = RetryPolicy::of_ms(policy.0, policy.1);
        let wait = policy.wait(attempt, Duration::from_millis(elapsed_ms), 0.5);
        assert_eq!(wait, expected_ms.map(Duration::from_millis));
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end_with_the_timeout() {
        check((0, 60_000), 1, 0, None);
        check((10_000, 60_000), 1, 0, Some(300));
        check((10_000, 60_000), 2, 300, Some(600));
        check((10_000, 60_000), 5, 4_500, Some(4_800));
        check((10_000, 60_000), 6, 9_300, Some(700));
        check((10_000, 60_000), 7, 10_000, None);
        // Beyond the longest wait any below it.
        check((-1, 1_000), 3, 900_000, Some(500));
        check((-1, 1_000), 200, 900_000, Some(500));
        check((-1, 0), 1, 0, Some(0));
    }
}
