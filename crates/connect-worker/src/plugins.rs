//! Which plugins there are and by which names a configuration finds them.
//!
//! Lives here: the registry, filled by the binary, one line per plugin.
//! Never here: a plugin.

use connect_api::{
    ConfigProvider, Connector, Converter, HeaderConverter, Plugin, SinkConnector, SourceConnector,
};
use std::collections::BTreeMap;

/// Everything that configurations can name.
#[derive(Default)]
pub struct Plugins {
    connectors: Registry<ConnectorMaker>,
    converters: Registry<fn() -> Box<dyn Converter>>,
    header_converters: Registry<fn() -> Box<dyn HeaderConverter>>,
    config_providers: Registry<fn() -> Box<dyn ConfigProvider>>,
}

type Registry<T> = BTreeMap<&'static str, T>;

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
            Found::One(ConnectorMaker::Source(make)) => Ok(AnyConnector::Source(make())),
            Found::One(ConnectorMaker::Sink(make)) => Ok(AnyConnector::Sink(make())),
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

    /// A new converter of that class.
    pub fn new_converter(&self, name: &str) -> Result<Box<dyn Converter>, String> {
        match find(&self.converters, name, "Converter") {
            Found::One(make) => Ok(make()),
            _ => Err(format!(
                "Class {name} could not be found. Available converters are: {}",
                list(&self.converters)
            )),
        }
    }

    pub fn new_header_converter(&self, name: &str) -> Result<Box<dyn HeaderConverter>, String> {
        match find(&self.header_converters, name, "HeaderConverter") {
            Found::One(make) => Ok(make()),
            _ => match find(&self.header_converters, name, "Converter") {
                Found::One(make) => Ok(make()),
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
            Found::One(make) => Ok(make()),
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
    One(T),
    None,
    Many(Vec<&'static str>),
}

/// By the full name, the simple name, or the simple name without the suffix of its kind.
fn find<T: Copy>(registry: &Registry<T>, name: &str, suffix: &str) -> Found<T> {
    if let Some(make) = registry.get(name) {
        return Found::One(*make);
    }
    let matching: Vec<_> = registry
        .iter()
        .filter(|(class, _)| {
            let simple = class.rsplit('.').next().unwrap_or(class);
            simple == name || simple.strip_suffix(suffix) == Some(name)
        })
        .collect();
    match matching[..] {
        [] => Found::None,
        [(_, make)] => Found::One(*make),
        _ => Found::Many(matching.into_iter().map(|(class, _)| *class).collect()),
    }
}

fn list<T>(registry: &Registry<T>) -> String {
    registry.keys().copied().collect::<Vec<_>>().join(", ")
}
