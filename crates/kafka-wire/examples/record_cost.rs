//! What a record costs: nanoseconds to append, to finish a batch with, and to read.
//! `cargo run --release -p kafka-wire --example record_cost`

use std::hint::black_box;
use std::time::Instant;

use kafka_wire::{
    BatchBuilder, BatchHeader, BatchKind, Codec, Compressor, Decompressor, ProducerState,
    RecordBatches, WireError,
};

const RECORDS: u32 = 1_000_000;
const PER_BATCH: u32 = 150;

fn main() -> Result<(), WireError> {
    // Log lines, roughly: neither noise nor one byte repeated.
    let values: Vec<Vec<u8>> = (0..PER_BATCH)
        .map(|n| {
            let line = format!(
                "{{\"id\":{},\"customer\":\"c-{}\",\"state\":\"paid\",\"amount\":{}.5,",
                n * 7919,
                n % 17,
                n
            );
            let mut value = line.into_bytes();
            value.resize(100, b'x');
            value
        })
        .collect();
    println!(
        "{:>8} {:>12} {:>12} {:>12} {:>12}",
        "codec", "append ns", "finish ns", "decode ns", "iterate ns"
    );
    for codec in Codec::ALL {
        let mut compressor = Compressor::new(codec, None)?;
        let mut decompressor = Decompressor::new(1 << 26);
        let header = BatchHeader::produced(ProducerState::NONE, BatchKind::Plain);
        let mut buffer = Vec::new();
        let [mut append, mut finish, mut decode, mut iterate] = [0u128; 4];
        let mut checked = 0usize;
        for _ in 0..RECORDS / PER_BATCH {
            let start = Instant::now();
            let mut builder = BatchBuilder::with_buffer(std::mem::take(&mut buffer), 18_000);
            for (at, value) in (0i64..).zip(&values) {
                builder.append(1_700_000_000_000 + at, None, Some(black_box(value)))?;
            }
            append += start.elapsed().as_nanos();
            let start = Instant::now();
            let finished = builder.finish(&header, &mut compressor)?;
            finish += start.elapsed().as_nanos();
            let start = Instant::now();
            let Some(batch) = RecordBatches::new(finished.bytes.clone()).next() else {
                continue;
            };
            let decoded = batch?.decode(&mut decompressor)?;
            decode += start.elapsed().as_nanos();
            let start = Instant::now();
            for record in decoded.records() {
                let record = record?;
                checked += black_box(record.value).map_or(0, <[u8]>::len) + record.offset as usize;
            }
            iterate += start.elapsed().as_nanos();
            drop(decoded);
            buffer = finished
                .buffer
                .or_else(|| BatchBuilder::recycle(finished.bytes))
                .unwrap_or_default();
        }
        black_box(checked);
        let each = |nanos: u128| nanos as f64 / f64::from(RECORDS);
        println!(
            "{:>8} {:>12.1} {:>12.1} {:>12.1} {:>12.1}",
            codec.name(),
            each(append),
            each(finish),
            each(decode),
            each(iterate)
        );
    }
    Ok(())
}
