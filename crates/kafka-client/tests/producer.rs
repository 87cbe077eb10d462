//! The producer against a real broker. Needs `KAFKA_BOOTSTRAP=host:port`; says so and passes without.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kafka_client::client::Refresh;
use kafka_client::producer::{
    Acknowledged, Acknowledgements, AppendError, Producer, Record, Token, Topic,
};
use kafka_client::settings::{AdminSettings, ProducerSettings};
use kafka_client::{Client, ClientError, ErrorKind, KafkaErrorCode, Target};
use kafka_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_wire::{Codec, Decompressor, RecordBatches, TimestampType};

type Field = Option<Vec<u8>>;

#[derive(Debug, Clone, PartialEq)]
struct Owned {
    timestamp_ms: i64,
    key: Field,
    value: Field,
    headers: Vec<(Vec<u8>, Field)>,
}

/// What a partition holds, and how it was packed.
#[derive(Default)]
struct Log {
    records: Vec<Owned>,
    codecs: Vec<Codec>,
    timestamp_types: Vec<TimestampType>,
}

fn bootstrap() -> Option<String> {
    let servers = std::env::var("KAFKA_BOOTSTRAP").ok();
    if servers.is_none() {
        eprintln!("skipped: set KAFKA_BOOTSTRAP=host:port to run this test against a broker");
    }
    servers
}

fn admin(servers: &str) -> Client {
    let parsed = AdminSettings::parse([("bootstrap.servers", servers)]).expect("settings");
    Client::connect(parsed.settings.connection)
}

fn settings(servers: &str, properties: &[(&str, &str)]) -> ProducerSettings {
    let common = [
        ("bootstrap.servers", servers),
        ("key.serializer", "b"),
        ("value.serializer", "b"),
    ];
    let all = common.into_iter().chain(properties.iter().copied());
    ProducerSettings::parse(all).expect("settings").settings
}

fn producer(servers: &str, properties: &[(&str, &str)]) -> (Producer, Acknowledgements) {
    let settings = settings(servers, properties);
    let client = Client::connect(settings.connection.clone());
    Producer::new(client, &settings).expect("a producer")
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis() as i64
}

fn unique(name: &str) -> String {
    format!("{name}-{}-{}", std::process::id(), now_ms())
}

async fn create_topic(admin: &Client, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let configs = configs
        .iter()
        .map(|(key, value)| {
            CreatableTopicConfig::default()
                .with_name(text(key))
                .with_value(Some(text(value)))
        })
        .collect();
    let topic = CreatableTopic::default()
        .with_name(TopicName(text(name)))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(10_000);
    let answer = admin
        .request(Target::Controller, &request)
        .await
        .expect("an answer");
    assert_eq!(
        answer.topics[0].error_code, 0,
        "{:?}",
        answer.topics[0].error_message
    );
    // Created is not led yet; with acks=0 nobody would tell that a batch came too early.
    for partition in 0..partitions {
        admin
            .retry(
                "wait for the leader",
                Duration::from_secs(20),
                |_| async move {
                    let (_, error_code) = fetch(admin, name, partition, 0).await?;
                    KafkaErrorCode::check(error_code).map_err(ClientError::from_code)
                },
            )
            .await
            .expect("a leader");
    }
}

async fn fetch(
    admin: &Client,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<(PartitionData, i16), ClientError> {
    let metadata = admin.refresh_metadata(Refresh::Topics(&[topic])).await?;
    let Some((leader, _)) = metadata.leader(topic, partition) else {
        return Err(ClientError::from_code(KafkaErrorCode::LEADER_NOT_AVAILABLE));
    };
    let part = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(8 << 20);
    let topics = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![part]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(10)
        .with_max_bytes(32 << 20)
        .with_topics(vec![topics]);
    let mut answer = admin.request(Target::Broker(leader), &request).await?;
    let data = answer.responses.remove(0).partitions.remove(0);
    let error_code = data.error_code;
    Ok((data, error_code))
}

async fn read_all(admin: &Client, topic: &str, partition: i32) -> Log {
    let mut log = Log::default();
    let mut offset = 0;
    let mut decompressor = Decompressor::new(1 << 30);
    loop {
        let (data, error_code) = fetch(admin, topic, partition, offset)
            .await
            .expect("an answer");
        assert_eq!(error_code, 0);
        for batch in RecordBatches::new(data.records.clone().unwrap_or_default()) {
            let batch = batch.expect("a good batch");
            log.codecs.push(batch.codec().expect("a codec"));
            log.timestamp_types.push(batch.timestamp_type());
            let decoded = batch.decode(&mut decompressor).expect("a good batch");
            for record in decoded.records() {
                let record = record.expect("a good record");
                assert_eq!(record.offset, offset);
                offset += 1;
                log.records.push(Owned {
                    timestamp_ms: record.timestamp_ms,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: record
                        .headers()
                        .map(|header| {
                            let header = header.expect("a good header");
                            (header.key.to_vec(), header.value.map(<[u8]>::to_vec))
                        })
                        .collect(),
                });
            }
        }
        if offset >= data.high_watermark {
            return log;
        }
    }
}

/// With `acks=0` a batch is done when it has left; the log has it a moment later.
async fn read_at_least(admin: &Client, topic: &str, records: usize) -> Log {
    admin
        .retry(
            "wait for the records",
            Duration::from_secs(20),
            |_| async move {
                let log = read_all(admin, topic, 0).await;
                match log.records.len() {
                    count if count >= records => Ok(log),
                    count => Err(ClientError::retriable(format!(
                        "{count} of {records} records"
                    ))),
                }
            },
        )
        .await
        .expect("all records")
}

/// Appends all, waiting for room as often as needed.
async fn append_all(
    producer: &mut Producer,
    acknowledgements: &mut Acknowledgements,
    acknowledged: &mut Vec<Acknowledged>,
    topic: Topic,
    partition: Option<i32>,
    records: &[Owned],
) {
    let mut next = 0;
    while next < records.len() {
        {
            let mut appender = producer.appender();
            while let Some(record) = records.get(next) {
                let view = Record {
                    topic,
                    partition,
                    timestamp_ms: record.timestamp_ms,
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                };
                let headers = record
                    .headers
                    .iter()
                    .map(|(key, value)| (&key[..], value.as_deref()));
                let token = Token {
                    stream: 0,
                    number: next as u64,
                };
                match appender.append_with_headers(&view, headers, token) {
                    Ok(_) => next += 1,
                    Err(AppendError::Full) => break,
                    Err(error) => panic!("record {next}: {error}"),
                }
            }
        }
        if next < records.len() {
            acknowledgements.try_recv(acknowledged);
            producer.ready().await.expect("room");
        }
    }
}

fn samples() -> Vec<Owned> {
    let now = now_ms();
    let header =
        |key: &str, value: Option<&[u8]>| (key.as_bytes().to_vec(), value.map(<[u8]>::to_vec));
    let mut records = Vec::new();
    for n in 0..500i64 {
        let headers = match n % 5 {
            0 => vec![],
            1 => vec![
                header("a", Some(b"1")),
                header("a", None),
                header("a", Some(b"")),
            ],
            _ => vec![header("über", Some(&n.to_be_bytes()))],
        };
        records.push(Owned {
            timestamp_ms: now + n % 7 - 3,
            key: (n % 3 != 0).then(|| format!("key-{n}").into_bytes()),
            value: match n % 11 {
                0 => None,
                1 => Some(Vec::new()),
                2 => Some((0..4000).map(|at| (at * n % 251) as u8).collect()),
                _ => Some(format!("value {n} value {n} value {n}").into_bytes()),
            },
            headers,
        });
    }
    records
}

fn assert_all_written(acknowledged: &[Acknowledged], count: usize, acks: &str) {
    let mut offset = 0;
    let mut tokens = Vec::new();
    for batch in acknowledged {
        let written = batch
            .result
            .as_ref()
            .unwrap_or_else(|error| panic!("{error}"));
        if acks == "0" {
            assert_eq!(written.base_offset, None);
        } else {
            assert_eq!(written.base_offset, Some(offset));
            offset += i64::from(batch.records);
        }
        tokens.extend(batch.runs.tokens().map(|token| token.number));
    }
    assert_eq!(tokens, (0..count as u64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_codec_with_every_acks_is_read_back_as_it_was() {
    let Some(servers) = bootstrap() else { return };
    let admin = admin(&servers);
    let records = samples();
    for codec in Codec::ALL {
        for (acks, idempotence) in [
            ("all", "true"),
            ("all", "false"),
            ("1", "false"),
            ("0", "false"),
        ] {
            let name = unique(&format!("producer-{codec}-{acks}-{idempotence}"));
            create_topic(&admin, &name, 1, &[]).await;
            let (mut producer, mut acknowledgements) = producer(
                &servers,
                &[
                    ("compression.type", codec.name()),
                    ("acks", acks),
                    ("enable.idempotence", idempotence),
                    ("linger.ms", "2"),
                ],
            );
            let topic = producer.topic(&name).await.expect("the topic");
            let mut acknowledged = Vec::new();
            append_all(
                &mut producer,
                &mut acknowledgements,
                &mut acknowledged,
                topic,
                Some(0),
                &records,
            )
            .await;
            producer.flush().await;
            acknowledgements.try_recv(&mut acknowledged);
            assert_all_written(&acknowledged, records.len(), acks);
            producer.close(Duration::from_secs(5)).await;
            assert!(
                !acknowledgements.recv(&mut acknowledged).await,
                "all were told about"
            );
            let log = read_at_least(&admin, &name, records.len()).await;
            assert!(
                log.records == records,
                "{name}: {} of {}",
                log.records.len(),
                records.len()
            );
            assert!(
                log.codecs.iter().all(|found| *found == codec),
                "{name}: {:?}",
                log.codecs
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_choose_their_partition_and_the_rest_spread() {
    let Some(servers) = bootstrap() else { return };
    let admin = admin(&servers);
    let name = unique("producer-partitions");
    create_topic(&admin, &name, 4, &[]).await;
    let (mut producer, mut acknowledgements) = producer(&servers, &[("batch.size", "1000")]);
    let topic = producer.topic(&name).await.expect("the topic");
    assert_eq!(producer.partition_count(topic), 4);
    let mut chosen = Vec::new();
    {
        let mut appender = producer.appender();
        let record = Record {
            topic,
            partition: None,
            timestamp_ms: now_ms(),
            key: None,
            value: Some(&[7; 100]),
        };
        for number in 0..400 {
            let key = format!("key-{number}");
            let token = Token { stream: 0, number };
            let keyed = Record {
                key: Some(key.as_bytes()),
                ..record
            };
            let partition = appender.append(&keyed, token).expect("taken");
            assert_eq!(
                partition,
                kafka_wire::murmur2::partition_for_key(key.as_bytes(), 4)
            );
            chosen.push(
                appender
                    .append(&record, Token { stream: 1, number })
                    .expect("taken"),
            );
        }
        let unknown = appender.append(
            &Record {
                partition: Some(4),
                ..record
            },
            Token {
                stream: 0,
                number: 0,
            },
        );
        assert!(
            matches!(unknown, Err(AppendError::UnknownPartition(_))),
            "{unknown:?}"
        );
    }
    let switches = chosen.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(
        (10..150).contains(&switches),
        "sticky, but not for ever: {switches}"
    );
    assert!((0..4).all(|partition| chosen.contains(&partition)));
    producer.flush().await;
    let mut acknowledged = Vec::new();
    acknowledgements.try_recv(&mut acknowledged);
    assert_eq!(
        acknowledged.iter().map(|batch| batch.records).sum::<u32>(),
        800
    );
    assert!(acknowledged.iter().all(|batch| batch.result.is_ok()));
    producer.close(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_large_is_refused_here_or_split_or_refused_by_the_broker() {
    let Some(servers) = bootstrap() else { return };
    let admin = admin(&servers);
    for codec in ["none", "lz4"] {
        let name = unique("producer-large");
        create_topic(&admin, &name, 1, &[("max.message.bytes", "3000")]).await;
        let (mut producer, mut acknowledgements) = producer(
            &servers,
            &[
                ("batch.size", "60000"),
                ("max.request.size", "100000"),
                ("compression.type", codec),
            ],
        );
        let topic = producer.topic(&name).await.expect("the topic");

        // Ours to refuse, in Java's words.
        let huge = vec![0; 100_000];
        let record = Record {
            topic,
            partition: Some(0),
            timestamp_ms: now_ms(),
            key: None,
            value: Some(&huge),
        };
        let refused = producer.appender().append(
            &record,
            Token {
                stream: 0,
                number: 0,
            },
        );
        let Err(AppendError::RecordTooLarge(error)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(
            error.to_string(),
            "The message is 100087 bytes when serialized which is larger than 100000, which is the value of the max.request.size configuration."
        );

        // One batch here, many for the broker. Noise, so that compression does not help.
        let mut state = 1u32;
        let mut noise = |bytes: usize| -> Vec<u8> {
            (0..bytes)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect()
        };
        let mut records: Vec<Owned> = (0..100)
            .map(|n| Owned {
                timestamp_ms: n,
                key: None,
                value: Some(noise(400)),
                headers: vec![],
            })
            .collect();
        // One that no split can save, in the middle.
        records[50].value = Some(noise(5000));
        let mut acknowledged = Vec::new();
        append_all(
            &mut producer,
            &mut acknowledgements,
            &mut acknowledged,
            topic,
            Some(0),
            &records,
        )
        .await;
        producer.flush().await;
        acknowledgements.try_recv(&mut acknowledged);
        let mut lost = Vec::new();
        for batch in &acknowledged {
            if let Err(error) = &batch.result {
                assert!(error.is(KafkaErrorCode::MESSAGE_TOO_LARGE), "{error}");
                assert_eq!(error.context("topic"), Some(&*name));
                lost.extend(batch.runs.tokens().map(|token| token.number));
            }
        }
        assert_eq!(lost, [50]);
        let total: u32 = acknowledged.iter().map(|batch| batch.records).sum();
        assert_eq!(total, 100);
        records.remove(50);
        let log = read_all(&admin, &name, 0).await;
        assert!(
            log.records == records,
            "{codec}: {} of {}",
            log.records.len(),
            records.len()
        );
        assert!(log.codecs.len() > 10);
        producer.close(Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_topic_is_created_or_waited_for() {
    let Some(servers) = bootstrap() else { return };
    // The broker's default allows it.
    let name = unique("producer-auto");
    let (mut producer, mut acknowledgements) = producer(&servers, &[]);
    let topic = producer.topic(&name).await.expect("created");
    let token = Token {
        stream: 3,
        number: 9,
    };
    let record = Record {
        topic,
        partition: None,
        timestamp_ms: now_ms(),
        key: None,
        value: Some(b"v"),
    };
    producer.appender().append(&record, token).expect("taken");
    let mut acknowledged = Vec::new();
    assert!(
        acknowledgements.recv(&mut acknowledged).await,
        "lingers only linger.ms"
    );
    assert_eq!(acknowledged[0].runs.tokens().collect::<Vec<_>>(), [token]);
    assert_eq!(
        acknowledged[0]
            .result
            .as_ref()
            .expect("written")
            .base_offset,
        Some(0)
    );
    producer.close(Duration::from_secs(5)).await;

    let mut settings = settings(&servers, &[("max.block.ms", "400")]);
    settings.connection.allow_auto_topic_creation = false;
    let client = Client::connect(settings.connection.clone());
    let (producer, _acknowledgements) = Producer::new(client, &settings).expect("a producer");
    let missing = unique("producer-missing");
    let started = Instant::now();
    let error = producer.topic(&missing).await.expect_err("not there");
    assert!(
        error.to_string().starts_with(&format!(
            "Topic {missing} not present in metadata after 400 ms."
        )),
        "{error}"
    );
    assert!(error.is_retriable() && started.elapsed() < Duration::from_secs(3));
    let invalid = producer
        .topic("no/such topic")
        .await
        .expect_err("not a name");
    assert!(
        invalid.is(KafkaErrorCode::INVALID_TOPIC_EXCEPTION),
        "{invalid}"
    );
    assert_eq!(invalid.kind(), ErrorKind::Fatal);
    producer.close(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_brokers_clock_is_told() {
    let Some(servers) = bootstrap() else { return };
    let admin = admin(&servers);
    let name = unique("producer-append-time");
    create_topic(
        &admin,
        &name,
        1,
        &[("message.timestamp.type", "LogAppendTime")],
    )
    .await;
    let (mut producer, mut acknowledgements) = producer(&servers, &[]);
    let topic = producer.topic(&name).await.expect("the topic");
    let record = Record {
        topic,
        partition: Some(0),
        timestamp_ms: now_ms(),
        key: None,
        value: Some(b"v"),
    };
    producer
        .appender()
        .append(
            &record,
            Token {
                stream: 0,
                number: 0,
            },
        )
        .expect("taken");
    let mut acknowledged = Vec::new();
    acknowledgements.recv(&mut acknowledged).await;
    let time = acknowledged[0]
        .result
        .as_ref()
        .expect("written")
        .log_append_time_ms
        .expect("its clock");
    assert!((time - now_ms()).abs() < 60_000);
    let log = read_all(&admin, &name, 0).await;
    assert_eq!(log.timestamp_types, [TimestampType::LogAppendTime]);
    assert_eq!(log.records[0].timestamp_ms, time);
    producer.close(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_told_about_when_the_producer_ends() {
    let Some(servers) = bootstrap() else { return };
    let name = unique("producer-abandoned");
    let (mut producer, mut acknowledgements) = producer(
        &servers,
        &[("linger.ms", "60000"), ("delivery.timeout.ms", "100000")],
    );
    let topic = producer.topic(&name).await.expect("the topic");
    let record = Record {
        topic,
        partition: Some(0),
        timestamp_ms: now_ms(),
        key: None,
        value: Some(b"v"),
    };
    producer
        .appender()
        .append(
            &record,
            Token {
                stream: 0,
                number: 0,
            },
        )
        .expect("taken");
    producer.close(Duration::ZERO).await;
    let mut acknowledged = Vec::new();
    assert!(acknowledgements.recv(&mut acknowledged).await);
    let error = acknowledged[0].result.as_ref().expect_err("abandoned");
    assert_eq!(error.to_string(), "Producer is closed forcefully.");
    assert!(!acknowledgements.recv(&mut acknowledged).await);
}

/// User and system time of this process so far, in steps of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_records() {
    let Some(servers) = bootstrap() else { return };
    const RECORDS: u64 = 1_000_000;
    let admin = admin(&servers);
    for (codec, batch_size) in [
        ("none", "16384"),
        ("none", "262144"),
        ("lz4", "16384"),
        ("lz4", "262144"),
    ] {
        let name = unique("producer-million");
        create_topic(&admin, &name, 1, &[]).await;
        let (mut producer, mut acknowledgements) = producer(
            &servers,
            &[("compression.type", codec), ("batch.size", batch_size)],
        );
        let topic = producer.topic(&name).await.expect("the topic");
        // The same bytes for every record would make a codec look better than it is.
        let noise: Vec<u8> = (0..100_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 64)
            .collect();
        let record = Record {
            topic,
            partition: Some(0),
            timestamp_ms: now_ms(),
            key: None,
            value: None,
        };
        let (started, cpu) = (Instant::now(), cpu_seconds());
        let taker = tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            let mut next = 0;
            let mut largest_runs = 0;
            while next < RECORDS && acknowledgements.recv(&mut acknowledged).await {
                for batch in acknowledged.drain(..) {
                    assert!(batch.result.is_ok(), "{:?}", batch.result);
                    largest_runs = largest_runs.max(batch.runs.as_slice().len());
                    assert_eq!(batch.runs.as_slice()[0].first, next);
                    next += u64::from(batch.records);
                }
            }
            assert_eq!((next, largest_runs), (RECORDS, 1));
        });
        let mut number = 0;
        while number < RECORDS {
            {
                let mut appender = producer.appender();
                // As a task would: a poll's worth of records at a time.
                let end = (number + 500).min(RECORDS);
                while number < end {
                    let at = (number % 990) as usize * 100;
                    let record = Record {
                        value: Some(&noise[at..at + 100]),
                        ..record
                    };
                    match appender.append(&record, Token { stream: 0, number }) {
                        Ok(_) => number += 1,
                        Err(AppendError::Full) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            producer.ready().await.expect("room");
        }
        producer.flush().await;
        taker.await.expect("all acknowledged");
        let (wall, cpu) = (started.elapsed(), cpu_seconds() - cpu);
        let build = if cfg!(debug_assertions) {
            "unoptimised build"
        } else {
            "optimised build"
        };
        println!(
            "producer {codec} batch.size={batch_size}: {RECORDS} records of 100 bytes in {:.2} s, {:.3} CPU-microseconds a record ({build})",
            wall.as_secs_f64(),
            cpu * 1e6 / RECORDS as f64,
        );
        producer.close(Duration::from_secs(5)).await;
    }
}
