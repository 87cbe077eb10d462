//! The words between the transaction coordinator and its owner.
//!
//! Lives here: effects, answers, settings. Who calls is said in `group`'s words.
//! Never here: a decision.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, DescribeTransactionsResponse,
    EndTxnResponse, InitProducerIdResponse, ListTransactionsResponse,
};

use super::events::TransactionEvent;
use crate::group::{Outcome, Ticket};

/// Partitions by topic.
pub type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// What the transaction coordinator wants done. The owner carries effects out in their order and
/// stops for good when one fails: the journal then ends a transaction at the next start the way it
/// was decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Journal(TransactionEvent),
    WriteMarkers(Markers),
    /// For `GroupCoordinator::end_transaction`: the producer's offsets of each group become
    /// visible, or are dropped.
    EndOffsets {
        producer_id: i64,
        groups: BTreeSet<String>,
        outcome: Outcome,
    },
    Reply(Ticket, Answer),
}

/// A control batch for each of these partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Markers {
    pub producer_id: i64,
    pub epoch: i16,
    pub outcome: Outcome,
    pub partitions: Partitions,
    pub writing: Writing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Each partition gets its marker.
    First,
    /// After a restart, when some markers may be there: only a partition in whose log the
    /// producer still has an open transaction gets one.
    Again,
}

/// An answer that can be encoded in the version its request came in.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    InitProducerId(InitProducerIdResponse),
    AddPartitionsToTxn(AddPartitionsToTxnResponse),
    AddOffsetsToTxn(AddOffsetsToTxnResponse),
    EndTxn(EndTxnResponse),
    ListTransactions(ListTransactionsResponse),
    DescribeTransactions(DescribeTransactionsResponse),
}

#[derive(Debug, Clone)]
pub struct TransactionSettings {
    /// `transaction.max.timeout.ms`, 15 min. A producer that wants more gets 50.
    pub timeout_max: Duration,
    /// Wall-clock time at `now` zero, since 1970: transactions say when they began, and their
    /// timeout goes on over a restart, as in Kafka.
    pub wall_clock_at_zero: Duration,
}
