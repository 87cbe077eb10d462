//! `MaskField`: puts zero, nothing or a replacement in place of the values of fields.
//!
//! Source: `org.apache.kafka.connect.transforms.MaskField` of Apache Kafka 4.3.1.

use crate::field_path::{FIELD_SYNTAX_VERSION, FieldPath, field_syntax_version};
use crate::operate::{
    Part, REPLACE_NULL_WITH_DEFAULT, class_of, parse, replace_null_with_default, require_map,
    require_struct,
};
use crate::update::{Around, Change, Updater};
use connect_api::data::{Decimal, Map, Schema, Str, StrBuffer, Value, values};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties, Validator};
use std::sync::Arc;

const FIELDS: Key<Vec<String>> = Key::new("fields");
const REPLACEMENT: Key<Option<String>> = Key::new("replacement");
const PURPOSE: &str = "mask fields";

pub fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            FIELDS
                .required()
                .validator(Validator::any_non_duplicate_values(false, false))
                .importance(Importance::High)
                .doc("Names of the fields to mask."),
        )
        .define(
            REPLACEMENT
                .default_null()
                .validator(Validator::non_empty())
                .importance(Importance::Low)
                .doc(
                    "What stands in place of the values; only for fields that are numbers or texts. Without it, \
                     numbers become 0, texts and collections empty, and booleans false.",
                ),
        )
        .define(replace_null_with_default())
        .define(field_syntax_version())
}

pub struct MaskField {
    part: Part,
    fields: Updater<Mask>,
}

impl MaskField {
    pub fn new(part: Part) -> Self {
        Self {
            part,
            fields: Updater::new([], true),
        }
    }
}

impl Transformation for MaskField {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        let mask = match config.get(REPLACEMENT) {
            None => Mask::Nothing,
            Some(replacement) => Mask::Replacement(Arc::new(Replacement::new(&replacement))),
        };
        let syntax = config.get(FIELD_SYNTAX_VERSION);
        let fields = config.get(FIELDS);
        let changes: Result<Vec<_>> = fields
            .iter()
            .map(|field| Ok((FieldPath::parse(field, syntax)?, mask.clone())))
            .collect();
        self.fields = Updater::new(changes?, config.get(REPLACE_NULL_WITH_DEFAULT));
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let (schema, value) = self.part.slot(record);
        match schema {
            None => self.fields.apply_schemaless(require_map(value, PURPOSE)?)?,
            Some(_) => self.fields.apply(require_struct(value, PURPOSE)?)?,
        }
        Ok(Outcome::Keep)
    }
}

#[derive(Clone)]
enum Mask {
    /// Zero, empty, false.
    Nothing,
    Replacement(Arc<Replacement>),
}

/// The replacement as each type that can be replaced. Where the text is no number, that is found out when there is
/// a number to replace.
struct Replacement {
    int8: Result<Value, String>,
    int16: Result<Value, String>,
    int32: Result<Value, String>,
    int64: Result<Value, String>,
    float32: Result<Value, String>,
    float64: Result<Value, String>,
    decimal: Result<Value, String>,
    text: Value,
}

impl Replacement {
    fn new(replacement: &str) -> Self {
        let text = Value::String(Str::interned(replacement));
        fn number<T>(
            converted: Result<Option<T>>,
            variant: impl FnOnce(T) -> Value,
        ) -> Result<Value, String> {
            match converted {
                Ok(number) => Ok(number.map_or(Value::Null, variant)),
                Err(error) => Err(error.message().to_owned()),
            }
        }
        let decimal = replacement.parse::<Decimal>();
        Self {
            int8: number(values::convert_to_byte(None, &text), Value::Int8),
            int16: number(values::convert_to_short(None, &text), Value::Int16),
            int32: number(values::convert_to_integer(None, &text), Value::Int32),
            int64: number(values::convert_to_long(None, &text), Value::Int64),
            float32: number(values::convert_to_float(None, &text), Value::Float32),
            float64: number(values::convert_to_double(None, &text), Value::Float64),
            decimal: decimal
                .map(|decimal| Value::Decimal(Arc::new(decimal)))
                .map_err(|_| {
                    format!("Unable to convert {replacement} (class java.lang.String) to number")
                }),
            text,
        }
    }

    fn of(&self, value: &Value) -> Result<Value> {
        let replacement = match value {
            Value::Int8(_) => &self.int8,
            Value::Int16(_) => &self.int16,
            Value::Int32(_) => &self.int32,
            Value::Int64(_) => &self.int64,
            Value::Float32(_) => &self.float32,
            Value::Float64(_) => &self.float64,
            Value::Decimal(_) => &self.decimal,
            Value::String(_) => return Ok(self.text.clone()),
            other => {
                return Err(ConnectError::data(format!(
                    "Cannot mask value of type {} with custom replacement.",
                    class_of(other)
                )));
            }
        };
        replacement.clone().map_err(ConnectError::data)
    }
}

impl Mask {
    fn mask(&self, value: &mut Value) -> Result<()> {
        *value = match (self, &*value) {
            (_, Value::Null) => return Ok(()),
            (Mask::Replacement(replacement), value) => replacement.of(value)?,
            (Mask::Nothing, Value::Boolean(_)) => Value::Boolean(false),
            (Mask::Nothing, Value::Int8(_)) => Value::Int8(0),
            (Mask::Nothing, Value::Int16(_)) => Value::Int16(0),
            (Mask::Nothing, Value::Int32(_)) => Value::Int32(0),
            (Mask::Nothing, Value::Int64(_)) => Value::Int64(0),
            (Mask::Nothing, Value::Float32(_)) => Value::Float32(0.0),
            (Mask::Nothing, Value::Float64(_)) => Value::Float64(0.0),
            (Mask::Nothing, Value::Decimal(_)) => Value::Decimal(Arc::new(Decimal::new(0, 0))),
            (Mask::Nothing, Value::Timestamp(_)) => Value::Timestamp(0),
            (Mask::Nothing, Value::String(_)) => Value::String(Str::new()),
            (Mask::Nothing, Value::Array(_)) => Value::Array(Vec::new()),
            (Mask::Nothing, Value::Map(_)) => Value::Map(Map::new()),
            (Mask::Nothing, other @ (Value::Bytes(_) | Value::Struct(_))) => {
                return Err(ConnectError::data(format!(
                    "Cannot mask value of type: {}",
                    class_of(other)
                )));
            }
        };
        Ok(())
    }
}

impl Change for Mask {
    type Step = ();

    fn plan(&self, schema: &Schema) -> Result<(Schema, ())> {
        Ok((schema.clone(), ()))
    }

    fn apply(&self, (): &(), value: &mut Value, _: &mut StrBuffer) -> Result<()> {
        self.mask(value)
    }

    fn apply_schemaless(&self, value: &mut Value, _: &mut StrBuffer) -> Result<()> {
        self.mask(value)
    }

    const AROUND: Around = Around::Same;
}
