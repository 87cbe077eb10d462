//! How often records failed, for metrics.
//!
//! Source: `ErrorHandlingMetrics` of Apache Kafka 4.3, group `task-error-metrics`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Counts of one task since it started. All only grow.
#[derive(Debug, Default)]
pub struct ErrorCounts {
    /// `total-record-failures`: attempts that failed.
    pub failures: AtomicU64,
    /// `total-record-errors`: records that could not be processed.
    pub errors: AtomicU64,
    /// `total-records-skipped`
    pub skipped: AtomicU64,
    /// `total-retries`
    pub retries: AtomicU64,
    /// `total-errors-logged`
    pub logged: AtomicU64,
    /// `deadletterqueue-produce-requests`
    pub letters_sent: AtomicU64,
    /// `deadletterqueue-produce-failures`
    pub letters_lost: AtomicU64,
    /// `last-error-timestamp`, milliseconds since the epoch, 0 for none.
    pub last_error_ms: AtomicI64,
}

impl ErrorCounts {
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// An attempt failed just now.
    pub fn failed(&self) {
        Self::count(&self.failures);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.map_or(0, |since| since.as_millis() as i64);
        self.last_error_ms.store(now_ms, Ordering::Relaxed);
    }
}
