//! Giving a batch to the task, and what a `put` that fails leads to.
//!
//! Lives here: redelivery after a failure that may pass, bisecting after one that is about the data.
//! Lives elsewhere: the batch and its cuts (`sink_batch`), what becomes of a guilty record (`errors`).

use super::{Paused, SinkLoop};
use crate::connector_config::PutBisect;
use crate::errors::{PUT_FAILED, SINK_TASK_CLASS, Stage, Which};
use crate::sink_batch::Cut;
use connect_api::{ConnectError, ErrorKind, Result, SinkTask, TopicPartition};
use connect_config::Properties;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, warn};

/// How long refused records wait before they are offered again, unless the task asks for another time.
const REDELIVERY_WAIT: Duration = Duration::from_secs(1);

/// Whether the task has refused the batch for now.
#[derive(Clone, Copy, PartialEq)]
pub enum Redelivery {
    None,
    /// All partitions are paused until the task takes the batch, to be offered again at this time.
    At(Instant),
}

/// Whether a batch is cut after `put` has failed with `Data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bisect {
    Never,
    Yes,
}

impl Bisect {
    /// Fails: when each record is to be delivered once, and the task does not say that a `put` that fails has
    /// written nothing.
    pub fn of(wanted: PutBisect, task: &dyn SinkTask, config: &Properties) -> Result<Self> {
        match wanted {
            PutBisect::Off => Ok(Self::Never),
            PutBisect::AtLeastOnce => Ok(Self::Yes),
            PutBisect::Once if task.failed_put_writes_nothing() => Ok(Self::Yes),
            PutBisect::Once => Err(ConnectError::config(
                "millstream.errors.put.bisect=once needs a connector that declares that a put which fails with a data \
                 error has written nothing, and this one does not; set at-least-once if records may be written twice",
            )
            .with("task.class", config.get("task.class").unwrap_or("null"))),
        }
    }
}

impl SinkLoop {
    /// Gives the batch, or the next part of one that was cut, to the task. What it refuses stays.
    pub(super) async fn put(&mut self) -> Result<()> {
        if let Redelivery::At(time) = self.redelivery
            && Instant::now() < time
        {
            return Ok(());
        }
        let result = self.task.put(self.batch.offered()).await;
        self.letters.send().await;
        match result {
            Ok(()) => {
                self.tolerance.check().map_err(unrecoverable)?;
                self.taken();
                Ok(())
            }
            Err(error) if error.is_retriable() => {
                let wait = self.context.take_timeout().unwrap_or(REDELIVERY_WAIT);
                let records = self.batch.offered().len();
                if self.redelivery == Redelivery::None {
                    warn!(%error, records, "the task refused records for now; offering them again");
                } else {
                    debug!(%error, records, "the task refused records again");
                }
                self.offer_again(Instant::now() + wait);
                Ok(())
            }
            Err(error)
                if error.kind() == ErrorKind::Data
                    && self.bisect == Bisect::Yes
                    && self.tolerance.tolerates() =>
            {
                self.cut(error).await
            }
            Err(error) => Err(unrecoverable(error)),
        }
    }

    /// The task has found fault with what it was offered: a record alone is the guilty one, else what was offered is
    /// offered in parts.
    #[cold]
    async fn cut(&mut self, error: ConnectError) -> Result<()> {
        let is_first = !self.batch.is_cut();
        match self.batch.cut() {
            Cut::Nothing => return Err(unrecoverable(error)),
            Cut::Smaller => {
                if is_first {
                    let records = self.batch.records.len();
                    warn!(%error, records, "the task found fault with records; looking for the guilty ones");
                }
                // Through the loop, so that commits and signals have their turn between two parts.
                self.offer_again(Instant::now());
            }
            Cut::Guilty => {
                // Where it is not tolerated it is still the first that is left: the next start begins with it.
                let which = Which::of_sink(&self.batch.offered()[0]);
                let failed =
                    self.tolerance
                        .failed_at_once(Stage::TaskPut, SINK_TASK_CLASS, error, which);
                self.letters.send().await;
                failed.map_err(unrecoverable)?;
                self.taken();
            }
        }
        Ok(())
    }

    /// What was offered is done with.
    fn taken(&mut self) {
        let is_done = self.batch.taken();
        for (partition, offset) in self.batch.delivered() {
            self.offsets.delivered(partition, offset);
        }
        if is_done {
            self.batch.clear();
            self.end_redelivery();
        } else {
            self.offer_again(Instant::now());
        }
    }

    /// Nothing else is consumed until the task has taken the batch.
    fn offer_again(&mut self, time: Instant) {
        if self.redelivery == Redelivery::None {
            self.pause_all();
        }
        self.redelivery = Redelivery::At(time);
    }

    /// Takes records of these partitions out of a refused batch.
    pub(super) fn drop_pending(&mut self, partitions: &[TopicPartition]) {
        self.batch.forget(partitions);
        if self.batch.is_empty() {
            self.end_redelivery();
        }
    }

    /// Reads on after records were refused.
    pub(super) fn end_redelivery(&mut self) {
        if self.redelivery != Redelivery::None {
            self.redelivery = Redelivery::None;
            if self.paused == Paused::No {
                self.resume_all();
            }
        }
    }
}

/// With Java's words for what ends a sink task.
pub fn unrecoverable(error: ConnectError) -> ConnectError {
    ConnectError::new(error.kind(), PUT_FAILED).caused_by(error)
}
