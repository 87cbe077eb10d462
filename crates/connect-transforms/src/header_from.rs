//! `HeaderFrom`: moves or copies fields into headers.
//!
//! Source: `org.apache.kafka.connect.transforms.HeaderFrom` of Apache Kafka 4.3.1.

use crate::field_path::{FIELD_SYNTAX_VERSION, FieldPath, FieldTree, field_syntax_version};
use crate::operate::{
    Part, REPLACE_NULL_WITH_DEFAULT, parse, replace_null_with_default, require_map, require_struct,
};
use crate::plan::SchemaPlans;
use crate::reading::Reading;
use crate::select::{Rules, Selection};
use connect_api::data::{SchemaAndValue, Str};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{
    ConfigDef, ConfigEnum, ConfigException, ConfigValueData, Importance, Key, Properties, Validator,
};

const FIELDS: Key<Vec<String>> = Key::new("fields");
const HEADERS: Key<Vec<String>> = Key::new("headers");
const OPERATION: Key<Operation> = Key::new("operation");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Move,
    Copy,
}

impl ConfigEnum for Operation {
    const WORDS: &'static [(&'static str, Self)] =
        &[("move", Operation::Move), ("copy", Operation::Copy)];
}

impl Operation {
    fn purpose(self) -> &'static str {
        match self {
            Operation::Move => "header move",
            Operation::Copy => "header copy",
        }
    }
}

pub fn config_def() -> ConfigDef {
    let filled = || {
        Validator::custom("non-empty list", |name, value| match value {
            ConfigValueData::List(items) if items.is_empty() => {
                Err(ConfigException::invalid(name, value, "Empty list"))
            }
            _ => Ok(()),
        })
    };
    ConfigDef::new()
        .define(
            FIELDS
                .required()
                .validator(filled())
                .importance(Importance::High)
                .doc("Fields whose values become headers."),
        )
        .define(
            HEADERS
                .required()
                .validator(filled())
                .importance(Importance::High)
                .doc("Names of the headers, as many as fields and in the same order."),
        )
        .define(
            OPERATION
                .required()
                .importance(Importance::High)
                .doc("move takes the fields out of the key or value, copy leaves them there."),
        )
        .define(replace_null_with_default())
        .define(field_syntax_version())
}

pub struct HeaderFrom {
    part: Part,
    fields: Vec<(FieldPath, Str)>,
    operation: Operation,
    replace_null: bool,
    readings: SchemaPlans<Vec<Reading>>,
    /// Takes the fields out.
    rest: Selection,
}

impl HeaderFrom {
    pub fn new(part: Part) -> Self {
        Self {
            part,
            fields: Vec::new(),
            operation: Operation::Copy,
            replace_null: true,
            readings: SchemaPlans::default(),
            rest: Selection::default(),
        }
    }
}

impl Transformation for HeaderFrom {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        let (fields, headers) = (config.get(FIELDS), config.get(HEADERS));
        if fields.len() != headers.len() {
            return Err(ConnectError::config(
                "'fields' config must have the same number of elements as 'headers' config.",
            ));
        }
        let syntax = config.get(FIELD_SYNTAX_VERSION);
        self.operation = config.get(OPERATION);
        self.replace_null = config.get(REPLACE_NULL_WITH_DEFAULT);
        let mut exclude = FieldTree::default();
        self.fields.clear();
        for (field, header) in fields.iter().zip(headers) {
            let path = FieldPath::parse(field, syntax)?;
            exclude.insert(&path, ());
            self.fields.push((path, Str::from(header)));
        }
        let rules = Rules {
            exclude,
            ..Rules::default()
        };
        self.rest = Selection::new(rules, self.replace_null);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let purpose = self.operation.purpose();
        let mut headers = std::mem::take(&mut record.headers);
        let (schema, value) = self.part.slot(record);
        match schema {
            None => {
                let map = require_map(value, purpose)?;
                for (path, header) in &self.fields {
                    let value = Reading::of_map(path, map).cloned().unwrap_or_default();
                    headers.add(header.clone(), SchemaAndValue::new(None, value));
                }
                if self.operation == Operation::Move {
                    self.rest.apply_schemaless(map)?;
                }
            }
            Some(schema) => {
                let fields = require_struct(value, purpose)?;
                let paths = &self.fields;
                let readings = self.readings.get(fields.schema(), |schema| {
                    let readings = paths.iter().map(|(path, _)| {
                        Reading::new(path, schema).ok_or_else(|| unknown_field(path))
                    });
                    readings.collect()
                })?;
                for (reading, (_, header)) in readings.iter().zip(paths) {
                    let value = reading.value(fields, self.replace_null).clone();
                    let schema = reading.schema().clone();
                    headers.add(header.clone(), SchemaAndValue::new(schema, value));
                }
                if self.operation == Operation::Move {
                    self.rest.apply(fields)?;
                    *schema = fields.schema().clone();
                }
            }
        }
        record.headers = headers;
        Ok(Outcome::Keep)
    }
}

/// Java fails with a null pointer here.
#[cold]
fn unknown_field(path: &FieldPath) -> ConnectError {
    ConnectError::data(format!(
        "field \"{}\" is to become a header, and the schema has no such field",
        path.text()
    ))
}
