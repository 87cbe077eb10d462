//! Appending, reading, producers, transactions, times.

use super::*;

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
        let aborted = |from| -> Vec<(i64, i64, i64)> {
            let row = |aborted: producers::Aborted| {
                (
                    aborted.producer_id,
                    aborted.first_offset,
                    aborted.last_offset,
                )
            };
            let found = fixture.log.producers().aborted_between(from, 7);
            found.map(row).collect()
        };
        assert_eq!(aborted(0), [(1, 0, 3)]);
        assert_eq!(aborted(3), [(1, 0, 3)]);
        assert_eq!(aborted(4), []);
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
