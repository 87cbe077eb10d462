//! Which plugins there are and by which names a configuration finds them.
//!
//! Lives here: the registry, filled by the binary, one line per plugin.
//! Never here: a plugin.

use connect_api::{
    ConfigProvider, Connector, Converter, HeaderConverter, Plugin, Predicate, SinkConnector,
    SourceConnector, Transformation,
};
use connect_config::{ConfigErrors, Properties};
use std::collections::BTreeMap;

/// Everything that configurations can name.
#[derive(Default)]
pub struct Plugins {
    connectors: Registry<ConnectorMaker>,
    converters: Registry<fn() -> Box<dyn Converter>>,
    header_converters: Registry<fn() -> Box<dyn HeaderConverter>>,
    transformations: Registry<MakeTransformation>,
    predicates: Registry<MakePredicate>,
    config_providers: Registry<fn() -> Box<dyn ConfigProvider>>,
}

type Registry<T> = BTreeMap<&'static str, T>;

pub type MakeTransformation = fn() -> Box<dyn Transformation>;
pub type MakePredicate = fn() -> Box<dyn Predicate>;

#[derive(Clone, Copy)]
enum ConnectorMaker {
    Source(fn() -> Box<dyn SourceConnector>),
    Sink(fn() -> Box<dyn SinkConnector>),
}

/// A connector of either direction.
pub enum AnyConnector {
    Source(Box<dyn SourceConnector>),
    Sink(Box<dyn SinkConnector>),
}

impl AnyConnector {
    pub fn as_connector(&mut self) -> &mut dyn Connector {
        match self {
            Self::Source(connector) => &mut **connector,
            Self::Sink(connector) => &mut **connector,
        }
    }

    pub fn task_class(&self) -> &'static str {
        match self {
            Self::Source(connector) => connector.task_class(),
            Self::Sink(connector) => connector.task_class(),
        }
    }
}

impl Plugins {
    pub fn source<C: SourceConnector + Plugin + Default + 'static>(&mut self) -> &mut Self {
        self.connectors
            .insert(C::CLASS, ConnectorMaker::Source(|| Box::<C>::default()));
        self
    }

    pub fn sink<C: SinkConnector + Plugin + Default + 'static>(&mut self) -> &mut Self {
        self.connectors
            .insert(C::CLASS, ConnectorMaker::Sink(|| Box::<C>::default()));
        self
    }

    pub fn converter(
        &mut self,
        class: &'static str,
        make: fn() -> Box<dyn Converter>,
    ) -> &mut Self {
        self.converters.insert(class, make);
        self
    }

    pub fn header_converter(
        &mut self,
        class: &'static str,
        make: fn() -> Box<dyn HeaderConverter>,
    ) -> &mut Self {
        self.header_converters.insert(class, make);
        self
    }

    pub fn transformation(&mut self, class: &'static str, make: MakeTransformation) -> &mut Self {
        self.transformations.insert(class, make);
        self
    }

    pub fn predicate(&mut self, class: &'static str, make: MakePredicate) -> &mut Self {
        self.predicates.insert(class, make);
        self
    }

    /// The transform that a key names, with its full class name.
    ///
    /// Fails: with Java's message under that key.
    pub fn transformation_of(
        &self,
        config: &Properties,
        key: &str,
    ) -> Result<(&'static str, MakeTransformation), ConfigErrors> {
        self.named_by(config, key, &self.transformations, "Transformation")
    }

    /// The predicate that a key names, as [`Self::transformation_of`].
    pub fn predicate_of(
        &self,
        config: &Properties,
        key: &str,
    ) -> Result<(&'static str, MakePredicate), ConfigErrors> {
        self.named_by(config, key, &self.predicates, "Predicate")
    }

    fn named_by<T: Copy>(
        &self,
        config: &Properties,
        key: &str,
        registry: &Registry<T>,
        kind: &str,
    ) -> Result<(&'static str, T), ConfigErrors> {
        let Some(name) = config.get(key).map(str::trim) else {
            let message =
                format!("Missing required configuration \"{key}\" which has no default value.");
            return Err(ConfigErrors::of(key, message));
        };
        if let Found::One(class, make) = find(registry, name, kind) {
            return Ok((class, make));
        }
        let nested = nested_classes(registry, name);
        let message = if !nested.is_empty() {
            format!(
                "This class is abstract and cannot be created. Did you mean {}?",
                nested.join(", ")
            )
        } else if let Some(class) = self.full_name(name) {
            format!("Class class {class} does not implement the {kind} interface")
        } else {
            format!(
                "Invalid value {name} for configuration {key}: Class {name} could not be found."
            )
        };
        Err(ConfigErrors::of(key, message))
    }

    /// Whether a name means a class: a plugin of any kind, or one in which plugins are nested.
    pub fn knows(&self, name: &str) -> bool {
        self.full_name(name).is_some() || !nested_classes(&self.transformations, name).is_empty()
    }

    /// The full name of a plugin of whatever kind.
    pub fn full_name(&self, name: &str) -> Option<&'static str> {
        fn class<T: Copy>(registry: &Registry<T>, name: &str, kind: &str) -> Option<&'static str> {
            match find(registry, name, kind) {
                Found::One(class, _) => Some(class),
                _ => None,
            }
        }
        class(&self.connectors, name, "Connector")
            .or_else(|| class(&self.converters, name, "Converter"))
            .or_else(|| class(&self.header_converters, name, "HeaderConverter"))
            .or_else(|| class(&self.transformations, name, "Transformation"))
            .or_else(|| class(&self.predicates, name, "Predicate"))
            .or_else(|| class(&self.config_providers, name, "ConfigProvider"))
    }

    pub fn config_provider(
        &mut self,
        class: &'static str,
        make: fn() -> Box<dyn ConfigProvider>,
    ) -> &mut Self {
        self.config_providers.insert(class, make);
        self
    }

    /// A new connector of that class.
    ///
    /// Fails: with Java's message and the names that there are.
    pub fn new_connector(&self, name: &str) -> Result<AnyConnector, String> {
        match find(&self.connectors, name, "Connector") {
            Found::One(_, ConnectorMaker::Source(make)) => Ok(AnyConnector::Source(make())),
            Found::One(_, ConnectorMaker::Sink(make)) => Ok(AnyConnector::Sink(make())),
            Found::None => Err(format!(
                "Failed to find any class that implements Connector and which name matches {name}, available connectors \
                 are: {}",
                list(&self.connectors)
            )),
            Found::Many(classes) => Err(format!(
                "More than one connector matches alias {name}. Please use full package and class name instead. Classes \
                 found: {}",
                classes.join(", ")
            )),
        }
    }

    /// A new converter, with its full class name.
    pub fn new_converter(&self, name: &str) -> Result<(&'static str, Box<dyn Converter>), String> {
        match find(&self.converters, name, "Converter") {
            Found::One(class, make) => Ok((class, make())),
            _ => Err(format!(
                "Class {name} could not be found. Available converters are: {}",
                list(&self.converters)
            )),
        }
    }

    /// As [`Self::new_converter`].
    pub fn new_header_converter(
        &self,
        name: &str,
    ) -> Result<(&'static str, Box<dyn HeaderConverter>), String> {
        match find(&self.header_converters, name, "HeaderConverter") {
            Found::One(class, make) => Ok((class, make())),
            _ => match find(&self.header_converters, name, "Converter") {
                Found::One(class, make) => Ok((class, make())),
                _ => Err(format!(
                    "Class {name} could not be found. Available header converters are: {}",
                    list(&self.header_converters)
                )),
            },
        }
    }

    /// A new config provider of that class, not configured yet.
    ///
    /// Fails: with the names that there are.
    pub fn new_config_provider(&self, name: &str) -> Result<Box<dyn ConfigProvider>, String> {
        match find(&self.config_providers, name, "ConfigProvider") {
            Found::One(_, make) => Ok(make()),
            _ => Err(format!(
                "available config providers are: {}",
                list(&self.config_providers)
            )),
        }
    }

    /// The full class names of all connectors.
    pub fn connector_classes(&self) -> impl Iterator<Item = &'static str> {
        self.connectors.keys().copied()
    }
}

enum Found<T> {
    One(&'static str, T),
    None,
    Many(Vec<&'static str>),
}

/// By the full name, the simple name, or the simple name without the suffix of its kind.
fn find<T: Copy>(registry: &Registry<T>, name: &str, suffix: &str) -> Found<T> {
    if let Some((class, make)) = registry.get_key_value(name) {
        return Found::One(class, *make);
    }
    let matching: Vec<_> = registry
        .iter()
        .filter(|(class, _)| {
            let simple = class.rsplit('.').next().unwrap_or(class);
            // Nested classes are called `Key` and `Value`, so that Java knows them by their full names only.
            !simple.contains('$') && (simple == name || simple.strip_suffix(suffix) == Some(name))
        })
        .collect();
    match matching[..] {
        [] => Found::None,
        [(class, make)] => Found::One(class, *make),
        _ => Found::Many(matching.into_iter().map(|(class, _)| *class).collect()),
    }
}

/// The classes that are nested in a class of this name, such as `Cast$Key` in `Cast`.
fn nested_classes<T>(registry: &Registry<T>, name: &str) -> Vec<&'static str> {
    let prefix = format!("{name}$");
    let nested = registry.keys().copied();
    nested.filter(|class| class.starts_with(&prefix)).collect()
}

fn list<T>(registry: &Registry<T>) -> String {
    registry.keys().copied().collect::<Vec<_>>().join(", ")
}
