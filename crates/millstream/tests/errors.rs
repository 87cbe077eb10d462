//! Records that fail, and tasks that fail for a reason that passes, in the whole program on a real Apache Kafka.
//!
//! Sizes: a million records, ten thousand of them poison, where an optimized build is under test (`MILLSTREAM_BIN`); a
//! small part of that otherwise.

mod support;

use anyhow::{Result, ensure};
use connect_testkit::kafka::{KafkaCluster, bootstrap_or_skip, libs_or_skip};
use connect_testkit::process::eventually;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use support::*;

/// Every so many lines one that is no JSON.
const POISON_EVERY: u64 = 100;

/// Lines of JSON text, some of them cut off.
fn lines(count: u64) -> String {
    let mut text = String::new();
    for n in 0..count {
        let _ = match n % POISON_EVERY {
            37 => writeln!(text, "{{{n:012}"),
            _ => writeln!(text, "\"{n:012}\""),
        };
    }
    text
}

/// kill -9 twice, with poison all over: each good line arrives in the file and each poison line in the dead letter
/// queue, which a second sink reads.
#[test]
fn a_killed_worker_loses_neither_lines_nor_letters() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    let count: u64 = if is_optimized() { 1_000_000 } else { 20_000 };
    setup.write("in.txt", &lines(count))?;
    let group =
        "consumer.override.session.timeout.ms=6000\nconsumer.override.heartbeat.interval.ms=2000";
    let letters_topic = format!("{}-letters", setup.topic);
    let sink = setup.sink(&format!(
        "{group}\nvalue.converter=JsonConverter\nvalue.converter.schemas.enable=false\nerrors.tolerance=all\n\
         errors.deadletterqueue.topic.name={letters_topic}\n\
         errors.deadletterqueue.topic.replication.factor=1"
    ))?;
    let letters = setup.write(
        "letters.properties",
        &format!(
            "name={letters_topic}\nconnector.class=FileStreamSink\nfile={}\ntopics={letters_topic}\n\
             consumer.override.metadata.max.age.ms=1000\n{group}\n",
            setup.path("letters.txt").display()
        ),
    )?;
    let (worker, source) = (setup.worker("")?, setup.source("")?);
    let files = [worker.as_path(), &source, &sink, &letters];
    for part in 1..=2 {
        let mut program = setup.start(&files)?;
        setup.wait_for_bytes("out.txt", count * 13 * part / 4, &mut program, LONG)?;
        program.kill()?;
    }
    let mut program = setup.start(&files)?;
    let (last, last_letter) = (count - 1, count - POISON_EVERY + 37);
    let arrived = eventually(LONG, "the last line and the last letter", || {
        ensure!(program.is_running()?, "ended:\n{}", program.log());
        let all = |name: &str| fs::read_to_string(setup.path(name)).unwrap_or_default();
        Ok(all("out.txt").contains(&format!("{last:012}"))
            && all("letters.txt").contains(&format!("{last_letter:012}")))
    });
    arrived.map_err(|error| error.context(program.log()))?;
    ensure!(program.terminate(SOON)? == 0);
    let numbers = |name: &str, prefix: &str| -> Result<BTreeSet<u64>> {
        let text = fs::read_to_string(setup.path(name))?;
        let whole = text.lines().filter_map(|line| line.strip_prefix(prefix));
        // A kill may leave a line that is cut off; it comes again.
        let whole = whole.filter(|line| line.len() == 12);
        Ok(whole.filter_map(|line| line.parse().ok()).collect())
    };
    let (lines, letters) = (numbers("out.txt", "")?, numbers("letters.txt", "{")?);
    println!("{} lines, {} letters", lines.len(), letters.len());
    for n in 0..count {
        let is_poison = n % POISON_EVERY == 37;
        ensure!(lines.contains(&n) != is_poison, "line {n}");
        ensure!(letters.contains(&n) == is_poison, "letter {n}");
    }
    Ok(())
}

/// Kafka is away for longer than `delivery.timeout.ms`. Java's task stays FAILED; ours comes back, with nothing lost.
#[test]
fn a_broker_that_is_away_for_too_long_fails_the_task_until_it_is_back() -> Result<()> {
    if libs_or_skip().is_none() {
        return Ok(());
    }
    let mut cluster = KafkaCluster::start(1, &[("num.partitions", "1")])?;
    let node = cluster.nodes().next().expect("there is one");
    let setup = Setup::new(&cluster.bootstrap())?;
    let bytes = write_numbered_lines(&setup.path("in.txt"), 0, 1_000)?;
    let worker = setup.worker("millstream.restart.delay.max.ms=2000")?;
    let source = setup.source(
        "producer.override.delivery.timeout.ms=1500\nproducer.override.request.timeout.ms=1000",
    )?;
    let sink = setup.sink("")?;
    let mut program = setup.start(&[&worker, &source, &sink])?;
    setup.wait_for_bytes("out.txt", bytes, &mut program, SOON)?;
    cluster.kill(node)?;
    let bytes = write_numbered_lines(&setup.path("in.txt"), 1_000, 1_000)?;
    setup.wait_for_log("the worker starts it again after wait_ms", &mut program)?;
    cluster.restart(node)?;
    setup.wait_for_bytes("out.txt", bytes, &mut program, LONG)?;
    let log = program.log();
    ensure!(log.contains("restarting the task"), "{log}");
    ensure!(program.terminate(SOON)? == 0);
    let seen = check_numbered_lines(&setup.path("in.txt"), &setup.path("out.txt"), 2_000)?;
    println!("{seen:?}");
    ensure!(seen.lost == 0 && seen.distinct == 2_000, "{seen:?}");
    Ok(())
}
