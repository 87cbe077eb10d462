//! Values of configurations from files, directories and the environment, in the program and on a real broker.

mod support;

use anyhow::{Result, ensure};
use connect_testkit::kafka::bootstrap_or_skip;
use connect_testkit::process::Program;
use std::fs;
use std::path::Path;
use std::process::Command;
use support::*;

const SECRET: &str = "hunter2-hunter2";

/// Providers of all three kinds that may read the folder of the test.
fn providers(setup: &Setup) -> String {
    let folder = setup.folder.path().display();
    format!(
        "config.providers=file,dir,env\n\
         config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\n\
         config.providers.file.param.allowed.paths={folder}\n\
         config.providers.dir.class=org.apache.kafka.common.config.provider.DirectoryConfigProvider\n\
         config.providers.dir.param.allowed.paths={folder}\n\
         config.providers.env.class=EnvVarConfigProvider\n\
         config.providers.env.param.allowlist.pattern=MILLSTREAM_TEST_.*\n"
    )
}

/// The program with all its log lines and a variable in its environment.
fn start(setup: &Setup, files: &[&Path]) -> Result<Program> {
    Program::start(
        Command::new(program())
            .arg("standalone")
            .args(files)
            .env("MILLSTREAM_LOG", "trace")
            .env("MILLSTREAM_TEST_FILE", setup.path("out.txt"))
            .env("MILLSTREAM_TEST_SECRET", SECRET),
        &setup.path("log"),
    )
}

fn shows_no_secret(log: &str) -> Result<()> {
    let line = log.lines().find(|line| line.contains("hunter2"));
    ensure!(line.is_none(), "a secret: {line:?}");
    Ok(())
}

#[test]
fn worker_and_connectors_take_values_from_all_providers() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    let vars = setup.path("vars.properties");
    let vars = vars.display();
    let (first, second) = (setup.path("in.txt"), setup.path("second.txt"));
    fs::write(&first, "one\n")?;
    fs::write(&second, "two\n")?;
    let write_vars = |input: &Path| {
        let text = format!(
            "bootstrap={bootstrap}\ninput={}\ntopic={}\nid={SECRET}\n",
            input.display(),
            setup.topic
        );
        setup.write("vars.properties", &text)
    };
    write_vars(&first)?;
    fs::create_dir(setup.path("secrets"))?;
    setup.write("secrets/id", SECRET)?;
    let worker = setup.worker(&format!(
        "{}config.providers.file.param.millstream.reload.interval.ms=50\n\
         bootstrap.servers=${{file:{vars}:bootstrap}}\n\
         producer.client.id=${{file:{vars}:id}}\n",
        providers(&setup)
    ))?;
    let source = setup.write(
        "source.properties",
        &format!(
            "name={}-source\nconnector.class=FileStreamSource\nfile=${{file:{vars}:input}}\ntopic=${{file:{vars}:topic}}\n",
            setup.topic
        ),
    )?;
    let secrets = setup.path("secrets");
    let secrets = secrets.display();
    let sink = setup.write(
        "sink.properties",
        &format!(
            "name={}-sink\nconnector.class=FileStreamSink\nfile=${{env:MILLSTREAM_TEST_FILE}}\n\
             topics=${{file:{vars}:topic}}\nconsumer.override.client.id=x-${{dir:{secrets}:id}}\n",
            setup.topic
        ),
    )?;
    let mut program = start(&setup, &[&worker, &source, &sink])?;
    setup.wait_for_bytes("out.txt", 4, &mut program, SOON)?;
    // While it runs the file changes: the source reads another file then, without a restart of the worker.
    write_vars(&second)?;
    setup.wait_for_bytes("out.txt", 8, &mut program, SOON)?;
    ensure!(program.terminate(SOON)? == 0);
    ensure!(fs::read_to_string(setup.path("out.txt"))? == "one\ntwo\n");
    let log = fs::read_to_string(setup.path("log"))?;
    ensure!(
        log.contains("values of the config provider file have changed"),
        "{log}"
    );
    shows_no_secret(&log)
}

/// Starts the program, waits for its end, and checks what it said.
#[track_caller]
fn check(setup: &Setup, files: &[&Path], code: i32, expected: &str) -> Result<()> {
    let ended = start(setup, files)?.wait(SOON)?;
    let log = fs::read_to_string(setup.path("log"))?;
    fs::remove_file(setup.path("log"))?;
    ensure!(ended == code, "exit code {ended}, not {code}:\n{log}");
    ensure!(
        log.contains(expected),
        "the log does not say {expected:?}:\n{log}"
    );
    shows_no_secret(&log)
}

#[test]
fn errors_of_a_worker_name_the_reference_and_show_no_value() -> Result<()> {
    let setup = Setup::new("127.0.0.1:1")?;
    let providers = providers(&setup);
    for (lines, expected) in [
        (
            "offset.flush.timeout.ms=${env:MILLSTREAM_TEST_SECRET}",
            "Invalid value ${env:MILLSTREAM_TEST_SECRET} for configuration offset.flush.timeout.ms: Not a number of \
             type LONG",
        ),
        (
            "offset.flush.timeout.ms=${file:/nowhere:x}",
            "Invalid value ${file:/nowhere:x} for configuration offset.flush.timeout.ms",
        ),
        (
            "offset.flush.timeout.ms=${env:a:b}",
            "Path is not supported for EnvVarConfigProvider, invalid value 'a' (provider=env path=a)",
        ),
        (
            "connector.client.config.override.policy=${env:MILLSTREAM_TEST_SECRET}",
            "Invalid value ${env:MILLSTREAM_TEST_SECRET} for configuration connector.client.config.override.policy",
        ),
        (
            "config.providers.file.param.allowed.paths=relative",
            "Path relative is not absolute",
        ),
        (
            "config.providers.env.param.allowlist.pattern=(",
            "Unclosed group near index 1",
        ),
        (
            "config.providers.dir.class=NoSuchProvider",
            "Invalid value NoSuchProvider for configuration config.providers.dir.class: Could not load config provider \
             class or one of its dependencies; available config providers are: org.apache.kafka.common.config.provider.",
        ),
    ] {
        let worker = setup.worker(&format!("{providers}{lines}"))?;
        check(&setup, &[&worker], 2, expected)?;
    }
    Ok(())
}

#[test]
fn errors_of_a_connector_name_the_reference_and_show_no_value() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    let worker = setup.worker(&providers(&setup))?;
    let folder = setup.folder.path().display().to_string();
    setup.write("not-utf8", "")?;
    fs::write(setup.path("not-utf8"), b"hunter2=\xff")?;
    for (lines, expected) in [
        (
            "batch.size=${env:MILLSTREAM_TEST_SECRET}",
            "Invalid value ${env:MILLSTREAM_TEST_SECRET} for configuration batch.size: Not a number of type INT",
        ),
        (
            "value.converter=${env:MILLSTREAM_TEST_SECRET}",
            "Class ${env:MILLSTREAM_TEST_SECRET} could not be found",
        ),
        (
            "producer.override.acks=${env:MILLSTREAM_TEST_SECRET}",
            "${env:MILLSTREAM_TEST_SECRET}",
        ),
        (
            "batch.size=${file:FOLDER/none:x}",
            "batch.size: Could not read properties from file FOLDER/none: No such file or directory (os error 2) \
             (provider=file path=FOLDER/none)",
        ),
        (
            "batch.size=${file:FOLDER/not-utf8:x}",
            "batch.size: Could not read properties from file FOLDER/not-utf8: the file is not UTF-8 text",
        ),
        (
            "batch.size=${env:PATH}",
            "Invalid value ${env:PATH} for configuration batch.size",
        ),
    ] {
        let put = |text: &str| text.replace("FOLDER", &folder);
        let source = setup.source(&put(lines))?;
        check(&setup, &[&worker, &source], 3, &put(expected))?;
    }
    Ok(())
}

/// A file whose name is a secret: what the task says of it in its log lines shows the reference.
#[test]
fn a_task_that_fails_shows_no_value() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let setup = Setup::new(&bootstrap)?;
    let worker = setup.worker(&providers(&setup))?;
    fs::create_dir(setup.path(SECRET))?;
    let folder = setup.folder.path().display();
    let source = setup.write(
        "source.properties",
        &format!(
            "name={0}-source\nconnector.class=FileStreamSource\nfile={folder}/${{env:MILLSTREAM_TEST_SECRET}}\n\
             topic={0}\n",
            setup.topic
        ),
    )?;
    let mut program = start(&setup, &[&worker, &source])?;
    setup.wait_for_log("task failed", &mut program)?;
    ensure!(program.terminate(SOON)? == 0);
    let log = fs::read_to_string(setup.path("log"))?;
    ensure!(log.contains("${env:MILLSTREAM_TEST_SECRET}"), "{log}");
    shows_no_secret(&log)
}
