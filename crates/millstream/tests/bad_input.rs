//! Wrong input gives one clear sentence and the right exit code or task state, and loses nothing.

mod support;

use anyhow::{Result, ensure};
use connect_testkit::kafka::bootstrap_or_skip;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::*;

/// Starts the program with these files, waits for its end, checks its exit code and one line of its log.
#[track_caller]
fn check(setup: &Setup, files: &[&Path], code: i32, expected: &str) -> Result<()> {
    let program = setup.start(files)?;
    let ended = program.wait(SOON)?;
    let log = fs::read_to_string(setup.path("log"))?;
    let _ = fs::remove_file(setup.path("log"));
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    ensure!(ended == code, "exit code {ended}, not {code}:\n{log}");
    ensure!(
        errors.len() == 1,
        "one error is to be said, not {}:\n{log}",
        errors.len()
    );
    ensure!(
        log.contains(expected),
        "the log does not say {expected:?}:\n{log}"
    );
    ensure!(!log.contains("panicked"), "{log}");
    Ok(())
}

/// An address where nobody listens.
fn closed_port() -> Result<String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}

#[test]
fn a_wrong_command_line_is_exit_code_1() -> Result<()> {
    for arguments in [
        &[][..],
        &["standalone"],
        &["stand-alone", "w"],
        &["standalone", "--workers", "2", "w"],
    ] {
        let output = Command::new(program()).args(arguments).output()?;
        ensure!(output.status.code() == Some(1), "{arguments:?}: {output:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["standalone", "--help"]] {
        let output = Command::new(program()).args(arguments).output()?;
        ensure!(output.status.code() == Some(0), "{arguments:?}: {output:?}");
        ensure!(
            !output.stdout.contains(&0x1B),
            "colour on a pipe: {arguments:?}"
        );
    }
    Ok(())
}

#[test]
fn a_wrong_worker_configuration_is_exit_code_2() -> Result<()> {
    let setup = Setup::new(&closed_port()?)?;
    let source = setup.source("")?;
    check(
        &setup,
        &[&setup.path("missing.properties"), &source],
        2,
        "cannot read the worker configuration",
    )?;
    let empty = setup.write("empty.properties", "")?;
    check(
        &setup,
        &[&empty],
        2,
        "Missing required configuration \"key.converter\" which has no default value.",
    )?;
    check(&setup, &[&empty], 2, "\"offset.storage.file.filename\"")?;
    let bad = setup.worker("offset.flush.timeout.ms=soon")?;
    let expected =
        "Invalid value soon for configuration offset.flush.timeout.ms: Not a number of type LONG";
    check(&setup, &[&bad], 2, expected)?;
    let bad = setup.worker("x=\\u12")?;
    check(&setup, &[&bad], 2, "Malformed \\uxxxx encoding.")?;
    let providers = setup.worker("config.providers=file")?;
    let expected = "Missing required configuration \"config.providers.file.class\" which has no default value.";
    check(&setup, &[&providers], 2, expected)?;
    Ok(())
}

#[test]
fn a_wrong_offset_file_is_exit_code_2_and_stays_as_it_is() -> Result<()> {
    let setup = Setup::new(&closed_port()?)?;
    let worker = setup.worker("")?;
    setup.write("offsets", "not offsets")?;
    check(&setup, &[&worker], 2, "is not an offset file")?;
    ensure!(fs::read_to_string(setup.path("offsets"))? == "not offsets");
    fs::remove_file(setup.path("offsets"))?;
    fs::create_dir(setup.path("offsets"))?;
    check(&setup, &[&worker], 2, "cannot open the offset file")?;
    Ok(())
}

#[test]
fn no_broker_and_a_port_of_something_else_are_exit_code_2() -> Result<()> {
    let setup = Setup::new(&closed_port()?)?;
    let worker =
        setup.worker("admin.default.api.timeout.ms=1000\nadmin.request.timeout.ms=1000")?;
    check(
        &setup,
        &[&worker],
        2,
        "(connection refused); is the broker running and the port right?",
    )?;
    // A server that speaks HTTP.
    let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    let setup = Setup::new(&server.local_addr()?.to_string())?;
    std::thread::spawn(move || {
        for stream in server.incoming().flatten() {
            use std::io::{Read, Write};
            let mut stream = stream;
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let worker =
        setup.worker("admin.default.api.timeout.ms=1000\nadmin.request.timeout.ms=1000")?;
    check(&setup, &[&worker], 2, "does not answer like a Kafka broker")?;
    let setup = Setup::new("localhost")?;
    let worker = setup.worker("")?;
    check(&setup, &[&worker], 2, "bootstrap.servers")?;
    Ok(())
}

#[test]
fn a_wrong_connector_is_exit_code_3() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    let worker = setup.worker("")?;
    let connector = |text: &str| setup.write("connector.properties", text);
    check(
        &setup,
        &[&worker, &setup.path("missing")],
        3,
        "cannot read the connector configuration",
    )?;
    let file = connector("connector.class=FileStreamSource\ntopic=t\n")?;
    check(
        &setup,
        &[&worker, &file],
        3,
        "is missing the mandatory 'name' configuration",
    )?;
    let file = connector("name=c\nconnector.class=NoSuchConnector\n")?;
    let expected =
        "Failed to find any class that implements Connector and which name matches NoSuchConnector";
    check(&setup, &[&worker, &file], 3, expected)?;
    let file = connector(
        "name=c\nconnector.class=FileStreamSource\nfile=in.txt\nbatch.size=many\ntasks.max=0\n",
    )?;
    check(
        &setup,
        &[&worker, &file],
        3,
        "Missing required configuration \"topic\" which has no default value.",
    )?;
    check(
        &setup,
        &[&worker, &file],
        3,
        "Invalid value many for configuration batch.size: Not a number of type INT",
    )?;
    check(
        &setup,
        &[&worker, &file],
        3,
        "Invalid value 0 for configuration tasks.max: Value must be at least 1",
    )?;
    let file = connector("name=c\nconnector.class=FileStreamSink\nfile=out.txt\n")?;
    check(
        &setup,
        &[&worker, &file],
        3,
        "Must configure one of topics or topics.regex",
    )?;
    let file = connector(
        "name=c\nconnector.class=FileStreamSink\ntopics=t\nvalue.converter=NoSuchConverter\n",
    )?;
    check(
        &setup,
        &[&worker, &file],
        3,
        "Class NoSuchConverter could not be found.",
    )?;
    let file = connector(
        "name=c\nconnector.class=FileStreamSink\ntopics=t\ntransforms=a\ntransforms.a.type=x\n",
    )?;
    check(&setup, &[&worker, &file], 3, "Class x could not be found")?;
    let file =
        connector("name=c\nconnector.class=FileStreamSource\ntopic=t\nproducer.override.acks=2\n")?;
    check(&setup, &[&worker, &file], 3, "acks")?;
    Ok(())
}

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    let worker = setup.worker("offset.flush.intervall.ms=5\nplugin.path=/plugins")?;
    setup.write("in.txt", "line\n")?;
    let source = setup.source("batch.sise=5")?;
    let mut program = setup.start(&[&worker, &source])?;
    setup.wait_for_log("worker started", &mut program)?;
    let log = program.log();
    for expected in [
        "offset.flush.interval.ms",
        "batch.size",
        "\"plugin.path\" has no effect: Java plugins",
    ] {
        ensure!(
            log.lines()
                .any(|line| line.contains("WARN") && line.contains(expected)),
            "no word of {expected}:\n{log}"
        );
    }
    ensure!(program.terminate(SOON)? == 0);
    Ok(())
}

#[test]
fn a_second_worker_on_one_offset_file_is_refused() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    let worker = setup.worker("")?;
    let mut first = Program::first(&setup, &worker)?;
    let second = Command::new(program())
        .arg("standalone")
        .arg(&worker)
        .output()?;
    ensure!(second.status.code() == Some(2), "{second:?}");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(said.contains("is in use by another worker"), "{said}");
    ensure!(first.is_running()?);
    ensure!(first.terminate(SOON)? == 0);
    Ok(())
}

/// A worker that has started.
struct Program;

impl Program {
    fn first(setup: &Setup, worker: &Path) -> Result<connect_testkit::process::Program> {
        let mut program = setup.start(&[worker])?;
        setup.wait_for_log("worker started", &mut program)?;
        Ok(program)
    }
}

/// The task is FAILED with one sentence; the worker goes on; nothing behind the bad record is committed.
#[test]
fn corrupt_json_fails_the_task_and_commits_nothing_behind_it() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    setup.write("in.txt", "{\"a\":1}\n{\"a\":\n{\"a\":3}\n")?;
    let (worker, source) = (setup.worker("")?, setup.source("")?);
    let json = "value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=false";
    let sink = setup.sink(json)?;
    let mut program = setup.start(&[&worker, &source, &sink])?;
    setup.wait_for_log("task failed", &mut program)?;
    let log = program.log();
    for expected in [
        "Tolerance exceeded in error handler",
        "stage=VALUE_CONVERTER",
        "offset=1",
        &setup.topic,
    ] {
        ensure!(log.contains(expected), "no word of {expected}:\n{log}");
    }
    ensure!(
        program.is_running()?,
        "one failed task is not the end of the worker"
    );
    ensure!(program.terminate(SOON)? == 0);
    // Tolerated, the bad record is left out and the others arrive.
    let tolerant = setup.sink(&format!(
        "{json}\nerrors.tolerance=all\nerrors.log.enable=true"
    ))?;
    let mut program = setup.start(&[&worker, &source, &tolerant])?;
    setup.wait_for_bytes("out.txt", "{a=1}\n{a=3}\n".len() as u64, &mut program, SOON)?;
    ensure!(program.terminate(SOON)? == 0);
    ensure!(fs::read_to_string(setup.path("out.txt"))? == "{a=1}\n{a=3}\n");
    Ok(())
}

#[test]
fn a_record_too_large_fails_the_task_with_its_size() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    setup.write(
        "in.txt",
        &format!("small\n{}\nsmall\n", "x".repeat(1_100_000)),
    )?;
    let (worker, source, sink) = (setup.worker("")?, setup.source("")?, setup.sink("")?);
    let mut program = setup.start(&[&worker, &source, &sink])?;
    setup.wait_for_log("task failed", &mut program)?;
    let log = program.log();
    ensure!(log.contains("which is larger than 1048576"), "{log}");
    ensure!(log.contains("max.request.size"), "{log}");
    // What came before it is on the topic.
    setup.wait_for_bytes("out.txt", 6, &mut program, SOON)?;
    ensure!(program.terminate(SOON)? == 0);
    Ok(())
}

#[test]
fn a_topic_that_nobody_creates_keeps_the_task_waiting_and_stoppable() -> Result<()> {
    let Some(libs) = connect_testkit::kafka::libs_or_skip() else {
        return Ok(());
    };
    let cluster =
        connect_testkit::kafka::KafkaCluster::start(1, &[("auto.create.topics.enable", "false")])?;
    let setup = Setup::new(&cluster.bootstrap())?;
    setup.write("in.txt", "line\n")?;
    let (worker, source, sink) = (setup.worker("")?, setup.source("")?, setup.sink("")?);
    let mut program = setup.start(&[&worker, &source, &sink])?;
    setup.wait_for_log("create it and the task goes on", &mut program)?;
    ensure!(program.is_running()?);
    let created = Command::new("java")
        .arg("-cp")
        .arg(libs.join("*"))
        .args([
            "org.apache.kafka.tools.TopicCommand",
            "--bootstrap-server",
            &setup.bootstrap,
            "--create",
        ])
        .args(["--topic", &setup.topic])
        .output()?;
    ensure!(created.status.success(), "{created:?}");
    setup.wait_for_bytes("out.txt", 5, &mut program, Duration::from_secs(120))?;
    ensure!(program.terminate(SOON)? == 0);
    Ok(())
}

#[test]
fn bytes_that_are_no_text_arrive_as_replacement_characters() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    fs::write(setup.path("in.txt"), b"a\xFFb\n")?;
    let (worker, source, sink) = (setup.worker("")?, setup.source("")?, setup.sink("")?);
    let mut program = setup.start(&[&worker, &source, &sink])?;
    setup.wait_for_bytes("out.txt", 6, &mut program, SOON)?;
    ensure!(program.terminate(SOON)? == 0);
    ensure!(fs::read_to_string(setup.path("out.txt"))? == "a\u{FFFD}b\n");
    Ok(())
}

#[test]
fn a_source_that_is_no_file_fails_its_task() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    fs::create_dir(setup.path("in.txt"))?;
    let (worker, source) = (setup.worker("")?, setup.source("")?);
    let mut program = setup.start(&[&worker, &source])?;
    setup.wait_for_log("file is a directory", &mut program)?;
    ensure!(program.log().contains("task failed"), "{}", program.log());
    ensure!(program.terminate(SOON)? == 0);
    Ok(())
}
