//! `TimestampConverter`: times between texts, Unix numbers and Connect's Date, Time and Timestamp.
//!
//! Lives here: the settings, and which schema a converted field has.
//! Lives elsewhere: one time as another (`timestamp_converter/conversion.rs`), patterns
//! (`connect_api::data::java_date_format`).
//! Source: `org.apache.kafka.connect.transforms.TimestampConverter` of Apache Kafka 4.3.1.

mod conversion;

use crate::field_path::{FIELD_SYNTAX_VERSION, FieldPath, field_syntax_version};
use crate::operate::{
    Part, REPLACE_NULL_WITH_DEFAULT, no_fields, no_struct, now_ms, parse,
    replace_null_with_default, require_map,
};
use crate::plan::SchemaPlans;
use crate::update::{Around, Change, Updater};
use connect_api::data::java_date_format::JavaDateFormat;
use connect_api::data::{Schema, StrBuffer, Type, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties};
use conversion::{Conversion, Precision, Source, Target};
use std::sync::Arc;

const FIELD: Key<Option<String>> = Key::new("field");
const TARGET_TYPE: Key<Target> = Key::new("target.type");
const FORMAT: Key<Option<String>> = Key::new("format");
const UNIX_PRECISION: Key<Precision> = Key::new("unix.precision");
const PURPOSE: &str = "converting timestamp formats";

pub fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(FIELD.default("").importance(Importance::High).doc(
            "The field that holds the time; empty when the whole key or value is one.",
        ))
        .define(TARGET_TYPE.required().importance(Importance::High).doc(
            "What the time becomes: string, unix (a number, see unix.precision), Date, Time or Timestamp.",
        ))
        .define(FORMAT.default("").importance(Importance::Medium).doc(
            "Pattern of java.text.SimpleDateFormat by which texts are read and written. Needed when the time is or \
             becomes a text.",
        ))
        .define(
            UNIX_PRECISION
                .default(Precision::Milliseconds)
                .importance(Importance::Low)
                .doc("What a Unix number counts: seconds, milliseconds, microseconds or nanoseconds."),
        )
        .define(replace_null_with_default())
        .define(field_syntax_version())
}

pub struct TimestampConverter {
    part: Part,
    what: What,
}

enum What {
    Unset,
    /// Java takes it, and fails with a null pointer on records.
    FieldIsNull,
    Whole {
        conversion: Arc<Conversion>,
        schemas: SchemaPlans<(Schema, Result<Source, ConvertRefused>)>,
        texts: StrBuffer,
    },
    Field(Updater<Converted>),
}

/// The message of a schema that is no time; it is said for each record.
type ConvertRefused = Arc<str>;

impl TimestampConverter {
    pub fn new(part: Part) -> Self {
        Self {
            part,
            what: What::Unset,
        }
    }
}

impl Transformation for TimestampConverter {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        let target = config.get(TARGET_TYPE);
        let format = config.get(FORMAT).unwrap_or_default();
        let is_blank = format.chars().all(char::is_whitespace);
        if target == Target::String && is_blank {
            return Err(ConnectError::config(
                "TimestampConverter requires format option to be specified when using string timestamps",
            ));
        }
        let format = if is_blank {
            None
        } else {
            let compiled = JavaDateFormat::new(&format, now_ms()).map_err(|cause| {
                ConnectError::config(format!(
                    "Invalid value java.lang.IllegalArgumentException: {cause} for configuration TimestampConverter \
                     requires a SimpleDateFormat-compatible pattern for string timestamps: {format}"
                ))
            })?;
            Some(compiled)
        };
        let conversion = Arc::new(Conversion {
            target,
            format,
            precision: config.get(UNIX_PRECISION),
        });
        let Some(field) = config.get(FIELD) else {
            self.what = What::FieldIsNull;
            return Ok(());
        };
        self.what = if field.is_empty() {
            What::Whole {
                conversion,
                schemas: SchemaPlans::default(),
                texts: StrBuffer::new(),
            }
        } else {
            let path = FieldPath::parse(&field, config.get(FIELD_SYNTAX_VERSION))?;
            let replace_null = config.get(REPLACE_NULL_WITH_DEFAULT);
            What::Field(Updater::new([(path, Converted(conversion))], replace_null))
        };
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let (schema, value) = self.part.slot(record);
        match (&mut self.what, schema) {
            (What::Unset, _) => {}
            (What::FieldIsNull, None) if value.is_null() => {}
            (What::FieldIsNull, _) => return Err(field_is_null()),
            (
                What::Whole {
                    conversion, texts, ..
                },
                None,
            ) => convert_schemaless(conversion, value, texts)?,
            (
                What::Whole {
                    conversion,
                    schemas,
                    texts,
                },
                Some(schema),
            ) => {
                let (updated, source) = schemas.get(schema, |schema| {
                    let updated = conversion.target.schema(schema.is_optional())?;
                    Ok((updated.interned(), source_of(schema)))
                })?;
                convert(conversion, source, value, texts)?;
                *schema = updated.clone();
            }
            (What::Field(field), None) => {
                if !value.is_null() {
                    field.apply_schemaless(require_map(value, PURPOSE)?)?;
                }
            }
            (What::Field(field), Some(schema)) => match value {
                Value::Struct(fields) => {
                    field.apply(fields)?;
                    *schema = fields.schema().clone();
                }
                Value::Null if schema.schema_type() != Type::Struct => return Err(no_fields()),
                Value::Null => {
                    let updated = field.schema(schema)?.clone();
                    *schema = updated;
                }
                other => return Err(no_struct(other, PURPOSE)),
            },
        }
        Ok(Outcome::Keep)
    }
}

fn source_of(schema: &Schema) -> Result<Source, ConvertRefused> {
    Source::of_schema(schema).ok_or_else(|| {
        format!("Schema {schema} does not correspond to a known timestamp type format").into()
    })
}

fn convert(
    conversion: &Conversion,
    source: &Result<Source, ConvertRefused>,
    value: &mut Value,
    texts: &mut StrBuffer,
) -> Result<()> {
    match source {
        Ok(_) if value.is_null() => Ok(()),
        Ok(source) => conversion.convert(*source, value, texts),
        Err(message) => Err(ConnectError::data(&**message)),
    }
}

fn convert_schemaless(
    conversion: &Conversion,
    value: &mut Value,
    texts: &mut StrBuffer,
) -> Result<()> {
    if value.is_null() {
        return Ok(());
    }
    let source = Source::of_value(value)?;
    conversion.convert(source, value, texts)
}

/// A field that is converted.
#[derive(Clone)]
struct Converted(Arc<Conversion>);

impl Change for Converted {
    type Step = Result<Source, ConvertRefused>;

    fn plan(&self, schema: &Schema) -> Result<(Schema, Self::Step)> {
        let updated = self.0.target.schema(schema.is_optional())?;
        Ok((updated, source_of(schema)))
    }

    fn apply(&self, step: &Self::Step, value: &mut Value, texts: &mut StrBuffer) -> Result<()> {
        convert(&self.0, step, value, texts)
    }

    fn apply_schemaless(&self, value: &mut Value, texts: &mut StrBuffer) -> Result<()> {
        convert_schemaless(&self.0, value, texts)
    }

    const AROUND: Around = Around::Rebuilt;
}

#[cold]
fn field_is_null() -> ConnectError {
    ConnectError::data("\"field\" is null; name a field, or leave it out to convert the whole")
}
