//! One transactional id: who its producer is and how far its transaction is.
//!
//! Lives here: the states, what an epoch and a producer id allow, the next epoch.
//! Never here: requests and answers, what other ids do, producer ids that are new.
//! Source: `TransactionMetadata` in apache/kafka, transaction-coordinator, protocol version 1.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_protocol::ResponseError as Code;

use super::words::Partitions;
use crate::group::Outcome;

/// The largest epoch that a producer may have: one more is for the markers that fence it.
pub(super) const EPOCH_MAX: i16 = i16::MAX - 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No transaction since the producer opened.
    Empty,
    Ongoing,
    /// Markers are on their way. Only a crash leaves this state behind; `resume` ends it.
    Prepared(Outcome),
    Complete(Outcome),
}

impl State {
    /// As Kafka prints it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::Prepared(Outcome::Commit) => "PrepareCommit",
            Self::Prepared(Outcome::Abort) => "PrepareAbort",
            Self::Complete(Outcome::Commit) => "CompleteCommit",
            Self::Complete(Outcome::Abort) => "CompleteAbort",
        }
    }
}

/// All names of states, for filters.
pub(super) const STATE_NAMES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    /// See `TransactionEvent::Opened`.
    pub(super) last: Option<(i64, i16)>,
    pub(super) timeout: Duration,
    pub(super) state: State,
    /// Wall-clock time since 1970 at which the latest transaction began.
    pub(super) began: Option<Duration>,
    pub(super) partitions: Partitions,
    pub(super) groups: BTreeSet<String>,
}

/// What a producer that opens is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The epoch with what it replaces.
    Epoch {
        epoch: i16,
        last: Option<(i64, i16)>,
    },
    /// Epochs are used up: a new producer id with epoch 0.
    NewProducer { last: Option<(i64, i16)> },
    /// It asks again: it did not hear the answer to the question before.
    Unchanged,
}

impl Transaction {
    pub(super) fn new(producer_id: i64, epoch: i16) -> Self {
        Self {
            producer_id,
            epoch,
            last: None,
            timeout: Duration::ZERO,
            state: State::Empty,
            began: None,
            partitions: Partitions::new(),
            groups: BTreeSet::new(),
        }
    }

    /// 49 for another producer id, 90 for another epoch, 51 while markers are on their way.
    pub(super) fn check(&self, producer_id: i64, epoch: i16) -> Result<(), Code> {
        if producer_id != self.producer_id {
            return Err(Code::InvalidProducerIdMapping);
        }
        if epoch != self.epoch {
            return Err(Code::ProducerFenced);
        }
        match self.state {
            State::Prepared(_) => Err(Code::ConcurrentTransactions),
            _ => Ok(()),
        }
    }

    /// What a producer becomes that opens, or 90. `claim` is who it believes to be, if it says so.
    ///
    /// A claim that is out of date changes nothing. Apache Kafka 4.3.1 answers the same, but aborts
    /// the open transaction of the producer that is in its right first.
    pub(super) fn next(&self, claim: Option<(i64, i16)>) -> Result<Next, Code> {
        let Some((producer_id, epoch)) = claim else {
            // Whoever comes without a claim replaces whoever is there.
            // Aborting an open transaction takes an epoch of its own.
            let steps = if self.state == State::Ongoing { 2 } else { 1 };
            return Ok(self.after(steps, None));
        };
        if (producer_id, epoch) == (self.producer_id, self.epoch) {
            // Also over an open transaction: the markers that abort it have the new epoch.
            return Ok(self.after(1, claim));
        }
        let asks_again = self.last == claim && self.state != State::Ongoing;
        if asks_again {
            Ok(Next::Unchanged)
        } else {
            Err(Code::ProducerFenced)
        }
    }

    fn after(&self, steps: i16, last: Option<(i64, i16)>) -> Next {
        match self
            .epoch
            .checked_add(steps)
            .filter(|epoch| *epoch <= EPOCH_MAX)
        {
            Some(epoch) => Next::Epoch { epoch, last },
            None => Next::NewProducer { last },
        }
    }

    pub(super) fn contains(&self, topic: &str, partition: i32) -> bool {
        self.partitions
            .get(topic)
            .is_some_and(|partitions| partitions.contains(&partition))
    }

    /// When the transaction is too old, as wall-clock time since 1970.
    pub(super) fn expires(&self) -> Option<Duration> {
        let began = self.began.filter(|_| self.state == State::Ongoing)?;
        Some(began + self.timeout)
    }
}
