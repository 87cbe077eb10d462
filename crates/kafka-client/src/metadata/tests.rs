//! Snapshots as tables: what was known, what a broker answers, what is known then.

use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::*;

fn response(topics: Vec<MetadataResponseTopic>) -> MetadataResponse {
    let brokers = [1, 2].map(|id| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(id))
            .with_host(StrBytes::from_static_str("h"))
            .with_port(9090 + id)
            .with_rack(None)
    });
    MetadataResponse::default()
        .with_controller_id(BrokerId(1))
        .with_brokers(brokers.to_vec())
        .with_topics(topics)
}

/// `leaders`: leader and epoch per partition.
fn topic(name: &'static str, error_code: i16, leaders: &[(i32, i32)]) -> MetadataResponseTopic {
    let partitions = leaders.iter().enumerate().map(|(index, (leader, epoch))| {
        MetadataResponsePartition::default()
            .with_partition_index(index as i32)
            .with_leader_id(BrokerId(*leader))
            .with_leader_epoch(*epoch)
    });
    MetadataResponseTopic::default()
        .with_error_code(error_code)
        .with_name(Some(TopicName(StrBytes::from_static_str(name))))
        .with_partitions(partitions.collect())
}

/// `t=1@5,2@0 u!UNKNOWN_TOPIC_OR_PARTITION`
fn printed(metadata: &ClusterMetadata) -> String {
    let mut parts: Vec<String> = metadata
        .topics()
        .map(|topic| {
            let leaders = topic
                .partitions
                .iter()
                .map(|partition| match partition.leader {
                    Some(leader) => format!("{leader}@{}", partition.leader_epoch),
                    None => format!("-@{}", partition.leader_epoch),
                });
            format!("{}={}", topic.name, leaders.collect::<Vec<_>>().join(","))
        })
        .chain(
            metadata
                .errors
                .iter()
                .map(|(name, code)| format!("{name}!{code}")),
        )
        .collect();
    parts.sort();
    parts.join(" ")
}

#[test]
fn answers_are_merged_by_coverage_and_epoch() {
    let known = ClusterMetadata::default().updated(
        response(vec![
            topic("t", 0, &[(1, 5), (2, 0)]),
            topic("u", 0, &[(1, 1)]),
        ]),
        Coverage::All,
    );
    assert_eq!(printed(&known), "t=1@5,2@0 u=1@1");
    let rows = [
        (
            "an older epoch does not win",
            Coverage::Additional,
            topic("t", 0, &[(2, 4), (1, 0)]),
            "t=1@5,1@0 u=1@1",
        ),
        (
            "a newer epoch wins",
            Coverage::Additional,
            topic("t", 0, &[(2, 6), (-1, 1)]),
            "t=2@6,-@1 u=1@1",
        ),
        (
            "epochs that are not told win",
            Coverage::Additional,
            topic("t", 0, &[(2, -1), (2, 0)]),
            "t=2@-1,2@0 u=1@1",
        ),
        (
            "more partitions",
            Coverage::Additional,
            topic("u", 0, &[(1, 1), (2, 0)]),
            "t=1@5,2@0 u=1@1,2@0",
        ),
        (
            "what is not named is gone",
            Coverage::All,
            topic("u", 0, &[(1, 1)]),
            "u=1@1",
        ),
        (
            "a deleted topic",
            Coverage::Additional,
            topic("t", 3, &[]),
            "t!UNKNOWN_TOPIC_OR_PARTITION u=1@1",
        ),
        (
            "an election",
            Coverage::Additional,
            topic("t", 5, &[]),
            "t!LEADER_NOT_AVAILABLE t=1@5,2@0 u=1@1",
        ),
        (
            "not ours",
            Coverage::Interest,
            topic("t", 29, &[]),
            "t!TOPIC_AUTHORIZATION_FAILED",
        ),
    ];
    for (name, coverage, answer, expected) in rows {
        let next = known.updated(response(vec![answer]), coverage);
        assert_eq!(printed(&next), expected, "{name}");
        assert_eq!(next.generation, 2);
    }
}

#[test]
fn a_topic_that_was_created_again_starts_with_any_epoch() {
    let known =
        ClusterMetadata::default().updated(response(vec![topic("t", 0, &[(1, 5)])]), Coverage::All);
    let mut again = topic("t", 0, &[(2, 0)]);
    again.topic_id = "00000000-0000-0000-0000-000000000007"
        .parse()
        .expect("an id");
    let next = known.updated(response(vec![again]), Coverage::Additional);
    assert_eq!(printed(&next), "t=2@0");
    assert_eq!(
        next.topic("t").expect("known").id.to_string(),
        "AAAAAAAAAAAAAAAAAAAABw"
    );
}

#[test]
fn hints_win_when_newer_and_from_a_known_broker() {
    let known =
        ClusterMetadata::default().updated(response(vec![topic("t", 0, &[(1, 5)])]), Coverage::All);
    let hint = |leader, leader_epoch| LeaderHint {
        topic: "t",
        partition: 0,
        leader,
        leader_epoch,
    };
    let rows = [
        (hint(2, 6), Some("t=2@6")),
        (hint(2, 5), None),
        (hint(9, 6), None),
    ];
    for (hint, expected) in rows {
        let next = known.with_hints(&[hint]);
        assert_eq!(next.as_ref().map(printed).as_deref(), expected, "{hint:?}");
    }
    let elsewhere = LeaderHint {
        topic: "x",
        ..hint(2, 6)
    };
    assert!(known.with_hints(&[elsewhere]).is_none());
}
