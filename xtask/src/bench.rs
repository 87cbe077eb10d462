//! `cargo xtask bench`: what Millstream costs next to Kafka Connect.
//!
//! Lives here: the options, the order of the runs.
//! Lives elsewhere: a single run (`measure`), the table of cases (`case`), the page (`report`).
//! Never here: a run of one worker that the other is not given too.

mod case;
mod client_cost;
mod data;
mod figures;
mod log;
mod log_page;
mod machine;
mod measure;
mod page;
mod report;
mod site;
mod transform_cost;
mod verify;
mod wire;
mod worker;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::Verdict;
use crate::referee::Referee;
use crate::workspace::{Workspace, cargo};
use case::{CASES, Case};
use measure::Topic;
use report::{CaseResult, Results, StartResult};
use site::Site;
use worker::Program;

pub const HELP: &str = "\
cargo xtask bench [options]: what Millstream costs next to Kafka Connect

Starts Apache Kafka, loads the same topics and files once, and moves them with Java's Kafka Connect
standalone and with `millstream standalone` in turn: Java, Millstream, Millstream again (the A/A
control), and so on. Both read the same configuration files. Records are counted at the destination
(size of the file, end of the topic), CPU is user and system time of the worker process from
/proc/<pid>/stat, from the moment a quarter of the records has arrived until all have. Afterwards
every byte at the destination is compared. The whole takes about an hour and 14 GB of disk in
cargo's target directory; let the machine do nothing else meanwhile.

Prints tables of the figures, and writes them to BENCHMARKS.md: the rows that were measured, in the place of
those of before. A row whose partner was not measured stays as it is.

Parts:
  kafka-file-string         8 M records of 100 bytes, StringConverter, into a file
  kafka-file-json           2 M records, JsonConverter with schemas.enable=false
  kafka-file-json-schemas   2 M records, JsonConverter with schemas.enable=true
  kafka-file-json-chain           the same as kafka-file-json through InsertField, ReplaceField,
                            TimestampConverter, Cast and ValueToKey
  kafka-file-json-schemas-chain   the same as kafka-file-json-schemas through these
  file-kafka-string         8 M lines of 100 bytes, StringConverter, into a topic
  file-kafka-json           4 M lines, JsonConverter with schemas.enable=false
  file-kafka-json-schemas   4 M lines, JsonConverter with schemas.enable=true
  start                     Time from the start of the process to the first record, into a topic that exists
                            and into one that does not; memory at rest; `millstream quickstart`
  client                    kafka-client alone against rdkafka (bench/client-cost; needs a C compiler)
  transforms                The chain alone, in memory, against Java's classes (bench/transform-cost)
  log                       `millstream kafka` against a broker: 4 M records in and out, CPU of the server;
                            memory while a topic grows to 40 M records; starts, also after kill -9; a
                            compaction of 1 M records (bench/client-cost; needs a C compiler)

Options:
  --rounds <n>              Runs of each worker per case, default 3
  --only <part>[,<part>]    Measure these parts only
  --workers <w>[,<w>]       java, millstream or both; BENCHMARKS.md stays as it is unless both.
                            With java alone, the A/A control is Java's
  --quick                   A fiftieth of the records, one round: whether it works, not what it costs.
                            BENCHMARKS.md stays as it is
  --millstream <file>       This program instead of a release build of the workspace

Needs java, and mvn the first time. MILLSTREAM_KAFKA_LIBS may name a directory with Kafka's jars.
";

/// Starts of each worker to take the median of.
const STARTS: u32 = 5;

/// `--quick` divides the records by this.
const QUICK_PART: u64 = 50;

const START: &str = "start";
const CLIENT: &str = "client";
const TRANSFORMS: &str = "transforms";
const LOG: &str = "log";

/// Records through the chain of transforms alone. Few are not worth it: the JVM has to compile first.
const TRANSFORM_RECORDS: u64 = 2_000_000;

/// Who runs. Declared in the order in which they take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Java,
    Millstream,
    /// One of the two once more: the distance between equals is the noise.
    Again,
}

impl Lane {
    fn name(self) -> &'static str {
        match self {
            Self::Java => "Java",
            Self::Millstream => "Millstream",
            Self::Again => "A/A control",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    rounds: u32,
    /// Empty: all.
    only: Vec<String>,
    java: bool,
    millstream: bool,
    quick: bool,
    program: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            rounds: 3,
            only: Vec::new(),
            java: true,
            millstream: true,
            quick: false,
            program: None,
        };
        let mut rounds = None;
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument} needs a value\n\n{HELP}"))
            };
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--rounds" => {
                    let text = value()?;
                    let number = text.parse().ok().filter(|rounds| *rounds > 0);
                    rounds =
                        Some(number.with_context(|| {
                            format!("--rounds: must be at least 1, got {text}")
                        })?);
                }
                "--only" => {
                    for part in value()?.split(',') {
                        ensure!(
                            parts().any(|known| known == part),
                            "--only: no part `{part}`; there are {}",
                            parts().collect::<Vec<_>>().join(", ")
                        );
                        options.only.push(part.to_owned());
                    }
                }
                "--workers" => {
                    (options.java, options.millstream) = (false, false);
                    for worker in value()?.split(',') {
                        match worker {
                            "java" => options.java = true,
                            "millstream" => options.millstream = true,
                            other => bail!("--workers: java or millstream, got {other}"),
                        }
                    }
                }
                "--millstream" => options.program = Some(value()?.into()),
                other => bail!("bench: did not understand `{other}`\n\n{HELP}"),
            }
        }
        options.rounds = rounds.unwrap_or(if options.quick { 1 } else { options.rounds });
        Ok(options)
    }

    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }

    /// All was measured.
    fn is_whole(&self) -> bool {
        self.only.is_empty() && self.is_to_be_published()
    }

    /// Figures of all records and of both workers.
    fn is_to_be_published(&self) -> bool {
        !self.quick && self.java && self.millstream
    }

    fn records(&self, case: &Case) -> u64 {
        if self.quick {
            case.records / QUICK_PART
        } else {
            case.records
        }
    }
}

fn parts() -> impl Iterator<Item = &'static str> {
    CASES
        .iter()
        .map(|case| case.name)
        .chain([START, CLIENT, TRANSFORMS, LOG])
}

pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<Verdict> {
    let options = Options::parse(arguments)?;
    let referee = Referee::of(workspace)?;
    if let Some(missing) = referee.missing() {
        bail!("{missing}");
    }
    let libs = referee.fetch()?.to_owned();
    let millstream = match (&options.program, options.millstream) {
        (_, false) => None,
        (Some(file), true) => Some(Program::Millstream {
            file: file
                .canonicalize()
                .with_context(|| format!("no program {}", file.display()))?,
        }),
        (None, true) => Some(build_millstream(workspace)?),
    };
    let mut lanes = Vec::new();
    if options.java {
        lanes.push((Lane::Java, Program::Java { libs: libs.clone() }));
    }
    lanes.extend(
        millstream
            .clone()
            .map(|program| (Lane::Millstream, program)),
    );
    let (_, again) = lanes.last().context("--workers: at least one")?;
    let again = (Lane::Again, again.clone());

    let mut results = Results {
        facts: machine::facts(&workspace.root, &referee.version, millstream.as_ref()),
        command: command(arguments),
        ..Results::default()
    };
    let mut site = Site::start(&libs, &workspace.target.join("bench"))?;
    for case in CASES.iter().filter(|case| options.wants(case.name)) {
        let turns: Vec<&(Lane, Program)> = lanes.iter().chain([&again]).collect();
        let result = run_case(&mut site, case, &options, &turns, &mut results.failures);
        results.cases.push(result);
    }
    if options.wants(START) {
        start_and_rest(&mut site, &options, &lanes, &mut results);
    }
    if options.wants(CLIENT) {
        let mut arguments = vec!["--rounds".to_owned(), options.rounds.to_string()];
        if options.quick {
            arguments.insert(0, "--quick".to_owned());
        }
        match client_cost::run(workspace, &site.bootstrap(), &arguments) {
            Ok(costs) => results.client = costs,
            Err(error) => fail(&mut results.failures, "The client alone", &error),
        }
    }

    if options.wants(TRANSFORMS) {
        transforms(workspace, &libs, &options, &lanes, again.0, &mut results);
    }
    if let (true, Some(Program::Millstream { file })) = (options.wants(LOG), &millstream)
        && let Err(error) = log(workspace, &mut site, &options, file, &mut results)
    {
        fail(&mut results.failures, "The log", &error);
    }

    let text = results.markdown();
    println!("{text}");
    if options.is_to_be_published() {
        let file = workspace.root.join("BENCHMARKS.md");
        let before = fs::read_to_string(&file).ok();
        let after = match &before {
            Some(before) if !options.is_whole() => {
                page::page_with_rows(before, &text, &results.note())
            }
            _ => page::page_with(before.as_deref(), &text),
        };
        fs::write(&file, after)?;
        eprintln!("written to BENCHMARKS.md");
    }
    Ok(if results.failures.is_empty() {
        Verdict::Good
    } else {
        Verdict::Bad
    })
}

fn build_millstream(workspace: &Workspace) -> Result<Program> {
    eprintln!("building millstream");
    let status = cargo()
        .args(["build", "--release", "--package", "millstream"])
        .current_dir(&workspace.root)
        .status()
        .context("could not run cargo")?;
    ensure!(
        status.success(),
        "the release build of millstream ended with {status}"
    );
    Ok(Program::Millstream {
        file: workspace.target.join("release/millstream"),
    })
}

/// All rounds of a case. Who fails is left out of the rounds that follow.
fn run_case(
    site: &mut Site,
    case: &Case,
    options: &Options,
    turns: &[&(Lane, Program)],
    failures: &mut Vec<String>,
) -> CaseResult {
    let records = options.records(case);
    eprintln!("{}: {records} records", case.title);
    let mut runs = Vec::new();
    let mut failed = Vec::new();
    for _ in 0..options.rounds {
        for (lane, program) in turns.iter().copied() {
            if failed.contains(lane) {
                continue;
            }
            match measure::run(site, case, records, program) {
                Ok(run) => {
                    eprintln!(
                        "  {:<12} {:7.3} CPU s/M, {:7.3} with start, {:9.0} records/s, {:4} MiB",
                        lane.name(),
                        run.cpu_seconds_per_million,
                        run.whole_cpu_seconds_per_million,
                        run.records_per_second,
                        run.peak_resident_bytes >> 20
                    );
                    runs.push((*lane, run));
                }
                Err(error) => {
                    failed.push(*lane);
                    fail(
                        failures,
                        &format!("{}, {}", case.title, lane.name()),
                        &error,
                    );
                }
            }
        }
    }
    CaseResult {
        case: *case,
        records,
        runs,
    }
}

/// Starts into both directions with strings, and a sink that has nothing to do.
fn start_and_rest(
    site: &mut Site,
    options: &Options,
    lanes: &[(Lane, Program)],
    results: &mut Results,
) {
    let starts = [
        ("kafka-file-string", Topic::Exists, ""),
        (
            "file-kafka-string",
            Topic::Missing,
            ", a topic that the broker has to create",
        ),
        ("file-kafka-string", Topic::Exists, ""),
    ];
    for (name, topic, which) in starts {
        let case = CASES
            .iter()
            .find(|case| case.name == name)
            .expect("CASES has both directions");
        let title = format!("{}{which}", case.title);
        let mut seconds = Vec::new();
        for _ in 0..STARTS {
            for (lane, program) in lanes {
                let records = options.records(case);
                match measure::time_to_first_record(site, case, records, program, topic) {
                    Ok(took) => {
                        eprintln!(
                            "  {:<12} {title}: first record after {} ms",
                            lane.name(),
                            took.as_millis()
                        );
                        seconds.push((*lane, took.as_secs_f64()));
                    }
                    Err(error) => fail(
                        &mut results.failures,
                        &format!("Start, {}", lane.name()),
                        &error,
                    ),
                }
            }
        }
        results.starts.push(StartResult { title, seconds });
    }
    for (lane, program) in lanes {
        match measure::idle(site, &CASES[0], program) {
            Ok(idle) => results.idle.push((*lane, idle)),
            Err(error) => fail(
                &mut results.failures,
                &format!("Rest, {}", lane.name()),
                &error,
            ),
        }
        let Program::Millstream { file } = program else {
            continue;
        };
        for _ in 0..STARTS {
            match measure::quickstart(site, file) {
                Ok(run) => {
                    eprintln!(
                        "  quickstart: first record after {} ms, {} MiB",
                        run.ready.as_millis(),
                        run.resident_bytes >> 20
                    );
                    results.quickstarts.push(run);
                }
                Err(error) => fail(&mut results.failures, "Quickstart", &error),
            }
        }
    }
}

/// The chain of transforms alone: each lane's program in turn.
fn transforms(
    workspace: &Workspace,
    libs: &Path,
    options: &Options,
    lanes: &[(Lane, Program)],
    again: Lane,
    results: &mut Results,
) {
    let is_java = |program: &Program| matches!(program, Program::Java { .. });
    let mut turns: Vec<(Lane, bool)> = lanes
        .iter()
        .map(|(lane, program)| (*lane, is_java(program)))
        .collect();
    turns.extend(turns.last().map(|(_, java)| (again, *java)));
    let records = if options.quick {
        TRANSFORM_RECORDS / QUICK_PART
    } else {
        TRANSFORM_RECORDS
    };
    match transform_cost::run(workspace, libs, &turns, options.rounds, records) {
        Ok(rows) => results.transforms = rows,
        Err(error) => fail(&mut results.failures, "The transforms alone", &error),
    }
}

/// The embedded log next to the broker, and by itself.
///
/// Fails: when bench/client-cost cannot be built. What fails afterwards is told in the results.
fn log(
    workspace: &Workspace,
    site: &mut Site,
    options: &Options,
    millstream: &Path,
    results: &mut Results,
) -> Result<()> {
    let mut lanes = vec![Lane::Millstream, Lane::Again];
    if options.java {
        lanes.insert(0, Lane::Java);
    }
    let plan = log::Plan {
        client: client_cost::build(workspace)?,
        millstream: millstream.to_owned(),
        lanes,
        rounds: options.rounds,
        part: if options.quick { QUICK_PART } else { 1 },
    };
    let failures = &mut results.failures;
    match log::side_by_side(&plan, site) {
        Ok(loads) => results.log.loads = loads,
        Err(error) => fail(failures, "The log next to a broker", &error),
    }
    if let Err(error) = log::grow_and_restart(&plan, site, &mut results.log.alone) {
        fail(failures, "The log while a topic grows", &error);
    }
    match log::compact(&plan, site) {
        Ok(found) => results.log.alone.compaction = Some(found),
        Err(error) => fail(failures, "The log's compaction", &error),
    }
    Ok(())
}

/// The end of a log is for the terminal; the page gets the sentence before it, which names no path.
fn fail(failures: &mut Vec<String>, what: &str, error: &anyhow::Error) {
    let message = format!("{what}: {error:#}");
    eprintln!("{message}");
    failures.push(message.lines().next().unwrap_or_default().to_owned());
}

fn command(arguments: &[String]) -> String {
    let mut command = vec!["cargo xtask bench".to_owned()];
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        command.push(argument.clone());
        // A path belongs to one machine.
        if argument == "--millstream" && arguments.next().is_some() {
            command.push("<file>".to_owned());
        }
    }
    command.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(arguments: &[&str]) -> Vec<String> {
        arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect()
    }

    #[test]
    fn options_say_what_is_measured() {
        // rounds, java, millstream, whole
        let rows: [(&[&str], Option<_>); 8] = [
            (&[], Some((3, true, true, true))),
            (&["--rounds", "5"], Some((5, true, true, true))),
            (&["--quick"], Some((1, true, true, false))),
            (&["--quick", "--rounds", "2"], Some((2, true, true, false))),
            (&["--workers", "java"], Some((3, true, false, false))),
            (&["--only", "start,log"], Some((3, true, true, false))),
            (&["--rounds", "0"], None),
            (&["--only", "nothing"], None),
        ];
        for (arguments, expected) in rows {
            let options = Options::parse(&strings(arguments)).ok();
            let found = options.map(|options| {
                (
                    options.rounds,
                    options.java,
                    options.millstream,
                    options.is_whole(),
                )
            });
            assert_eq!(found, expected, "{arguments:?}");
        }
    }

    #[test]
    fn parts_are_those_that_the_help_names() {
        for part in parts() {
            assert!(HELP.contains(&format!("\n  {part} ")), "{part}");
        }
    }

    #[test]
    fn the_command_names_no_path() {
        let arguments = strings(&["--millstream", "/x/millstream", "--rounds", "5"]);
        assert_eq!(
            command(&arguments),
            "cargo xtask bench --millstream <file> --rounds 5"
        );
    }
}
