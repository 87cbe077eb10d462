//! A standalone worker as a process: Kafka Connect on a JVM, or Millstream. Started, looked at, stopped.
//!
//! Lives here: the two command lines, and what the kernel says about a process.
//! Lives elsewhere: the configuration, which is the same for both (`case`).
//! Never here: a figure that one of the two reports about itself.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// What `connect-standalone.sh` of Apache Kafka 4.3 gives to the JVM.
pub const JVM: &[&str] = &[
    "-Xms256M",
    "-Xmx2G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// As Kafka's own, without the log file.
const LOG4J: &str = "\
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %X{connector.context}%m (%c:%L)%n
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = OUT
";

/// Longest wait for a worker that was told to stop.
const STOP_MAX: Duration = Duration::from_secs(60);

/// Lines of a worker's log that an error message carries.
const TAIL_LINES: usize = 20;

/// How to start a worker.
#[derive(Debug, Clone)]
pub enum Program {
    /// Apache Kafka's jars.
    Java { libs: PathBuf },
    /// The program.
    Millstream { file: PathBuf },
}

impl Program {
    fn command(&self, dir: &Path) -> Result<Command> {
        Ok(match self {
            Self::Java { libs } => {
                let log4j = dir.join("log4j2.properties");
                fs::write(&log4j, LOG4J)?;
                let mut command = Command::new("java");
                command
                    .args(JVM)
                    .arg(format!("-Dlog4j2.configurationFile={}", log4j.display()))
                    .arg("-cp")
                    .arg(libs.join("*"))
                    .arg("org.apache.kafka.connect.cli.ConnectStandalone");
                command
            }
            Self::Millstream { file } => {
                let mut command = Command::new(file);
                command.arg("standalone");
                command
            }
        })
    }
}

/// A running worker; killed when dropped.
pub struct WorkerProcess {
    child: Child,
    log: PathBuf,
    /// Just before the process was made.
    pub begin: Instant,
}

impl WorkerProcess {
    /// Starts a worker with `worker.properties` and `connector.properties` of `dir`; its log goes there.
    pub fn start(program: &Program, dir: &Path) -> Result<Self> {
        let mut command = program.command(dir)?;
        command
            .arg(dir.join("worker.properties"))
            .arg(dir.join("connector.properties"));
        Self::spawn(command, dir.join("worker.log"))
    }

    /// Starts another long-running command of the same kind; what it prints goes to `log`.
    pub fn spawn(mut command: Command, log: PathBuf) -> Result<Self> {
        let out = File::create(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        let begin = Instant::now();
        let child = command.spawn().context("could not start the worker")?;
        Ok(Self { child, log, begin })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// See [`cpu_seconds_of`].
    pub fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds_of(self.pid())
    }

    /// Resident memory now, in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.status_bytes("VmRSS:")
    }

    /// The most that was resident at any time, in bytes.
    pub fn peak_resident_bytes(&self) -> Result<u64> {
        self.status_bytes("VmHWM:")
    }

    /// Fails: when the process has ended, with the end of its log.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the worker ended with {status}\n{}", self.log_tail()),
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) -> Result<()> {
        self.check()?;
        // The standard library can only kill; the shell's own `kill` needs no package.
        let script = format!("kill -TERM {}", self.child.id());
        Command::new("sh").args(["-c", &script]).status()?;
        let deadline = Instant::now() + STOP_MAX;
        loop {
            if let Some(status) = self.child.try_wait()? {
                // A JVM that a signal ends says 143, after all its shutdown hooks.
                if status.success() || status.code() == Some(143) {
                    return Ok(());
                }
                bail!(
                    "the worker was told to stop and ended with {status}\n{}",
                    self.log_tail()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "the worker did not stop within {} s\n{}",
                    STOP_MAX.as_secs(),
                    self.log_tail()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The last lines of the log, for an error message.
    pub fn log_tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        format!("--- end of {}\n{tail}\n---", self.log.display())
    }

    fn status_bytes(&self, key: &str) -> Result<u64> {
        status_bytes(&self.proc("status")?, key)
            .with_context(|| format!("/proc/<pid>/status has no {key}"))
    }

    fn proc(&self, file: &str) -> Result<String> {
        proc_of(self.pid(), file)
    }
}

/// User and system time of all threads of a process since its start, in seconds. The kernel counts it in
/// nanoseconds and tells it in ticks, usually of 10 ms.
pub fn cpu_seconds_of(pid: u32) -> Result<f64> {
    let stat = proc_of(pid, "stat")?;
    let ticks = cpu_ticks(&stat).context("/proc/<pid>/stat has another form than expected")?;
    Ok(ticks as f64 / ticks_per_second()? as f64)
}

fn proc_of(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("could not read {path}"))
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `utime` and `stime` of `/proc/<pid>/stat`, together.
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The second field is the name in brackets, and may hold spaces and brackets itself.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The value of a line such as `VmHWM:     1234 kB`.
fn status_bytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn ticks_per_second() -> Result<u64> {
    static TICKS: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    if let Some(ticks) = TICKS.get() {
        return Ok(*ticks);
    }
    let output = Command::new("getconf")
        .arg("CLK_TCK")
        .output()
        .context("could not run getconf")?;
    let ticks = String::from_utf8_lossy(&output.stdout).trim().parse();
    let ticks = ticks.context("getconf CLK_TCK did not print a number")?;
    Ok(*TICKS.get_or_init(|| ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_may_look_like_fields() {
        let stat = "77 (a) b) 1 2) S 1 77 77 0 -1 4194304 500 0 0 0 1234 66 0 0 20 0 9 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(1_300));
        assert_eq!(cpu_ticks("77 (a) S 1 77"), None);
    }

    #[test]
    fn status_counts_in_kib() {
        let status = "Name:\ta\nVmHWM:\t    1024 kB\nVmRSS:\t     8 kB\n";
        let rows = [
            ("VmHWM:", Some(1_048_576)),
            ("VmRSS:", Some(8_192)),
            ("VmSwap:", None),
        ];
        for (key, expected) in rows {
            assert_eq!(status_bytes(status, key), expected);
        }
    }

    #[test]
    fn our_own_time_is_told_in_ticks() {
        let stat = fs::read_to_string("/proc/self/stat").expect("Linux has it");
        assert!(cpu_ticks(&stat).is_some());
        assert!(ticks_per_second().expect("Linux has getconf") >= 100);
    }
}
