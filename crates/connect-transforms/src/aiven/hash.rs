//! Aiven's `Hash`: a text becomes the hexadecimal digits of its hash.
//!
//! A hash of something that can be guessed, such as a mail address, does not hide it.

use super::name_of;
use crate::operate::{Part, parse};
use crate::plan::SchemaPlans;
use crate::record_text::record_text;
use connect_api::data::{Schema, Type, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigEnum, Importance, Key, Properties};
use md5::Digest;

const FIELD: Key<Option<String>> = Key::new("field.name");
const SKIP: Key<bool> = Key::new("skip.missing.or.null");
const FUNCTION: Key<Function> = Key::new("function");

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Md5,
    Sha1,
    Sha256,
}

impl ConfigEnum for Function {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("md5", Self::Md5),
        ("sha1", Self::Sha1),
        ("sha256", Self::Sha256),
    ];
}

fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            FIELD
                .default_null()
                .importance(Importance::High)
                .doc("Field whose text is hashed. Without it the whole key or value is."),
        )
        .define(
            SKIP.default(false)
                .importance(Importance::Low)
                .doc("Whether a record whose text is null or missing passes; else it is an error."),
        )
        .define(
            FUNCTION
                .required()
                .importance(Importance::High)
                .doc("The hash function: md5, sha1, sha256."),
        )
}

pub(super) struct Hash {
    part: Part,
    field: Option<String>,
    skip: bool,
    function: Function,
    fields: SchemaPlans<Option<(usize, bool)>>,
}

impl Hash {
    pub(super) fn new(part: Part) -> Self {
        Self {
            part,
            field: None,
            skip: false,
            function: Function::Sha256,
            fields: SchemaPlans::default(),
        }
    }

    /// The hashed text in its place; the error is a sentence without the record. `Ok(Some)`: what is missing or null,
    /// which may be skipped.
    fn hash(&mut self, record: &mut ConnectRecord) -> Result<Option<String>, String> {
        let place = name_of(self.part);
        let (schema, value) = self.part.slot(record);
        let schema: &Schema = schema
            .as_ref()
            .ok_or_else(|| format!("{place} schema can't be null"))?;
        let Some(field) = &self.field else {
            if schema.schema_type() != Type::String {
                return Err(format!(
                    "{place} schema type must be STRING if field name is not specified"
                ));
            }
            return Ok(match value {
                Value::String(text) => {
                    *value = self.function.of(text);
                    None
                }
                _ => Some(format!("{place} can't be null")),
            });
        };
        if schema.schema_type() != Type::Struct {
            return Err(format!(
                "{place} schema type must be STRUCT if field name is specified"
            ));
        }
        let fields = match value {
            Value::Struct(fields) => fields,
            _ => return Err(format!("{place} can't be null if field name is specified")),
        };
        let found = self.fields.get(schema, |schema| {
            let found = schema.field(field);
            Ok(found.map(|field| (field.index, field.schema.schema_type() == Type::String)))
        });
        match found.map_err(|error| error.message().to_string())? {
            None => Ok(Some(format!("{field} in {place} schema can't be missing"))),
            Some((_, false)) => Err(format!("{field} schema type in {place} must be STRING")),
            Some((index, true)) => Ok(match &mut fields.values_mut()[*index] {
                value @ Value::String(_) => {
                    *value = self.function.of(value.as_str().unwrap_or_default());
                    None
                }
                _ => Some(format!("{field} in {place} can't be null")),
            }),
        }
    }
}

impl Function {
    fn of(self, text: &str) -> Value {
        match self {
            Function::Md5 => hex(&md5::Md5::digest(text)),
            Function::Sha1 => hex(&sha1::Sha1::digest(text)),
            Function::Sha256 => hex(&sha2::Sha256::digest(text)),
        }
    }
}

fn hex(digest: &[u8]) -> Value {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(digest.len() * 2);
    for byte in digest {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text.into()
}

impl Transformation for Hash {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        self.field = config.get(FIELD).filter(|field| !field.is_empty());
        self.skip = config.get(SKIP);
        self.function = config.get(FUNCTION);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, origin: Origin<'_>) -> Result<Outcome> {
        match self.hash(record) {
            Ok(None) => Ok(Outcome::Keep),
            Ok(Some(_)) if self.skip => Ok(Outcome::Keep),
            Ok(Some(what)) | Err(what) => {
                let record = record_text(record, origin);
                Err(ConnectError::data(format!("{what}: {record}")))
            }
        }
    }
}
