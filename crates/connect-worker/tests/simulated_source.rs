//! A source connector on a network where everything goes wrong, with thousands of seeds: offsets that
//! are stored, records that are in the log.
//!
//! Invariants: what is stored for a source partition never lies past the records that the log has;
//! after every crash and restart each record is there at least once, and those of a source partition
//! first occur in their order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use connect_api::connector::{Connector, ConnectorHandle};
use connect_api::data::{Map, Schema, Value};
use connect_api::{
    ConnectRecord, Plugin, Result, SourceConnector, SourceOffset, SourcePartition, SourceRecord,
    SourceTask, SourceTaskContext, async_trait,
};
use connect_backing_store::{MemoryOffsetBackingStore, OffsetBackingStore};
use connect_config::{ConfigDef, Properties, Secrets};
use connect_testkit::simulation::{
    Chance, Keep, Network, Onlooker, Scenario, Simulation, Storm, Trace,
};
use connect_worker::{
    ConnectorTaskId, Plugins, State, StatusListener, TargetState, Worker, WorkerConfig, WorkerParts,
};
use kafka_client::Client;
use tokio::runtime::Handle;
use tokio::sync::watch;

const TOPIC: &str = "lines";

const SOURCE: Scenario = Scenario {
    package: env!("CARGO_PKG_NAME"),
    suite: env!("CARGO_CRATE_NAME"),
    test: "stored_offsets_never_lie_past_the_log_and_nothing_is_lost",
    share: 200,
};

#[test]
fn stored_offsets_never_lie_past_the_log_and_nothing_is_lost() {
    SOURCE.run(source);
}

#[test]
fn a_seed_gives_the_same_events_each_time() {
    SOURCE.assert_repeats(0..15);
}

#[derive(Debug)]
struct Plan {
    /// Source partitions, each of which writes to the topic's partition of its number.
    partitions: i32,
    /// Of each source partition.
    lines: i64,
    worker: BTreeMap<&'static str, String>,
    connector: BTreeMap<&'static str, String>,
}

fn plan(chance: &mut Chance) -> Plan {
    let worker = BTreeMap::from([
        ("bootstrap.servers", "embedded:9092".to_owned()),
        ("key.converter", "StringConverter".to_owned()),
        ("value.converter", "StringConverter".to_owned()),
        ("offset.storage.file.filename", "none".to_owned()),
        (
            "offset.flush.interval.ms",
            chance.pick(&[20, 200, 2_000]).to_string(),
        ),
        (
            "task.shutdown.graceful.timeout.ms",
            chance.pick(&[0, 100, 5_000]).to_string(),
        ),
        ("producer.request.timeout.ms", "5000".to_owned()),
        (
            "producer.batch.size",
            chance.pick(&[0, 200, 16_384]).to_string(),
        ),
        (
            "producer.buffer.memory",
            chance.pick(&[4_000, 33_554_432]).to_string(),
        ),
    ]);
    let partitions = chance.within(1..=3);
    let lines = chance.within(20..=200);
    let connector = BTreeMap::from([
        ("name", "source".to_owned()),
        ("connector.class", "SimulatedSource".to_owned()),
        ("partitions", partitions.to_string()),
        ("lines", lines.to_string()),
    ]);
    Plan {
        partitions: partitions as i32,
        lines: lines as i64,
        worker,
        connector,
    }
}

/// What connectors take with them, in the order of the workers: plugins are made without arguments, and
/// a run has its process for itself.
static CHANCES: Mutex<VecDeque<Chance>> = Mutex::new(VecDeque::new());

async fn source(mut simulation: Simulation) {
    let plan = Arc::new(plan(&mut simulation.chance));
    simulation.trace.note(format_args!("{plan:?}"));
    let kills = simulation.chance.permille(300);
    let keep = if kills { Keep::OnDisk } else { Keep::InMemory };
    simulation.log.start(keep).await;
    let onlooker = Onlooker::new(&simulation.network);
    onlooker.create_topic(TOPIC, plan.partitions, &[]).await;

    let storm = Storm {
        lasts: simulation.chance.millis(2_000..=40_000),
        slow_max_ms: *simulation.chance.pick(&[50, 2_000, 12_000]),
        kills,
        jump_max: Duration::from_millis(*simulation.chance.pick(&[0, 20_000])),
    };
    let offsets = Arc::new(MemoryOffsetBackingStore::default());
    let (is_calm, calm) = watch::channel(false);
    let (weather_chance, mut chance) = (simulation.chance.fork(), simulation.chance.fork());
    let (network, mut log) = (simulation.network.clone(), simulation.log);
    let trace = simulation.trace.clone();
    let storming = async {
        storm.run(weather_chance, &network, &mut log).await;
        trace.note(format_args!("the storm is over"));
        is_calm.send_replace(true);
    };
    let working = async {
        while !*calm.borrow() {
            let lasts = chance.millis(100..=15_000);
            let mut life = Life::start(&plan, &network, &trace, &offsets, chance.fork()).await;
            _ = tokio::time::timeout(lasts, life.failed()).await;
            life.end().await;
            check(&plan, &trace, &stored(&offsets), &onlooker).await;
            tokio::time::sleep(chance.millis(0..=2_000)).await;
        }
        // The last worker has time enough.
        let mut life = Life::start(&plan, &network, &trace, &offsets, chance.fork()).await;
        tokio::select! {
            biased;
            failed = life.failed() => panic!("it fails in calm weather: {failed}"),
            waited = tokio::time::timeout(Duration::from_secs(600), all_stored(&plan, &offsets)) => {
                assert!(waited.is_ok(), "only this is stored: {:?}", stored(&offsets));
            }
        }
        life.end().await;
    };
    tokio::join!(storming, working);
    check(&plan, &trace, &stored(&offsets), &onlooker).await;
}

async fn all_stored(plan: &Plan, offsets: &MemoryOffsetBackingStore) {
    loop {
        let stored = stored(offsets);
        if (0..plan.partitions).all(|it| stored.get(&it) == Some(&plan.lines)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The last stored line of each source partition. Lines count from 1.
fn stored(offsets: &MemoryOffsetBackingStore) -> BTreeMap<i32, i64> {
    let number = |bytes: &[u8], before: &str| -> i64 {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (_, rest) = text.split_once(before).expect("as the source wrote it");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    let snapshot = offsets.snapshot();
    let stored = snapshot.iter().filter_map(|(key, value)| {
        let value = value.as_ref()?;
        let partition = number(key, "\"part\":") as i32;
        Some((partition, number(value, "\"line\":")))
    });
    stored.collect()
}

/// `stored` was there before the log is looked at.
async fn check(plan: &Plan, trace: &Trace, stored: &BTreeMap<i32, i64>, onlooker: &Onlooker) {
    trace.note(format_args!("stored: {stored:?}"));
    for partition in 0..plan.partitions {
        let mut next = 1;
        for record in onlooker.read(TOPIC, partition).await {
            let value = record.value.expect("each record has a value");
            let text = std::str::from_utf8(&value).expect("text");
            let line: i64 = text.parse().expect("a number");
            assert!(
                line <= next,
                "line {line} of {partition} comes before line {next}"
            );
            next = next.max(line + 1);
        }
        let stored = stored.get(&partition).copied().unwrap_or(0);
        assert!(
            stored < next,
            "line {stored} of {partition} is stored, and the log ends with {}",
            next - 1
        );
    }
}

/// A worker, from its start to its crash.
struct Life {
    worker: Worker,
    trace: Trace,
    failure: watch::Receiver<Option<String>>,
}

impl Life {
    async fn start(
        plan: &Plan,
        network: &Network,
        trace: &Trace,
        offsets: &Arc<MemoryOffsetBackingStore>,
        chance: Chance,
    ) -> Life {
        let mut plugins = Plugins::default();
        for (class, make) in connect_converters::converters() {
            plugins.converter(class, *make);
        }
        for (class, make) in connect_converters::header_converters() {
            plugins.header_converter(class, *make);
        }
        plugins.source::<SimulatedSource>();
        CHANCES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(chance);
        let settings = Properties::from_iter(plan.worker.clone());
        let config = WorkerConfig::read(&settings, &plugins, &Secrets::default());
        let (sender, failure) = watch::channel(None);
        let network = network.clone();
        let (mut worker, _requests) = Worker::new(WorkerParts {
            config: config.expect("a worker's configuration").0,
            plugins: Arc::new(plugins),
            offsets: offsets.clone(),
            connect: Arc::new(move |settings| Client::new(settings, network.dial("worker"))),
            listener: Arc::new(Listener {
                trace: trace.clone(),
                failure: sender,
            }),
            control: Handle::current(),
            data: Handle::current(),
        });
        worker.run_tasks_on(Handle::current());
        let connector = Properties::from_iter(plan.connector.clone());
        let started = worker.start_connector(connector, TargetState::Started);
        started.await.expect("started");
        Life {
            worker,
            trace: trace.clone(),
            failure,
        }
    }

    /// When its task has failed.
    async fn failed(&mut self) -> String {
        let failed = self.failure.wait_for(Option::is_some).await;
        let failed = failed.expect("the worker has its listener").clone();
        failed.expect("waited for")
    }

    /// With a short `task.shutdown.graceful.timeout.ms` a crash.
    async fn end(self) {
        self.trace.note(format_args!("the worker ends"));
        self.worker.stop().await;
    }
}

struct Listener {
    trace: Trace,
    failure: watch::Sender<Option<String>>,
}

impl StatusListener for Listener {
    fn connector_changed(&self, connector: &str, state: State) {
        self.trace
            .note(format_args!("{connector} {}", state.name()));
    }

    fn task_changed(&self, id: &ConnectorTaskId, state: State) {
        self.trace.note(format_args!("{id} {}", state.name()));
        if let State::Failed { trace, .. } = state {
            self.trace.note(format_args!("{trace}"));
            self.failure.send_replace(Some(trace));
        }
    }
}

/// Gives the lines of each source partition from the stored one on.
#[derive(Default)]
struct SimulatedSource(Properties);

impl Plugin for SimulatedSource {
    const CLASS: &'static str = "test.SimulatedSource";
}

#[async_trait]
impl Connector for SimulatedSource {
    fn config_def(&self) -> ConfigDef {
        ConfigDef::new()
    }

    async fn start(&mut self, _context: ConnectorHandle, config: &Properties) -> Result<()> {
        self.0 = config.clone();
        Ok(())
    }

    fn task_configs(&mut self, _max_tasks: usize) -> Result<Vec<Properties>> {
        Ok(vec![self.0.clone()])
    }

    async fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl SourceConnector for SimulatedSource {
    fn task_class(&self) -> &'static str {
        "test.SimulatedSourceTask"
    }

    fn new_task(&self) -> Box<dyn SourceTask> {
        let chance = CHANCES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        Box::new(SimulatedTask {
            chance: chance.expect("one for each worker"),
            lines: 0,
            given: Vec::new(),
        })
    }
}

struct SimulatedTask {
    chance: Chance,
    lines: i64,
    /// The last line of each source partition that was given.
    given: Vec<i64>,
}

#[async_trait]
impl SourceTask for SimulatedTask {
    async fn start(
        &mut self,
        context: Arc<dyn SourceTaskContext>,
        config: &Properties,
    ) -> Result<()> {
        let number = |key: &str| -> i64 {
            let text = config.get(key).expect("set by the scenario");
            text.parse().expect("a number")
        };
        self.lines = number("lines");
        for part in 0..number("partitions") {
            let reader = context.offset_storage_reader();
            let stored = reader.offset(&partition(part)).await?;
            let line = stored.and_then(|offset| match offset.get_str("line") {
                Some(Value::Int64(line)) => Some(*line),
                _ => None,
            });
            self.given.push(line.unwrap_or(0));
        }
        Ok(())
    }

    async fn poll(&mut self) -> Result<Option<Vec<SourceRecord>>> {
        tokio::time::sleep(self.chance.millis(0..=300)).await;
        let mut records = Vec::new();
        for _ in 0..self.chance.within(0..=10) {
            let part = self.chance.within(0..=self.given.len() as u64 - 1) as usize;
            if self.given[part] == self.lines {
                continue;
            }
            self.given[part] += 1;
            let line = self.given[part];
            let value = Value::from(line.to_string().as_str());
            let mut record = ConnectRecord::new(TOPIC, Some(Schema::STRING), value);
            record.kafka_partition = Some(part as i32);
            records.push(SourceRecord {
                record,
                source_partition: Some(partition(part as i64)),
                source_offset: Some(SourceOffset::Position("line", line)),
            });
        }
        Ok(Some(records))
    }

    async fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

fn partition(part: i64) -> SourcePartition {
    SourcePartition::new(Map::from_iter([(Value::text("part"), Value::Int64(part))]))
}
