//! How bad the network is.
//!
//! Lives here: [`Weather`]: how long messages take and how often what goes wrong.
//! Never here: a message.

use std::ops::RangeInclusive;

use super::Chance;

/// How bad the network is. Rates are times in a thousand, for each message or dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weather {
    /// What a message usually takes, in each direction.
    pub delay_ms: RangeInclusive<u64>,
    /// Messages that take longer.
    pub slow: u64,
    pub slow_ms: RangeInclusive<u64>,
    /// Dials that are refused at once.
    pub refused: u64,
    /// Dials of which nothing is heard for the whole setup timeout.
    pub unheard: u64,
    /// Requests that are lost with their connection before they arrive.
    pub lost_before: u64,
    /// Requests whose connection breaks for the client at once, and which arrive nevertheless.
    pub orphaned: u64,
    /// Requests that are carried out and whose answer is lost with the connection.
    pub lost_after: u64,
    /// Requests that are answered with an error.
    pub errors: u64,
}

impl Weather {
    /// Nothing goes wrong and nothing takes long.
    pub fn calm() -> Weather {
        Weather {
            delay_ms: 0..=1,
            slow: 0,
            slow_ms: 0..=0,
            refused: 0,
            unheard: 0,
            lost_before: 0,
            orphaned: 0,
            lost_after: 0,
            errors: 0,
        }
    }

    /// Each run has its own mix: some faults are frequent, some rare, some absent, because faults
    /// that always come together hide what one of them does alone.
    ///
    /// `slow_max_ms` bounds the longest delay: beyond a client's `request.timeout.ms` it becomes
    /// one more fault.
    pub fn of(chance: &mut Chance, slow_max_ms: u64) -> Weather {
        let mut rate = |usual: u64| match chance.within(0..=3) {
            0 => 0,
            1 => usual.div_ceil(4),
            2 => usual,
            _ => usual * 3,
        };
        let weather = Weather {
            delay_ms: 0..=0,
            slow: rate(20),
            slow_ms: 50..=slow_max_ms.max(50),
            refused: rate(60),
            unheard: rate(10),
            lost_before: rate(12),
            orphaned: rate(12),
            lost_after: rate(12),
            errors: rate(30),
        };
        let delay_max_ms = *chance.pick(&[1, 5, 20, 100]);
        Weather {
            delay_ms: 0..=delay_max_ms,
            ..weather
        }
    }
}
