//! [`KafkaCluster`] on real brokers: ready means usable, a killed broker comes back with its data,
//! and nothing stays behind.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use connect_testkit::kafka::{ClusterSpec, DetachedBroker, KafkaCluster, libs_or_skip};

/// Runs one of Kafka's own tools against the cluster and returns what it printed.
fn tool(cluster: &KafkaCluster, class: &str, arguments: &[&str]) -> String {
    let output = Command::new("java")
        .args(["-Xmx128M", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(cluster.libs().join("*"))
        .arg(class)
        .args(["--bootstrap-server", &cluster.bootstrap()])
        .args(arguments)
        .output()
        .expect("java starts");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{class} {arguments:?}: {printed}");
    printed
}

fn process_exists(pid: u32) -> bool {
    Command::new("sh")
        .args(["-c", &format!("kill -0 {pid} 2>/dev/null")])
        .status()
        .expect("sh")
        .success()
}

#[test]
fn one_broker_comes_and_goes() {
    if libs_or_skip().is_none() {
        return;
    }
    let cluster = KafkaCluster::start(1, &[("num.partitions", "4")]).expect("starts");
    let (pid, log) = (
        cluster.pid(1).expect("node 1").expect("runs"),
        cluster.log_file(1).expect("node 1"),
    );
    let topics = "org.apache.kafka.tools.TopicCommand";
    tool(&cluster, topics, &["--create", "--topic", "t"]);
    let described = tool(&cluster, topics, &["--describe", "--topic", "t"]);
    assert!(described.contains("PartitionCount: 4"), "{described}");
    let address = cluster.address(1).expect("node 1");
    drop(cluster);
    assert!(!process_exists(pid));
    assert!(TcpStream::connect(address).is_err());
    assert!(!log.exists(), "{} stayed behind", log.display());
}

#[test]
fn three_brokers_survive_the_kill_of_one() {
    if libs_or_skip().is_none() {
        return;
    }
    let mut cluster = KafkaCluster::start(3, &[]).expect("starts");
    let topics = "org.apache.kafka.tools.TopicCommand";
    tool(
        &cluster,
        topics,
        &["--create", "--topic", "t", "--replica-assignment", "2:1:3"],
    );
    cluster.kill(2).expect("node 2");
    assert_eq!(cluster.pid(2).expect("node 2"), None);
    cluster.restart(2).expect("restarts");
    let described = tool(&cluster, topics, &["--describe", "--topic", "t"]);
    assert!(described.contains("Replicas: 2,1,3"), "{described}");
    assert!(described.contains("min.insync.replicas=2"), "{described}");
    cluster.stop(3).expect("stops in order");
    cluster.restart(3).expect("restarts");
    assert!(cluster.kill(4).is_err());
}

#[test]
fn a_detached_cluster_is_found_and_stopped() {
    let Some(libs) = libs_or_skip() else { return };
    let dir: PathBuf =
        std::env::temp_dir().join(format!("millstream-kafka-detached-{}", std::process::id()));
    let mut spec = ClusterSpec::new(1, libs);
    spec.dir = Some(dir.clone());
    KafkaCluster::start_with(spec).expect("starts").detach();
    let brokers = DetachedBroker::all_in(&dir).expect("readable");
    assert_eq!(brokers.len(), 1);
    assert!(brokers[0].is_running());
    assert_eq!(brokers[0].brokers_known().expect("answers"), 1);
    DetachedBroker::stop_all(&brokers).expect("stops");
    assert!(!brokers[0].is_running());
    std::fs::remove_dir_all(&dir).expect("removable");
}

#[test]
fn a_broker_that_cannot_start_shows_its_log() {
    if libs_or_skip().is_none() {
        return;
    }
    let error = KafkaCluster::start(1, &[("log.segment.bytes", "7")]).expect_err("too small");
    assert!(error.to_string().contains("log.segment.bytes"), "{error}");
}
