//! `cargo xtask kafka`: brokers for a developer, which outlive the command that starts them.
//!
//! Lives elsewhere: the brokers themselves (`connect_testkit::kafka`), their jars (`referee`).

use anyhow::{Context as _, Result, bail};
use connect_testkit::kafka::{
    BOOTSTRAP_ENV, ClusterSpec, DetachedBroker, KafkaCluster, LIBS_ENV, PYTHON_ENV,
};

use crate::Verdict;
use crate::python::PythonClients;
use crate::referee::Referee;
use crate::workspace::Workspace;

pub const HELP: &str = "\
cargo xtask kafka <start|stop|status>: real Apache Kafka brokers to work against

  start [--brokers 1|3] [--set key=value]...
            Fetches Kafka's jars the first time (needs java and mvn), and clients in Python if there
            is a python3 that can hold them; starts brokers with empty data
            on free ports of 127.0.0.1 and prints the variables that the tests read. To set them:
                eval \"$(cargo xtask kafka start)\"
            With 3 brokers topics have three replicas, of which two must be in sync.
            --set gives a broker property, for example --set auto.create.topics.enable=false
  status    Says which brokers run, where, and where their logs are
  stop      Ends them and removes their data

State and logs are in kafka/dev of cargo's target directory. One cluster at a time.
";

pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<Verdict> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["start", options @ ..] => start(workspace, &StartOptions::parse(options)?),
        ["status"] => status(workspace),
        ["stop"] => stop(workspace),
        [] => bail!("kafka: start, stop or status?\n\n{HELP}"),
        other => bail!("kafka: did not understand `{}`\n\n{HELP}", other.join(" ")),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct StartOptions {
    brokers: usize,
    overrides: Vec<(String, String)>,
}

impl StartOptions {
    fn parse(mut arguments: &[&str]) -> Result<Self> {
        let mut options = Self {
            brokers: 1,
            overrides: Vec::new(),
        };
        loop {
            match arguments {
                [] => return Ok(options),
                ["--brokers", count, rest @ ..] => {
                    options.brokers = match *count {
                        "1" => 1,
                        "3" => 3,
                        other => bail!("--brokers: must be 1 or 3, got {other}"),
                    };
                    arguments = rest;
                }
                ["--set", property, rest @ ..] => {
                    let (key, value) = property
                        .split_once('=')
                        .with_context(|| format!("--set: must be key=value, got {property}"))?;
                    options.overrides.push((key.to_owned(), value.to_owned()));
                    arguments = rest;
                }
                [other, ..] => bail!("kafka start: did not understand `{other}`\n\n{HELP}"),
            }
        }
    }
}

fn dir(workspace: &Workspace) -> std::path::PathBuf {
    workspace.target.join("kafka/dev")
}

fn start(workspace: &Workspace, options: &StartOptions) -> Result<Verdict> {
    let found = DetachedBroker::all_in(&dir(workspace))?;
    if found.iter().any(DetachedBroker::is_running) {
        bail!(
            "Kafka is running already: `cargo xtask kafka status` says where, `cargo xtask kafka stop` ends it"
        );
    }
    let referee = Referee::of(workspace)?;
    if let Some(missing) = referee.missing() {
        bail!("{missing}");
    }
    let mut spec = ClusterSpec::new(options.brokers, referee.fetch()?);
    spec.dir = Some(dir(workspace));
    // It runs for long, and somebody may measure against it.
    spec.jvm = vec!["-Xmx512M".to_owned()];
    spec.overrides.clone_from(&options.overrides);
    eprintln!(
        "starting Apache Kafka {} ({} broker(s))",
        referee.version, options.brokers
    );
    KafkaCluster::start_with(spec)?.detach();
    report(&DetachedBroker::all_in(&dir(workspace))?, &referee);
    let clients = PythonClients::of(workspace)?;
    if clients.missing().is_none() {
        println!("export {PYTHON_ENV}={}", clients.fetch()?.display());
    }
    Ok(Verdict::Good)
}

fn status(workspace: &Workspace) -> Result<Verdict> {
    let brokers = DetachedBroker::all_in(&dir(workspace))?;
    if !brokers.iter().any(DetachedBroker::is_running) {
        eprintln!("Kafka is not running; `cargo xtask kafka start` starts it");
        return Ok(Verdict::Bad);
    }
    report(&brokers, &Referee::of(workspace)?);
    if let Some(python) = PythonClients::of(workspace)?.fetched() {
        println!("export {PYTHON_ENV}={}", python.display());
    }
    Ok(Verdict::Good)
}

fn stop(workspace: &Workspace) -> Result<Verdict> {
    let brokers = DetachedBroker::all_in(&dir(workspace))?;
    let running = brokers.iter().filter(|broker| broker.is_running()).count();
    DetachedBroker::stop_all(&brokers)?;
    if dir(workspace).exists() {
        std::fs::remove_dir_all(dir(workspace))?;
    }
    eprintln!("stopped {running} broker(s)");
    Ok(Verdict::Good)
}

/// The table is for people and goes to standard error; the variables are for a shell.
fn report(brokers: &[DetachedBroker], referee: &Referee) {
    for broker in brokers {
        let state = match (broker.is_running(), broker.brokers_known()) {
            (false, _) => "has ended".to_owned(),
            (true, Ok(known)) => format!(
                "pid {}, sees {known} of {} brokers",
                broker.pid,
                brokers.len()
            ),
            (true, Err(error)) => format!("pid {}, does not answer: {error}", broker.pid),
        };
        eprintln!(
            "broker {} {}: {state}, log {}",
            broker.node,
            broker.address,
            broker.log_file().display()
        );
    }
    let addresses: Vec<String> = brokers
        .iter()
        .map(|broker| broker.address.to_string())
        .collect();
    println!("export {BOOTSTRAP_ENV}={}", addresses.join(","));
    println!("export {LIBS_ENV}={}", referee.libs.display());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_has_options() {
        let rows: [(&[&str], _); 7] = [
            (&[], Some((1, 0))),
            (&["--brokers", "3"], Some((3, 0))),
            (
                &["--set", "a=b=c", "--brokers", "1", "--set", "d="],
                Some((1, 2)),
            ),
            (&["--brokers", "2"], None),
            (&["--brokers"], None),
            (&["--set", "a"], None),
            (&["3"], None),
        ];
        for (arguments, expected) in rows {
            let options = StartOptions::parse(arguments).ok();
            let found = options.map(|options| (options.brokers, options.overrides.len()));
            assert_eq!(found, expected, "{arguments:?}");
        }
    }
}
