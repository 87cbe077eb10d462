//! What the suites of the whole program share: a folder with configurations, the program, Java Kafka
//! Connect beside it, and files of numbered lines.
//!
//! Never here: a test.
#![allow(dead_code, reason = "each suite uses a part")]

use anyhow::{Context as _, Result, ensure};
use connect_testkit::process::{Program, eventually};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub const SOON: Duration = Duration::from_secs(60);
pub const LONG: Duration = Duration::from_secs(300);

/// A build to test instead of the one that cargo made for the test, such as an optimized one.
const PROGRAM_ENV: &str = "MILLSTREAM_BIN";

/// A folder of configurations for one test, with a topic name of its own.
pub struct Setup {
    pub folder: tempfile::TempDir,
    pub bootstrap: String,
    pub topic: String,
}

impl Setup {
    pub fn new(bootstrap: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let topic = format!("millstream-test-{}-{number}", std::process::id());
        Ok(Self {
            folder: tempfile::tempdir()?,
            bootstrap: bootstrap.to_string(),
            topic,
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// A worker's configuration with String converters, commits every 100 ms, and these keys beside.
    pub fn worker(&self, more: &str) -> Result<PathBuf> {
        self.write(
            "worker.properties",
            &format!(
                "bootstrap.servers={}\n\
                 key.converter=org.apache.kafka.connect.storage.StringConverter\n\
                 value.converter=org.apache.kafka.connect.storage.StringConverter\n\
                 offset.storage.file.filename={}\n\
                 offset.flush.interval.ms=100\n\
                 {more}\n",
                self.bootstrap,
                self.path("offsets").display()
            ),
        )
    }

    /// `in.txt` into the topic.
    pub fn source(&self, more: &str) -> Result<PathBuf> {
        self.write(
            "source.properties",
            &format!(
                "name={0}-source\nconnector.class=FileStreamSource\nfile={1}\ntopic={0}\n{more}\n",
                self.topic,
                self.path("in.txt").display()
            ),
        )
    }

    /// The topic into `out.txt`.
    pub fn sink(&self, more: &str) -> Result<PathBuf> {
        self.write(
            "sink.properties",
            &format!(
                "name={0}-sink\nconnector.class=FileStreamSink\nfile={1}\ntopics={0}\n{more}\n",
                self.topic,
                self.path("out.txt").display()
            ),
        )
    }

    /// Starts the program in standalone mode.
    pub fn start(&self, files: &[&Path]) -> Result<Program> {
        Program::start(
            Command::new(program()).arg("standalone").args(files),
            &self.path("log"),
        )
    }

    /// Starts the Java worker with the same files.
    pub fn start_java(&self, libs: &Path, files: &[&Path]) -> Result<Program> {
        let java = "java";
        let log4j = self.write(
            "log4j2.properties",
            "rootLogger.level=WARN\nrootLogger.appenderRef.out.ref=OUT\nappender.out.type=Console\nappender.out.name=OUT\n\
             appender.out.layout.type=PatternLayout\nappender.out.layout.pattern=%d %p %m%n\n",
        )?;
        Program::start(
            Command::new(java)
                .args(["-Xmx512M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
                .arg(format!("-Dlog4j2.configurationFile={}", log4j.display()))
                .arg("-cp")
                .arg(libs.join("*"))
                .arg("org.apache.kafka.connect.cli.ConnectStandalone")
                .args(files),
            &self.path("java.log"),
        )
    }

    /// Waits until a file has at least so many bytes.
    pub fn wait_for_bytes(
        &self,
        name: &str,
        bytes: u64,
        program: &mut Program,
        limit: Duration,
    ) -> Result<()> {
        let path = self.path(name);
        let waited = eventually(limit, &format!("{bytes} bytes in {name}"), || {
            ensure!(
                program.is_running()?,
                "the program has ended:\n{}",
                program.log()
            );
            Ok(bytes_of(&path) >= bytes)
        });
        waited.with_context(|| {
            format!(
                "{} bytes are there; log:\n{}",
                bytes_of(&path),
                program.log()
            )
        })
    }

    pub fn wait_for_log(&self, text: &str, program: &mut Program) -> Result<()> {
        let waited = eventually(SOON, &format!("the log to say {text:?}"), || {
            Ok(program.log().contains(text))
        });
        waited.with_context(|| format!("log:\n{}", program.log()))
    }
}

/// The program under test.
pub fn program() -> PathBuf {
    std::env::var_os(PROGRAM_ENV)
        .map_or_else(|| env!("CARGO_BIN_EXE_millstream").into(), PathBuf::from)
}

/// Whether an optimized build is under test, which can be given real sizes.
pub fn is_optimized() -> bool {
    std::env::var_os(PROGRAM_ENV).is_some()
}

pub fn bytes_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Lines of 100 bytes, numbered from `first`. Returns how many bytes were written.
pub fn write_numbered_lines(path: &Path, first: u64, count: u64) -> Result<u64> {
    let file = File::options().create(true).append(true).open(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    for number in first..first + count {
        // The rest of the line differs from line to line, so that a mix-up shows.
        let noise = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        writeln!(
            out,
            "{number:012} {noise:020} the quick brown fox jumps over the lazy dog, {noise:020x}"
        )?;
    }
    out.flush()?;
    Ok(bytes_of(path))
}

/// What became of numbered lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub distinct: u64,
    pub lost: u64,
    pub duplicates: u64,
    /// Lines that are not whole: cut off by a kill in the middle of a write.
    pub torn: u64,
    /// Lines whose number is smaller than that of a line before them, duplicates aside.
    pub out_of_order: u64,
}

/// Compares the lines of a file with those that [`write_numbered_lines`] made.
pub fn check_numbered_lines(source: &Path, copy: &Path, count: u64) -> Result<Seen> {
    let mut wanted: Vec<u64> = Vec::with_capacity(count as usize);
    for line in BufReader::with_capacity(1 << 20, File::open(source)?).split(b'\n') {
        wanted.push(hash(&line?));
    }
    ensure!(
        wanted.len() as u64 == count,
        "the source has {} lines",
        wanted.len()
    );
    let mut seen = Seen::default();
    let mut found = vec![false; count as usize];
    let mut highest = None;
    for line in BufReader::with_capacity(1 << 20, File::open(copy)?).split(b'\n') {
        let line = line?;
        let number = line
            .get(..12)
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
        match number.filter(|number| wanted.get(*number) == Some(&hash(&line))) {
            None => seen.torn += 1,
            Some(number) if found[number] => seen.duplicates += 1,
            Some(number) => {
                found[number] = true;
                seen.distinct += 1;
                seen.out_of_order += u64::from(highest.is_some_and(|highest| number < highest));
                highest = highest.max(Some(number));
            }
        }
    }
    seen.lost = count - seen.distinct;
    Ok(seen)
}

fn hash(line: &[u8]) -> u64 {
    line.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)
    })
}

/// Whether two files hold the same bytes.
pub fn same_bytes(a: &Path, b: &Path) -> Result<bool> {
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut from_a, mut from_b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = a.read(&mut from_a)?;
        if read == 0 {
            return Ok(true);
        }
        b.read_exact(&mut from_b[..read])?;
        if from_a[..read] != from_b[..read] {
            return Ok(false);
        }
    }
}

/// A seed that is printed, so that a failing run can be run again.
pub struct Random(u64);

impl Random {
    pub fn from_env() -> Self {
        let clock = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let fresh = clock.as_nanos() as u64 | 1;
        let seed = std::env::var("MILLSTREAM_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or(fresh);
        println!("seed: MILLSTREAM_SEED={seed}");
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
