//! Aiven's transforms that people install most, under their class names.
//!
//! Lives here: one file per transform.
//! Source: `transforms-for-apache-kafka-connect` of Aiven-Open, messages included.

mod concat_fields;
mod extract_timestamp;
mod extract_topic;
mod filter_by_field_value;
mod hash;
mod make_tombstone;
mod tombstone_handler;

use crate::operate::Part;
use crate::registry::MakeTransformation;
use connect_api::ConnectRecord;
use connect_api::data::Schema;

/// Transforms of keys and of values, `Class$Key` and `Class$Value`, and then those of whole records.
macro_rules! transformations {
    ($($class:literal => $transform:path,)* ; $($of_records:tt)*) => {
        &[
            $((
                concat!("io.aiven.kafka.connect.transforms.", $class, "$Key"),
                || Box::new(<$transform>::new(Part::Key)),
            ),
            (
                concat!("io.aiven.kafka.connect.transforms.", $class, "$Value"),
                || Box::new(<$transform>::new(Part::Value)),
            ),)*
            $($of_records)*
        ]
    };
}

/// Class name and constructor of each.
pub(crate) const TRANSFORMATIONS: &[(&str, MakeTransformation)] = transformations! {
    "ExtractTimestamp" => extract_timestamp::ExtractTimestamp,
    "ExtractTopic" => extract_topic::ExtractTopic,
    "Hash" => hash::Hash,
    "ConcatFields" => concat_fields::ConcatFields,
    "FilterByFieldValue" => filter_by_field_value::FilterByFieldValue,
    ;
    ("io.aiven.kafka.connect.transforms.TombstoneHandler", || {
        Box::<tombstone_handler::TombstoneHandler>::default()
    }),
    ("io.aiven.kafka.connect.transforms.MakeTombstone", || Box::new(make_tombstone::MakeTombstone)),
};

/// What messages call the part of a record.
fn name_of(part: Part) -> &'static str {
    match part {
        Part::Key => "key",
        Part::Value => "value",
    }
}

fn schema_of(part: Part, record: &ConnectRecord) -> Option<&Schema> {
    match part {
        Part::Key => record.key_schema.as_ref(),
        Part::Value => record.value_schema.as_ref(),
    }
}

/// `String.isBlank`: the white space of Java, to which the blanks that do not break lines do not belong.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| match c {
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{85}' => false,
        '\u{1c}'..='\u{1f}' => true,
        c => c.is_whitespace(),
    })
}
