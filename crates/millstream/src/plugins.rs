//! The only list of plugins. A new one is a line here and a dependency.

use connect_worker::Plugins;

/// Everything that this program was built with.
pub fn plugins() -> Plugins {
    let mut plugins = Plugins::default();
    for (class, make) in connect_converters::converters() {
        plugins.converter(class, *make);
    }
    for (class, make) in connect_converters::header_converters() {
        plugins.header_converter(class, *make);
    }
    for (class, make) in connect_transforms::transformations() {
        plugins.transformation(class, make);
    }
    for (class, make) in connect_transforms::predicates() {
        plugins.predicate(class, make);
    }
    for (class, make) in connect_config_providers::config_providers() {
        plugins.config_provider(class, *make);
    }
    #[cfg(feature = "file")]
    plugins
        .source::<connector_file::FileStreamSourceConnector>()
        .sink::<connector_file::FileStreamSinkConnector>();
    plugins
}
