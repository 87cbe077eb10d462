//! One run of one worker: its CPU time between two counts at the destination.
//!
//! Lives here: the loop that looks at the destination and at the process, for all workers the same.
//! Lives elsewhere: what a process has used (`worker`), whether the records are right (`verify`).
//! Never here: a count that a worker reports. What counts is what has arrived.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::case::{Case, Direction, Route, free_port};
use super::data::Lines;
use super::site::Site;
use super::verify;
use super::wire::BrokerConnection;
use super::worker::{Program, WorkerProcess};

/// How often the destination is looked at while throughput is measured.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The same while waiting for the first record.
const LOOK_FOR_FIRST_EVERY: Duration = Duration::from_millis(1);

/// Longest wait for one more record.
const STALL_MAX: Duration = Duration::from_secs(60);

/// How long a worker has nothing to do before its memory is read.
const IDLE: Duration = Duration::from_secs(5);

/// The part of the records that warms a worker up: one in so many.
pub const WARM_UP_PART: u64 = 4;

/// What a run has cost.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// After the warm-up.
    pub cpu_seconds_per_million: f64,
    /// From the start of the process to the last record.
    pub whole_cpu_seconds_per_million: f64,
    /// After the warm-up.
    pub records_per_second: f64,
    pub peak_resident_bytes: u64,
}

/// What a worker costs that has next to nothing to do.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    pub resident_bytes: u64,
    /// Share of one core, in thousandths.
    pub cpu_thousandths: f64,
}

/// Count and cost at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    records: u64,
    cpu_seconds: f64,
    at: Instant,
}

impl Run {
    /// Fails: when the warm-up was over and all records there at the same look.
    fn between(warm: Sample, end: Sample, peak_resident_bytes: u64) -> Result<Self> {
        ensure!(
            end.records > warm.records && end.at > warm.at,
            "all records had arrived before the end of the warm-up was seen: take more records"
        );
        let records = (end.records - warm.records) as f64;
        Ok(Self {
            cpu_seconds_per_million: (end.cpu_seconds - warm.cpu_seconds) / records * 1e6,
            whole_cpu_seconds_per_million: end.cpu_seconds / end.records as f64 * 1e6,
            records_per_second: records / (end.at - warm.at).as_secs_f64(),
            peak_resident_bytes,
        })
    }
}

/// Moves all records of a case, checks that they have arrived, and says what that cost.
pub fn run(site: &mut Site, case: &Case, records: u64, program: &Program) -> Result<Run> {
    let mut setup = Setup::of(site, case, records)?;
    let mut worker = WorkerProcess::start(program, &setup.dir)?;
    let mut warm = None;
    let mut progress = Progress::new();
    let end = loop {
        let arrived = setup.destination.count(&mut site.broker)?;
        let sample = Sample {
            records: arrived,
            cpu_seconds: worker.cpu_seconds()?,
            at: Instant::now(),
        };
        if arrived >= records / WARM_UP_PART && warm.is_none() {
            warm = Some(sample);
        }
        if arrived >= records {
            break sample;
        }
        progress.check(arrived, &mut worker)?;
        // Another process: there is nothing to wait on but what it leaves behind.
        std::thread::sleep(LOOK_EVERY);
    };
    let peak = worker.peak_resident_bytes()?;
    worker.stop()?;
    setup.verify(&mut site.broker)?;
    setup.remove(&mut site.broker)?;
    Run::between(warm.context("no look at the destination")?, end, peak)
}

/// Time from just before the process is made until the first record is at the destination. A topic as
/// destination is there already, or is made by the broker when the worker first asks about it.
pub fn time_to_first_record(
    site: &mut Site,
    case: &Case,
    records: u64,
    program: &Program,
    topic: Topic,
) -> Result<Duration> {
    let mut setup = Setup::with(site, case, records, topic)?;
    let mut worker = WorkerProcess::start(program, &setup.dir)?;
    let mut progress = Progress::new();
    loop {
        if setup.destination.count(&mut site.broker)? > 0 {
            break;
        }
        progress.check(0, &mut worker)?;
        std::thread::sleep(LOOK_FOR_FIRST_EVERY);
    }
    let took = worker.begin.elapsed();
    // It has a long way to go, and nobody looks at the rest.
    drop(worker);
    setup.remove(&mut site.broker)?;
    Ok(took)
}

/// Moves one record, then looks at the worker while it waits for more.
pub fn idle(site: &mut Site, case: &Case, program: &Program) -> Result<Idle> {
    let mut setup = Setup::of(site, case, 1)?;
    let mut worker = WorkerProcess::start(program, &setup.dir)?;
    let mut progress = Progress::new();
    while setup.destination.count(&mut site.broker)? < 1 {
        progress.check(0, &mut worker)?;
        std::thread::sleep(LOOK_EVERY);
    }
    // What is measured is a length of time, so this one is no wait for an event.
    std::thread::sleep(IDLE);
    let (before, begin) = (worker.cpu_seconds()?, Instant::now());
    std::thread::sleep(IDLE);
    let used = worker.cpu_seconds()? - before;
    let found = Idle {
        resident_bytes: worker.resident_bytes()?,
        cpu_thousandths: used / begin.elapsed().as_secs_f64() * 1e3,
    };
    worker.stop()?;
    setup.remove(&mut site.broker)?;
    Ok(found)
}

/// What `millstream quickstart` needs to begin in an empty folder.
#[derive(Debug, Clone, Copy)]
pub struct QuickstartRun {
    /// From just before the process is made until the log has answered a request and the worker has
    /// moved the first record of the example into its file.
    pub ready: Duration,
    /// A while later, with the example running.
    pub resident_bytes: u64,
}

pub fn quickstart(site: &Site, program: &Path) -> Result<QuickstartRun> {
    let dir = site.new_dir()?;
    let port = free_port()?;
    let mut command = Command::new(program);
    command
        .arg("quickstart")
        .arg("--dir")
        .arg(dir.join("quickstart"))
        .args(["--kafka-port", &port.to_string()]);
    let mut process = WorkerProcess::spawn(command, dir.join("worker.log"))?;
    let mut progress = Progress::new();
    let moved = dir.join("quickstart/billing.txt");
    let mut answered = false;
    loop {
        answered = answered || answers(&format!("127.0.0.1:{port}"));
        if answered && fs::read(&moved).is_ok_and(|text| text.contains(&b'\n')) {
            break;
        }
        progress.check(0, &mut process)?;
        std::thread::sleep(LOOK_FOR_FIRST_EVERY);
    }
    let ready = process.begin.elapsed();
    // What is measured is memory after a length of time, so this one is no wait for an event.
    std::thread::sleep(IDLE);
    let resident_bytes = process.resident_bytes()?;
    process.stop()?;
    Ok(QuickstartRun {
        ready,
        resident_bytes,
    })
}

/// Whether a server there answers requests.
pub fn answers(address: &str) -> bool {
    BrokerConnection::open(address)
        .is_ok_and(|mut broker| broker.try_end_offset("bench-no-topic").is_ok())
}

/// A run that is ready to start: configuration written, destination empty.
struct Setup {
    dir: PathBuf,
    destination: Destination,
}

enum Destination {
    File {
        file: PathBuf,
        expected: Lines,
    },
    Topic {
        topic: String,
        expected: Lines,
        around: verify::Around,
    },
}

/// Whether the topic that a source writes to exists before the worker starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Exists,
    Missing,
}

impl Setup {
    fn of(site: &mut Site, case: &Case, records: u64) -> Result<Self> {
        Self::with(site, case, records, Topic::Exists)
    }

    fn with(site: &mut Site, case: &Case, records: u64, made: Topic) -> Result<Self> {
        let dir = site.new_dir()?;
        let name = site.new_name(case.name);
        let input = site.lines(case.input, records)?;
        let (file, topic, destination) = match case.direction {
            Direction::KafkaToFile(shape) => {
                let file = dir.join("output.txt");
                let topic = site.topic_of(&input)?;
                let expected = site.lines(shape, records)?;
                (file.clone(), topic, Destination::File { file, expected })
            }
            Direction::FileToKafka(around) => {
                let topic = site.new_name("out");
                if made == Topic::Exists {
                    site.broker.create_topic(&topic)?;
                }
                let destination = Destination::Topic {
                    topic: topic.clone(),
                    expected: input.clone(),
                    around,
                };
                (input.file.canonicalize()?, topic, destination)
            }
        };
        let route = Route {
            bootstrap: &site.bootstrap(),
            name: &name,
            file: &file,
            topic: &topic,
        };
        case.write_config(&dir, &route)?;
        Ok(Self { dir, destination })
    }

    fn verify(&mut self, broker: &mut BrokerConnection) -> Result<()> {
        match &self.destination {
            Destination::File { file, expected } => verify::file(file, expected),
            Destination::Topic {
                topic,
                expected,
                around,
            } => verify::topic(broker, topic, expected, *around),
        }
    }

    fn remove(self, broker: &mut BrokerConnection) -> Result<()> {
        match self.destination {
            Destination::File { file, .. } => fs::remove_file(file)?,
            Destination::Topic { topic, .. } => broker.delete_topic(&topic)?,
        }
        Ok(())
    }
}

impl Destination {
    /// Whole records that have arrived.
    fn count(&mut self, broker: &mut BrokerConnection) -> Result<u64> {
        match self {
            Self::File { file, expected } => Ok(match fs::metadata(file) {
                Ok(file) => file.len() / expected.line_bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
                Err(error) => return Err(error.into()),
            }),
            Self::Topic { topic, .. } => Ok(broker.try_end_offset(topic)?.unwrap_or_default()),
        }
    }
}

/// Whether records still arrive.
struct Progress {
    arrived: u64,
    since: Instant,
}

impl Progress {
    fn new() -> Self {
        Self {
            arrived: 0,
            since: Instant::now(),
        }
    }

    /// Fails: when the worker has ended, or nothing has arrived for [`STALL_MAX`].
    fn check(&mut self, arrived: u64, worker: &mut WorkerProcess) -> Result<()> {
        worker.check()?;
        if arrived > self.arrived {
            self.arrived = arrived;
            self.since = Instant::now();
        } else if self.since.elapsed() > STALL_MAX {
            bail!(
                "{arrived} records arrived, and then none for {} s\n{}",
                STALL_MAX.as_secs(),
                worker.log_tail()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_counted_between_two_looks() {
        let begin = Instant::now();
        let warm = Sample {
            records: 2_000_000,
            cpu_seconds: 9.0,
            at: begin,
        };
        let end = Sample {
            records: 8_000_000,
            cpu_seconds: 21.0,
            at: begin + Duration::from_secs(8),
        };
        let run = Run::between(warm, end, 7).expect("there is something between them");
        assert_eq!(run.cpu_seconds_per_million, 2.0);
        assert_eq!(run.whole_cpu_seconds_per_million, 2.625);
        assert_eq!(run.records_per_second, 750_000.0);
        assert!(Run::between(end, end, 7).is_err());
    }
}
