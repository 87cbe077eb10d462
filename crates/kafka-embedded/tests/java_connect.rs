//! Apache Kafka's own Kafka Connect, distributed, with the embedded log as its only broker: its
//! topics, its group, its offsets, its transactions.
//!
//! Lives here: workers as processes, their REST API as far as it is needed, and one walk: a file
//! becomes a topic and a file again, while workers come, go and are killed, and the log is killed
//! under them.
//! Never here: Millstream's worker.

mod killable;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use connect_testkit::kafka::libs_or_skip;
use connect_testkit::process::{Program, eventually};

use killable::Log;

/// Longest wait for anything. A worker needs several seconds to start, more when machines are busy,
/// and its tasks move when its session has ended.
const LIMIT: Duration = Duration::from_secs(120);

/// How a worker says where its REST API is.
const REST: &str = "REST server listening at http://127.0.0.1:";

const LOG4J: &str = "\
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %X{connector.context}%m (%c:%L)%n
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = OUT
";

/// Whether sources write in transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExactlyOnce {
    Enabled,
    Disabled,
}

struct Cluster {
    libs: PathBuf,
    directory: tempfile::TempDir,
    log: Log,
    exactly_once: ExactlyOnce,
    workers_started: u32,
}

/// A worker of the cluster, and the port of its REST API.
struct Worker {
    program: Program,
    port: u16,
}

impl Cluster {
    fn start(libs: PathBuf, exactly_once: ExactlyOnce) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let log = Log::start(directory.path())?;
        fs::write(directory.path().join("log4j2.properties"), LOG4J)?;
        Ok(Self {
            libs,
            directory,
            log,
            exactly_once,
            workers_started: 0,
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start_worker(&mut self) -> Result<Worker> {
        self.workers_started += 1;
        let number = self.workers_started;
        let exactly_once = match self.exactly_once {
            ExactlyOnce::Enabled => "enabled",
            ExactlyOnce::Disabled => "disabled",
        };
        // Port 0: the worker takes a free one, and says which.
        let properties = format!(
            "bootstrap.servers={}\ngroup.id=workers\nlisteners=http://127.0.0.1:0\n\
             key.converter=org.apache.kafka.connect.storage.StringConverter\n\
             value.converter=org.apache.kafka.connect.storage.StringConverter\n\
             config.storage.topic=configs\noffset.storage.topic=offsets\nstatus.storage.topic=statuses\n\
             config.storage.replication.factor=1\noffset.storage.replication.factor=1\nstatus.storage.replication.factor=1\n\
             offset.flush.interval.ms=500\nscheduled.rebalance.max.delay.ms=1000\n\
             session.timeout.ms=6000\nheartbeat.interval.ms=1000\nplugin.discovery=only_scan\n\
             exactly.once.source.support={exactly_once}\n",
            self.log.address
        );
        let file = self.file(&format!("worker-{number}.properties"));
        fs::write(&file, properties)?;
        let mut command = Command::new("java");
        command
            .args(["-Xmx512M", "-XX:TieredStopAtLevel=1"])
            .arg(format!(
                "-Dlog4j2.configurationFile={}",
                self.file("log4j2.properties").display()
            ))
            .arg("-cp")
            .arg(self.libs.join("*"))
            .arg("org.apache.kafka.connect.cli.ConnectDistributed")
            .arg(&file);
        let mut program =
            Program::start(&mut command, &self.file(&format!("worker-{number}.log")))?;
        let mut port = None;
        eventually(LIMIT, "the worker's REST API", || {
            let log = program.log();
            ensure!(program.is_running()?, "the worker ended:\n{}", tail(&log));
            port = rest_port(&log);
            Ok(port.is_some())
        })?;
        let port = port.context("it was found")?;
        let worker = Worker { program, port };
        // The API answers with an error until the worker has read its topics and joined the group.
        worker.until(
            "the worker to be a member",
            "GET",
            "/connectors",
            |status, _| status == 200,
        )?;
        Ok(worker)
    }

    /// Writes lines `from` to `to` behind what is in the source file.
    fn write_lines(&self, from: u32, to: u32) -> Result<()> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.file("source.txt"))?;
        let lines: String = (from..to)
            .map(|number| format!("line {number}\n"))
            .collect();
        file.write_all(lines.as_bytes())?;
        Ok(())
    }

    /// Waits until each of the first `count` lines is in the sink file.
    fn wait_for_lines(&self, count: u32, workers: &[&Worker]) -> Result<()> {
        let mut found = BTreeSet::new();
        let waited = eventually(LIMIT, "lines in the sink file", || {
            found = lines_of(&self.file("sink.txt"));
            Ok((0..count).all(|number| found.contains(&format!("line {number}"))))
        });
        waited.with_context(|| {
            let logs: Vec<String> = workers
                .iter()
                .map(|worker| tail(&worker.program.log()))
                .collect();
            format!(
                "{} of {count} lines are there\n{}",
                found.len(),
                logs.join("\n---\n")
            )
        })
    }

    /// What a consumer of committed records reads, once it has read `count`.
    fn topic(&self, count: u32) -> Result<Vec<String>> {
        let output = Command::new("java")
            .args(["-Xmx256M", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(self.libs.join("*"))
            .arg("org.apache.kafka.tools.consumer.ConsoleConsumer")
            .args([
                "--bootstrap-server",
                &self.log.address.to_string(),
                "--topic",
                "lines",
            ])
            // Longer than any pause within the topic: it ends when there is no more.
            .args([
                "--from-beginning",
                "--isolation-level",
                "read_committed",
                "--timeout-ms",
                "5000",
            ])
            .output()?;
        // Its last words, that nothing came for a while, go to the same place.
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = printed.lines().filter(|line| line.starts_with("line "));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        ensure!(
            lines.len() >= count as usize,
            "found {} records, expected at least {count}",
            lines.len()
        );
        Ok(lines)
    }
}

impl Worker {
    /// Status and body of a request.
    fn ask(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .context("the answer has no body")?;
        let status = head
            .split(' ')
            .nth(1)
            .context("the answer has no status")?
            .parse()?;
        Ok((status, body.to_owned()))
    }

    /// Asks until the answer is as wanted; a worker refuses while it rebalances.
    fn until(
        &self,
        what: &str,
        method: &str,
        path: &str,
        wanted: impl Fn(u16, &str) -> bool,
    ) -> Result<()> {
        self.until_sent(what, method, path, "", wanted)
    }

    fn until_sent(
        &self,
        what: &str,
        method: &str,
        path: &str,
        body: &str,
        wanted: impl Fn(u16, &str) -> bool,
    ) -> Result<()> {
        let mut last = String::new();
        let waited = eventually(LIMIT, what, || {
            let (status, answer) = self.ask(method, path, body)?;
            last = format!("{method} {path}: {status} {answer}");
            Ok(wanted(status, &answer))
        });
        waited.with_context(|| format!("the last answer was {last}\n{}", tail(&self.program.log())))
    }

    fn create(&self, name: &str, config: &str) -> Result<()> {
        let path = format!("/connectors/{name}/config");
        self.until_sent(
            "the connector to be created",
            "PUT",
            &path,
            config,
            |status, _| matches!(status, 200 | 201),
        )
    }

    /// Connector and task run.
    fn wait_until_running(&self, name: &str) -> Result<()> {
        let path = format!("/connectors/{name}/status");
        self.until("connector and task to run", "GET", &path, |status, body| {
            status == 200 && body.matches("\"RUNNING\"").count() == 2
        })
    }
}

fn rest_port(log: &str) -> Option<u16> {
    let (_, behind) = log.split_once(REST)?;
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// Whole lines only.
fn lines_of(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::to_owned).collect()
}

fn walk(exactly_once: ExactlyOnce) -> Result<()> {
    let Some(libs) = libs_or_skip() else {
        return Ok(());
    };
    let mut cluster = Cluster::start(libs, exactly_once)?;
    cluster.write_lines(0, 300)?;
    let first = cluster.start_worker()?;
    let source = format!(
        r#"{{"connector.class":"FileStreamSource","tasks.max":"1","topic":"lines","file":"{}"}}"#,
        cluster.file("source.txt").display()
    );
    let sink = format!(
        r#"{{"connector.class":"FileStreamSink","tasks.max":"1","topics":"lines","file":"{}"}}"#,
        cluster.file("sink.txt").display()
    );
    first.create("source", &source)?;
    first.create("sink", &sink)?;
    first.wait_until_running("source")?;
    first.wait_until_running("sink")?;
    cluster.wait_for_lines(300, &[&first])?;

    // The log dies under a worker, which goes on.
    cluster.log.kill_and_start()?;
    cluster.write_lines(300, 500)?;
    cluster.wait_for_lines(500, &[&first])?;
    first.wait_until_running("source")?;

    // A second worker joins; then the first is killed.
    let second = cluster.start_worker()?;
    cluster.write_lines(500, 700)?;
    cluster.wait_for_lines(700, &[&first, &second])?;
    first.program.kill()?;
    cluster.write_lines(700, 900)?;
    cluster.wait_for_lines(900, &[&second])?;

    // All stop in order, and another carries on.
    second.program.terminate(LIMIT)?;
    let third = cluster.start_worker()?;
    cluster.write_lines(900, 1_100)?;
    cluster.wait_for_lines(1_100, &[&third])?;

    let mut topic = cluster.topic(1_100)?;
    if exactly_once == ExactlyOnce::Disabled {
        // At least once: a worker that is killed leaves lines that the next one reads again.
        let mut seen = BTreeSet::new();
        topic.retain(|line| seen.insert(line.clone()));
    }
    for (number, line) in topic.iter().enumerate() {
        assert_eq!(*line, format!("line {number}"), "the record in this place");
    }
    assert_eq!(topic.len(), 1_100, "records");
    offsets_are_read_altered_and_reset(&third)?;
    third.program.terminate(LIMIT)?;
    Ok(())
}

/// The calls of the REST API that become OffsetFetch, OffsetCommit, OffsetDelete and DeleteGroups.
fn offsets_are_read_altered_and_reset(worker: &Worker) -> Result<()> {
    let read = |what: &str, wanted: &str| {
        worker.until(what, "GET", "/connectors/sink/offsets", |status, body| {
            status == 200 && body.contains(wanted)
        })
    };
    read("the sink's offset", r#""kafka_topic":"lines""#)?;
    for name in ["source", "sink"] {
        worker.until(
            "the connector to stop",
            "PUT",
            &format!("/connectors/{name}/stop"),
            |status, _| status == 204,
        )?;
        worker.until(
            "the connector to be stopped",
            "GET",
            &format!("/connectors/{name}/status"),
            |status, body| {
                status == 200 && body.contains("\"STOPPED\"") && body.contains("\"tasks\":[]")
            },
        )?;
    }
    let offset = |offset: &str| {
        format!(
            r#"{{"offsets":[{{"partition":{{"kafka_topic":"lines","kafka_partition":0}},"offset":{offset}}}]}}"#
        )
    };
    let path = "/connectors/sink/offsets";
    let altered = |status: u16, _: &str| status == 200;
    worker.until_sent(
        "the sink's offset to be altered",
        "PATCH",
        path,
        &offset(r#"{"kafka_offset":7}"#),
        altered,
    )?;
    read("the altered offset", r#""kafka_offset":7"#)?;
    worker.until_sent(
        "the sink's offset to be deleted",
        "PATCH",
        path,
        &offset("null"),
        altered,
    )?;
    read("no offset", r#""offsets":[]"#)?;
    worker.until_sent(
        "the sink's offset to be altered",
        "PATCH",
        path,
        &offset(r#"{"kafka_offset":9}"#),
        altered,
    )?;
    worker.until(
        "all offsets of the sink to be reset",
        "DELETE",
        path,
        altered,
    )?;
    read("no offset", r#""offsets":[]"#)?;
    worker.until(
        "the source's offset to be reset",
        "DELETE",
        "/connectors/source/offsets",
        altered,
    )
}

#[test]
fn java_connect_survives_everything() {
    walk(ExactlyOnce::Disabled).expect("each step works");
}

#[test]
fn java_connect_survives_everything_exactly_once() {
    walk(ExactlyOnce::Enabled).expect("each step works");
}
