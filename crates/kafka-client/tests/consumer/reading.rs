//! Reading without sharing: positions, codecs, transactions, seeking.

use kafka_client::KafkaErrorCode;
use kafka_client::consumer::OffsetAndMetadata;
use kafka_wire::Codec;

use crate::support::*;

#[tokio::test]
async fn every_codec_arrives_in_order() {
    let Some(broker) = broker() else { return };
    let topic = unique("codecs");
    broker.create_topic(&topic, 1).await;
    let mut sent = Vec::new();
    for codec in [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        let values: Vec<String> = (0..50)
            .map(|number| format!("{codec:?}-{number}"))
            .collect();
        let borrowed: Vec<&str> = values.iter().map(String::as_str).collect();
        broker.produce_with(&topic, 0, &borrowed, codec).await;
        sent.extend(values);
    }
    // 7 divides no batch: pieces begin and end inside.
    let mut consumer =
        broker.consumer(&[("auto.offset.reset", "earliest"), ("max.poll.records", "7")]);
    consumer.assign([tp(&topic, 0)]).expect("assigned");
    assert_eq!(read(&mut consumer, sent.len()).await, sent);
    assert_eq!(consumer.known_position(&tp(&topic, 0)), Some(250));
    assert_eq!(consumer.lag(&tp(&topic, 0)), Some(0));
}

#[tokio::test]
async fn seek_pause_and_offsets() {
    let Some(broker) = broker() else { return };
    let topic = unique("seek");
    broker.create_topic(&topic, 2).await;
    broker.produce(&topic, 0, &["a", "b", "c", "d"]).await;
    broker.produce(&topic, 1, &["x", "y"]).await;
    let (first, second) = (tp(&topic, 0), tp(&topic, 1));
    let mut consumer = broker.consumer(&[("auto.offset.reset", "latest")]);
    consumer
        .assign([first.clone(), second.clone()])
        .expect("assigned");
    consumer.seek(&first, 2).expect("assigned");
    assert_eq!(consumer.position(&second).await.expect("a position"), 2);
    assert_eq!(read(&mut consumer, 2).await, ["c", "d"]);

    consumer
        .seek_to_beginning([&first, &second])
        .expect("assigned");
    consumer.pause([&first]).expect("assigned");
    assert_eq!(read(&mut consumer, 2).await, ["x", "y"]);
    consumer.resume([&first]).expect("assigned");
    assert_eq!(read(&mut consumer, 4).await, ["a", "b", "c", "d"]);

    consumer.seek_to_end([&first]).expect("assigned");
    assert_eq!(consumer.position(&first).await.expect("a position"), 4);
    let ends = consumer
        .end_offsets(&[first.clone(), second.clone()])
        .await
        .expect("offsets");
    assert_eq!((ends[&first], ends[&second]), (4, 2));
    let starts = consumer
        .beginning_offsets(std::slice::from_ref(&first))
        .await
        .expect("offsets");
    assert_eq!(starts[&first], 0);
    let times = [
        (first.clone(), 1_600_000_000_000),
        (second.clone(), 1_800_000_000_000),
    ];
    let found = consumer.offsets_for_times(&times).await.expect("offsets");
    assert_eq!(found.get(&first).map(|found| found.offset), Some(0));
    assert_eq!(found.get(&second), None);
}

#[tokio::test]
async fn committed_offsets_keep_epoch_and_metadata() {
    let Some(broker) = broker() else { return };
    let topic = unique("commit");
    let group = unique("group");
    broker.create_topic(&topic, 1).await;
    broker.produce(&topic, 0, &["a", "b", "c"]).await;
    let partition = tp(&topic, 0);
    let mut consumer = broker.member(&group, &[]);
    consumer.assign([partition.clone()]).expect("assigned");
    assert_eq!(read(&mut consumer, 3).await, ["a", "b", "c"]);
    assert_eq!(
        consumer
            .committed(std::slice::from_ref(&partition))
            .await
            .expect("an answer")
            .get(&partition),
        None
    );
    let offset = OffsetAndMetadata {
        offset: 2,
        leader_epoch: Some(0),
        metadata: "here".to_owned(),
    };
    consumer
        .commit_sync(vec![(partition.clone(), offset.clone())])
        .await
        .expect("committed");
    assert_eq!(
        consumer
            .committed(std::slice::from_ref(&partition))
            .await
            .expect("an answer")[&partition],
        offset
    );
    drop(consumer);
    let mut next = broker.member(&group, &[]);
    next.assign([partition.clone()]).expect("assigned");
    assert_eq!(read(&mut next, 1).await, ["c"]);
    let pending = next.commit_async(next.consumed());
    pending.await.expect("committed");
    assert_eq!(
        next.committed(std::slice::from_ref(&partition))
            .await
            .expect("an answer")[&partition]
            .offset,
        3
    );
    next.close(PATIENCE).await.expect("closed");
}

#[tokio::test]
async fn aborted_transactions_are_left_out() {
    let Some(broker) = broker() else { return };
    let topic = unique("txn");
    broker.create_topic(&topic, 1).await;
    let mut first = Transactions::start(&broker, &topic).await;
    let mut second = Transactions::start(&broker, &topic).await;
    first.send(&["aborted-1"]).await;
    second.send(&["committed-1"]).await;
    first.send(&["aborted-2"]).await;
    first.end(false).await;
    second.send(&["committed-2"]).await;
    second.end(true).await;
    first.send(&["committed-3"]).await;
    first.end(true).await;
    broker.produce(&topic, 0, &["plain"]).await;

    let partition = tp(&topic, 0);
    for (level, expected) in [
        (
            "read_committed",
            vec!["committed-1", "committed-2", "committed-3", "plain"],
        ),
        (
            "read_uncommitted",
            vec![
                "aborted-1",
                "committed-1",
                "aborted-2",
                "committed-2",
                "committed-3",
                "plain",
            ],
        ),
    ] {
        let properties = [
            ("auto.offset.reset", "earliest"),
            ("isolation.level", level),
            ("max.poll.records", "2"),
        ];
        let mut consumer = broker.consumer(&properties);
        consumer.assign([partition.clone()]).expect("assigned");
        assert_eq!(
            read(&mut consumer, expected.len()).await,
            expected,
            "{level}"
        );
        // Six records and three markers.
        assert_eq!(consumer.known_position(&partition), Some(9));
    }

    // An open transaction holds readers of committed records back.
    second.send(&["open"]).await;
    broker.produce(&topic, 0, &["behind"]).await;
    let mut consumer = broker.consumer(&[
        ("auto.offset.reset", "earliest"),
        ("isolation.level", "read_committed"),
    ]);
    consumer.assign([partition.clone()]).expect("assigned");
    assert_eq!(
        consumer
            .end_offsets(std::slice::from_ref(&partition))
            .await
            .expect("offsets")[&partition],
        9
    );
    consumer.seek(&partition, 7).expect("assigned");
    // A marker and a record are left up to the open transaction.
    poll_until(&mut consumer, |consumer, polled| {
        assert!(values(&polled).iter().all(|value| value == "plain"));
        consumer.known_position(&partition) == Some(9)
    })
    .await;
    second.end(false).await;
    assert_eq!(read(&mut consumer, 1).await, ["behind"]);
}

#[tokio::test]
async fn out_of_range_follows_the_policy() {
    let Some(broker) = broker() else { return };
    let topic = unique("range");
    broker.create_topic(&topic, 1).await;
    broker.produce(&topic, 0, &["a", "b", "c", "d"]).await;
    broker.delete_records(&topic, 0, 2).await;
    let partition = tp(&topic, 0);
    for (offset, expected) in [(0, vec!["c", "d"]), (77, vec!["c", "d"])] {
        let mut consumer = broker.consumer(&[("auto.offset.reset", "earliest")]);
        consumer.assign([partition.clone()]).expect("assigned");
        consumer.seek(&partition, offset).expect("assigned");
        assert_eq!(read(&mut consumer, expected.len()).await, expected);
    }
    let mut consumer = broker.consumer(&[("auto.offset.reset", "none")]);
    consumer.assign([partition.clone()]).expect("assigned");
    let error = consumer
        .poll(PATIENCE)
        .await
        .expect_err("no offset to start at");
    assert!(
        error.to_string().contains("auto.offset.reset is none"),
        "{error}"
    );
    consumer.seek(&partition, 1).expect("assigned");
    let error = loop {
        match consumer.poll(PATIENCE).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Some(KafkaErrorCode::OFFSET_OUT_OF_RANGE));
    assert!(
        error
            .to_string()
            .contains("(offset=1 auto.offset.reset=none"),
        "{error}"
    );
    consumer.seek(&partition, 3).expect("assigned");
    assert_eq!(read(&mut consumer, 1).await, ["d"]);
}

#[tokio::test]
async fn a_recreated_topic_is_read_from_its_start() {
    let Some(broker) = broker() else { return };
    let topic = unique("again");
    broker.create_topic(&topic, 1).await;
    broker.produce(&topic, 0, &["old-1", "old-2"]).await;
    let mut consumer = broker.consumer(&[("auto.offset.reset", "earliest")]);
    consumer.assign([tp(&topic, 0)]).expect("assigned");
    assert_eq!(read(&mut consumer, 2).await, ["old-1", "old-2"]);
    broker.delete_topic(&topic).await;
    // The old one has to be gone before the name is free.
    let create = |_| async {
        let metadata = broker
            .client
            .refresh_metadata(kafka_client::client::Refresh::Topics(&[&topic]))
            .await?;
        match metadata.topic(&topic) {
            None => Ok(()),
            Some(_) => Err(kafka_client::ClientError::retriable("still there")),
        }
    };
    broker
        .client
        .retry("deleting", PATIENCE, create)
        .await
        .expect("gone");
    broker.create_topic(&topic, 1).await;
    broker
        .produce(&topic, 0, &["new-1", "new-2", "new-3"])
        .await;
    assert_eq!(read(&mut consumer, 3).await, ["new-1", "new-2", "new-3"]);
}

#[tokio::test]
async fn a_wake_up_ends_a_poll_early() {
    let Some(broker) = broker() else { return };
    let topic = unique("wake");
    broker.create_topic(&topic, 1).await;
    let mut consumer = broker.consumer(&[("auto.offset.reset", "earliest")]);
    consumer.assign([tp(&topic, 0)]).expect("assigned");
    let waker = consumer.waker();
    let started = std::time::Instant::now();
    let (polled, ()) = tokio::join!(consumer.poll(PATIENCE), async {
        tokio::task::yield_now().await;
        waker.wakeup();
    });
    assert!(matches!(
        polled,
        Ok(kafka_client::consumer::Polled::Nothing)
    ));
    assert!(started.elapsed() < PATIENCE / 2);
}

/// A task may own a consumer and be moved between threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_consumer_can_be_moved_to_a_task() {
    let Some(broker) = broker() else { return };
    let topic = unique("task");
    broker.create_topic(&topic, 1).await;
    broker.produce(&topic, 0, &["a"]).await;
    let mut consumer = broker.consumer(&[("auto.offset.reset", "earliest")]);
    consumer.assign([tp(&topic, 0)]).expect("assigned");
    let task = tokio::spawn(async move { read(&mut consumer, 1).await });
    assert_eq!(task.await.expect("no panic"), ["a"]);
}
