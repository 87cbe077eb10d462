//! What the journal keeps of groups.
//!
//! Lives here: the closed list of events, and their bytes.
//! Never here: what an event does to a group (`coordinator`), framing, checksums, the file.

use std::time::Duration;

use bytes::Bytes;

use super::codec::{
    DecodeError, Reader, put_bytes, put_count, put_i32, put_i64, put_optional_text, put_text,
    put_u8, put_u64,
};
use super::offsets::{CommittedOffset, OffsetTable};
use super::words::Outcome;

/// A change that a restart must not lose. The state is the replay of all of them in order.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupEvent {
    OffsetsCommitted {
        group: String,
        offsets: OffsetTable,
    },
    OffsetsDeleted {
        group: String,
        partitions: Vec<(String, i32)>,
    },
    /// Offsets that become visible when the producer's transaction commits.
    OffsetsPending {
        group: String,
        producer_id: i64,
        offsets: OffsetTable,
    },
    TransactionEnded {
        group: String,
        producer_id: i64,
        outcome: Outcome,
    },
    /// The whole membership after a completed SyncGroup, after a static member came back, and
    /// when the group emptied.
    Members(MembersRecord),
    GroupDeleted {
        group: String,
    },
    /// No group has an offset of the topic any more, pending ones included.
    TopicDeleted {
        topic: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct MembersRecord {
    pub group: String,
    pub generation: i32,
    pub protocol_type: String,
    /// What the members agreed on; none in an empty group.
    pub protocol: Option<String>,
    pub leader: Option<String>,
    /// In the order in which they joined.
    pub members: Vec<MemberRecord>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MemberRecord {
    pub id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    pub protocols: Vec<(String, Bytes)>,
    pub assignment: Bytes,
}

const OFFSETS_COMMITTED: u8 = 1;
const OFFSETS_DELETED: u8 = 2;
const OFFSETS_PENDING: u8 = 3;
const TRANSACTION_ENDED: u8 = 4;
const MEMBERS: u8 = 5;
const GROUP_DELETED: u8 = 6;
const TOPIC_DELETED: u8 = 7;

impl GroupEvent {
    /// Appends the event's bytes. Cost: one pass, no allocation but the growth of `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::OffsetsCommitted { group, offsets } => {
                put_u8(out, OFFSETS_COMMITTED);
                put_text(out, group);
                put_offsets(out, offsets);
            }
            Self::OffsetsDeleted { group, partitions } => {
                put_u8(out, OFFSETS_DELETED);
                put_text(out, group);
                put_count(out, partitions.len());
                for (topic, partition) in partitions {
                    put_text(out, topic);
                    put_i32(out, *partition);
                }
            }
            Self::OffsetsPending {
                group,
                producer_id,
                offsets,
            } => {
                put_u8(out, OFFSETS_PENDING);
                put_text(out, group);
                put_i64(out, *producer_id);
                put_offsets(out, offsets);
            }
            Self::TransactionEnded {
                group,
                producer_id,
                outcome,
            } => {
                put_u8(out, TRANSACTION_ENDED);
                put_text(out, group);
                put_i64(out, *producer_id);
                put_outcome(out, *outcome);
            }
            Self::Members(record) => {
                put_u8(out, MEMBERS);
                put_members(out, record);
            }
            Self::GroupDeleted { group } => {
                put_u8(out, GROUP_DELETED);
                put_text(out, group);
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
            OFFSETS_COMMITTED => Self::OffsetsCommitted {
                group: from.text()?,
                offsets: read_offsets(&mut from)?,
            },
            OFFSETS_DELETED => {
                let group = from.text()?;
                let mut partitions = Vec::new();
                for _ in 0..from.count()? {
                    partitions.push((from.text()?, from.i32()?));
                }
                Self::OffsetsDeleted { group, partitions }
            }
            OFFSETS_PENDING => Self::OffsetsPending {
                group: from.text()?,
                producer_id: from.i64()?,
                offsets: read_offsets(&mut from)?,
            },
            TRANSACTION_ENDED => Self::TransactionEnded {
                group: from.text()?,
                producer_id: from.i64()?,
                outcome: read_outcome(&mut from)?,
            },
            MEMBERS => Self::Members(read_members(&mut from)?),
            GROUP_DELETED => Self::GroupDeleted {
                group: from.text()?,
            },
            TOPIC_DELETED => Self::TopicDeleted {
                topic: from.text()?,
            },
            value => {
                return Err(DecodeError::Unknown {
                    what: "kind of group event",
                    value,
                });
            }
        };
        from.end()?;
        Ok(event)
    }
}

pub(crate) fn put_outcome(out: &mut Vec<u8>, outcome: Outcome) {
    put_u8(
        out,
        match outcome {
            Outcome::Abort => 0,
            Outcome::Commit => 1,
        },
    );
}

pub(crate) fn read_outcome(from: &mut Reader<'_>) -> Result<Outcome, DecodeError> {
    match from.u8()? {
        0 => Ok(Outcome::Abort),
        1 => Ok(Outcome::Commit),
        value => Err(DecodeError::Unknown {
            what: "outcome of a transaction",
            value,
        }),
    }
}

fn put_offsets(out: &mut Vec<u8>, offsets: &OffsetTable) {
    put_count(out, offsets.len());
    for (topic, partitions) in offsets {
        put_text(out, topic);
        put_count(out, partitions.len());
        for (partition, committed) in partitions {
            put_i32(out, *partition);
            put_i64(out, committed.offset);
            put_i32(out, committed.leader_epoch);
            put_text(out, &committed.metadata);
            put_u64(out, committed.order);
        }
    }
}

fn read_offsets(from: &mut Reader<'_>) -> Result<OffsetTable, DecodeError> {
    let mut offsets = OffsetTable::new();
    for _ in 0..from.count()? {
        let partitions = offsets.entry(from.text()?).or_default();
        for _ in 0..from.count()? {
            let partition = from.i32()?;
            partitions.insert(
                partition,
                CommittedOffset {
                    offset: from.i64()?,
                    leader_epoch: from.i32()?,
                    metadata: from.text()?,
                    order: from.u64()?,
                },
            );
        }
    }
    Ok(offsets)
}

fn put_members(out: &mut Vec<u8>, record: &MembersRecord) {
    put_text(out, &record.group);
    put_i32(out, record.generation);
    put_text(out, &record.protocol_type);
    put_optional_text(out, record.protocol.as_deref());
    put_optional_text(out, record.leader.as_deref());
    put_count(out, record.members.len());
    for member in &record.members {
        put_text(out, &member.id);
        put_optional_text(out, member.instance_id.as_deref());
        put_text(out, &member.client_id);
        put_text(out, &member.client_host);
        put_duration(out, member.session_timeout);
        put_duration(out, member.rebalance_timeout);
        put_count(out, member.protocols.len());
        for (name, metadata) in &member.protocols {
            put_text(out, name);
            put_bytes(out, metadata);
        }
        put_bytes(out, &member.assignment);
    }
}

fn read_members(from: &mut Reader<'_>) -> Result<MembersRecord, DecodeError> {
    let mut record = MembersRecord {
        group: from.text()?,
        generation: from.i32()?,
        protocol_type: from.text()?,
        protocol: from.optional_text()?,
        leader: from.optional_text()?,
        members: Vec::new(),
    };
    for _ in 0..from.count()? {
        let mut member = MemberRecord {
            id: from.text()?,
            instance_id: from.optional_text()?,
            client_id: from.text()?,
            client_host: from.text()?,
            session_timeout: read_duration(from)?,
            rebalance_timeout: read_duration(from)?,
            protocols: Vec::new(),
            assignment: Bytes::new(),
        };
        for _ in 0..from.count()? {
            member.protocols.push((from.text()?, from.bytes()?));
        }
        member.assignment = from.bytes()?;
        record.members.push(member);
    }
    Ok(record)
}

/// In milliseconds: the timeouts come from requests, which count in them.
fn put_duration(out: &mut Vec<u8>, duration: Duration) {
    put_u64(out, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
}

fn read_duration(from: &mut Reader<'_>) -> Result<Duration, DecodeError> {
    Ok(Duration::from_millis(from.u64()?))
}
