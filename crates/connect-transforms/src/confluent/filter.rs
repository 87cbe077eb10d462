//! Confluent's `Filter$Key` and `Filter$Value`: keeps or drops the records that a JSON path matches.
//!
//! Lives here: what a match, and what a missing field means for the record.
//! Lives elsewhere: paths and conditions ([`super::json_path`]).

use super::json_path::{Found, JsonPath};
use super::name_of;
use crate::operate::{Part, parse};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{
    ConfigDef, ConfigEnum, ConfigException, Importance, Key, Properties, Validator,
};

const CONDITION: Key<String> = Key::new("filter.condition");
const TYPE: Key<FilterType> = Key::new("filter.type");
const MISSING: Key<Behavior> = Key::new("missing.or.null.behavior");

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum FilterType {
    #[default]
    Include,
    Exclude,
}

impl ConfigEnum for FilterType {
    const WORDS: &'static [(&'static str, Self)] =
        &[("include", Self::Include), ("exclude", Self::Exclude)];
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Behavior {
    #[default]
    Fail,
    Include,
    Exclude,
}

impl ConfigEnum for Behavior {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("fail", Self::Fail),
        ("include", Self::Include),
        ("exclude", Self::Exclude),
    ];
}

fn config_def() -> ConfigDef {
    let is_path = Validator::custom("JSON path", |name, value| match value {
        connect_config::ConfigValueData::String(text) => JsonPath::parse(text)
            .map(drop)
            .map_err(|reason| ConfigException::invalid(name, text, reason)),
        _ => Ok(()),
    });
    ConfigDef::new()
        .define(CONDITION.required().importance(Importance::High).validator(is_path).doc(
            "JSON path that matches records, such as $[?(@.amount > 100 && @.state in ['new', 'paid'])] or \
             $.order[?(@.id =~ /A.*/)].",
        ))
        .define(TYPE.default(FilterType::Include).importance(Importance::High).doc(
            "What becomes of a record that matches: include keeps it and drops all others, exclude drops it.",
        ))
        .define(MISSING.default(Behavior::Fail).importance(Importance::Medium).doc(
            "What becomes of a record that lacks, or has as null, what the path names before its first condition: fail, \
             include (keep), exclude (drop). Inside conditions a missing field just does not match.",
        ))
}

pub(super) struct Filter {
    part: Part,
    condition: Option<JsonPath>,
    filter_type: FilterType,
    missing: Behavior,
}

impl Filter {
    pub(super) fn new(part: Part) -> Self {
        Self {
            part,
            condition: None,
            filter_type: FilterType::default(),
            missing: Behavior::default(),
        }
    }
}

impl Transformation for Filter {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        let condition = JsonPath::parse(&config.get(CONDITION)).map_err(ConnectError::config)?;
        self.condition = Some(condition);
        self.filter_type = config.get(TYPE);
        self.missing = config.get(MISSING);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let condition = self
            .condition
            .as_ref()
            .expect("configured before the first record");
        let found = condition.find(self.part.value(record));
        let matches = match &found {
            Found::Values(values) if condition.is_definite() => {
                values.iter().any(|value| !value.is_null()).then_some(true)
            }
            Found::Values(values) => Some(!values.is_empty()),
            Found::Missing => None,
        };
        let keep = match (matches, self.missing) {
            (Some(matches), _) => matches == (self.filter_type == FilterType::Include),
            (None, Behavior::Include) => true,
            (None, Behavior::Exclude) => false,
            (None, Behavior::Fail) => {
                return Err(ConnectError::data(format!(
                    "{} of the record lacks, or has as null, a field that filter.condition names; set \
                     missing.or.null.behavior to include or exclude such records",
                    name_of(self.part)
                )));
            }
        };
        Ok(if keep { Outcome::Keep } else { Outcome::Drop })
    }
}
