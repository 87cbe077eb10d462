//! The list of converters by the names of the Java classes that they stand for.
//!
//! Lives here: the list. The names without package and without `Converter` are made from these by the
//! worker, as for every plugin.

use crate::{
    BooleanConverter, ByteArrayConverter, DoubleConverter, FloatConverter, IntegerConverter,
    JsonConverter, LongConverter, ShortConverter, SimpleHeaderConverter, StringConverter,
};
use crate::{boolean, byte_array, json, number, simple_header, string};
use connect_api::{Converter, HeaderConverter};
use connect_config::ConfigDef;

pub type MakeConverter = fn() -> Box<dyn Converter>;
pub type MakeHeaderConverter = fn() -> Box<dyn HeaderConverter>;

macro_rules! converters {
    ($($class:literal => $converter:ident, $config_def:path;)+) => {
        const CONVERTERS: &[(&str, MakeConverter)] =
            &[$(($class, || Box::new(<$converter>::new()))),+];

        const HEADER_CONVERTERS: &[(&str, MakeHeaderConverter)] = &[
            $(($class, || Box::new(<$converter>::new())),)+
            (SIMPLE_HEADER, || Box::new(SimpleHeaderConverter::new())),
        ];

        const CONFIG_DEFS: &[(&str, fn() -> ConfigDef)] = &[
            $(($class, $config_def),)+
            (SIMPLE_HEADER, simple_header::config_def),
        ];
    };
}

const SIMPLE_HEADER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

converters! {
    "org.apache.kafka.connect.json.JsonConverter" => JsonConverter, json::config_def;
    "org.apache.kafka.connect.storage.StringConverter" => StringConverter, string::config_def;
    "org.apache.kafka.connect.converters.ByteArrayConverter" => ByteArrayConverter, byte_array::config_def;
    "org.apache.kafka.connect.converters.ShortConverter" => ShortConverter, number::config_def;
    "org.apache.kafka.connect.converters.IntegerConverter" => IntegerConverter, number::config_def;
    "org.apache.kafka.connect.converters.LongConverter" => LongConverter, number::config_def;
    "org.apache.kafka.connect.converters.FloatConverter" => FloatConverter, number::config_def;
    "org.apache.kafka.connect.converters.DoubleConverter" => DoubleConverter, number::config_def;
    "org.apache.kafka.connect.converters.BooleanConverter" => BooleanConverter, boolean::config_def;
}

/// Converters of keys and values: class name and constructor.
pub fn converters() -> &'static [(&'static str, MakeConverter)] {
    CONVERTERS
}

/// Converters of headers.
pub fn header_converters() -> &'static [(&'static str, MakeHeaderConverter)] {
    HEADER_CONVERTERS
}

/// The keys that a converter of this room knows, by its class name.
pub fn config_def_of(class: &str) -> Option<ConfigDef> {
    let (_, config_def) = CONFIG_DEFS.iter().find(|(name, _)| *name == class)?;
    Some(config_def())
}
