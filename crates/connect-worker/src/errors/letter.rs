//! A record for the dead letter queue: the bytes as consumed, and headers that say what failed.
//!
//! Lives here: what a letter holds and its headers, as data.
//! Lives elsewhere: sending it (`dead_letter_queue`), deciding that it is one (`tolerance`).
//! Source: `DeadLetterQueueReporter` of Apache Kafka 4.3.

use super::trace::{exception_class, trace_of};
use super::{Failure, Raw};
use crate::status::ConnectorTaskId;
use bytes::Bytes;

const PREFIX: &str = "__connect.errors.";
/// Millstream's own: the size in bytes of a value that was too large for the dead letter queue too.
const VALUE_LEFT_OUT: &str = "__millstream.errors.value.left.out.bytes";

/// What becomes a record of the dead letter topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// Milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// Those of the record, then those that say what failed.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// Where the record of a letter is from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub topic: &'a str,
    /// `None` where the producer would have chosen.
    pub partition: Option<i32>,
    /// `None` for a record that never was on a topic.
    pub offset: Option<i64>,
}

impl Letter {
    /// The bytes of a record, sharing their buffer.
    ///
    /// Headers that cannot be read are left out: the rest is worth keeping.
    pub fn of(raw: Raw<'_>) -> Self {
        let Raw { payload, view } = raw;
        let share = |part: &[u8]| payload.slice_ref(part);
        let headers = view.headers().filter_map(|header| header.ok());
        Self {
            key: view.key.map(share),
            value: view.value.map(share),
            timestamp_ms: Some(view.timestamp_ms).filter(|timestamp| *timestamp != -1),
            headers: headers
                .map(|header| (share(header.key), header.value.map(share)))
                .collect(),
        }
    }

    /// Adds Java's headers of what failed, behind those of the record.
    pub fn add_context(&mut self, id: &ConnectorTaskId, from: Origin<'_>, failed: &Failure) {
        let mut add = |name: &str, value: Option<String>| {
            let key = Bytes::from(format!("{PREFIX}{name}"));
            self.headers.push((key, value.map(Bytes::from)));
        };
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        add("topic", Some(from.topic.to_string()));
        add("partition", number(from.partition.map(i64::from)));
        add("offset", number(from.offset));
        add("connector.name", Some(id.connector.to_string()));
        add("task.id", Some(id.task.to_string()));
        add("stage", Some(failed.stage.name().to_string()));
        add("class.name", Some(failed.class.to_string()));
        let class = exception_class(&failed.error);
        add("exception.class.name", Some(class.to_string()));
        add(
            "exception.message",
            Some(failed.error.message().to_string()),
        );
        add("exception.stacktrace", Some(trace_of(&failed.error)));
    }

    /// Keeps the rest of a letter that is too large for its topic, and says how large the value was.
    pub fn leave_value_out(&mut self) {
        if let Some(value) = self.value.take() {
            self.add_header(VALUE_LEFT_OUT, value.len().to_string());
        }
    }

    /// Adds a header of Millstream's own.
    pub fn add_header(&mut self, name: &'static str, value: String) {
        self.headers
            .push((Bytes::from_static(name.as_bytes()), Some(value.into())));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Stage;
    use super::*;
    use connect_api::ConnectError;

    #[test]
    fn headers_are_javas_in_javas_order() {
        let mut letter = Letter {
            key: None,
            value: None,
            timestamp_ms: None,
            headers: vec![(Bytes::from_static(b"own"), None)],
        };
        let id = ConnectorTaskId {
            connector: "c".into(),
            task: 3,
        };
        let cause = std::io::Error::other("disk");
        let error = ConnectError::data("bad")
            .with("field", "f")
            .caused_by(cause);
        let failed = Failure {
            stage: Stage::ValueConverter,
            class: "com.example.C",
            error,
        };
        let from = Origin {
            topic: "t",
            partition: Some(2),
            offset: Some(7),
        };
        letter.add_context(&id, from, &failed);
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let shown: Vec<String> = letter
            .headers
            .iter()
            .map(|(key, value)| match value {
                Some(value) => format!("{}={}", text(key), text(value)),
                None => text(key),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "own",
                "__connect.errors.topic=t",
                "__connect.errors.partition=2",
                "__connect.errors.offset=7",
                "__connect.errors.connector.name=c",
                "__connect.errors.task.id=3",
                "__connect.errors.stage=VALUE_CONVERTER",
                "__connect.errors.class.name=com.example.C",
                "__connect.errors.exception.class.name=org.apache.kafka.connect.errors.DataException",
                "__connect.errors.exception.message=bad",
                "__connect.errors.exception.stacktrace=org.apache.kafka.connect.errors.DataException: bad (field=f)\n\
                 Caused by: disk",
            ]
        );
    }
}
