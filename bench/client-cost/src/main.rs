//! CPU per record of our client alone and of rdkafka, against the broker at `KAFKA_BOOTSTRAP`.
//!
//! Lives here: which work is done, in turn by both clients, each time in a process of its own.
//! Lives elsewhere: the work (`work`), with rdkafka (`librdkafka`), with kafka-client (`ours`).
//! Never here: a worker. What Millstream costs as a whole is measured by `cargo xtask bench`.

mod librdkafka;
mod ours;
mod payload;
mod work;

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use librdkafka::Topics;
use work::{Action, Compression, Idempotence, Work};

const HELP: &str = "\
client-cost [options]: CPU-microseconds per record of kafka-client and of rdkafka 0.39

Produces records of 100 bytes into topics of one partition, and consumes them again, with both clients
in turn, each run in a process of its own. CPU is user and system time of that process by getrusage,
after the first quarter of the records. KAFKA_BOOTSTRAP names the broker.

Options:
  --records <n>   Records of each run, default 4000000
  --rounds <n>    Runs of each client, default 3
  --quick         200000 records, one round
  --json          The figures as JSON instead of a table

client-cost measure <client> <bootstrap> <topic> <produce|consume> <none|lz4> <idempotence> <batch.size> <keys> <records>
does one run with kafka-client or rdkafka, and prints CPU and wall-clock microseconds per record. With <keys>, which
only kafka-client knows, the records have so many different keys in turn; 0 gives none.
";

const RDKAFKA: &str = "rdkafka";
const OURS: &str = "kafka-client";
/// Ours once more: the distance between equals is the noise.
const AGAIN: &str = "kafka-client again";

/// `batch.size` by default in librdkafka, and in Java's client and ours.
const BATCH_SIZES: [(usize, &str); 2] = [(1_000_000, "1 MB"), (16_384, "16 KiB")];

struct Options {
    records: u64,
    rounds: u32,
    json: bool,
}

/// A row of the table.
struct Row {
    title: String,
    /// Client and microseconds per record.
    costs: Vec<(&'static str, f64)>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "measure" => measure(rest),
        _ if arguments
            .iter()
            .any(|argument| argument == "--help" || argument == "-h") =>
        {
            print!("{HELP}");
            Ok(())
        }
        _ => compare(&Options::parse(&arguments)?),
    }
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            records: 4_000_000,
            rounds: 3,
            json: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut number = || -> Result<u64> {
                let text = arguments
                    .next()
                    .with_context(|| format!("{argument} needs a value"))?;
                let number = text.parse().ok().filter(|number| *number > 0);
                number.with_context(|| format!("{argument}: must be at least 1, got {text}"))
            };
            match argument.as_str() {
                "--records" => options.records = number()?,
                "--rounds" => options.rounds = u32::try_from(number()?)?,
                "--quick" => (options.records, options.rounds) = (200_000, 1),
                "--json" => options.json = true,
                other => bail!("did not understand `{other}`\n\n{HELP}"),
            }
        }
        Ok(options)
    }
}

/// One run of one client, in this process: prints CPU and then wall-clock microseconds per record.
fn measure(arguments: &[String]) -> Result<()> {
    let (client, work) = arguments.split_first().context("measure: which client?")?;
    let work = Work::from_arguments(work)?;
    let cost = match (client.as_str(), work.action) {
        (RDKAFKA, Action::Produce) => librdkafka::produce(&work)?,
        (RDKAFKA, Action::Consume) => librdkafka::consume(&work)?,
        (OURS | AGAIN, Action::Produce) => ours::produce(&work)?,
        (OURS | AGAIN, Action::Consume) => ours::consume(&work)?,
        (other, _) => bail!("no client {other}"),
    };
    println!("{} {}", cost.cpu_us, cost.wall_us);
    Ok(())
}

fn compare(options: &Options) -> Result<()> {
    let bootstrap = work::variable("KAFKA_BOOTSTRAP")?;
    let topics = Topics::new(&bootstrap)?;
    let mut rows = Vec::new();
    for (batch_bytes, batch) in BATCH_SIZES {
        for (compression, compressed) in [(Compression::None, ""), (Compression::Lz4, ", lz4")] {
            let work = Work {
                bootstrap: bootstrap.clone(),
                topic: String::new(),
                action: Action::Produce,
                compression,
                idempotence: Idempotence::Yes,
                batch_bytes,
                keys: 0,
                records: options.records,
            };
            let what = format!("batches of {batch}{compressed}");
            let (costs, topic) = produce_in_turn(&topics, &work, options.rounds)?;
            let title = format!("produce, idempotent, {what}");
            rows.push(Row { title, costs });

            let consume = Work {
                action: Action::Consume,
                topic: topic.clone(),
                ..work.clone()
            };
            let costs = in_turn(options.rounds, |client| run(client, &consume))?;
            let title = format!("consume, {what}");
            rows.push(Row { title, costs });
            topics.delete(&topic)?;

            let twice_is_seen_twice = Work {
                idempotence: Idempotence::No,
                ..work
            };
            let (costs, topic) = produce_in_turn(&topics, &twice_is_seen_twice, options.rounds)?;
            let title = format!("produce, not idempotent, {what}");
            rows.push(Row { title, costs });
            topics.delete(&topic)?;
        }
    }
    if options.json {
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        println!(
            "{}",
            json!({ "rdkafka": librdkafka::version(), "rows": rows })
        );
    } else {
        print_table(&rows);
    }
    Ok(())
}

/// Each run into a topic of its own. Keeps the first, which rdkafka has written, and gives its name:
/// both clients then consume the same batches.
fn produce_in_turn(
    topics: &Topics,
    work: &Work,
    rounds: u32,
) -> Result<(Vec<(&'static str, f64)>, String)> {
    let mut kept = None;
    let mut number = 0;
    let costs = in_turn(rounds, |client| {
        number += 1;
        let work = Work {
            topic: format!(
                "client-cost-{}-{}-{}-{}-{number}",
                std::process::id(),
                work.batch_bytes,
                work.compression.name(),
                work.idempotence.name()
            ),
            ..work.clone()
        };
        topics.create(&work.topic)?;
        let cost = run(client, &work)?;
        match kept {
            None => kept = Some(work.topic),
            Some(_) => topics.delete(&work.topic)?,
        }
        Ok(cost)
    })?;
    Ok((costs, kept.context("no round")?))
}

fn in_turn(
    rounds: u32,
    mut run: impl FnMut(&'static str) -> Result<f64>,
) -> Result<Vec<(&'static str, f64)>> {
    let mut costs = Vec::new();
    for _ in 0..rounds {
        for client in [RDKAFKA, OURS, AGAIN] {
            costs.push((client, run(client)?));
        }
    }
    Ok(costs)
}

/// Does the work in a process of its own.
fn run(client: &str, work: &Work) -> Result<f64> {
    let output = Command::new(std::env::current_exe()?)
        .args(["measure", client])
        .args(work.to_arguments())
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "{client} ended with {} at {work:?}",
        output.status
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    let cost = printed.split_whitespace().next();
    let cost: f64 = cost.context("a run printed nothing")?.parse()?;
    eprintln!(
        "  {client:<18} {:?} {:<4} idempotence={:<5} {:>7}: {cost:.3} us per record",
        work.action,
        work.compression.name(),
        work.idempotence.name(),
        work.batch_bytes
    );
    Ok(cost)
}

impl Row {
    fn of(&self, client: &str) -> Vec<f64> {
        let of_client = self.costs.iter().filter(|(of, _)| *of == client);
        of_client.map(|(_, cost)| *cost).collect()
    }

    fn median(&self, client: &str) -> f64 {
        let mut costs = self.of(client);
        costs.sort_by(f64::total_cmp);
        costs.get(costs.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn json(&self) -> Value {
        json!({
            "title": self.title,
            RDKAFKA: self.of(RDKAFKA),
            OURS: self.of(OURS),
            AGAIN: self.of(AGAIN),
        })
    }
}

fn print_table(rows: &[Row]) {
    println!("| CPU us per record, median | rdkafka | kafka-client | ratio | A/A |");
    println!("|---|---:|---:|---:|---:|");
    for row in rows {
        let (theirs, ours, again) = (row.median(RDKAFKA), row.median(OURS), row.median(AGAIN));
        println!(
            "| {} | {theirs:.3} | {ours:.3} | {:.1} | {:.2} |",
            row.title,
            theirs / ours,
            ours / again
        );
    }
}
