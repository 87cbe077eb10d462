//! `${provider:path:key}` in configurations: the worker's providers and what they answer.
//!
//! Lives here: making the providers of `config.providers`, asking them once per path, putting the answers in.
//! Lives elsewhere: the providers (plugins), the text of references (`connect_config`), when they are asked
//! again (`config_watch`).
//! Never here: a value in an error, a warning or a log line. Answers have no `Debug`.
//! Source: `ConfigTransformer`, `WorkerConfigTransformer` and `AbstractConfig` of Apache Kafka 4.3; KIP-297.

use crate::plugins::Plugins;
use connect_api::ConfigProvider;
use connect_config::{
    ConfigDef, ConfigErrors, Key, Properties, Secrets, Validator, Variable, variables,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;

pub const CONFIG_PROVIDERS: Key<Vec<String>> = Key::new("config.providers");
/// A parameter of every provider, which Java does not have: how often to look whether what a connector uses
/// has changed. 0: never, as in Java.
pub const RELOAD_INTERVAL_MS: Key<i64> = Key::new("millstream.reload.interval.ms");

/// The providers of a worker by their names in references.
#[derive(Default)]
pub struct ConfigProviders {
    providers: BTreeMap<String, Provider>,
    secrets: Secrets,
}

struct Provider {
    plugin: Box<dyn ConfigProvider>,
    look_every: Option<Duration>,
}

/// A configuration with answers in the place of references.
pub struct Resolved {
    pub properties: Properties,
    /// A sentence for each reference that a provider does not know. It stays as it is written.
    pub warnings: Vec<String>,
    /// What was asked, one for each provider and path.
    pub answers: Vec<Answer>,
}

/// What a provider answered to one question.
#[derive(Clone, PartialEq)]
pub struct Answer {
    pub provider: String,
    pub path: String,
    pub keys: BTreeSet<String>,
    /// Values of those keys that the provider knows.
    pub data: BTreeMap<String, String>,
    /// How long the values are good.
    pub ttl: Option<Duration>,
    /// How often to look whether they have changed.
    pub look_every: Option<Duration>,
}

impl ConfigProviders {
    /// The providers that a worker's configuration names, configured. `secrets` hears of all their values.
    ///
    /// Fails: with Java's messages, for a class that is not there and for parameters that a provider refuses.
    pub fn new(
        worker: &Properties,
        plugins: &Plugins,
        secrets: Secrets,
    ) -> Result<Self, ConfigErrors> {
        let names = ConfigDef::new()
            .define(CONFIG_PROVIDERS.default(Vec::<String>::new()))
            .parse(worker)?
            .get(CONFIG_PROVIDERS);
        let mut providers = BTreeMap::new();
        let mut errors = ConfigErrors::new();
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            match new_provider(worker, plugins, &name) {
                Ok(provider) => {
                    providers.insert(name, provider);
                }
                Err(more) => errors.merge(more),
            }
        }
        errors.into_result(Self { providers, secrets })
    }

    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Asks for all references of a configuration and puts the answers in, in one pass. Blocks while the
    /// providers read. References to providers that there are not stay as they are written.
    ///
    /// Fails: with what a provider says, for each key that refers to it.
    pub fn resolve(&self, raw: &Properties) -> Result<Resolved, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let mut answers = Vec::new();
        for (name, paths) in raw.variable_requests() {
            let Some(provider) = self.providers.get(&name) else {
                continue;
            };
            for (path, keys) in paths {
                match ask(&*provider.plugin, &path, &keys) {
                    Ok((data, ttl)) => answers.push(Answer {
                        provider: name.clone(),
                        path,
                        keys,
                        data,
                        ttl,
                        look_every: provider.look_every,
                    }),
                    Err(message) => {
                        for key in keys_that_ask(raw, &name, &path) {
                            errors.add(key, about(&name, &path, &message));
                        }
                    }
                }
            }
        }
        for answer in &answers {
            for (key, value) in &answer.data {
                self.secrets.add(&reference(answer, key), value);
            }
        }
        let answer_to = |variable: &Variable<'_>| {
            answers
                .iter()
                .find(|it| it.provider == variable.provider && it.path == variable.path)
        };
        let properties =
            raw.substituted(|variable| answer_to(variable)?.data.get(variable.key).cloned());
        for (key, value) in raw.iter() {
            if let (Some(raw), Some(resolved)) = (value, properties.get(key))
                && raw != resolved
            {
                self.secrets.add_whole(raw, resolved);
            }
        }
        let mut warnings = Vec::new();
        for (key, value) in raw.iter() {
            for variable in value.into_iter().flat_map(variables) {
                if let Some(answer) = answer_to(&variable)
                    && !answer.data.contains_key(variable.key)
                {
                    warnings.push(format!(
                        "\"{key}\" refers to {}, which the config provider does not know: the text stays as it is \
                         written",
                        reference(answer, variable.key)
                    ));
                }
            }
        }
        errors.into_result(Resolved {
            properties,
            warnings,
            answers,
        })
    }

    /// Asks the same question again. Blocks while the provider reads.
    ///
    /// Fails: with what the provider says.
    pub fn ask_again(&self, question: &Answer) -> Result<BTreeMap<String, String>, String> {
        match self.providers.get(&question.provider) {
            Some(provider) => {
                ask(&*provider.plugin, &question.path, &question.keys).map(|(data, _)| data)
            }
            None => Ok(BTreeMap::new()),
        }
    }
}

/// The keys of a configuration whose values have references.
pub fn references_of(raw: &Properties) -> Properties {
    raw.iter()
        .filter(|(_, value)| value.is_some_and(|text| variables(text).next().is_some()))
        .collect()
}

/// What a task's context answers to `configs`: the task's configuration, references resolved anew.
pub struct TaskConfig {
    config: Properties,
    /// Of keys that the connector has passed on to its task as they were.
    references: Properties,
    providers: Arc<ConfigProviders>,
}

impl TaskConfig {
    /// `resolved` is the connector's configuration, and `references` what stood there before.
    pub fn new(
        config: Properties,
        resolved: &Properties,
        references: &Properties,
        providers: Arc<ConfigProviders>,
    ) -> Self {
        let passed_on = |key: &str| {
            let value = config.get(key);
            value.is_some() && value == resolved.get(key)
        };
        Self {
            references: references
                .iter()
                .filter(|(key, _)| passed_on(key))
                .collect(),
            config,
            providers,
        }
    }

    /// Blocks while providers read. When they cannot, the values are those that the task was started with, and
    /// a warning says so.
    pub fn fresh(&self) -> Properties {
        let mut fresh = self.config.clone();
        if !self.references.is_empty() {
            match self.providers.resolve(&self.references) {
                Ok(resolved) => fresh.merge(&resolved.properties),
                Err(errors) => warn!("the task gets the values that it was started with: {errors}"),
            }
        }
        fresh
    }
}

fn new_provider(
    worker: &Properties,
    plugins: &Plugins,
    name: &str,
) -> Result<Provider, ConfigErrors> {
    let class_key = format!("config.providers.{name}.class");
    let Some(class) = worker.get(&class_key) else {
        let message =
            format!("Missing required configuration \"{class_key}\" which has no default value.");
        return Err(ConfigErrors::of(class_key, message));
    };
    let mut plugin = plugins.new_config_provider(class.trim()).map_err(|there| {
        let message = format!(
            "Invalid value {class} for configuration {class_key}: Could not load config provider class or one of its \
             dependencies; {there}"
        );
        ConfigErrors::of(class_key, message)
    })?;
    let prefix = format!("config.providers.{name}.param.");
    let parameters = worker.originals_with_prefix(&prefix);
    let interval = ConfigDef::new()
        .define(
            RELOAD_INTERVAL_MS
                .default(0i64)
                .validator(Validator::at_least(0)),
        )
        .parse(&parameters)
        .map_err(|errors| {
            let mut prefixed = ConfigErrors::new();
            for (key, messages) in errors.iter() {
                for message in messages {
                    prefixed.add(format!("{prefix}{key}"), message);
                }
            }
            prefixed
        })?
        .get(RELOAD_INTERVAL_MS);
    plugin
        .configure(&parameters)
        .map_err(|error| ConfigErrors::of(format!("{prefix}*"), error.to_string()))?;
    let look_every = u64::try_from(interval).unwrap_or(0);
    Ok(Provider {
        plugin,
        look_every: (look_every > 0).then(|| Duration::from_millis(look_every)),
    })
}

type Data = (BTreeMap<String, String>, Option<Duration>);

fn ask(plugin: &dyn ConfigProvider, path: &str, keys: &BTreeSet<String>) -> Result<Data, String> {
    let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut answer = plugin
        .get(path, Some(&asked))
        .map_err(|error| error.to_string())?;
    // A provider may say more than it was asked.
    answer.data.retain(|key, _| keys.contains(key));
    Ok((answer.data, answer.ttl))
}

fn keys_that_ask<'a>(raw: &'a Properties, provider: &str, path: &str) -> Vec<&'a str> {
    let asks = |text| variables(text).any(|it| it.provider == provider && it.path == path);
    let entries = raw.iter().filter(|(_, value)| value.is_some_and(asks));
    entries.map(|(key, _)| key).collect()
}

/// A provider's message with its name and the path, if it does not say them itself.
fn about(provider: &str, path: &str, message: &str) -> String {
    match path {
        "" => format!("{message} (provider={provider})"),
        path => format!("{message} (provider={provider} path={path})"),
    }
}

/// As it stands in a configuration.
fn reference(answer: &Answer, key: &str) -> String {
    match (answer.provider.as_str(), answer.path.as_str()) {
        (provider, "") => format!("${{{provider}:{key}}}"),
        (provider, path) => format!("${{{provider}:{path}:{key}}}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use connect_api::{ConfigData, ConnectError, Result};

    /// Knows `a=s3cret-a` and `b=s3cret-b` under every path, has a TTL under `/ttl`, fails under `/fail`.
    #[derive(Default)]
    pub struct Scripted;

    impl ConfigProvider for Scripted {
        fn configure(&mut self, configs: &Properties) -> Result<()> {
            match configs.get("bad") {
                Some(value) => Err(ConnectError::config(format!(
                    "Path {value} is not absolute"
                ))),
                None => Ok(()),
            }
        }

        fn get(&self, path: &str, _: Option<&[&str]>) -> Result<ConfigData> {
            if path == "/fail" {
                return Err(ConnectError::config(
                    "Could not read properties from file /fail",
                ));
            }
            let data = [("a", "s3cret-a"), ("b", "s3cret-b"), ("n", "${s:a}")];
            Ok(ConfigData {
                data: data.map(|(key, value)| (key.into(), value.into())).into(),
                ttl: (path == "/ttl").then(|| Duration::from_millis(5)),
            })
        }
    }

    pub fn providers(worker: &str) -> std::result::Result<ConfigProviders, ConfigErrors> {
        let mut plugins = Plugins::default();
        plugins.config_provider("test.ScriptedConfigProvider", || Box::<Scripted>::default());
        let worker = Properties::from_text(worker).unwrap();
        ConfigProviders::new(&worker, &plugins, Secrets::default())
    }

    #[test]
    fn a_task_reads_fresh_values_of_what_was_passed_on() {
        let providers = Arc::new(providers(ONE).unwrap());
        let resolved = [("same", "old"), ("changed", "old"), ("plain", "x")];
        let raw = [("same", "${s:a}"), ("changed", "${s:a}"), ("plain", "x")];
        let mut references = references_of(&Properties::from_iter(raw));
        assert_eq!(references.len(), 2);
        let task = [
            ("same", "old"),
            ("changed", "by the connector"),
            ("plain", "x"),
        ];
        let task = Properties::from_iter(task);
        let fresh = |references: &Properties| {
            let resolved = Properties::from_iter(resolved);
            TaskConfig::new(task.clone(), &resolved, references, providers.clone()).fresh()
        };
        let mut expected = task.clone();
        expected.set("same", "s3cret-a");
        assert!(fresh(&references) == expected);
        // Not to be had now.
        references.set("same", "${s:/fail:a}");
        assert!(fresh(&references) == task);
    }

    const ONE: &str = "config.providers=s\nconfig.providers.s.class=Scripted\n";

    /// What Apache Kafka 4.3.1 makes of them, with the providers of this test.
    #[test]
    fn references_are_resolved_as_in_java() {
        let providers = providers(ONE).unwrap();
        for (value, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${s:/x:a}", "s3cret-a"),
            ("${s:b}", "s3cret-b"),
            ("x${s:/x:a}-${s:/y:b}y", "xs3cret-a-s3cret-by"),
            ("${s:/x:none}", "${s:/x:none}"),
            ("${other:/x:a}", "${other:/x:a}"),
            ("${topic}", "${topic}"),
            // One pass: an answer is not searched for references.
            ("${s:n}", "${s:a}"),
        ] {
            let raw = Properties::from_iter([("k", value)]);
            let resolved = providers.resolve(&raw).unwrap();
            assert_eq!(resolved.properties.get("k"), Some(expected), "{value}");
            let unknown = value == "${s:/x:none}";
            assert_eq!(resolved.warnings.len(), usize::from(unknown), "{value}");
        }
    }

    #[test]
    fn questions_are_kept_with_their_answers_and_values_are_secrets() {
        let interval = "config.providers.s.param.millstream.reload.interval.ms=70";
        let providers = providers(&format!("{ONE}{interval}")).unwrap();
        let raw = Properties::from_iter([("k", "${s:/ttl:a} ${s:/ttl:none}"), ("l", "${s:a}")]);
        let resolved = providers.resolve(&raw).unwrap();
        let shown: Vec<String> = resolved
            .answers
            .iter()
            .map(|it| {
                let (data, keys) = (it.data.len(), it.keys.len());
                let path = &it.path;
                format!(
                    "{path} {data} of {keys} ttl={:?} look={:?}",
                    it.ttl, it.look_every
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                " 1 of 1 ttl=None look=Some(70ms)",
                "/ttl 1 of 2 ttl=Some(5ms) look=Some(70ms)"
            ]
        );
        assert_eq!(providers.secrets().hide("is s3cret-a"), "is ${s:a}");
        assert_eq!(
            resolved.warnings,
            [
                "\"k\" refers to ${s:/ttl:none}, which the config provider does not know: the text stays as it is \
                 written"
            ]
        );
    }

    #[test]
    fn what_a_provider_refuses_names_keys_provider_and_path() {
        let providers = providers(ONE).unwrap();
        let raw = Properties::from_iter([("k", "${s:/fail:a}"), ("l", "x${s:/fail:b}"), ("m", "")]);
        let errors = providers.resolve(&raw).err().unwrap();
        assert_eq!(
            errors.to_string(),
            "configuration is invalid, 2 errors:\n  \
             k: Could not read properties from file /fail (provider=s path=/fail)\n  \
             l: Could not read properties from file /fail (provider=s path=/fail)"
        );
    }

    #[test]
    fn what_is_wrong_with_the_list_of_providers() {
        for (worker, expected) in [
            ("", ""),
            ("config.providers=", ""),
            (
                "config.providers= s , s\nconfig.providers.s.class= test.ScriptedConfigProvider ",
                "",
            ),
            (
                "config.providers=s",
                "Missing required configuration \"config.providers.s.class\" which has no default value.",
            ),
            (
                "config.providers=s\nconfig.providers.s.class=NoSuch",
                "Invalid value NoSuch for configuration config.providers.s.class: Could not load config provider \
                 class or one of its dependencies; available config providers are: test.ScriptedConfigProvider",
            ),
            (
                "config.providers=s\nconfig.providers.s.class=Scripted\nconfig.providers.s.param.bad=rel",
                "Path rel is not absolute",
            ),
            (
                "config.providers=s\nconfig.providers.s.class=Scripted\n\
                 config.providers.s.param.millstream.reload.interval.ms=-1",
                "Invalid value -1 for configuration millstream.reload.interval.ms: Value must be at least 0",
            ),
        ] {
            let messages = match providers(worker) {
                Ok(_) => String::new(),
                Err(errors) => errors.messages().collect::<Vec<_>>().join("; "),
            };
            assert_eq!(messages, expected, "{worker}");
        }
    }
}
