//! Validation that keeps going: for every key its value, its errors and what a form should offer.
//!
//! Lives here: `ConfigDef.validate` of Apache Kafka 4.3, with the walk along dependents that decides
//! which keys are looked at, how often, and so which messages appear twice.
//! Never here: merging what a connector's own validation adds; that is the worker's.

use std::collections::{BTreeMap, BTreeSet};

use crate::config_def::fits_rust_type;
use crate::{
    AnyClass, ClassResolver, ConfigDef, ConfigException, ConfigValueData, DefaultValue,
    ParsedConfig, Properties, parse_type,
};

/// A key after validation.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigValue {
    pub name: String,
    /// Null when the key had no usable value.
    pub value: ConfigValueData,
    pub recommended_values: Vec<ConfigValueData>,
    /// Kafka's messages; none means valid.
    pub errors: Vec<String>,
    pub visible: bool,
}

impl ConfigValue {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: ConfigValueData::Null,
            recommended_values: Vec::new(),
            errors: Vec::new(),
            visible: true,
        }
    }
}

impl ConfigDef {
    /// [`ConfigDef::validate_with`], taking every class name for a class.
    pub fn validate(&self, props: &Properties) -> Vec<ConfigValue> {
        self.validate_with(props, &AnyClass)
    }

    /// Every defined key in the order of definition, then keys that rows name as dependents without
    /// any row defining them (invisible, with an error).
    ///
    /// As in Java, and unlike [`ConfigDef::parse_with`]: duplicates in lists are errors, a validator
    /// also runs on the null of a key that could not be parsed, and a key that depends on two others is
    /// checked twice. Keys that only depend on each other are never checked.
    pub fn validate_with(
        &self,
        props: &Properties,
        classes: &dyn ClassResolver,
    ) -> Vec<ConfigValue> {
        let mut walk = Walk {
            def: self,
            props,
            classes,
            parsed: ParsedConfig::default(),
            results: self
                .names()
                .map(|name| (name, ConfigValue::new(name)))
                .collect(),
            path: Vec::new(),
        };
        let roots = self.names_without_parent();
        for name in &roots {
            walk.parse(name);
        }
        for name in &roots {
            walk.recommend(name);
        }
        let mut results = walk.results;
        let defined: Vec<ConfigValue> = self
            .names()
            .filter_map(|name| results.remove(name))
            .collect();
        let undefined = self.undefined_dependents().into_iter().map(|name| {
            let mut value = ConfigValue::new(name);
            value.errors.push(format!(
                "{name} is referred in the dependents, but not defined."
            ));
            value.visible = false;
            value
        });
        defined.into_iter().chain(undefined).collect()
    }

    fn names_without_parent(&self) -> Vec<&str> {
        let children: BTreeSet<&str> = self
            .keys()
            .flat_map(|key| &key.dependents)
            .map(String::as_str)
            .collect();
        self.names()
            .filter(|name| !children.contains(name))
            .collect()
    }
}

struct Walk<'a> {
    def: &'a ConfigDef,
    props: &'a Properties,
    classes: &'a dyn ClassResolver,
    parsed: ParsedConfig,
    results: BTreeMap<&'a str, ConfigValue>,
    /// Keys from a root down to the current one: a circle below a root ends here, where Java's walk
    /// would overflow its stack.
    path: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn parse(&mut self, name: &'a str) {
        let Some(key) = self.def.key(name) else {
            return;
        };
        if self.path.contains(&name) {
            return;
        }
        let Some(result) = self.results.get_mut(name) else {
            return;
        };
        let parsed = match (self.props.get_nullable(name), &key.default) {
            (Some(text), _) => parse_type(name, text, key.config_type, self.classes),
            (None, DefaultValue::Value(default)) => Ok(default.clone()),
            (None, DefaultValue::Required) => Err(ConfigException::missing(name)),
        };
        let failed = parsed.is_err();
        let value = parsed.unwrap_or_else(|error| {
            result.errors.push(error.into_message());
            ConfigValueData::Null
        });
        let valid = match &key.validator {
            Some(validator) => validator.ensure_valid(name, &value),
            None => Ok(()),
        };
        // One message is enough for a value that the validator refused or that is not there.
        let fits = if failed || valid.is_err() {
            Ok(())
        } else {
            fits_rust_type(key, &value)
        };
        result.errors.extend(
            [valid, fits]
                .into_iter()
                .filter_map(Result::err)
                .map(ConfigException::into_message),
        );
        result.value = value.clone();
        self.parsed.values.insert(name.to_owned(), value);
        self.path.push(name);
        for dependent in &key.dependents {
            self.parse(dependent);
        }
        self.path.pop();
    }

    fn recommend(&mut self, name: &'a str) {
        let Some(key) = self.def.key(name) else {
            return;
        };
        if self.path.contains(&name) {
            return;
        }
        let Some(result) = self.results.get_mut(name) else {
            return;
        };
        if let Some(recommender) = &key.recommender {
            let outcome = recommender
                .valid_values(name, &self.parsed)
                .and_then(|mut values| {
                    // Another parent recommended before: only what both recommend stays.
                    let earlier = &result.recommended_values;
                    if !earlier.is_empty() {
                        values.retain(|value| earlier.contains(value));
                    }
                    result.recommended_values = values;
                    result.visible = recommender.visible(name, &self.parsed)?;
                    Ok(())
                });
            if let Err(error) = outcome {
                result.errors.push(error.into_message());
            }
        }
        self.path.push(name);
        for dependent in &key.dependents {
            self.recommend(dependent);
        }
        self.path.pop();
    }
}
