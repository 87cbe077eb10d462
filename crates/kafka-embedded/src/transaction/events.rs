//! What the journal keeps of transactions.
//!
//! Lives here: the closed list of events, and their bytes.
//! Never here: what an event does (`coordinator`), framing, checksums, the file.

use std::collections::BTreeSet;
use std::time::Duration;

use super::words::Partitions;
use crate::group::codec::{
    DecodeError, Reader, put_count, put_i16, put_i32, put_i64, put_text, put_u8, put_u64,
};
use crate::group::{Outcome, put_outcome, read_outcome};

/// A change that a restart must not lose. The state is the replay of all of them in order.
#[derive(Debug, Clone, PartialEq)]
pub enum TransactionEvent {
    /// Producer ids below `next` may have been given out.
    ProducerIds { next: i64 },
    /// A transactional id has a producer id and an epoch, and no transaction.
    Opened {
        transactional_id: String,
        producer_id: i64,
        epoch: i16,
        /// The producer before a change that it asked for itself: it may not have heard of it,
        /// and asks again. None: nobody but the newest may go on.
        last: Option<(i64, i16)>,
        timeout: Duration,
    },
    /// The transaction of the id now has these partitions and groups too; the first such event
    /// begins it.
    Added {
        transactional_id: String,
        /// Wall-clock time since 1970 at which the transaction began.
        began: Duration,
        partitions: Partitions,
        groups: BTreeSet<String>,
    },
    /// From here on the transaction ends this way, whatever happens. `epoch` is that of the
    /// markers.
    Decided {
        transactional_id: String,
        epoch: i16,
        outcome: Outcome,
    },
    /// Markers are written, offsets have ended.
    Done { transactional_id: String },
    /// No transaction has partitions of the topic any more.
    TopicDeleted { topic: String },
}

const PRODUCER_IDS: u8 = 1;
const OPENED: u8 = 2;
const ADDED: u8 = 3;
const DECIDED: u8 = 4;
const DONE: u8 = 5;
const TOPIC_DELETED: u8 = 6;

impl TransactionEvent {
    /// Appends the event's bytes. Cost: one pass, no allocation but the growth of `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::ProducerIds { next } => {
                put_u8(out, PRODUCER_IDS);
                put_i64(out, *next);
            }
            Self::Opened {
                transactional_id,
                producer_id,
                epoch,
                last,
                timeout,
            } => {
                put_u8(out, OPENED);
                put_text(out, transactional_id);
                put_i64(out, *producer_id);
                put_i16(out, *epoch);
                put_u8(out, u8::from(last.is_some()));
                if let Some((producer_id, epoch)) = last {
                    put_i64(out, *producer_id);
                    put_i16(out, *epoch);
                }
                put_duration(out, *timeout);
            }
            Self::Added {
                transactional_id,
                began,
                partitions,
                groups,
            } => {
                put_u8(out, ADDED);
                put_text(out, transactional_id);
                put_duration(out, *began);
                put_count(out, partitions.len());
                for (topic, partitions) in partitions {
                    put_text(out, topic);
                    put_count(out, partitions.len());
                    for partition in partitions {
                        put_i32(out, *partition);
                    }
                }
                put_count(out, groups.len());
                for group in groups {
                    put_text(out, group);
                }
            }
            Self::Decided {
                transactional_id,
                epoch,
                outcome,
            } => {
                put_u8(out, DECIDED);
                put_text(out, transactional_id);
                put_i16(out, *epoch);
                put_outcome(out, *outcome);
            }
            Self::Done { transactional_id } => {
                put_u8(out, DONE);
                put_text(out, transactional_id);
            }
            Self::TopicDeleted { topic } => {
                put_u8(out, TOPIC_DELETED);
                put_text(out, topic);
            }
        }
    }

    /// Reads what `encode` wrote; all of `bytes` must belong to the event.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(bytes);
        let event = match from.u8()? {
            PRODUCER_IDS => Self::ProducerIds { next: from.i64()? },
            OPENED => Self::Opened {
                transactional_id: from.text()?,
                producer_id: from.i64()?,
                epoch: from.i16()?,
                last: read_last(&mut from)?,
                timeout: read_duration(&mut from)?,
            },
            ADDED => Self::Added {
                transactional_id: from.text()?,
                began: read_duration(&mut from)?,
                partitions: read_partitions(&mut from)?,
                groups: read_groups(&mut from)?,
            },
            DECIDED => Self::Decided {
                transactional_id: from.text()?,
                epoch: from.i16()?,
                outcome: read_outcome(&mut from)?,
            },
            DONE => Self::Done {
                transactional_id: from.text()?,
            },
            TOPIC_DELETED => Self::TopicDeleted {
                topic: from.text()?,
            },
            value => {
                return Err(DecodeError::Unknown {
                    what: "kind of transaction event",
                    value,
                });
            }
        };
        from.end()?;
        Ok(event)
    }
}

fn read_last(from: &mut Reader<'_>) -> Result<Option<(i64, i16)>, DecodeError> {
    match from.u8()? {
        0 => Ok(None),
        1 => Ok(Some((from.i64()?, from.i16()?))),
        value => Err(DecodeError::Unknown {
            what: "presence mark",
            value,
        }),
    }
}

fn read_partitions(from: &mut Reader<'_>) -> Result<Partitions, DecodeError> {
    let mut partitions = Partitions::new();
    for _ in 0..from.count()? {
        let topic = partitions.entry(from.text()?).or_default();
        for _ in 0..from.count()? {
            topic.insert(from.i32()?);
        }
    }
    Ok(partitions)
}

fn read_groups(from: &mut Reader<'_>) -> Result<BTreeSet<String>, DecodeError> {
    let mut groups = BTreeSet::new();
    for _ in 0..from.count()? {
        groups.insert(from.text()?);
    }
    Ok(groups)
}

/// In milliseconds, as requests and answers count.
fn put_duration(out: &mut Vec<u8>, duration: Duration) {
    put_u64(out, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
}

fn read_duration(from: &mut Reader<'_>) -> Result<Duration, DecodeError> {
    Ok(Duration::from_millis(from.u64()?))
}
