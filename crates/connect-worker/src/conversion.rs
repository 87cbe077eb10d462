//! Between records and the bytes of a topic, with the converters of a connector.
//!
//! Lives here: choosing the converters, and running them over one record of either direction.
//! Lives elsewhere: the converters (`connect_converters`), what becomes of a failed record (`errors`).

use crate::errors::{Failure, Stage};
use crate::plugins::Plugins;
use crate::worker_config::WorkerConfig;
use bytes::Bytes;
use connect_api::data::{Headers, SharedSlice, Str, Value};
use connect_api::{
    ConnectError, ConnectRecord, Converter, ConverterType, HeaderConverter, KafkaHeader, Result,
    SinkRecord, TimestampType, TopicName,
};
use connect_config::{ConfigErrors, Properties};
use kafka_client::consumer::RecordView;

/// The converters of one task.
pub struct Converters {
    key: Named<dyn Converter>,
    value: Named<dyn Converter>,
    header: Named<dyn HeaderConverter>,
}

struct Named<C: ?Sized> {
    /// The full Java name, by whatever name the configuration found it.
    class: &'static str,
    converter: Box<C>,
}

impl Converters {
    /// The connector's own converters where it names one, else the worker's. Settings go with the class:
    /// those of the worker do not reach a converter that the connector names.
    pub fn new(
        plugins: &Plugins,
        worker: &WorkerConfig,
        connector: &Properties,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let choose = |key: &str, worker_class: &str| match connector.get(key) {
            Some(class) => (
                class.trim().to_string(),
                connector.originals_with_prefix(&format!("{key}.")),
            ),
            None => (
                worker_class.to_string(),
                worker.originals.originals_with_prefix(&format!("{key}.")),
            ),
        };
        let data =
            |key: &'static str, worker_class: &str, converter_type, errors: &mut ConfigErrors| {
                let (class, settings) = choose(key, worker_class);
                let made = plugins.new_converter(&class);
                let (class, mut converter) =
                    made.map_err(|message| errors.add(key, message)).ok()?;
                match converter.configure(&settings, converter_type) {
                    Ok(()) => Some(Named { class, converter }),
                    Err(error) => {
                        errors.add(key, error.to_string());
                        None
                    }
                }
            };
        let key = data(
            "key.converter",
            &worker.key_converter,
            ConverterType::Key,
            &mut errors,
        );
        let value = data(
            "value.converter",
            &worker.value_converter,
            ConverterType::Value,
            &mut errors,
        );
        let (class, settings) = choose("header.converter", &worker.header_converter);
        let header = match plugins.new_header_converter(&class) {
            Ok((class, mut converter)) => match converter.configure(&settings) {
                Ok(()) => Some(Named { class, converter }),
                Err(error) => {
                    errors.add("header.converter", error.to_string());
                    None
                }
            },
            Err(message) => {
                errors.add("header.converter", message);
                None
            }
        };
        match (key, value, header) {
            (Some(key), Some(value), Some(header)) => Ok(Self { key, value, header }),
            _ => Err(errors),
        }
    }
}

/// Turns consumed records into sink records.
pub struct SinkConversion {
    converters: Converters,
    /// Reused by records that have headers.
    headers: Vec<KafkaHeader>,
}

impl SinkConversion {
    pub fn new(converters: Converters) -> Self {
        Self {
            converters,
            headers: Vec::new(),
        }
    }

    /// Adds the record for the task to `into`.
    ///
    /// Fails: with the converter that did; nothing is added then.
    ///
    /// `payload`: the buffer that `view` lies in. Long texts and bytes of the record share it.
    pub fn convert(
        &mut self,
        topic: &TopicName,
        partition: i32,
        payload: &Bytes,
        view: &RecordView<'_>,
        timestamp_type: TimestampType,
        into: &mut Vec<SinkRecord>,
    ) -> Result<(), Failure> {
        self.headers.clear();
        for header in view.headers() {
            let header = header.map_err(|cause| {
                let error = corrupt(topic, partition, view, cause);
                self.failure(Stage::HeaderConverter, error)
            })?;
            self.headers.push(KafkaHeader {
                key: Str::from_utf8_lossy(payload.slice_ref(header.key)),
                value: header.value.map(|value| payload.slice_ref(value)),
            });
        }
        let has_time = view.timestamp_ms != -1;
        // Made where it stays, and so are its key and value: moving them costs more than making them.
        into.push(SinkRecord {
            record: ConnectRecord {
                topic: topic.clone(),
                kafka_partition: Some(partition),
                key_schema: None,
                key: Value::Null,
                value_schema: None,
                value: Value::Null,
                timestamp: has_time.then_some(view.timestamp_ms),
                headers: Headers::new(),
            },
            kafka_offset: view.offset,
            timestamp_type: match has_time {
                true => timestamp_type,
                false => TimestampType::NoTimestampType,
            },
            original: None,
        });
        let record = into.last_mut().expect("just pushed");
        let filled = self.fill(topic, payload, view, record);
        if filled.is_err() {
            into.pop();
        }
        filled
    }

    #[inline]
    fn fill(
        &mut self,
        topic: &str,
        payload: &Bytes,
        view: &RecordView<'_>,
        record: &mut ConnectRecord,
    ) -> Result<(), Failure> {
        let key = view.key.map(|bytes| SharedSlice::part(payload, bytes));
        let converter = &mut self.converters.key.converter;
        converter
            .to_connect_data_with_headers(
                topic,
                &self.headers,
                key,
                &mut record.key_schema,
                &mut record.key,
            )
            .map_err(|error| self.failure(Stage::KeyConverter, error))?;
        let value = view.value.map(|bytes| SharedSlice::part(payload, bytes));
        let converter = &mut self.converters.value.converter;
        converter
            .to_connect_data_with_headers(
                topic,
                &self.headers,
                value,
                &mut record.value_schema,
                &mut record.value,
            )
            .map_err(|error| self.failure(Stage::ValueConverter, error))?;
        if !self.headers.is_empty() {
            record.headers = self
                .convert_headers(topic)
                .map_err(|error| self.failure(Stage::HeaderConverter, error))?;
        }
        Ok(())
    }

    fn convert_headers(&mut self, topic: &str) -> Result<Headers> {
        let mut headers = Headers::new();
        for header in &self.headers {
            let bytes = header.value.as_ref().map(SharedSlice::whole);
            let data =
                self.converters
                    .header
                    .converter
                    .to_connect_header(topic, &header.key, bytes)?;
            headers.add(header.key.clone(), data);
        }
        Ok(headers)
    }

    #[cold]
    fn failure(&self, stage: Stage, error: ConnectError) -> Failure {
        let class = match stage {
            Stage::KeyConverter => self.converters.key.class,
            Stage::HeaderConverter => self.converters.header.class,
            _ => self.converters.value.class,
        };
        Failure {
            stage,
            class,
            error,
        }
    }
}

fn corrupt(
    topic: &str,
    partition: i32,
    view: &RecordView<'_>,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> ConnectError {
    ConnectError::data("a record's headers are damaged")
        .with("topic", topic)
        .with("partition", partition)
        .with("offset", view.offset)
        .caused_by(cause)
}

/// Turns source records into the bytes of a topic.
pub struct SourceConversion {
    converters: Converters,
    key: Vec<u8>,
    value: Vec<u8>,
    headers: Vec<KafkaHeader>,
}

/// A record as it goes to the topic. Borrows the converters' buffers and the record itself.
pub struct Encoded<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [KafkaHeader],
}

impl SourceConversion {
    pub fn new(converters: Converters) -> Self {
        Self {
            converters,
            key: Vec::new(),
            value: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The bytes of a record.
    ///
    /// Fails: with the converter that did.
    pub fn convert<'a>(&'a mut self, record: &'a ConnectRecord) -> Result<Encoded<'a>, Failure> {
        let Self {
            converters,
            key: key_buffer,
            value: value_buffer,
            headers,
        } = self;
        let topic = &*record.topic;
        let failed = |stage, class, error| {
            Err(Failure {
                stage,
                class,
                error,
            })
        };
        headers.clear();
        for header in &record.headers {
            let converted = converters.header.converter.from_connect_header(
                topic,
                &header.key,
                header.schema.as_ref(),
                &header.value,
            );
            match converted {
                Ok(value) => headers.push(KafkaHeader {
                    key: header.key.clone(),
                    value,
                }),
                Err(error) => {
                    return failed(Stage::HeaderConverter, converters.header.class, error);
                }
            }
        }
        let key = converters.key.converter.from_connect_data_with_headers(
            topic,
            headers,
            record.key_schema.as_ref(),
            &record.key,
            key_buffer,
        );
        let key = match key {
            Ok(key) => key,
            Err(error) => return failed(Stage::KeyConverter, converters.key.class, error),
        };
        let value = converters.value.converter.from_connect_data_with_headers(
            topic,
            headers,
            record.value_schema.as_ref(),
            &record.value,
            value_buffer,
        );
        let value = match value {
            Ok(value) => value,
            Err(error) => return failed(Stage::ValueConverter, converters.value.class, error),
        };
        Ok(Encoded {
            key,
            value,
            headers,
        })
    }
}
