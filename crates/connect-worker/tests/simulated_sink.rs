//! A sink connector on a network where everything goes wrong, with thousands of seeds.
//!
//! Invariants: `put` gets the records of a partition without a gap, and begins no later than behind
//! what was written already; the committed offset never lies past what the task has written; in the
//! end every record is written at least once.

mod simulated;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connect_api::connector::{Connector, ConnectorHandle};
use connect_api::{
    ConnectError, Offsets, Plugin, Result, SinkConnector, SinkRecord, SinkTask, SinkTaskContext,
    TopicPartition, async_trait,
};
use connect_backing_store::MemoryOffsetBackingStore;
use connect_config::{ConfigDef, Properties};
use connect_testkit::simulation::{Chance, Keep, Onlooker, Scenario, Simulation, Storm};
use kafka_client::producer::{Producer, Record, Token};
use kafka_client::settings::ProducerSettings;
use simulated::{Life, Ways};
use tokio::sync::watch;

const TOPIC: &str = "lines";
const GROUP: &str = "connect-sink";

const SINK: Scenario = Scenario {
    package: env!("CARGO_PKG_NAME"),
    suite: env!("CARGO_CRATE_NAME"),
    test: "committed_offsets_never_lie_past_what_was_written",
    share: 100,
};

#[test]
fn committed_offsets_never_lie_past_what_was_written() {
    SINK.run(sink);
}

#[test]
fn a_seed_gives_the_same_events_each_time() {
    SINK.assert_repeats(0..10);
}

#[derive(Debug)]
struct Plan {
    partitions: i32,
    /// Of each partition.
    lines: i64,
    worker: BTreeMap<&'static str, String>,
    connector: BTreeMap<&'static str, String>,
}

fn plan(chance: &mut Chance) -> Plan {
    let flush_ms = *chance.pick(&[50, 500, 3_000]);
    let graceful_ms = *chance.pick(&[0, 100, 5_000]);
    let strategy = *chance.pick(&["range", "cooperative-sticky"]);
    let worker = BTreeMap::from([
        ("bootstrap.servers", "embedded:9092".to_owned()),
        ("key.converter", "StringConverter".to_owned()),
        ("value.converter", "StringConverter".to_owned()),
        ("offset.storage.file.filename", "none".to_owned()),
        ("offset.flush.interval.ms", flush_ms.to_string()),
        ("task.shutdown.graceful.timeout.ms", graceful_ms.to_string()),
        (
            "consumer.partition.assignment.strategy",
            strategy.to_owned(),
        ),
        ("consumer.session.timeout.ms", "10000".to_owned()),
        ("consumer.request.timeout.ms", "8000".to_owned()),
        (
            "consumer.max.poll.records",
            chance.pick(&[1, 5, 500]).to_string(),
        ),
    ]);
    let connector = BTreeMap::from([
        ("name", "sink".to_owned()),
        ("connector.class", "SimulatedSink".to_owned()),
        ("topics", TOPIC.to_owned()),
        ("tasks.max", chance.within(1..=3).to_string()),
    ]);
    Plan {
        partitions: chance.within(1..=4) as i32,
        lines: chance.within(10..=80) as i64,
        worker,
        connector,
    }
}

/// What the other side has, by partition. A run has its process for itself.
static WRITTEN: Mutex<BTreeMap<i32, BTreeSet<i64>>> = Mutex::new(BTreeMap::new());

fn written() -> MutexGuard<'static, BTreeMap<i32, BTreeSet<i64>>> {
    WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All offsets below this are written.
fn written_below(partition: i32) -> i64 {
    let written = written();
    let mut offsets = written.get(&partition).into_iter().flatten();
    (0..)
        .find(|expected| offsets.next() != Some(expected))
        .expect("offsets are finite")
}

async fn sink(mut simulation: Simulation) {
    let plan = Arc::new(plan(&mut simulation.chance));
    simulation.trace.note(format_args!("{plan:?}"));
    let kills = simulation.chance.permille(300);
    let keep = if kills { Keep::OnDisk } else { Keep::InMemory };
    simulation.log.start(keep).await;
    let onlooker = Onlooker::new(&simulation.network);
    onlooker.create_topic(TOPIC, plan.partitions, &[]).await;

    let storm = Storm {
        lasts: simulation.chance.millis(5_000..=60_000),
        slow_max_ms: *simulation.chance.pick(&[50, 2_000, 12_000]),
        kills,
        jump_max: Duration::from_millis(*simulation.chance.pick(&[0, 20_000])),
    };
    let (is_calm, calm) = watch::channel(false);
    let (weather_chance, mut chance) = (simulation.chance.fork(), simulation.chance.fork());
    let feed_chance = simulation.chance.fork();
    let (network, mut log) = (simulation.network.clone(), simulation.log);
    let trace = simulation.trace.clone();
    let ways = Ways {
        network: network.clone(),
        trace: trace.clone(),
        offsets: Arc::new(MemoryOffsetBackingStore::default()),
        worker: plan.worker.clone(),
        connector: plan.connector.clone(),
        plugin: |plugins| _ = plugins.sink::<SimulatedSink>(),
    };
    let storming = async {
        tokio::join!(
            storm.run(weather_chance, &network, &mut log),
            feed(&plan, &network, feed_chance)
        );
        trace.note(format_args!("the storm is over"));
        is_calm.send_replace(true);
    };
    let working = async {
        while !*calm.borrow() {
            let lasts = chance.millis(500..=30_000);
            let mut life = Life::start(&ways, "worker", chance.fork()).await;
            _ = tokio::time::timeout(lasts, life.failed()).await;
            life.end().await;
            check(&plan, &onlooker).await;
            tokio::time::sleep(chance.millis(0..=2_000)).await;
        }
        // The last worker has time enough.
        let mut life = Life::start(&ways, "worker", chance.fork()).await;
        tokio::select! {
            biased;
            failed = life.failed() => panic!("it fails in calm weather: {failed}"),
            waited = tokio::time::timeout(Duration::from_secs(600), all_committed(&plan, &onlooker)) => {
                assert!(waited.is_ok(), "not all is committed: {:?}", onlooker.committed(GROUP).await);
            }
        }
        life.end().await;
    };
    tokio::join!(storming, working);
    check(&plan, &onlooker).await;
}

async fn all_committed(plan: &Plan, onlooker: &Onlooker) {
    loop {
        let committed = check(plan, onlooker).await;
        if committed.len() == plan.partitions as usize
            && committed.values().all(|offset| *offset == plan.lines)
        {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn check(plan: &Plan, onlooker: &Onlooker) -> BTreeMap<i32, i64> {
    let mut committed = BTreeMap::new();
    for (topic, partition, offset) in onlooker.committed(GROUP).await {
        assert_eq!(topic, TOPIC);
        assert!(partition < plan.partitions);
        let written = written_below(partition);
        assert!(
            offset <= written,
            "partition {partition} is committed up to {offset} and written up to {written}"
        );
        committed.insert(partition, offset);
    }
    committed
}

/// Line after line into each partition, past the weather.
async fn feed(plan: &Plan, network: &connect_testkit::simulation::Network, mut chance: Chance) {
    let settings = ProducerSettings::parse([
        ("bootstrap.servers", "embedded:9092"),
        ("key.serializer", "bytes"),
        ("value.serializer", "bytes"),
        ("delivery.timeout.ms", "3600000"),
        ("max.block.ms", "3600000"),
    ]);
    let settings = settings.expect("good settings").settings;
    let client =
        kafka_client::Client::new(settings.connection.clone(), network.calm_dial("feeder"));
    let (mut producer, mut acknowledgements) =
        Producer::new(client, &settings).expect("a producer");
    let topic = producer.topic(TOPIC).await.expect("the topic is there");
    for line in 0..plan.lines {
        for partition in 0..plan.partitions {
            let value = format!("{line} of {partition}");
            let record = Record {
                topic,
                partition: Some(partition),
                timestamp_ms: 1_767_225_600_000,
                key: None,
                value: Some(value.as_bytes()),
            };
            let token = Token {
                stream: partition as u32,
                number: line as u64,
            };
            let appended = producer.appender().append(&record, token);
            appended.expect("32 MiB are plenty");
        }
        if chance.permille(200) {
            tokio::time::sleep(chance.millis(0..=4_000)).await;
        }
    }
    producer.flush().await;
    let mut acknowledged = Vec::new();
    acknowledgements.try_recv(&mut acknowledged);
    for acknowledged in acknowledged {
        acknowledged.result.expect("there is time enough");
    }
}

#[derive(Default)]
struct SimulatedSink(Properties);

impl Plugin for SimulatedSink {
    const CLASS: &'static str = "test.SimulatedSink";
}

#[async_trait]
impl Connector for SimulatedSink {
    fn config_def(&self) -> ConfigDef {
        ConfigDef::new()
    }

    async fn start(&mut self, _context: ConnectorHandle, config: &Properties) -> Result<()> {
        self.0 = config.clone();
        Ok(())
    }

    fn task_configs(&mut self, max_tasks: usize) -> Result<Vec<Properties>> {
        Ok(vec![self.0.clone(); max_tasks])
    }

    async fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl SinkConnector for SimulatedSink {
    fn task_class(&self) -> &'static str {
        "test.SimulatedSinkTask"
    }

    fn new_task(&self) -> Box<dyn SinkTask> {
        Box::new(SimulatedTask {
            chance: simulated::task_chance(),
            next: BTreeMap::new(),
            held: Vec::new(),
        })
    }
}

/// Writes what it gets at once or when it is told to flush, and fails now and then.
struct SimulatedTask {
    chance: Chance,
    /// Behind what it took, by partition.
    next: BTreeMap<i32, i64>,
    /// Taken and not written yet.
    held: Vec<(i32, i64)>,
}

impl SimulatedTask {
    fn write_held(&mut self) {
        let mut written = written();
        for (partition, offset) in self.held.drain(..) {
            written.entry(partition).or_default().insert(offset);
        }
    }

    fn forget(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.next.remove(&partition.partition);
            self.held.retain(|(held, _)| *held != partition.partition);
        }
    }
}

#[async_trait]
impl SinkTask for SimulatedTask {
    async fn start(
        &mut self,
        _context: Arc<dyn SinkTaskContext>,
        _config: &Properties,
    ) -> Result<()> {
        Ok(())
    }

    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.forget(partitions);
        Ok(())
    }

    async fn put(&mut self, records: &[SinkRecord]) -> Result<()> {
        if self.chance.permille(300) {
            tokio::time::sleep(self.chance.millis(0..=200)).await;
        }
        if !records.is_empty() && self.chance.permille(50) {
            return Err(ConnectError::retriable("told to"));
        }
        for record in records {
            let partition = record.kafka_partition.expect("it comes from one");
            let offset = record.kafka_offset;
            let value = record.value.as_str().expect("text");
            assert_eq!(value, format!("{offset} of {partition}"));
            match self.next.insert(partition, offset + 1) {
                Some(next) => assert_eq!(offset, next, "a gap in partition {partition}"),
                None => {
                    let below = written_below(partition);
                    assert!(
                        offset <= below,
                        "{offset} of {partition} comes, {below} is missing"
                    );
                }
            }
            self.held.push((partition, offset));
        }
        if self.chance.permille(500) {
            self.write_held();
        }
        Ok(())
    }

    async fn flush(&mut self, _offsets: &Offsets) -> Result<()> {
        if self.chance.permille(200) {
            tokio::time::sleep(self.chance.millis(0..=500)).await;
        }
        self.write_held();
        Ok(())
    }

    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.forget(partitions);
        Ok(())
    }

    async fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}
