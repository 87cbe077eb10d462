//! Kafka's bytes: record batches written and read in place, their compression, the hash that
//! chooses partitions, and the frame that carries requests.
//!
//! Lives here: the layouts of format version 2 (`batch`), the five codecs in Kafka's own framing
//! (`compression`), `murmur2`, and the length prefix of requests and responses (`frame`).
//! Lives elsewhere: request and response messages (the `kafka-protocol` crate), connections,
//! retries and metadata (`kafka_client`), logs on disk (`kafka_embedded`).
//! Never here: a socket, a clock, a retry, a topic name.
//!
//! Everything that is read is untrusted: a broken byte is a [`WireError`], never a panic, and no
//! allocation is sized by a number that was read.

pub mod batch;
pub mod compression;
mod error;
pub mod frame;
pub mod murmur2;
mod varint;

pub use batch::{
    BatchBuilder, BatchHeader, BatchKind, ControlType, CrcCheck, DecodedBatch, FinishedBatch,
    HeaderError, HeaderFields, HeaderView, Headers, ProducerState, RecordBatch, RecordBatches,
    RecordCursor, RecordView, Records, SplitPart, TimestampType, UnsealedBatch,
};
pub use compression::{Codec, Compressor, Decompressor};
pub use error::WireError;
