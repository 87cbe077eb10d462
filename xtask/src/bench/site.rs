//! Where it happens: one real broker, a directory, and the inputs, made once for all runs.
//!
//! Lives elsewhere: what is in the inputs (`data`), the runs (`measure`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use connect_testkit::kafka::{ClusterSpec, KafkaCluster};

use super::data::{Lines, Shape};
use super::verify::{self, Around};
use super::wire::BrokerConnection;

pub struct Site {
    cluster: KafkaCluster,
    pub broker: BrokerConnection,
    /// Of cargo's target directory.
    dir: PathBuf,
    loaded: Vec<Loaded>,
    names: u32,
}

/// A topic with the lines of a file, one record each.
struct Loaded {
    lines: Lines,
    topic: String,
}

impl Site {
    /// Starts a broker with empty data below `dir`. Inputs of earlier runs that lie there are used again.
    pub fn start(libs: &Path, dir: &Path) -> Result<Self> {
        eprintln!("starting Apache Kafka");
        let mut spec = ClusterSpec::new(1, libs);
        spec.dir = Some(dir.join("kafka"));
        spec.jvm = vec!["-Xms1G".to_owned(), "-Xmx1G".to_owned()];
        // Topics of earlier runs go at once, not after a minute: the disk may be small.
        spec.overrides = vec![("log.segment.delete.delay.ms".to_owned(), "1000".to_owned())];
        let cluster = KafkaCluster::start_with(spec)?;
        let broker = BrokerConnection::open(&cluster.bootstrap())?;
        Ok(Self {
            cluster,
            broker,
            dir: dir.to_owned(),
            loaded: Vec::new(),
            names: 0,
        })
    }

    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap()
    }

    /// Process id of the broker.
    pub fn broker_pid(&self) -> Result<u32> {
        let node = self.cluster.nodes().next().context("no broker")?;
        self.cluster.pid(node)?.context("the broker has stopped")
    }

    /// A name that nothing had before: of a connector and its group, or of a topic.
    pub fn new_name(&mut self, of: &str) -> String {
        self.names += 1;
        format!("bench-{of}-{}", self.names)
    }

    /// An empty directory for the files of one worker.
    pub fn new_dir(&self) -> Result<PathBuf> {
        let dir = self.dir.join("run");
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        Ok(dir.canonicalize()?)
    }

    pub fn lines(&self, shape: Shape, records: u64) -> Result<Lines> {
        Lines::in_dir(&self.dir.join("data"), shape, records)
    }

    /// The topic with these lines; loaded the first time by Kafka's console producer, whose settings
    /// are the defaults of every Java producer.
    pub fn topic_of(&mut self, lines: &Lines) -> Result<String> {
        if let Some(loaded) = self.loaded.iter().find(|loaded| loaded.lines == *lines) {
            return Ok(loaded.topic.clone());
        }
        let topic = self.new_name("in");
        eprintln!("loading {} records into {topic}", lines.records);
        self.broker.create_topic(&topic)?;
        let output = Command::new("java")
            .args(["-Xmx512M", "-cp"])
            .arg(self.cluster.libs().join("*"))
            .arg("org.apache.kafka.tools.ConsoleProducer")
            .args([
                "--bootstrap-server",
                &self.cluster.bootstrap(),
                "--topic",
                &topic,
            ])
            .stdin(File::open(&lines.file)?)
            .stdout(Stdio::null())
            .output()
            .context("could not start `java`")?;
        ensure!(
            output.status.success(),
            "Kafka's console producer ended with {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        let as_it_is = Around {
            before: "",
            after: "",
        };
        verify::topic(&mut self.broker, &topic, lines, as_it_is)
            .with_context(|| format!("the input topic {topic} is not what it should be"))?;
        self.loaded.push(Loaded {
            lines: lines.clone(),
            topic: topic.clone(),
        });
        Ok(topic)
    }
}
