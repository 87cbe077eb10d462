//! Debezium's own transforms, under their class names.
//!
//! Lives here: one file per transform, and what only they share: change events ([`envelope`]), their way of
//! reading a configuration ([`settings`]), plans by schema ([`plans`]).
//! Never here: scripting (`Filter`, `ContentBasedRouter`), tracing and OpenLineage, which need a JVM or a service.
//! Source: Debezium 3.7.0.Final.

mod event_router;
mod event_router_config;
mod extract_new_record_state;
mod to_logical_topic_router;

mod decode_logical_decoding_message_content;
mod enforce_record_size;
mod extract_changed_record_state;
mod extract_schema_to_new_record;
mod geometry_format_transformer;
mod header_to_value;
mod partition_routing;
mod schema_change_event_filter;
mod swap_geometry_coordinates;
mod timezone_converter;
mod vector_to_json_converter;

mod drop_fields;
mod envelope;
mod field_reference;
mod geometry_fields;
mod iso_time;
mod java_hash;
mod java_split;
mod json_schema_data;
mod murmur_hash3;
mod name_adjuster;
pub(crate) mod plans;
mod settings;
mod wkb;
mod zone;

use crate::registry::MakeTransformation;
use to_logical_topic_router::ToLogicalTopicRouter;

/// Class name and constructor of each.
pub(crate) const TRANSFORMATIONS: &[(&str, MakeTransformation)] = &[
    ("io.debezium.transforms.ExtractNewRecordState", || {
        Box::<extract_new_record_state::ExtractNewRecordState>::default()
    }),
    ("io.debezium.transforms.ByLogicalTableRouter", || {
        Box::new(ToLogicalTopicRouter::by_logical_table())
    }),
    ("io.debezium.transforms.ToLogicalTopicRouter", || {
        Box::new(ToLogicalTopicRouter::new())
    }),
    ("io.debezium.transforms.outbox.EventRouter", || {
        Box::<event_router::EventRouter>::default()
    }),
    ("io.debezium.transforms.HeaderToValue", || {
        Box::<header_to_value::HeaderToValue>::default()
    }),
    ("io.debezium.transforms.TimezoneConverter", || {
        Box::new(timezone_converter::TimezoneConverter::new())
    }),
    ("io.debezium.transforms.SchemaChangeEventFilter", || {
        Box::<schema_change_event_filter::SchemaChangeEventFilter>::default()
    }),
    ("io.debezium.transforms.ExtractChangedRecordState", || {
        Box::<extract_changed_record_state::ExtractChangedRecordState>::default()
    }),
    ("io.debezium.transforms.partitions.PartitionRouting", || {
        Box::<partition_routing::PartitionRouting>::default()
    }),
    ("io.debezium.transforms.VectorToJsonConverter", || {
        Box::<vector_to_json_converter::VectorToJsonConverter>::default()
    }),
    ("io.debezium.transforms.GeometryFormatTransformer", || {
        Box::new(geometry_format_transformer::GeometryFormatTransformer::new())
    }),
    ("io.debezium.transforms.SwapGeometryCoordinates", || {
        Box::new(swap_geometry_coordinates::SwapGeometryCoordinates::new())
    }),
    ("io.debezium.transforms.ExtractSchemaToNewRecord", || {
        Box::<extract_schema_to_new_record::ExtractSchemaToNewRecord>::default()
    }),
    ("io.debezium.transforms.EnforceRecordSize", || {
        Box::<enforce_record_size::EnforceRecordSize>::default()
    }),
    (
        "io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent",
        || {
            Box::<decode_logical_decoding_message_content::DecodeLogicalDecodingMessageContent>::default()
        },
    ),
];
