//! Aiven's `FilterByFieldValue`: keeps records by the value of a field.

use super::{name_of, schema_of};
use crate::operate::{Part, parse};
use crate::plan::SchemaPlans;
use connect_api::data::values::{convert_to_string, parse_string};
use connect_api::data::{Str, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, JavaRegex, Key, Properties};

const FIELD: Key<Option<String>> = Key::new("field.name");
const VALUE: Key<Option<String>> = Key::new("field.value");
const PATTERN: Key<Option<String>> = Key::new("field.value.pattern");
const MATCHES: Key<bool> = Key::new("field.value.matches");

fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(FIELD.default_null().importance(Importance::High).doc(
            "Field to look at. Without it, and without schemas, the whole key or value.",
        ))
        .define(VALUE.default_null().importance(Importance::High).doc(
            "Value that the field must have, read as Connect reads texts: 5 is a number of eight bits. Either this or \
             field.value.pattern.",
        ))
        .define(PATTERN.default_null().importance(Importance::High).doc(
            "Regular expression that a part of the field's text must match.",
        ))
        .define(MATCHES.default(true).importance(Importance::Medium).doc(
            "true keeps the records that match, false keeps the others.",
        ))
}

pub(super) struct FilterByFieldValue {
    part: Part,
    field: Option<String>,
    matcher: Option<Matcher>,
    keeps_matches: bool,
    indexes: SchemaPlans<Option<usize>>,
}

enum Matcher {
    Value(Value),
    Pattern(JavaRegex),
}

impl FilterByFieldValue {
    pub(super) fn new(part: Part) -> Self {
        Self {
            part,
            field: None,
            matcher: None,
            keeps_matches: true,
            indexes: SchemaPlans::default(),
        }
    }
}

impl Matcher {
    fn matches(&self, value: &Value) -> Result<bool> {
        match (self, value) {
            (Matcher::Value(_), Value::Null) => Err(ConnectError::data(
                "the field to filter by is null or missing, and field.value cannot be compared with it; \
                 field.value.pattern can",
            )),
            (Matcher::Value(expected), value) => Ok(expected == value),
            (Matcher::Pattern(_), Value::Null) => Ok(false),
            (Matcher::Pattern(regex), value) => {
                let text = convert_to_string(value).unwrap_or_default();
                regex
                    .find(&text)
                    .map_err(|cause| ConnectError::data(cause.message()))
            }
        }
    }
}

impl Transformation for FilterByFieldValue {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        let pattern = config.get(PATTERN).filter(|pattern| !pattern.is_empty());
        self.matcher = Some(match (config.get(VALUE), pattern) {
            (Some(value), None) => Matcher::Value(parse_string(&Str::from(value)).value),
            (None, Some(pattern)) => {
                let regex = JavaRegex::new(&pattern);
                Matcher::Pattern(regex.map_err(|cause| ConnectError::config(cause.message()))?)
            }
            _ => {
                return Err(ConnectError::config(
                    "Either field.value or field.value.pattern have to be set to apply filter transform",
                ));
            }
        });
        self.field = config.get(FIELD);
        self.keeps_matches = config.get(MATCHES);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let matcher = self
            .matcher
            .as_ref()
            .expect("configured before the first record");
        let value = self.part.value(record);
        let field = self.field.as_deref().unwrap_or_default();
        let found = match (value, schema_of(self.part, record)) {
            (Value::Null, _) => return Ok(Outcome::Keep),
            (Value::Struct(fields), Some(_)) => {
                let index = self
                    .indexes
                    .get(fields.schema(), |schema| Ok(schema.field_index(field)))?;
                let index = index.ok_or_else(|| {
                    ConnectError::data(format!(
                        "the {} has no field \"{field}\"",
                        name_of(self.part)
                    ))
                })?;
                fields.value_or_default(index)
            }
            (value, None) if field.is_empty() => value,
            (Value::Map(map), None) => map.get_str(field).unwrap_or(&Value::Null),
            (other, _) => {
                return Err(ConnectError::data(format!(
                    "the {} has no fields: it is {}",
                    name_of(self.part),
                    other.java_class()
                )));
            }
        };
        Ok(match matcher.matches(found)? == self.keeps_matches {
            true => Outcome::Keep,
            false => Outcome::Drop,
        })
    }
}
