//! When the offsets of a source task are stored, and what is left for the next time when that fails.
//!
//! Lives here: [`Commits`]: begin, wait, late, ended, again.
//! Lives elsewhere: which offsets may be stored (`submitted_records`), their bytes (`offsets`).
//! Source: `SourceTaskOffsetCommitter`, `OffsetStorageWriter` in apache/kafka, connect/runtime.

use crate::errors::DeadLetters;
use crate::offsets::ConnectorOffsets;
use crate::submitted_records::SubmittedRecords;
use connect_api::{ConnectError, Result};
use connect_backing_store::RawOffsets;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{debug, error};

/// When and what to store of the offsets.
pub struct Commits {
    offsets: Arc<ConnectorOffsets>,
    interval: Duration,
    /// `offset.flush.timeout.ms`.
    pub timeout: Duration,
    next: Instant,
    /// What an earlier commit could not store.
    unstored: RawOffsets,
    storing: Option<Storing>,
    /// A commit has ended well and the task was not told yet.
    done: bool,
}

struct Storing {
    offsets: RawOffsets,
    /// Whether everything that was to be stored is among them.
    all: bool,
    begun: Instant,
    late: bool,
    /// The job's answer; the sender is dropped without one when the store panics.
    answer: oneshot::Receiver<Result<()>>,
    result: Option<Result<()>>,
}

impl Commits {
    pub fn new(offsets: Arc<ConnectorOffsets>, interval: Duration, timeout: Duration) -> Self {
        Self {
            offsets,
            interval,
            timeout,
            next: Instant::now() + interval,
            unstored: RawOffsets::new(),
            storing: None,
            done: false,
        }
    }

    /// Returns when something is to be done: a commit is due, or one under way has ended or is late.
    pub async fn due(&mut self) {
        match &mut self.storing {
            None => tokio::time::sleep_until(self.next).await,
            Some(storing) if storing.result.is_some() => {}
            Some(storing) if storing.late => storing.wait().await,
            Some(storing) => {
                let late = storing.begun + self.timeout;
                // Either is something to do.
                let _ = tokio::time::timeout_at(late, storing.wait()).await;
            }
        }
    }

    pub fn is_due(&mut self) -> bool {
        match &mut self.storing {
            None => Instant::now() >= self.next,
            Some(storing) => {
                storing.has_ended() || (!storing.late && storing.begun.elapsed() >= self.timeout)
            }
        }
    }

    /// Does what is due. A commit begins when Kafka has the letters of the records before.
    pub async fn step(&mut self, submitted: &mut SubmittedRecords, letters: &mut DeadLetters) {
        let Some(storing) = &mut self.storing else {
            letters.settle().await;
            self.begin(submitted);
            return;
        };
        if storing.has_ended() {
            self.end().await;
        } else if !storing.late && storing.begun.elapsed() >= self.timeout {
            storing.late = true;
            error!(
                timeout_ms = self.timeout.as_millis() as u64,
                "offsets were not stored within offset.flush.timeout.ms; waiting on"
            );
        }
    }

    fn begin(&mut self, submitted: &mut SubmittedRecords) {
        self.next = Instant::now() + self.interval;
        let mut all = true;
        for (partition, offset) in submitted.committable_offsets() {
            match self.offsets.encode(partition.as_ref(), &offset) {
                Ok((key, value)) => {
                    self.unstored.insert(key, Some(value));
                }
                Err(error) => {
                    all = false;
                    let partition = partition.as_ref().map(|partition| partition.fields());
                    error!(%error, ?partition, "an offset cannot be stored; it is left as it was");
                }
            }
        }
        let offsets = std::mem::take(&mut self.unstored);
        let store = self.offsets.clone();
        let stored = offsets.clone();
        let (sender, answer) = oneshot::channel();
        // Nothing to store is a commit too: the task hears of it.
        if stored.is_empty() {
            let _ = sender.send(Ok(()));
        } else if !store.may_block() {
            let _ = sender.send(store.store(stored));
        } else {
            tokio::task::spawn_blocking(move || sender.send(store.store(stored)));
        }
        self.storing = Some(Storing {
            offsets,
            all,
            begun: Instant::now(),
            late: false,
            answer,
            result: None,
        });
    }

    /// Takes over the result of a commit that has ended.
    async fn end(&mut self) {
        let Some(mut storing) = self.storing.take() else {
            return;
        };
        storing.wait().await;
        match storing.result.unwrap_or(Ok(())) {
            Ok(()) => {
                debug!(offsets = storing.offsets.len(), "offsets stored");
                self.done |= storing.all;
            }
            Err(error) => {
                error!(%error, "offsets were not stored; trying again at the next commit");
                // What has come since is newer.
                let newer = std::mem::replace(&mut self.unstored, storing.offsets);
                self.unstored.extend(newer);
            }
        }
    }

    /// Whether a commit has ended well since the last call: the task is to be told.
    pub fn take_done(&mut self) -> bool {
        std::mem::take(&mut self.done)
    }

    /// The last commit: ends what is under way, stores what has come since.
    pub async fn finish(&mut self, submitted: &mut SubmittedRecords, letters: &mut DeadLetters) {
        self.end().await;
        letters.settle().await;
        self.begin(submitted);
        self.end().await;
    }
}

impl Storing {
    /// Waits for the answer and keeps it.
    async fn wait(&mut self) {
        if self.result.is_none() {
            let answer = (&mut self.answer).await;
            self.result = Some(answer.unwrap_or_else(|lost| {
                Err(ConnectError::fatal("the offset store panicked").caused_by(lost))
            }));
        }
    }

    fn has_ended(&mut self) -> bool {
        if self.result.is_none()
            && let Ok(result) = self.answer.try_recv()
        {
            self.result = Some(result);
        }
        self.result.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use connect_api::data::{Map, Value};
    use connect_api::{SourceOffset, SourcePartition};
    use connect_backing_store::{MemoryOffsetBackingStore, OffsetBackingStore, StoreError};
    use kafka_client::producer::Run;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Fails as often as it is told to, then stores.
    #[derive(Default)]
    struct Failing {
        failures: AtomicU32,
        stored: MemoryOffsetBackingStore,
    }

    impl OffsetBackingStore for Failing {
        fn snapshot(&self) -> RawOffsets {
            self.stored.snapshot()
        }

        fn get(&self, key: &[u8]) -> Option<Bytes> {
            self.stored.get(key)
        }

        fn set(&self, offsets: RawOffsets) -> Result<(), StoreError> {
            match self.failures.load(Ordering::Relaxed) {
                0 => self.stored.set(offsets),
                left => {
                    self.failures.store(left - 1, Ordering::Relaxed);
                    Err(StoreError::InUse { path: "x".into() })
                }
            }
        }
    }

    struct Bench {
        store: Arc<Failing>,
        commits: Commits,
        letters: DeadLetters,
        submitted: SubmittedRecords,
    }

    impl Bench {
        fn new(failures: u32) -> Self {
            let store = Arc::new(Failing::default());
            store.failures.store(failures, Ordering::Relaxed);
            let offsets = Arc::new(ConnectorOffsets::new("c", store.clone()));
            let minute = Duration::from_secs(60);
            Self {
                commits: Commits::new(offsets, minute, minute),
                store,
                letters: DeadLetters::none(),
                submitted: SubmittedRecords::default(),
            }
        }

        /// Kafka has a record of this partition with this offset.
        fn acknowledged(&mut self, partition: &str, offset: SourceOffset) {
            let fields = Map::from_iter([(Value::text("p"), partition)]);
            let token = self
                .submitted
                .next_token(&Some(SourcePartition::new(fields)));
            self.submitted.submit(token, Some(offset));
            self.submitted.acknowledge(Run {
                stream: token.stream,
                first: token.number,
                count: 1,
            });
        }

        fn at(&mut self, partition: &str, position: i64) {
            self.acknowledged(partition, SourceOffset::Position("at", position));
        }

        /// Commits, and prints whether the task is told and what is stored.
        async fn commit(&mut self) -> String {
            self.commits
                .finish(&mut self.submitted, &mut self.letters)
                .await;
            let told = if self.commits.take_done() {
                "told"
            } else {
                "silent"
            };
            let stored = self.store.snapshot().into_iter().map(|(key, value)| {
                let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
                format!(" {}={}", text(key), text(value.unwrap_or_default()))
            });
            std::iter::once(told.to_string()).chain(stored).collect()
        }
    }

    #[tokio::test]
    async fn the_task_is_told_also_when_there_was_nothing_to_store() {
        assert_eq!(Bench::new(0).commit().await, "told");
    }

    #[tokio::test]
    async fn what_could_not_be_stored_is_stored_the_next_time_unless_it_is_older() {
        let mut bench = Bench::new(1);
        bench.at("a", 1);
        bench.at("b", 1);
        assert_eq!(bench.commit().await, "silent");
        bench.at("b", 2);
        assert_eq!(
            bench.commit().await,
            "told [\"c\",{\"p\":\"a\"}]={\"at\":1} [\"c\",{\"p\":\"b\"}]={\"at\":2}"
        );
    }

    #[tokio::test]
    async fn an_offset_that_is_no_offset_holds_back_no_other_and_is_no_success() {
        let mut bench = Bench::new(0);
        let nested = Map::from_iter([(Value::text("x"), Value::Array(vec![]))]);
        bench.acknowledged("a", SourceOffset::Fields(nested));
        bench.at("b", 1);
        assert_eq!(
            bench.commit().await,
            "silent [\"c\",{\"p\":\"b\"}]={\"at\":1}"
        );
    }

    /// The time between commits counts from the beginning of the last one; without one under way the loop
    /// sleeps until then.
    #[tokio::test(start_paused = true)]
    async fn commits_are_an_interval_apart() {
        let mut bench = Bench::new(0);
        let begin = Instant::now();
        for n in 1..4 {
            bench.commits.due().await;
            assert!(bench.commits.is_due());
            bench
                .commits
                .step(&mut bench.submitted, &mut bench.letters)
                .await;
            assert_eq!(begin.elapsed().as_secs(), 60 * n);
            bench.commits.due().await;
            bench
                .commits
                .step(&mut bench.submitted, &mut bench.letters)
                .await;
            assert!(bench.commits.take_done() && !bench.commits.is_due());
        }
    }
}
