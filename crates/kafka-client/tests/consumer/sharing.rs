//! Reading as a member of a group.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use kafka_client::KafkaErrorCode;
use kafka_client::consumer::{Consumer, OffsetAndMetadata, Polled, TopicMatcher, TopicPartition};
use tokio::time::Instant;

use crate::support::*;

const RANGE: (&str, &str) = (
    "partition.assignment.strategy",
    "org.apache.kafka.clients.consumer.RangeAssignor",
);
const COOPERATIVE: (&str, &str) = ("partition.assignment.strategy", "cooperative-sticky");

/// A consumer and what it was told.
struct Member {
    consumer: Consumer,
    seen: Vec<String>,
    told: Vec<String>,
}

impl Member {
    fn new(mut consumer: Consumer, topics: &[&str]) -> Self {
        consumer
            .subscribe(topics.iter().copied())
            .expect("subscribed");
        Self {
            consumer,
            seen: Vec::new(),
            told: Vec::new(),
        }
    }

    async fn poll(&mut self) {
        let polled = self
            .consumer
            .poll(Duration::from_millis(50))
            .await
            .expect("poll");
        let show = |what: &str, tps: &[TopicPartition]| {
            let mut numbers: Vec<String> = tps.iter().map(|tp| tp.partition.to_string()).collect();
            numbers.sort();
            format!("{what} {}", numbers.join(","))
        };
        match &polled {
            Polled::Revoking(tps) => {
                self.told.push(show("revoking", tps));
                let consumed = self.consumer.consumed();
                self.consumer
                    .commit_sync(consumed)
                    .await
                    .expect("committed before it is revoked");
            }
            Polled::Assigned(tps) => self.told.push(show("assigned", tps)),
            Polled::Lost(tps) => self.told.push(show("lost", tps)),
            Polled::Records(_) | Polled::Nothing => self.seen.extend(values(&polled)),
        }
    }

    fn owned(&self) -> BTreeSet<TopicPartition> {
        self.consumer.assignment().into_iter().collect()
    }
}

/// Polls all until `done`, and checks all the while that no partition has two owners.
async fn settle(members: &mut [&mut Member], done: impl Fn(&[&mut Member]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for member in members.iter_mut() {
            member.poll().await;
        }
        if done(members) {
            return;
        }
        let told: Vec<&Vec<String>> = members.iter().map(|member| &member.told).collect();
        assert!(
            Instant::now() < deadline,
            "the group does not settle: {told:?}"
        );
    }
}

fn split(count: usize) -> impl Fn(&[&mut Member]) -> bool {
    move |members| {
        let owned: Vec<BTreeSet<TopicPartition>> =
            members.iter().map(|member| member.owned()).collect();
        let all: BTreeSet<&TopicPartition> = owned.iter().flatten().collect();
        let sum: usize = owned.iter().map(BTreeSet::len).sum();
        let fair = owned
            .iter()
            .all(|owned| owned.len().abs_diff(count / members.len()) <= 1);
        all.len() == count && sum == count && fair
    }
}

#[tokio::test]
async fn two_members_share_and_one_takes_over() {
    let Some(broker) = broker() else { return };
    let (topic, group) = (unique("share"), unique("group"));
    broker.create_topic(&topic, 4).await;
    let mut first = Member::new(broker.member(&group, &[RANGE]), &[&topic]);
    settle(&mut [&mut first], split(4)).await;
    let mut second = Member::new(broker.member(&group, &[RANGE]), &[&topic]);
    settle(&mut [&mut first, &mut second], split(4)).await;
    assert_eq!(
        first.told[..3],
        ["assigned 0,1,2,3", "revoking 0,1,2,3", &first.told[2]]
    );
    assert!(first.told[2].starts_with("assigned "), "{:?}", first.told);

    for partition in 0..4 {
        broker.produce(&topic, partition, &["before"]).await;
    }
    settle(&mut [&mut first, &mut second], |members| {
        members.iter().map(|m| m.seen.len()).sum::<usize>() == 4
    })
    .await;
    let consumed = second.consumer.consumed();
    second
        .consumer
        .commit_sync(consumed)
        .await
        .expect("committed");
    second.consumer.close(PATIENCE).await.expect("closed");
    // It left, so nobody waits for its session to end; and what it read is not read again.
    let left = Instant::now();
    settle(&mut [&mut first], split(4)).await;
    assert!(
        left.elapsed() < Duration::from_secs(5),
        "{:?}",
        left.elapsed()
    );
    for partition in 0..4 {
        broker.produce(&topic, partition, &["after"]).await;
    }
    let seen = first.seen.len();
    settle(&mut [&mut first], |members| {
        members[0].seen.len() >= seen + 4
    })
    .await;
    assert_eq!(first.seen[seen..], ["after"; 4]);
}

#[tokio::test]
async fn cooperative_members_keep_what_does_not_move() {
    let Some(broker) = broker() else { return };
    let (topic, group) = (unique("coop"), unique("group"));
    broker.create_topic(&topic, 4).await;
    let mut first = Member::new(broker.member(&group, &[COOPERATIVE]), &[&topic]);
    settle(&mut [&mut first], split(4)).await;
    let mut second = Member::new(broker.member(&group, &[COOPERATIVE]), &[&topic]);
    settle(&mut [&mut first, &mut second], split(4)).await;
    assert_eq!(first.told[0], "assigned 0,1,2,3");
    let revoked: Vec<&String> = first
        .told
        .iter()
        .filter(|told| told.starts_with("revoking"))
        .collect();
    assert_eq!(revoked.len(), 1, "{:?}", first.told);
    assert_eq!(
        revoked[0].matches(',').count(),
        1,
        "two of four move: {:?}",
        first.told
    );
    assert!(
        second.told.iter().all(|told| !told.starts_with("revoking")),
        "{:?}",
        second.told
    );
    first.consumer.close(PATIENCE).await.expect("closed");
    settle(&mut [&mut second], split(4)).await;
    assert!(
        second.told.iter().all(|told| !told.starts_with("revoking")),
        "{:?}",
        second.told
    );
}

#[tokio::test]
async fn a_static_member_comes_back_to_its_partitions() {
    let Some(broker) = broker() else { return };
    let (topic, group) = (unique("static"), unique("group"));
    broker.create_topic(&topic, 4).await;
    let with_id = |id: &'static str| broker.member(&group, &[RANGE, ("group.instance.id", id)]);
    let mut first = Member::new(with_id("one"), &[&topic]);
    let mut second = Member::new(with_id("two"), &[&topic]);
    settle(&mut [&mut first, &mut second], split(4)).await;
    let (owned, told) = (second.owned(), first.told.len());
    let generation = second
        .consumer
        .group_metadata()
        .expect("a group")
        .generation_id;
    second.consumer.close(PATIENCE).await.expect("closed");
    let mut second = Member::new(with_id("two"), &[&topic]);
    settle(&mut [&mut first, &mut second], split(4)).await;
    assert_eq!(second.owned(), owned);
    assert_eq!(
        second
            .consumer
            .group_metadata()
            .expect("a group")
            .generation_id,
        generation
    );
    assert_eq!(
        first.told.len(),
        told,
        "the other one heard nothing: {:?}",
        first.told
    );

    // A second instance of the same id fences the first.
    let mut usurper = Member::new(with_id("two"), &[&topic]);
    settle(&mut [&mut first, &mut usurper], split(4)).await;
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        assert!(Instant::now() < deadline);
        if let Err(error) = second.consumer.poll(Duration::from_millis(200)).await {
            break error;
        }
    };
    assert_eq!(
        error.code(),
        Some(KafkaErrorCode::FENCED_INSTANCE_ID),
        "{error}"
    );
}

#[tokio::test]
async fn a_pattern_picks_up_new_topics_and_partitions() {
    let Some(broker) = broker() else { return };
    let (prefix, group) = (unique("pattern"), unique("group"));
    let (first_topic, second_topic, other) =
        (format!("{prefix}-a"), format!("{prefix}-b"), prefix.clone());
    broker.create_topic(&first_topic, 1).await;
    broker.create_topic(&other, 1).await;
    let mut consumer = broker.member(&group, &[("metadata.max.age.ms", "500")]);
    let begin = format!("{prefix}-");
    consumer
        .subscribe_matching(TopicMatcher::new(move |topic| topic.starts_with(&begin)))
        .expect("subscribed");
    broker.produce(&first_topic, 0, &["one"]).await;
    assert_eq!(read(&mut consumer, 1).await, ["one"]);
    assert_eq!(consumer.assignment(), [tp(&first_topic, 0)]);

    broker.create_topic(&second_topic, 1).await;
    broker.produce(&second_topic, 0, &["two"]).await;
    poll_until(&mut consumer, |consumer, _| {
        consumer.assignment().len() == 2
    })
    .await;
    assert_eq!(
        consumer.subscription(),
        [first_topic.clone(), second_topic.clone()]
    );
    broker.add_partitions(&first_topic, 2).await;
    poll_until(&mut consumer, |consumer, _| {
        consumer.assignment().len() == 3
    })
    .await;
    consumer.close(PATIENCE).await.expect("closed");
}

#[tokio::test]
async fn automatic_commits_resume_the_group() {
    let Some(broker) = broker() else { return };
    let (topic, group) = (unique("auto"), unique("group"));
    broker.create_topic(&topic, 1).await;
    broker.produce(&topic, 0, &["a", "b"]).await;
    let mut consumer = broker.member(&group, &[("enable.auto.commit", "true")]);
    consumer.subscribe([topic.as_str()]).expect("subscribed");
    assert_eq!(read(&mut consumer, 2).await, ["a", "b"]);
    consumer.close(PATIENCE).await.expect("closed");
    broker.produce(&topic, 0, &["c"]).await;
    let mut consumer = broker.member(&group, &[]);
    consumer.subscribe([topic.as_str()]).expect("subscribed");
    assert_eq!(read(&mut consumer, 1).await, ["c"]);
    consumer.close(PATIENCE).await.expect("closed");
}

/// A user that does not poll for `max.poll.interval.ms` loses its partitions and may not commit.
#[tokio::test]
async fn a_user_that_stays_away_loses_its_partitions() {
    let Some(broker) = broker() else { return };
    let (topic, group) = (unique("away"), unique("group"));
    broker.create_topic(&topic, 2).await;
    let slow = [
        RANGE,
        ("max.poll.interval.ms", "7000"),
        ("session.timeout.ms", "6000"),
    ];
    let mut slow = Member::new(broker.member(&group, &slow), &[&topic]);
    settle(&mut [&mut slow], split(2)).await;
    let mut other = Member::new(broker.member(&group, &[RANGE]), &[&topic]);
    // The other one waits for the slow one, in vain.
    settle(&mut [&mut other], |members| members[0].owned().len() == 2).await;
    let offsets = vec![(tp(&topic, 0), OffsetAndMetadata::new(0))];
    let error = slow
        .consumer
        .commit_sync(offsets)
        .await
        .expect_err("it is no member any more");
    assert_eq!(
        error.code(),
        Some(KafkaErrorCode::UNKNOWN_MEMBER_ID),
        "{error}"
    );
    settle(&mut [&mut slow, &mut other], split(2)).await;
    assert!(
        slow.told.contains(&"lost 0,1".to_owned()),
        "{:?}",
        slow.told
    );
}

/// Our members and a Java one in one group, with every assignor in turn. Needs `KAFKA_JAVA_LIBS`,
/// a class path with Kafka's jars.
#[tokio::test]
async fn shares_with_a_java_member() {
    let Some(broker) = broker() else { return };
    let Ok(libs) = std::env::var("KAFKA_JAVA_LIBS") else {
        eprintln!(
            "skipped: set KAFKA_JAVA_LIBS to a class path with Kafka's jars to run this test"
        );
        return;
    };
    for assignor in [
        "RangeAssignor",
        "RoundRobinAssignor",
        "StickyAssignor",
        "CooperativeStickyAssignor",
    ] {
        let class = format!("org.apache.kafka.clients.consumer.{assignor}");
        let strategy = ("partition.assignment.strategy", class.as_str());
        let (topic, group) = (unique("mixed"), unique("group"));
        broker.create_topic(&topic, 4).await;
        let mut ours = Member::new(broker.member(&group, &[strategy]), &[&topic]);
        settle(&mut [&mut ours], split(4)).await;
        let mut java = tokio::process::Command::new("java")
            .args([
                "-cp",
                &libs,
                "org.apache.kafka.tools.consumer.ConsoleConsumer",
            ])
            .args([
                "--bootstrap-server",
                &broker.servers,
                "--topic",
                &topic,
                "--group",
                &group,
            ])
            .args([
                "--command-property",
                &format!("partition.assignment.strategy={class}"),
            ])
            .args(["--command-property", "heartbeat.interval.ms=300"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("java");
        settle(&mut [&mut ours], |members| members[0].owned().len() == 2).await;
        // Java leads when we leave and come back.
        ours.consumer.close(PATIENCE).await.expect("closed");
        let mut ours = Member::new(broker.member(&group, &[strategy]), &[&topic]);
        settle(&mut [&mut ours], |members| members[0].owned().len() == 2).await;
        for partition in 0..4 {
            broker.produce(&topic, partition, &["shared"]).await;
        }
        settle(&mut [&mut ours], |members| members[0].seen.len() == 2).await;
        let mut lines = tokio::io::BufReader::new(java.stdout.take().expect("piped"));
        for _ in 0..2 {
            let mut line = String::new();
            let read = tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut line);
            tokio::time::timeout(PATIENCE, read)
                .await
                .expect("java reads its half")
                .expect("a line");
            assert_eq!(line.trim(), "shared");
        }
        java.kill().await.expect("killed");
        ours.consumer.close(PATIENCE).await.expect("closed");
    }
}

/// A task that blocks its own runtime for longer than a session keeps its place.
#[test]
fn a_blocked_user_keeps_its_place() {
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("runtime");
    let data = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    data.block_on(async {
        let Some(broker) = broker() else { return };
        let (topic, group) = (unique("blocked"), unique("group"));
        broker.create_topic(&topic, 1).await;
        broker.produce(&topic, 0, &["a"]).await;
        let mut consumer = broker.member_on(&group, &[], control.handle());
        consumer.subscribe([topic.as_str()]).expect("subscribed");
        assert_eq!(read(&mut consumer, 1).await, ["a"]);
        let generation = consumer.group_metadata();
        // The session ends after six seconds without heartbeats; a slow destination answers late.
        let (_destination, answer) = std::sync::mpsc::channel::<()>();
        answer
            .recv_timeout(Duration::from_secs(8))
            .expect_err("it says nothing");
        let consumed = consumer.consumed();
        consumer
            .commit_sync(consumed)
            .await
            .expect("still a member");
        assert_eq!(consumer.group_metadata(), generation);
        consumer.close(PATIENCE).await.expect("closed");
    });
}

/// Members and positions survive a restart of the broker. Needs `KAFKA_RESTART`, a shell command.
#[tokio::test]
async fn a_broker_restart_is_lived_through() {
    let Some(broker) = broker() else { return };
    let Ok(command) = std::env::var("KAFKA_RESTART") else {
        eprintln!(
            "skipped: set KAFKA_RESTART to a shell command that restarts the broker to run this test"
        );
        return;
    };
    let (topic, group) = (unique("restart"), unique("group"));
    broker.create_topic(&topic, 2).await;
    let mut member = Member::new(
        broker.member(&group, &[("session.timeout.ms", "45000")]),
        &[&topic],
    );
    broker.produce(&topic, 0, &["before"]).await;
    settle(&mut [&mut member], |members| members[0].seen == ["before"]).await;
    let mut restart = tokio::process::Command::new("sh")
        .args(["-c", &command])
        .stdout(Stdio::null())
        .spawn()
        .expect("sh");
    while restart.try_wait().expect("a child").is_none() {
        member.poll().await;
    }
    broker.produce(&topic, 1, &["after"]).await;
    settle(&mut [&mut member], |members| {
        members[0].seen == ["before", "after"]
    })
    .await;
    let consumed = member.consumer.consumed();
    member
        .consumer
        .commit_sync(consumed)
        .await
        .expect("committed");
}
