//! The embedded log (`millstream kafka`) as a server: next to a broker of Apache Kafka, and by itself.
//!
//! Lives here: what is done to the log, in which order, and what is looked at.
//! Lives elsewhere: the client that loads it (`bench/client-cost`), the tables (`log_page`).
//! Never here: a figure that the log reports about itself. Time is taken at its port, on its disk and in /proc.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::Lane;
use super::case::free_port;
use super::client_cost::{LoadWork, load};
use super::measure::answers;
use super::site::Site;
use super::verify;
use super::wire::BrokerConnection;
use super::worker::{WorkerProcess, cpu_seconds_of};

/// Records of each run next to Kafka.
const LOAD_RECORDS: u64 = 4_000_000;
/// Records of the topic that grows, of some 107 bytes each on the disk.
const GROWTH_RECORDS: u64 = 40_000_000;
const GROWTH_STEPS: u64 = 4;
const COMPACTION_RECORDS: u64 = 1_000_000;
const COMPACTION_KEYS: u64 = 1_000;
/// Starts of each kind to take the median of.
const STARTS: u32 = 3;

/// `batch.size`: the default of Java's producer and ours, and that of librdkafka.
const BATCHES: [(u64, &str); 2] = [(16_384, "16 KiB"), (1_000_000, "1 MB")];
const LARGE_BATCH: u64 = 1_000_000;

/// Different values that the client sends in turn; each begins with its number of ten digits.
const DIFFERENT_VALUES: u64 = 65_536;

/// Longest wait for a start, and for a compaction to begin or go on: it looks every 15 s.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A compaction is over when nothing has changed on the disk for so long.
const QUIET: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub struct LogResult {
    pub loads: Vec<LoadRow>,
    pub alone: Alone,
}

/// One kind of work on both servers.
#[derive(Debug)]
pub struct LoadRow {
    pub title: String,
    pub records: u64,
    pub runs: Vec<(Lane, LoadRun)>,
}

#[derive(Debug, Clone, Copy)]
pub struct LoadRun {
    /// As the client sees it, after the warm-up.
    pub records_per_second: f64,
    /// Of the server, microseconds per record of the whole run.
    pub server_cpu_us: f64,
}

/// What has no partner.
#[derive(Debug, Default)]
pub struct Alone {
    pub growth: Vec<GrowthStep>,
    /// The most that was resident after all of it was consumed as well.
    pub consumed_resident_bytes: Option<u64>,
    /// Milliseconds of each start in an empty directory.
    pub empty_starts_ms: Vec<f64>,
    /// The same with the topic that has grown, after SIGTERM.
    pub clean_starts_ms: Vec<f64>,
    /// The same after SIGKILL.
    pub killed_starts_ms: Vec<f64>,
    pub compaction: Option<Compaction>,
}

#[derive(Debug, Clone, Copy)]
pub struct GrowthStep {
    pub records: u64,
    pub disk_bytes: u64,
    /// The most that was resident until then.
    pub resident_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
pub struct Compaction {
    pub records: u64,
    pub keys: u64,
    /// On the disk, before and after.
    pub bytes: (u64, u64),
    pub cpu_seconds: f64,
    /// The most that was resident, the producing included.
    pub resident_bytes: u64,
    /// What is read back; each is the newest of its key.
    pub left: u64,
}

/// The log as a process. Killed when dropped.
struct RunningLog {
    process: WorkerProcess,
    address: String,
    /// From just before the process was made until it has answered a request.
    ready: Duration,
}

impl RunningLog {
    /// Starts it with its data in `dir/log`.
    fn start(program: &Path, dir: &Path) -> Result<Self> {
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(program);
        command
            .args(["kafka", "--kafka-port", &port.to_string(), "--dir"])
            .arg(dir.join("log"));
        let mut process = WorkerProcess::spawn(command, dir.join("log.txt"))?;
        while !answers(&address) {
            process.check()?;
            ensure!(
                process.begin.elapsed() < WAIT_MAX,
                "the log did not answer within {} s\n{}",
                WAIT_MAX.as_secs(),
                process.log_tail()
            );
            // Another process: there is nothing to wait on but its answer.
            std::thread::sleep(Duration::from_millis(1));
        }
        let ready = process.begin.elapsed();
        Ok(Self {
            process,
            address,
            ready,
        })
    }
}

/// The programs, and how much of all that is wanted.
pub struct Plan {
    /// `bench/client-cost`.
    pub client: PathBuf,
    pub millstream: PathBuf,
    /// Who takes turns; [`Lane::Java`] stands for Kafka's broker.
    pub lanes: Vec<Lane>,
    pub rounds: u32,
    /// Divides all numbers of records.
    pub part: u64,
}

impl Plan {
    fn load(&self, address: &str, topic: &str, work: LoadWork) -> Result<f64> {
        load(&self.client, address, topic, work)
    }
}

/// Produces and consumes with kafka-client, the servers in turn.
pub fn side_by_side(plan: &Plan, site: &mut Site) -> Result<Vec<LoadRow>> {
    let dir = site.new_dir()?;
    let log = RunningLog::start(&plan.millstream, &dir)?;
    let mut log_wire = BrokerConnection::open(&log.address)?;
    let kafka = (site.bootstrap(), site.broker_pid()?);
    let records = LOAD_RECORDS / plan.part;
    let mut rows = Vec::new();
    for (batch_bytes, batch) in BATCHES {
        let work = |consume| LoadWork {
            consume,
            batch_bytes,
            keys: 0,
            records,
        };
        // The first topic of each server is consumed later; before that, another warms the server up.
        let mut kept: HashMap<bool, String> = HashMap::new();
        let mut run = |site: &mut Site, lane: Lane, consume: bool, warm_up: bool| {
            let is_kafka = lane == Lane::Java;
            let (address, pid) = match is_kafka {
                true => (kafka.0.as_str(), kafka.1),
                false => (log.address.as_str(), log.process.pid()),
            };
            let topic = match (consume, kept.get(&is_kafka)) {
                (true, Some(topic)) => topic.clone(),
                _ => {
                    let topic = site.new_name("log");
                    let wire = if is_kafka {
                        &mut site.broker
                    } else {
                        &mut log_wire
                    };
                    wire.create_topic(&topic)?;
                    topic
                }
            };
            let wire = if is_kafka {
                &mut site.broker
            } else {
                &mut log_wire
            };
            let before = cpu_seconds_of(pid)?;
            let records_per_second = plan.load(address, &topic, work(consume))?;
            let server_cpu_us = (cpu_seconds_of(pid)? - before) / records as f64 * 1e6;
            let end = wire.end_offset(&topic)?;
            ensure!(
                end == records,
                "{topic} has {end} records, expected {records}"
            );
            if !consume {
                match kept.get(&is_kafka) {
                    None if !warm_up => drop(kept.insert(is_kafka, topic)),
                    _ => wire.delete_topic(&topic)?,
                }
            }
            if !warm_up {
                eprintln!(
                    "  {:<12} {} {batch}: {records_per_second:9.0} records/s, {server_cpu_us:.3} us of the server per record",
                    lane.name(),
                    if consume { "consume" } else { "produce" },
                );
            }
            Ok::<_, anyhow::Error>(LoadRun {
                records_per_second,
                server_cpu_us,
            })
        };
        for consume in [false, true] {
            for lane in plan.lanes.iter().filter(|lane| **lane != Lane::Again) {
                run(site, *lane, consume, true)?;
            }
            let mut runs = Vec::new();
            for _ in 0..plan.rounds {
                for lane in &plan.lanes {
                    runs.push((*lane, run(site, *lane, consume, false)?));
                }
            }
            let what = if consume { "consume" } else { "produce" };
            rows.push(LoadRow {
                title: format!("{what}, batches of {batch}"),
                records,
                runs,
            });
        }
        for (is_kafka, topic) in kept {
            let wire = if is_kafka {
                &mut site.broker
            } else {
                &mut log_wire
            };
            wire.delete_topic(&topic)?;
        }
    }
    log.process.stop()?;
    fs::remove_dir_all(dir)?;
    Ok(rows)
}

/// A topic grows, is consumed, and the log is started again with it.
pub fn grow_and_restart(plan: &Plan, site: &Site, alone: &mut Alone) -> Result<()> {
    let topic = "grows";
    for _ in 0..STARTS {
        let dir = site.new_dir()?;
        let log = RunningLog::start(&plan.millstream, &dir)?;
        alone.empty_starts_ms.push(log.ready.as_secs_f64() * 1e3);
        log.process.stop()?;
    }
    let dir = site.new_dir()?;
    let mut log = RunningLog::start(&plan.millstream, &dir)?;
    BrokerConnection::open(&log.address)?.create_topic(topic)?;
    let work = |consume, records| LoadWork {
        consume,
        batch_bytes: LARGE_BATCH,
        keys: 0,
        records,
    };
    let step = GROWTH_RECORDS / plan.part / GROWTH_STEPS;
    let mut records = 0;
    for _ in 0..GROWTH_STEPS {
        plan.load(&log.address, topic, work(false, step))?;
        records += step;
        let step = GrowthStep {
            records,
            disk_bytes: bytes_below(&dir.join("log"))?,
            resident_bytes: log.process.peak_resident_bytes()?,
        };
        eprintln!(
            "  {records} records, {} MB: {} MiB",
            step.disk_bytes / 1_000_000,
            step.resident_bytes >> 20
        );
        alone.growth.push(step);
    }
    plan.load(&log.address, topic, work(true, records))?;
    alone.consumed_resident_bytes = Some(log.process.peak_resident_bytes()?);
    for killed in [false, true] {
        for _ in 0..STARTS {
            if killed {
                // So that there is something since the last start that no clean stop has noted.
                plan.load(&log.address, topic, work(false, step / 10))?;
                records += step / 10;
                drop(log);
            } else {
                log.process.stop()?;
            }
            log = RunningLog::start(&plan.millstream, &dir)?;
            let end = BrokerConnection::open(&log.address)?.end_offset(topic)?;
            ensure!(
                end == records,
                "after a restart the topic has {end} records, expected {records}"
            );
            let ms = log.ready.as_secs_f64() * 1e3;
            eprintln!("  start with all of it, killed: {killed}: {ms:.1} ms");
            if killed {
                alone.killed_starts_ms.push(ms);
            } else {
                alone.clean_starts_ms.push(ms);
            }
        }
    }
    log.process.stop()?;
    fs::remove_dir_all(dir)?;
    Ok(())
}

/// Many records of few keys into a compacted topic, and waits until only the newest are left.
pub fn compact(plan: &Plan, site: &Site) -> Result<Compaction> {
    let dir = site.new_dir()?;
    let log = RunningLog::start(&plan.millstream, &dir)?;
    let mut wire = BrokerConnection::open(&log.address)?;
    let topic = "compacted";
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.01"),
        // Or what is in the newest segment would wait for more.
        ("max.compaction.lag.ms", "1000"),
    ];
    wire.create_topic_with(topic, &settings)?;
    let records = COMPACTION_RECORDS / plan.part;
    let work = LoadWork {
        consume: false,
        batch_bytes: 16_384,
        keys: COMPACTION_KEYS,
        records,
    };
    plan.load(&log.address, topic, work)?;
    // It begins when the log looks the next time, and then the CPU time is that of compaction.
    let partition = dir.join("log");
    let (before, cpu_before) = (bytes_below(&partition)?, log.process.cpu_seconds()?);
    let (waiting, mut last) = (Instant::now(), Instant::now());
    let mut bytes = before;
    loop {
        let now = bytes_below(&partition)?;
        if now != bytes {
            bytes = now;
            last = Instant::now();
        }
        let small = bytes < before / 2;
        if small && last.elapsed() > QUIET {
            break;
        }
        if waiting.elapsed() > WAIT_MAX {
            bail!(
                "after {} s {bytes} bytes of {before} are left, and nothing is compacted",
                WAIT_MAX.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let found = Compaction {
        records,
        keys: COMPACTION_KEYS,
        bytes: (before, bytes),
        cpu_seconds: log.process.cpu_seconds()? - cpu_before,
        resident_bytes: log.process.peak_resident_bytes()?,
        left: newest_of_each_key(&mut wire, topic, records)?,
    };
    eprintln!("  compaction: {found:?}");
    log.process.stop()?;
    fs::remove_dir_all(dir)?;
    Ok(found)
}

/// Every key once, each with its newest value: says how many there are.
fn newest_of_each_key(wire: &mut BrokerConnection, topic: &str, records: u64) -> Result<u64> {
    let mut newest = HashMap::new();
    let found = verify::keyed(wire, topic)?;
    for (key, value) in &found {
        let key = number(key.strip_prefix(b"key-").context("another key")?)?;
        let value = number(value.get(..10).context("a value is too short")?)?;
        ensure!(
            newest.insert(key, value).is_none(),
            "the key {key} is there twice"
        );
    }
    for key in 0..COMPACTION_KEYS.min(records) {
        let expected = newest_number(key, COMPACTION_KEYS, records) % DIFFERENT_VALUES;
        ensure!(
            newest.get(&key) == Some(&expected),
            "the key {key} has the value {:?}, expected {expected}",
            newest.get(&key)
        );
    }
    Ok(found.len() as u64)
}

/// The last of `0..records` that has this key.
fn newest_number(key: u64, keys: u64, records: u64) -> u64 {
    (records - 1 - key) / keys * keys + key
}

fn number(digits: &[u8]) -> Result<u64> {
    Ok(std::str::from_utf8(digits)?.parse()?)
}

/// Of all files in the directory and below. A file that goes away meanwhile counts nothing.
fn bytes_below(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok(0);
    };
    for entry in entries {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(entry_is) if entry_is.is_dir() => bytes_below(&entry.path())?,
            Ok(file) => file.len(),
            Err(_) => 0,
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_number_of_a_key() {
        let rows = [(0, 3, 10, 9), (1, 3, 10, 7), (2, 3, 10, 8), (9, 10, 10, 9)];
        for (key, keys, records, expected) in rows {
            assert_eq!(newest_number(key, keys, records), expected);
        }
    }
}
