//! Reading records from Kafka, a batch per partition at a time.
//!
//! Lives here: [`Consumer`] (what it is told: `consumer`, its loop: `poll`, its place in a group:
//! `rebalance`, offsets: `offsets`), and the pure parts below it: a partition's stages
//! (`partition`), fetch sessions (`session`), fetched regions (`records`), assignors
//! (`assignors`), the bytes that members show each other (`protocol`).
//! Lives elsewhere: connections and metadata (`crate::client`), heartbeats (`crate::group`),
//! batches (`kafka_wire`).
//! Never here: a thread, a per-record channel or allocation, conversion of keys and values.
//!
//! ```text
//! poll ── hands out pieces of fetched chunks ── asks each idle broker for the next chunks
//!            ▲                                            │ one task per fetch:
//!            └── checked, decompressed, filtered chunks ◄─┘ request, answer, decode
//! ```
//! Per partition one chunk is worked on while the next one is on its way; a slow user therefore
//! stops the fetching, and never more than `fetch.max.bytes` wait (per broker one answer more).

mod answers;
pub mod assignors;
#[allow(clippy::module_inception)]
mod consumer;
mod fetch;
mod lookup;
mod offsets;
mod partition;
mod poll;
pub mod protocol;
mod rebalance;
mod records;
mod session;
#[cfg(test)]
mod tests;

pub use crate::metadata::TopicPartition;
pub use crate::offset::OffsetAndMetadata;
pub use consumer::{Consumer, TopicMatcher, Waker};
pub use kafka_wire::{RecordView, Records, TimestampType};
pub use offsets::{GroupMetadata, OffsetAndTimestamp, PendingCommit};
pub use records::{PartitionRecords, Piece};

/// What a poll answers.
///
/// The three rebalance answers stand for Java's `ConsumerRebalanceListener`: what the caller does
/// before it polls again happens inside the callback, so to say. The next poll is the
/// acknowledgement.
#[derive(Debug)]
pub enum Polled {
    /// Never empty; at most `max.poll.records` records, at most one entry per partition.
    Records(Vec<PartitionRecords>),
    /// These go to other members after the next poll: commit them now. They are still assigned.
    Revoking(Vec<TopicPartition>),
    /// These are ours now, beside what was assigned before. May be empty: the rebalance is over.
    Assigned(Vec<TopicPartition>),
    /// These may be with other members already: nothing can be committed for them.
    Lost(Vec<TopicPartition>),
    /// The time is over, or somebody woke the poll up, or positions moved over what is not handed
    /// out (transaction markers, aborted records).
    Nothing,
}
