//! FileStream: lines of a file into a topic, records of topics into a file.
//!
//! Lives here: `FileStreamSourceConnector` and `FileStreamSinkConnector` under Kafka's class names.
//! Never here: Kafka, the worker; converters decide what a line becomes on the topic.
//! Source: `org.apache.kafka.connect.file` of Apache Kafka 4.3. Where we differ, `source` and `sink` say why.

mod lines;
mod sink;
mod source;

pub use sink::{FileStreamSinkConnector, FileStreamSinkTask};
pub use source::{FileStreamSourceConnector, FileStreamSourceTask};
