//! What is wrong with a connector's configuration, key by key, before anything is started.
//!
//! Lives here: the answer of Kafka Connect's `PUT …/config/validate`, as data.
//! Lives elsewhere: its JSON, and the table that people read; checks of values (`connect_config`); the definitions
//! (`connector_def`).
//! Never here: a call of the connector beyond its definition, so that validating starts nothing.
//! Source: `AbstractHerder.validateConnectorConfig` of Apache Kafka 4.3. Client overrides are checked against the
//! worker's policy, and shown without a definition: clients check their values themselves when they start.

use crate::chain::{PREDICATES_PREFIX, TRANSFORMS_PREFIX};
use crate::client_config::OverridePolicy;
use crate::connector_config::{
    CONNECTOR_CLASS, DeadLetters, HEADER_CONVERTER, KEY_CONVERTER, VALUE_CONVERTER, topics_of,
};
use crate::connector_def::{enriched, sink_def, source_def};
use crate::plugins::{AnyConnector, Plugins};
use crate::worker_config::WorkerConfig;
use connect_config::{
    ClassName, ConfigDef, ConfigErrors, ConfigKey, ConfigValue, ConfigValueData, DefaultValue,
    Properties, UnknownKey,
};

/// The answer for a configuration as a whole.
#[derive(Debug, Clone)]
pub struct ConfigInfos {
    /// `connector.class` as it was written.
    pub name: String,
    pub error_count: usize,
    /// Groups of keys, in the order of their first key.
    pub groups: Vec<String>,
    pub configs: Vec<ConfigInfo>,
}

/// The answer for one key.
#[derive(Debug, Clone)]
pub struct ConfigInfo {
    /// `None` for a key that nothing defines and that is wrong nevertheless.
    pub definition: Option<ConfigKey>,
    pub value: ConfigValue,
}

/// What the worker brings along where a connector's configuration is silent.
#[derive(Debug, Clone)]
pub struct WorkerDefaults {
    pub key_converter: String,
    pub value_converter: String,
    pub header_converter: String,
    pub override_policy: OverridePolicy,
}

impl From<&WorkerConfig> for WorkerDefaults {
    fn from(worker: &WorkerConfig) -> Self {
        Self {
            key_converter: worker.key_converter.clone(),
            value_converter: worker.value_converter.clone(),
            header_converter: worker.header_converter.clone(),
            override_policy: worker.override_policy.clone(),
        }
    }
}

/// Checks a configuration. References to config providers are to be resolved before.
///
/// Fails: with Java's message when there is no connector of that class, so that nothing else can be said.
pub fn validate(
    plugins: &Plugins,
    worker: &WorkerDefaults,
    config: &Properties,
) -> Result<ConfigInfos, String> {
    let Some(name) = config.get(CONNECTOR_CLASS.name()) else {
        return Err(
            "the configuration contains no connector type: connector.class is missing".to_string(),
        );
    };
    let mut connector = plugins.new_connector(name.trim())?;
    let common = match &connector {
        AnyConnector::Source(_) => source_def(),
        AnyConnector::Sink(_) => sink_def(),
    };
    let (mut def, mut errors) = enriched(with_defaults(common, worker), plugins, config);
    let own = connector.as_connector().config_def();
    for key in own.keys() {
        // A connector may define a common key again; the common row counts, as in Java.
        let _ = def.try_define(key.clone());
    }
    if let AnyConnector::Sink(_) = connector {
        errors.merge(sink_errors(&def, config));
    }
    let mut values = def.validate_with(config, &|name: &str| plugins.knows(name));
    add_converter_errors(plugins, config, &mut errors);
    for (key, messages) in errors.iter() {
        add_errors(&mut values, key, messages);
    }
    let mut groups: Vec<String> = def.groups().to_vec();
    let mut error_count: usize = values.iter().map(|value| value.errors.len()).sum();
    let mut configs = Vec::new();
    let mut overrides = overrides(worker, config);
    error_count += overrides
        .iter()
        .filter(|it| !it.value.errors.is_empty())
        .count();
    for value in values {
        let definition = def.key(&value.name).cloned();
        configs.push(ConfigInfo { definition, value });
    }
    // What nothing defines comes first, in Java's order.
    configs.sort_by_key(|config| config.definition.is_some());
    configs.append(&mut overrides);
    for (prefix, role) in [
        (HEADER_CONVERTER.name(), "header"),
        (KEY_CONVERTER.name(), "key"),
        (VALUE_CONVERTER.name(), "value"),
    ] {
        let Some((own, of_converter)) = converter_configs(plugins, config, prefix, role) else {
            continue;
        };
        error_count += of_converter
            .iter()
            .filter(|it| !it.value.errors.is_empty())
            .count();
        for group in own.groups() {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        configs.extend(of_converter);
    }
    Ok(ConfigInfos {
        name: name.to_string(),
        error_count,
        groups,
        configs,
    })
}

/// Options of transforms and predicates that their classes do not know, with the nearest known one. Kafka Connect
/// says nothing of them.
pub fn unknown_plugin_keys(plugins: &Plugins, config: &Properties) -> Vec<UnknownKey> {
    let (def, _) = enriched(ConfigDef::new(), plugins, config);
    let mut options = Properties::new();
    for prefix in [TRANSFORMS_PREFIX, PREDICATES_PREFIX] {
        for (key, value) in config.range_with_prefix(prefix) {
            options.set_nullable(key, value.map(str::to_string));
        }
    }
    def.unknown_keys(&options)
}

/// The worker's converters as the defaults of the connector's.
fn with_defaults(def: ConfigDef, worker: &WorkerDefaults) -> ConfigDef {
    let mut filled = ConfigDef::new();
    for key in def.keys() {
        let class = match key.name() {
            name if name == KEY_CONVERTER.name() => Some(&worker.key_converter),
            name if name == VALUE_CONVERTER.name() => Some(&worker.value_converter),
            name if name == HEADER_CONVERTER.name() => Some(&worker.header_converter),
            _ => None,
        };
        let key = match class.filter(|class| !class.is_empty()) {
            Some(class) => {
                let class = ConfigValueData::Class(ClassName::new(class.as_str()));
                key.clone().default_value(DefaultValue::Value(class))
            }
            None => key.clone(),
        };
        let _ = filled.try_define(key);
    }
    filled
}

/// Which topics are read, and that the dead letter queue is none of them.
fn sink_errors(def: &ConfigDef, config: &Properties) -> ConfigErrors {
    let topics = match topics_of(config) {
        Ok(topics) => topics,
        // A pattern that is none is found by its own row too; once is enough.
        Err(errors) => return errors,
    };
    let Ok(parsed) = def.parse(config) else {
        return ConfigErrors::new();
    };
    match DeadLetters::of_sink(&parsed).check(&topics) {
        Ok(()) => ConfigErrors::new(),
        Err(errors) => errors,
    }
}

/// Classes that exist and are no converters.
fn add_converter_errors(plugins: &Plugins, config: &Properties, errors: &mut ConfigErrors) {
    for (key, kind) in [
        (KEY_CONVERTER.name(), "Converter"),
        (VALUE_CONVERTER.name(), "Converter"),
        (HEADER_CONVERTER.name(), "HeaderConverter"),
    ] {
        let Some(name) = config.get(key).map(str::trim) else {
            continue;
        };
        let found = match kind {
            "Converter" => plugins.new_converter(name).is_ok(),
            _ => plugins.new_header_converter(name).is_ok(),
        };
        if !found && let Some(class) = plugins.full_name(name) {
            errors.add(
                key,
                format!("Class class {class} does not implement the {kind} interface"),
            );
        }
    }
}

/// Adds messages to a key; one that was found already is not said again.
fn add_errors(values: &mut Vec<ConfigValue>, key: &str, messages: &[String]) {
    let value = match values.iter_mut().position(|value| value.name == key) {
        Some(at) => &mut values[at],
        None => {
            values.push(ConfigValue::new(key));
            values.last_mut().expect("just pushed")
        }
    };
    for message in messages {
        if !value.errors.contains(message) {
            value.errors.push(message.clone());
        }
    }
}

/// The client settings that a connector overrides, with what the worker's policy says.
fn overrides(worker: &WorkerDefaults, config: &Properties) -> Vec<ConfigInfo> {
    let refusals = worker.override_policy.refusals(config);
    let mut infos = Vec::new();
    for prefix in [
        "producer.override.",
        "consumer.override.",
        "admin.override.",
    ] {
        for (key, text) in config.range_with_prefix(prefix) {
            let mut value = ConfigValue::new(key);
            value.value = text.map_or(ConfigValueData::Null, ConfigValueData::from);
            let of_key = refusals.iter().filter(|(refused, _)| refused == key);
            value.errors = of_key.map(|(_, message)| message.clone()).collect();
            infos.push(ConfigInfo {
                definition: None,
                value,
            });
        }
    }
    infos
}

/// The keys of a converter that the connector itself names, behind their prefix.
fn converter_configs(
    plugins: &Plugins,
    config: &Properties,
    prefix: &str,
    role: &str,
) -> Option<(ConfigDef, Vec<ConfigInfo>)> {
    let class = plugins.full_name(config.get(prefix)?.trim())?;
    let own = connect_converters::config_def_of(class)?;
    let mut settings = config.originals_with_prefix(&format!("{prefix}."));
    settings.set_if_absent("converter.type", role);
    let infos = own.validate(&settings).into_iter().map(|mut value| {
        let definition = own
            .key(&value.name)
            .map(|key| key.renamed(format!("{prefix}.{}", value.name)));
        value.name = format!("{prefix}.{}", value.name);
        ConfigInfo { definition, value }
    });
    let infos = infos.collect();
    Some((own, infos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_without_a_connector_says_so() {
        let worker = WorkerDefaults {
            key_converter: String::new(),
            value_converter: String::new(),
            header_converter: String::new(),
            override_policy: OverridePolicy::All,
        };
        let validated = |config: &str| {
            let config = Properties::from_text(config).expect("properties");
            validate(&Plugins::default(), &worker, &config).expect_err("no plugins")
        };
        assert!(validated("name=c").contains("connector.class is missing"));
        assert!(
            validated("connector.class=Nope")
                .starts_with("Failed to find any class that implements Connector")
        );
    }
}
