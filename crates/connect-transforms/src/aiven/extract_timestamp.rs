//! Aiven's `ExtractTimestamp`: the record's timestamp from a field.

use super::name_of;
use crate::operate::{Part, parse};
use crate::plan::SchemaPlans;
use crate::record_text::record_text;
use connect_api::data::Value;
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{
    ConfigDef, ConfigException, ConfigValueData, Importance, Key, Properties, Validator,
};

const FIELD: Key<String> = Key::new("field.name");
const RESOLUTION: Key<String> = Key::new("timestamp.resolution");

const SECONDS: &str = "seconds";
const MILLISECONDS: &str = "milliseconds";

fn config_def() -> ConfigDef {
    let is_known = Validator::custom("milliseconds or seconds", |name, value| match value {
        ConfigValueData::String(text) if text != SECONDS && text != MILLISECONDS => {
            Err(ConfigException::invalid(
                name,
                text,
                format!(
                    "Unsupported resolution type '{text}'. Supported are: {MILLISECONDS}, {SECONDS}"
                ),
            ))
        }
        _ => Ok(()),
    });
    ConfigDef::new()
        .define(
            FIELD
                .required()
                .importance(Importance::High)
                .validator(Validator::non_empty())
                .doc("Field that becomes the timestamp: an INT64 or a Timestamp, not null."),
        )
        .define(
            RESOLUTION
                .default(MILLISECONDS)
                .importance(Importance::Low)
                .validator(is_known)
                .doc("What an INT64 counts since 1970: milliseconds or seconds."),
        )
}

pub(super) struct ExtractTimestamp {
    part: Part,
    field: String,
    in_seconds: bool,
    indexes: SchemaPlans<Option<usize>>,
}

impl ExtractTimestamp {
    pub(super) fn new(part: Part) -> Self {
        Self {
            part,
            field: String::new(),
            in_seconds: false,
            indexes: SchemaPlans::default(),
        }
    }
}

impl Transformation for ExtractTimestamp {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        self.field = config.get(FIELD);
        self.in_seconds = config.get(RESOLUTION) == SECONDS;
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, origin: Origin<'_>) -> Result<Outcome> {
        let (part, field) = (self.part, &self.field);
        let fail = |what: String| {
            let record = record_text(record, origin);
            ConnectError::data(format!("{what}: {record}"))
        };
        let value = match part.value(record) {
            Value::Null => return Err(fail(format!("{} can't be null", name_of(part)))),
            Value::Struct(fields) => self
                .indexes
                .get(fields.schema(), |schema| Ok(schema.field_index(field)))?
                .map(|index| fields.value_or_default(index)),
            Value::Map(map) => map.get_str(field),
            _ => {
                let what = format!("{} type must be STRUCT or MAP", name_of(part));
                return Err(fail(what));
            }
        };
        let timestamp = match value {
            Some(Value::Int64(seconds)) if self.in_seconds => seconds.saturating_mul(1000),
            Some(Value::Int64(ms) | Value::Timestamp(ms)) => *ms,
            None | Some(Value::Null) => {
                return Err(fail(format!(
                    "{field} field must be present and its value can't be null"
                )));
            }
            Some(_) => {
                return Err(fail(format!(
                    "{field} field must be INT64 or org.apache.kafka.connect.data.Timestamp"
                )));
            }
        };
        record.timestamp = Some(timestamp);
        Ok(Outcome::Keep)
    }
}
