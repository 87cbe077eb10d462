//! What a record costs in a chain of transforms: CPU time, with schemas and without.
//!
//! `cargo run --release -p connect-transforms --example transform_cost [records]`
//!
//! `bench/transform-cost/TransformCost.java` does the same with the Java classes: the same records, the same chain,
//! the same way of measuring. Records are made a batch at a time, run through the chain and dropped; what making and
//! dropping them costs without the chain is measured first and taken off.

use connect_api::data::{
    Keys, Map, SPARE_FIELDS, Schema, SchemaBuilder, SharedSlice, Str, Struct, Type, Value, logical,
};
use connect_api::{ConnectRecord, Origin, TimestampType, TopicName, Transformation};
use connect_config::Properties;
use connect_transforms::transformations;
use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many as a task is given at once.
const BATCH: usize = 500;

/// The chain, each step with its settings.
const CHAIN: &[(&str, &[(&str, &str)])] = &[
    (
        "InsertField$Value",
        &[
            ("topic.field", "topic"),
            ("partition.field", "partition"),
            ("timestamp.field", "inserted"),
            ("static.field", "site"),
            ("static.value", "ams"),
        ],
    ),
    (
        "ReplaceField$Value",
        &[("exclude", "city"), ("renames", "name:customer")],
    ),
    (
        "TimestampConverter$Value",
        &[
            ("field", "ts"),
            ("target.type", "string"),
            ("format", "yyyy-MM-dd'T'HH:mm:ss.SSS"),
        ],
    ),
    ("Cast$Value", &[("spec", "id:string,amount:int64")]),
    ("ValueToKey", &[("fields", "id")]),
];

fn main() {
    let records = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let records: usize = records.unwrap_or(2_000_000);
    for (name, make) in [
        ("with schemas", with_schemas as fn() -> Maker),
        ("without schemas", without_schemas),
    ] {
        let mut chain = chain();
        // Once to warm up, as on the other side.
        measure(records / 4, make(), &mut chain);
        let without = measure(records, make(), &mut []);
        let with = measure(records, make(), &mut chain);
        println!(
            "millstream {name}: {records} records, {:.3} CPU seconds, {:.0} ns per record",
            with - without,
            (with - without) * 1e9 / records as f64
        );
    }
    steps(records / 4);
}

/// What each transform costs by itself on the record that the ones before it left.
fn steps(records: usize) {
    for (name, make) in [
        ("with schemas", with_schemas as fn() -> Maker),
        ("without schemas", without_schemas),
    ] {
        let mut last = measure(records, make(), &mut []);
        for (i, (step, _)) in CHAIN.iter().enumerate() {
            let mut part = chain();
            part.truncate(i + 1);
            let cost = (0..3).map(|_| measure(records, make(), &mut part));
            let cost = cost.fold(f64::MAX, f64::min);
            println!(
                "  {name}, {step}: {:.0} ns",
                (cost - last) * 1e9 / records as f64
            );
            last = cost;
        }
    }
}

fn chain() -> Vec<Box<dyn Transformation>> {
    let steps = CHAIN.iter().map(|(name, settings)| {
        let class = format!("org.apache.kafka.connect.transforms.{name}");
        let entry = transformations().find(|(known, _)| *known == class);
        let (_, make) = entry.expect("the registry has it");
        let mut transform = make();
        let settings = Properties::from_iter(settings.iter().copied());
        transform.configure(&settings).expect("good settings");
        transform
    });
    steps.collect()
}

type Maker = Box<dyn FnMut(usize) -> ConnectRecord>;

/// CPU seconds of this thread.
fn measure(records: usize, mut make: Maker, chain: &mut [Box<dyn Transformation>]) -> f64 {
    let mut batch = Vec::with_capacity(BATCH);
    let start = cpu_seconds();
    let mut done = 0;
    while done < records {
        batch.extend((done..done + BATCH).map(&mut make));
        for record in &mut batch {
            for transform in chain.iter_mut() {
                let origin = Origin::Sink {
                    kafka_offset: 0,
                    timestamp_type: TimestampType::CreateTime,
                    original: None,
                };
                transform.apply(record, origin).expect("a good record");
            }
        }
        black_box(&batch);
        batch.clear();
        done += BATCH;
    }
    cpu_seconds() - start
}

/// Time on the processor where Linux tells it, else time on the clock.
fn cpu_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = told.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    match told {
        Some(ns) => ns as f64 / 1e9,
        None => {
            static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
            START.get_or_init(Instant::now).elapsed().as_secs_f64()
        }
    }
}

fn record(topic: &TopicName, i: usize, schema: Option<Schema>, value: Value) -> ConnectRecord {
    ConnectRecord {
        kafka_partition: Some(3),
        timestamp: Some(1_700_000_000_000 + i as i64),
        ..ConnectRecord::new(topic.clone(), schema, value)
    }
}

/// As converters hand them out: texts are parts of one buffer, and there is room for fields to come.
fn values(i: usize, ts: Value, texts: &impl Fn(Range<usize>) -> Str) -> Vec<Value> {
    let mut values = Vec::with_capacity(FIELDS.len() + SPARE_FIELDS);
    values.extend([
        Value::Int64(100_000 + i as i64),
        Value::String(texts(0..8)),
        Value::Float64((i % 1000) as f64 + 0.5),
        Value::Boolean(i.is_multiple_of(2)),
        Value::String(texts(10..19)),
        ts,
    ]);
    values
}

const FIELDS: [&str; 6] = ["id", "name", "amount", "active", "city", "ts"];

fn texts() -> impl Fn(Range<usize>) -> Str {
    let fetched = "customer, Amsterdam, and whatever else was fetched";
    let fetched = Str::from(fetched).into_bytes();
    move |part| {
        let text = std::str::from_utf8(&fetched[part]).expect("a text");
        SharedSlice::whole(&fetched).share_str(text)
    }
}

fn with_schemas() -> Maker {
    let timestamp = logical::timestamp().build().expect("a schema");
    let types = [
        Schema::INT64,
        Schema::OPTIONAL_STRING,
        Schema::OPTIONAL_FLOAT64,
        Schema::OPTIONAL_BOOLEAN,
        Schema::OPTIONAL_STRING,
        timestamp,
    ];
    let builder = SchemaBuilder::new(Type::Struct).name("customers.Value");
    let fields = FIELDS.into_iter().zip(types);
    let builder = fields.fold(builder, |builder, (name, schema)| {
        builder.field(name, schema)
    });
    let schema = builder.build().expect("a schema").interned();
    let (topic, texts) = (TopicName::from("customers").interned(), texts());
    Box::new(move |i| {
        let ts = Value::Timestamp(1_700_000_000_000 + i as i64);
        let value = Struct::of_values(schema.clone(), values(i, ts, &texts));
        record(&topic, i, Some(schema.clone()), Value::Struct(value))
    })
}

fn without_schemas() -> Maker {
    let keys = FIELDS.into_iter().map(Value::from).collect();
    let keys = Keys::interned(keys);
    let (topic, texts) = (TopicName::from("customers").interned(), texts());
    Box::new(move |i| {
        let ts = Value::Int64(1_700_000_000_000 + i as i64);
        let map = Map::of_interned_shape(&keys, values(i, ts, &texts));
        record(&topic, i, None, Value::Map(map))
    })
}
