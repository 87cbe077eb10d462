//! What can be wrong with bytes.

use crate::compression::Codec;

/// Why bytes could not be read or written. The caller adds the topic and the partition.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Written by a producer older than Kafka 0.11 and never converted. Such a segment can only be
    /// read through an Apache Kafka 3.x broker, which converts it.
    #[error("record batch at offset {base_offset} has the old message format v{magic}, wanted v2")]
    OldMessageFormat { magic: i8, base_offset: i64 },
    #[error(
        "record batch at offset {base_offset} has the unknown format version {magic}, wanted 2"
    )]
    UnknownMagic { magic: i8, base_offset: i64 },
    #[error(
        "record batch at offset {base_offset} is corrupt: its CRC is {expected:#010x}, its bytes give {found:#010x}"
    )]
    CrcMismatch {
        base_offset: i64,
        expected: u32,
        found: u32,
    },
    #[error("record batch at offset {base_offset} is corrupt: {what}")]
    CorruptBatch {
        base_offset: i64,
        what: &'static str,
    },
    #[error("record {index} of the batch at offset {base_offset} is corrupt: {what}")]
    CorruptRecord {
        base_offset: i64,
        index: u32,
        what: &'static str,
    },
    #[error("unknown compression type {id} in the record batch at offset {base_offset}")]
    UnknownCodec { id: u8, base_offset: i64 },
    #[error("{codec} data is corrupt: {cause}")]
    Decompress { codec: Codec, cause: Box<str> },
    #[error("{codec} could not compress: {cause}")]
    Compress { codec: Codec, cause: Box<str> },
    #[error(
        "{codec} data is larger than {limit_bytes} bytes when decompressed, which is the limit"
    )]
    DecompressedTooLarge { codec: Codec, limit_bytes: usize },
    #[error("compression level {level} is not one of {codec}: {valid}")]
    InvalidLevel {
        codec: Codec,
        level: i32,
        valid: &'static str,
    },
    #[error("a record of {bytes} bytes is larger than a record batch can hold")]
    RecordTooLarge { bytes: usize },
    #[error("a batch of {records} record cannot be split")]
    Unsplittable { records: u32 },
}
