//! `DecodeLogicalDecodingMessageContent`: what `pg_logical_emit_message` was given as JSON, as an event of its own that
//! the outbox router understands.

use super::envelope::{
    AFTER, OPERATION, fill_defaults, index_of, null_in_required, require_struct,
};
use super::json_schema_data::{JsonSchemaData, parse};
use super::settings::{Setting, Settings, config_def};
use connect_api::data::{Schema, SchemaBuilder, Str, Struct, Type, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigType, Importance, Properties};

const SETTINGS: &[Setting] = &[Setting {
    name: "fields.null.include",
    config_type: ConfigType::Boolean,
    default: Some("false"),
    checks: &[],
    importance: Importance::Medium,
    doc: "Whether members that are null become fields, of type bytes; else they are left out.",
}];

const MESSAGE_VALUE: &str = "io.debezium.connector.postgresql.MessageValue";
const MESSAGE: &str = "message";
const CONTENT: &str = "content";

#[derive(Default)]
pub(super) struct DecodeLogicalDecodingMessageContent {
    json: JsonSchemaData,
    /// The last schema of a message, that of its content, and what was made of both.
    last: Option<(Schema, Schema, Schema)>,
}

impl Transformation for DecodeLogicalDecodingMessageContent {
    fn config_def(&self) -> ConfigDef {
        config_def(SETTINGS)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let settings = Settings::new(SETTINGS, configs);
        self.json.nulls_are_bytes = settings.boolean(SETTINGS[0].name);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let Some(schema) = &record.value_schema else {
            return Err(ConnectError::data(
                "record has no value schema, and DecodeLogicalDecodingMessageContent tells messages by it",
            ));
        };
        if schema.name() != Some(MESSAGE_VALUE) {
            return Ok(Outcome::Keep);
        }
        let value = require_struct(&record.value, "Retrieve a record value")?;
        let content = self.content_of(value)?;
        let schema = self.schema_with(value.schema(), content.schema())?;
        let Value::Struct(value) = std::mem::take(&mut record.value) else {
            return Ok(Outcome::Keep);
        };
        record.value = Value::Struct(decoded(&schema, value, content)?);
        record.value_schema = Some(schema);
        record.key_schema = None;
        record.key = Value::Null;
        Ok(Outcome::Keep)
    }
}

impl DecodeLogicalDecodingMessageContent {
    fn content_of(&self, value: &Struct) -> Result<Struct> {
        let message = value.get(MESSAGE)?;
        let message = require_struct(message, "Retrieve content of a logical decoding message")?;
        let content = index_of(message.schema(), CONTENT)?;
        if message.schema().fields()[content].schema.schema_type() != Type::Bytes {
            return Err(ConnectError::data(
                "The content of a logical decoding message is non-binary",
            ));
        }
        let Value::Bytes(bytes) = &message.values()[content] else {
            return Err(ConnectError::data(
                "a logical decoding message has no content",
            ));
        };
        let text = Str::from_utf8_lossy(bytes.clone());
        if !text.starts_with(['{', '[']) {
            return Err(ConnectError::data(format!(
                "Unable to parse logical decoding message content JSON string '{text}'"
            )));
        }
        let node = parse(&text).map_err(|cause| ConnectError::data(cause.to_string()))?;
        match self.json.schema(None, &node)? {
            Some(schema) => self.json.data(&node, &schema),
            None => Err(ConnectError::data(
                "the content of a logical decoding message is an empty array, which has no schema",
            )),
        }
    }

    /// The message's schema with `after` in place of `message`.
    fn schema_with(&mut self, old: &Schema, content: &Schema) -> Result<Schema> {
        if let Some((last_old, last_content, made)) = &self.last
            && (last_old.ptr_eq(old) || last_old == old)
            && last_content == content
        {
            return Ok(made.clone());
        }
        let name = format!("{MESSAGE_VALUE}.Envelope");
        let kept = old.fields().iter().filter(|field| field.name != MESSAGE);
        let builder = kept.fold(SchemaBuilder::structure().name(name), |builder, field| {
            builder.field(field.name.clone(), field.schema.clone())
        });
        let made = builder.field(AFTER, content.clone()).build()?;
        self.last = Some((old.clone(), content.clone(), made.clone()));
        Ok(made)
    }
}

/// Java takes the message out first, and then reads the old value by the new schema's indexes, so a message that is
/// not the last field moves values into fields that are not theirs, which fails or not as the types go.
fn decoded(schema: &Schema, value: Struct, content: Struct) -> Result<Struct> {
    let old_schema = value.schema().clone();
    let message_is_last = old_schema.field_index(MESSAGE) == Some(old_schema.fields().len() - 1);
    let mut values = value.into_values();
    fill_defaults(&old_schema, &mut values);
    for (field, value) in old_schema.fields().iter().zip(&values) {
        match value {
            _ if field.name == MESSAGE => {}
            Value::Null if !field.schema.is_optional() => {
                return Err(null_in_required(&old_schema, field.index));
            }
            Value::Struct(inner) => inner.validate()?,
            _ => {}
        }
    }
    let mut new = if message_is_last {
        values.pop();
        values.push(Value::Null);
        Struct::of_values(schema.clone(), values)
    } else {
        let mut new = Struct::new(schema.clone())?;
        for (field, value) in schema.fields().iter().zip(values) {
            if field.name != AFTER && field.name != OPERATION {
                new.put(&field.name, value)?;
            }
        }
        new
    };
    if schema.field_index(OPERATION).is_some() {
        new.put(OPERATION, Value::text("c"))?;
    }
    new.put(AFTER, Value::Struct(content))?;
    Ok(new)
}
