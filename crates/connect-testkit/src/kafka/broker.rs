//! One broker: its directory, its process, and the watchdog that outlives us to end it.
//!
//! Lives elsewhere: what the broker is configured to be, and when it is ready (`super`).

use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::class_path;

/// A cluster id is 16 bytes in URL-safe base64. Each cluster has a directory and ports of its own,
/// so all may share one.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qk";

/// Longest wait for a broker that was asked to stop.
pub(super) const STOP_MAX: Duration = Duration::from_secs(60);

/// Lines of a log that an error message carries.
const TAIL_LINES: usize = 25;

/// What a node's directory holds, besides its data.
pub(super) const PROPERTIES_FILE: &str = "server.properties";
pub(super) const PID_FILE: &str = "pid";
pub(super) const LOG_FILE: &str = "kafka.log";

const LOG4J: &str = "\
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c{1})%n
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = OUT
";

/// What stays on disk when the broker is ended because its owner has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Logs,
    Nothing,
}

#[derive(Debug)]
pub(super) struct Broker {
    /// Kafka's `node.id`.
    pub node: i32,
    pub address: SocketAddr,
    dir: PathBuf,
    kept: Kept,
    state: State,
}

#[derive(Debug)]
enum State {
    Stopped,
    Running(Process),
    /// Runs, and is no longer ours to end.
    Released,
}

impl Broker {
    pub fn new(node: i32, address: SocketAddr, dir: PathBuf, kept: Kept) -> Self {
        Self {
            node,
            address,
            dir,
            kept,
            state: State::Stopped,
        }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub fn log_file(&self) -> PathBuf {
        self.dir.join(LOG_FILE)
    }

    pub fn pid(&self) -> Option<u32> {
        match &self.state {
            State::Running(process) => Some(process.java.id()),
            State::Stopped | State::Released => None,
        }
    }

    pub fn is_released(&self) -> bool {
        matches!(self.state, State::Released)
    }

    /// Starts the process; the caller waits until it is ready. Call only when it is not running.
    pub fn spawn(&mut self, libs: &Path, jvm: &[String]) -> Result<()> {
        let log4j = self.dir.join("log4j2.properties");
        fs::write(&log4j, LOG4J)?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let mut option = std::ffi::OsString::from("-Dlog4j2.configurationFile=");
        option.push(&log4j);
        let java = Command::new("java")
            .args(jvm)
            .arg(option)
            .arg("-cp")
            .arg(class_path(libs))
            .arg("kafka.Kafka")
            .arg(self.dir.join(PROPERTIES_FILE))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Out of the terminal's group: Ctrl-C ends us, and the watchdog ends the broker.
            .process_group(0)
            .spawn()
            .context("could not start `java`; install a JDK, such as openjdk-17-jdk-headless")?;
        let pid = java.id();
        let remove = match self.kept {
            Kept::Logs => self.data_dir(),
            Kept::Nothing => self.dir.clone(),
        };
        self.state = State::Running(Process::watched(java, &remove)?);
        fs::write(self.dir.join(PID_FILE), format!("{pid}\n"))?;
        Ok(())
    }

    /// SIGKILL, and wait.
    pub fn kill(&mut self) {
        if let State::Running(process) = std::mem::replace(&mut self.state, State::Stopped) {
            process.kill();
        }
    }

    /// SIGTERM, and wait; SIGKILL when that takes longer than [`STOP_MAX`].
    pub fn stop(&mut self) -> Result<()> {
        if let State::Running(process) = &mut self.state {
            terminate(process.java.id())?;
            let deadline = Instant::now() + STOP_MAX;
            while process.java.try_wait()?.is_none() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        self.kill();
        Ok(())
    }

    pub fn release(&mut self) {
        if let State::Running(process) = std::mem::replace(&mut self.state, State::Released) {
            process.release();
        }
    }

    /// How the process ended, when it ended on its own.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.state {
            State::Running(process) => Ok(process.java.try_wait()?),
            State::Stopped | State::Released => Ok(None),
        }
    }

    /// The last lines of the log and where the rest is, for an error message.
    pub fn log_tail(&self) -> String {
        tail_of(&self.log_file())
    }
}

/// Writes `meta.properties` and the bootstrap checkpoint of every node, all at once: each is a JVM.
pub(super) fn format_all(brokers: &[Broker], libs: &Path) -> Result<()> {
    let mut running = Vec::new();
    for broker in brokers {
        let log_file = broker.dir.join("format.log");
        let log = File::create(&log_file)?;
        let child = Command::new("java")
            .args(["-Xmx128M", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(class_path(libs))
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
            .arg(broker.dir.join(PROPERTIES_FILE))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("could not start `java`; install a JDK, such as openjdk-17-jdk-headless")?;
        running.push((broker.node, child, log_file));
    }
    for (node, mut child, log_file) in running {
        let status = child.wait()?;
        if !status.success() {
            bail!(
                "formatting the storage of broker {node} ended with {status}\n{}",
                tail_of(&log_file)
            );
        }
    }
    Ok(())
}

/// A broker's JVM and a shell that waits for us.
///
/// The shell reads from a pipe whose other end only this process holds. However this process
/// ends, the kernel closes that end, the read fails, and the shell kills the broker and removes
/// its data. A line on the pipe tells it to leave in peace instead.
#[derive(Debug)]
struct Process {
    java: Child,
    watchdog: Child,
}

/// `$1` is the broker, `$2` what to remove. A killed JVM writes on for a moment, hence the pause.
const WATCHDOG: &str =
    r#"read -r _ || { kill -KILL "$1"; sleep 1; rm -rf "$2"; rmdir "${2%/*}"; }"#;

impl Process {
    fn watched(mut java: Child, remove: &Path) -> Result<Self> {
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "sh", &java.id().to_string()])
            .arg(remove)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self { java, watchdog }),
            Err(error) => {
                let _ = java.kill();
                let _ = java.wait();
                Err(error).context("could not start `sh`, which would end the broker with us")
            }
        }
    }

    fn kill(mut self) {
        let _ = self.java.kill();
        // Before the wait frees the process id for somebody else.
        self.dismiss_watchdog();
        let _ = self.java.wait();
    }

    fn release(mut self) {
        self.dismiss_watchdog();
    }

    fn dismiss_watchdog(&mut self) {
        if let Some(mut pipe) = self.watchdog.stdin.take() {
            let _ = pipe.write_all(b"leave\n");
        }
        let _ = self.watchdog.wait();
    }
}

/// Asks a process to end.
pub(super) fn terminate(pid: u32) -> Result<()> {
    signal("TERM", pid)
}

/// Sends a signal by the shell's own `kill`, as the standard library can only send SIGKILL.
pub(super) fn signal(name: &str, pid: u32) -> Result<()> {
    let script = format!("kill -{name} {pid}");
    let status = Command::new("sh")
        .args(["-c", &script])
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("could not send SIG{name} to process {pid}");
    }
    Ok(())
}

/// The last lines of a file, and its name.
pub(super) fn tail_of(file: &Path) -> String {
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    format!("--- end of {}\n{tail}\n---", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    /// A process with a watchdog, as a broker has, and a directory that goes with it.
    fn watched(name: &str) -> (Process, PathBuf) {
        let dir = std::env::temp_dir().join(format!("millstream-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("the temporary directory is writable");
        let child = Command::new("sleep")
            .arg("600")
            .spawn()
            .expect("sleep starts");
        (Process::watched(child, &dir).expect("sh starts"), dir)
    }

    #[test]
    fn a_broker_ends_with_its_owner() {
        let (mut process, dir) = watched("orphan");
        // What the kernel does when we end, however we end.
        drop(process.watchdog.stdin.take());
        process.watchdog.wait().expect("our child");
        assert_eq!(process.java.wait().expect("our child").signal(), Some(9));
        assert!(!dir.exists());
    }

    #[test]
    fn a_released_broker_is_left_alone() {
        let (mut process, dir) = watched("released");
        process.dismiss_watchdog();
        assert_eq!(process.java.try_wait().expect("our child"), None);
        assert!(dir.exists());
        process.kill();
        fs::remove_dir(&dir).expect("empty");
    }
}
