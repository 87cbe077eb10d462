//! What goes into the producer's decisions and what comes out.
//!
//! Lives here: events, actions, and the part of the settings that decisions rest on.
//! Lives elsewhere: the decisions (`state`), who carries them out (`sender`).
//! Never here: behaviour.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_wire::batch::UnsealedBatch;
use kafka_wire::{BatchBuilder, Codec, ProducerState, SplitPart, WireError};

use super::answer::Outcome;
use super::batch::{BatchId, Body};
use super::sequence::ProducerId;
use crate::client::Backoff;
use crate::error::ClientError;
use crate::settings::Partitioner;

/// The part of the settings that decisions rest on.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub codec: Codec,
    pub idempotent: bool,
    pub batch_size_bytes: usize,
    pub buffer_memory_bytes: usize,
    pub max_request_bytes: usize,
    pub linger: Duration,
    pub delivery_timeout: Duration,
    pub retries: u32,
    pub max_in_flight: usize,
    pub partitioner: Partitioner,
    pub backoff: Backoff,
}

/// Everything that can wake the sender, beside new records and time. Closed on purpose.
#[derive(Debug)]
pub(super) enum Event {
    /// What the metadata says about a topic now. `None`: nothing, it is gone or never was.
    Leaders {
        topic: u32,
        partitions: Option<Vec<Leader>>,
    },
    Connected {
        broker: i32,
    },
    ConnectFailed {
        broker: i32,
        error: ClientError,
    },
    ProducerId(Result<ProducerId, ClientError>),
    Compressed {
        batch: BatchId,
        result: Result<UnsealedBatch, WireError>,
        buffer: Option<Vec<u8>>,
    },
    Split {
        batch: BatchId,
        result: Result<[SplitPart; 2], WireError>,
    },
    Produced(Produced),
    /// No more records; send what there is.
    Close,
    /// Give up on everything.
    Abort(ClientError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leader {
    pub broker: Option<i32>,
    pub epoch: i32,
}

/// The end of a produce request, however it ended.
#[derive(Debug)]
pub(super) struct Produced {
    pub broker: i32,
    pub throttle: Duration,
    pub batches: Vec<ProducedBatch>,
}

#[derive(Debug)]
pub(super) struct ProducedBatch {
    pub id: BatchId,
    pub bytes: Bytes,
    pub producer: ProducerState,
    pub outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Action {
    Connect {
        broker: i32,
    },
    RefreshMetadata,
    InitProducerId,
    Compress {
        batch: BatchId,
        records: BatchBuilder,
    },
    Split {
        batch: BatchId,
        bytes: Bytes,
    },
    Send {
        broker: i32,
        batches: Vec<Outgoing>,
    },
}

/// A batch in a produce request.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub id: BatchId,
    pub topic: Arc<str>,
    pub partition: i32,
    pub body: Body,
    pub producer: ProducerState,
}
