//! The checks of `connect_testkit::broker_checks` on real Apache Kafka: what they ask of the embedded
//! log is what Kafka does.

use anyhow::Result;
use connect_testkit::broker_checks::restart::Restartable;
use connect_testkit::broker_checks::{Target, all, restart, run};
use connect_testkit::kafka::{KafkaCluster, bootstrap_or_skip, libs_or_skip};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of one thread")
}

#[test]
fn kafka_passes_all_checks() {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return;
    };
    let target = Target { bootstrap };
    let report = runtime().block_on(run(&target, all()));
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
