//! Whether a client's batch is sound, before the log is locked.
//!
//! Lives here: [`validate`], from the bytes of a produce request to a batch that may be appended.
//! Lives elsewhere: sequences and epochs (`super::producers`), which need the log's state.
//! Never here: the offset that it gets.
//! Source: `LogValidator` and `UnifiedLog.analyzeAndValidateRecords` in apache/kafka.

use bytes::{Bytes, BytesMut};
use kafka_wire::batch::{recompress, set_log_append_time};
use kafka_wire::{
    Codec, Compressor, CrcCheck, Decompressor, HeaderFields, RecordBatches, WireError,
};

use super::DECOMPRESSED_BYTES_MAX;

/// A batch that may be appended, its header as it will be stored but for the base offset.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) header: HeaderFields,
    pub(crate) bytes: Bytes,
}

/// Whose clock timestamps are, and which are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimestampRule {
    /// Of the producer, at most so far behind and ahead of the log's clock.
    CreateTime {
        before_max_ms: i64,
        after_max_ms: i64,
    },
    LogAppendTime,
}

/// What a topic asks of its batches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchRule {
    pub(crate) max_bytes: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) timestamps: TimestampRule,
    /// Compacted topics need a key.
    pub(crate) keys_required: bool,
    /// `None`: the producer's choice.
    pub(crate) codec: Option<Codec>,
}

/// Why a batch is refused, with Kafka's error behind it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Corrupt(String),
    #[error("{0}")]
    Invalid(String),
    #[error("the batch has {found} bytes, and the topic's max.message.bytes is {limit}")]
    TooLarge { found: usize, limit: usize },
    #[error("the batch has {found} bytes, and the topic's segment.bytes is {limit}")]
    LargerThanSegment { found: usize, limit: u64 },
    #[error(
        "Timestamp {found} of message with offset 0 is out of range. The timestamp should be within [{from}, {until}]"
    )]
    Timestamp { found: i64, from: i64, until: i64 },
}

/// The one batch of a partition in a produce request.
///
/// Cost: a pass for the CRC. Records are looked at only where the topic asks for something of
/// each: a key, an oldest timestamp, a codec.
pub(crate) fn validate(records: Bytes, rule: &BatchRule, now_ms: i64) -> Result<Sound, Refusal> {
    let header = match HeaderFields::read(&records) {
        Ok(Some(header)) => header,
        Ok(None) => {
            return Err(Refusal::Corrupt(format!(
                "{} bytes of records are less than a batch",
                records.len()
            )));
        }
        Err(old @ (WireError::OldMessageFormat { .. } | WireError::UnknownMagic { .. })) => {
            return Err(Refusal::Invalid(old.to_string()));
        }
        Err(other) => return Err(Refusal::Corrupt(other.to_string())),
    };
    if header.size_bytes > records.len() {
        return Err(Refusal::Corrupt(format!(
            "the batch says that it has {} bytes, and there are {}",
            header.size_bytes,
            records.len()
        )));
    }
    if header.size_bytes < records.len() {
        return Err(Refusal::Invalid(
            "a produce request has one batch for a partition, this one has more".to_owned(),
        ));
    }
    if header.size_bytes > rule.max_bytes {
        return Err(Refusal::TooLarge {
            found: header.size_bytes,
            limit: rule.max_bytes,
        });
    }
    if header.size_bytes as u64 > rule.segment_bytes {
        return Err(Refusal::LargerThanSegment {
            found: header.size_bytes,
            limit: rule.segment_bytes,
        });
    }
    if !header.crc_matches(&records) {
        return Err(Refusal::Corrupt(
            "the batch's CRC is not the one of its bytes".to_owned(),
        ));
    }
    check_header(&header)?;
    let timestamp_rule = rule.timestamps;
    let looks_inside = rule.keys_required
        || matches!(timestamp_rule, TimestampRule::CreateTime { before_max_ms, .. } if before_max_ms < i64::MAX)
        || rule
            .codec
            .is_some_and(|codec| header.codec() != Some(codec));
    if let TimestampRule::CreateTime { after_max_ms, .. } = timestamp_rule {
        check_time(header.max_timestamp_ms, i64::MAX, after_max_ms, now_ms)?;
    }
    let mut bytes = records;
    if looks_inside {
        bytes = look_inside(bytes, rule, now_ms)?;
    }
    if timestamp_rule == TimestampRule::LogAppendTime {
        let mut own = bytes
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        set_log_append_time(&mut own, now_ms);
        bytes = own.freeze();
    }
    let header = HeaderFields::read(&bytes)
        .ok()
        .flatten()
        .expect("it was read above, and only grew valid fields");
    Ok(Sound { header, bytes })
}

fn check_header(header: &HeaderFields) -> Result<(), Refusal> {
    let what = if header.codec().is_none() {
        "its codec is unknown".to_owned()
    } else if header.is_control() {
        "clients are not allowed to write control records".to_owned()
    } else if header.record_count <= 0 {
        format!("its record count is {}", header.record_count)
    } else if i64::from(header.last_offset_delta) + 1 != i64::from(header.record_count) {
        format!(
            "it has {} records and the last offset delta {}",
            header.record_count, header.last_offset_delta
        )
    } else if header.producer.id >= 0
        && (header.producer.base_sequence < 0 || header.producer.epoch < 0)
    {
        format!(
            "its producer {} has the sequence {} and the epoch {}",
            header.producer.id, header.producer.base_sequence, header.producer.epoch
        )
    } else if header.is_transactional() && header.producer.id < 0 {
        "it is transactional and has no producer id".to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::Invalid(format!("the batch is not valid: {what}")))
}

fn check_time(
    timestamp_ms: i64,
    before_max_ms: i64,
    after_max_ms: i64,
    now_ms: i64,
) -> Result<(), Refusal> {
    let from = now_ms.saturating_sub(before_max_ms);
    let until = now_ms.saturating_add(after_max_ms);
    // -1: the producer gave none.
    if timestamp_ms == -1 || (from..=until).contains(&timestamp_ms) {
        return Ok(());
    }
    Err(Refusal::Timestamp {
        found: timestamp_ms,
        from,
        until,
    })
}

fn look_inside(records: Bytes, rule: &BatchRule, now_ms: i64) -> Result<Bytes, Refusal> {
    let corrupt = |cause: WireError| Refusal::Corrupt(cause.to_string());
    let batch = RecordBatches::with_crc_check(records.clone(), CrcCheck::Skip)
        .next()
        .expect("its header was read")
        .map_err(corrupt)?;
    let decoded = batch
        .decode(&mut Decompressor::new(DECOMPRESSED_BYTES_MAX))
        .map_err(corrupt)?;
    for record in decoded.records() {
        let record = record.map_err(corrupt)?;
        if rule.keys_required && record.key.is_none() {
            return Err(Refusal::Invalid(
                "Compacted topic cannot accept message without key".to_owned(),
            ));
        }
        if let TimestampRule::CreateTime {
            before_max_ms,
            after_max_ms,
        } = rule.timestamps
        {
            check_time(record.timestamp_ms, before_max_ms, after_max_ms, now_ms)?;
        }
    }
    match rule.codec {
        Some(codec) if Ok(codec) != decoded.batch().codec().map_err(drop) => {
            let mut compressor = Compressor::new(codec, None).map_err(corrupt)?;
            recompress(&decoded, &mut compressor).map_err(corrupt)
        }
        _ => Ok(records),
    }
}
