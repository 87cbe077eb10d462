//! What is measured: a direction, a converter, how many records, and the configuration that says so.
//!
//! Lives here: the table of cases, and the properties files that both workers are started with.
//! Never here: a setting for one of the two workers. Both read the same files.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use anyhow::Result;

use super::data::Shape;
use super::verify::Around;

const STRING: &str = "org.apache.kafka.connect.storage.StringConverter";
const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// As on the command line.
    pub name: &'static str,
    /// As in the table.
    pub title: &'static str,
    pub converter: Converter,
    pub direction: Direction,
    /// Whether the connector has the transforms of [`CHAIN`].
    pub chain: bool,
    /// What goes in.
    pub input: Shape,
    pub records: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Converter {
    String,
    Json,
    JsonWithSchemas,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Lines of this shape come out.
    KafkaToFile(Shape),
    /// The converter writes this around each line.
    FileToKafka(Around),
}

const TEXT_RECORDS: u64 = 8_000_000;
const JSON_RECORDS: u64 = 2_000_000;
/// Lines through `JsonConverter`: with fewer the JVM still compiles while it is measured.
const LINE_RECORDS: u64 = 4_000_000;

pub const CASES: &[Case] = &[
    Case {
        name: "kafka-file-string",
        title: "Kafka → file, String",
        converter: Converter::String,
        direction: Direction::KafkaToFile(Shape::Text),
        chain: false,
        input: Shape::Text,
        records: TEXT_RECORDS,
    },
    Case {
        name: "kafka-file-json",
        title: "Kafka → file, JSON",
        converter: Converter::Json,
        direction: Direction::KafkaToFile(Shape::MapText),
        chain: false,
        input: Shape::Json,
        records: JSON_RECORDS,
    },
    Case {
        name: "kafka-file-json-schemas",
        title: "Kafka → file, JSON with schemas",
        converter: Converter::JsonWithSchemas,
        direction: Direction::KafkaToFile(Shape::StructText),
        chain: false,
        input: Shape::JsonWithSchema,
        records: JSON_RECORDS,
    },
    Case {
        name: "kafka-file-json-chain",
        title: "Kafka → file, JSON, five transforms",
        converter: Converter::Json,
        direction: Direction::KafkaToFile(Shape::MapChainText),
        chain: true,
        input: Shape::Json,
        records: JSON_RECORDS,
    },
    Case {
        name: "kafka-file-json-schemas-chain",
        title: "Kafka → file, JSON with schemas, five transforms",
        converter: Converter::JsonWithSchemas,
        direction: Direction::KafkaToFile(Shape::StructChainText),
        chain: true,
        input: Shape::JsonWithSchema,
        records: JSON_RECORDS,
    },
    Case {
        name: "file-kafka-string",
        title: "file → Kafka, String",
        converter: Converter::String,
        direction: Direction::FileToKafka(Around {
            before: "",
            after: "",
        }),
        chain: false,
        input: Shape::Text,
        records: TEXT_RECORDS,
    },
    Case {
        name: "file-kafka-json",
        title: "file → Kafka, JSON",
        converter: Converter::Json,
        direction: Direction::FileToKafka(Around {
            before: "\"",
            after: "\"",
        }),
        chain: false,
        input: Shape::Text,
        records: LINE_RECORDS,
    },
    Case {
        name: "file-kafka-json-schemas",
        title: "file → Kafka, JSON with schemas",
        converter: Converter::JsonWithSchemas,
        direction: Direction::FileToKafka(Around {
            before: r#"{"schema":{"type":"string","optional":false},"payload":""#,
            after: r#""}"#,
        }),
        chain: false,
        input: Shape::Text,
        records: LINE_RECORDS,
    },
];

/// Five transforms, as `bench/transform-cost` has them but for the topic and the time of a record: those
/// differ in each run, and the output is compared with lines that were made before. Both fields that make all lines
/// of one length together go.
const CHAIN: &str = "\
transforms=insert,replace,time,cast,key
transforms.insert.type=org.apache.kafka.connect.transforms.InsertField$Value
transforms.insert.partition.field=partition
transforms.insert.static.field=site
transforms.insert.static.value=ams
transforms.replace.type=org.apache.kafka.connect.transforms.ReplaceField$Value
transforms.replace.exclude=city,active
transforms.replace.renames=name:customer
transforms.time.type=org.apache.kafka.connect.transforms.TimestampConverter$Value
transforms.time.field=ts
transforms.time.target.type=string
transforms.time.format=yyyy-MM-dd'T'HH:mm:ss.SSS
transforms.cast.type=org.apache.kafka.connect.transforms.Cast$Value
transforms.cast.spec=id:string,amount:int64
transforms.key.type=org.apache.kafka.connect.transforms.ValueToKey
transforms.key.fields=id
";

/// Where the records of a run come from and go to.
pub struct Route<'a> {
    pub bootstrap: &'a str,
    /// Of the connector, and so of its consumer group; never used before.
    pub name: &'a str,
    pub file: &'a Path,
    pub topic: &'a str,
}

impl Case {
    /// Writes `worker.properties` and `connector.properties` into `dir`.
    pub fn write_config(&self, dir: &Path, route: &Route) -> Result<()> {
        let rest_port = free_port()?;
        fs::write(
            dir.join("worker.properties"),
            self.worker_properties(dir, route, rest_port),
        )?;
        fs::write(
            dir.join("connector.properties"),
            self.connector_properties(route),
        )?;
        Ok(())
    }

    fn worker_properties(&self, dir: &Path, route: &Route, rest_port: u16) -> String {
        let (class, schemas) = match self.converter {
            Converter::String => (STRING, None),
            Converter::Json => (JSON, Some(false)),
            Converter::JsonWithSchemas => (JSON, Some(true)),
        };
        let mut text = format!(
            "bootstrap.servers={}\nkey.converter={class}\nvalue.converter={class}\n",
            route.bootstrap
        );
        if let Some(schemas) = schemas {
            text += &format!(
                "key.converter.schemas.enable={schemas}\nvalue.converter.schemas.enable={schemas}\n"
            );
        }
        // As connect-standalone.properties of Apache Kafka has it.
        text += "offset.flush.interval.ms=10000\n";
        text += &format!(
            "offset.storage.file.filename={}\n",
            dir.join("offsets").display()
        );
        text += &format!("listeners=http://127.0.0.1:{rest_port}\n");
        text
    }

    fn connector_properties(&self, route: &Route) -> String {
        let (class, topic_key) = match self.direction {
            Direction::KafkaToFile(_) => ("FileStreamSink", "topics"),
            Direction::FileToKafka(_) => ("FileStreamSource", "topic"),
        };
        let chain = if self.chain { CHAIN } else { "" };
        format!(
            "name={}\nconnector.class={class}\ntasks.max=1\nfile={}\n{topic_key}={}\n{chain}",
            route.name,
            route.file.display(),
            route.topic
        )
    }
}

/// A port that nothing listens on at this moment, for a server that is started next.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_of_cases_differ() {
        let names: HashSet<&str> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
    }

    #[test]
    fn the_configuration_of_a_case() {
        let route = Route {
            bootstrap: "127.0.0.1:9092",
            name: "bench-1",
            file: Path::new("/d/out.txt"),
            topic: "in",
        };
        let case = CASES
            .iter()
            .find(|case| case.name == "kafka-file-json-schemas")
            .expect("it is in the table");
        assert_eq!(
            case.worker_properties(Path::new("/d"), &route, 8083),
            "\
bootstrap.servers=127.0.0.1:9092
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=true
value.converter.schemas.enable=true
offset.flush.interval.ms=10000
offset.storage.file.filename=/d/offsets
listeners=http://127.0.0.1:8083
"
        );
        assert_eq!(
            case.connector_properties(&route),
            "name=bench-1\nconnector.class=FileStreamSink\ntasks.max=1\nfile=/d/out.txt\ntopics=in\n"
        );
    }
}
