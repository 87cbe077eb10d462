//! Nothing is lost between a file, a topic of a real Apache Kafka, and a file again.
//!
//! Sizes: 1 GB where an optimized build is under test (`MILLSTREAM_BIN`), a small part of that otherwise.

mod support;

use anyhow::{Result, ensure};
use connect_testkit::kafka::{KafkaCluster, bootstrap_or_skip, libs_or_skip};
use connect_testkit::process::eventually;
use std::fs;
use std::time::Duration;
use support::*;

/// Bytes of a line that `write_numbered_lines` makes.
const LINE_BYTES: u64 = 100;

fn lines(optimized: u64) -> u64 {
    if is_optimized() {
        optimized
    } else {
        optimized / 50
    }
}

#[test]
fn a_file_goes_through_a_topic_byte_for_byte() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    let count = lines(10_737_418);
    let bytes = write_numbered_lines(&setup.path("in.txt"), 0, count)?;
    ensure!(bytes == count * LINE_BYTES);
    let (worker, source, sink) = (setup.worker("")?, setup.source("")?, setup.sink("")?);
    let mut program = setup.start(&[&worker, &source, &sink])?;
    setup.wait_for_bytes("out.txt", bytes, &mut program, LONG)?;
    // More lines while it runs: the file is followed.
    let bytes = write_numbered_lines(&setup.path("in.txt"), count, 1000)?;
    setup.wait_for_bytes("out.txt", bytes, &mut program, SOON)?;
    ensure!(program.terminate(SOON)? == 0);
    ensure!(
        same_bytes(&setup.path("in.txt"), &setup.path("out.txt"))?,
        "the copy differs"
    );
    // After a clean stop nothing comes twice.
    let mut program = setup.start(&[&worker, &source, &sink])?;
    let bytes = write_numbered_lines(&setup.path("in.txt"), count + 1000, 1000)?;
    setup.wait_for_bytes("out.txt", bytes, &mut program, SOON)?;
    ensure!(program.terminate(SOON)? == 0);
    ensure!(
        same_bytes(&setup.path("in.txt"), &setup.path("out.txt"))?,
        "the copy differs after a restart"
    );
    println!("{bytes} bytes are identical");
    Ok(())
}

#[test]
fn lines_of_every_kind_go_through() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    let long = "x".repeat(900_000);
    let text = format!("plain\n\r\nwindows\r\nold mac\r\u{1F600} übergroß\n\n{long}\nend\n");
    setup.write("in.txt", &text)?;
    let (worker, source, sink) = (
        setup.worker("")?,
        setup.source("batch.size=3")?,
        setup.sink("")?,
    );
    let expected = format!("plain\n\nwindows\nold mac\n\u{1F600} übergroß\n\n{long}\nend\n");
    let mut program = setup.start(&[&worker, &source, &sink])?;
    setup.wait_for_bytes("out.txt", expected.len() as u64, &mut program, SOON)?;
    ensure!(program.terminate(SOON)? == 0);
    ensure!(fs::read_to_string(setup.path("out.txt"))? == expected);
    Ok(())
}

/// kill -9 ten times at random moments: each line arrives at least once.
#[test]
fn a_killed_worker_loses_no_line() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    let count = lines(10_000_000);
    let bytes = write_numbered_lines(&setup.path("in.txt"), 0, count)?;
    // The group waits for the session of a killed member to end; 6 s is the least that a broker takes.
    let sink = setup.sink(
        "consumer.override.session.timeout.ms=6000
consumer.override.heartbeat.interval.ms=2000",
    )?;
    let (worker, source) = (setup.worker("")?, setup.source("")?);
    let mut random = Random::from_env();
    for kill in 0..10u64 {
        let mut program = setup.start(&[&worker, &source, &sink])?;
        // A moment between the start and some progress of this life.
        let goal = (bytes_of(&setup.path("out.txt")) + random.below(bytes / 10))
            .min(bytes * (kill + 1) / 11);
        setup.wait_for_bytes("out.txt", goal, &mut program, LONG)?;
        program.kill()?;
    }
    let mut program = setup.start(&[&worker, &source, &sink])?;
    let last = format!("{:012} ", count - 1);
    let arrived = eventually(LONG, "the last line", || {
        ensure!(
            program.is_running()?,
            "the program has ended:\n{}",
            program.log()
        );
        tail_contains(&setup.path("out.txt"), &last)
    });
    arrived.map_err(|error| error.context(program.log()))?;
    ensure!(program.terminate(SOON)? == 0);
    let seen = check_numbered_lines(&setup.path("in.txt"), &setup.path("out.txt"), count)?;
    println!("ten times kill -9: {seen:?}");
    ensure!(seen.lost == 0, "{seen:?}");
    ensure!(seen.torn <= 10, "at most one torn line a kill: {seen:?}");
    Ok(())
}

/// The leader of the partition is killed and comes back: no line lost, none twice, order kept.
#[test]
fn a_killed_partition_leader_costs_nothing_with_idempotence() -> Result<()> {
    let Some(libs) = libs_or_skip() else {
        return Ok(());
    };
    let mut cluster = KafkaCluster::start(
        3,
        &[
            ("default.replication.factor", "3"),
            ("min.insync.replicas", "2"),
            ("num.partitions", "1"),
        ],
    )?;
    let setup = Setup::new(&cluster.bootstrap())?;
    let count = lines(10_000_000);
    let bytes = write_numbered_lines(&setup.path("in.txt"), 0, count)?;
    let idempotent = "producer.override.enable.idempotence=true\nproducer.override.max.in.flight.requests.per.connection=5";
    let (worker, source, sink) = (
        setup.worker("")?,
        setup.source(idempotent)?,
        setup.sink("")?,
    );
    let mut program = setup.start(&[&worker, &source, &sink])?;
    for step in 1..=3 {
        setup.wait_for_bytes("out.txt", bytes * step / 5, &mut program, LONG)?;
        let leader = leader_of(&libs, &cluster.bootstrap(), &setup.topic)?;
        println!("kill -9 of broker {leader}, the leader");
        cluster.kill(leader)?;
        setup.wait_for_bytes("out.txt", bytes * step / 5 + bytes / 20, &mut program, LONG)?;
        cluster.restart(leader)?;
    }
    setup.wait_for_bytes("out.txt", bytes, &mut program, LONG)?;
    ensure!(program.terminate(SOON)? == 0);
    let seen = check_numbered_lines(&setup.path("in.txt"), &setup.path("out.txt"), count)?;
    println!("three times kill -9 of the leader: {seen:?}");
    ensure!(
        seen == Seen {
            distinct: count,
            ..Seen::default()
        },
        "{seen:?}"
    );
    ensure!(same_bytes(&setup.path("in.txt"), &setup.path("out.txt"))?);
    Ok(())
}

/// Half with the Java worker, half with ours, on the same offset file, topic and group; and the other way.
#[test]
fn java_connect_and_millstream_take_over_from_each_other() -> Result<()> {
    let (Some(bootstrap), Some(libs)) = (bootstrap_or_skip(), libs_or_skip()) else {
        return Ok(());
    };
    for java_first in [true, false] {
        let setup = Setup::new(&bootstrap)?;
        let count = 2_000_000;
        let bytes = write_numbered_lines(&setup.path("in.txt"), 0, count)?;
        // Any free port does for Java's REST API.
        let worker = setup.worker("listeners=http://127.0.0.1:0")?;
        let (source, sink) = (setup.source("")?, setup.sink("")?);
        for life in 0..4 {
            let java = (life % 2 == 0) == java_first;
            let files = [worker.as_path(), &source, &sink];
            let mut program = if java {
                setup.start_java(&libs, &files)?
            } else {
                setup.start(&files)?
            };
            setup.wait_for_bytes("out.txt", bytes * (life + 1) / 4, &mut program, LONG)?;
            let log = program.log();
            let code = program.terminate(SOON)?;
            // The JVM reports the signal that ended it.
            ensure!(
                code == if java { 143 } else { 0 },
                "exit code {code}:\n{log}"
            );
        }
        let seen = check_numbered_lines(&setup.path("in.txt"), &setup.path("out.txt"), count)?;
        println!("java first: {java_first}: {seen:?}");
        ensure!(seen.lost == 0 && seen.torn == 0, "{seen:?}");
    }
    Ok(())
}

fn tail_contains(path: &std::path::Path, text: &str) -> Result<bool> {
    use std::io::{Read, Seek, SeekFrom};
    let Ok(mut file) = fs::File::open(path) else {
        return Ok(false);
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(64 * 1024)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).contains(text))
}

/// Asks Kafka's own tool.
fn leader_of(libs: &std::path::Path, bootstrap: &str, topic: &str) -> Result<i32> {
    let mut leader = None;
    eventually(Duration::from_secs(60), "a leader", || {
        let output = std::process::Command::new("java")
            .arg("-cp")
            .arg(libs.join("*"))
            .args([
                "org.apache.kafka.tools.TopicCommand",
                "--bootstrap-server",
                bootstrap,
                "--describe",
                "--topic",
                topic,
            ])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        leader = text
            .split_once("Leader: ")
            .and_then(|(_, rest)| rest.split_whitespace().next().map(str::to_string))
            .and_then(|id| id.parse().ok());
        Ok(leader.is_some_and(|leader| leader >= 0))
    })?;
    leader.ok_or_else(|| anyhow::anyhow!("no leader"))
}
