//! Programs under test: started, watched, killed, never left behind.
//!
//! Lives here: [`Program`], [`eventually`].
//! Never here: what a program is for.

use anyhow::{Context as _, Result, bail};
use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often something outside the process is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until the condition holds. What happens in another process cannot be waited for otherwise.
///
/// Fails: when it does not hold after `limit`; `what` says what was waited for.
pub fn eventually(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let begin = Instant::now();
    while !condition()? {
        if begin.elapsed() > limit {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    Ok(())
}

/// A running program, killed when dropped. What it prints on standard error goes to a file.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a command in a process group of its own. `log` gets its standard error, behind what is there
    /// already; standard output too unless the command says otherwise.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self {
            child,
            log: log.to_path_buf(),
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// kill -9, and waits for the end.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM. Returns the exit code; a program that a signal ended has 128 + its number.
    pub fn terminate(mut self, limit: Duration) -> Result<i32> {
        self.signal("TERM")?;
        self.exit_code(limit)
    }

    /// Sends a signal by name: `TERM`, `INT`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status()?;
        anyhow::ensure!(status.success(), "cannot send SIG{name}");
        Ok(())
    }

    /// Waits for the program to end by itself.
    pub fn wait(mut self, limit: Duration) -> Result<i32> {
        self.exit_code(limit)
    }

    fn exit_code(&mut self, limit: Duration) -> Result<i32> {
        let mut status = None;
        let ended = eventually(limit, "the program to end", || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        });
        let log = self.log();
        ended.with_context(|| format!("its log:\n{log}"))?;
        let status = status.context("the program has ended")?;
        Ok(status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
