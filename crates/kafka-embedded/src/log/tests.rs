//! The log of a partition, on a disk and in memory: appending, reading, crashes, retention and
//! compaction. Compaction is compared with a simple model over random histories.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use kafka_wire::batch::transaction_marker;
use kafka_wire::{
    BatchBuilder, BatchHeader, BatchKind, Codec, Compressor, ControlType, Decompressor,
    ProducerState, RecordBatches,
};
use tempfile::TempDir;

use super::*;

const RULE: BatchRule = BatchRule {
    max_bytes: 1 << 20,
    segment_bytes: 1 << 30,
    timestamps: TimestampRule::CreateTime {
        before_max_ms: i64::MAX,
        after_max_ms: 3_600_000,
    },
    keys_required: false,
    codec: None,
};

const ROLL: RollRule = RollRule {
    segment_bytes: 1 << 30,
    segment_ms: i64::MAX,
};

const COMPACTION: CompactionRule = CompactionRule {
    min_dirty_ratio: 0.0,
    delete_retention_ms: 1_000,
    min_lag_ms: 0,
    max_lag_ms: i64::MAX,
    segment_bytes: 4_000,
    segment_ms: i64::MAX,
};

type Pair<'a> = (&'a str, Option<&'a str>);

/// A batch as a producer sends it.
fn batch(
    pairs: &[Pair<'_>],
    producer: ProducerState,
    kind: BatchKind,
    codec: Codec,
    time: i64,
) -> Bytes {
    let mut builder = BatchBuilder::new(256);
    for (key, value) in pairs {
        let value = value.map(str::as_bytes);
        builder
            .append(time, Some(key.as_bytes()), value)
            .expect("it fits");
    }
    let mut compressor = Compressor::new(codec, None).expect("a codec");
    let header = BatchHeader::produced(producer, kind);
    builder
        .finish(&header, &mut compressor)
        .expect("a batch")
        .bytes
}

fn plain(pairs: &[Pair<'_>]) -> Bytes {
    batch(
        pairs,
        ProducerState::NONE,
        BatchKind::Plain,
        Codec::None,
        1_000,
    )
}

fn producer(id: i64, epoch: i16, base_sequence: i32) -> ProducerState {
    ProducerState {
        id,
        epoch,
        base_sequence,
    }
}

fn sound(bytes: Bytes) -> Sound {
    validate(bytes, &RULE, 1_000).expect("it is sound")
}

struct Fixture {
    log: PartitionLog,
    directory: Option<TempDir>,
}

impl Fixture {
    fn on_disk() -> Fixture {
        let directory = tempfile::tempdir().expect("a directory");
        let log = PartitionLog::empty(place(&directory));
        Fixture {
            log,
            directory: Some(directory),
        }
    }

    fn in_memory() -> Fixture {
        Fixture {
            log: PartitionLog::empty(Place::Memory),
            directory: None,
        }
    }

    fn both() -> [Fixture; 2] {
        [Fixture::on_disk(), Fixture::in_memory()]
    }

    fn append(&mut self, bytes: Bytes) -> i64 {
        let appended = self.log.append(&sound(bytes), ROLL, 1_000);
        appended.expect("it is appended").base_offset
    }

    fn end_transaction(&mut self, id: i64, epoch: i16, commit: bool) -> i64 {
        let control = if commit {
            ControlType::Commit
        } else {
            ControlType::Abort
        };
        let header = BatchHeader::produced(producer(id, epoch, -1), BatchKind::Control);
        let marker = transaction_marker(control, 3, 1_000, &header).expect("a marker");
        let offset = self.log.append_marker(&marker, commit, 3, ROLL, 1_000);
        offset.expect("it is appended")
    }

    /// After a kill: nothing but the files.
    fn restart(&mut self) -> Vec<String> {
        let Some(directory) = &self.directory else {
            return Vec::new();
        };
        let start = self.log.start_offset();
        let recovered = recover(place(directory), start, 1_000).expect("it is readable");
        self.log = recovered.log;
        recovered.findings
    }

    fn files(&self) -> Vec<PathBuf> {
        let directory = self.directory.as_ref().expect("on a disk");
        let mut files: Vec<_> = fs::read_dir(directory.path())
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        files
    }

    fn compact(&mut self, now_ms: i64) {
        self.log.roll().expect("rolled");
        let plan = self.log.plan_clean(&COMPACTION, now_ms).expect("planned");
        if let Some(plan) = plan {
            let cleaned = plan.run().expect("compacted");
            self.log.install(cleaned).expect("installed");
        }
    }

    /// Batches from an offset on, as a consumer sees them.
    fn read(&self, offset: i64, limit: i64, max_bytes: usize) -> Vec<kafka_wire::RecordBatch> {
        let mut out = Vec::new();
        if let Some(plan) = self.log.plan_read(offset, limit, &[]) {
            plan.read(max_bytes, true, &mut out)
                .expect("it is readable");
        }
        let batches = RecordBatches::new(Bytes::from(out));
        batches.map(|batch| batch.expect("a whole batch")).collect()
    }

    /// All records that a consumer sees which reads from `offset` to the end, and how it ends.
    fn consume(
        &self,
        mut offset: i64,
        committed: bool,
    ) -> (Vec<(i64, String, Option<String>)>, i64) {
        let limit = match committed {
            true => self.log.last_stable_offset(),
            false => self.log.end_offset(),
        };
        let mut seen = Vec::new();
        let mut hints = Vec::new();
        while let Some(plan) = self.log.plan_read(offset, limit, &hints) {
            let mut out = Vec::new();
            let read = plan.read(300, true, &mut out).expect("it is readable");
            if read.bytes == 0 {
                break;
            }
            hints = read.hint.into_iter().collect();
            let aborted = self.log.aborted_between(offset, read.next_offset);
            for batch in RecordBatches::new(Bytes::from(out)) {
                let batch = batch.expect("a whole batch");
                let id = batch.producer().id;
                let is_aborted = committed
                    && batch.is_transactional()
                    && aborted.iter().any(|aborted| {
                        aborted.producer_id == id
                            && (aborted.first_offset..aborted.last_offset)
                                .contains(&batch.base_offset())
                    });
                if batch.is_control() || is_aborted {
                    continue;
                }
                let decoded = batch
                    .decode(&mut Decompressor::new(1 << 20))
                    .expect("sound");
                for record in decoded.records() {
                    let record = record.expect("sound");
                    if record.offset < offset {
                        continue;
                    }
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                    let key = text(record.key.expect("a key"));
                    seen.push((record.offset, key, record.value.map(text)));
                }
            }
            offset = read.next_offset;
        }
        (seen, offset)
    }
}

fn place(directory: &TempDir) -> Place {
    Place::Directory {
        path: directory.path().to_owned(),
        files: Arc::default(),
    }
}

#[test]
fn batches_are_stored_as_sent_but_for_their_offset() {
    for mut fixture in Fixture::both() {
        let first = batch(
            &[("a", Some("1")), ("b", None)],
            ProducerState::NONE,
            BatchKind::Plain,
            Codec::Lz4,
            5,
        );
        assert_eq!(fixture.append(first.clone()), 0);
        assert_eq!(fixture.append(plain(&[("c", Some("3"))])), 2);
        assert_eq!(
            (fixture.log.start_offset(), fixture.log.end_offset()),
            (0, 3)
        );
        let batches = fixture.read(1, 3, 10_000);
        assert_eq!(batches.len(), 2);
        assert_eq!(batches[0].bytes()[16..], first[16..]);
        assert_eq!(
            (batches[0].base_offset(), batches[0].leader_epoch()),
            (0, 0)
        );
        assert_eq!(batches[1].base_offset(), 2);
        // At least one, and whole ones.
        assert_eq!(fixture.read(0, 3, 1).len(), 1);
        assert_eq!(fixture.read(0, 3, first.len() + 10).len(), 1);
        assert_eq!(fixture.read(0, 2, 10_000).len(), 1);
        assert!(fixture.read(3, 3, 10_000).is_empty());
    }
}

#[test]
fn a_batch_that_is_not_sound_is_refused() {
    let good = plain(&[("a", Some("1"))]);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.to_vec();
        change(&mut bytes);
        let crc = crc32c::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        Bytes::from(bytes)
    };
    let mut broken = good.to_vec();
    broken[65] ^= 1;
    let rows: Vec<(&str, Bytes, &str)> = vec![
        ("sound", good.clone(), "ok"),
        ("nothing", Bytes::new(), "corrupt"),
        ("cut", good.slice(..good.len() - 1), "corrupt"),
        ("a bad CRC", Bytes::from(broken), "corrupt"),
        (
            "two",
            Bytes::from([&good[..], &good[..]].concat()),
            "invalid",
        ),
        ("old magic", with(&|bytes| bytes[16] = 1), "invalid"),
        (
            "a control batch",
            with(&|bytes| bytes[22] |= 0x20),
            "invalid",
        ),
        (
            "an unknown codec",
            with(&|bytes| bytes[22] |= 0x07),
            "invalid",
        ),
        ("a wrong count", with(&|bytes| bytes[60] = 2), "invalid"),
        ("no count", with(&|bytes| bytes[60] = 0), "invalid"),
        (
            "an id without a sequence",
            with(&|bytes| bytes[43..51].fill(0)),
            "invalid",
        ),
        (
            "transactional without an id",
            with(&|bytes| bytes[22] |= 0x10),
            "invalid",
        ),
        (
            "from the far future",
            with(&|bytes| bytes[35] = 0x40),
            "time",
        ),
    ];
    for (name, bytes, expected) in rows {
        let found = match validate(bytes, &RULE, 1_000) {
            Ok(_) => "ok",
            Err(Refusal::Corrupt(_)) => "corrupt",
            Err(Refusal::Invalid(_)) => "invalid",
            Err(Refusal::Timestamp { .. }) => "time",
            Err(_) => "large",
        };
        assert_eq!(found, expected, "{name}");
    }
    let small = BatchRule {
        max_bytes: good.len() - 1,
        ..RULE
    };
    let too_large = validate(good.clone(), &small, 1_000);
    assert!(matches!(too_large, Err(Refusal::TooLarge { .. })));
    let keyed = BatchRule {
        keys_required: true,
        ..RULE
    };
    assert!(validate(good.clone(), &keyed, 1_000).is_ok());
    let mut builder = BatchBuilder::new(100);
    builder.append(0, None, Some(b"v")).expect("it fits");
    let header = BatchHeader::produced(ProducerState::NONE, BatchKind::Plain);
    let keyless = builder
        .finish(&header, &mut Compressor::none())
        .expect("a batch")
        .bytes;
    let refused = validate(keyless, &keyed, 1_000).expect_err("no key");
    assert_eq!(
        refused.to_string(),
        "Compacted topic cannot accept message without key"
    );
}

#[test]
fn the_logs_own_time_is_in_the_batch() {
    let rule = BatchRule {
        timestamps: TimestampRule::LogAppendTime,
        ..RULE
    };
    let stamped = validate(plain(&[("a", None)]), &rule, 77_000).expect("sound");
    assert!(stamped.header.is_log_append_time());
    assert_eq!(stamped.header.max_timestamp_ms, 77_000);
    assert!(stamped.header.crc_matches(&stamped.bytes));
    let zstd = BatchRule {
        codec: Some(Codec::Zstd),
        ..RULE
    };
    let packed = validate(plain(&[("a", None)]), &zstd, 1_000).expect("sound");
    assert_eq!(packed.header.codec(), Some(Codec::Zstd));
    assert!(packed.header.crc_matches(&packed.bytes));
}

/// Each row is a batch of one producer and what becomes of it; also after a restart.
#[test]
fn sequences_follow_each_other() {
    enum Expected {
        At(i64),
        RepeatOf(i64),
        Gap,
        Old,
    }
    use Expected::*;
    let rows = [
        (7, 0, 5, 2, At(0)), // An id without state may begin anywhere.
        (7, 0, 7, 1, At(2)),
        (7, 0, 7, 1, RepeatOf(2)),
        (7, 0, 5, 2, RepeatOf(0)),
        (7, 0, 9, 1, Gap),
        (7, 0, 5, 1, Gap), // Not the same batch as 5..=6.
        (7, 0, 8, 1, At(3)),
        (7, 0, 9, 1, At(4)),
        (7, 0, 10, 1, At(5)),
        (7, 0, 11, 1, At(6)),
        (7, 0, 5, 2, Gap), // Older than the last five.
        (7, 0, 7, 1, RepeatOf(2)),
        (7, 1, 4, 1, Gap), // A new epoch begins at 0.
        (7, 1, 0, 1, At(7)),
        (7, 0, 12, 1, Old),
        (8, 3, i32::MAX, 1, At(8)),
        (8, 3, 0, 1, At(9)), // Sequences wrap.
    ];
    for restarts in [false, true] {
        let mut fixture = Fixture::on_disk();
        for (id, epoch, sequence, count, expected) in &rows {
            let pairs = vec![("k", Some("v")); *count];
            let sent = batch(
                &pairs,
                producer(*id, *epoch, *sequence),
                BatchKind::Plain,
                Codec::None,
                1_000,
            );
            let appended = fixture.log.append(&sound(sent), ROLL, 1_000);
            let row = format!("{id} {epoch} {sequence}, restarts: {restarts}: {appended:?}");
            match (expected, &appended) {
                (At(offset), Ok(found)) => assert_eq!(
                    (found.base_offset, found.repeated),
                    (*offset, false),
                    "{row}"
                ),
                (RepeatOf(offset), Ok(found)) => assert_eq!(
                    (found.base_offset, found.repeated),
                    (*offset, true),
                    "{row}"
                ),
                (Gap, Err(AppendError::OutOfOrder { .. }))
                | (Old, Err(AppendError::OldEpoch { .. })) => {}
                _ => panic!("{row}"),
            }
            if restarts {
                assert!(fixture.restart().is_empty());
            }
        }
    }
}

#[test]
fn readers_of_committed_records_stop_at_the_first_open_transaction() {
    for restarts in [false, true] {
        let mut fixture = Fixture::on_disk();
        let kind = BatchKind::Transactional;
        let write = |fixture: &mut Fixture, id, sequence, key: &str| {
            let sent = batch(
                &[(key, Some("v"))],
                producer(id, 0, sequence),
                kind,
                Codec::None,
                1_000,
            );
            let offset = fixture.append(sent);
            if restarts {
                fixture.restart();
            }
            offset
        };
        assert_eq!(write(&mut fixture, 1, 0, "a"), 0);
        assert_eq!(write(&mut fixture, 2, 0, "b"), 1);
        assert_eq!(fixture.append(plain(&[("c", Some("v"))])), 2);
        assert_eq!(fixture.log.last_stable_offset(), 0);
        assert_eq!(fixture.end_transaction(1, 0, false), 3);
        assert_eq!(fixture.log.last_stable_offset(), 1);
        // A marker does not reset the sequence.
        assert_eq!(write(&mut fixture, 1, 1, "d"), 4);
        assert_eq!(fixture.end_transaction(2, 0, true), 5);
        assert_eq!(fixture.log.last_stable_offset(), 4);
        assert_eq!(fixture.end_transaction(1, 0, true), 6);
        if restarts {
            fixture.restart();
        }
        assert_eq!(fixture.log.last_stable_offset(), 7);
        let expected = [Aborted {
            producer_id: 1,
            first_offset: 0,
            last_offset: 3,
        }];
        assert_eq!(fixture.log.aborted_between(0, 7), expected);
        assert_eq!(fixture.log.aborted_between(3, 7), expected);
        assert_eq!(fixture.log.aborted_between(4, 7), []);
        let (seen, _) = fixture.consume(0, true);
        let keys: Vec<&str> = seen.iter().map(|(_, key, _)| key.as_str()).collect();
        assert_eq!(keys, ["b", "c", "d"]);
        let (_, state) = fixture
            .log
            .producers()
            .iter()
            .find(|(id, _)| *id == 1)
            .expect("known");
        assert_eq!((state.last_sequence(), state.coordinator_epoch), (1, 3));
    }
}

/// A kill leaves any part of the last write.
#[test]
fn a_torn_tail_is_cut_off_wherever_it_is() {
    let mut fixture = Fixture::on_disk();
    for index in 0..3 {
        fixture.append(plain(&[("k", Some("v")), ("l", Some("w"))]));
        assert_eq!(fixture.log.end_offset(), index * 2 + 2);
    }
    let file = fixture.files().remove(0);
    let whole = fs::read(&file).expect("read");
    let one = whole.len() / 3;
    for length in 0..=whole.len() {
        fs::write(&file, &whole[..length]).expect("written");
        let findings = fixture.restart();
        let batches = length / one;
        assert_eq!(
            fixture.log.end_offset(),
            batches as i64 * 2,
            "{length} bytes"
        );
        assert_eq!(findings.is_empty(), length % one == 0, "{findings:?}");
        assert_eq!(fs::read(&file).expect("read").len(), batches * one);
        assert_eq!(fixture.append(plain(&[("k", None)])), batches as i64 * 2);
        assert!(fixture.restart().is_empty());
        assert_eq!(fixture.log.end_offset(), batches as i64 * 2 + 1);
    }
    // A power cut may leave zeros.
    let mut zeros = whole.clone();
    zeros.resize(whole.len() + 5_000, 0);
    fs::write(&file, &zeros).expect("written");
    let findings = fixture.restart();
    assert!(findings[0].contains("5000 of"), "{findings:?}");
    assert_eq!(fixture.log.end_offset(), 6);
}

#[test]
fn what_lies_behind_damage_is_set_aside() {
    let mut fixture = Fixture::on_disk();
    for _ in 0..3 {
        fixture.append(plain(&[("k", Some("v"))]));
        fixture.log.roll().expect("rolled");
    }
    let files = fixture.files();
    let mut damaged = fs::read(&files[1]).expect("read");
    damaged[65] ^= 1;
    fs::write(&files[1], damaged).expect("written");
    let findings = fixture.restart();
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert_eq!(fixture.log.end_offset(), 1);
    assert_eq!(fixture.append(plain(&[("k", None)])), 1);
    assert!(fixture.restart().is_empty());
}

#[test]
fn segments_begin_by_size_and_by_age() {
    let roll = RollRule {
        segment_bytes: 200,
        segment_ms: 500,
    };
    for mut fixture in Fixture::both() {
        let one = sound(plain(&[("k", Some("v"))]));
        for now in [1_000, 1_001, 1_002, 1_400, 1_600, 9_000] {
            fixture.log.append(&one, roll, now).expect("appended");
        }
        let bases: Vec<i64> = fixture
            .log
            .segments
            .iter()
            .map(|segment| segment.base_offset)
            .collect();
        // Two fit; the third began at 1002 and took another at 1400; then age.
        assert_eq!(bases, [0, 2, 4, 5]);
        assert_eq!(fixture.consume(0, false).0.len(), 6);
        assert_eq!(fixture.consume(3, false).0.len(), 3);
        fixture.restart();
        assert_eq!(fixture.consume(1, false).0.len(), 5);
    }
}

#[test]
fn times_are_found() {
    for mut fixture in Fixture::both() {
        assert_eq!(fixture.log.find_max_time(0).expect("readable"), None);
        for (key, time) in [("a", 10), ("b", 30), ("c", 20), ("d", 30)] {
            let pairs = [(key, None), (key, None)];
            fixture.append(batch(
                &pairs,
                ProducerState::NONE,
                BatchKind::Plain,
                Codec::Gzip,
                time,
            ));
            fixture.log.roll().expect("rolled");
        }
        let find = |log: &PartitionLog, time| {
            log.find_time(time, 8)
                .expect("readable")
                .map(|found| (found.offset, found.timestamp_ms))
        };
        let rows = [
            (0, Some((0, 10))),
            (10, Some((0, 10))),
            (11, Some((2, 30))),
            (30, Some((2, 30))),
            (31, None),
        ];
        for (time, expected) in rows {
            assert_eq!(find(&fixture.log, time), expected, "time {time}");
        }
        let newest = |log: &PartitionLog| {
            log.find_max_time(8)
                .expect("readable")
                .map(|found| found.offset)
        };
        assert_eq!(newest(&fixture.log), Some(2));
        assert!(fixture.log.raise_start(3));
        assert_eq!(find(&fixture.log, 0), Some((3, 30)));
        assert_eq!(newest(&fixture.log), Some(3));
        assert!(fixture.log.raise_start(5));
        assert_eq!(newest(&fixture.log), Some(6));
        assert_eq!(fixture.log.find_time(25, 6).expect("readable"), None);
    }
}

#[test]
fn old_segments_go_and_offsets_stay() {
    for mut fixture in Fixture::both() {
        for time in [1_000, 2_000, 3_000] {
            fixture.append(batch(
                &[("k", None)],
                ProducerState::NONE,
                BatchKind::Plain,
                Codec::None,
                time,
            ));
            fixture.log.roll().expect("rolled");
        }
        let size = fixture.log.size_bytes();
        let by_age = |age| RetentionRule {
            age_ms: Some(age),
            bytes: None,
        };
        let by_size = |bytes| RetentionRule {
            age_ms: None,
            bytes: Some(bytes),
        };
        assert_eq!(
            fixture
                .log
                .delete_old(&by_size(size), 4_000)
                .expect("deleted"),
            0
        );
        assert_eq!(
            fixture
                .log
                .delete_old(&by_size(size - 1), 4_000)
                .expect("deleted"),
            0
        );
        assert_eq!(
            fixture
                .log
                .delete_old(&by_size(size * 2 / 3), 4_000)
                .expect("deleted"),
            1
        );
        assert_eq!(fixture.log.start_offset(), 1);
        assert_eq!(
            fixture
                .log
                .delete_old(&by_age(1_500), 4_000)
                .expect("deleted"),
            1
        );
        assert_eq!(fixture.log.start_offset(), 2);
        assert_eq!(
            fixture.log.delete_old(&by_age(10), 4_000).expect("deleted"),
            1
        );
        assert_eq!(
            (fixture.log.start_offset(), fixture.log.end_offset()),
            (3, 3)
        );
        fixture.restart();
        assert_eq!(
            (fixture.log.start_offset(), fixture.log.end_offset()),
            (3, 3)
        );
        // Also when the newest segment is old, and only below an open transaction.
        fixture.append(batch(
            &[("k", None)],
            producer(1, 0, 0),
            BatchKind::Transactional,
            Codec::None,
            1_000,
        ));
        assert_eq!(
            fixture.log.delete_old(&by_age(10), 4_000).expect("deleted"),
            0
        );
        fixture.end_transaction(1, 0, true);
        assert_eq!(
            fixture.log.delete_old(&by_age(10), 4_000).expect("deleted"),
            1
        );
        assert_eq!(
            (fixture.log.start_offset(), fixture.log.end_offset()),
            (5, 5)
        );
        assert_eq!(fixture.append(plain(&[("k", None)])), 5);
    }
}

#[test]
fn deleted_records_free_whole_segments() {
    for mut fixture in Fixture::both() {
        for _ in 0..3 {
            fixture.append(plain(&[("k", None), ("l", None)]));
            fixture.log.roll().expect("rolled");
        }
        assert!(fixture.log.raise_start(3));
        assert!(!fixture.log.raise_start(2));
        assert!(!fixture.log.raise_start(7));
        assert_eq!(fixture.log.delete_below_start().expect("deleted"), 1);
        assert_eq!(fixture.consume(3, false).0.len(), 3);
        fixture.restart();
        assert_eq!(fixture.log.start_offset(), 3);
        assert!(fixture.log.raise_start(6));
        assert_eq!(fixture.log.delete_below_start().expect("deleted"), 2);
        assert_eq!(
            (fixture.log.start_offset(), fixture.log.end_offset()),
            (6, 6)
        );
    }
}

#[test]
fn compaction_keeps_the_newest_of_each_key_and_all_offsets() {
    for mut fixture in Fixture::both() {
        fixture.append(plain(&[
            ("a", Some("1")),
            ("b", Some("1")),
            ("a", Some("2")),
        ]));
        fixture.append(plain(&[("b", Some("2")), ("a", None)]));
        fixture.append(plain(&[("c", Some("1"))]));
        fixture.compact(10_000);
        let texts = |fixture: &Fixture| -> Vec<String> {
            let (seen, end) = fixture.consume(0, false);
            assert_eq!(end, fixture.log.end_offset(), "a consumer reaches the end");
            let text = |(offset, key, value): &(i64, String, Option<String>)| {
                format!("{offset} {key}={}", value.as_deref().unwrap_or("null"))
            };
            seen.iter().map(text).collect()
        };
        assert_eq!(texts(&fixture), ["3 b=2", "4 a=null", "5 c=1"]);
        assert_eq!(
            (fixture.log.start_offset(), fixture.log.end_offset()),
            (0, 6)
        );
        // The tombstone stays for `delete.retention.ms` after the first compaction.
        fixture.append(plain(&[("c", Some("2"))]));
        fixture.compact(10_900);
        assert_eq!(texts(&fixture), ["3 b=2", "4 a=null", "6 c=2"]);
        fixture.append(plain(&[("d", Some("1"))]));
        fixture.restart();
        fixture.compact(11_100);
        assert_eq!(texts(&fixture), ["3 b=2", "6 c=2", "7 d=1"]);
        fixture.restart();
        assert_eq!(texts(&fixture), ["3 b=2", "6 c=2", "7 d=1"]);
        assert_eq!(fixture.log.start_offset(), 0);
        assert_eq!(fixture.append(plain(&[("e", Some("1"))])), 8);
    }
}

/// The last batch stays, if only its header, when all its records are gone.
#[test]
fn the_end_can_be_reached_when_nothing_is_left() {
    for mut fixture in Fixture::both() {
        fixture.append(plain(&[("a", Some("1"))]));
        fixture.append(plain(&[("a", None)]));
        fixture.compact(10_000);
        fixture.append(plain(&[("b", None)]));
        fixture.compact(20_000);
        fixture.append(plain(&[("c", None)]));
        fixture.compact(90_000);
        // Only tombstones, whose time is over: the last pass set a new horizon for the newest.
        let plan = fixture
            .log
            .plan_clean(&COMPACTION, 99_000)
            .expect("planned");
        assert!(plan.is_none(), "nothing is dirty");
        let (seen, end) = fixture.consume(0, false);
        assert_eq!((seen.len(), end), (1, 4));
    }
}

/// Compaction was killed after it put the new segment in place and before it removed the rest.
#[test]
fn an_interrupted_compaction_is_finished_at_the_next_start() {
    let mut fixture = Fixture::on_disk();
    for value in ["1", "2", "3"] {
        fixture.append(plain(&[("a", Some(value)), (value, Some("x"))]));
        fixture.log.roll().expect("rolled");
    }
    let before: HashMap<PathBuf, Vec<u8>> = fixture
        .files()
        .into_iter()
        .map(|file| (file.clone(), fs::read(file).expect("read")))
        .collect();
    fixture.compact(10_000);
    let (seen, _) = fixture.consume(0, false);
    let first = fixture.files().remove(0);
    for (file, bytes) in &before {
        if *file != first {
            fs::write(file, bytes).expect("written");
        }
    }
    fs::write(first.with_extension("cleaned"), b"half").expect("written");
    assert!(fixture.restart().is_empty());
    assert_eq!(fixture.consume(0, false).0, seen);
    assert!(
        fixture
            .files()
            .iter()
            .all(|file| file.extension().is_some_and(|extension| extension == "log"))
    );
}

/// Random histories of plain and transactional producers, compactions and restarts, against what a
/// reader of committed records has to end up with.
#[test]
fn compaction_never_changes_the_newest_values() {
    for seed in 0..60u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = |limit: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % limit
        };
        let mut fixture = if seed % 2 == 0 {
            Fixture::on_disk()
        } else {
            Fixture::in_memory()
        };
        // Every record in the order of the log, and whether readers of committed ones see it.
        let mut history: Vec<(String, Option<String>, bool)> = Vec::new();
        let mut sequences = [0i32; 3];
        let mut open: [Vec<usize>; 3] = Default::default();
        let codecs = [Codec::None, Codec::Lz4, Codec::Zstd];
        for step in 0..120 {
            let id = random(3) as usize;
            match random(10) {
                0..=6 => {
                    let pairs: Vec<(String, Option<String>)> = (0..1 + random(4))
                        .map(|_| {
                            let value = (random(4) > 0).then(|| format!("{step}"));
                            (format!("key-{}", random(12)), value)
                        })
                        .collect();
                    let borrowed: Vec<Pair<'_>> = pairs
                        .iter()
                        .map(|(key, value)| (key.as_str(), value.as_deref()))
                        .collect();
                    let codec = codecs[random(3) as usize];
                    let plain = random(2) == 0;
                    let (producer, kind) = match plain {
                        true => (ProducerState::NONE, BatchKind::Plain),
                        false => {
                            let sequence = sequences[id];
                            sequences[id] += pairs.len() as i32;
                            open[id].extend(history.len()..history.len() + pairs.len());
                            (producer(id as i64, 0, sequence), BatchKind::Transactional)
                        }
                    };
                    fixture.append(batch(&borrowed, producer, kind, codec, 1_000));
                    let seen = |(key, value)| (key, value, plain);
                    history.extend(pairs.into_iter().map(seen));
                }
                7 => {
                    let ended = std::mem::take(&mut open[id]);
                    if !ended.is_empty() {
                        let commit = random(2) == 0;
                        fixture.end_transaction(id as i64, 0, commit);
                        ended
                            .into_iter()
                            .for_each(|index| history[index].2 = commit);
                    }
                }
                8 => fixture.compact(10_000 + step * 300),
                _ => assert!(fixture.restart().is_empty()),
            }
        }
        for (id, ended) in open.iter().enumerate() {
            if !ended.is_empty() {
                fixture.end_transaction(id as i64, 0, false);
            }
        }
        let mut expected = BTreeMap::new();
        for (key, value, seen) in history {
            if seen {
                expected.insert(key, value);
            }
        }
        expected.retain(|_, value| value.is_some());
        // What a reader ends up with before and after a last pass over everything is the same.
        let newest = |fixture: &Fixture| {
            let (seen, end) = fixture.consume(0, true);
            assert_eq!(
                end,
                fixture.log.end_offset(),
                "seed {seed}: the end is reached"
            );
            assert!(seen.is_sorted_by_key(|(offset, ..)| *offset));
            let mut values = BTreeMap::new();
            for (_, key, value) in seen {
                values.insert(key, value);
            }
            values.retain(|_, value| value.is_some());
            values
        };
        let before = newest(&fixture);
        assert_eq!(before, expected, "seed {seed}");
        fixture.compact(1_000_000);
        assert_eq!(newest(&fixture), before, "seed {seed}");
        fixture.append(plain(&[("last", Some("v"))]));
        fixture.compact(2_000_000);
        assert!(fixture.restart().is_empty(), "seed {seed}");
        let mut after = newest(&fixture);
        assert!(after.remove("last").is_some());
        assert_eq!(after, before, "seed {seed}");
        // Sequences survive: the next one is taken, the one behind it is not.
        for (id, sequence) in sequences
            .iter()
            .enumerate()
            .filter(|(_, sequence)| **sequence > 0)
        {
            let gap = batch(
                &[("k", None)],
                producer(id as i64, 0, sequence + 1),
                BatchKind::Plain,
                Codec::None,
                1,
            );
            let refused = fixture.log.append(&sound(gap), ROLL, 1_000);
            assert!(
                matches!(refused, Err(AppendError::OutOfOrder { .. })),
                "seed {seed}: {refused:?}"
            );
            fixture.append(batch(
                &[("k", None)],
                producer(id as i64, 0, *sequence),
                BatchKind::Plain,
                Codec::None,
                1,
            ));
        }
    }
}

#[test]
fn a_removed_log_takes_nothing_and_leaves_nothing() {
    let mut fixture = Fixture::on_disk();
    fixture.append(plain(&[("k", None)]));
    let path = fixture
        .directory
        .as_ref()
        .expect("on a disk")
        .path()
        .to_owned();
    fixture.log.remove();
    let refused = fixture
        .log
        .append(&sound(plain(&[("k", None)])), ROLL, 1_000);
    assert!(matches!(refused, Err(AppendError::Removed)));
    assert!(!path.exists());
}

/// A full disk, or here one that may not be written: the batch is refused, the log goes on.
#[test]
fn a_failed_write_leaves_no_trace() {
    let mut fixture = Fixture::on_disk();
    fixture.append(plain(&[("k", Some("1"))]));
    let file = fixture.files().remove(0);
    // Half a batch was written when the disk was full.
    let mut appender = OpenOptions::new().append(true).open(&file).expect("opened");
    std::io::Write::write_all(&mut appender, b"half a batch").expect("written");
    let segment = fixture.log.segments.last_mut().expect("one");
    segment
        .store
        .truncate(segment.size_bytes)
        .expect("truncated");
    assert_eq!(fixture.append(plain(&[("k", Some("2"))])), 1);
    assert!(fixture.restart().is_empty());
    assert_eq!(fixture.log.end_offset(), 2);
}
