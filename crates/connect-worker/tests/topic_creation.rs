//! Topics that the worker creates for source connectors, on a real broker.

mod support;

use connect_api::data::Value;
use connect_worker::TargetState;
use kafka_client::admin::ConfigResource;
use support::Bench;
use support::plugins::Step;

const DEFAULT: &str =
    "topic.creation.default.partitions=2\ntopic.creation.default.replication.factor=1\n";

async fn partitions(bench: &Bench, topic: &str) -> usize {
    let described = bench.admin.describe_topics(&[topic]).await.remove(topic);
    let described = described.expect("an answer").expect("a topic");
    described.partitions.len()
}

async fn topic_config(bench: &Bench, topic: &str, key: &str) -> Option<String> {
    let resource = ConfigResource::topic(topic);
    let mut described = bench
        .admin
        .describe_configs(std::slice::from_ref(&resource))
        .await;
    let entries = described
        .remove(&resource)
        .expect("an answer")
        .expect("configs");
    entries.get(key).expect("the key").value.clone()
}

/// Lets a source write a record, and waits until the producer has it: the topic is there then.
async fn write(bench: &mut Bench, settings: &str) -> String {
    let (source, name) = bench.source("s", settings).await;
    source.give(&["a"]);
    source.sent().await;
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_created_as_its_group_says() {
    let Some(mut bench) = Bench::new("creation-group", "") else {
        return;
    };
    let settings = format!(
        "{DEFAULT}topic.creation.groups=other,mine\n\
         topic.creation.other.include=creation-.*\ntopic.creation.other.exclude=.*-s\n\
         topic.creation.mine.include=creation-.*\ntopic.creation.mine.partitions=3\n\
         topic.creation.mine.cleanup.policy=compact\ntopic.creation.mine.retention.ms=123456789\n"
    );
    let topic = write(&mut bench, &settings).await;
    assert_eq!(partitions(&bench, &topic).await, 3);
    let of_topic = async |key| topic_config(&bench, &topic, key).await;
    assert_eq!(of_topic("cleanup.policy").await.as_deref(), Some("compact"));
    assert_eq!(of_topic("retention.ms").await.as_deref(), Some("123456789"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_no_group_is_created_as_the_default_says() {
    let Some(mut bench) = Bench::new("creation-default", "") else {
        return;
    };
    let settings =
        format!("{DEFAULT}topic.creation.groups=other\ntopic.creation.other.include=creation\n");
    let topic = write(&mut bench, &settings).await;
    assert_eq!(partitions(&bench, &topic).await, 2);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_there_stays_as_it_is() {
    let Some(mut bench) = Bench::new("creation-there", "") else {
        return;
    };
    bench.create_topic(&format!("{}-s", bench.name), 5).await;
    let topic = write(&mut bench, DEFAULT).await;
    assert_eq!(partitions(&bench, &topic).await, 5);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_topic_is_created_for_a_record_that_goes_nowhere() {
    let Some(mut bench) = Bench::new("creation-bad", "") else {
        return;
    };
    let settings = format!(
        "{DEFAULT}errors.tolerance=all\nvalue.converter=org.apache.kafka.connect.json.JsonConverter\n\
         value.converter.schemas.enable=false"
    );
    let (source, name) = bench.source("s", &settings).await;
    // A value that its schema, STRING, does not allow.
    source.step(Step::Give(vec![Value::Boolean(true)]));
    source.called("commit_record ? dropped").await;
    let described = bench.admin.describe_topics(&[&name]).await.remove(&name);
    assert!(described.expect("an answer").is_err());
    source.give(&["a"]);
    source.sent().await;
    assert_eq!(partitions(&bench, &name).await, 2);
    bench.stop().await;
}

/// As in Java, the broker creates the topic then, with defaults of its own: one partition here.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_may_not_create_topics_leaves_it_to_the_broker() {
    let Some(mut bench) = Bench::new("creation-off", "topic.creation.enable=false") else {
        return;
    };
    let topic = write(&mut bench, DEFAULT).await;
    assert_eq!(partitions(&bench, &topic).await, 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_cannot_be_created_fails_the_task() {
    for (settings, expected) in [
        (
            "topic.creation.default.replication.factor=30",
            "Error while attempting to create/find topic(s) 'TOPIC'",
        ),
        (
            "topic.creation.default.retention.ms=soon",
            "Unable to create topic(s) 'TOPIC'",
        ),
    ] {
        let Some(mut bench) = Bench::new("creation-refused", "") else {
            return;
        };
        let (source, name) = bench.source("s", &format!("{DEFAULT}{settings}")).await;
        source.give(&["a"]);
        let state = bench.state(&format!("{name}-0 FAILED")).await;
        assert!(state.contains(&expected.replace("TOPIC", &name)), "{state}");
        // Nor is it left to the broker.
        let described = bench.admin.describe_topics(&[&name]).await.remove(&name);
        assert!(described.expect("an answer").is_err());
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_refused_before_anything_starts() {
    let Some(mut bench) = Bench::new("creation-wrong", "") else {
        return;
    };
    for (settings, expected) in [
        (
            "topic.creation.groups=a",
            "Missing required configuration \"topic.creation.default.replication.factor\" which has no default value.",
        ),
        (
            "topic.creation.default.partitions=2\ntopic.creation.default.replication.factor=1\n\
             topic.creation.groups=a,a",
            "Invalid value [a, a] for configuration topic.creation.groups: Duplicate alias provided.",
        ),
        (
            "topic.creation.default.partitions=2\ntopic.creation.default.replication.factor=1\n\
             admin.override.request.timeout.ms=soon",
            "admin.override.request.timeout.ms",
        ),
    ] {
        let (_, config, _) = bench.prepare("ScriptedSource", "s", settings, "topic");
        let started = bench.worker.start_connector(config, TargetState::Started);
        let error = started.await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(
            error.matches("Duplicate alias").count(),
            expected.matches("Duplicate alias").count()
        );
    }
    bench.stop().await;
}
