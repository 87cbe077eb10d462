//! The list of transforms and predicates by the names of the Java classes that they stand for.
//!
//! Lives here: the list. Short names are made from these by the worker, as for every plugin.

use crate::cast::Cast;
use crate::drop_headers::DropHeaders;
use crate::extract_field::ExtractField;
use crate::filter::Filter;
use crate::flatten::Flatten;
use crate::header_from::HeaderFrom;
use crate::hoist_field::HoistField;
use crate::insert_field::InsertField;
use crate::insert_header::InsertHeader;
use crate::mask_field::MaskField;
use crate::operate::Part;
use crate::predicates::{HasHeaderKey, RecordIsTombstone, TopicNameMatches};
use crate::regex_router::RegexRouter;
use crate::replace_field::ReplaceField;
use crate::set_schema_metadata::SetSchemaMetadata;
use crate::timestamp_converter::TimestampConverter;
use crate::timestamp_router::TimestampRouter;
use crate::value_to_key::ValueToKey;
use connect_api::{Predicate, Transformation};

pub type MakeTransformation = fn() -> Box<dyn Transformation>;
pub type MakePredicate = fn() -> Box<dyn Predicate>;

/// A transform of keys and of values: `Class$Key` and `Class$Value`.
macro_rules! of_parts {
    ($class:literal, $transform:ident) => {
        [
            (
                concat!("org.apache.kafka.connect.transforms.", $class, "$Key"),
                || Box::new($transform::new(Part::Key)),
            ),
            (
                concat!("org.apache.kafka.connect.transforms.", $class, "$Value"),
                || Box::new($transform::new(Part::Value)),
            ),
        ]
    };
}

/// A transform of whole records.
macro_rules! of_record {
    ($class:literal, $transform:ident) => {
        [(
            concat!("org.apache.kafka.connect.transforms.", $class),
            || Box::new($transform::default()),
        )]
    };
}

const TRANSFORMATIONS: &[&[(&str, MakeTransformation)]] = &[
    &of_parts!("Cast", Cast),
    &of_record!("DropHeaders", DropHeaders),
    &of_parts!("ExtractField", ExtractField),
    &of_record!("Filter", Filter),
    &of_parts!("Flatten", Flatten),
    &of_parts!("HeaderFrom", HeaderFrom),
    &of_parts!("HoistField", HoistField),
    &of_parts!("InsertField", InsertField),
    &of_record!("InsertHeader", InsertHeader),
    &of_parts!("MaskField", MaskField),
    &of_record!("RegexRouter", RegexRouter),
    &of_parts!("ReplaceField", ReplaceField),
    &of_parts!("SetSchemaMetadata", SetSchemaMetadata),
    &of_parts!("TimestampConverter", TimestampConverter),
    &of_record!("TimestampRouter", TimestampRouter),
    &of_record!("ValueToKey", ValueToKey),
    crate::aiven::TRANSFORMATIONS,
    crate::confluent::TRANSFORMATIONS,
    crate::debezium::TRANSFORMATIONS,
];

const PREDICATES: &[(&str, MakePredicate)] = &[
    (
        "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
        || Box::new(HasHeaderKey::default()),
    ),
    (
        "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone",
        || Box::new(RecordIsTombstone),
    ),
    (
        "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        || Box::new(TopicNameMatches::default()),
    ),
];

/// Class name and constructor of every transform. A transform of keys and of values is there twice, as
/// `Class$Key` and `Class$Value`.
pub fn transformations() -> impl Iterator<Item = (&'static str, MakeTransformation)> {
    TRANSFORMATIONS.iter().flat_map(|list| list.iter().copied())
}

/// Class name and constructor of every predicate.
pub fn predicates() -> impl Iterator<Item = (&'static str, MakePredicate)> {
    PREDICATES.iter().copied()
}
