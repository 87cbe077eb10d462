//! Fetch and ListOffsets.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use kafka_wire::RecordBatches;

use super::client::{Client, Isolation, fetch_request, now_ms, one_value_at};
use super::{Part, Target, same, unique};

pub fn part() -> Part {
    Part::new("fetch")
        .check("order is kept per partition", order)
        .check("beyond the end: 1", beyond_the_end)
        .check("below the start: 1", below_the_start)
        .check("an unknown topic or partition: 3", unknown)
        .waiting("an empty poll waits max_wait", empty_poll)
        .waiting("new data wakes a poll within ms", woken_poll)
        .check("max_bytes 1 gives one batch", one_batch)
        .check(
            "sessions: 0 opens, the next epoch sends only changes (or no sessions: id 0)",
            session_opens,
        )
        .check(
            "sessions: a wrong epoch is 71 (or no sessions: 70)",
            session_epoch,
        )
        .check("sessions: an unknown id is 70", session_unknown)
        .check("sessions: -1 closes", session_closes)
        .check("ListOffsets -1 and -2", ends)
        .check(
            "ListOffsets -3: offset and time of the largest time",
            largest_time,
        )
        .check("ListOffsets by time", by_time)
        .check("ListOffsets after the last time: -1 and -1", after_the_last)
        .check(
            "ListOffsets of an empty partition by time: -1 and -1",
            empty_partition,
        )
        .check(
            "ListOffsets of an unknown topic or partition: 3",
            offsets_of_unknown,
        )
}

async fn order(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(2).await?;
    for number in 0..20 {
        let (even, odd) = (format!("{}", 2 * number), format!("{}", 2 * number + 1));
        client.append(&topic, 0, &[&even]).await?;
        client.append(&topic, 1, &[&odd, &odd]).await?;
    }
    let expected: Vec<String> = (0..20).map(|number| format!("{}", 2 * number)).collect();
    same(
        "partition 0",
        client.read(&topic, 0, Isolation::Uncommitted).await?,
        expected,
    )?;
    let expected: Vec<String> = (0..40)
        .map(|place| format!("{}", 2 * (place / 2) + 1))
        .collect();
    same(
        "partition 1",
        client.read(&topic, 1, Isolation::Uncommitted).await?,
        expected,
    )
}

async fn beyond_the_end(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    client.append(&topic, 0, &["v"]).await?;
    let at_the_end = client.fetch(&topic, 0, 1, Isolation::Uncommitted).await?;
    same(
        "error and high watermark at the end",
        (at_the_end.error_code, at_the_end.high_watermark),
        (0, 1),
    )?;
    let beyond = client.fetch(&topic, 0, 2, Isolation::Uncommitted).await?;
    same("error", beyond.error_code, 1)
}

async fn below_the_start(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    client.append(&topic, 0, &["v"]).await?;
    same(
        "error",
        client
            .fetch(&topic, 0, -5, Isolation::Uncommitted)
            .await?
            .error_code,
        1,
    )
}

async fn unknown(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let found = client
        .fetch(&unique("unknown"), 0, 0, Isolation::Uncommitted)
        .await?;
    same("error for a topic", found.error_code, 3)?;
    let topic = client.topic(1).await?;
    let found = client.fetch(&topic, 7, 0, Isolation::Uncommitted).await?;
    same("error for a partition", found.error_code, 3)
}

async fn empty_poll(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let request = fetch_request(&topic, 0, 0).with_max_wait_ms(700);
    let asked = Instant::now();
    let data = client.ask_fetch(&request).await?;
    let waited = asked.elapsed();
    same("error", data.error_code, 0)?;
    same("bytes", data.records.unwrap_or_default().len(), 0)?;
    // Its clock may tick in a few milliseconds less.
    ensure!(
        waited > Duration::from_millis(650),
        "an empty poll: found an answer after {waited:?}, expected 700 ms"
    );
    Ok(())
}

async fn woken_poll(target: Target) -> Result<()> {
    let (mut reader, mut writer) = (Client::open(&target).await?, Client::open(&target).await?);
    let topic = reader.topic(1).await?;
    let request = fetch_request(&topic, 0, 0).with_max_wait_ms(20_000);
    reader.send(&request).await?;
    let produced = Instant::now();
    writer.append(&topic, 0, &["v"]).await?;
    let answer: FetchResponse = reader.answer::<FetchRequest>().await?;
    let waited = produced.elapsed();
    let data = &answer.responses.first().context("no topic")?.partitions[0];
    ensure!(
        data.records
            .as_ref()
            .is_some_and(|records| !records.is_empty()),
        "the poll was answered without records"
    );
    // Milliseconds; a busy machine may need more.
    ensure!(
        waited < Duration::from_secs(5),
        "a poll was woken after {waited:?}"
    );
    Ok(())
}

async fn one_batch(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    for values in [["a", "b"], ["c", "d"]] {
        client.append(&topic, 0, &values).await?;
    }
    let request = fetch_request(&topic, 0, 0).with_max_bytes(1);
    let data = client.ask_fetch(&request).await?;
    let batches = RecordBatches::new(data.records.unwrap_or_default())
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let last: Vec<i64> = batches.iter().map(|batch| batch.last_offset()).collect();
    same("last offsets of the batches", last, vec![1])
}

/// Opens a session over an empty topic; `None` when the broker keeps none, which it says with id 0.
async fn open_session(client: &mut Client) -> Result<Option<(String, i32)>> {
    let topic = client.topic(1).await?;
    let request = fetch_request(&topic, 0, 0)
        .with_max_wait_ms(0)
        .with_session_epoch(0);
    let answer = client.ask(&request).await?;
    same("error", answer.error_code, 0)?;
    Ok(match answer.session_id {
        0 => None,
        id => Some((topic, id)),
    })
}

/// Asks for what has changed.
async fn in_session(client: &mut Client, session_id: i32, epoch: i32) -> Result<FetchResponse> {
    let request = FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_session_id(session_id)
        .with_session_epoch(epoch);
    client.ask(&request).await
}

/// The id that nobody gave out.
const UNKNOWN_SESSION: i32 = 2_000_000_111;

async fn session_opens(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let Some((topic, id)) = open_session(&mut client).await? else {
        return Ok(());
    };
    let answer = in_session(&mut client, id, 1).await?;
    same(
        "error, id and topics",
        (answer.error_code, answer.session_id, answer.responses.len()),
        (0, id, 0),
    )?;
    client.append(&topic, 0, &["v"]).await?;
    let answer = in_session(&mut client, id, 2).await?;
    same("topics with changes", answer.responses.len(), 1)
}

async fn session_epoch(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    match open_session(&mut client).await? {
        Some((_, id)) => same(
            "error",
            in_session(&mut client, id, 5).await?.error_code,
            71,
        ),
        None => same(
            "error",
            in_session(&mut client, UNKNOWN_SESSION, 5)
                .await?
                .error_code,
            70,
        ),
    }
}

async fn session_unknown(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    same(
        "error",
        in_session(&mut client, UNKNOWN_SESSION, 1)
            .await?
            .error_code,
        70,
    )
}

async fn session_closes(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let Some((topic, id)) = open_session(&mut client).await? else {
        return Ok(());
    };
    let close = fetch_request(&topic, 0, 0)
        .with_max_wait_ms(0)
        .with_session_id(id)
        .with_session_epoch(-1);
    let answer = client.ask(&close).await?;
    same(
        "error and id",
        (answer.error_code, answer.session_id),
        (0, 0),
    )?;
    same(
        "error afterwards",
        in_session(&mut client, id, 1).await?.error_code,
        70,
    )
}

/// A topic with records of these times, a batch each.
async fn timed(client: &mut Client, times: &[i64]) -> Result<String> {
    let topic = client.topic(1).await?;
    for time in times {
        let produced = client.produce(&topic, 0, one_value_at(*time, "v")?).await?;
        same("produce", produced.error_code, 0)?;
    }
    Ok(topic)
}

async fn ends(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    for (timestamp, expected) in [(-1, 0), (-2, 0)] {
        let found = client.offset(&topic, 0, timestamp).await?;
        same(
            format!("ListOffsets {timestamp}, empty"),
            (found.error_code, found.offset, found.timestamp),
            (0, expected, -1),
        )?;
    }
    client.append(&topic, 0, &["a", "b"]).await?;
    for (timestamp, expected) in [(-1, 2), (-2, 0)] {
        let found = client.offset(&topic, 0, timestamp).await?;
        same(
            format!("ListOffsets {timestamp}"),
            (found.error_code, found.offset, found.timestamp),
            (0, expected, -1),
        )?;
    }
    Ok(())
}

async fn largest_time(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let now = now_ms();
    let topic = timed(&mut client, &[now - 10, now + 5, now - 20]).await?;
    let found = client.offset(&topic, 0, -3).await?;
    same(
        "error, offset and time",
        (found.error_code, found.offset, found.timestamp),
        (0, 1, now + 5),
    )
}

async fn by_time(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let now = now_ms();
    let topic = timed(&mut client, &[now - 100, now - 50, now]).await?;
    for (asked, offset, time) in [
        (now - 500, 0, now - 100),
        (now - 99, 1, now - 50),
        (now - 50, 1, now - 50),
        (now, 2, now),
    ] {
        let found = client.offset(&topic, 0, asked).await?;
        same(
            format!("error, offset and time for now{:+}", asked - now),
            (found.error_code, found.offset, found.timestamp),
            (0, offset, time),
        )?;
    }
    Ok(())
}

async fn after_the_last(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let now = now_ms();
    let topic = timed(&mut client, &[now]).await?;
    let found = client.offset(&topic, 0, now + 1).await?;
    same(
        "error, offset and time",
        (found.error_code, found.offset, found.timestamp),
        (0, -1, -1),
    )
}

async fn empty_partition(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    for timestamp in [0, -3] {
        let found = client.offset(&topic, 0, timestamp).await?;
        same(
            format!("error, offset and time for {timestamp}"),
            (found.error_code, found.offset, found.timestamp),
            (0, -1, -1),
        )?;
    }
    Ok(())
}

async fn offsets_of_unknown(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    same(
        "error for a topic",
        client.offset(&unique("unknown"), 0, -1).await?.error_code,
        3,
    )?;
    let topic = client.topic(1).await?;
    same(
        "error for a partition",
        client.offset(&topic, 7, -1).await?.error_code,
        3,
    )
}
