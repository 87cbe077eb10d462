//! The transforms of a connector, one after the other, each guarded by its predicate.
//!
//! Lives here: reading `transforms` and `predicates` of a configuration into a chain, and running it over a record.
//! Lives elsewhere: the transforms (`connect_transforms`), their keys in a form (`connector_def`), what becomes of a
//! record that fails (`errors`).
//! Never here: I/O, a retry.
//! Source: `TransformationChain`, `TransformationStage`, `ConnectorConfig.transformationStages` of Apache Kafka 4.3.

use crate::connector_config::{PREDICATES, TRANSFORMS};
use crate::plugins::Plugins;
use connect_api::{
    ConnectError, ConnectRecord, Origin, Outcome, Predicate, Result, Transformation,
};
use connect_config::{ConfigDef, ConfigErrors, Key, Properties};

/// Prefix of a transform's keys, before its alias.
pub const TRANSFORMS_PREFIX: &str = "transforms.";
/// Prefix of a predicate's keys, before its alias.
pub const PREDICATES_PREFIX: &str = "predicates.";
/// Which predicate guards a transform.
pub const PREDICATE: Key<Option<String>> = Key::new("predicate");
/// Whether the transform applies where its predicate does not.
pub const NEGATE: Key<bool> = Key::new("negate");

/// The chain of one task.
#[derive(Default)]
pub struct TransformationChain {
    stages: Vec<TransformationStage>,
}

/// One transform with its predicate.
pub struct TransformationStage {
    alias: String,
    class: &'static str,
    transformation: Box<dyn Transformation>,
    guard: Option<Guard>,
}

struct Guard {
    predicate: Box<dyn Predicate>,
    negate: bool,
}

/// What a stage did with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The transform ran; the record goes on.
    Transformed,
    /// The predicate said no; the record goes on as it was.
    PassedBy,
    /// The record goes no further.
    Dropped,
}

/// A record that a stage could not handle.
#[derive(Debug)]
pub struct StageError {
    /// Which stage, from 0: where to go on when it is tried again.
    pub stage: usize,
    /// Of the transform, also when its predicate failed.
    pub class: &'static str,
    pub error: ConnectError,
}

impl TransformationChain {
    /// Makes and configures every transform and predicate that the configuration names.
    ///
    /// Fails: with the full name of every key that is wrong, `transforms.mask.fields` for example.
    pub fn new(plugins: &Plugins, config: &Properties) -> Result<Self, ConfigErrors> {
        let parsed = ConfigDef::new()
            .define(TRANSFORMS.default(Vec::<String>::new()))
            .define(PREDICATES.default(Vec::<String>::new()))
            .parse(config)?;
        let mut errors = ConfigErrors::new();
        let mut stages = Vec::new();
        for alias in parsed.get(TRANSFORMS) {
            match TransformationStage::new(plugins, config, alias) {
                Ok(stage) => stages.push(stage),
                Err(more) => errors.merge(more),
            }
        }
        match errors.is_empty() {
            true => Ok(Self { stages }),
            false => Err(errors),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The stages in their order, to be run one by one.
    pub fn stages_mut(&mut self) -> &mut [TransformationStage] {
        &mut self.stages
    }

    /// Runs the stages from number `first` on, until one drops the record or fails.
    pub fn apply(
        &mut self,
        first: usize,
        record: &mut ConnectRecord,
        origin: Origin<'_>,
    ) -> Result<Outcome, StageError> {
        for (number, stage) in self.stages.iter_mut().enumerate().skip(first) {
            match stage.apply(record, origin) {
                Ok(Applied::Dropped) => return Ok(Outcome::Drop),
                Ok(Applied::Transformed | Applied::PassedBy) => {}
                Err(error) => {
                    return Err(StageError {
                        stage: number,
                        class: stage.class,
                        error,
                    });
                }
            }
        }
        Ok(Outcome::Keep)
    }
}

impl TransformationStage {
    fn new(plugins: &Plugins, config: &Properties, alias: String) -> Result<Self, ConfigErrors> {
        let prefix = format!("{TRANSFORMS_PREFIX}{alias}.");
        let (class, make) = plugins.transformation_of(config, &format!("{prefix}type"))?;
        let mut settings = config.originals_with_prefix(&prefix);
        let guard = Guard::new(plugins, config, &prefix, &settings)?;
        // They are the chain's, whatever the transform may call its own.
        for own in [PREDICATE.name(), NEGATE.name(), "type"] {
            settings.remove(own);
        }
        let mut transformation = make();
        transformation.configure(&settings).map_err(|error| {
            ConfigErrors::of(format!("{TRANSFORMS_PREFIX}{alias}"), error.to_string())
        })?;
        Ok(Self {
            alias,
            class,
            transformation,
            guard,
        })
    }

    /// The name that the configuration gives it.
    pub fn alias(&self) -> &str {
        &self.alias
    }

    /// The full Java class name.
    pub fn class(&self) -> &'static str {
        self.class
    }

    pub fn apply(&mut self, record: &mut ConnectRecord, origin: Origin<'_>) -> Result<Applied> {
        if let Some(guard) = &mut self.guard
            && guard.predicate.test(record)? == guard.negate
        {
            return Ok(Applied::PassedBy);
        }
        Ok(match self.transformation.apply(record, origin)? {
            Outcome::Keep => Applied::Transformed,
            Outcome::Drop => Applied::Dropped,
        })
    }
}

impl Guard {
    fn new(
        plugins: &Plugins,
        config: &Properties,
        prefix: &str,
        settings: &Properties,
    ) -> Result<Option<Self>, ConfigErrors> {
        let parsed = guard_def()
            .parse(settings)
            .map_err(|errors| errors.under(prefix))?;
        let Some(alias) = parsed.get(PREDICATE) else {
            if settings.get(NEGATE.name()).is_some() {
                return Err(ConfigErrors::of(
                    format!("{prefix}type"),
                    negate_alone(prefix),
                ));
            }
            return Ok(None);
        };
        let prefix = format!("{PREDICATES_PREFIX}{alias}.");
        let (_, make) = plugins.predicate_of(config, &format!("{prefix}type"))?;
        let mut settings = config.originals_with_prefix(&prefix);
        settings.remove("type");
        let mut predicate = make();
        predicate.configure(&settings).map_err(|error| {
            ConfigErrors::of(format!("{PREDICATES_PREFIX}{alias}"), error.to_string())
        })?;
        Ok(Some(Self {
            predicate,
            negate: parsed.get(NEGATE),
        }))
    }
}

/// The keys that every transform has besides its own.
pub fn guard_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            PREDICATE
                .default_null()
                .doc("Alias of the predicate that says whether the transform applies to a record."),
        )
        .define(
            NEGATE.default(false).doc(
                "Whether the transform applies to the records for which its predicate says no.",
            ),
        )
}

/// Java's message.
pub fn negate_alone(prefix: &str) -> String {
    format!(
        "Config '{prefix}negate' was provided but there is no config '{prefix}predicate' defining a predicate to be \
         negated."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_api::ErrorKind;
    use connect_api::data::Value;

    /// Appends a text to the value; `drop` drops the record, `fail` fails.
    #[derive(Default)]
    struct Append(String);

    impl Transformation for Append {
        fn config_def(&self) -> ConfigDef {
            ConfigDef::new()
        }

        fn configure(&mut self, configs: &Properties) -> Result<()> {
            assert!(configs.get("predicate").is_none() && configs.get("negate").is_none());
            let text = configs.get("text");
            let text = text.ok_or_else(|| ConnectError::config("no text"))?;
            self.0 = text.to_string();
            Ok(())
        }

        fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
            match self.0.as_str() {
                "drop" => return Ok(Outcome::Drop),
                "fail" => return Err(ConnectError::data("told to")),
                _ => {}
            }
            let before = record.value.as_str().unwrap_or_default();
            record.value = Value::from(format!("{before}{}", self.0));
            Ok(Outcome::Keep)
        }
    }

    /// Whether the topic is the one named.
    #[derive(Default)]
    struct IsTopic(String);

    impl Predicate for IsTopic {
        fn config_def(&self) -> ConfigDef {
            ConfigDef::new()
        }

        fn configure(&mut self, configs: &Properties) -> Result<()> {
            self.0 = configs.get("topic").unwrap_or_default().to_string();
            Ok(())
        }

        fn test(&mut self, record: &ConnectRecord) -> Result<bool> {
            Ok(*record.topic == *self.0)
        }
    }

    fn plugins() -> Plugins {
        let mut plugins = Plugins::default();
        plugins
            .transformation("com.example.Append", || Box::<Append>::default())
            .transformation("com.example.Both$Key", || Box::<Append>::default())
            .transformation("com.example.Both$Value", || Box::<Append>::default())
            .predicate("com.example.IsTopic", || Box::<IsTopic>::default());
        plugins
    }

    /// What becomes of a record `v` on topic `t`, or what is wrong with the configuration.
    #[track_caller]
    fn check(config: &str, expected: &str) {
        let config = config.replace("; ", "\n");
        let config = Properties::from_text(&config).expect("properties");
        let actual = match TransformationChain::new(&plugins(), &config) {
            Err(errors) => {
                let errors = errors.iter();
                let errors = errors.map(|(key, messages)| format!("{key}: {}", messages.join("|")));
                errors.collect::<Vec<_>>().join("; ")
            }
            Ok(mut chain) => {
                let mut record = ConnectRecord::new("t", None, "v");
                let origin = Origin::Source {
                    partition: None,
                    offset: None,
                };
                match chain.apply(0, &mut record, origin) {
                    Ok(Outcome::Keep) => record.value.as_str().unwrap_or_default().to_string(),
                    Ok(Outcome::Drop) => "dropped".to_string(),
                    Err(failed) => {
                        assert_eq!(failed.error.kind(), ErrorKind::Data);
                        format!("{} failed", failed.class)
                    }
                }
            }
        };
        assert_eq!(actual, expected, "{config:?}");
    }

    const A: &str = "transforms.a.type=Append; transforms.a.text=1";
    const B: &str = "transforms.b.type=com.example.Append; transforms.b.text=2";

    #[test]
    fn stages_run_in_their_order() {
        check("transforms=", "v");
        check(&format!("transforms=a,b; {A}; {B}"), "v12");
        check(&format!("transforms=b,a; {A}; {B}"), "v21");
        check(
            &format!(
                "transforms=a,d,b; {A}; {B}; transforms.d.type=Append; transforms.d.text=drop"
            ),
            "dropped",
        );
        check(
            &format!("transforms=f,b; {B}; transforms.f.type=Append; transforms.f.text=fail"),
            "com.example.Append failed",
        );
    }

    #[test]
    fn a_predicate_guards_its_stage() {
        let p = "predicates=p; predicates.p.type=IsTopic; predicates.p.topic=t";
        let other = "predicates=p; predicates.p.type=IsTopic; predicates.p.topic=u";
        let guarded = format!("transforms=a,b; {A}; {B}; transforms.a.predicate=p");
        check(&format!("{guarded}; {p}"), "v12");
        check(&format!("{guarded}; {other}"), "v2");
        check(&format!("{guarded}; {p}; transforms.a.negate=true"), "v2");
        check(
            &format!("{guarded}; {other}; transforms.a.negate=true"),
            "v12",
        );
    }

    #[test]
    fn every_bad_key_is_named_with_its_prefix() {
        check(
            "transforms=a,b; transforms.b.type=Nope",
            "transforms.a.type: Missing required configuration \"transforms.a.type\" which has no default value.; \
             transforms.b.type: Invalid value Nope for configuration transforms.b.type: Class Nope could not be found.",
        );
        check(
            "transforms=a; transforms.a.type=com.example.IsTopic",
            "transforms.a.type: Class class com.example.IsTopic does not implement the Transformation interface",
        );
        check(
            "transforms=a; transforms.a.type=com.example.Both",
            "transforms.a.type: This class is abstract and cannot be created. Did you mean com.example.Both$Key, \
             com.example.Both$Value?",
        );
        // Both nested classes have the simple name `Value` or `Key`: only full names tell them apart.
        check(
            "transforms=a; transforms.a.type=Both$Key",
            "transforms.a.type: Invalid value Both$Key for configuration transforms.a.type: Class Both$Key could not be \
             found.",
        );
        check(
            "transforms=a; transforms.a.type=Append",
            "transforms.a: no text",
        );
        check(
            &format!("transforms=a; {A}; transforms.a.negate=true"),
            "transforms.a.type: Config 'transforms.a.negate' was provided but there is no config 'transforms.a.predicate' \
             defining a predicate to be negated.",
        );
        check(
            &format!("transforms=a; {A}; transforms.a.predicate=p"),
            "predicates.p.type: Missing required configuration \"predicates.p.type\" which has no default value.",
        );
        check(
            &format!("transforms=a; {A}; transforms.a.predicate=p; transforms.a.negate=maybe"),
            "transforms.a.negate: Invalid value maybe for configuration negate: Expected value to be either true or false",
        );
    }
}
