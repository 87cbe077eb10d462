//! Records that fail in sink tasks, and their dead letters, on a real broker.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use connect_api::ConnectError;
use connect_api::SinkRecord;
use connect_api::data::Value;
use connect_worker::TargetState;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::Bench;
use support::plugins::Shared;
use support::topic::Plain;

const JSON: &str = "value.converter=JsonConverter\nvalue.converter.schemas.enable=false";
const TRANSFORM: &str = "transforms=t\ntransforms.t.type=test.ScriptedTransform";

/// Settings of a dead letter queue on a single broker.
fn queue(topic: &str) -> String {
    format!(
        "errors.deadletterqueue.topic.name={topic}\nerrors.deadletterqueue.topic.replication.factor=1\n\
         errors.deadletterqueue.context.headers.enable=true"
    )
}

/// A sink with a topic and a dead letter queue of its own.
struct Pipe {
    shared: Arc<Shared>,
    name: String,
    letters: String,
}

impl Pipe {
    async fn new(bench: &mut Bench, connector: &str, settings: &str, records: &[Plain]) -> Self {
        Self::with(bench, connector, settings, records, |_| {}).await
    }

    /// The same with something done before it starts.
    async fn with(
        bench: &mut Bench,
        connector: &str,
        settings: &str,
        records: &[Plain],
        prepare: impl FnOnce(&Arc<Shared>),
    ) -> Self {
        let letters = format!("{}-{connector}-letters", bench.name);
        let settings = format!("{settings}\n{}", queue(&letters));
        let (shared, config, name) = bench.prepare("ScriptedSink", connector, &settings, "topics");
        bench.create_topic(&name, 1).await;
        bench.produce_plain(&name, records).await;
        prepare(&shared);
        let started = bench.worker.start_connector(config, TargetState::Started);
        started.await.unwrap();
        Self {
            shared,
            name,
            letters,
        }
    }

    /// All values that `put` was given, in order, a batch that was refused once for each time.
    fn put(&self) -> Vec<String> {
        let calls = self.shared.calls();
        let puts = calls.iter().filter_map(|it| it.strip_prefix("put "));
        puts.flat_map(|it| it.split(' ').map(String::from))
            .collect()
    }

    async fn stop(&self, bench: &mut Bench) {
        let stopped = bench.worker.set_target(&self.name, TargetState::Stopped);
        stopped.await.unwrap();
    }
}

fn plain(values: &[&str]) -> Vec<Plain> {
    values.iter().map(|value| Plain::value(*value)).collect()
}

/// The middle of three records is no JSON. The connector names its converters by aliases.
#[tokio::test(flavor = "multi_thread")]
async fn a_poison_record_reaches_the_dead_letter_queue_as_it_was_with_and_without_tolerance() {
    let Some(mut bench) = Bench::new("err-poison", "") else {
        return;
    };
    for tolerance in ["none", "all"] {
        let mut records = plain(&["\"a\"", "{secret", "\"c\""]);
        records[1].key = Some("key".into());
        records[1].timestamp_ms -= 5_000;
        records[1].headers = vec![("own".into(), Some("7".into())), ("null".into(), None)];
        let settings = format!("{JSON}\nerrors.tolerance={tolerance}");
        let pipe = Pipe::new(&mut bench, tolerance, &settings, &records).await;
        if tolerance == "none" {
            let state = bench.state(&format!("{}-0 FAILED", pipe.name)).await;
            let begin = "FAILED org.apache.kafka.connect.errors.ConnectException: Tolerance exceeded in error handler";
            assert!(state.contains(begin), "{state}");
            let cause = "\nCaused by: org.apache.kafka.connect.errors.DataException: Converting byte[] to Kafka \
                         Connect data failed due to serialization error: ";
            assert!(state.contains(cause), "{state}");
            assert!(!state.contains("secret"), "{state}");
            assert!(pipe.put().is_empty(), "{:?}", pipe.put());
            assert_eq!(bench.committed(&pipe.name).await, None);
        } else {
            pipe.shared.called("put a c").await;
            pipe.stop(&mut bench).await;
            assert_eq!(bench.committed(&pipe.name).await, Some(3));
        }
        let letters = bench.read(&pipe.letters, 1).await;
        assert_eq!(letters.len(), 1);
        let letter = &letters[0];
        assert_eq!(letter.value, records[1].value);
        assert_eq!(letter.key, records[1].key);
        assert_eq!(letter.timestamp_ms, records[1].timestamp_ms);
        assert_eq!(letter.headers[..2], records[1].headers[..]);
        let names: Vec<&str> = letter.headers[2..].iter().map(|it| &*it.0).collect();
        let expected = [
            ("topic", pipe.name.as_str()),
            ("partition", "0"),
            ("offset", "1"),
            ("connector.name", &pipe.name),
            ("task.id", "0"),
            ("stage", "VALUE_CONVERTER"),
            ("class.name", "org.apache.kafka.connect.json.JsonConverter"),
            (
                "exception.class.name",
                "org.apache.kafka.connect.errors.DataException",
            ),
            (
                "exception.message",
                "Converting byte[] to Kafka Connect data failed due to serialization error: ",
            ),
        ];
        for (index, (name, value)) in expected.iter().enumerate() {
            let name = format!("__connect.errors.{name}");
            assert_eq!(names[index], name);
            assert_eq!(letter.header(&name), Some(*value), "{name}");
        }
        assert_eq!(names.len(), expected.len() + 1);
        let trace = letter
            .header("__connect.errors.exception.stacktrace")
            .unwrap();
        assert!(
            trace.starts_with("org.apache.kafka.connect.errors.DataException: Converting byte[]"),
            "{trace}"
        );
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transform_that_fails_leaves_one_letter_with_its_class_and_an_attempt_that_passes_none() {
    let Some(mut bench) = Bench::new("err-transform", "") else {
        return;
    };
    let settings = format!("{TRANSFORM}\nerrors.tolerance=all\nerrors.retry.timeout=20000");
    let records = plain(&["a", "poison", "third", "d"]);
    let pipe = Pipe::new(&mut bench, "s", &settings, &records).await;
    let begin = Instant::now();
    pipe.shared.called("put a third d").await;
    // 300 and 600 ms between the attempts.
    assert!(begin.elapsed() < Duration::from_secs(20));
    pipe.stop(&mut bench).await;
    assert_eq!(bench.committed(&pipe.name).await, Some(4));
    let letters = bench.read(&pipe.letters, 1).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].value.as_deref(), Some("poison"));
    let class = letters[0].header("__connect.errors.class.name");
    assert_eq!(class, Some("test.ScriptedTransform"));
    let stage = letters[0].header("__connect.errors.stage");
    assert_eq!(stage, Some("TRANSFORMATION"));
    bench.stop().await;
}

/// Surprising but true: so does Java.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_skipped_also_without_tolerance() {
    let Some(mut bench) = Bench::new("err-give-up", "") else {
        return;
    };
    let records = plain(&["a", "never", "c"]);
    let pipe = Pipe::new(&mut bench, "s", TRANSFORM, &records).await;
    pipe.shared.called("put a c").await;
    pipe.stop(&mut bench).await;
    assert_eq!(bench.committed(&pipe.name).await, Some(3));
    let letters = bench.read(&pipe.letters, 1).await;
    let class = letters[0].header("__connect.errors.exception.class.name");
    assert_eq!(
        class,
        Some("org.apache.kafka.connect.errors.RetriableException")
    );
    let states = bench.stop().await;
    assert!(!states.iter().any(|it| it.contains("FAILED")), "{states:?}");
}

/// Also of a record whose topic a transform has changed; the reporter needs no log for a queue.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_task_reports_has_its_bytes_and_the_class_of_the_task() {
    let Some(mut bench) = Bench::new("err-report", "") else {
        return;
    };
    let records = plain(&["\"a\"", "\"bad\"", "\"c\""]);
    let settings = format!("{JSON}\nerrors.tolerance=all");
    let pipe = Pipe::with(&mut bench, "s", &settings, &records, |shared| {
        shared.on_put(|context, records| {
            let reporter = context.errant_record_reporter().expect("there is a queue");
            for record in records.iter().filter(|it| it.value.as_str() == Some("bad")) {
                let error = ConnectError::data("no such column");
                ready(reporter.report(record, error))?;
            }
            Ok(())
        });
    })
    .await;
    pipe.shared.called("put a bad c").await;
    pipe.stop(&mut bench).await;
    assert_eq!(bench.committed(&pipe.name).await, Some(3));
    let letters = bench.read(&pipe.letters, 1).await;
    assert_eq!(letters[0].value.as_deref(), Some("\"bad\""));
    for (name, expected) in [
        ("stage", "TASK_PUT"),
        ("class.name", "org.apache.kafka.connect.sink.SinkTask"),
        ("offset", "1"),
        ("exception.message", "no such column"),
    ] {
        let value = letters[0].header(&format!("__connect.errors.{name}"));
        assert_eq!(value, Some(expected), "{name}");
    }
    bench.stop().await;
}

/// A sink that writes later reports later; the second letter is of a record that the task has made itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_reported_later_still_has_its_bytes_and_what_a_task_made_is_converted() {
    let Some(mut bench) = Bench::new("err-late", "") else {
        return;
    };
    let records = plain(&["\"bad\"  ", "\"b\"", "\"c\""]);
    let settings = format!("{JSON}\nerrors.tolerance=all\nconsumer.override.max.poll.records=1");
    let pipe = Pipe::with(&mut bench, "s", &settings, &records, |shared| {
        let mut late = None;
        shared.on_put(move |context, records| {
            let Some(record) = records.first() else {
                return Ok(());
            };
            match record.value.as_str() {
                Some("bad") => late = Some(record.clone()),
                Some("c") => {
                    let reporter = context.errant_record_reporter().expect("there is a queue");
                    let bad = late.take().expect("it was before");
                    let mut made = bad.clone();
                    made.kafka_offset = 1_000;
                    made.record.value = Value::from("made");
                    for record in [bad, made] {
                        ready(reporter.report(&record, ConnectError::data("refused")))?;
                    }
                }
                _ => {}
            }
            Ok(())
        });
    })
    .await;
    pipe.shared.called("put c").await;
    pipe.stop(&mut bench).await;
    let letters = bench.read(&pipe.letters, 2).await;
    let values: Vec<_> = letters
        .iter()
        .filter_map(|it| it.value.as_deref())
        .collect();
    assert_eq!(values, ["\"bad\"  ", "\"made\""]);
    let offset = letters[0].header("__connect.errors.offset");
    assert_eq!(offset, Some("0"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_error_more_than_the_limit_fails_the_task() {
    let Some(mut bench) = Bench::new("err-limit", "") else {
        return;
    };
    let settings = format!("{JSON}\nerrors.tolerance=all\nmillstream.errors.tolerance.limit=2");
    let settings = format!("{settings}\nconsumer.override.max.poll.records=1");
    let records = plain(&["{", "\"b\"", "{", "{", "\"e\""]);
    let pipe = Pipe::new(&mut bench, "s", &settings, &records).await;
    bench.state(&format!("{}-0 FAILED", pipe.name)).await;
    assert_eq!(pipe.put(), ["b"]);
    assert_eq!(bench.read(&pipe.letters, 3).await.len(), 3);
    // The one that was too many is the first after a restart.
    assert_eq!(bench.committed(&pipe.name).await, Some(3));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_topic_that_cannot_be_made_fails_the_task() {
    let Some(mut bench) = Bench::new("err-no-queue", "") else {
        return;
    };
    let letters = format!("{}-letters", bench.name);
    let settings = format!("errors.deadletterqueue.topic.name={letters}");
    let (shared, config, name) = bench.prepare("ScriptedSink", "s", &settings, "topics");
    bench.create_topic(&name, 1).await;
    let started = bench.worker.start_connector(config, TargetState::Started);
    started.await.unwrap();
    let state = bench.state(&format!("{name}-0 FAILED")).await;
    let expected = format!(
        "FAILED org.apache.kafka.connect.errors.ConnectException: Could not initialize dead letter queue with \
         topic={letters}\nCaused by: "
    );
    assert!(state.contains(&expected), "{state}");
    assert!(state.contains("eplication factor"), "{state}");
    assert_eq!(shared.calls(), ["connector start"]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_poison_records_hold_nobody_up() {
    let Some(mut bench) = Bench::new("err-many", "") else {
        return;
    };
    const MANY: usize = 20_000;
    let records: Vec<Plain> = (0..MANY)
        .map(|n| match n % 2 {
            0 => Plain::value(format!("{{{n}")),
            _ => Plain::value(n.to_string()),
        })
        .collect();
    let settings = format!("{JSON}\nerrors.tolerance=all");
    let begin = Instant::now();
    let pipe = Pipe::with(&mut bench, "s", &settings, &records, |shared| {
        let (shared, mut taken) = (Arc::downgrade(shared), 0);
        shared_on_put(&shared, move |shared, records| {
            taken += records.len();
            if taken == MANY / 2 {
                shared.note("all");
            }
        });
    })
    .await;
    pipe.shared.called("all").await;
    pipe.stop(&mut bench).await;
    println!("20,000 records, half of them poison: {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(bench.committed(&pipe.name).await, Some(MANY as i64));
    let letters = bench.read(&pipe.letters, MANY / 2).await;
    assert_eq!(letters.len(), MANY / 2);
    for (index, letter) in letters.iter().enumerate() {
        let (n, expected) = (2 * index, format!("{{{}", 2 * index));
        assert_eq!(letter.value.as_deref(), Some(&*expected));
        let offset = letter.header("__connect.errors.offset");
        assert_eq!(offset, Some(&*n.to_string()));
    }
    bench.stop().await;
}

/// Has `put` tell what it was given.
fn shared_on_put(
    shared: &std::sync::Weak<Shared>,
    mut told: impl FnMut(&Shared, &[SinkRecord]) + Send + 'static,
) {
    let (weak, strong) = (shared.clone(), shared.upgrade().unwrap());
    strong.on_put(move |_, records| {
        told(&weak.upgrade().expect("the test holds it"), records);
        Ok(())
    });
}

/// The second worker begins where the first has committed: what had failed before is not looked at again, and every
/// record is either delivered or a letter.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_loses_neither_records_nor_letters() {
    let Some(mut bench) = Bench::new("err-restart", "") else {
        return;
    };
    let records = plain(&["1", "{2", "3", "{4", "5", "{6", "7"]);
    // Fails for good at 5: nothing of its batch is committed.
    let settings = format!("{JSON}\nerrors.tolerance=all\nconsumer.override.max.poll.records=2");
    let broken = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_broken = broken.clone();
    let pipe = Pipe::with(&mut bench, "s", &settings, &records, |shared| {
        let noted = Arc::downgrade(shared);
        shared.on_put(move |_, records| {
            let shared = noted.upgrade().expect("the test holds it");
            for record in records {
                let number = format!("{:?}", record.value);
                if number.contains('5') && is_broken.load(std::sync::atomic::Ordering::Relaxed) {
                    return Err(ConnectError::fatal("power cut"));
                }
                shared.note(format!("wrote {}", record.kafka_offset));
            }
            Ok(())
        });
    })
    .await;
    bench.state(&format!("{}-0 FAILED", pipe.name)).await;
    assert_eq!(bench.committed(&pipe.name).await, Some(4));
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    for target in [TargetState::Stopped, TargetState::Started] {
        bench.worker.set_target(&pipe.name, target).await.unwrap();
    }
    pipe.shared.called("wrote 6").await;
    pipe.stop(&mut bench).await;
    let calls = pipe.shared.calls();
    let wrote: Vec<&str> = calls
        .iter()
        .filter_map(|it| it.strip_prefix("wrote "))
        .collect();
    assert_eq!(wrote, ["0", "2", "4", "6"]);
    assert_eq!(bench.committed(&pipe.name).await, Some(7));
    let letters = bench.read(&pipe.letters, 3).await;
    let mut values: Vec<_> = letters.iter().map(|it| it.value.clone().unwrap()).collect();
    // One more may have come in the batch that was not committed.
    values.dedup();
    assert_eq!(values, ["{2", "{4", "{6"]);
    bench.stop().await;
}

/// A sink that refuses what it is told, for good, and has written nothing of a batch then.
fn refuses(shared: &Arc<Shared>, word: &'static str) {
    let noted = Arc::downgrade(shared);
    shared.on_put(move |_, records| {
        let shared = noted.upgrade().expect("the test holds it");
        let is_bad = |it: &SinkRecord| it.value.as_str().is_some_and(|it| it.contains(word));
        if records.iter().any(is_bad) {
            return Err(ConnectError::data("too long for the column"));
        }
        for record in records {
            shared.note(format!("wrote {}", record.value.as_str().unwrap_or("?")));
        }
        Ok(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_which_put_finds_fault_is_delivered_once_without_the_guilty() {
    let Some(mut bench) = Bench::new("err-bisect", "") else {
        return;
    };
    let values: Vec<String> = (0..200)
        .map(|n| match n {
            0 | 77 | 78 | 199 => format!("bad{n}"),
            n => n.to_string(),
        })
        .collect();
    let records: Vec<Plain> = values.iter().map(Plain::value).collect();
    for (connector, settings) in [
        (
            "once",
            "errors.tolerance=all\nmillstream.errors.put.bisect=once",
        ),
        (
            "least",
            "errors.tolerance=all\nmillstream.errors.put.bisect=at-least-once",
        ),
    ] {
        let pipe = Pipe::with(&mut bench, connector, settings, &records, |shared| {
            if connector == "once" {
                shared.set_failed_put_writes_nothing();
            }
            refuses(shared, "bad");
        })
        .await;
        pipe.shared.called("wrote 198").await;
        pipe.stop(&mut bench).await;
        let calls = pipe.shared.calls();
        let wrote = calls.iter().filter_map(|it| it.strip_prefix("wrote "));
        let wrote: Vec<&str> = wrote.collect();
        let expected = values.iter().filter(|it| !it.starts_with("bad"));
        assert_eq!(wrote, expected.collect::<Vec<_>>());
        assert_eq!(bench.committed(&pipe.name).await, Some(200));
        let letters = bench.read(&pipe.letters, 4).await;
        let guilty: Vec<_> = letters
            .iter()
            .filter_map(|it| it.value.as_deref())
            .collect();
        assert_eq!(guilty, ["bad0", "bad77", "bad78", "bad199"]);
        for letter in &letters {
            assert_eq!(letter.header("__connect.errors.stage"), Some("TASK_PUT"));
            let message = letter.header("__connect.errors.exception.message");
            assert_eq!(message, Some("too long for the column"));
        }
    }
    bench.stop().await;
}

/// A part that is refused for now does not become guilty, and what is offered meanwhile is that part alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_refused_for_now_is_offered_again() {
    let Some(mut bench) = Bench::new("err-bisect-retry", "") else {
        return;
    };
    let settings = "errors.tolerance=all\nmillstream.errors.put.bisect=at-least-once";
    let records = plain(&["a", "b", "bad", "d"]);
    let pipe = Pipe::with(&mut bench, "s", settings, &records, |shared| {
        let mut refused = false;
        shared.on_put(move |context, records| {
            let has = |word| records.iter().any(|it| it.value.as_str() == Some(word));
            if has("bad") {
                return Err(ConnectError::data("cannot be"));
            }
            if has("a") && !std::mem::replace(&mut refused, true) {
                context.timeout(Duration::from_millis(20));
                return Err(ConnectError::retriable("full"));
            }
            Ok(())
        });
    })
    .await;
    let calls = pipe.shared.called("put d").await;
    let puts: Vec<_> = calls.iter().filter(|it| it.starts_with("put ")).collect();
    let expected = [
        "put a b bad d",
        "put a b",
        "put a b",
        "put bad d",
        "put bad",
        "put d",
    ];
    assert_eq!(puts, expected);
    pipe.stop(&mut bench).await;
    assert_eq!(bench.committed(&pipe.name).await, Some(4));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_bisecting_or_tolerance_a_data_error_of_put_fails_the_task() {
    let Some(mut bench) = Bench::new("err-bisect-off", "") else {
        return;
    };
    for (connector, settings, expected) in [
        ("off", "errors.tolerance=all", "too long for the column"),
        (
            "none",
            "millstream.errors.put.bisect=at-least-once",
            "too long for the column",
        ),
        (
            "once",
            "errors.tolerance=all\nmillstream.errors.put.bisect=once",
            "org.apache.kafka.common.config.ConfigException: millstream.errors.put.bisect=once needs a connector",
        ),
    ] {
        let records = plain(&["a", "bad"]);
        let pipe = Pipe::with(&mut bench, connector, settings, &records, |shared| {
            refuses(shared, "bad")
        })
        .await;
        let state = bench.state(&format!("{}-0 FAILED", pipe.name)).await;
        assert!(state.contains(expected), "{connector}: {state}");
        let is_put = expected.starts_with("too");
        assert_eq!(
            state.contains(
                "ConnectException: Exiting WorkerSinkTask due to unrecoverable exception."
            ),
            is_put,
            "{state}"
        );
        assert_eq!(bench.committed(&pipe.name).await, None);
    }
    bench.stop().await;
}

/// The limit ends the task in the middle of a batch: what was delivered before is committed, so that it does not come
/// again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_of_a_batch_that_ends_the_task_is_committed() {
    let Some(mut bench) = Bench::new("err-bisect-limit", "") else {
        return;
    };
    let settings = "errors.tolerance=all\nmillstream.errors.put.bisect=at-least-once\n\
                    millstream.errors.tolerance.limit=1";
    let records = plain(&["a", "bad1", "c", "bad2", "e"]);
    let pipe = Pipe::with(&mut bench, "s", settings, &records, |shared| {
        refuses(shared, "bad")
    })
    .await;
    bench.state(&format!("{}-0 FAILED", pipe.name)).await;
    let calls = pipe.shared.calls();
    let wrote: Vec<&str> = calls
        .iter()
        .filter_map(|it| it.strip_prefix("wrote "))
        .collect();
    assert_eq!(wrote, ["a", "c"]);
    assert_eq!(bench.committed(&pipe.name).await, Some(3));
    assert_eq!(bench.read(&pipe.letters, 2).await.len(), 2);
    bench.stop().await;
}

/// The reporter's future is ready at once; `put` of these tests is not async.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("a report waits for nothing"),
    }
}
