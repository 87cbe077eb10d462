//! `PartitionRouting`: the partition from fields of the change event.
//!
//! Lives here: finding the fields, summing their hashes.
//! Lives elsewhere: the hashes (`java_hash`, `murmur_hash3`).

use super::envelope::{AFTER, BEFORE, OPERATION, cast_struct, index_of_type, is_envelope};
use super::plans::{Planned, Plans, planned};
use super::settings::{Check, Setting, Settings, config_def};
use super::{java_hash, java_split, murmur_hash3};
use connect_api::data::{Schema, Struct, Type, Value, java_text};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigType, Importance, Properties};

const SETTINGS: &[Setting] = &[
    Setting {
        name: "partition.payload.fields",
        config_type: ConfigType::List,
        default: None,
        checks: &[Check::Required, Check::NoEmptyElements],
        importance: Importance::High,
        doc: "Fields whose values decide the partition, such as after.id, source.table, op. change.id is before.id \
              for a delete and after.id for all else. Fields that are not there do not count.",
    },
    Setting {
        name: "partition.topic.num",
        config_type: ConfigType::Int,
        default: None,
        checks: &[Check::Required, Check::Int, Check::PositiveInt],
        importance: Importance::High,
        doc: "Number of partitions of the topic.",
    },
    Setting {
        name: "partition.hash.function",
        config_type: ConfigType::String,
        default: Some("java"),
        checks: &[],
        importance: Importance::Low,
        doc: "java or murmur; any other text is java.",
    },
];

#[derive(Default)]
pub(super) struct PartitionRouting {
    fields: Vec<String>,
    partitions: i32,
    murmur: bool,
    plans: Plans<Plan>,
}

struct Plan {
    operation: Option<Planned<usize>>,
    fields: Vec<FieldPlan>,
}

/// Where a configured field stands.
struct FieldPlan {
    /// Whether the operation decides between the two paths.
    by_operation: bool,
    path: Path,
    delete_path: Path,
}

struct Path {
    structs: Vec<usize>,
    /// `None`: there is no such field.
    last: Option<usize>,
}

impl Transformation for PartitionRouting {
    fn config_def(&self) -> ConfigDef {
        config_def(SETTINGS)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let settings = Settings::new(SETTINGS, configs);
        settings.validate()?;
        let fields = settings.list("partition.payload.fields").into_iter();
        self.fields = fields.map(str::to_string).collect();
        self.partitions = settings.int("partition.topic.num").unwrap_or(1);
        self.murmur = settings.word("partition.hash.function") == "murmur";
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, origin: Origin<'_>) -> Result<Outcome> {
        if record.value.is_null() || !is_envelope(record.value_schema.as_ref()) {
            return Ok(Outcome::Keep);
        }
        let event = cast_struct(&record.value)?;
        let partition = match origin {
            // Java takes every record for a source record.
            Origin::Sink { .. } => Err(ConnectError::data(
                "PartitionRouting works on source records only",
            )),
            Origin::Source { .. } => self.partition(event),
        };
        let partition = partition.map_err(|cause| {
            let message = format!("Unprocessable message {}", java_text(&record.value));
            ConnectError::data(message).caused_by(cause)
        })?;
        if partition.is_some() {
            record.kafka_partition = partition;
        }
        Ok(Outcome::Keep)
    }
}

impl PartitionRouting {
    /// `None`: no field has a value, or the event is none of a row.
    fn partition(&mut self, event: &Struct) -> Result<Option<i32>> {
        let (fields, murmur) = (&self.fields, self.murmur);
        let plan = self
            .plans
            .get_or_make(event.schema(), |schema| Plan::new(schema, fields));
        let operation = match &plan.operation {
            None => None,
            Some(index) => event.values()[*planned(index)?].as_str(),
        };
        let is =
            |code: &str| operation.is_some_and(|operation| operation.eq_ignore_ascii_case(code));
        if is("t") || is("m") {
            return Ok(None);
        }
        let mut found = false;
        let mut sum = 0i32;
        for field in &plan.fields {
            if field.by_operation && plan.operation.is_none() {
                continue;
            }
            let path = if is("d") {
                &field.delete_path
            } else {
                &field.path
            };
            if let Some(value) = path.value(event)? {
                found = true;
                sum = sum.wrapping_add(hash(value, murmur));
            }
        }
        let sum = match sum & i32::MAX {
            i32::MAX => 0,
            sum => sum,
        };
        Ok(found.then(|| sum % self.partitions))
    }
}

fn hash(value: &Value, murmur: bool) -> i32 {
    match value {
        _ if !murmur => java_hash::of_value(value),
        Value::String(text) => murmur_hash3::hash(text.as_bytes()),
        Value::Bytes(bytes) => murmur_hash3::hash(bytes),
        other => murmur_hash3::hash(&java_hash::of_value(other).to_le_bytes()),
    }
}

impl Plan {
    fn new(schema: &Schema, fields: &[String]) -> Self {
        let operation = schema
            .field(OPERATION)
            .map(|_| index_of_type(schema, OPERATION, Type::String).map_err(Into::into));
        Self {
            operation,
            fields: fields
                .iter()
                .map(|field| FieldPlan::new(schema, field))
                .collect(),
        }
    }
}

impl FieldPlan {
    fn new(schema: &Schema, field: &str) -> Self {
        let parts = java_split::split(field, '.');
        let parts: Vec<&str> = parts.into_iter().map(super::settings::java_trim).collect();
        let parents = &parts[..parts.len().saturating_sub(1)];
        Self {
            by_operation: parents.contains(&"change"),
            path: Path::new(schema, &parts, AFTER),
            delete_path: Path::new(schema, &parts, BEFORE),
        }
    }
}

impl Path {
    fn new(schema: &Schema, parts: &[&str], change: &str) -> Self {
        let mut path = Self {
            structs: Vec::new(),
            last: None,
        };
        let Some((last, parents)) = parts.split_last() else {
            return path;
        };
        let mut current = schema;
        for parent in parents {
            let parent = if *parent == "change" { change } else { parent };
            match current.field(parent) {
                Some(field) if field.schema.schema_type() == Type::Struct => {
                    path.structs.push(field.index);
                    current = &field.schema;
                }
                _ => return path,
            }
        }
        path.last = current.field_index(last);
        path
    }

    fn value<'a>(&self, event: &'a Struct) -> Result<Option<&'a Value>> {
        let mut current = event;
        for index in &self.structs {
            current = match &current.values()[*index] {
                Value::Null => return Ok(None),
                value => cast_struct(value)?,
            };
        }
        let value = self.last.map(|last| current.value_or_default(last));
        Ok(value.filter(|value| !value.is_null()))
    }
}
