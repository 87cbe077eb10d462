//! `outbox.EventRouter`: rows of an outbox table as the messages that they hold.
//!
//! Lives here: the order of the steps and the value that goes out.
//! Lives elsewhere: the keys (`event_router_config`), JSON payloads (`json_schema_data`).
//! Source: `EventRouterDelegate` of Debezium 3.7.0.Final. Its cache of schemas forgets the route: with envelope fields
//! all payloads of one schema get the name of the first route. Ours have their own.

use super::envelope::{
    AFTER, OPERATION, check_put_of, class_cast, index_of, index_of_type, is_envelope, no_field,
    require_struct,
};
use super::event_router_config::{Config, InvalidOperation, Placement, SETTINGS};
use super::json_schema_data::parse;
use super::plans::{PlanError, Planned, Plans, planned};
use super::settings::{config_def, java_trim};
use super::to_logical_topic_router::replaced;
use connect_api::data::{
    Headers, Schema, SchemaAndValue, SchemaBuilder, Str, Struct, Type, Value, java_text,
};
use connect_api::{
    ConnectError, ConnectRecord, Origin, Outcome, Result, TopicName, Transformation,
};
use connect_config::{ConfigDef, Properties};
use std::collections::HashMap;

/// Routes, and schemas of envelopes, that are remembered; when there are more, all are forgotten.
const REMEMBERED_MAX: usize = 4096;

#[derive(Default)]
pub(super) struct EventRouter {
    config: Option<Config>,
    plans: Plans<EventPlan>,
    topics: HashMap<Str, TopicName>,
    said: Said,
}

/// What is known of an envelope's schema.
struct EventPlan {
    operation: Planned<usize>,
    after: Option<usize>,
    timestamp: Planned<usize>,
    rows: Plans<RowPlan>,
}

/// What is known of a row's schema.
struct RowPlan {
    payload: Planned<usize>,
    timestamp: Option<Planned<TimestampPlan>>,
    id: Planned<usize>,
    key: Planned<usize>,
    route: Planned<usize>,
    version: Option<Planned<usize>>,
    /// In the order of the configuration; those that are missing and may be are left out.
    placements: Vec<Placed>,
    /// Value schemas by payload schema, then by route and version.
    values: Plans<HashMap<RouteAndVersion, Schema>>,
}

/// What a value schema is named after, and its version.
type RouteAndVersion = (Option<Str>, Option<i32>);

struct TimestampPlan {
    index: usize,
    /// Parts of a millisecond that the column counts.
    units: Planned<i64>,
}

struct Placed {
    placement: Option<Placement>,
    alias: Str,
    column: Planned<usize>,
}

impl Transformation for EventRouter {
    fn config_def(&self) -> ConfigDef {
        config_def(SETTINGS)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        self.config = Some(Config::parse(configs)?);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, origin: Origin<'_>) -> Result<Outcome> {
        if record.value.is_null() {
            return Ok(Outcome::Drop);
        }
        if !is_envelope(record.value_schema.as_ref()) {
            return Ok(Outcome::Keep);
        }
        let config = self
            .config
            .as_ref()
            .expect("configured before the first record");
        let event = require_struct(&record.value, "Detect Debezium Operation")?;
        let plan = self.plans.get_or_make(event.schema(), EventPlan::new);
        match operation_of(plan, event)? {
            "d" => return Ok(Outcome::Drop),
            "u" if config.invalid_operation == InvalidOperation::Fatal => {
                return Err(ConnectError::data(format!(
                    "Unexpected update message received {}, fail.",
                    java_text(&record.key)
                )));
            }
            "u" => {
                self.said
                    .update_dropped(config.invalid_operation, &record.topic);
                return Ok(Outcome::Drop);
            }
            _ => {}
        }
        let after = plan
            .after
            .ok_or_else(|| ConnectError::data(format!("Unknown field: {AFTER}")))?;
        let row = require_struct(&event.values()[after], "Read Outbox Event")?;
        let row_plan = plan
            .rows
            .get_or_make(row.schema(), |schema| RowPlan::new(schema, config));

        let payload_at = *planned(&row_plan.payload)?;
        let mut payload = row.value_or_default(payload_at).clone();
        let mut payload_schema = Some(row.schema().fields()[payload_at].schema.clone());
        let timestamp = row_plan.timestamp_of(row, &plan.timestamp, event)?;
        let id_at = *planned(&row_plan.id)?;
        let id = SchemaAndValue {
            schema: Some(row.schema().fields()[id_at].schema.clone()),
            value: row.value_or_default(id_at).clone(),
        };
        add_header(&mut record.headers, Str::from_static("id"), id)?;
        if config.expands_json {
            expand_json(config, &mut payload_schema, &mut payload, &mut self.said);
        }
        let is_empty = match &payload {
            Value::Null => true,
            Value::String(text) => java_trim(text).is_empty(),
            _ => false,
        };
        let mut value = match config.has_envelope {
            true => Some(row_plan.envelope(config, row, payload_schema.as_ref(), &payload)?),
            false => None,
        };
        let partition = row_plan.place(row, value.as_mut(), &mut record.headers)?;
        let key_at = *planned(&row_plan.key)?;
        let key = row.value_or_default(key_at).clone();
        let key_schema = row.schema().fields()[key_at].schema.clone();
        let route = text_of(&row.values()[*planned(&row_plan.route)?])?;
        if matches!(origin, Origin::Sink { .. }) && partition.is_none() {
            return Err(ConnectError::data(
                "a record for a sink needs a partition, and the outbox router takes it from a column placed as \
                 partition only",
            ));
        }
        let Some(route) = route else {
            return Err(ConnectError::data(format!(
                "column \"{}\" of the outbox, which names the route, is null",
                config.route_by_field
            )));
        };
        record.topic = topic_of(&mut self.topics, config, route)?;
        record.kafka_partition = partition;
        record.key_schema = Some(key_schema);
        record.key = key;
        record.timestamp = timestamp;
        (record.value_schema, record.value) = match value {
            _ if is_empty && config.tombstone_on_empty => (None, Value::Null),
            Some(value) => (Some(value.schema().clone()), Value::Struct(value)),
            None => (payload_schema, payload),
        };
        Ok(Outcome::Keep)
    }
}

fn operation_of<'a>(plan: &EventPlan, event: &'a Struct) -> Result<&'a str> {
    match &event.values()[*planned(&plan.operation)?] {
        Value::String(operation) => Ok(operation),
        other => Err(class_cast(other, "java.lang.String")),
    }
}

fn text_of(value: &Value) -> Result<Option<Str>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(class_cast(other, "java.lang.String")),
    }
}

/// The route through `RegexRouter`: a route that does not match as a whole is the topic itself.
fn topic_of(
    topics: &mut HashMap<Str, TopicName>,
    config: &Config,
    route: Str,
) -> Result<TopicName> {
    if let Some(topic) = topics.get(&route) {
        return Ok(topic.clone());
    }
    let topic: TopicName = match replaced(&config.topic_regex, &route, &config.topic_replacement)? {
        Some(topic) => topic.into(),
        None => route.as_str().into(),
    };
    if topics.len() >= REMEMBERED_MAX {
        topics.clear();
    }
    // A copy, so that the map keeps no record's buffer alive.
    topics.insert(Str::from(route.to_string()), topic.clone());
    Ok(topic)
}

/// Text that is JSON becomes a struct. What fails leaves the text as it is, and in Java, once the schema was made, that
/// schema too.
fn expand_json(config: &Config, schema: &mut Option<Schema>, payload: &mut Value, said: &mut Said) {
    let Value::String(text) = payload else {
        if !payload.is_null() {
            said.not_expanded("the payload is no text");
        }
        return;
    };
    if !text.starts_with(['{', '[']) {
        return said.not_expanded("the payload begins with neither { nor [");
    }
    let node = match parse(text) {
        Ok(node) => node,
        Err(cause) => return said.not_expanded(cause),
    };
    match config.json.schema(Some(&config.payload), &node) {
        Ok(expanded) => *schema = expanded,
        Err(cause) => return said.not_expanded(cause),
    }
    let Some(schema) = schema else {
        return said.not_expanded("an empty array has no schema");
    };
    match config.json.data(&node, schema) {
        Ok(data) => *payload = Value::Struct(data),
        Err(cause) => said.not_expanded(cause),
    }
}

/// What the log has been told. Java repeats it for each record; here only the first is a warning.
#[derive(Default)]
struct Said {
    updates: bool,
    expansion: bool,
}

impl Said {
    fn update_dropped(&mut self, behavior: InvalidOperation, topic: &str) {
        match (std::mem::replace(&mut self.updates, true), behavior) {
            (true, _) => tracing::debug!(topic, "update of an outbox row dropped"),
            (false, InvalidOperation::Error) => tracing::error!(
                topic,
                "update of an outbox row dropped: rows are to be inserted and deleted only; others are not said"
            ),
            (false, _) => tracing::warn!(
                topic,
                "update of an outbox row dropped: rows are to be inserted and deleted only; others are not said"
            ),
        }
    }

    fn not_expanded(&mut self, cause: impl std::fmt::Display) {
        match std::mem::replace(&mut self.expansion, true) {
            true => tracing::debug!(%cause, "JSON payload stays a text"),
            false => tracing::warn!(%cause, "JSON payload stays a text; others are not said"),
        }
    }
}

impl EventPlan {
    fn new(schema: &Schema) -> Self {
        Self {
            operation: index_of_type(schema, OPERATION, Type::String).map_err(Into::into),
            after: schema.field_index(AFTER),
            timestamp: index_of_type(schema, "ts_ms", Type::Int64).map_err(Into::into),
            rows: Plans::default(),
        }
    }
}

impl RowPlan {
    fn new(schema: &Schema, config: &Config) -> Self {
        let index = |column: &str| -> Planned<usize> { Ok(index_of(schema, column)?) };
        let missing = |what: &str, column: &str| {
            PlanError::from(format!("Unable to find {what} {column} in event"))
        };
        let payload = schema.field_index(&config.payload);
        let placements = config.placements.iter().filter_map(|field| {
            let column = schema.field_index(&field.column);
            if column.is_none() && config.missing_is_ignored {
                return None;
            }
            let column = match (field.placement, column) {
                (Some(Placement::Envelope), None) => Err(missing("field", &field.column)),
                (Some(Placement::Partition), Some(_)) => {
                    index_of_type(schema, &field.column, Type::Int32).map_err(Into::into)
                }
                (_, Some(column)) => Ok(column),
                (_, None) => Err(no_field(&field.column).into()),
            };
            Some(Placed {
                placement: field.placement,
                alias: field.alias.clone(),
                column,
            })
        });
        Self {
            payload: payload.ok_or_else(|| missing("payload field", &config.payload)),
            timestamp: config.timestamp.as_ref().map(|column| {
                if schema.field(column).is_none() {
                    return Err(missing("timestamp field", column));
                }
                let index = index_of_type(schema, column, Type::Int64)?;
                let units = units_of(&schema.fields()[index].schema);
                Ok(TimestampPlan { index, units })
            }),
            id: index(&config.id),
            key: index(&config.key),
            route: index_of_type(schema, &config.route_by_field, Type::String).map_err(Into::into),
            version: config
                .schema_version
                .as_ref()
                .map(|column| index_of_type(schema, column, Type::Int32).map_err(Into::into)),
            placements: placements.collect(),
            values: Plans::default(),
        }
    }

    fn timestamp_of(
        &self,
        row: &Struct,
        ts_ms: &Planned<usize>,
        event: &Struct,
    ) -> Result<Option<i64>> {
        if let Some(plan) = &self.timestamp {
            let plan = planned(plan)?;
            match &row.values()[plan.index] {
                Value::Null => {}
                Value::Int64(number) => return Ok(Some(number / planned(&plan.units)?)),
                other => return Err(class_cast(other, "java.lang.Long")),
            }
        }
        match &event.values()[*planned(ts_ms)?] {
            Value::Null => Ok(None),
            Value::Int64(ms) => Ok(Some(*ms)),
            other => Err(class_cast(other, "java.lang.Long")),
        }
    }

    /// A struct with the payload, and room for the columns that are placed in the envelope.
    fn envelope(
        &mut self,
        config: &Config,
        row: &Struct,
        payload_schema: Option<&Schema>,
        payload: &Value,
    ) -> Result<Struct> {
        let version = match &self.version {
            None => None,
            Some(column) => match &row.values()[*planned(column)?] {
                Value::Int32(version) => Some(*version),
                _ => None,
            },
        };
        let route = text_of(&row.values()[*planned(&self.route)?])?;
        let Some(payload_schema) = payload_schema else {
            return Err(ConnectError::data(
                "fieldSchema for field payload cannot be null.",
            ));
        };
        let placements = &self.placements;
        let known = self.values.get_or_make(payload_schema, |_| HashMap::new());
        let schema = match known.get(&(route.clone(), version)) {
            Some(schema) => schema.clone(),
            None => {
                let name = schema_name(row.schema().name(), route.as_deref().unwrap_or("null"));
                let schema =
                    envelope_schema(placements, row.schema(), payload_schema, &name, version)?;
                if known.len() >= REMEMBERED_MAX {
                    known.clear();
                }
                let route = route.map(|route| Str::from(route.to_string()));
                known.insert((route, version), schema.clone());
                schema
            }
        };
        let mut value = Struct::new(schema)?;
        if config.expands_json || matches!(payload, Value::Null | Value::Struct(_)) {
            value.put("payload", payload.clone())?;
        } else {
            value.values_mut()[0] = payload.clone();
        }
        Ok(value)
    }

    /// Columns go where they are placed; the partition comes back.
    fn place(
        &self,
        row: &Struct,
        mut envelope: Option<&mut Struct>,
        headers: &mut Headers,
    ) -> Result<Option<i32>> {
        let mut partition = None;
        let mut in_envelope = 1;
        for placed in &self.placements {
            let Some(placement) = placed.placement else {
                return Err(ConnectError::data(
                    "table.fields.additional.placement names a place other than header, envelope and partition",
                ));
            };
            let column = *planned(&placed.column)?;
            match placement {
                Placement::Envelope => {
                    let value = row.value_or_default(column).clone();
                    if let Some(envelope) = envelope.as_deref_mut() {
                        check_put_of(envelope.schema(), in_envelope, &value)?;
                        envelope.values_mut()[in_envelope] = value;
                        in_envelope += 1;
                    }
                }
                Placement::Header => {
                    let data = SchemaAndValue {
                        schema: Some(row.schema().fields()[column].schema.clone()),
                        value: row.value_or_default(column).clone(),
                    };
                    add_header(headers, placed.alias.clone(), data)?;
                }
                Placement::Partition => {
                    partition = match &row.values()[column] {
                        Value::Int32(partition) => Some(*partition),
                        _ => None,
                    };
                }
            }
        }
        Ok(partition)
    }
}

/// Fails: for null under a required schema, as `ConnectHeaders.add`.
fn add_header(headers: &mut Headers, name: Str, data: SchemaAndValue) -> Result<()> {
    if let Some(schema) = &data.schema
        && data.value.is_null()
        && !schema.is_optional()
    {
        return Err(ConnectError::data(format!(
            "A null value requires an optional schema but was {schema}"
        )));
    }
    headers.add(name, data);
    Ok(())
}

fn units_of(schema: &Schema) -> Planned<i64> {
    match schema.name() {
        Some("io.debezium.time.Timestamp") => Ok(1),
        Some("io.debezium.time.MicroTimestamp") => Ok(1000),
        Some("io.debezium.time.NanoTimestamp") => Ok(1_000_000),
        Some(other) => Err(format!("Unsupported field type {other} for event timestamp").into()),
        None => Err(format!(
            "Unsupported field type {} (without logical schema name) for event timestamp",
            schema.schema_type()
        )
        .into()),
    }
}

/// `server.schema.table.Value` becomes `server.schema.table.<route>.Value`.
fn schema_name(row: Option<&str>, route: &str) -> String {
    match row.map(|name| (name, name.rfind('.'))) {
        None => route.to_string(),
        Some((name, None)) => format!("{route}.{name}"),
        Some((name, Some(dot))) => format!("{}{route}{}", &name[..=dot], &name[dot..]),
    }
}

fn envelope_schema(
    placements: &[Placed],
    row: &Schema,
    payload: &Schema,
    name: &str,
    version: Option<i32>,
) -> Result<Schema> {
    let mut builder = SchemaBuilder::structure()
        .name(name)
        .field("payload", payload.clone());
    for placed in placements {
        if placed.placement == Some(Placement::Envelope) {
            let column = *planned(&placed.column)?;
            builder = builder.field(placed.alias.clone(), row.fields()[column].schema.clone());
        }
    }
    match version {
        Some(version) => builder.version(version).build(),
        None => builder.build(),
    }
}
