//! What a record costs in a converter: nanoseconds and allocations.
//!
//! `cargo run --release -p connect-converters --example converter_cost [part of a name]`
//!
//! Records come as the consumer hands them out: slices of one fetched buffer, read a batch at a time. Each line
//! is the best of several rounds.

use bytes::Bytes;
use connect_api::data::{Schema, SchemaAndValue, SchemaBuilder, SharedSlice, Struct, Value};
use connect_api::{Converter, ConverterType};
use connect_config::Properties;
use connect_converters::{JsonConverter, StringConverter};
use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is left to mimalloc.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(u64::from(counting()), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { mimalloc::MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(u64::from(counting()), Ordering::Relaxed);
        // SAFETY: as the caller promised.
        unsafe { mimalloc::MiMalloc.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// Counting costs, so it is done in a round of its own.
static COUNTING: AtomicU64 = AtomicU64::new(0);

fn counting() -> bool {
    COUNTING.load(Ordering::Relaxed) == 1
}

const RECORDS: usize = 10_000;
const BATCH: usize = 500;
const ROUNDS: usize = 200;

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    println!(
        "{:<44} {:>6} {:>10} {:>12}",
        "per record", "bytes", "ns", "allocations"
    );
    let cases = cases();
    let exact = cases.iter().any(|case| case.name == filter);
    for case in cases {
        if case.name == filter || !exact && case.name.contains(&filter) {
            case.run();
        }
    }
}

struct Case {
    name: String,
    bytes: usize,
    round: Box<dyn FnMut()>,
}

impl Case {
    fn run(mut self) {
        (self.round)();
        let mut best = Duration::MAX;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            (self.round)();
            best = best.min(start.elapsed());
        }
        COUNTING.store(1, Ordering::Relaxed);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (self.round)();
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        COUNTING.store(0, Ordering::Relaxed);
        let per = |total: f64| total / RECORDS as f64;
        println!(
            "{:<44} {:>6} {:>10.1} {:>12.2}",
            self.name,
            self.bytes,
            per(best.as_nanos() as f64),
            per(allocations as f64)
        );
    }
}

fn payload(i: usize) -> String {
    format!(
        r#"{{"id":{},"name":"customer-{i}","amount":{}.5,"active":{},"city":"Amsterdam","ts":{}}}"#,
        100_000 + i,
        i % 1000,
        i.is_multiple_of(2),
        1_700_000_000_000u64 + i as u64
    )
}

/// As Python's `json.dumps` puts blanks.
fn spaced(i: usize) -> String {
    let text = payload(i).replace(":", ": ").replace(",\"", ", \"");
    assert!(text.contains("\"id\": 1"));
    text
}

/// Every third record has a member less, every fifth one more.
fn changing(i: usize) -> String {
    let mut text = payload(i);
    if i.is_multiple_of(3) {
        text = text.replace(r#","city":"Amsterdam""#, "");
    }
    if i.is_multiple_of(5) {
        text = text.replace(r#","ts""#, r#","note":"new","ts""#);
    }
    text
}

fn nested(i: usize) -> String {
    format!(
        r#"{{"order":{i},"customer":{{"id":{i},"address":{{"city":"Utrecht","zip":"3511 AB"}}}},"lines":[{{"sku":"a-{i}","qty":1,"price":9.99}},{{"sku":"b-{i}","qty":2,"price":19.5}}]}}"#
    )
}

/// Members that are data.
fn wild(i: usize) -> String {
    format!(
        r#"{{"sensor-{i}":{i},"sensor-{}":2,"sensor-{}":3.25}}"#,
        i + 1,
        i * 7
    )
}

const SCHEMA: &str = r#"{"type":"struct","fields":[{"type":"int64","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name"},{"type":"double","optional":true,"field":"amount"},{"type":"boolean","optional":true,"field":"active"},{"type":"string","optional":true,"field":"city"},{"type":"int64","optional":false,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"ts"}],"optional":false,"name":"customers.Value"}"#;

fn enveloped(i: usize) -> String {
    format!(r#"{{"schema":{SCHEMA},"payload":{}}}"#, payload(i))
}

/// Four topics' schemas in turn.
fn enveloped_four(i: usize) -> String {
    let schema = SCHEMA.replace("customers", &format!("customers{}", i % 4));
    format!(r#"{{"schema":{schema},"payload":{}}}"#, payload(i))
}

fn struct_schema() -> Schema {
    let timestamp = connect_api::data::logical::timestamp();
    SchemaBuilder::structure()
        .field("id", Schema::INT64)
        .field("name", Schema::OPTIONAL_STRING)
        .field("amount", Schema::OPTIONAL_FLOAT64)
        .field("active", Schema::OPTIONAL_BOOLEAN)
        .field("city", Schema::OPTIONAL_STRING)
        .field("ts", timestamp.build().expect("a schema"))
        .name("customers.Value")
        .build()
        .expect("a schema")
}

/// What a source connector makes: the same schema in memory, a struct per record.
fn structs() -> Vec<SchemaAndValue> {
    let schema = struct_schema();
    let record = |i: usize| {
        let mut value = Struct::new(schema.clone()).expect("a struct schema");
        let values = value.values_mut();
        values[0] = Value::Int64(100_000 + i as i64);
        values[1] = Value::from(format!("customer-{i}"));
        values[2] = Value::Float64((i % 1000) as f64 + 0.5);
        values[3] = Value::Boolean(i.is_multiple_of(2));
        values[4] = Value::text("Amsterdam");
        values[5] = Value::Timestamp(1_700_000_000_000 + i as i64);
        SchemaAndValue::new(schema.clone(), Value::Struct(value))
    };
    (0..RECORDS).map(record).collect()
}

fn json(schemas_enable: bool) -> Box<dyn Converter> {
    let enable = if schemas_enable { "true" } else { "false" };
    configured(JsonConverter::new(), &[("schemas.enable", enable)])
}

fn string() -> Box<dyn Converter> {
    configured(StringConverter::new(), &[])
}

fn configured(
    mut converter: impl Converter + 'static,
    configs: &[(&str, &str)],
) -> Box<dyn Converter> {
    let configs = Properties::from_iter(configs.iter().copied());
    converter
        .configure(&configs, ConverterType::Value)
        .expect("these settings are good");
    Box::new(converter)
}

/// Records in one buffer.
struct Fetched {
    buffer: Bytes,
    ends: Vec<usize>,
}

impl Fetched {
    fn of(record: impl Fn(usize) -> String) -> Self {
        let (mut buffer, mut ends) = (Vec::new(), Vec::new());
        for i in 0..RECORDS {
            buffer.extend_from_slice(record(i).as_bytes());
            ends.push(buffer.len());
        }
        Self {
            buffer: buffer.into(),
            ends,
        }
    }

    fn bytes_per_record(&self) -> usize {
        self.buffer.len() / RECORDS
    }

    fn records(&self) -> impl Iterator<Item = SharedSlice<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let bytes = &self.buffer[start..*end];
            start = *end;
            SharedSlice::part(&self.buffer, bytes)
        })
    }
}

fn read(name: &str, mut converter: Box<dyn Converter>, record: impl Fn(usize) -> String) -> Case {
    let fetched = Fetched::of(record);
    let mut batch = Vec::with_capacity(BATCH);
    Case {
        name: name.to_string(),
        bytes: fetched.bytes_per_record(),
        round: Box::new(move || {
            for record in fetched.records() {
                let data = converter.to_connect_data("topic", Some(record));
                batch.push(data.expect("good records"));
                if batch.len() == BATCH {
                    black_box(&batch);
                    batch.clear();
                }
            }
        }),
    }
}

fn write(name: &str, mut converter: Box<dyn Converter>, values: Vec<SchemaAndValue>) -> Case {
    let mut buffer = Vec::new();
    let bytes = |data: &SchemaAndValue,
                 converter: &mut Box<dyn Converter>,
                 buffer: &mut Vec<u8>| {
        let bytes = converter.from_connect_data("topic", data.schema.as_ref(), &data.value, buffer);
        black_box(bytes.expect("good values")).map_or(0, <[u8]>::len)
    };
    Case {
        name: name.to_string(),
        bytes: bytes(&values[0], &mut converter, &mut buffer),
        round: Box::new(move || {
            for data in &values {
                bytes(data, &mut converter, &mut buffer);
            }
        }),
    }
}

/// What `read` makes of records.
fn values(
    mut converter: Box<dyn Converter>,
    record: impl Fn(usize) -> String,
) -> Vec<SchemaAndValue> {
    let fetched = Fetched::of(record);
    let read = |record| converter.to_connect_data("topic", Some(record));
    fetched
        .records()
        .map(read)
        .map(|data| data.expect("good records"))
        .collect()
}

/// In and out again, the values dropped: a topic copied.
fn both(
    name: &str,
    mut reads: Box<dyn Converter>,
    mut writes: Box<dyn Converter>,
    record: impl Fn(usize) -> String,
) -> Case {
    let fetched = Fetched::of(record);
    let mut batch: Vec<SchemaAndValue> = Vec::with_capacity(BATCH);
    let mut buffer = Vec::new();
    Case {
        name: name.to_string(),
        bytes: fetched.bytes_per_record(),
        round: Box::new(move || {
            for record in fetched.records() {
                let data = reads.to_connect_data("topic", Some(record));
                batch.push(data.expect("good records"));
                if batch.len() == BATCH {
                    for data in batch.drain(..) {
                        let bytes = writes.from_connect_data(
                            "topic",
                            data.schema.as_ref(),
                            &data.value,
                            &mut buffer,
                        );
                        black_box(bytes.expect("good values"));
                    }
                }
            }
        }),
    }
}

fn cases() -> Vec<Case> {
    vec![
        read("string read", string(), payload),
        write("string write", string(), values(string(), payload)),
        read("json free read", json(false), payload),
        write("json free write", json(false), values(json(false), payload)),
        both(
            "json free read and write",
            json(false),
            json(false),
            payload,
        ),
        both("json free to java text", json(false), string(), payload),
        both(
            "json free read and write, spaced",
            json(false),
            json(false),
            spaced,
        ),
        both(
            "json free read and write, changing",
            json(false),
            json(false),
            changing,
        ),
        both(
            "json free read and write, nested",
            json(false),
            json(false),
            nested,
        ),
        both(
            "json free read and write, wild",
            json(false),
            json(false),
            wild,
        ),
        read("json envelope read", json(true), enveloped),
        write("json envelope write", json(true), structs()),
        both(
            "json envelope read and write",
            json(true),
            json(true),
            enveloped,
        ),
        both(
            "json envelope read and write, four schemas",
            json(true),
            json(true),
            enveloped_four,
        ),
        both(
            "json envelope to java text",
            json(true),
            string(),
            enveloped,
        ),
    ]
}
