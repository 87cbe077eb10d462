//! The table of configuration keys, and parsing against it.
//!
//! Lives here: `ConfigDef`: defining keys, their order and groups, embedding one table in another, and
//! `parse`, which gives typed values or every error at once.
//! Lives elsewhere: `validate`, which keeps values beside their errors for forms and REST.
//! Never here: the rules of one type (`parse_type`) or of one value (`validator`).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    AnyClass, ClassResolver, ConfigErrors, ConfigException, ConfigKey, ConfigValueData,
    DefaultValue, ParsedConfig, Properties, Recommender, Validator, parse_type,
};

/// What a configuration may hold: `org.apache.kafka.common.config.ConfigDef`.
///
/// Keys keep their order of definition. Cloning shares validators and recommenders.
#[derive(Debug, Clone, Default)]
pub struct ConfigDef {
    keys: Vec<ConfigKey>,
    by_name: BTreeMap<String, usize>,
    groups: Vec<String>,
}

impl ConfigDef {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    ///
    /// Panics: when the name is already defined or the default does not pass the row's own validator.
    /// Tables are constants of the program, so this is a bug; where rows are made from user input, use
    /// [`ConfigDef::try_define`].
    pub fn define(mut self, key: ConfigKey) -> Self {
        if let Err(error) = self.try_define(key) {
            panic!("{error}");
        }
        self
    }

    /// Adds a row, or says why it cannot be one with Kafka's message.
    pub fn try_define(&mut self, key: ConfigKey) -> Result<(), ConfigException> {
        if self.by_name.contains_key(&key.name) {
            return Err(ConfigException::new(format!(
                "Configuration {} is defined twice.",
                key.name
            )));
        }
        if let (Some(validator), DefaultValue::Value(default)) = (&key.validator, &key.default) {
            validator.ensure_valid(&key.name, default)?;
        }
        if let DefaultValue::Value(default) = &key.default {
            fits_rust_type(&key, default)?;
        }
        if let Some(group) = key
            .group
            .as_ref()
            .filter(|group| !self.groups.contains(group))
        {
            self.groups.push(group.clone());
        }
        self.by_name.insert(key.name.clone(), self.keys.len());
        self.keys.push(key);
        Ok(())
    }

    /// Takes a row out, for a definition that replaces it. `None` when there is none.
    pub fn remove(&mut self, name: &str) -> Option<ConfigKey> {
        let at = self.by_name.remove(name)?;
        for index in self.by_name.values_mut().filter(|index| **index > at) {
            *index -= 1;
        }
        Some(self.keys.remove(at))
    }

    /// `ConfigDef.embed`: every row of `child`, its name after `key_prefix` and its group after
    /// `group_prefix`, ordered from `starting_order` on.
    ///
    /// Validators and recommenders of the child go on seeing names without the prefix.
    pub fn embed(
        &mut self,
        key_prefix: &str,
        group_prefix: &str,
        starting_order: i32,
        child: &ConfigDef,
    ) -> Result<(), ConfigException> {
        for (order, row) in (starting_order..).zip(child.sorted_keys()) {
            let mut row = row.clone();
            // As validators, it goes on seeing the name without the prefix.
            row.checked_as.get_or_insert_with(|| row.name.clone());
            row.name = format!("{key_prefix}{}", row.name);
            row.group = Some(match &row.group {
                Some(group) => format!("{group_prefix}: {group}"),
                None => group_prefix.to_owned(),
            });
            row.order_in_group = order;
            row.validator = row
                .validator
                .map(|validator| embedded_validator(key_prefix, validator));
            row.dependents = row
                .dependents
                .iter()
                .map(|name| format!("{key_prefix}{name}"))
                .collect();
            row.recommender = row.recommender.map(|inner| {
                Arc::new(EmbeddedRecommender {
                    prefix: key_prefix.to_owned(),
                    inner,
                }) as Arc<dyn Recommender>
            });
            self.try_define(row)?;
        }
        Ok(())
    }

    /// The row of a key.
    pub fn key(&self, name: &str) -> Option<&ConfigKey> {
        self.by_name.get(name).map(|at| &self.keys[*at])
    }

    /// Rows in the order of definition.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &ConfigKey> {
        self.keys.iter()
    }

    /// Names in the order of definition.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.keys.iter().map(|key| key.name.as_str())
    }

    /// Groups in the order in which rows first name them.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Defaults of the keys that have one, null ones included.
    pub fn default_values(&self) -> impl Iterator<Item = (&str, &ConfigValueData)> {
        self.keys.iter().filter_map(|key| match &key.default {
            DefaultValue::Required => None,
            DefaultValue::Value(value) => Some((key.name.as_str(), value)),
        })
    }

    /// Rows as documentation shows them: by group, order in it, required first, importance, name.
    pub fn sorted_keys(&self) -> Vec<&ConfigKey> {
        let group = |key: &ConfigKey| {
            key.group
                .as_ref()
                .map(|group| self.groups.iter().position(|known| known == group))
        };
        let mut sorted: Vec<&ConfigKey> = self.keys.iter().collect();
        sorted.sort_by(|left, right| {
            Ordering::Equal
                .then_with(|| group(left).cmp(&group(right)))
                .then_with(|| left.order_in_group.cmp(&right.order_in_group))
                .then_with(|| left.has_default().cmp(&right.has_default()))
                .then_with(|| left.importance.cmp(&right.importance))
                .then_with(|| left.name.cmp(&right.name))
        });
        sorted
    }

    /// [`ConfigDef::parse_with`], taking every class name for a class.
    pub fn parse(&self, props: &Properties) -> Result<ParsedConfig, ConfigErrors> {
        self.parse_with(props, &AnyClass)
    }

    /// Typed values of all keys, or every error of all keys. Unknown keys are ignored here; see
    /// [`ConfigDef::unknown_keys`].
    ///
    /// A message is the one that Java's `ConfigDef.parse` throws, where it stops at the first. A key of
    /// a Rust type other than `Option` refuses null, where Java would fail later with a null pointer.
    pub fn parse_with(
        &self,
        props: &Properties,
        classes: &dyn ClassResolver,
    ) -> Result<ParsedConfig, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let undefined = self.undefined_dependents();
        if let Some(first) = undefined.first() {
            errors.add(
                *first,
                format!(
                    "Some configurations in are referred in the dependents, but not defined: {}",
                    undefined.join(",")
                ),
            );
        }
        let mut parsed = ParsedConfig::default();
        for key in &self.keys {
            match parse_value(key, props, classes, &mut parsed.warnings) {
                Ok(value) => {
                    parsed.values.insert(key.name.clone(), value);
                }
                Err(error) => errors.add(key.name.as_str(), error.into_message()),
            }
        }
        errors.into_result(parsed)
    }

    /// Names that rows call their dependents and that no row defines, each once.
    pub(crate) fn undefined_dependents(&self) -> Vec<&str> {
        let mut undefined: Vec<&str> = Vec::new();
        for name in self.keys.iter().flat_map(|key| &key.dependents) {
            if !self.by_name.contains_key(name) && !undefined.contains(&name.as_str()) {
                undefined.push(name);
            }
        }
        undefined
    }
}

/// `ConfigDef.parseValue`.
fn parse_value(
    key: &ConfigKey,
    props: &Properties,
    classes: &dyn ClassResolver,
    warnings: &mut Vec<String>,
) -> Result<ConfigValueData, ConfigException> {
    let mut value = match (props.get_nullable(&key.name), &key.default) {
        (Some(text), _) => parse_type(&key.name, text, key.config_type, classes)?,
        (None, DefaultValue::Value(default)) => default.clone(),
        (None, DefaultValue::Required) => return Err(ConfigException::missing(&key.name)),
    };
    if let Some(validator) = &key.validator {
        if let ConfigValueData::List(items) = &value
            && validator.drops_duplicates()
            && let Some(distinct) = without_duplicates(items)
        {
            let distinct = ConfigValueData::List(distinct);
            warnings.push(format!(
                "Configuration key \"{}\" contains duplicate values. Duplicates will be removed. \
                 The original value is: {value}, the updated value is: {distinct}",
                key.name
            ));
            value = distinct;
        }
        validator.ensure_valid(&key.name, &value)?;
    }
    fits_rust_type(key, &value)?;
    Ok(value)
}

/// Whether `ParsedConfig::get` will find the Rust type that the key was declared with.
pub(crate) fn fits_rust_type(
    key: &ConfigKey,
    value: &ConfigValueData,
) -> Result<(), ConfigException> {
    let Some(check) = key.typed_check else {
        return Ok(());
    };
    let name = key.checked_as.as_deref().unwrap_or(&key.name);
    check(value).map_err(|reason| ConfigException::invalid(name, value, reason))
}

/// The first of each item in order; `None` when there is nothing to drop.
fn without_duplicates(items: &[String]) -> Option<Vec<String>> {
    let mut distinct: Vec<String> = Vec::with_capacity(items.len());
    for item in items {
        if !distinct.contains(item) {
            distinct.push(item.clone());
        }
    }
    (distinct.len() < items.len()).then_some(distinct)
}

fn embedded_validator(prefix: &str, validator: Validator) -> Validator {
    let prefix = prefix.to_owned();
    Validator::custom(&validator.to_string(), move |name, value| {
        validator.ensure_valid(name.strip_prefix(&prefix).unwrap_or(name), value)
    })
}

/// Shows a child's recommender the configuration under its prefix, as if there were no other.
struct EmbeddedRecommender {
    prefix: String,
    inner: Arc<dyn Recommender>,
}

impl EmbeddedRecommender {
    fn unprefixed(&self, parsed: &ParsedConfig) -> ParsedConfig {
        let under_prefix = parsed.values.iter().filter_map(|(name, value)| {
            Some((name.strip_prefix(&self.prefix)?.to_owned(), value.clone()))
        });
        ParsedConfig {
            values: under_prefix.collect(),
            warnings: Vec::new(),
        }
    }
}

impl Recommender for EmbeddedRecommender {
    fn valid_values(
        &self,
        name: &str,
        parsed: &ParsedConfig,
    ) -> Result<Vec<ConfigValueData>, ConfigException> {
        let name = name.strip_prefix(&self.prefix).unwrap_or(name);
        self.inner.valid_values(name, &self.unprefixed(parsed))
    }

    fn visible(&self, name: &str, parsed: &ParsedConfig) -> Result<bool, ConfigException> {
        let name = name.strip_prefix(&self.prefix).unwrap_or(name);
        self.inner.visible(name, &self.unprefixed(parsed))
    }
}
