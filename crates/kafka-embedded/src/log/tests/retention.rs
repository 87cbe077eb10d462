//! Segments: when they begin and when they go.

use super::*;

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
