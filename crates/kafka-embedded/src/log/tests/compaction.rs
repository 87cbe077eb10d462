//! Compaction, also against a model over random histories.

use super::*;

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

/// A reader from the beginning passes any number of segments in which nothing is left.
#[test]
fn emptied_segments_are_passed() {
    for mut fixture in Fixture::both() {
        // So large that no two segments are put together.
        let values = ["1", "2", "3", "4"].map(|digit| digit.repeat(3_000));
        for value in &values {
            fixture.append(plain(&[("a", Some(value))]));
            fixture.log.roll().expect("rolled");
        }
        fixture.append(plain(&[("b", Some("1"))]));
        fixture.compact(10_000);
        let record = |offset, key: &str, value: &str| (offset, key.into(), Some(value.into()));
        let left = vec![record(3, "a", &values[3]), record(4, "b", "1")];
        assert_eq!(fixture.consume(0, false), (left.clone(), 5));
        assert_eq!(fixture.consume(2, false), (left, 5));
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

/// Random histories of plain and transactional producers, compactions and restarts, against what a
/// reader of committed records has to end up with.
#[test]
fn compaction_never_changes_the_newest_values() {
    for seed in 0..100u64 {
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
            match random(11) {
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
                9 => fixture.stop_and_start(),
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
