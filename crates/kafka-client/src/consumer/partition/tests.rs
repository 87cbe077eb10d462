//! Rows: where a partition stands, what happens, where it stands then.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::metadata::Coverage;

const NONE: Policy = Policy {
    reset: AutoOffsetReset::None,
    now_ms: 10_000,
};
const EARLIEST: Policy = Policy {
    reset: AutoOffsetReset::Earliest,
    now_ms: 10_000,
};

/// `leader`, its epoch and the topic's id.
fn cluster(leader: i32, epoch: i32, topic_id: u128) -> ClusterMetadata {
    let brokers = [1, 2, 3].map(|id| {
        MetadataResponseBroker::default()
            .with_node_id(id.into())
            .with_host(StrBytes::from_static_str("h"))
            .with_port(9)
    });
    let partition = MetadataResponsePartition::default()
        .with_partition_index(0)
        .with_leader_id(leader.into())
        .with_leader_epoch(epoch);
    let topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_static_str("t"))))
        .with_topic_id(format!("{topic_id:032x}").parse().expect("an id"))
        .with_partitions(vec![partition]);
    let response = MetadataResponse::default()
        .with_brokers(brokers.to_vec())
        .with_topics(vec![topic]);
    ClusterMetadata::default().updated(response, Coverage::Interest)
}

/// Led by broker 1 in epoch 4, read up to offset 100.
fn reading() -> Partition {
    let mut partition = Partition::new(TopicPartition::new("t", 0), 1, Stage::Committed);
    partition.update(&cluster(1, 4, 77), 2, EARLIEST);
    partition.seek(
        Position {
            offset: 100,
            epoch: None,
        },
        3,
    );
    partition.advance(Position {
        offset: 100,
        epoch: Some(4),
    });
    partition
}

fn show(partition: &Partition) -> String {
    match (&partition.failed, partition.position()) {
        (Some(error), _) => format!("failed: {error}"),
        (None, Some(position)) => format!("{:?} at {}", partition.stage, position.offset),
        (None, None) => format!("{:?}", partition.stage),
    }
}

#[test]
fn committed_offset_or_policy() {
    let by_duration = Policy {
        reset: AutoOffsetReset::ByDuration(Duration::from_secs(4)),
        now_ms: 10_000,
    };
    let latest = Policy {
        reset: AutoOffsetReset::Latest,
        now_ms: 10_000,
    };
    let committed = OffsetAndMetadata {
        offset: 5,
        leader_epoch: Some(4),
        metadata: String::new(),
    };
    let rows = [
        (Some(OffsetAndMetadata::new(5)), NONE, "Fetch at 5"),
        // With its epoch known, the log is checked first.
        (Some(committed), NONE, "Validate at 5"),
        (None, EARLIEST, "Reset(Earliest)"),
        (None, latest, "Reset(Latest)"),
        (None, by_duration, "Reset(Timestamp(6000))"),
        (
            None,
            NONE,
            "failed: the group has no committed offset for the partition and auto.offset.reset is none \
             (topic=t partition=0)",
        ),
    ];
    for (committed, policy, expected) in rows {
        let mut partition = Partition::new(TopicPartition::new("t", 0), 1, Stage::Committed);
        partition.update(&cluster(1, 4, 77), 2, policy);
        partition.on_committed(committed.as_ref(), 3, policy);
        assert_eq!(show(&partition), expected);
    }
}

#[test]
fn a_new_leader_is_asked_whether_its_log_holds_what_was_read() {
    let rows = [
        // The same leader again, a newer one, an older one.
        ((1, 4), "Fetch at 100"),
        ((2, 5), "Validate at 100"),
        ((2, 3), "Fetch at 100"),
    ];
    for ((leader, epoch), expected) in rows {
        let mut partition = reading();
        assert_eq!(
            partition.update(&cluster(leader, epoch, 77), 4, EARLIEST),
            Outcome::Done
        );
        assert_eq!(show(&partition), expected, "leader {leader} epoch {epoch}");
    }
}

#[test]
fn a_truncated_log_follows_the_policy_or_names_the_offsets() {
    let rows = [
        (EARLIEST, 4, 100, "Fetch at 100"),
        (EARLIEST, 4, 130, "Fetch at 100"),
        (EARLIEST, 4, 90, "Fetch at 90"),
        (EARLIEST, -1, -1, "Reset(Earliest)"),
        (
            NONE,
            4,
            90,
            "failed: the log was truncated behind the position (unclean leader election) and auto.offset.reset is \
             none, so somebody has to decide where to go on (offset=100 first_divergent_offset=90 topic=t partition=0)",
        ),
        (
            NONE,
            -1,
            -1,
            "failed: the log was truncated behind the position (unclean leader election) and auto.offset.reset is \
             none, so somebody has to decide where to go on (offset=100 topic=t partition=0)",
        ),
    ];
    for (policy, epoch, end_offset, expected) in rows {
        let mut partition = reading();
        partition.update(&cluster(2, 5, 77), 4, policy);
        partition.on_epoch_end(epoch, end_offset, 5, policy);
        assert_eq!(show(&partition), expected);
    }
}

#[test]
fn what_was_read_ahead_of_a_truncation_is_read_again() {
    let mut partition = reading();
    push(&mut partition, 100, 140);
    partition.update(&cluster(2, 5, 77), 4, EARLIEST);
    partition.on_epoch_end(4, 120, 5, EARLIEST);
    assert_eq!(show(&partition), "Fetch at 100");
    assert!(partition.chunks.is_empty());
    assert_eq!(partition.fetch_from().map(|from| from.offset), Some(100));
}

/// A chunk that holds no records and reaches to `end`.
fn push(partition: &mut Partition, from: i64, end: i64) {
    use kafka_wire::{
        BatchBuilder, BatchHeader, BatchKind, Codec, Compressor, CrcCheck, Decompressor,
        ProducerState,
    };
    let mut builder = BatchBuilder::new(0);
    builder.append(0, None, None).expect("small");
    let header = BatchHeader {
        base_offset: end - 1,
        ..BatchHeader::produced(ProducerState::NONE, BatchKind::Plain)
    };
    let mut compressor = Compressor::new(Codec::None, None).expect("a codec");
    let region: Bytes = builder
        .finish(&header, &mut compressor)
        .expect("a batch")
        .bytes;
    let reading = super::super::records::Reading {
        isolation: crate::settings::IsolationLevel::ReadUncommitted,
        crc: CrcCheck::Verify,
    };
    let from = Position {
        offset: from,
        epoch: None,
    };
    let tp = partition.tp.clone();
    partition.push(Chunk::read(
        &tp,
        region,
        from,
        Vec::new(),
        reading,
        &mut Decompressor::new(usize::MAX),
    ));
}

#[test]
fn one_chunk_waits_while_the_next_one_comes() {
    let now = Instant::now();
    let mut partition = reading();
    assert!(partition.is_fetchable(now));
    push(&mut partition, 100, 140);
    assert!(partition.is_fetchable(now));
    assert_eq!(partition.fetch_from().map(|from| from.offset), Some(140));
    push(&mut partition, 140, 180);
    assert!(!partition.is_fetchable(now));
    partition.chunks.pop_front();
    assert!(partition.is_fetchable(now));
    partition.paused = true;
    assert!(!partition.is_fetchable(now));
}

#[test]
fn errors_of_a_fetch() {
    let now = Instant::now();
    let until = now + Duration::from_millis(100);
    let asked = Position {
        offset: 100,
        epoch: Some(4),
    };
    let rows = [
        (Code::NOT_LEADER_OR_FOLLOWER, EARLIEST, "Fetch at 100", true),
        (Code::FENCED_LEADER_EPOCH, EARLIEST, "Fetch at 100", true),
        (Code::UNKNOWN_LEADER_EPOCH, EARLIEST, "Fetch at 100", true),
        (
            Code::UNKNOWN_TOPIC_OR_PARTITION,
            EARLIEST,
            "Fetch at 100",
            true,
        ),
        (
            Code::OFFSET_OUT_OF_RANGE,
            EARLIEST,
            "Reset(Earliest)",
            false,
        ),
    ];
    for (code, policy, expected, held_back) in rows {
        let mut partition = reading();
        let outcome = partition.on_fetch_error(code, asked, until, 4, policy);
        assert_eq!(show(&partition), expected, "{code:?}");
        assert_eq!(outcome == Outcome::Refresh, held_back, "{code:?}");
        assert_eq!(partition.retry_at == Some(until), held_back, "{code:?}");
    }
    for (code, said) in [
        (
            Code::OFFSET_OUT_OF_RANGE,
            "offset=100 auto.offset.reset=none topic=t partition=0",
        ),
        (
            Code::TOPIC_AUTHORIZATION_FAILED,
            "offset=100 topic=t partition=0",
        ),
        (Code::CORRUPT_MESSAGE, "offset=100 topic=t partition=0"),
    ] {
        let mut partition = reading();
        partition.on_fetch_error(code, asked, until, 4, NONE);
        let shown = show(&partition);
        assert!(
            shown.starts_with("failed: ") && shown.contains(said),
            "{shown}"
        );
    }
}

#[test]
fn a_follower_is_left_for_the_leader_on_errors() {
    let now = Instant::now();
    let later = now + Duration::from_secs(300);
    let metadata = cluster(1, 4, 77);
    let asked = Position {
        offset: 100,
        epoch: Some(4),
    };
    for code in [
        Code::OFFSET_OUT_OF_RANGE,
        Code::NOT_LEADER_OR_FOLLOWER,
        Code::UNKNOWN_SERVER_ERROR,
    ] {
        let mut partition = reading();
        assert_eq!(partition.read_replica(&metadata, now), Some((1, 4)));
        partition.prefer(3, later);
        assert_eq!(partition.read_replica(&metadata, now), Some((3, 4)));
        partition.on_fetch_error(code, asked, now, 4, NONE);
        assert_eq!(partition.read_replica(&metadata, now), Some((1, 4)));
        assert_eq!(
            show(&partition),
            "Fetch at 100",
            "{code:?}: a follower may lag, so its word is not final"
        );
    }
    let mut partition = reading();
    partition.prefer(3, later);
    assert_eq!(
        partition.read_replica(&metadata, later),
        Some((1, 4)),
        "asked again after a while"
    );
    partition.prefer(9, later);
    assert_eq!(
        partition.read_replica(&metadata, now),
        Some((1, 4)),
        "a broker that is gone"
    );
}

#[test]
fn a_recreated_topic_is_another_one() {
    let mut partition = reading();
    let outcome = partition.update(&cluster(1, 0, 78), 4, EARLIEST);
    assert!(matches!(outcome, Outcome::Moved(_)));
    assert_eq!(show(&partition), "Reset(Earliest)");
    let mut partition = reading();
    partition.update(&cluster(1, 0, 78), 4, NONE);
    assert!(
        show(&partition).contains("deleted and created again"),
        "{}",
        show(&partition)
    );
}
