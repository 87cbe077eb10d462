//! Produce: codecs, sizes, acknowledgements, refusals, idempotence, times.

use anyhow::{Context as _, Result, ensure};
use bytes::{Bytes, BytesMut};
use kafka_wire::batch::ProducerState;
use kafka_wire::{BatchKind, Codec, Decompressor, RecordBatches};

use super::client::{
    Client, Isolation, Record, batch_of, now_ms, one_value_at, produce_request, values,
    values_from, version_of,
};
use super::producer::idempotent_id;
use super::{Part, Target, one_of, same, unique, until};

/// Where the magic byte and the CRC of a batch lie.
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;

pub fn part() -> Part {
    Part::new("produce")
        .check("uncompressed records", |target| codec(target, Codec::None))
        .check("gzip", |target| codec(target, Codec::Gzip))
        .check("snappy", |target| codec(target, Codec::Snappy))
        .check("lz4", |target| codec(target, Codec::Lz4))
        .check("zstd", |target| codec(target, Codec::Zstd))
        .check(
            "keys, null and empty values, duplicate and null headers, binary, time",
            fields,
        )
        .check("a record of 900 KB", large_record)
        .check("larger than max.message.bytes: 10", too_large)
        .check("acks 0: no answer, and it arrives", acks_0)
        .check("acks 1 and -1", acks_1_and_all)
        .check("acks 2: 21", acks_2)
        .check("a bad CRC: 2", bad_crc)
        .check("two batches for one partition: 87", two_batches)
        .check("old magic: 87", old_magic)
        .check("no key on a compacted topic: 87", no_key)
        .check("a time more than 1 h ahead: 32", time_ahead)
        .check("a very old time is accepted", old_time)
        .check("an unknown topic or partition: 3", unknown)
        .check(
            "an idempotent duplicate: the old offset, no error",
            duplicate,
        )
        .check("an idempotent gap: 45", gap)
        .check("an old idempotent repeat: 45", old_repeat)
        .check("a new epoch starts at 0, else 45", new_epoch)
        .check("an old epoch: 47", old_epoch)
        .check(
            "LogAppendTime: the answered time is now, and ListOffsets finds it",
            log_append_time,
        )
}

async fn codec(target: Target, codec: Codec) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let sent: Vec<String> = (0..200)
        .map(|number| format!("value {number} of many that look alike"))
        .collect();
    let records: Vec<Record<'_>> = sent
        .iter()
        .map(|value| Record {
            timestamp_ms: now_ms(),
            value: Some(value.as_bytes()),
            ..Record::default()
        })
        .collect();
    let batch = batch_of(&records, codec, ProducerState::NONE, BatchKind::Plain)?;
    let produced = client.produce(&topic, 0, batch.clone()).await?;
    same(
        "error and offset",
        (produced.error_code, produced.base_offset),
        (0, 0),
    )?;
    same(
        "values",
        client.read(&topic, 0, Isolation::Uncommitted).await?,
        sent,
    )?;
    let data = client.fetch(&topic, 0, 0, Isolation::Uncommitted).await?;
    let stored = RecordBatches::new(data.records.unwrap_or_default())
        .next()
        .context("no batch")??;
    same("codec of the stored batch", stored.codec()?, codec)
}

async fn fields(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let now = now_ms();
    let binary: Vec<u8> = (0..=255).collect();
    let sent = [
        Record {
            timestamp_ms: now,
            key: Some(b"k"),
            value: None,
            headers: vec![],
        },
        Record {
            timestamp_ms: now - 5,
            key: Some(b""),
            value: Some(b""),
            headers: vec![
                (b"a", Some(b"1")),
                (b"a", Some(b"2")),
                (b"n", None),
                (b"", Some(b"")),
            ],
        },
        Record {
            timestamp_ms: now + 7,
            key: None,
            value: Some(&binary),
            headers: vec![(b"bin", Some(&binary)), (b"\xff\xfe", Some(b"x"))],
        },
    ];
    let batch = batch_of(&sent, Codec::None, ProducerState::NONE, BatchKind::Plain)?;
    same(
        "error",
        client.produce(&topic, 0, batch).await?.error_code,
        0,
    )?;
    let data = client.fetch(&topic, 0, 0, Isolation::Uncommitted).await?;
    let batch = RecordBatches::new(data.records.unwrap_or_default())
        .next()
        .context("no batch")??;
    let decoded = batch.decode(&mut Decompressor::new(1 << 20))?;
    let mut read = 0;
    for (sent, found) in sent.iter().zip(decoded.records()) {
        let found = found?;
        same(
            "time, key, value",
            (found.timestamp_ms, found.key, found.value),
            (sent.timestamp_ms, sent.key, sent.value),
        )?;
        let headers = found
            .headers()
            .map(|header| header.map(|header| (header.key, header.value)))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        same("headers", &headers, &sent.headers)?;
        read += 1;
    }
    same("records", read, sent.len())
}

async fn large_record(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let value = "x".repeat(900 * 1024);
    client.append(&topic, 0, &[&value]).await?;
    let read = client.read(&topic, 0, Isolation::Uncommitted).await?;
    same("records", read.len(), 1)?;
    ensure!(
        read[0] == value,
        "the record came back with {} bytes, or others",
        read[0].len()
    );
    Ok(())
}

async fn too_large(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client
        .topic_with(1, &[("max.message.bytes", "2000")])
        .await?;
    let produced = client
        .produce(&topic, 0, values(&[&"x".repeat(3000)])?)
        .await?;
    same("error with 2000", produced.error_code, 10)?;
    let topic = client.topic(1).await?;
    let produced = client
        .produce(&topic, 0, values(&[&"x".repeat(1_048_588)])?)
        .await?;
    same("error with the default", produced.error_code, 10)?;
    same(
        "ListOffsets -1",
        client.offset(&topic, 0, -1).await?.offset,
        0,
    )
}

async fn acks_0(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let request = produce_request(&topic, 0, values(&["quiet"])?).with_acks(0);
    client
        .connection
        .send_unanswered(version_of(0), &request)
        .await?;
    // The next answer on this connection is the one to the next request; else it has a wrong id.
    until("the record arrives", async || {
        let read = client.read(&topic, 0, Isolation::Uncommitted).await?;
        Ok(match read == ["quiet"] {
            true => Ok(()),
            false => Err(format!("{read:?}")),
        })
    })
    .await
}

async fn acks_1_and_all(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    for (offset, acks) in [(0, 1), (1, -1)] {
        let request = produce_request(&topic, 0, values(&["v"])?).with_acks(acks);
        let produced = client.ask_produce(request).await?;
        same(
            format!("error and offset with acks {acks}"),
            (produced.error_code, produced.base_offset),
            (0, offset),
        )?;
        same("log append time", produced.log_append_time_ms, -1)?;
    }
    Ok(())
}

async fn acks_2(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let request = produce_request(&topic, 0, values(&["v"])?).with_acks(2);
    same("error", client.ask_produce(request).await?.error_code, 21)?;
    same(
        "ListOffsets -1",
        client.offset(&topic, 0, -1).await?.offset,
        0,
    )
}

/// Produces a batch that was spoilt, and looks that nothing was kept.
async fn refused(client: &mut Client, topic: &str, batch: Bytes, error: i16) -> Result<()> {
    same(
        "error",
        client.produce(topic, 0, batch).await?.error_code,
        error,
    )?;
    same(
        "ListOffsets -1",
        client.offset(topic, 0, -1).await?.offset,
        0,
    )
}

async fn bad_crc(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let mut batch = BytesMut::from(values(&["v"])?.as_ref());
    batch[CRC_AT] ^= 0xff;
    refused(&mut client, &topic, batch.freeze(), 2).await
}

async fn two_batches(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let both = [values(&["a"])?, values(&["b"])?].concat();
    refused(&mut client, &topic, Bytes::from(both), 87).await
}

async fn old_magic(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let mut batch = BytesMut::from(values(&["v"])?.as_ref());
    batch[MAGIC_AT] = 1;
    refused(&mut client, &topic, batch.freeze(), 87).await
}

async fn no_key(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client
        .topic_with(1, &[("cleanup.policy", "compact")])
        .await?;
    let keyless = Record {
        timestamp_ms: now_ms(),
        value: Some(b"v"),
        ..Record::default()
    };
    let batch = batch_of(
        &[keyless],
        Codec::None,
        ProducerState::NONE,
        BatchKind::Plain,
    )?;
    refused(&mut client, &topic, batch, 87).await?;
    same(
        "the offset of one with a key",
        client.append(&topic, 0, &["v"]).await?,
        0,
    )
}

async fn time_ahead(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let ahead = one_value_at(now_ms() + 2 * 3_600_000, "v")?;
    refused(&mut client, &topic, ahead, 32).await?;
    let soon = one_value_at(now_ms() + 1_800_000, "v")?;
    same(
        "error half an hour ahead",
        client.produce(&topic, 0, soon).await?.error_code,
        0,
    )
}

async fn old_time(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic_with(1, &[("retention.ms", "-1")]).await?;
    let produced = client.produce(&topic, 0, one_value_at(1_000, "v")?).await?;
    same("error", produced.error_code, 0)?;
    let data = client.fetch(&topic, 0, 0, Isolation::Uncommitted).await?;
    let batch = RecordBatches::new(data.records.unwrap_or_default())
        .next()
        .context("no batch")??;
    same("time", batch.base_timestamp_ms(), 1_000)
}

async fn unknown(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let produced = client
        .produce(&unique("unknown"), 0, values(&["v"])?)
        .await?;
    same(
        "error for a topic",
        (produced.error_code, produced.base_offset),
        (3, -1),
    )?;
    let topic = client.topic(1).await?;
    let produced = client.produce(&topic, 7, values(&["v"])?).await?;
    same(
        "error for a partition",
        (produced.error_code, produced.base_offset),
        (3, -1),
    )
}

/// An idempotent producer on a topic of its own.
struct Idempotent {
    client: Client,
    topic: String,
    id: i64,
    epoch: i16,
}

impl Idempotent {
    async fn open(target: &Target) -> Result<Self> {
        let mut client = Client::open(target).await?;
        let topic = client.topic(1).await?;
        let (id, epoch) = idempotent_id(&mut client).await?;
        Ok(Self {
            client,
            topic,
            id,
            epoch,
        })
    }

    /// Error and offset of a batch of two records with this first sequence number.
    async fn produce(&mut self, base_sequence: i32) -> Result<(i16, i64)> {
        let state = ProducerState {
            id: self.id,
            epoch: self.epoch,
            base_sequence,
        };
        let batch = values_from(state, BatchKind::Plain, &["a", "b"])?;
        let produced = self.client.produce(&self.topic, 0, batch).await?;
        Ok((produced.error_code, produced.base_offset))
    }

    async fn end_offset(&mut self) -> Result<i64> {
        Ok(self.client.offset(&self.topic, 0, -1).await?.offset)
    }
}

async fn duplicate(target: Target) -> Result<()> {
    let mut producer = Idempotent::open(&target).await?;
    for (number, sequence) in [0, 2, 4, 6, 8].into_iter().enumerate() {
        same(
            "error and offset",
            producer.produce(sequence).await?,
            (0, 2 * number as i64),
        )?;
    }
    // The last five are known.
    for sequence in [0, 4, 8] {
        same(
            format!("the repeat of {sequence}"),
            producer.produce(sequence).await?,
            (0, i64::from(sequence)),
        )?;
    }
    same("ListOffsets -1", producer.end_offset().await?, 10)
}

async fn gap(target: Target) -> Result<()> {
    let mut producer = Idempotent::open(&target).await?;
    same("the first", producer.produce(0).await?, (0, 0))?;
    same("error", producer.produce(4).await?.0, 45)?;
    same("ListOffsets -1", producer.end_offset().await?, 2)?;
    same("the right one after it", producer.produce(2).await?, (0, 2))
}

async fn old_repeat(target: Target) -> Result<()> {
    let mut producer = Idempotent::open(&target).await?;
    for sequence in [0, 2, 4, 6, 8, 10] {
        same("error", producer.produce(sequence).await?.0, 0)?;
    }
    one_of(
        "error of the sixth last",
        producer.produce(0).await?.0,
        &[45, 46],
    )?;
    same("ListOffsets -1", producer.end_offset().await?, 12)
}

async fn new_epoch(target: Target) -> Result<()> {
    let mut producer = Idempotent::open(&target).await?;
    same("the first", producer.produce(0).await?, (0, 0))?;
    producer.epoch += 1;
    same(
        "error of a new epoch that does not start at 0",
        producer.produce(2).await?.0,
        45,
    )?;
    same("a new epoch", producer.produce(0).await?, (0, 2))?;
    same("its next", producer.produce(2).await?, (0, 4))
}

async fn old_epoch(target: Target) -> Result<()> {
    let mut producer = Idempotent::open(&target).await?;
    producer.epoch += 1;
    same("the first", producer.produce(0).await?, (0, 0))?;
    producer.epoch -= 1;
    same("error", producer.produce(2).await?.0, 47)?;
    same("ListOffsets -1", producer.end_offset().await?, 2)
}

async fn log_append_time(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client
        .topic_with(1, &[("message.timestamp.type", "LogAppendTime")])
        .await?;
    let before = now_ms();
    let produced = client.produce(&topic, 0, one_value_at(1_000, "v")?).await?;
    same("error", produced.error_code, 0)?;
    let time = produced.log_append_time_ms;
    ensure!(
        (before..=now_ms()).contains(&time),
        "log append time: found {time}, expected {before} to {}",
        now_ms()
    );
    let found = client.offset(&topic, 0, time).await?;
    same(
        "ListOffsets by that time",
        (found.error_code, found.offset, found.timestamp),
        (0, 0, time),
    )?;
    same(
        "ListOffsets after it",
        client.offset(&topic, 0, time + 1).await?.offset,
        -1,
    )?;
    let data = client.fetch(&topic, 0, 0, Isolation::Uncommitted).await?;
    let batch = RecordBatches::new(data.records.unwrap_or_default())
        .next()
        .context("no batch")??;
    let decoded = batch.decode(&mut Decompressor::new(1 << 20))?;
    let record = decoded.records().next().context("no record")??;
    same("time of the record", record.timestamp_ms, time)
}
