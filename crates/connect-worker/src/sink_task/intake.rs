//! From what was fetched to a batch for the task: converted, transformed, without what failed and is tolerated.
//!
//! Lives elsewhere: one record's conversion (`conversion`), the chain (`transforms`), what becomes of a failure
//! (`errors`).

use crate::chain::TransformationChain;
use crate::conversion::{Converters, SinkConversion};
use crate::errors::{Again, Failure, Raw, Tolerance, Which};
use crate::sink_batch::SinkBatch;
use crate::task::Target;
use crate::transforms::{Batch, SinkTransforms};
use bytes::Bytes;
use connect_api::{ConnectError, Result, TimestampType, TopicName, TopicPartition};
use kafka_client::consumer::{self, PartitionRecords, RecordView, Records};
use std::sync::Arc;

/// What a task's records go through before `put`.
pub struct Intake {
    conversion: SinkConversion,
    transforms: SinkTransforms,
    tolerance: Arc<Tolerance>,
}

/// Where a consumed record stands.
struct Place<'a> {
    topic: &'a TopicName,
    partition: i32,
    payload: &'a Bytes,
    timestamp_type: TimestampType,
}

impl Intake {
    pub fn new(
        converters: Converters,
        chain: TransformationChain,
        tolerance: Arc<Tolerance>,
    ) -> Self {
        Self {
            conversion: SinkConversion::new(converters),
            transforms: SinkTransforms::new(chain, tolerance.clone()),
            tolerance,
        }
    }

    /// Makes the next batch of what was fetched. Records that fail and are tolerated are left out.
    pub async fn take_in(
        &mut self,
        fetched: Vec<PartitionRecords>,
        batch: &mut SinkBatch,
        target: &mut Target,
    ) -> Result<Batch> {
        debug_assert!(
            batch.is_empty(),
            "nothing is consumed while a batch is refused"
        );
        if self.convert(&fetched, batch, target).await? == Batch::Stopped {
            return Ok(Batch::Stopped);
        }
        self.tolerance.hold(fetched);
        self.transforms.apply(&mut batch.records, target).await
    }

    async fn convert(
        &mut self,
        fetched: &[PartitionRecords],
        batch: &mut SinkBatch,
        target: &mut Target,
    ) -> Result<Batch> {
        for fetched in fetched {
            // Once for all its records, which then need not count it.
            let topic = &TopicName::from(fetched.topic.clone()).interned();
            let partition = fetched.partition;
            for piece in fetched.pieces() {
                let timestamp_type = match piece.batch().timestamp_type() {
                    consumer::TimestampType::CreateTime => TimestampType::CreateTime,
                    consumer::TimestampType::LogAppendTime => TimestampType::LogAppendTime,
                };
                let place = Place {
                    topic,
                    partition,
                    payload: piece.payload(),
                    timestamp_type,
                };
                let mut views = piece.records();
                while let Some((view, failure)) =
                    convert_good(&mut self.conversion, &place, &mut views, batch)?
                {
                    let again = self.convert_again(failure, &place, &view, batch, target);
                    if again.await? == Batch::Stopped {
                        return Ok(Batch::Stopped);
                    }
                }
            }
            batch.ends.push((
                TopicPartition {
                    topic: topic.clone(),
                    partition,
                },
                fetched.next_offset(),
            ));
        }
        Ok(Batch::Done)
    }

    /// After a record could not be converted: tries again as long as that may help, then leaves it out or fails.
    #[cold]
    async fn convert_again(
        &mut self,
        mut failure: Failure,
        place: &Place<'_>,
        view: &RecordView<'_>,
        batch: &mut SinkBatch,
        target: &mut Target,
    ) -> Result<Batch> {
        let mut retries = None;
        loop {
            let again = self.tolerance.again(&mut retries, &failure.error, target);
            match again.await {
                Again::Yes => {
                    let converted = self.conversion.convert(
                        place.topic,
                        place.partition,
                        place.payload,
                        view,
                        place.timestamp_type,
                        &mut batch.records,
                    );
                    match converted {
                        Ok(()) => return Ok(Batch::Done),
                        Err(more) => failure = more,
                    }
                }
                Again::Stopped => return Ok(Batch::Stopped),
                again => {
                    let has_time = view.timestamp_ms != -1;
                    let which = Which::Consumed {
                        topic: place.topic,
                        partition: place.partition,
                        offset: view.offset,
                        timestamp: has_time.then_some(view.timestamp_ms),
                        timestamp_type: match has_time {
                            true => place.timestamp_type,
                            false => TimestampType::NoTimestampType,
                        },
                        raw: Some(Raw {
                            payload: place.payload,
                            view,
                        }),
                        reported: None,
                    };
                    self.tolerance.failed(failure, which, again)?;
                    return Ok(Batch::Done);
                }
            }
        }
    }
}

/// Converts records up to the first that fails, which it gives back; `None` when there are no more.
///
/// The loop that every record goes through: a plain function, for one that may wait keeps its state in memory.
fn convert_good<'a>(
    conversion: &mut SinkConversion,
    place: &Place<'_>,
    views: &mut Records<'a>,
    batch: &mut SinkBatch,
) -> Result<Option<(RecordView<'a>, Failure)>> {
    let records = &mut batch.records;
    for view in views {
        let view = view.map_err(|cause| {
            ConnectError::fatal("fetched records are damaged")
                .with("topic", place.topic)
                .with("partition", place.partition)
                .caused_by(cause)
        })?;
        let converted = conversion.convert(
            place.topic,
            place.partition,
            place.payload,
            &view,
            place.timestamp_type,
            records,
        );
        if let Err(failure) = converted {
            return Ok(Some((view, failure)));
        }
    }
    Ok(None)
}
