//! Records that fail in source tasks, and their dead letters, on a real broker.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use connect_api::data::Value;
use connect_worker::TargetState;
use kafka_client::admin::{NewTopic, Validate};
use std::time::{Duration, Instant};
use support::Bench;
use support::plugins::Step;

const JSON: &str = "value.converter=JsonConverter\nvalue.converter.schemas.enable=false";
const TRANSFORM: &str = "transforms=t\ntransforms.t.type=test.ScriptedTransform";

/// Settings of a dead letter queue on a single broker, with its headers, which are the default.
fn queue(topic: &str) -> String {
    format!(
        "millstream.errors.deadletterqueue.topic.name={topic}\n\
         millstream.errors.deadletterqueue.topic.replication.factor=1"
    )
}

/// A transform, a converter, the producer and the task itself refuse a record each; the dead letter queue takes no
/// large records either.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_a_letter_that_says_where_it_was_read() {
    let Some(mut bench) = Bench::new("src-letters", "") else {
        return;
    };
    let letters = format!("{}-letters", bench.name);
    let settings = format!(
        "{JSON}\n{TRANSFORM}\nerrors.tolerance=all\nproducer.override.max.request.size=4000\n{}",
        queue(&letters)
    );
    let (source, name) = bench.source("s", &settings).await;
    let large = "x".repeat(5000);
    source.step(Step::Report("unread"));
    source.step(Step::Give(vec![
        Value::from("first"),
        Value::from("poison"),
        Value::Boolean(true),
        Value::from(large.as_str()),
        Value::from("last"),
    ]));
    source.called("reported true").await;
    source.sent().await;
    bench
        .worker
        .set_target(&name, TargetState::Stopped)
        .await
        .unwrap();
    let sent = bench.read(&name, 2).await;
    let sent: Vec<_> = sent.iter().filter_map(|it| it.value.as_deref()).collect();
    assert_eq!(sent, ["\"first\"", "\"last\""]);
    assert!(
        bench.stored().contains("{\"position\":6}"),
        "{}",
        bench.stored()
    );
    let letters = bench.read(&letters, 4).await;
    assert_eq!(letters.len(), 4, "{letters:?}");
    let json = |payload: &str| {
        let schema = "{\"schema\":{\"type\":\"string\",\"optional\":false},\"payload\":";
        format!("{schema}{payload}}}")
    };
    let converter = "org.apache.kafka.connect.json.JsonConverter";
    let producer = "org.apache.kafka.clients.producer.KafkaProducer";
    let task = "org.apache.kafka.connect.source.SourceTask";
    for (letter, (value, stage, class, position)) in letters.iter().zip([
        (Some(json("\"unread\"")), "TASK_POLL", task, 1),
        (
            Some(json("\"poison\"")),
            "TRANSFORMATION",
            "test.ScriptedTransform",
            3,
        ),
        (
            Some("{\"schema\":null,\"payload\":true}".into()),
            "VALUE_CONVERTER",
            converter,
            4,
        ),
        (None, "KAFKA_PRODUCE", producer, 5),
    ]) {
        assert_eq!(letter.value, value);
        for (header, expected) in [
            ("__connect.errors.topic", name.as_str()),
            ("__connect.errors.connector.name", &name),
            ("__connect.errors.task.id", "0"),
            ("__connect.errors.stage", stage),
            ("__connect.errors.class.name", class),
            (
                "__connect.errors.exception.class.name",
                "org.apache.kafka.connect.errors.DataException",
            ),
            (
                "__millstream.errors.source.partition",
                "{\"part\":\"only\"}",
            ),
            (
                "__millstream.errors.source.offset",
                &format!("{{\"position\":{position}}}"),
            ),
        ] {
            assert_eq!(letter.header(header), Some(expected), "{header} of {stage}");
        }
        assert_eq!(letter.header("__connect.errors.offset"), None);
    }
    let left_out = letters[3].header("__millstream.errors.value.left.out.bytes");
    assert_eq!(left_out, Some("5002"), "with its quotes");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tolerance_a_record_that_is_too_large_is_a_letter_and_the_end() {
    let Some(mut bench) = Bench::new("src-large", "") else {
        return;
    };
    let letters = format!("{}-letters", bench.name);
    let settings = format!(
        "{JSON}\nproducer.override.max.request.size=4000\n{}",
        queue(&letters)
    );
    let (source, name) = bench.source("s", &settings).await;
    source.give(&["first", &"x".repeat(5000), "last"]);
    let state = bench.state(&format!("{name}-0 FAILED")).await;
    let begin = "FAILED org.apache.kafka.connect.errors.ConnectException: Tolerance exceeded in error handler";
    assert!(state.contains(begin), "{state}");
    assert!(state.contains("max.request.size"), "{state}");
    assert!(
        bench.stored().contains("{\"position\":1}"),
        "{}",
        bench.stored()
    );
    assert_eq!(bench.read(&name, 1).await.len(), 1);
    assert_eq!(bench.read(&letters, 1).await.len(), 1);
    bench.stop().await;
}

/// The topic takes less than the producer sends; the dead letter queue takes it.
#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_refuses_is_a_letter_with_all_its_bytes() {
    let Some(mut bench) = Bench::new("src-refused", "") else {
        return;
    };
    let letters = format!("{}-letters", bench.name);
    let name = format!("{}-s", bench.name);
    let mut topic = NewTopic::new(&name, Some(1), Some(1));
    topic
        .configs
        .insert("max.message.bytes".into(), "2000".into());
    let created = bench
        .admin
        .create_topics(&[topic], Validate::AndApply)
        .await;
    assert!(created.into_values().all(|it| it.is_ok()));
    let settings = format!("errors.tolerance=all\n{}", queue(&letters));
    let (source, _) = bench.source("s", &settings).await;
    let large = "x".repeat(5000);
    source.give(&["first"]);
    // So that they are not one batch.
    bench.read(&name, 1).await;
    source.give(&[&large]);
    source.sent().await;
    bench
        .worker
        .set_target(&name, TargetState::Stopped)
        .await
        .unwrap();
    let dropped = format!("commit_record {large} dropped");
    assert!(source.calls().contains(&dropped), "{:?}", source.calls());
    assert!(
        bench.stored().contains("{\"position\":2}"),
        "{}",
        bench.stored()
    );
    let letters = bench.read(&letters, 1).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value.as_deref(), Some(&*large));
    let offset = letters[0].header("__millstream.errors.source.offset");
    assert_eq!(offset, Some("{\"position\":2}"));
    let message = letters[0].header("__connect.errors.exception.message");
    assert_eq!(
        message,
        Some("Unrecoverable exception from producer send callback")
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_reports_without_tolerance_fails_whatever_it_makes_of_the_answer() {
    let Some(mut bench) = Bench::new("src-report", "") else {
        return;
    };
    let letters = format!("{}-letters", bench.name);
    let (source, name) = bench.source("s", &queue(&letters)).await;
    source.step(Step::Report("unread"));
    source.called("reported false").await;
    let state = bench.state(&format!("{name}-0 FAILED")).await;
    assert!(
        state.contains("Tolerance exceeded in error handler"),
        "{state}"
    );
    assert_eq!(bench.read(&letters, 1).await.len(), 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_poison_records_hold_nobody_up() {
    let Some(mut bench) = Bench::new("src-many", "") else {
        return;
    };
    const MANY: usize = 20_000;
    let letters = format!("{}-letters", bench.name);
    let settings = format!("{JSON}\nerrors.tolerance=all\n{}", queue(&letters));
    let (source, name) = bench.source("s", &settings).await;
    let begin = Instant::now();
    for batch in 0..MANY / 1000 {
        let values = (0..1000).map(|n| match n % 2 {
            0 => Value::Boolean(true),
            _ => Value::from(format!("{batch}-{n}").as_str()),
        });
        source.step(Step::Give(values.collect()));
    }
    source.sent().await;
    bench
        .worker
        .set_target(&name, TargetState::Stopped)
        .await
        .unwrap();
    println!("20,000 records, half of them poison: {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(30));
    let position = format!("{{\"position\":{MANY}}}");
    assert!(bench.stored().contains(&position), "{}", bench.stored());
    assert_eq!(bench.read(&name, MANY / 2).await.len(), MANY / 2);
    let letters = bench.read(&letters, MANY / 2).await;
    assert_eq!(letters.len(), MANY / 2);
    for (index, letter) in letters.iter().enumerate() {
        let offset = letter.header("__millstream.errors.source.offset");
        let expected = format!("{{\"position\":{}}}", 2 * index + 1);
        assert_eq!(offset, Some(&*expected));
    }
    bench.stop().await;
}
