//! Debezium's own transforms, under their class names.
//!
//! Lives here: one file per transform, and what only they share: change events ([`envelope`]), their way of
//! reading a configuration ([`settings`]), plans by schema ([`plans`]).
//! Never here: scripting (`Filter`, `ContentBasedRouter`), tracing and OpenLineage, which need a JVM or a service.
//! Source: Debezium 3.7.0.Final.

mod extract_new_record_state;

mod drop_fields;
mod envelope;
mod field_reference;
mod java_hash;
mod java_split;
mod pattern;
mod plans;
mod settings;

use crate::registry::MakeTransformation;

/// Class name and constructor of each.
pub(crate) const TRANSFORMATIONS: &[(&str, MakeTransformation)] = &[(
    "io.debezium.transforms.ExtractNewRecordState",
    || Box::<extract_new_record_state::ExtractNewRecordState>::default(),
)];
