//! Batches written and read back, and bytes that are no batch.
//!
//! Never here: batches that Java wrote (`fixtures` holds their bytes).

use super::*;
use crate::batch::fixtures;
use crate::compression::{Codec, Compressor, Decompressor};
use crate::error::WireError;
use bytes::Bytes;

const LIMIT_BYTES: usize = 1 << 20;
const PRODUCER: ProducerState = ProducerState {
    id: 4242,
    epoch: 3,
    base_sequence: 17,
};

type OwnedField = Option<Vec<u8>>;

#[derive(Debug, Clone, PartialEq)]
struct Owned {
    timestamp_ms: i64,
    key: OwnedField,
    value: OwnedField,
    headers: Vec<(Vec<u8>, OwnedField)>,
}

fn record(timestamp_ms: i64, key: Option<&str>, value: Option<&str>) -> Owned {
    let owned = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
    Owned {
        timestamp_ms,
        key: owned(key),
        value: owned(value),
        headers: Vec::new(),
    }
}

/// What every data batch of `fixtures` holds.
fn expected_records() -> Vec<Owned> {
    const T: i64 = 1_709_210_096_789;
    let mut with_headers = record(T + 70_001, Some("h"), Some("with headers"));
    with_headers.headers = vec![
        (b"a".to_vec(), Some(b"1".to_vec())),
        (b"a".to_vec(), None),
        ("über".as_bytes().to_vec(), Some(vec![])),
        (vec![], Some(vec![0, 255])),
    ];
    vec![
        record(T, Some("key-1"), Some("value one")),
        record(T + 5, None, Some("no key")),
        record(T - 3, Some("tombstone"), None),
        record(T + 70_000, Some(""), Some("")),
        with_headers,
        record(T + 70_002, None, Some(&"0123456789".repeat(40))),
    ]
}

fn from_hex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn builder_with(records: &[Owned]) -> BatchBuilder {
    let mut builder = BatchBuilder::new(0);
    for record in records {
        let headers = record
            .headers
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()));
        let bound = builder.size_bytes()
            + record_bytes_upper_bound(
                record.key.as_deref(),
                record.value.as_deref(),
                headers.clone(),
            );
        builder
            .append_with_headers(
                record.timestamp_ms,
                record.key.as_deref(),
                record.value.as_deref(),
                headers,
            )
            .unwrap();
        assert!(
            builder.size_bytes() <= bound,
            "{} > {bound}",
            builder.size_bytes()
        );
    }
    builder
}

fn finish(builder: BatchBuilder, codec: Codec) -> Bytes {
    let header = BatchHeader::produced(PRODUCER, BatchKind::Plain);
    builder
        .finish(&header, &mut Compressor::new(codec, None).unwrap())
        .unwrap()
        .bytes
}

fn one_batch(region: Bytes) -> RecordBatch {
    let mut batches = RecordBatches::new(region);
    let batch = batches.next().expect("a batch").expect("a good batch");
    assert!(batches.next().is_none());
    batch
}

fn read(region: Bytes) -> Result<Vec<(i64, Owned)>, WireError> {
    let mut read = Vec::new();
    let mut decompressor = Decompressor::new(LIMIT_BYTES);
    for batch in RecordBatches::new(region) {
        let decoded = batch?.decode(&mut decompressor)?;
        for record in decoded.records() {
            let record = record?;
            let corrupt = |_| WireError::CorruptBatch {
                base_offset: 0,
                what: "headers",
            };
            let headers = record
                .headers()
                .map(|header| header.map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec))))
                .collect::<Result<_, _>>()
                .map_err(corrupt)?;
            let owned = Owned {
                timestamp_ms: record.timestamp_ms,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers,
            };
            read.push((record.offset, owned));
        }
    }
    Ok(read)
}

#[track_caller]
fn check_reads_as(region: Bytes, expect: &[Owned]) {
    let (offsets, records): (Vec<_>, Vec<_>) = read(region).unwrap().into_iter().unzip();
    assert_eq!(offsets, (0..expect.len() as i64).collect::<Vec<_>>());
    assert_eq!(records, expect);
}

#[test]
fn batches_of_java_are_read() {
    for (codec, hex) in [
        (Codec::None, fixtures::NONE),
        (Codec::Gzip, fixtures::GZIP),
        (Codec::Snappy, fixtures::SNAPPY),
        (Codec::Lz4, fixtures::LZ4),
        (Codec::Zstd, fixtures::ZSTD),
    ] {
        let bytes = Bytes::from(from_hex(hex));
        let batch = one_batch(bytes.clone());
        assert_eq!(batch.codec().unwrap(), codec);
        assert_eq!(batch.producer(), PRODUCER);
        assert_eq!(
            (
                batch.base_offset(),
                batch.last_offset(),
                batch.record_count()
            ),
            (0, 5, 6)
        );
        assert_eq!(batch.base_timestamp_ms(), 1_709_210_096_789);
        assert_eq!(batch.max_timestamp_ms(), 1_709_210_166_791);
        assert_eq!(batch.leader_epoch(), -1);
        assert_eq!(batch.timestamp_type(), TimestampType::CreateTime);
        assert!(!batch.is_control() && !batch.is_transactional());
        check_reads_as(bytes, &expected_records());
    }
}

#[test]
fn our_uncompressed_batch_is_javas_byte_for_byte() {
    let ours = finish(builder_with(&expected_records()), Codec::None);
    assert_eq!(ours, from_hex(fixtures::NONE));
}

#[test]
fn every_codec_round_trips() {
    for codec in Codec::ALL {
        let batch = finish(builder_with(&expected_records()), codec);
        assert_eq!(one_batch(batch.clone()).codec().unwrap(), codec);
        check_reads_as(batch, &expected_records());
    }
}

#[test]
fn extreme_timestamps_and_many_records_round_trip() {
    let mut records: Vec<_> = [0, -1, i64::MAX, i64::MIN, 1]
        .into_iter()
        .map(|timestamp| record(timestamp, None, None))
        .collect();
    records.extend((0..20_000).map(|n| record(n, Some(&n.to_string()), Some("v"))));
    for codec in Codec::ALL {
        check_reads_as(finish(builder_with(&records), codec), &records);
    }
}

#[test]
fn an_uncompressed_batch_is_read_without_a_copy() {
    let region = Bytes::from(from_hex(fixtures::NONE));
    let decoded = one_batch(region.clone())
        .decode(&mut Decompressor::new(0))
        .unwrap();
    assert_eq!(
        decoded.payload().as_ptr(),
        region[BATCH_OVERHEAD..].as_ptr()
    );
    let value = decoded.records().next().unwrap().unwrap().value.unwrap();
    assert_eq!(decoded.payload().slice_ref(value), "value one");
}

#[test]
fn a_buffer_can_be_used_again() {
    let batch = finish(builder_with(&expected_records()), Codec::None);
    let shared = batch.clone();
    assert!(
        BatchBuilder::recycle(shared).is_none(),
        "somebody still reads it"
    );
    let buffer = BatchBuilder::recycle(batch).expect("nobody else holds it");
    let address = buffer.as_ptr();
    let mut builder = BatchBuilder::with_buffer(buffer, 500);
    builder.append(7, None, Some(b"new")).unwrap();
    let batch = finish(builder, Codec::None);
    assert_eq!(batch.as_ptr(), address);
    check_reads_as(batch, &[record(7, None, Some("new"))]);

    let header = BatchHeader::produced(PRODUCER, BatchKind::Plain);
    let finished = builder_with(&expected_records())
        .finish(&header, &mut Compressor::new(Codec::Lz4, None).unwrap())
        .unwrap();
    assert!(finished.buffer.is_some());
}

#[test]
fn a_region_may_end_in_the_middle_of_a_batch() {
    let whole = from_hex(fixtures::LZ4);
    let mut region = whole.clone();
    region.extend_from_slice(&whole);
    for cut in whole.len()..region.len() {
        let mut batches = RecordBatches::new(Bytes::copy_from_slice(&region[..cut]));
        assert!(batches.next().unwrap().is_ok());
        assert!(batches.next().is_none(), "cut at {cut}");
        assert_eq!(batches.rest().len(), cut - whole.len());
    }
    assert_eq!(RecordBatches::new(Bytes::from(region)).count(), 2);
}

#[test]
fn control_batches_say_what_they_are() {
    for (hex, offset, control) in [
        (fixtures::COMMIT, 7, ControlType::Commit),
        (fixtures::ABORT, 8, ControlType::Abort),
    ] {
        let bytes = from_hex(hex);
        let batch = one_batch(Bytes::from(bytes.clone()));
        assert!(batch.is_control() && batch.is_transactional());
        assert_eq!((batch.base_offset(), batch.leader_epoch()), (offset, 5));
        let decoded = batch.decode(&mut Decompressor::new(0)).unwrap();
        assert_eq!(decoded.control_type().unwrap(), Some(control));

        let header = BatchHeader {
            producer: ProducerState {
                base_sequence: -1,
                ..PRODUCER
            },
            kind: BatchKind::Control,
            base_offset: offset,
            leader_epoch: 5,
        };
        let ours = transaction_marker(control, 9, 1_709_210_096_789, &header).unwrap();
        assert_eq!(ours, bytes);
    }
    let data = one_batch(Bytes::from(from_hex(fixtures::NONE)));
    let data = data.decode(&mut Decompressor::new(0)).unwrap();
    assert_eq!(data.control_type().unwrap(), None);
}

#[test]
fn a_new_epoch_rewrites_a_finished_batch() {
    let batch = finish(builder_with(&expected_records()), Codec::Zstd);
    let producer = ProducerState {
        id: 9,
        epoch: 4,
        base_sequence: 0,
    };
    let shared = batch.clone();
    let rewritten = with_producer(batch, producer);
    assert_eq!(one_batch(rewritten.clone()).producer(), producer);
    assert_eq!(
        one_batch(shared).producer(),
        PRODUCER,
        "the other holder sees the old one"
    );
    check_reads_as(rewritten, &expected_records());
}

#[test]
fn a_broker_stamps_its_own_time_and_place() {
    let mut batch = from_hex(fixtures::SNAPPY);
    set_base_offset(&mut batch, 1000);
    set_leader_epoch(&mut batch, 6);
    set_log_append_time(&mut batch, 77);
    let batch = one_batch(Bytes::from(batch));
    assert_eq!(
        (
            batch.base_offset(),
            batch.last_offset(),
            batch.leader_epoch()
        ),
        (1000, 1005, 6)
    );
    assert_eq!(batch.timestamp_type(), TimestampType::LogAppendTime);
    let decoded = batch.decode(&mut Decompressor::new(LIMIT_BYTES)).unwrap();
    assert!(
        decoded
            .records()
            .all(|record| record.unwrap().timestamp_ms == 77)
    );
    assert_eq!(decoded.records().last().unwrap().unwrap().offset, 1005);
}

#[test]
fn a_batch_splits_into_two_that_hold_the_same() {
    let records = expected_records();
    for codec in Codec::ALL {
        for (sequence, second_sequence) in [(17, 22), (-1, -1), (i32::MAX - 2, 2)] {
            let producer = ProducerState {
                base_sequence: sequence,
                ..PRODUCER
            };
            let mut compressor = Compressor::new(codec, None).unwrap();
            let batch = with_producer(finish(builder_with(&records), codec), producer);
            let [first, second] =
                split_in_two(batch, &mut compressor, &mut Decompressor::new(LIMIT_BYTES)).unwrap();
            // The long record is half of the bytes.
            assert_eq!((first.records, second.records), (5, 1));
            assert_eq!(one_batch(first.bytes.clone()).producer(), producer);
            assert_eq!(
                one_batch(second.bytes.clone()).producer().base_sequence,
                second_sequence
            );
            check_reads_as(first.bytes, &records[..5]);
            check_reads_as(second.bytes, &records[5..]);
        }
    }
    let one = finish(builder_with(&records[..1]), Codec::None);
    let refused =
        split_in_two(one, &mut Compressor::none(), &mut Decompressor::new(0)).unwrap_err();
    assert_eq!(refused.to_string(), "a batch of 1 record cannot be split");
}

#[test]
fn broken_batches_are_errors() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut Vec<u8>), seal_again: bool, expect: &str) {
        let mut batch = from_hex(fixtures::NONE);
        change(&mut batch);
        if seal_again {
            seal(&mut batch);
        }
        let error = read(Bytes::from(batch)).expect_err(expect);
        assert!(
            error.to_string().contains(expect),
            "{error}, wanted {expect}"
        );
    }
    check(|batch| batch[MAGIC] = 0, false, "old message format v0");
    check(|batch| batch[MAGIC] = 1, false, "old message format v1");
    check(|batch| batch[MAGIC] = 3, false, "unknown format version 3");
    check(|batch| batch[100] ^= 1, false, "CRC");
    check(
        |batch| put(batch, LENGTH, 48i32.to_be_bytes()),
        false,
        "below that of an empty",
    );
    check(
        |batch| put(batch, LENGTH, (-1i32).to_be_bytes()),
        false,
        "below that of an empty",
    );
    check(
        |batch| batch[BASE_OFFSET] = 0x80,
        false,
        "base offset is negative",
    );
    check(
        |batch| put(batch, BASE_OFFSET, i64::MAX.to_be_bytes()),
        false,
        "out of range",
    );
    check(
        |batch| put(batch, LAST_OFFSET_DELTA, (-1i32).to_be_bytes()),
        true,
        "below its first",
    );
    check(
        |batch| put(batch, RECORD_COUNT, (-1i32).to_be_bytes()),
        true,
        "count is negative",
    );
    check(
        |batch| put(batch, RECORD_COUNT, i32::MAX.to_be_bytes()),
        true,
        "more records",
    );
    check(
        |batch| put(batch, RECORD_COUNT, 7i32.to_be_bytes()),
        true,
        "record 6 of the batch",
    );
    check(
        |batch| put(batch, RECORD_COUNT, 5i32.to_be_bytes()),
        true,
        "bytes are left behind",
    );
    check(
        |batch| batch[ATTRIBUTES + 1] = 5,
        true,
        "unknown compression type 5",
    );
    check(
        |batch| batch[ATTRIBUTES + 1] = 4,
        true,
        "zstd data is corrupt",
    );
    check(
        |batch| batch[BATCH_OVERHEAD] = 0x7f,
        true,
        "record 0 of the batch",
    );
    check(
        |batch| *batch = from_hex(fixtures::MAGIC1),
        false,
        "old message format v1",
    );
}

/// Compaction leaves batches without records behind, so that offsets and sequences stay known.
#[test]
fn a_batch_without_records_is_read() {
    let mut batch = from_hex(fixtures::NONE);
    batch.truncate(BATCH_OVERHEAD);
    let length = (BATCH_OVERHEAD - LOG_OVERHEAD) as i32;
    put(&mut batch, LENGTH, length.to_be_bytes());
    put(&mut batch, RECORD_COUNT, 0i32.to_be_bytes());
    seal(&mut batch);
    let batch = one_batch(Bytes::from(batch));
    assert_eq!(batch.last_offset(), 5);
    let decoded = batch.decode(&mut Decompressor::new(0)).unwrap();
    assert!(decoded.records().next().is_none());
}

/// Small and repeatable: the fuzz below prints its seed with every failure.
struct XorShift(u64);

impl XorShift {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Bytes, cuts and insertions at random, with the CRC made right again so that the damage reaches
/// the record and codec readers: an error or other records, never a panic, never endless.
#[test]
fn mutated_batches_never_panic() {
    let rounds = 4_000;
    for hex in [
        fixtures::NONE,
        fixtures::GZIP,
        fixtures::SNAPPY,
        fixtures::LZ4,
        fixtures::ZSTD,
        fixtures::COMMIT,
    ] {
        let original = from_hex(hex);
        let mut random = XorShift(0x5eed_0000_0000_0001 ^ original.len() as u64);
        for _ in 0..rounds {
            let mut batch = original.clone();
            for _ in 0..=random.below(3) {
                // The header's fields in front of the CRC have tests of their own; half of the
                // damage goes to the first bytes of the records, where lengths are.
                let span = if random.below(2) == 0 {
                    64
                } else {
                    batch.len() - CRC
                };
                let at = (CRC + random.below(span)).min(batch.len() - 1);
                match random.below(4) {
                    0 => batch[at] = random.below(256) as u8,
                    1 => batch[at] ^= 1 << random.below(8),
                    2 => batch.truncate(at.max(BATCH_OVERHEAD)),
                    _ => batch.insert(at, random.below(256) as u8),
                }
            }
            let length = (batch.len() - LOG_OVERHEAD) as i32;
            put(&mut batch, LENGTH, length.to_be_bytes());
            batch[MAGIC] = 2;
            seal(&mut batch);
            let batch = Bytes::from(batch);
            drop(read(batch.clone()));
            for good in RecordBatches::new(batch.clone()).flatten() {
                if let Ok(decoded) = good.decode(&mut Decompressor::new(LIMIT_BYTES)) {
                    drop(decoded.control_type());
                }
            }
            let split = split_in_two(
                batch,
                &mut Compressor::none(),
                &mut Decompressor::new(LIMIT_BYTES),
            );
            drop(split);
        }
    }
    // And regions that are nothing at all.
    let mut random = XorShift(42);
    for _ in 0..rounds {
        let mut noise: Vec<u8> = (0..random.below(200))
            .map(|_| random.below(256) as u8)
            .collect();
        if noise.len() > MAGIC {
            noise[MAGIC] = 2;
        }
        drop(read(Bytes::from(noise)));
    }
}
