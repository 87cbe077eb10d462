//! Brokers that outlived the process that started them, found again by what they left on disk.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::broker::{LOG_FILE, PID_FILE, PROPERTIES_FILE, STOP_MAX, signal, terminate};
use super::ready;

/// A broker of a cluster that [`super::KafkaCluster::detach`] let go.
#[derive(Debug)]
pub struct DetachedBroker {
    /// Kafka's `node.id`.
    pub node: i32,
    pub pid: u32,
    pub address: SocketAddr,
    properties: PathBuf,
}

impl DetachedBroker {
    /// The brokers whose directories are in `dir`, by `node.id`, whether they still run or not.
    /// Empty when there is no such directory.
    pub fn all_in(dir: &Path) -> Result<Vec<Self>> {
        let Ok(dir) = dir.canonicalize() else {
            return Ok(Vec::new());
        };
        let mut brokers = Vec::new();
        for entry in fs::read_dir(&dir)? {
            let node_dir = entry?.path();
            let properties = node_dir.join(PROPERTIES_FILE);
            // A start that was interrupted leaves a directory without a process id.
            let Ok(pid) = fs::read_to_string(node_dir.join(PID_FILE)) else {
                continue;
            };
            let text = fs::read_to_string(&properties)
                .with_context(|| format!("could not read {}", properties.display()))?;
            let (node, address) = node_and_address(&text).with_context(|| {
                format!(
                    "{} has no node.id and PLAINTEXT listener",
                    properties.display()
                )
            })?;
            let pid = pid
                .trim()
                .parse()
                .with_context(|| format!("no process id in {}", node_dir.display()))?;
            brokers.push(Self {
                node,
                pid,
                address,
                properties,
            });
        }
        brokers.sort_by_key(|broker| broker.node);
        Ok(brokers)
    }

    /// The process is there and is this broker, not another that was given its process id.
    pub fn is_running(&self) -> bool {
        let properties = self.properties.display().to_string();
        command_line(self.pid).is_some_and(|line| line.contains(&properties))
    }

    /// The file with everything that it printed.
    pub fn log_file(&self) -> PathBuf {
        self.properties.with_file_name(LOG_FILE)
    }

    /// How many brokers of its cluster this one lists as serving.
    pub fn brokers_known(&self) -> std::io::Result<usize> {
        ready::brokers_known_to(self.address)
    }

    /// Ends all of `brokers` in order, waiting at most a minute before it kills the rest. Brokers
    /// that do not run are passed over.
    pub fn stop_all(brokers: &[Self]) -> Result<()> {
        // All at once: of a quorum that is going away, the last node waits for nobody.
        for broker in brokers.iter().filter(|broker| broker.is_running()) {
            let _ = terminate(broker.pid);
        }
        let deadline = Instant::now() + STOP_MAX;
        for broker in brokers {
            while broker.is_running() {
                if Instant::now() > deadline {
                    // It may have ended meanwhile: the loop will see.
                    let _ = signal("KILL", broker.pid);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

/// The arguments of a process, however the system tells them; `None` when there is no such process.
fn command_line(pid: u32) -> Option<String> {
    if let Ok(bytes) = fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    let ps = Command::new("ps")
        .args(["-o", "args=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    ps.status
        .success()
        .then(|| String::from_utf8_lossy(&ps.stdout).into_owned())
}

fn node_and_address(properties: &str) -> Option<(i32, SocketAddr)> {
    let value = |key: &str| {
        properties
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    let node = value("node.id")?.parse().ok()?;
    let address = value("advertised.listeners")?
        .strip_prefix("PLAINTEXT://")?
        .parse()
        .ok()?;
    Some((node, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_known_by_its_properties() {
        let properties = "process.roles=broker,controller\nnode.id=2\nadvertised.listeners=PLAINTEXT://127.0.0.1:20411\n";
        let expected = (2, SocketAddr::from(([127, 0, 0, 1], 20411)));
        assert_eq!(node_and_address(properties), Some(expected));
        assert_eq!(node_and_address("node.id=2\n"), None);
    }

    #[test]
    fn a_process_id_that_went_to_somebody_else_is_not_the_broker() {
        let broker = DetachedBroker {
            node: 1,
            pid: std::process::id(),
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            properties: PathBuf::from("/no/such/server.properties"),
        };
        assert!(!broker.is_running());
    }
}
