//! A consumer group on a network where everything goes wrong, with thousands of seeds.
//!
//! Invariants: in one generation a partition has one owner at most; a member gets the records of a
//! partition without a gap, and begins behind what somebody was handed out already, so that each
//! record is delivered at least once; no committed offset is past what was delivered; once the storm
//! is over, the group shares all partitions again, and everything is delivered and committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connect_testkit::simulation::{
    Chance, Keep, Network, Onlooker, Scenario, Simulation, Storm, Trace,
};
use kafka_client::Client;
use kafka_client::consumer::{Consumer, PartitionRecords, Polled, TopicPartition};
use kafka_client::producer::{AppendError, Producer, Record, Token};
use kafka_client::settings::{ConsumerSettings, ProducerSettings};
use tokio::sync::watch;
use tokio::task::JoinSet;

const TOPIC: &str = "shared";
const GROUP: &str = "group";

const STRATEGY: &str = "partition.assignment.strategy";

/// After a storm, at the latest, everything is well again.
const RECOVERY: Duration = Duration::from_secs(600);

const GROUPS: Scenario = Scenario {
    package: env!("CARGO_PKG_NAME"),
    suite: env!("CARGO_CRATE_NAME"),
    test: "members_share_partitions_and_deliver_everything",
    share: 250,
};

#[test]
fn members_share_partitions_and_deliver_everything() {
    GROUPS.run(share);
}

#[test]
fn a_seed_gives_the_same_events_each_time() {
    GROUPS.assert_repeats(0..20);
}

/// What all members of a run have in common.
#[derive(Debug)]
struct Plan {
    members: u64,
    partitions: i32,
    /// Of each partition.
    records: u64,
    properties: BTreeMap<&'static str, String>,
    /// Whether a member keeps its place in the group when it comes back.
    is_static: bool,
    /// Whether members take longer than `max.poll.interval.ms` now and then.
    dawdles: bool,
}

fn plan(chance: &mut Chance) -> Plan {
    let strategy = *chance.pick(&[
        "range",
        "roundrobin",
        "sticky",
        "cooperative-sticky",
        "cooperative-sticky",
        "cooperative-sticky,range",
    ]);
    let session_ms = *chance.pick(&[6_000, 10_000, 20_000]);
    let properties = BTreeMap::from([
        ("bootstrap.servers", "embedded:9092".to_owned()),
        ("group.id", GROUP.to_owned()),
        ("auto.offset.reset", "earliest".to_owned()),
        (STRATEGY, strategy.to_owned()),
        ("session.timeout.ms", session_ms.to_string()),
        ("heartbeat.interval.ms", (session_ms / 3).to_string()),
        ("max.poll.interval.ms", "15000".to_owned()),
        ("max.poll.records", chance.pick(&[1, 3, 500]).to_string()),
        ("fetch.max.wait.ms", "500".to_owned()),
        ("enable.auto.commit", chance.permille(300).to_string()),
        ("auto.commit.interval.ms", "1000".to_owned()),
        ("request.timeout.ms", "8000".to_owned()),
        ("default.api.timeout.ms", "20000".to_owned()),
    ]);
    Plan {
        members: chance.within(2..=4),
        partitions: chance.within(1..=6) as i32,
        records: chance.within(10..=60),
        properties,
        is_static: chance.permille(250),
        dawdles: chance.permille(300),
    }
}

/// What everybody was told, as one sees it who sees everything.
#[derive(Debug, Default)]
struct Ledger {
    /// Offsets that were handed out, by partition.
    delivered: BTreeMap<i32, BTreeSet<i64>>,
    /// Who owns a partition in a generation.
    owners: BTreeMap<(i32, i32), String>,
    /// What each running member owns now.
    owned: BTreeMap<String, BTreeSet<i32>>,
}

impl Ledger {
    /// All offsets below this were delivered.
    fn delivered_below(&self, partition: i32) -> i64 {
        let delivered = self.delivered.get(&partition);
        let mut offsets = delivered.into_iter().flatten();
        (0..)
            .find(|expected| offsets.next() != Some(expected))
            .expect("offsets are finite")
    }
}

#[derive(Clone)]
struct World {
    plan: Arc<Plan>,
    ledger: Arc<Mutex<Ledger>>,
    network: Network,
    trace: Trace,
    /// Whether the storm is over.
    calm: watch::Receiver<bool>,
}

impl World {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn share(mut simulation: Simulation) {
    let plan = Arc::new(plan(&mut simulation.chance));
    simulation.trace.note(format_args!("{plan:?}"));
    let kills = simulation.chance.permille(300);
    let keep = if kills { Keep::OnDisk } else { Keep::InMemory };
    let delay = simulation.chance.millis(0..=1_000);
    simulation.log.initial_rebalance_delay(delay);
    simulation.log.start(keep).await;
    let onlooker = Onlooker::new(&simulation.network);
    onlooker.create_topic(TOPIC, plan.partitions, &[]).await;

    let (is_calm, calm) = watch::channel(false);
    let world = World {
        plan: plan.clone(),
        ledger: Arc::default(),
        network: simulation.network.clone(),
        trace: simulation.trace.clone(),
        calm,
    };
    let mut members = JoinSet::new();
    for number in 0..plan.members {
        let chance = simulation.chance.fork();
        members.spawn(member(world.clone(), format!("m{number}"), chance));
    }
    let storm = Storm {
        lasts: simulation.chance.millis(5_000..=60_000),
        slow_max_ms: *simulation.chance.pick(&[50, 2_000, 12_000]),
        kills,
        jump_max: Duration::from_millis(*simulation.chance.pick(&[0, 20_000])),
    };
    let (weather_chance, feed_chance) = (simulation.chance.fork(), simulation.chance.fork());
    let mut log = simulation.log;
    tokio::join!(
        storm.run(weather_chance, &world.network, &mut log),
        feed(&plan, feed_chance, &world.network)
    );
    world.trace.note(format_args!("the storm is over"));
    is_calm.send_replace(true);
    if plan.is_static && plan.properties[STRATEGY].contains("cooperative") {
        let chance = simulation.chance.fork();
        members.spawn(visitor(world.clone(), chance));
        members
            .join_next()
            .await
            .expect("the visitor")
            .expect("no panic");
    }

    let recovered = recover(&world, &onlooker);
    tokio::select! {
        biased;
        ended = members.join_next() => panic!("a member ended: {ended:?}"),
        recovered = tokio::time::timeout(RECOVERY, recovered) => {
            if recovered.is_err() {
                let committed = onlooker.committed(GROUP).await;
                panic!(
                    "the group does not recover: committed {committed:?}, owned {:?}",
                    world.ledger().owned
                );
            }
        }
    }
}

/// One line of partition after partition, in bursts, past the weather.
async fn feed(plan: &Plan, mut chance: Chance, network: &Network) {
    let settings = ProducerSettings::parse([
        ("bootstrap.servers", "embedded:9092"),
        ("key.serializer", "bytes"),
        ("value.serializer", "bytes"),
        ("delivery.timeout.ms", "3600000"),
        ("max.block.ms", "3600000"),
    ]);
    let settings = settings.expect("good settings").settings;
    let client = Client::new(settings.connection.clone(), network.calm_dial("feeder"));
    let (mut producer, mut acknowledgements) =
        Producer::new(client, &settings).expect("a producer");
    let topic = producer.topic(TOPIC).await.expect("the topic is there");
    let mut acknowledged = Vec::new();
    for number in 0..plan.records {
        for partition in 0..plan.partitions {
            let value = format!("{number} of {partition}");
            let record = Record {
                topic,
                partition: Some(partition),
                timestamp_ms: 1_767_225_600_000,
                key: None,
                value: Some(value.as_bytes()),
            };
            let token = Token { stream: 0, number };
            let appended = producer.appender().append(&record, token);
            match appended {
                Ok(_) => {}
                Err(AppendError::Full) => panic!("32 MiB are plenty"),
                Err(error) => panic!("{value}: {error}"),
            }
        }
        if chance.permille(200) {
            tokio::time::sleep(chance.millis(0..=4_000)).await;
        }
        acknowledgements.try_recv(&mut acknowledged);
    }
    producer.flush().await;
    acknowledgements.try_recv(&mut acknowledged);
    for acknowledged in acknowledged {
        acknowledged.result.expect("there is time enough");
    }
}

/// Until everything is delivered and committed, and shared among all members.
async fn recover(world: &World, onlooker: &Onlooker) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let committed = onlooker.committed(GROUP).await;
        let ledger = world.ledger();
        for (topic, partition, offset) in &committed {
            assert_eq!(topic, TOPIC);
            let delivered = ledger.delivered_below(*partition);
            assert!(
                *offset <= delivered,
                "partition {partition} is committed up to {offset} and delivered up to {delivered}"
            );
        }
        let all = world.plan.records as i64;
        let partitions = world.plan.partitions;
        let delivered = (0..partitions).all(|partition| ledger.delivered_below(partition) == all);
        let committed = committed.len() == partitions as usize
            && committed.iter().all(|(_, _, offset)| *offset == all);
        let owners: Vec<i32> = ledger.owned.values().flatten().copied().collect();
        let shared = owners.len() == partitions as usize
            && owners.iter().collect::<BTreeSet<_>>().len() == owners.len();
        if delivered && committed && shared && ledger.owned.len() == world.plan.members as usize {
            return;
        }
    }
}

/// One member, which comes and goes until the storm is over, and stays from then on.
async fn member(world: World, name: String, mut chance: Chance) {
    for life in 0.. {
        let calm = *world.calm.borrow();
        if !calm && chance.permille(500) {
            tokio::time::sleep(chance.millis(0..=10_000)).await;
        }
        let mut consumer = consumer(&world, &name, world.plan.is_static);
        let mut life = Life {
            world: world.clone(),
            name: name.clone(),
            who: format!("{name}/{life}"),
            next: BTreeMap::new(),
            chance: chance.fork(),
        };
        let lasts = chance.millis(500..=40_000);
        let mut calm = world.calm.clone();
        let lived = tokio::time::timeout(lasts, life.live(&mut consumer)).await;
        if lived.is_err() && *calm.borrow_and_update() {
            life.live(&mut consumer).await;
        }
        world.ledger().owned.remove(&name);
        match chance.permille(500) {
            true => {
                world.trace.note(format_args!("{} crashes", life.who));
                drop(consumer);
            }
            false => {
                world.trace.note(format_args!("{} leaves", life.who));
                // What it could not commit comes again elsewhere.
                _ = consumer.close(Duration::from_secs(5)).await;
            }
        }
    }
}

/// A member for a while, which makes the group share again.
///
/// A static member of Kafka that crashes while it should give a partition up comes back without it,
/// into the same generation. So it has nothing to give up and asks for no rebalance, and the partition
/// that the leader held back for its next owner has none until the next rebalance, whatever causes it.
async fn visitor(world: World, mut chance: Chance) {
    let name = "visitor";
    let mut consumer = consumer(&world, name, false);
    let mut life = Life {
        world: world.clone(),
        name: name.to_owned(),
        who: name.to_owned(),
        next: BTreeMap::new(),
        chance: chance.fork(),
    };
    let visit = Duration::from_secs(30);
    _ = tokio::time::timeout(visit, life.live(&mut consumer)).await;
    world.ledger().owned.remove(name);
    // What it could not commit comes again elsewhere.
    _ = consumer.close(Duration::from_secs(5)).await;
}

fn consumer(world: &World, name: &str, is_static: bool) -> Consumer {
    let mut properties = world.plan.properties.clone();
    properties.insert("client.id", name.to_owned());
    if is_static {
        properties.insert("group.instance.id", name.to_owned());
    }
    let settings = ConsumerSettings::parse(properties).expect("good settings");
    let settings = settings.settings;
    let client = Client::new(settings.connection.clone(), world.network.dial(name));
    let control = tokio::runtime::Handle::current();
    let mut consumer = Consumer::with_client(client, settings, control);
    consumer.subscribe([TOPIC]).expect("a group is set");
    consumer
}

/// A member from its start to its end.
struct Life {
    world: World,
    name: String,
    who: String,
    /// Behind what it got, by partition.
    next: BTreeMap<i32, i64>,
    chance: Chance,
}

impl Life {
    /// Ends only with an error that a person would have to look at.
    async fn live(&mut self, consumer: &mut Consumer) {
        loop {
            let polled = match consumer.poll(Duration::from_millis(700)).await {
                Ok(polled) => polled,
                Err(error) => {
                    self.world.trace.note(format_args!("{}: {error}", self.who));
                    return;
                }
            };
            match polled {
                Polled::Records(records) => {
                    for records in &records {
                        self.take(records);
                    }
                    self.work(consumer).await;
                }
                Polled::Revoking(partitions) => {
                    self.note("revoking", &partitions);
                    if self.chance.permille(700) {
                        self.commit(consumer).await;
                    }
                    self.give_up(&partitions);
                }
                Polled::Assigned(partitions) => {
                    self.note("assigned", &partitions);
                    for partition in &partitions {
                        self.next.remove(&partition.partition);
                    }
                    self.own(consumer);
                }
                Polled::Lost(partitions) => {
                    self.note("lost", &partitions);
                    self.give_up(&partitions);
                }
                Polled::Nothing if self.chance.permille(100) => self.commit(consumer).await,
                Polled::Nothing => {}
            }
        }
    }

    fn note(&self, what: &str, partitions: &[TopicPartition]) {
        let mut numbers: Vec<i32> = partitions.iter().map(|it| it.partition).collect();
        numbers.sort_unstable();
        let who = &self.who;
        self.world
            .trace
            .note(format_args!("{who} {what} {numbers:?}"));
    }

    fn take(&mut self, records: &PartitionRecords) {
        let partition = records.topic_partition().partition;
        let mut ledger = self.world.ledger();
        for record in records.iter() {
            let record = record.expect("good records");
            let value = String::from_utf8_lossy(record.value.expect("each has a value"));
            assert_eq!(value, format!("{} of {partition}", record.offset));
            match self.next.insert(partition, record.offset + 1) {
                Some(next) => assert_eq!(
                    record.offset, next,
                    "{} has a gap in partition {partition}",
                    self.who
                ),
                None => {
                    let delivered = ledger.delivered_below(partition);
                    assert!(
                        record.offset <= delivered,
                        "{} begins partition {partition} at {}, and only {delivered} were delivered",
                        self.who,
                        record.offset
                    );
                }
            }
            let delivered = ledger.delivered.entry(partition).or_default();
            delivered.insert(record.offset);
        }
    }

    /// Takes its time with what it got, and commits or does not.
    async fn work(&mut self, consumer: &mut Consumer) {
        let time = match self.world.plan.dawdles && self.chance.permille(30) {
            true => self.chance.millis(10_000..=40_000),
            false => self.chance.millis(0..=50),
        };
        tokio::time::sleep(time).await;
        match self.chance.within(0..=3) {
            0 => self.commit(consumer).await,
            1 | 2 => drop(consumer.commit_async(consumer.consumed())),
            _ => {}
        }
    }

    async fn commit(&mut self, consumer: &mut Consumer) {
        let offsets = consumer.consumed();
        match consumer.commit_sync(offsets).await {
            Ok(()) => {}
            Err(error) => {
                let who = &self.who;
                self.world
                    .trace
                    .note(format_args!("{who} could not commit: {error}"));
            }
        }
    }

    fn own(&mut self, consumer: &Consumer) {
        let group = consumer.group_metadata().expect("it is in a group");
        let mut ledger = self.world.ledger();
        // A static member that comes back keeps its place in the same generation.
        let owner = match self.world.plan.is_static {
            true => &self.name,
            false => &self.who,
        };
        let owned: BTreeSet<i32> = consumer
            .assignment()
            .into_iter()
            .map(|it| it.partition)
            .collect();
        for partition in &owned {
            let place = (group.generation_id, *partition);
            let before = ledger.owners.insert(place, owner.clone());
            assert!(
                group.generation_id < 0 || before.as_ref().is_none_or(|before| before == owner),
                "generation {}: partition {partition} has two owners, {before:?} and {owner}",
                group.generation_id
            );
        }
        ledger.owned.insert(self.name.clone(), owned);
    }

    fn give_up(&mut self, partitions: &[TopicPartition]) {
        let mut ledger = self.world.ledger();
        let owned = ledger.owned.entry(self.name.clone()).or_default();
        for partition in partitions {
            self.next.remove(&partition.partition);
            owned.remove(&partition.partition);
        }
    }
}
