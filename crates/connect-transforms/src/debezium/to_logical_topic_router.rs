//! `ToLogicalTopicRouter`, and `ByLogicalTableRouter` as it was called before: many tables into one topic.
//!
//! Lives here: the new topic, the key that says which table a row is from, the renamed schemas.
//! Source: Debezium 3.7.0.Final. Its cache of schemas forgets the topic: two topics with one schema that go to
//! different targets share the names of the first. Ours are by topic and schema, so each has its own.

use super::envelope::{
    AFTER, BEFORE, check_put, check_put_of, copy_basics_except_name, fill_defaults, is_envelope,
    no_struct, put_checks, require_struct, with_fields_of,
};
use super::name_adjuster::{MODES, NameAdjuster};
use super::plans::{Planned, Plans, planned};
use super::settings::{Check, Setting, Settings, config_def, java_trim};
use connect_api::data::{Schema, SchemaBuilder, Str, Struct, Type, Value};
use connect_api::{
    ConnectError, ConnectRecord, Origin, Outcome, Result, TopicName, Transformation,
};
use connect_config::{ConfigDef, ConfigType, Importance, JavaRegex, Properties};
use std::collections::HashMap;

macro_rules! settings {
    ($name:ident, $key_field:literal, [$($more:expr),*]) => {
        const $name: &[Setting] = &[
            Setting {
                name: "topic.regex",
                config_type: ConfigType::String,
                default: None,
                checks: &[Check::Required, Check::Regex],
                importance: Importance::High,
                doc: "Regular expression that a whole topic must match for its records to be routed.",
            },
            Setting {
                name: "topic.replacement",
                config_type: ConfigType::String,
                default: None,
                checks: &[Check::Required],
                importance: Importance::High,
                doc: "The new topic; $1 and ${name} stand for groups of topic.regex.",
            },
            Setting {
                name: "key.enforce.uniqueness",
                config_type: ConfigType::Boolean,
                default: Some("true"),
                checks: &[Check::Boolean],
                importance: Importance::Low,
                doc: "Whether a field is added to keys that says which topic a record was for, so that equal keys \
                      of different tables stay different.",
            },
            Setting {
                name: "key.field.name",
                config_type: ConfigType::String,
                default: Some($key_field),
                checks: &[],
                importance: Importance::Low,
                doc: "Name of that field.",
            },
            Setting {
                name: "key.field.regex",
                config_type: ConfigType::String,
                default: None,
                checks: &[Check::Regex],
                importance: Importance::Low,
                doc: "Regular expression that a whole topic must match for key.field.replacement to make the \
                      field's text; otherwise it is the topic.",
            },
            Setting {
                name: "key.field.replacement",
                config_type: ConfigType::String,
                default: None,
                checks: &[Check::Custom(replacement_is_missing)],
                importance: Importance::Low,
                doc: "The field's text; $1 and ${name} stand for groups of key.field.regex.",
            },
            Setting {
                name: "schema.name.adjustment.mode",
                config_type: ConfigType::String,
                default: Some("none"),
                checks: &[Check::Enum(MODES)],
                importance: Importance::Low,
                doc: "How names of schemas are made fit: none, avro (_ for what Avro does not allow), avro_unicode \
                      (_uXXXX for it).",
            },
            Setting {
                name: "logical.destination.cache.size",
                config_type: ConfigType::Int,
                default: Some("16"),
                checks: &[Check::Int],
                importance: Importance::Low,
                doc: "Read and checked for compatibility; how much is remembered does not depend on it.",
            },
            $($more),*
        ];
    };
}

settings!(TO_LOGICAL_TOPIC, "__dbz__sourceIdentifier", []);
settings!(
    BY_LOGICAL_TABLE,
    "__dbz__physicalTableIdentifier",
    [Setting {
        name: "logical.table.cache.size",
        config_type: ConfigType::Int,
        default: None,
        checks: &[Check::Custom(old_cache_size_is_bad)],
        importance: Importance::Low,
        doc: "Old name of logical.destination.cache.size.",
    }]
);

fn replacement_is_missing(settings: &Settings<'_>) -> Option<String> {
    let blank = |name: &str| {
        settings
            .text(name)
            .is_none_or(|text| java_trim(text).is_empty())
    };
    (!blank("key.field.regex") && blank("key.field.replacement"))
        .then(|| "key.field.replacement must be non-empty if key.field.regex is set.".to_string())
}

/// The old name counts where the new one is not given.
fn old_cache_size_is_bad(settings: &Settings<'_>) -> Option<String> {
    let bad = !settings.has("logical.destination.cache.size")
        && settings.has("logical.table.cache.size")
        && settings.int("logical.table.cache.size").is_none();
    bad.then(|| "An integer is expected".to_string())
}

/// Topics that are remembered with where they go; when there are more, all are forgotten.
const TOPICS_MAX: usize = 4096;

pub(super) struct ToLogicalTopicRouter {
    table: &'static [Setting],
    config: Option<Config>,
    topics: Topics,
    /// The topic of the last record, and its place among the routes.
    last: Option<(TopicName, usize)>,
}

/// Routes by topic; `None` for a topic that stays.
#[derive(Default)]
struct Topics {
    by_topic: HashMap<TopicName, usize>,
    routes: Vec<Option<Route>>,
}

impl Topics {
    fn position(&mut self, config: &Config, topic: &TopicName) -> Result<usize> {
        if let Some(at) = self.by_topic.get(topic) {
            return Ok(*at);
        }
        let route = config.route(topic)?;
        if self.routes.len() >= TOPICS_MAX {
            *self = Self::default();
        }
        self.routes.push(route);
        let at = self.routes.len() - 1;
        self.by_topic.insert(topic.clone(), at);
        Ok(at)
    }
}

struct Config {
    topic_regex: JavaRegex,
    topic_replacement: String,
    unique_keys: bool,
    key_field_name: String,
    key_field: Option<(JavaRegex, String)>,
    adjuster: NameAdjuster,
}

/// A new schema, and what is to be checked of values that are put under it.
struct Checked {
    schema: Schema,
    checks: Box<[usize]>,
}

impl Checked {
    fn of(builder: SchemaBuilder) -> Result<Self> {
        let schema = builder.build()?;
        Ok(Self {
            checks: put_checks(&schema),
            schema,
        })
    }

    fn with(&self, values: Vec<Value>) -> Result<Struct> {
        check_put(&self.schema, &self.checks, &values)?;
        Ok(Struct::of_values(self.schema.clone(), values))
    }
}

/// Where the records of one topic go.
struct Route {
    topic: TopicName,
    /// What is added to keys, once a key was seen.
    identifier: Option<Str>,
    keys: Plans<Planned<Checked>>,
    envelopes: Plans<Planned<Envelope>>,
}

struct Envelope {
    new: Checked,
    /// The schema of both rows.
    row: Option<Checked>,
    before: Option<usize>,
    after: Option<usize>,
}

impl ToLogicalTopicRouter {
    pub(super) fn new() -> Self {
        Self::of_table(TO_LOGICAL_TOPIC)
    }

    pub(super) fn by_logical_table() -> Self {
        Self::of_table(BY_LOGICAL_TABLE)
    }

    fn of_table(table: &'static [Setting]) -> Self {
        Self {
            table,
            config: None,
            topics: Topics::default(),
            last: None,
        }
    }
}

impl Transformation for ToLogicalTopicRouter {
    fn config_def(&self) -> ConfigDef {
        config_def(self.table)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let settings = Settings::new(self.table, configs);
        settings.validate_and_record()?;
        let text = |name: &str| settings.text(name).unwrap_or_default();
        let pattern = |name: &str| {
            JavaRegex::new(text(name)).map_err(|cause| ConnectError::config(cause.message()))
        };
        let key_field = match java_trim(text("key.field.regex")).is_empty() {
            true => None,
            false => Some((
                pattern("key.field.regex")?,
                text("key.field.replacement").to_string(),
            )),
        };
        self.config = Some(Config {
            topic_regex: pattern("topic.regex")?,
            topic_replacement: text("topic.replacement").to_string(),
            unique_keys: settings.boolean("key.enforce.uniqueness"),
            key_field_name: text("key.field.name").to_string(),
            key_field,
            adjuster: NameAdjuster::of_schemas(&settings.word("schema.name.adjustment.mode")),
        });
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let config = self
            .config
            .as_ref()
            .expect("configured before the first record");
        let at = match &self.last {
            Some((topic, at)) if topic.ptr_eq(&record.topic) => *at,
            _ => {
                let at = self.topics.position(config, &record.topic)?;
                self.last = Some((record.topic.clone(), at));
                at
            }
        };
        let route = &mut self.topics.routes[at];
        let Some(route) = route else {
            return Ok(Outcome::Keep);
        };
        route_key(config, route, record)?;
        if !record.value.is_null() && is_envelope(record.value_schema.as_ref()) {
            route_value(config, route, record)?;
        }
        record.topic = route.topic.clone();
        Ok(Outcome::Keep)
    }
}

impl Config {
    /// `None`: the topic does not match, or its replacement is empty.
    fn route(&self, topic: &str) -> Result<Option<Route>> {
        let new = replaced(&self.topic_regex, topic, &self.topic_replacement)?;
        Ok(new.filter(|new| !new.is_empty()).map(|new| Route {
            topic: new.into(),
            identifier: None,
            keys: Plans::default(),
            envelopes: Plans::default(),
        }))
    }

    fn identifier(&self, topic: &str) -> Result<Str> {
        let replaced = match &self.key_field {
            Some((regex, replacement)) => replaced(regex, topic, replacement)?,
            None => None,
        };
        Ok(replaced.map_or_else(|| topic.into(), Str::from))
    }

    fn key_schema(&self, old: &Schema, topic: &str) -> Planned<Checked> {
        let mut builder = self.renamed(old, &format!("{topic}.Key"));
        builder = with_fields_of(builder, old);
        if self.unique_keys {
            builder = builder.field(self.key_field_name.as_str(), Schema::STRING);
        }
        Ok(Checked::of(builder)?)
    }

    fn envelope(&self, old: &Schema, topic: &str) -> Planned<Envelope> {
        let (before, after) = (old.field_index(BEFORE), old.field_index(AFTER));
        let row = match before.or(after) {
            None => None,
            Some(index) => {
                let row = &old.fields()[index].schema;
                if row.schema_type() != Type::Struct {
                    return Err("Cannot list fields on non-struct type".to_string().into());
                }
                let builder = self.renamed(row, &format!("{topic}.Value"));
                Some(Checked::of(with_fields_of(builder, row))?)
            }
        };
        let builder = self.renamed(old, &format!("{topic}.Envelope"));
        let builder = old.fields().iter().fold(builder, |builder, field| {
            let is_row = [before, after].contains(&Some(field.index));
            let schema = match &row {
                Some(row) if is_row => row.schema.clone(),
                _ => field.schema.clone(),
            };
            builder.field(field.name.clone(), schema)
        });
        Ok(Envelope {
            new: Checked::of(builder)?,
            row,
            before,
            after,
        })
    }

    /// Version, doc, parameters and optional flag of a schema under a new name.
    fn renamed(&self, old: &Schema, name: &str) -> SchemaBuilder {
        let builder = copy_basics_except_name(SchemaBuilder::structure(), old);
        let builder = match old.is_optional() {
            true => builder.optional(),
            false => builder,
        };
        builder.name(self.adjuster.adjust(name).into_owned())
    }
}

/// The topic with the first match replaced; `None` when the whole topic does not match.
///
/// Fails: when the replacement names a group that does not exist.
pub(super) fn replaced(
    regex: &JavaRegex,
    topic: &str,
    replacement: &str,
) -> Result<Option<String>> {
    let failed = |cause: connect_config::JavaRegexError| ConnectError::data(cause.message());
    match regex.matches(topic).map_err(failed)? {
        true => regex
            .replace_first(topic, replacement)
            .map(Some)
            .map_err(failed),
        false => Ok(None),
    }
}

/// A null key, of a table without one, loses its schema.
fn route_key(config: &Config, route: &mut Route, record: &mut ConnectRecord) -> Result<()> {
    let key = match std::mem::take(&mut record.key) {
        Value::Null => {
            record.key_schema = None;
            return Ok(());
        }
        Value::Struct(key) => key,
        other => {
            let error = no_struct(&other, "Updating schema");
            record.key = other;
            return Err(error);
        }
    };
    let topic = &route.topic;
    let plan = route
        .keys
        .get_or_make(key.schema(), |old| config.key_schema(old, topic));
    let plan = planned(plan)?;
    let mut values = key.into_values();
    if config.unique_keys {
        let identifier = match &route.identifier {
            Some(identifier) => identifier.clone(),
            None => route
                .identifier
                .insert(config.identifier(&record.topic)?)
                .clone(),
        };
        values.push(Value::String(identifier));
    }
    record.key = Value::Struct(plan.with(values)?);
    record.key_schema = Some(plan.schema.clone());
    Ok(())
}

fn route_value(config: &Config, route: &mut Route, record: &mut ConnectRecord) -> Result<()> {
    require_struct(&record.value, "Updating schema")?;
    let Value::Struct(old) = std::mem::take(&mut record.value) else {
        return Ok(());
    };
    let topic = &route.topic;
    let plan = route
        .envelopes
        .get_or_make(old.schema(), |old| config.envelope(old, topic));
    let plan = planned(plan)?;
    let old_schema = old.schema().clone();
    let mut values = old.into_values();
    fill_defaults(&old_schema, &mut values);
    // Rows are structs, so they are among the fields to check.
    for index in &plan.new.checks {
        let value = &mut values[*index];
        if let Some(new_row) = &plan.row
            && [plan.before, plan.after].contains(&Some(*index))
            && !value.is_null()
        {
            match std::mem::take(value) {
                Value::Struct(row) => *value = Value::Struct(fitted(new_row, row)?),
                other => return Err(no_struct(&other, "Updating schema")),
            }
        }
        check_put_of(&plan.new.schema, *index, value)?;
    }
    record.value = Value::Struct(Struct::of_values(plan.new.schema.clone(), values));
    record.value_schema = Some(plan.new.schema.clone());
    Ok(())
}

/// The row under its new schema. `before` and `after` have one schema nearly always; where they differ, fields go
/// by their names.
fn fitted(new: &Checked, row: Struct) -> Result<Struct> {
    let (old, schema) = (row.schema(), &new.schema);
    let same = old.fields().len() == schema.fields().len()
        && old.fields().iter().zip(schema.fields()).all(|(old, new)| {
            old.name == new.name && (old.schema.ptr_eq(&new.schema) || old.schema == new.schema)
        });
    if same {
        return new.with(row.into_values());
    }
    let mut fitted = Struct::new(schema.clone())?;
    for (field, value) in old.fields().iter().zip(row.values()) {
        fitted.put(&field.name, value.clone())?;
    }
    Ok(fitted)
}
