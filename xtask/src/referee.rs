//! The real Apache Kafka as a directory of jars, fetched once with Maven.
//!
//! Lives elsewhere: which jars and which version (`xtask/referee/pom.xml`), starting them
//! (`connect_testkit::kafka`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use connect_testkit::kafka::LIBS_ENV;

use crate::workspace::Workspace;

/// The pom that the jars in a directory came from lies beside them, and is written last: while it
/// equals ours, the jars are complete and are the right ones.
const STAMP: &str = "pom.xml";

/// A program that must be on the PATH, and the Debian package that brings it.
const PROGRAMS: &[(&str, &str)] = &[("java", "openjdk-17-jdk-headless"), ("mvn", "maven")];

/// Another version of Kafka than the pom pins, to see that brokers of that age do.
pub const VERSION_ENV: &str = "MILLSTREAM_KAFKA_VERSION";

pub struct Referee {
    pom: PathBuf,
    /// With the version that is wanted.
    pom_text: String,
    /// Kafka's version: the one that the pom pins, unless `MILLSTREAM_KAFKA_VERSION` wants another.
    pub version: String,
    /// Where the jars are, or will be.
    pub libs: PathBuf,
    /// The libraries are somebody else's: `MILLSTREAM_KAFKA_LIBS` names them.
    given: bool,
}

impl Referee {
    pub fn of(workspace: &Workspace) -> Result<Self> {
        let pom = workspace.root.join("xtask/referee/pom.xml");
        let pom_text = fs::read_to_string(&pom)
            .with_context(|| format!("could not read {}", pom.display()))?;
        let pinned = kafka_version(&pom_text)
            .with_context(|| format!("{} has no <kafka.version>", pom.display()))?
            .to_owned();
        let version = std::env::var(VERSION_ENV).unwrap_or_else(|_| pinned.clone());
        let pom_text = pom_text.replace(&version_element(&pinned), &version_element(&version));
        let given = std::env::var_os(LIBS_ENV).filter(|libs| !libs.is_empty());
        let fetched = workspace.target.join(format!("referee/kafka-{version}"));
        let libs = given.as_ref().map_or(fetched, PathBuf::from);
        Ok(Self {
            pom,
            pom_text,
            version,
            libs,
            given: given.is_some(),
        })
    }

    /// What is not installed and is needed to run Kafka: programs, and the packages to install.
    pub fn missing(&self) -> Option<String> {
        let missing = |(program, _): &&(&str, &str)| {
            let needed = *program != "mvn" || !self.is_fetched();
            needed && !on_path(program)
        };
        let (programs, packages): (Vec<&str>, Vec<&str>) =
            PROGRAMS.iter().filter(missing).copied().unzip();
        (!programs.is_empty()).then(|| {
            format!(
                "no {} on this machine: apt-get install {}",
                programs.join(", no "),
                packages.join(" ")
            )
        })
    }

    /// Brings the jars here unless they are, and returns their directory. The first time this
    /// downloads about 130 MB from Maven Central; it needs `mvn`.
    pub fn fetch(&self) -> Result<&Path> {
        if self.is_fetched() {
            return Ok(&self.libs);
        }
        eprintln!(
            "fetching Apache Kafka {} with Maven to {}",
            self.version,
            self.libs.display()
        );
        // Whoever is interrupted leaves nothing that looks complete.
        let partial = self
            .libs
            .with_extension(format!("partial-{}", std::process::id()));
        let status = Command::new("mvn")
            .args(["--quiet", "--batch-mode", "--file"])
            .arg(&self.pom)
            .arg("dependency:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", partial.display()))
            .arg(format!("-Dkafka.version={}", self.version))
            .arg("-Dstyle.color=never")
            // Standard output is for the variables that a shell evaluates.
            .stdout(std::io::stderr())
            .status()
            .context("could not start `mvn`; apt-get install maven")?;
        ensure!(
            status.success(),
            "Maven could not fetch Apache Kafka {}: {status}",
            self.version
        );
        fs::write(partial.join(STAMP), &self.pom_text)?;
        if self.libs.exists() {
            fs::remove_dir_all(&self.libs)?;
        }
        fs::rename(&partial, &self.libs)
            .with_context(|| format!("could not rename {}", partial.display()))?;
        Ok(&self.libs)
    }

    fn is_fetched(&self) -> bool {
        self.given
            || fs::read_to_string(self.libs.join(STAMP)).is_ok_and(|pom| pom == self.pom_text)
    }
}

fn version_element(version: &str) -> String {
    format!("<kafka.version>{version}</kafka.version>")
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn kafka_version(pom: &str) -> Option<&str> {
    let (_, rest) = pom.split_once("<kafka.version>")?;
    Some(rest.split_once('<')?.0.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pom_pins_the_version() {
        assert_eq!(
            kafka_version("<a/><kafka.version>4.3.1</kafka.version>"),
            Some("4.3.1")
        );
        assert_eq!(kafka_version("<version>1</version>"), None);
    }
}
