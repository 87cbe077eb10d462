//! How many failed records are too many.
//!
//! Lives here: `errors.tolerance`, and Millstream's limit of errors in a window, as a pure account.
//! Never here: a clock.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// When failures end the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TolerancePolicy {
    /// `errors.tolerance=none`
    None,
    /// `errors.tolerance=all`
    All,
    /// `errors.tolerance=all` with `millstream.errors.tolerance.limit`: at most so many in any window.
    Limited { errors: u32, window: Duration },
}

/// The failures that still count.
#[derive(Debug)]
pub struct ToleranceAccount {
    policy: TolerancePolicy,
    /// At most as many as the limit allows.
    recent: VecDeque<Instant>,
    exceeded: bool,
}

impl ToleranceAccount {
    pub fn new(policy: TolerancePolicy) -> Self {
        Self {
            policy,
            recent: VecDeque::new(),
            exceeded: false,
        }
    }

    /// Takes note of a failure. Whether it is still tolerated.
    pub fn tolerates(&mut self, now: Instant) -> bool {
        let tolerated = match self.policy {
            TolerancePolicy::None => false,
            TolerancePolicy::All => true,
            TolerancePolicy::Limited { errors, window } => {
                while let Some(oldest) = self.recent.front()
                    && now.duration_since(*oldest) >= window
                {
                    self.recent.pop_front();
                }
                let room = self.recent.len() < errors as usize;
                if room {
                    self.recent.push_back(now);
                }
                room
            }
        };
        self.exceeded |= !tolerated;
        tolerated
    }

    /// Whether records may be left out at all.
    pub fn is_tolerant(&self) -> bool {
        self.policy != TolerancePolicy::None
    }

    /// Whether a failure was not tolerated before.
    pub fn is_exceeded(&self) -> bool {
        self.exceeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_counts_the_errors_of_the_last_window() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let mut account = ToleranceAccount::new(TolerancePolicy::Limited {
            errors: 2,
            window: Duration::from_secs(10),
        });
        assert!(account.tolerates(at(0)) && account.tolerates(at(5)));
        // The first has left the window.
        assert!(account.tolerates(at(10)));
        assert!(!account.is_exceeded());
        assert!(!account.tolerates(at(14)) && account.is_exceeded());
    }

    #[test]
    fn none_and_all() {
        let now = Instant::now();
        assert!(!ToleranceAccount::new(TolerancePolicy::None).tolerates(now));
        let mut all = ToleranceAccount::new(TolerancePolicy::All);
        assert!((0..100_000).all(|_| all.tolerates(now)));
        assert!(all.recent.is_empty());
    }
}
