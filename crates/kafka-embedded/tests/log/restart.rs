//! What a directory holds: after a stop, after a kill, in the hands of two.
//!
//! A kill is a copy of the directory while the log runs: the files as they are at that moment.

use std::fs;
use std::path::Path;

use kafka_embedded::{Config, Fsync, Handle, StartError, Storage};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    DescribeConfigsRequest, GroupId, InitProducerIdRequest, MetadataRequest, OffsetCommitRequest,
    OffsetFetchRequest, TransactionalId,
};
use kafka_wire::ProducerState;

use crate::support::*;

async fn start(directory: &Path) -> Handle {
    let config = Config {
        bind: None,
        fsync: Fsync::EveryAppend,
        ..Config::new(Storage::Directory(directory.to_owned()))
    };
    kafka_embedded::start(config).await.expect("it starts")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("read") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[tokio::test]
async fn everything_is_there_after_a_stop_and_after_a_kill() {
    let first = tempfile::tempdir().expect("a directory");
    let second = tempfile::tempdir().expect("a directory");
    let log = start(first.path()).await;
    let mut client = Client::new(log.connect());
    let producer = |sequence| ProducerState {
        id: 9,
        epoch: 0,
        base_sequence: sequence,
    };
    assert_eq!(client.create("t", &[("retention.ms", "-1")]).await, 0);
    assert_eq!(client.create("gone", &[]).await, 0);
    assert_eq!(client.produce("t", batch(producer(0), "a")).await, (0, 0));
    assert_eq!(client.produce("t", batch(producer(1), "b")).await, (0, 1));
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(1)
        .with_committed_metadata(Some(text("note")));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![partition]);
    let commit = OffsetCommitRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let committed = client.call(&commit, 8).await;
    assert_eq!(committed.topics[0].partitions[0].error_code, 0);
    let init = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(text("x"))))
        .with_transaction_timeout_ms(60_000);
    let began = client.call(&init, 4).await;
    assert_eq!((began.error_code, began.producer_epoch), (0, 0));
    let all = MetadataRequest::default().with_topics(None);
    let described = client.call(&all, 12).await;
    let cluster_id = log.cluster_id().to_owned();

    copy(first.path(), second.path());
    log.shutdown().await;
    for directory in [first.path(), second.path()] {
        for round in 0..2 {
            let log = start(directory).await;
            let mut client = Client::new(log.connect());
            assert_eq!(log.cluster_id(), cluster_id);
            let again = client.call(&all, 12).await;
            assert_eq!(again.topics, described.topics);
            let seen = client.fetch("t", 0, 0).await;
            assert_eq!(seen, (0, vec!["a".to_owned(), "b".to_owned()]));
            // A repeat is a repeat, a gap a gap.
            assert_eq!(client.produce("t", batch(producer(1), "b")).await, (0, 1));
            assert_eq!(client.produce("t", batch(producer(3), "d")).await.0, 45);
            let asked = OffsetFetchRequestGroup::default()
                .with_group_id(GroupId(text("g")))
                .with_topics(None);
            let fetch = OffsetFetchRequest::default().with_groups(vec![asked]);
            let fetched = client.call(&fetch, 8).await;
            let partition = &fetched.groups[0].topics[0].partitions[0];
            assert_eq!(partition.committed_offset, 1);
            assert_eq!(partition.metadata.as_deref(), Some("note"));
            let again = client.call(&init, 4).await;
            assert_eq!(again.producer_id, began.producer_id);
            assert_eq!(again.producer_epoch, round + 1);
            let resource = kafka_protocol::messages::describe_configs_request::DescribeConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("t"))
                .with_configuration_keys(Some(vec![text("retention.ms")]));
            let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
            let configs = client.call(&request, 4).await;
            assert_eq!(configs.results[0].configs[0].value.as_deref(), Some("-1"));
            // The second round follows a kill in the first one's place.
            drop(client);
            if round == 1 {
                log.shutdown().await;
            }
        }
    }
}

#[tokio::test]
async fn two_on_one_directory_are_one_too_many() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = start(directory.path()).await;
    let config = Config::new(Storage::Directory(directory.path().to_owned()));
    let error = kafka_embedded::start(config).await.expect_err("refused");
    assert!(matches!(error, StartError::InUse { .. }));
    let path = directory.path().display().to_string();
    assert!(error.to_string().contains(&path), "{error}");
    log.shutdown().await;
    start(directory.path()).await.shutdown().await;
}

#[tokio::test]
async fn a_directory_that_is_none_and_a_port_that_is_taken_are_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "x").expect("written");
    let config = Config::new(Storage::Directory(file.join("data")));
    let error = kafka_embedded::start(config).await.expect_err("refused");
    assert!(matches!(error, StartError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("choose one that can be written"));

    let log = kafka_embedded::start(Config::new(Storage::Memory))
        .await
        .expect("it starts");
    let config = Config {
        bind: log.address(),
        ..Config::new(Storage::Memory)
    };
    let error = kafka_embedded::start(config).await.expect_err("refused");
    assert!(matches!(error, StartError::Bind { .. }), "{error}");
}
