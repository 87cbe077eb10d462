//! `millstream quickstart` as a newcomer runs it: data flows, nothing is lost over restarts, mistakes are one sentence.

mod support;

use anyhow::{Context as _, Result, ensure};
use connect_testkit::process::{Program, eventually};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use support::{SOON, program};

fn start(dir: &Path, log: &Path, options: &[&str]) -> Result<Program> {
    let mut command = Command::new(program());
    command.arg("quickstart").arg("--dir").arg(dir);
    Program::start(command.args(options), log)
}

/// The order numbers in the example's output, and how often each is there.
fn billed(dir: &Path) -> Result<BTreeMap<u64, u32>> {
    let text = fs::read_to_string(dir.join("billing.txt")).unwrap_or_default();
    let mut numbers = BTreeMap::new();
    // The last line may be half written.
    for line in text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
    {
        let rest = line
            .strip_prefix("{order=")
            .with_context(|| format!("no order: {line}"))?;
        let (number, _) = rest.split_once(',').context("more than a number")?;
        *numbers.entry(number.parse()?).or_insert(0) += 1;
        ensure!(line.contains("card=****"), "not masked: {line}");
        ensure!(!line.contains('@'), "not dropped: {line}");
    }
    Ok(numbers)
}

fn wait_for_orders(dir: &Path, count: usize) -> Result<()> {
    eventually(SOON, "orders in the example's output", || {
        Ok(billed(dir)?.len() >= count)
    })
}

#[test]
fn orders_flow_and_go_on_over_a_stop_and_a_kill() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("data"), folder.path().join("log"));
    let first = start(&dir, &log, &["--kafka-port", "0"])?;
    wait_for_orders(&dir, 3)?;
    ensure!(first.terminate(SOON)? == 0, "{}", fs::read_to_string(&log)?);
    let after_stop = billed(&dir)?;
    ensure!(
        after_stop.values().all(|times| *times == 1),
        "{after_stop:?}"
    );

    let second = start(&dir, &log, &["--kafka-port", "0"])?;
    wait_for_orders(&dir, after_stop.len() + 3)?;
    second.kill()?;
    let third = start(&dir, &log, &["--kafka-port", "0"])?;
    let before = billed(&dir)?.len();
    wait_for_orders(&dir, before + 3)?;
    ensure!(third.terminate(SOON)? == 0, "{}", fs::read_to_string(&log)?);

    // What was not committed at the kill may be there twice; nothing is missing.
    let numbers: Vec<u64> = billed(&dir)?.into_keys().collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    ensure!(numbers == expected, "{numbers:?}");
    let said = fs::read_to_string(&log)?;
    ensure!(said.contains("Millstream is ready after"), "{said}");
    ensure!(!said.contains("ERROR") && !said.contains('\x1b'), "{said}");
    Ok(())
}

#[test]
fn without_the_example_the_users_own_connectors_run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (dir, log) = (folder.path().join("data"), folder.path().join("log"));
    fs::create_dir_all(dir.join("connectors"))?;
    fs::write(folder.path().join("in"), "a\nb\n")?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let connector = |name: &str, text: String| fs::write(dir.join("connectors").join(name), text);
    connector(
        "in.properties",
        format!(
            "name=in\nconnector.class=FileStreamSource\ntopic=t\nfile={}\n",
            path("in")
        ),
    )?;
    connector(
        "out.json",
        format!(
            "{{\"name\":\"out\",\"config\":{{\"connector.class\":\"FileStreamSink\",\"topics\":\"t\",\"file\":{:?}}}}}",
            path("out")
        ),
    )?;
    // One that cannot start is named, and keeps no other from it.
    connector(
        "bad.properties",
        "name=bad\nconnector.class=Nope\n".to_string(),
    )?;
    let program = start(&dir, &log, &["--kafka-port", "0", "--no-example"])?;
    eventually(SOON, "both lines", || {
        Ok(fs::read_to_string(folder.path().join("out")).is_ok_and(|text| text == "a\nb\n"))
    })?;
    ensure!(program.terminate(SOON)? == 0);
    let said = fs::read_to_string(&log)?;
    ensure!(
        said.contains("bad.properties") && said.contains("Nope"),
        "{said}"
    );
    ensure!(!dir.join("orders.jsonl").exists());
    Ok(())
}

/// The exit code, and what was said.
fn refused(dir: &Path, options: &[&str]) -> Result<(i32, String)> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let code = start(dir, &log, options)?.wait(SOON)?;
    Ok((code, fs::read_to_string(&log)?))
}

#[test]
fn a_mistake_is_one_sentence() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    let (code, said) = refused(&folder.path().join("a"), &["--kafka-port", &port])?;
    ensure!(code == 2 && said.lines().count() == 1, "{code}: {said}");
    ensure!(
        said.contains(&port) && said.contains("--kafka-port"),
        "{said}"
    );

    let file = folder.path().join("file");
    fs::write(&file, "")?;
    let (code, said) = refused(&file.join("below"), &["--kafka-port", "0"])?;
    ensure!(code == 2 && said.lines().count() == 1, "{code}: {said}");
    ensure!(said.contains("--dir"), "{said}");

    let (dir, log) = (folder.path().join("data"), folder.path().join("log"));
    let running = start(&dir, &log, &["--kafka-port", "0"])?;
    wait_for_orders(&dir, 1)?;
    let (code, said) = refused(&dir, &["--kafka-port", "0"])?;
    ensure!(code == 2 && said.lines().count() == 1, "{code}: {said}");
    ensure!(said.contains("in use by another process"), "{said}");
    ensure!(running.terminate(SOON)? == 0);
    Ok(())
}
