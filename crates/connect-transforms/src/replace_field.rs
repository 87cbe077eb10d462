//! `ReplaceField`: leaves fields out and renames fields.
//!
//! Source: `org.apache.kafka.connect.transforms.ReplaceField` of Apache Kafka 4.3.1.

use crate::field_path::{
    FIELD_SYNTAX_VERSION, FieldPath, FieldSyntax, FieldTree, field_syntax_version,
};
use crate::operate::{
    Part, REPLACE_NULL_WITH_DEFAULT, parse, replace_null_with_default, require_map, require_struct,
};
use crate::select::{Rules, Selection};
use connect_api::data::Str;
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{
    ConfigDef, ConfigException, ConfigValueData, Importance, Key, Properties, Validator,
};

const EXCLUDE: Key<Vec<String>> = Key::new("exclude");
const INCLUDE: Key<Vec<String>> = Key::new("include");
const RENAMES: Key<Vec<String>> = Key::new("renames");
const PURPOSE: &str = "field replacement";

pub fn config_def() -> ConfigDef {
    let names = || Validator::any_non_duplicate_values(true, false);
    let renames = Validator::custom(
        "list of colon-delimited pairs, e.g. foo:bar,abc:xyz",
        |_, value| match value {
            ConfigValueData::List(entries) => parse_renames(entries).map(|_| ()),
            _ => Err(ConfigException::invalid(
                "renames",
                value,
                "a list of old:new is expected",
            )),
        },
    );
    ConfigDef::new()
        .define(
            EXCLUDE
                .default([])
                .validator(names())
                .importance(Importance::Medium)
                .doc("Fields to leave out. This wins over the fields to include."),
        )
        .define(
            INCLUDE
                .default([])
                .validator(names())
                .importance(Importance::Medium)
                .doc("Fields to include. If there are any, all others are left out."),
        )
        .define(RENAMES.default([]).validator(renames).importance(Importance::Medium).doc(
            "Fields to rename: old:new,other:name. The old name may be a path with field.syntax.version=V2, the new \
             one is a name.",
        ))
        .define(replace_null_with_default())
        .define(field_syntax_version())
}

pub struct ReplaceField {
    part: Part,
    selection: Selection,
}

impl ReplaceField {
    pub fn new(part: Part) -> Self {
        Self {
            part,
            selection: Selection::default(),
        }
    }
}

impl Transformation for ReplaceField {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        let syntax = config.get(FIELD_SYNTAX_VERSION);
        let include = tree_of(&config.get(INCLUDE), syntax)?;
        let mut rules = Rules {
            exclude: tree_of(&config.get(EXCLUDE), syntax)?,
            include: (!include.is_empty()).then_some(include),
            renames: FieldTree::default(),
        };
        let renames = parse_renames(&config.get(RENAMES));
        let renames = renames.map_err(|error| ConnectError::config(error.into_message()))?;
        for (old, new) in renames {
            rules
                .renames
                .insert(&FieldPath::parse(&old, syntax)?, Str::from(new));
        }
        self.selection = Selection::new(rules, config.get(REPLACE_NULL_WITH_DEFAULT));
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let (schema, value) = self.part.slot(record);
        if value.is_null() {
            return Ok(Outcome::Keep);
        }
        match schema {
            None => self
                .selection
                .apply_schemaless(require_map(value, PURPOSE)?)?,
            Some(schema) => {
                let fields = require_struct(value, PURPOSE)?;
                self.selection.apply(fields)?;
                *schema = fields.schema().clone();
            }
        }
        Ok(Outcome::Keep)
    }
}

fn tree_of(names: &[String], syntax: FieldSyntax) -> Result<FieldTree<()>> {
    let mut tree = FieldTree::default();
    for name in names {
        tree.insert(&FieldPath::parse(name, syntax)?, ());
    }
    Ok(tree)
}

fn parse_renames(entries: &[String]) -> Result<Vec<(String, String)>, ConfigException> {
    let pairs = entries.iter().map(|entry| {
        let mut parts: Vec<&str> = entry.split(':').collect();
        // Java's `split` leaves out empty texts at the end.
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        match parts[..] {
            [old, new] => Ok((old.to_owned(), new.to_owned())),
            _ => Err(ConfigException::invalid(
                "renames",
                ConfigValueData::List(entries.to_vec()),
                format!("Invalid rename mapping: {entry}"),
            )),
        }
    });
    pairs.collect()
}
