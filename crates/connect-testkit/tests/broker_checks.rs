//! The checks of `connect_testkit::broker_checks` on real Apache Kafka: what they ask of the embedded
//! log is what Kafka does.

use anyhow::Result;
use connect_testkit::broker_checks::restart::Restartable;
use connect_testkit::broker_checks::{Check, Target, all, restart, run};
use connect_testkit::kafka::{KafkaCluster, bootstrap_or_skip, libs_or_skip};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread")
}

/// What brokers before Kafka 4 do not do: bound times that lie ahead, answer version 6 of DescribeGroups.
const SINCE_KAFKA_4: [&str; 5] = [
    "configs: the defaults of 4.3.1",
    "produce: a time more than 1 h ahead: 32",
    "groups: DescribeGroups: Stable with members, bytes and protocol",
    "groups: DescribeGroups: Empty",
    "groups: DescribeGroups: Dead, with 69 from version 6 on",
];

/// The checks that the Kafka at hand must pass: `MILLSTREAM_KAFKA_VERSION` names an older one than the pinned.
fn checks() -> Vec<Check> {
    let version = std::env::var("MILLSTREAM_KAFKA_VERSION").unwrap_or_default();
    let mut checks = all();
    if version.starts_with("3.") {
        let count = checks.len();
        checks.retain(|check| !SINCE_KAFKA_4.contains(&&*check.name));
        assert_eq!(checks.len(), count - SINCE_KAFKA_4.len(), "names of checks");
    }
    checks
}

#[test]
fn kafka_passes_all_checks() {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return;
    };
    let target = Target { bootstrap };
    let report = runtime().block_on(run(&target, checks()));
    report.assert_all_hold();
}

/// A broker of this test's own, killed with SIGKILL.
struct Kafka(KafkaCluster);

impl Restartable for Kafka {
    fn bootstrap(&self) -> String {
        self.0.bootstrap()
    }

    async fn kill_and_restart(&mut self) -> Result<()> {
        self.0.kill(1)?;
        self.0.restart(1)
    }
}

#[test]
fn kafka_passes_the_restart_checks() {
    if libs_or_skip().is_none() {
        return;
    }
    let mut kafka = Kafka(KafkaCluster::start(1, &[]).expect("starts"));
    let report = runtime().block_on(restart::run(&mut kafka));
    report.assert_all_hold();
}
