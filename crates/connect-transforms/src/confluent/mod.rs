//! Confluent's transforms that people install first, under their class names.
//!
//! Lives here: one file per transform, and the JSON paths that two of them take.
//! Source: Confluent's public documentation; their code is not public. Keys, their values and what they do are as
//! documented, messages are ours.

mod drop;
mod extract_topic;
mod filter;
mod message_timestamp_router;
mod tombstone_handler;
mod topic_regex_router;

mod json_path;

use crate::operate::Part;
use crate::registry::MakeTransformation;
use extract_topic::{ExtractTopic, Source};

/// Class name and constructor of each.
pub(crate) const TRANSFORMATIONS: &[(&str, MakeTransformation)] = &[
    ("io.confluent.connect.transforms.Filter$Key", || {
        Box::new(filter::Filter::new(Part::Key))
    }),
    ("io.confluent.connect.transforms.Filter$Value", || {
        Box::new(filter::Filter::new(Part::Value))
    }),
    ("io.confluent.connect.transforms.TombstoneHandler", || {
        Box::new(tombstone_handler::TombstoneHandler::new())
    }),
    ("io.confluent.connect.transforms.ExtractTopic$Key", || {
        Box::new(ExtractTopic::new(Source::Part(Part::Key)))
    }),
    ("io.confluent.connect.transforms.ExtractTopic$Value", || {
        Box::new(ExtractTopic::new(Source::Part(Part::Value)))
    }),
    (
        "io.confluent.connect.transforms.ExtractTopic$Header",
        || Box::new(ExtractTopic::new(Source::Header)),
    ),
    (
        "io.confluent.connect.transforms.MessageTimestampRouter",
        || Box::<message_timestamp_router::MessageTimestampRouter>::default(),
    ),
    ("io.confluent.connect.transforms.Drop$Key", || {
        Box::new(drop::Drop::new(Part::Key))
    }),
    ("io.confluent.connect.transforms.Drop$Value", || {
        Box::new(drop::Drop::new(Part::Value))
    }),
    (
        "io.confluent.connect.cloud.transforms.TopicRegexRouter",
        || Box::<topic_regex_router::TopicRegexRouter>::default(),
    ),
];

/// What messages call the part of a record.
fn name_of(part: Part) -> &'static str {
    match part {
        Part::Key => "key",
        Part::Value => "value",
    }
}
