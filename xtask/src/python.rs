//! Kafka clients in Python that we did not write, in a virtual environment, fetched once with pip.
//!
//! Lives elsewhere: which clients and versions (`xtask/referee/requirements.txt`), what they are used
//! for (`crates/kafka-embedded/tests/clients`).
//! Never here: a package of the machine's own Python.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use connect_testkit::kafka::PYTHON_ENV;

use crate::workspace::Workspace;

/// The requirements that were installed lie beside what was installed, and are written last.
const STAMP: &str = "requirements.txt";

pub struct PythonClients {
    requirements: PathBuf,
    requirements_text: String,
    dir: PathBuf,
    /// The interpreter is somebody else's: `MILLSTREAM_KAFKA_PYTHON` names it.
    given: Option<PathBuf>,
}

impl PythonClients {
    pub fn of(workspace: &Workspace) -> Result<Self> {
        let requirements = workspace.root.join("xtask/referee/requirements.txt");
        let requirements_text = fs::read_to_string(&requirements)
            .with_context(|| format!("could not read {}", requirements.display()))?;
        let given = std::env::var_os(PYTHON_ENV).filter(|python| !python.is_empty());
        Ok(Self {
            requirements,
            requirements_text,
            dir: workspace.target.join("referee/python"),
            given: given.map(PathBuf::from),
        })
    }

    /// What is not installed and is needed to fetch the clients.
    pub fn missing(&self) -> Option<String> {
        if self.is_fetched() {
            return None;
        }
        // Debian keeps what makes virtual environments in a package of its own.
        let able = Command::new("python3")
            .args(["-c", "import ensurepip, venv"])
            .output()
            .is_ok_and(|output| output.status.success());
        (!able).then(|| {
            "no python3 that makes virtual environments: apt-get install python3-venv".to_owned()
        })
    }

    /// Brings the clients here unless they are, and returns the interpreter that sees them. The
    /// first time this downloads about 10 MB; it needs `python3`.
    pub fn fetch(&self) -> Result<PathBuf> {
        if self.is_fetched() {
            return Ok(self.python());
        }
        eprintln!(
            "fetching Kafka's Python clients with pip to {}",
            self.dir.display()
        );
        // Its scripts name their own directory, so that it cannot be made elsewhere and renamed.
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir)?;
        }
        let mut venv = Command::new("python3");
        run(venv.args(["-m", "venv"]).arg(&self.dir))?;
        let mut pip = Command::new(self.python());
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--only-binary", ":all:", "--requirement"])
        .arg(&self.requirements);
        run(&mut pip)?;
        fs::write(self.dir.join(STAMP), &self.requirements_text)?;
        Ok(self.python())
    }

    /// The interpreter, when the clients are here already.
    pub fn fetched(&self) -> Option<PathBuf> {
        self.is_fetched().then(|| self.python())
    }

    fn python(&self) -> PathBuf {
        match &self.given {
            Some(python) => python.clone(),
            None => self.dir.join("bin/python"),
        }
    }

    fn is_fetched(&self) -> bool {
        self.given.is_some()
            || fs::read_to_string(self.dir.join(STAMP))
                .is_ok_and(|stamp| stamp == self.requirements_text)
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("could not start {:?}", command.get_program()))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
