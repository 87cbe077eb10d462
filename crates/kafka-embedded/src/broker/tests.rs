//! A journal that is written anew makes the same state.

use std::path::Path;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    GroupId, InitProducerIdRequest, OffsetCommitRequest, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use super::*;
use crate::config::Storage;

fn open(directory: &Path) -> Broker {
    let config = Config::new(Storage::Directory(directory.to_owned()));
    Broker::open(config).expect("it opens")
}

fn caller() -> Caller<'static> {
    Caller {
        version: 4,
        client_id: "me",
        client_host: "/127.0.0.1",
    }
}

async fn commit(broker: &Broker, group: &str, offset: i64) {
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(StrBytes::from_static_str("kept")))
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let answer = broker.coordinate(caller(), |groups, _, call, effects| {
        groups.offset_commit(call, &request, broker, effects);
    });
    assert!(answer.await.is_some());
}

fn init(broker: &Broker, id: &'static str) {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(StrBytes::from_static_str(id))))
        .with_transaction_timeout_ms(60_000);
    let answer = broker.decide_transaction(caller(), |transactions, call, effects| {
        transactions.init_producer_id(call, &request, effects);
    });
    assert!(answer.is_some());
}

#[tokio::test]
async fn a_rewritten_journal_makes_the_same_state() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = open(directory.path());
    let mut overrides = TopicOverrides::default();
    overrides.set("retention.ms", "5").expect("allowed");
    let kept = broker
        .create_topic("kept", 2, overrides.clone())
        .expect("it is new");
    let gone = broker
        .create_topic("gone", 1, TopicOverrides::default())
        .expect("it is new");
    assert!(broker.add_partitions(&kept, 3));
    overrides.set("retention.ms", "6").expect("allowed");
    broker.configure(&kept, overrides);
    assert!(broker.delete_topic(&gone));
    for offset in 0..200 {
        commit(&broker, "g", offset).await;
    }
    commit(&broker, "h", 7).await;
    init(&broker, "x");
    init(&broker, "x");
    init(&broker, "y");

    let state = broker.whole_state();
    let path = directory.path().join(JOURNAL);
    let length = || std::fs::metadata(&path).expect("it is there").len();
    let before = length();
    broker.rewrite_journal().expect("rewritten");
    assert!(length() < before / 4, "{} of {before} bytes", length());
    commit(&broker, "h", 8).await;
    let state_and_one = broker.whole_state();
    assert_ne!(state, state_and_one);
    drop(broker);
    assert_eq!(open(directory.path()).whole_state(), state_and_one);
}
