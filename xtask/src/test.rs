//! `cargo xtask test`: all that must pass, in the order in which it fails soonest.
//!
//! Lives here: the steps, and what each needs of the ones before.
//! Lives elsewhere: reading what the tests print (`output`), the broker (`connect_testkit::kafka`).
//! Never here: a step that passes because it was not run. It is told as not run, and under
//! `CI=true` that is a failure.

mod output;

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use connect_testkit::kafka::{
    BOOTSTRAP_ENV, ClusterSpec, KafkaCluster, LIBS_ENV, PYTHON_ENV, REQUIRE_SERVERS_ENV,
};
use connect_testkit::process::{Program, eventually};

use crate::python::PythonClients;
use serde_json::Value as Json;

use crate::referee::Referee;
use crate::workspace::{Workspace, cargo};
use crate::{Verdict, arrows, tidy};
use output::TestOutput;

/// The crates whose suites need a broker, whichever.
const LOG_SUITES: &[&str] = &["kafka-client", "connect-worker"];

/// Longest wait for our own log.
const LOG_STARTS_WITHIN: Duration = Duration::from_secs(30);

pub const HELP: &str = "\
cargo xtask test [--no-servers] [--only <step>[,<step>]...]: everything that must pass

Steps, in this order:
  fmt       cargo fmt --all --check
  clippy    cargo clippy --workspace --all-targets -- -D warnings
  arrows    cargo xtask arrows
  tidy      cargo xtask tidy
  build     cargo build --workspace --all-targets
  kafka     fetch Apache Kafka with Maven and other Kafka clients with pip the first time, and
            start one broker for the tests
  test      cargo test --workspace, with the broker; ends the broker
  log       the suites of kafka-client and connect-worker once more, unchanged, on our own log
            (`millstream kafka`) instead of Apache Kafka
  doc       cargo test --workspace --doc

Options:
  --only <step>   Run these steps only; `test` brings `kafka` with it
  --no-servers    Start no broker: the suites that need one say so and are skipped

A failed step does not keep the others from running, except that nothing is tested when the build
failed. Without java, mvn or python3 the suites that need a broker are skipped, and the end says what to
install. With CI=true whatever is not run is a failure.

The suites find their servers by these variables, which this command sets but for the version:
  KAFKA_BOOTSTRAP              a broker that all suites share
  MILLSTREAM_KAFKA_LIBS        Kafka's jars, for suites that start brokers of their own; when it is
                               already set, the jars there are used and nothing is fetched
  MILLSTREAM_KAFKA_VERSION     another version of Kafka than the pinned one, for example 3.9.1
  MILLSTREAM_KAFKA_PYTHON      a Python with the clients of xtask/referee/requirements.txt; when it
                               is already set, nothing is fetched
  MILLSTREAM_REQUIRE_SERVERS   1: fail where a server is missing, rather than skip
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Fmt,
    Clippy,
    Arrows,
    Tidy,
    Build,
    Kafka,
    Test,
    Log,
    Doc,
}

const STEPS: &[(Step, &str)] = &[
    (Step::Fmt, "fmt"),
    (Step::Clippy, "clippy"),
    (Step::Arrows, "arrows"),
    (Step::Tidy, "tidy"),
    (Step::Build, "build"),
    (Step::Kafka, "kafka"),
    (Step::Test, "test"),
    (Step::Log, "log"),
    (Step::Doc, "doc"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Servers {
    Started,
    Refused,
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    steps: Vec<Step>,
    servers: Servers,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut only: Vec<Step> = Vec::new();
        let mut servers = Servers::Started;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--no-servers" => servers = Servers::Refused,
                "--only" => {
                    let names = arguments
                        .next()
                        .context("--only: needs the name of a step")?;
                    for name in names.split(',') {
                        only.push(step_called(name)?);
                    }
                }
                other => bail!("test: did not understand `{other}`\n\n{HELP}"),
            }
        }
        if only.contains(&Step::Test) && servers == Servers::Started {
            only.push(Step::Kafka);
        }
        let steps = STEPS.iter().map(|(step, _)| *step);
        let steps = steps
            .filter(|step| only.is_empty() || only.contains(step))
            .collect();
        Ok(Self { steps, servers })
    }
}

fn step_called(name: &str) -> Result<Step> {
    let known = || {
        STEPS
            .iter()
            .map(|(_, name)| *name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let found = STEPS.iter().find(|(_, known)| *known == name);
    found
        .map(|(step, _)| *step)
        .with_context(|| format!("--only: no step `{name}`; there are {}", known()))
}

/// What became of a step, with the reason when it did not pass.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed(String),
    NotRun(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(why) => write!(f, "FAILED: {why}"),
            Self::NotRun(why) => write!(f, "NOT RUN: {why}"),
        }
    }
}

/// Who reads the verdict: a person, who may leave something out, or the gate, which may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Person,
    Gate,
}

pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<Verdict> {
    let options = Options::parse(arguments)?;
    let reader = match std::env::var("CI").as_deref() {
        Ok("true") => Reader::Gate,
        _ => Reader::Person,
    };
    let mut session = Session {
        workspace,
        servers: options.servers,
        reader,
        cluster: None,
        python: None,
        output: TestOutput::default(),
        rows: Vec::new(),
    };
    for (step, name) in STEPS
        .iter()
        .filter(|(step, _)| options.steps.contains(step))
    {
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = session.outcome_of(*step);
        println!("=== {name}: {outcome} ({})", seconds(start.elapsed()));
        session.rows.push(Row {
            step: *step,
            name,
            outcome,
            took: start.elapsed(),
        });
    }
    Ok(session.conclude())
}

struct Row {
    step: Step,
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

struct Session<'a> {
    workspace: &'a Workspace,
    servers: Servers,
    reader: Reader,
    /// From the step `kafka` to the end of the step `test`.
    cluster: Option<KafkaCluster>,
    /// A Python that has other Kafka clients, as soon as there is a cluster.
    python: Option<PathBuf>,
    output: TestOutput,
    rows: Vec<Row>,
}

impl Session<'_> {
    fn outcome_of(&mut self, step: Step) -> Outcome {
        let done = match step {
            Step::Fmt => self.cargo(&["fmt", "--all", "--check"]),
            Step::Clippy => self.cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]),
            Step::Arrows => arrows::run(self.workspace).map(outcome_of_check),
            Step::Tidy => tidy::run(self.workspace).map(outcome_of_check),
            Step::Build => self.cargo(&["build", "--workspace", "--all-targets"]),
            Step::Kafka | Step::Test | Step::Log | Step::Doc if self.build_failed() => {
                Ok(Outcome::NotRun("the build failed".to_owned()))
            }
            Step::Kafka => self.start_kafka(),
            Step::Test => self.tests(),
            Step::Log => self.log_tests(),
            Step::Doc => self.cargo_test(&["--doc"]),
        };
        done.unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
    }

    fn build_failed(&self) -> bool {
        self.rows
            .iter()
            .any(|row| row.step == Step::Build && row.outcome != Outcome::Passed)
    }

    fn cargo(&self, arguments: &[&str]) -> Result<Outcome> {
        println!("$ cargo {}", arguments.join(" "));
        let status = cargo()
            .args(arguments)
            .current_dir(&self.workspace.root)
            .status()?;
        Ok(outcome_of_status(status))
    }

    fn start_kafka(&mut self) -> Result<Outcome> {
        if self.servers == Servers::Refused {
            return Ok(Outcome::NotRun("--no-servers".to_owned()));
        }
        let referee = Referee::of(self.workspace)?;
        let clients = PythonClients::of(self.workspace)?;
        if let Some(missing) = referee.missing().or_else(|| clients.missing()) {
            return Ok(Outcome::NotRun(missing));
        }
        self.python = Some(clients.fetch()?);
        let cluster = KafkaCluster::start_with(ClusterSpec::new(1, referee.fetch()?))?;
        println!(
            "Apache Kafka {} at {}",
            referee.version,
            cluster.bootstrap()
        );
        self.cluster = Some(cluster);
        Ok(Outcome::Passed)
    }

    fn tests(&mut self) -> Result<Outcome> {
        // Doc tests have a step of their own.
        let outcome =
            self.cargo_test(&["--no-fail-fast", "--lib", "--bins", "--tests", "--examples"]);
        if let Some(cluster) = self.cluster.take()
            && !matches!(outcome, Ok(Outcome::Passed))
        {
            let kept = self.workspace.target.join("kafka/last-failure.log");
            fs::create_dir_all(self.workspace.target.join("kafka"))?;
            fs::copy(cluster.log_file(1)?, &kept)?;
            println!("the broker's log is kept in {}", kept.display());
        }
        outcome
    }

    /// The suites that talk to any broker, on ours.
    fn log_tests(&mut self) -> Result<Outcome> {
        let referee = Referee::of(self.workspace)?;
        if self.servers == Servers::Refused {
            return Ok(Outcome::NotRun("--no-servers".to_owned()));
        }
        if let Some(missing) = referee.missing() {
            // Some of these suites start clusters of their own beside the shared broker.
            return Ok(Outcome::NotRun(missing));
        }
        let dir = self
            .workspace
            .target
            .join("kafka")
            .join(format!("log-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let mut command = Command::new(self.workspace.target.join("debug/millstream"));
        command
            .args(["kafka", "--kafka-port", "0", "--dir"])
            .arg(dir.join("data"));
        let log = Program::start(&mut command, &dir.join("log"))?;
        let mut bootstrap = None;
        eventually(LOG_STARTS_WITHIN, "the log to print its address", || {
            bootstrap = address_in(&log.log());
            Ok(bootstrap.is_some())
        })?;
        let bootstrap = bootstrap.context("waited for above")?;
        println!("millstream kafka at {bootstrap}");
        let mut outcome = Outcome::Passed;
        for suite in self.suites_of(LOG_SUITES)? {
            println!("     Running {}", suite.display());
            self.output
                .begins(&format!("{}, on our own log", suite.display()));
            let mut command = Command::new(&suite);
            command
                .env(BOOTSTRAP_ENV, bootstrap.as_str())
                .env(LIBS_ENV, referee.fetch()?)
                .env(REQUIRE_SERVERS_ENV, "1");
            let this = self.follow(command)?;
            if this != Outcome::Passed {
                outcome = this;
            }
        }
        log.terminate(LOG_STARTS_WITHIN)?;
        fs::remove_dir_all(&dir)?;
        Ok(outcome)
    }

    /// The test programs of some crates, as the steps before have built them: naming the crates to cargo would build
    /// their dependencies again, with fewer features.
    fn suites_of(&self, crates: &[&str]) -> Result<Vec<PathBuf>> {
        let output = cargo()
            .args(["test", "--workspace", "--lib", "--tests", "--no-run"])
            .arg("--message-format=json")
            .current_dir(&self.workspace.root)
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let mut suites = Vec::new();
        for line in text.lines() {
            let artifact: Json = serde_json::from_str(line)?;
            let id = artifact["package_id"].as_str().unwrap_or_default();
            let of_ours = crates
                .iter()
                .any(|krate| id.contains(&format!("/crates/{krate}#")));
            if of_ours && artifact["profile"]["test"] == true {
                suites.extend(artifact["executable"].as_str().map(PathBuf::from));
            }
        }
        ensure!(!suites.is_empty(), "cargo names no suites of {crates:?}");
        Ok(suites)
    }

    fn cargo_test(&mut self, arguments: &[&str]) -> Result<Outcome> {
        let mut command = cargo();
        command.args(["test", "--workspace"]).args(arguments);
        self.tell_servers(&mut command);
        println!("$ cargo test --workspace {}", arguments.join(" "));
        self.follow(command)
    }

    /// Runs tests and reads along.
    fn follow(&mut self, mut command: Command) -> Result<Outcome> {
        command.current_dir(&self.workspace.root);
        let skipped_before = self.output.skipped().len();
        let status = self.output.follow(command, &mut std::io::stdout())?;
        let skipped = self.output.skipped().len() - skipped_before;
        match outcome_of_status(status) {
            Outcome::Passed if skipped > 0 && self.reader == Reader::Gate => Ok(Outcome::Failed(
                format!("{skipped} tests skipped for want of a server"),
            )),
            outcome => Ok(outcome),
        }
    }

    fn tell_servers(&self, command: &mut Command) {
        match &self.cluster {
            Some(cluster) => {
                command
                    .env(BOOTSTRAP_ENV, cluster.bootstrap())
                    .env(LIBS_ENV, cluster.libs());
            }
            None => {
                command.env_remove(BOOTSTRAP_ENV).env_remove(LIBS_ENV);
            }
        }
        match &self.python {
            Some(python) => command.env(PYTHON_ENV, python),
            None => command.env_remove(PYTHON_ENV),
        };
        if self.cluster.is_some() || self.reader == Reader::Gate {
            command.env(REQUIRE_SERVERS_ENV, "1");
        } else {
            command.env_remove(REQUIRE_SERVERS_ENV);
        }
    }

    /// Ends the broker if a step left it running, says what happened, and judges it.
    fn conclude(mut self) -> Verdict {
        drop(self.cluster.take());
        println!("\n{}", table(&self.rows));
        print!("{}", self.output.summary());
        let verdict = judge(&self.rows, self.reader);
        let not_run = self
            .rows
            .iter()
            .filter(|row| matches!(row.outcome, Outcome::NotRun(_)))
            .count();
        match (&verdict, not_run, self.output.skipped().len()) {
            (Verdict::Bad, _, _) => println!("\nFAILED"),
            (Verdict::Good, 0, 0) => println!("\nall passed"),
            (Verdict::Good, steps, tests) => {
                println!(
                    "\npassed, but {steps} steps were not run and {tests} tests were skipped, see above"
                );
            }
        }
        verdict
    }
}

/// What `millstream kafka` prints when it is ready.
fn address_in(printed: &str) -> Option<String> {
    let mut lines = printed
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let address = lines.find_map(|line| line.strip_prefix("bootstrap.servers="))?;
    Some(address.trim().to_owned())
}

fn outcome_of_status(status: std::process::ExitStatus) -> Outcome {
    if status.success() {
        Outcome::Passed
    } else {
        Outcome::Failed(format!("cargo ended with {status}"))
    }
}

fn outcome_of_check(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Good => Outcome::Passed,
        Verdict::Bad => Outcome::Failed("see above".to_owned()),
    }
}

fn judge(rows: &[Row], reader: Reader) -> Verdict {
    let good = rows.iter().all(|row| match row.outcome {
        Outcome::Passed => true,
        Outcome::Failed(_) => false,
        Outcome::NotRun(_) => reader == Reader::Person,
    });
    if good { Verdict::Good } else { Verdict::Bad }
}

fn table(rows: &[Row]) -> String {
    let line = |row: &Row| format!("{:<8}{:>9}  {}\n", row.name, seconds(row.took), row.outcome);
    rows.iter().map(line).collect()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_options(arguments: &[&str], expected: Option<(&[Step], Servers)>) {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        let options = Options::parse(&arguments).ok();
        let expected = expected.map(|(steps, servers)| Options {
            steps: steps.to_vec(),
            servers,
        });
        assert_eq!(options, expected, "{arguments:?}");
    }

    #[test]
    fn options_choose_steps() {
        let all: Vec<Step> = STEPS.iter().map(|(step, _)| *step).collect();
        check_options(&[], Some((&all, Servers::Started)));
        check_options(&["--no-servers"], Some((&all, Servers::Refused)));
        check_options(
            &["--only", "tidy,fmt"],
            Some((&[Step::Fmt, Step::Tidy], Servers::Started)),
        );
        check_options(
            &["--only", "test"],
            Some((&[Step::Kafka, Step::Test], Servers::Started)),
        );
        check_options(
            &["--only", "test", "--no-servers"],
            Some((&[Step::Test], Servers::Refused)),
        );
        check_options(&["--only"], None);
        check_options(&["--only", "tests"], None);
        check_options(&["tidy"], None);
    }

    #[test]
    fn what_is_not_run_does_not_pass_the_gate() {
        let rows = [
            (Outcome::Passed, true, true),
            (Outcome::Failed(String::new()), false, false),
            (Outcome::NotRun(String::new()), true, false),
        ];
        for (outcome, for_a_person, at_the_gate) in rows {
            let told = format!("{outcome:?}");
            let row = [Row {
                step: Step::Kafka,
                name: "kafka",
                outcome,
                took: Duration::ZERO,
            }];
            let good = |reader| matches!(judge(&row, reader), Verdict::Good);
            assert_eq!(good(Reader::Person), for_a_person, "{told}");
            assert_eq!(good(Reader::Gate), at_the_gate, "{told}");
        }
    }
}
