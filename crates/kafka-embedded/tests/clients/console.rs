//! Apache Kafka's own tools, as its scripts `kafka-*.sh` start them, and the programs with which
//! Kafka's developers test producers, consumers and transactions.
//!
//! Each start of Java takes about a second, so one test walks through the life of one topic.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use connect_testkit::kafka::libs_or_skip;

use crate::support::{Log, run};

struct Tools {
    libs: PathBuf,
    log: Log,
}

impl Tools {
    /// `None`: there is no Java Kafka, which has been said.
    #[track_caller]
    fn or_skip() -> Option<Self> {
        let libs = libs_or_skip()?;
        let log = Log::start();
        Some(Self { libs, log })
    }

    /// Runs a class of `org.apache.kafka.tools` with these arguments, the broker first.
    #[track_caller]
    fn tool(&self, class: &str, arguments: &[&str]) -> String {
        self.tool_reading(class, arguments, "")
    }

    #[track_caller]
    fn tool_reading(&self, class: &str, arguments: &[&str], input: &str) -> String {
        let class = format!("org.apache.kafka.tools.{class}");
        let broker = ["--bootstrap-server", &self.log.bootstrap];
        self.java(&class, &[&broker, arguments].concat(), input)
    }

    #[track_caller]
    fn java(&self, class: &str, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new("java");
        command
            .args(["-Xmx256M", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(self.libs.join("*"))
            .arg(class)
            .args(arguments);
        run(&mut command, input)
    }

    /// The values of a topic that `isolation` shows, from its beginning.
    #[track_caller]
    fn values(&self, topic: &str, count: usize, isolation: &str) -> Vec<String> {
        let count = count.to_string();
        let printed = self.tool(
            "consumer.ConsoleConsumer",
            &[
                "--topic",
                topic,
                "--from-beginning",
                "--max-messages",
                &count,
                "--timeout-ms",
                "30000",
                "--isolation-level",
                isolation,
            ],
        );
        printed.lines().map(str::to_owned).collect()
    }
}

#[track_caller]
fn has(printed: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(printed.contains(wanted), "no {wanted:?} in\n{printed}");
    }
}

/// The columns behind a topic's name and partition in a table of `kafka-consumer-groups`.
fn columns(printed: &str, topic: &str) -> Vec<String> {
    let row = printed.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != topic);
        words.next()?;
        Some(words.map(str::to_owned).collect())
    });
    row.unwrap_or_else(|| panic!("no row of {topic} in\n{printed}"))
}

#[test]
fn console_tools_walk_through_a_topic() {
    let Some(tools) = Tools::or_skip() else {
        return;
    };
    tools.tool(
        "TopicCommand",
        &[
            "--create",
            "--topic",
            "orders",
            "--partitions",
            "1",
            "--config",
            "retention.ms=5000000",
        ],
    );
    has(&tools.tool("TopicCommand", &["--list"]), &["orders"]);
    let described = tools.tool("TopicCommand", &["--describe", "--topic", "orders"]);
    has(
        &described,
        &[
            "PartitionCount: 1",
            "ReplicationFactor: 1",
            "retention.ms=5000000",
            "Leader: 1",
        ],
    );

    let records = "k1\ta\nk2\tb\nk1\tc\n";
    tools.tool_reading(
        "ConsoleProducer",
        &["--topic", "orders", "--reader-property", "parse.key=true"],
        records,
    );
    let read = tools.tool(
        "consumer.ConsoleConsumer",
        &[
            "--topic",
            "orders",
            "--group",
            "readers",
            "--from-beginning",
            "--max-messages",
            "3",
            "--timeout-ms",
            "30000",
            "--formatter-property",
            "print.key=true",
        ],
    );
    assert_eq!(read, records);
    assert_eq!(
        tools.tool("GetOffsetShell", &["--topic", "orders"]),
        "orders:0:3\n"
    );

    let groups = "consumer.group.ConsumerGroupCommand";
    let described = columns(
        &tools.tool(groups, &["--describe", "--group", "readers"]),
        "orders",
    );
    assert_eq!(
        described[..4],
        ["0", "3", "3", "0"],
        "partition, offset, end, lag"
    );
    has(
        &tools.tool(groups, &["--list", "--state"]),
        &["readers", "Empty"],
    );
    let reset = tools.tool(
        groups,
        &[
            "--group",
            "readers",
            "--topic",
            "orders",
            "--reset-offsets",
            "--to-offset",
            "1",
            "--execute",
        ],
    );
    assert_eq!(columns(&reset, "orders"), ["0", "1"]);
    let described = columns(
        &tools.tool(groups, &["--describe", "--group", "readers"]),
        "orders",
    );
    assert_eq!(
        described[..4],
        ["0", "1", "3", "2"],
        "partition, offset, end, lag"
    );

    let configs = |arguments: &[&str]| {
        let entity = [
            "--bootstrap-server",
            &tools.log.bootstrap,
            "--entity-type",
            "topics",
            "--entity-name",
            "orders",
        ];
        tools.java(
            "kafka.admin.ConfigCommand",
            &[&entity, arguments].concat(),
            "",
        )
    };
    configs(&[
        "--alter",
        "--add-config",
        "max.message.bytes=2000000",
        "--delete-config",
        "retention.ms",
    ]);
    let described = configs(&["--describe"]);
    has(&described, &["max.message.bytes=2000000"]);
    assert!(!described.contains("retention.ms="), "{described}");

    let cut = tools.log.directory().join("cut.json");
    let partitions = r#"{"version":1,"partitions":[{"topic":"orders","partition":0,"offset":2}]}"#;
    fs::write(&cut, partitions).expect("a file");
    let deleted = tools.tool(
        "DeleteRecordsCommand",
        &["--offset-json-file", &cut.display().to_string()],
    );
    has(&deleted, &["partition: orders-0\tlow_watermark: 2"]);
    assert_eq!(
        tools.tool(
            "GetOffsetShell",
            &["--topic", "orders", "--time", "earliest"]
        ),
        "orders:0:2\n"
    );

    let deleted = tools.tool(
        groups,
        &[
            "--group",
            "readers",
            "--topic",
            "orders",
            "--delete-offsets",
        ],
    );
    assert_eq!(columns(&deleted, "orders"), ["0", "Successful"]);
    has(
        &tools.tool(groups, &["--group", "readers", "--delete"]),
        &["was successful"],
    );
    assert!(!tools.tool("GroupsCommand", &["--list"]).contains("readers"));
    tools.tool(
        "TopicCommand",
        &["--alter", "--topic", "orders", "--partitions", "3"],
    );
    has(
        &tools.tool("TopicCommand", &["--describe", "--topic", "orders"]),
        &["PartitionCount: 3"],
    );
    has(
        &tools.tool("LogDirsCommand", &["--describe", "--topic-list", "orders"]),
        &["\"orders-0\"", "\"orders-2\""],
    );
    tools.tool("TopicCommand", &["--delete", "--topic", "orders"]);
    assert!(!tools.tool("TopicCommand", &["--list"]).contains("orders"));
}

/// Kafka's own consume-transform-produce program aborts transactions at random; what it copied is
/// there once.
#[test]
fn the_java_producer_and_consumer_copy_in_transactions() {
    let Some(tools) = Tools::or_skip() else {
        return;
    };
    for topic in ["source", "copy"] {
        tools.tool(
            "TopicCommand",
            &["--create", "--topic", topic, "--partitions", "1"],
        );
    }
    let produced = tools.tool(
        "VerifiableProducer",
        &["--topic", "source", "--max-messages", "300", "--acks", "-1"],
    );
    has(&produced, &["\"acked\":300"]);
    let copied = tools.java(
        "org.apache.kafka.tools.TransactionalMessageCopier",
        &[
            "--broker-list",
            &tools.log.bootstrap,
            "--input-topic",
            "source",
            "--input-partition",
            "0",
            "--output-topic",
            "copy",
            "--transactional-id",
            "copier",
            "--consumer-group",
            "copiers",
            "--max-messages",
            "300",
            "--transaction-size",
            "17",
            "--enable-random-aborts",
            "--use-group-metadata",
        ],
        "",
    );
    has(
        &copied,
        &["\"stage\":\"ShutdownComplete\"", "\"consumed\":300"],
    );
    let expected: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let found = tools.values("copy", 300, "read_committed");
    assert_eq!(found, expected);
    has(&tools.tool("TransactionsCommand", &["list"]), &["copier"]);

    let throughput = tools.tool(
        "ProducerPerformance",
        &[
            "--topic",
            "source",
            "--num-records",
            "500",
            "--record-size",
            "100",
            "--throughput",
            "-1",
            "--transactional-id",
            "performer",
            "--transaction-duration-ms",
            "20",
        ],
    );
    has(&throughput, &["500 records sent"]);
}

/// Compiled and run by `java` in one step, as it may be against any broker.
#[test]
fn the_java_clients_work_in_transactions_and_are_fenced() {
    let Some(tools) = Tools::or_skip() else {
        return;
    };
    let source = tools.log.directory().join("Transactions.java");
    fs::write(&source, include_str!("Transactions.java")).expect("a file");
    let printed = tools.java(&source.display().to_string(), &[&tools.log.bootstrap], "");
    has(&printed, &["java: transactions well"]);
}
