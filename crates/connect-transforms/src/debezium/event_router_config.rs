//! The keys of the outbox router.
//!
//! Never here: a record.

use super::java_split::split;
use super::json_schema_data::JsonSchemaData;
use super::name_adjuster::{MODES, NameAdjuster};
use super::settings::{Check, Setting, Settings, java_trim};
use connect_api::data::Str;
use connect_api::{ConnectError, Result};
use connect_config::{ConfigType, Importance, JavaRegex, Properties};

const INVALID_OPERATION: &str = "table.op.invalid.behavior";
const PLACEMENT: &str = "table.fields.additional.placement";
const MISSING: &str = "table.field.additional.missing";
const NULLS: &str = "table.json.payload.null.behavior";
const EMPTY_ARRAYS: &str = "table.json.payload.empty.array.behavior";
const FIELD_NAMES: &str = "field.name.adjustment.mode";

const fn setting(
    name: &'static str,
    config_type: ConfigType,
    default: Option<&'static str>,
    checks: &'static [Check],
    doc: &'static str,
) -> Setting {
    Setting {
        name,
        config_type,
        default,
        checks,
        importance: Importance::Low,
        doc,
    }
}

// In Debezium's order: it decides which of several bad keys is named.
pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "table.field.event.id",
        ConfigType::String,
        Some("id"),
        &[],
        "Column with the id of the event, which becomes the header \"id\".",
    ),
    setting(
        "table.field.event.key",
        ConfigType::String,
        Some("aggregateid"),
        &[],
        "Column that becomes the key.",
    ),
    setting(
        "table.field.event.type",
        ConfigType::String,
        Some("type"),
        &[],
        "Column with the type of the event. Accepted as in Debezium, where it has no effect either.",
    ),
    setting(
        "table.field.event.payload",
        ConfigType::String,
        Some("payload"),
        &[],
        "Column that becomes the value.",
    ),
    setting(
        "table.field.event.timestamp",
        ConfigType::String,
        None,
        &[],
        "Column that becomes the timestamp; else it is the time at which the change was read.",
    ),
    setting(
        PLACEMENT,
        ConfigType::List,
        None,
        &[Check::PairsOrTrios],
        "More columns, as column:placement or column:placement:alias, where the placement is header, envelope or \
         partition. With an envelope the value becomes a struct of the payload and these columns.",
    ),
    setting(
        MISSING,
        ConfigType::String,
        Some("error"),
        &[Check::Enum(&["ignore", "error"])],
        "What a missing column of these is: error, or ignore.",
    ),
    setting(
        "table.field.event.schema.version",
        ConfigType::String,
        None,
        &[],
        "Column with the version of the value's schema; only with columns placed in an envelope.",
    ),
    setting(
        "route.by.field",
        ConfigType::String,
        Some("aggregatetype"),
        &[],
        "Column whose text decides the topic.",
    ),
    setting(
        "route.topic.regex",
        ConfigType::String,
        Some("(?<routedByValue>.*)"),
        &[Check::Regex],
        "Regular expression that this text must match as a whole; a text that does not is the topic itself.",
    ),
    setting(
        "route.topic.replacement",
        ConfigType::String,
        Some("outbox.event.${routedByValue}"),
        &[],
        "The topic; ${name} and $1 stand for groups of route.topic.regex.",
    ),
    setting(
        "route.tombstone.on.empty.payload",
        ConfigType::Boolean,
        Some("false"),
        &[Check::Boolean],
        "Whether a payload that is null or blank makes a tombstone.",
    ),
    setting(
        INVALID_OPERATION,
        ConfigType::String,
        Some("warn"),
        &[Check::Enum(&["warn", "error", "fatal"])],
        "What an update of the outbox is, which should not be: warn and error drop it and say so in the log, fatal fails.",
    ),
    setting(
        "table.expand.json.payload",
        ConfigType::Boolean,
        Some("false"),
        &[Check::Boolean],
        "Whether a payload that is JSON text becomes a struct.",
    ),
    setting(
        NULLS,
        ConfigType::String,
        Some("ignore"),
        &[Check::Enum(&["ignore", "optional_bytes"])],
        "What a null in such JSON is: left out (ignore), or a field of type bytes (optional_bytes).",
    ),
    setting(
        EMPTY_ARRAYS,
        ConfigType::String,
        Some("ignore"),
        &[Check::Enum(&["ignore", "optional_string"])],
        "What an empty array in such JSON is: left out (ignore), or an array of strings (optional_string).",
    ),
    setting(
        FIELD_NAMES,
        ConfigType::String,
        Some("none"),
        &[],
        "How names of members of such JSON are made fit: none, avro, avro_unicode.",
    ),
    setting(
        "tracing.span.context.field",
        ConfigType::String,
        Some("tracingspancontext"),
        &[],
        "Accepted for compatibility; there is no tracing.",
    ),
    setting(
        "tracing.operation.name",
        ConfigType::String,
        Some("debezium-read"),
        &[],
        "Accepted for compatibility; there is no tracing.",
    ),
    setting(
        "tracing.with.context.field.only",
        ConfigType::Boolean,
        Some("false"),
        &[],
        "Accepted for compatibility; there is no tracing.",
    ),
];

pub(super) struct Config {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) payload: String,
    pub(super) timestamp: Option<String>,
    pub(super) schema_version: Option<String>,
    pub(super) route_by_field: String,
    pub(super) topic_regex: JavaRegex,
    pub(super) topic_replacement: String,
    pub(super) placements: Vec<AdditionalField>,
    pub(super) has_envelope: bool,
    pub(super) missing_is_ignored: bool,
    pub(super) invalid_operation: InvalidOperation,
    pub(super) tombstone_on_empty: bool,
    pub(super) expands_json: bool,
    pub(super) json: JsonSchemaData,
}

/// A column and where it goes.
pub(super) struct AdditionalField {
    pub(super) column: String,
    /// `None`: an unknown word, which fails with the first event.
    pub(super) placement: Option<Placement>,
    pub(super) alias: Str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Placement {
    Header,
    Envelope,
    Partition,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum InvalidOperation {
    Warn,
    Error,
    Fatal,
}

impl Config {
    pub(super) fn parse(configs: &Properties) -> Result<Self> {
        let settings = Settings::new(SETTINGS, configs);
        settings.validate()?;
        let optional = |name: &str| settings.text(name).map(str::to_string);
        let text = |name: &str| optional(name).unwrap_or_default();
        let expands_json = settings.boolean("table.expand.json.payload");
        let names = settings.word(FIELD_NAMES);
        if expands_json && !MODES.contains(&names.as_str()) {
            return Err(ConnectError::config(format!(
                "{FIELD_NAMES} must be one of {}, got {names}",
                MODES.join(", ")
            )));
        }
        // Kafka's RegexRouter, which reads these two, trims them.
        let regex = text("route.topic.regex");
        let regex = JavaRegex::new(java_trim(&regex)).map_err(|cause| {
            ConnectError::config(format!(
                "Invalid value {regex} for configuration regex: Invalid regex: {}",
                cause.message()
            ))
        })?;
        let placements = placements(settings.text(PLACEMENT));
        Ok(Self {
            id: text("table.field.event.id"),
            key: text("table.field.event.key"),
            payload: text("table.field.event.payload"),
            timestamp: optional("table.field.event.timestamp"),
            schema_version: optional("table.field.event.schema.version"),
            route_by_field: text("route.by.field"),
            topic_regex: regex,
            topic_replacement: java_trim(&text("route.topic.replacement")).to_string(),
            has_envelope: placements
                .iter()
                .any(|field| field.placement == Some(Placement::Envelope)),
            placements,
            missing_is_ignored: settings.word(MISSING) == "ignore",
            invalid_operation: match settings.word(INVALID_OPERATION).as_str() {
                "fatal" => InvalidOperation::Fatal,
                "error" => InvalidOperation::Error,
                _ => InvalidOperation::Warn,
            },
            tombstone_on_empty: settings.boolean("route.tombstone.on.empty.payload"),
            expands_json,
            json: JsonSchemaData {
                nulls_are_bytes: settings.word(NULLS) == "optional_bytes",
                empty_arrays_are_strings: settings.word(EMPTY_ARRAYS) == "optional_string",
                adjuster: NameAdjuster::of_fields(&names),
            },
        })
    }
}

/// Entries were checked to have two or three parts.
fn placements(list: Option<&str>) -> Vec<AdditionalField> {
    let entries = list.map(|list| split(list, ',')).unwrap_or_default();
    let fields = entries.into_iter().map(|entry| {
        let parts: Vec<&str> = split(entry, ':').into_iter().map(java_trim).collect();
        let part = |at: usize| parts.get(at).copied().unwrap_or_default();
        AdditionalField {
            column: part(0).to_string(),
            placement: match part(1).to_lowercase().as_str() {
                "header" => Some(Placement::Header),
                "envelope" => Some(Placement::Envelope),
                "partition" => Some(Placement::Partition),
                _ => None,
            },
            alias: if parts.len() == 3 { part(2) } else { part(0) }.into(),
        }
    });
    fields.collect()
}
