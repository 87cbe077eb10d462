//! The producer on a network where everything goes wrong, with thousands of seeds.
//!
//! Invariants, with acks=all: a record that was acknowledged well is in the log, where the
//! acknowledgement says; every record is acknowledged once; while the producer has time enough, none
//! badly. Idempotent besides: no record is in the log twice, and those of a partition are in the order
//! in which they were appended.

use std::collections::BTreeMap;
use std::time::Duration;

use connect_testkit::simulation::{Chance, Keep, Onlooker, Scenario, Simulation, Storm};
use kafka_client::producer::{
    Acknowledged, Acknowledgements, AppendError, Producer, Record, Token, Topic,
};
use kafka_client::settings::ProducerSettings;

const TOPIC: &str = "records";

const IDEMPOTENT: Scenario = Scenario {
    package: env!("CARGO_PKG_NAME"),
    suite: env!("CARGO_CRATE_NAME"),
    test: "idempotent_producer_loses_nothing_doubles_nothing_and_keeps_the_order",
    share: 300,
};

const PLAIN: Scenario = Scenario {
    package: env!("CARGO_PKG_NAME"),
    suite: env!("CARGO_CRATE_NAME"),
    test: "producer_with_acks_all_loses_nothing",
    share: 150,
};

#[test]
fn idempotent_producer_loses_nothing_doubles_nothing_and_keeps_the_order() {
    IDEMPOTENT.run(idempotent);
}

#[test]
fn producer_with_acks_all_loses_nothing() {
    PLAIN.run(plain);
}

#[test]
fn a_seed_gives_the_same_events_each_time() {
    IDEMPOTENT.assert_repeats(0..25);
    PLAIN.assert_repeats(100..110);
}

async fn idempotent(simulation: Simulation) {
    produce(simulation, Delivery::Idempotent).await;
}

async fn plain(simulation: Simulation) {
    produce(simulation, Delivery::AtLeastOnce).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Idempotent,
    AtLeastOnce,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// `delivery.timeout.ms` outlasts the storm, so nothing may fail.
    Outlasts,
    /// Batches run out of time.
    Short,
}

#[derive(Debug)]
struct Plan {
    delivery: Delivery,
    patience: Patience,
    in_flight: u64,
    partitions: i32,
    records: u64,
    properties: BTreeMap<&'static str, String>,
}

fn plan(chance: &mut Chance, delivery: Delivery) -> Plan {
    let patience = match chance.permille(300) {
        true => Patience::Short,
        false => Patience::Outlasts,
    };
    let request_timeout_ms = chance.within(1_000..=8_000);
    let linger_ms = *chance.pick(&[0, 0, 5, 100]);
    let delivery_timeout_ms = match patience {
        Patience::Outlasts => 3_600_000,
        Patience::Short => request_timeout_ms + linger_ms + chance.within(0..=5_000),
    };
    let in_flight = chance.within(1..=5);
    let compression = *chance.pick(&["none", "none", "lz4", "zstd"]);
    let properties = BTreeMap::from([
        ("bootstrap.servers", "embedded:9092".to_owned()),
        ("client.id", "producer".to_owned()),
        ("key.serializer", "bytes".to_owned()),
        ("value.serializer", "bytes".to_owned()),
        ("acks", "all".to_owned()),
        (
            "enable.idempotence",
            (delivery == Delivery::Idempotent).to_string(),
        ),
        (
            "max.in.flight.requests.per.connection",
            in_flight.to_string(),
        ),
        (
            "batch.size",
            chance.pick(&[0, 100, 400, 16_384]).to_string(),
        ),
        (
            "buffer.memory",
            chance.pick(&[4_000, 33_554_432]).to_string(),
        ),
        ("linger.ms", linger_ms.to_string()),
        ("compression.type", compression.to_owned()),
        ("request.timeout.ms", request_timeout_ms.to_string()),
        ("delivery.timeout.ms", delivery_timeout_ms.to_string()),
        ("max.block.ms", "3600000".to_owned()),
    ]);
    Plan {
        delivery,
        patience,
        in_flight,
        partitions: chance.within(1..=4) as i32,
        records: chance.within(20..=300),
        properties,
    }
}

async fn produce(mut simulation: Simulation, delivery: Delivery) {
    let plan = plan(&mut simulation.chance, delivery);
    simulation.trace.note(format_args!("{plan:?}"));
    let kills = simulation.chance.permille(300);
    let keep = if kills { Keep::OnDisk } else { Keep::InMemory };
    simulation.log.start(keep).await;
    let onlooker = Onlooker::new(&simulation.network);
    onlooker.create_topic(TOPIC, plan.partitions, &[]).await;

    let storm = Storm {
        lasts: simulation.chance.millis(1_000..=30_000),
        slow_max_ms: *simulation.chance.pick(&[50, 2_000, 12_000]),
        kills,
        jump_max: Duration::from_millis(*simulation.chance.pick(&[0, 20_000])),
    };
    let (weather_chance, feed_chance) = (simulation.chance.fork(), simulation.chance.fork());
    let (network, mut log) = (simulation.network.clone(), simulation.log);
    let feeding = feed(&plan, feed_chance, &network);
    let ((), acknowledged) = tokio::join!(storm.run(weather_chance, &network, &mut log), feeding);

    // What a broken connection left behind may still arrive.
    tokio::time::sleep(Duration::from_secs(60)).await;
    check(&plan, &onlooker, &acknowledged).await;
}

/// Appends all records, in bursts, and waits for all acknowledgements.
async fn feed(
    plan: &Plan,
    mut chance: Chance,
    network: &connect_testkit::simulation::Network,
) -> Vec<Acknowledged> {
    let settings = ProducerSettings::parse(plan.properties.clone()).expect("good settings");
    let client = kafka_client::Client::new(
        settings.settings.connection.clone(),
        network.dial("producer"),
    );
    let (mut producer, mut acknowledgements) =
        Producer::new(client, &settings.settings).expect("a producer");
    let topic = producer.topic(TOPIC).await.expect("the topic is there");
    let mut acknowledged = Vec::new();
    let mut appended = vec![0; plan.partitions as usize];
    let mut left = plan.records;
    while left > 0 {
        let burst = chance.within(1..=left.min(40));
        for _ in 0..burst {
            let partition = chance.within(0..=plan.partitions as u64 - 1) as i32;
            let token = Token {
                stream: partition as u32,
                number: appended[partition as usize],
            };
            append(
                &mut producer,
                &mut acknowledgements,
                &mut acknowledged,
                topic,
                token,
            )
            .await;
            appended[partition as usize] += 1;
        }
        left -= burst;
        if chance.permille(500) {
            tokio::time::sleep(chance.millis(0..=3_000)).await;
        }
        if chance.permille(100) {
            producer.flush().await;
        }
        acknowledgements.try_recv(&mut acknowledged);
    }
    producer.flush().await;
    producer.close(Duration::from_secs(1)).await;
    while acknowledgements.recv(&mut acknowledged).await {}
    acknowledged
}

async fn append(
    producer: &mut Producer,
    acknowledgements: &mut Acknowledgements,
    acknowledged: &mut Vec<Acknowledged>,
    topic: Topic,
    token: Token,
) {
    let value = value_of(token);
    loop {
        let record = Record {
            topic,
            partition: Some(token.stream as i32),
            timestamp_ms: 1_767_225_600_000,
            key: None,
            value: Some(value.as_bytes()),
        };
        let outcome = producer.appender().append(&record, token);
        match outcome {
            Ok(partition) => return assert_eq!(partition, token.stream as i32),
            Err(AppendError::Full) => {
                // With `ready` alone there would never be room: seed 14 of the simulated source.
                let ready = producer.ready_and_take(acknowledgements, acknowledged);
                ready.await.expect("there is room in the end");
            }
            Err(AppendError::UnknownPartition(_)) => producer
                .await_partition(topic, token.stream as i32)
                .await
                .expect("the partition is there"),
            Err(error) => panic!("{token:?}: {error}"),
        }
    }
}

fn value_of(token: Token) -> String {
    format!("{} of partition {}", token.number, token.stream)
}

async fn check(plan: &Plan, onlooker: &Onlooker, acknowledged: &[Acknowledged]) {
    let mut count = 0;
    for partition in 0..plan.partitions {
        let log: Vec<String> = onlooker
            .read(TOPIC, partition)
            .await
            .into_iter()
            .map(|stored| {
                let value = stored.value.expect("each record has a value");
                String::from_utf8(value.to_vec()).expect("values are text")
            })
            .collect();
        let told = acknowledged
            .iter()
            .filter(|it| it.partition == partition)
            .flat_map(|it| {
                let written = it.result.as_ref();
                it.runs.tokens().enumerate().map(move |(at, token)| {
                    let written = written.map(|it| it.base_offset.map(|base| base + at as i64));
                    (token.number, written)
                })
            });
        let mut by_number = BTreeMap::new();
        for (number, written) in told {
            let before = by_number.insert(number, written);
            assert!(
                before.is_none(),
                "{number} of {partition} is acknowledged twice"
            );
        }
        count += by_number.len() as u64;
        check_partition(plan, partition, &log, &by_number);
    }
    assert_eq!(count, plan.records, "records that nobody told about");
}

fn check_partition(
    plan: &Plan,
    partition: i32,
    log: &[String],
    told: &BTreeMap<u64, Result<Option<i64>, &kafka_client::ClientError>>,
) {
    let mut offsets: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (offset, value) in log.iter().enumerate() {
        offsets.entry(value).or_default().push(offset);
    }
    let mut previous = None;
    for (number, written) in told {
        let value = value_of(Token {
            stream: partition as u32,
            number: *number,
        });
        let found = offsets.remove(value.as_str()).unwrap_or_default();
        if plan.delivery == Delivery::Idempotent {
            assert!(found.len() <= 1, "{value} is there at {found:?}");
        }
        let offset = match written {
            Ok(offset) => offset,
            Err(error) => {
                assert_eq!(plan.patience, Patience::Short, "{value} failed: {error}");
                continue;
            }
        };
        let Some(first) = found.first() else {
            panic!("{value} was acknowledged and is not in the log");
        };
        if let Some(offset) = offset {
            assert!(
                found.contains(&(*offset as usize)),
                "{value} was acknowledged at {offset} and is at {found:?}"
            );
        }
        if plan.delivery == Delivery::Idempotent || plan.in_flight == 1 {
            assert!(
                previous < Some(*first),
                "{value} is at {first}, the one before at {previous:?}"
            );
            previous = Some(*first);
        }
    }
    assert!(offsets.is_empty(), "nobody sent {offsets:?}");
}
