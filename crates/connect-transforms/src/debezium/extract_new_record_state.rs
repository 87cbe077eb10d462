//! `ExtractNewRecordState`: the row in place of the change event.
//!
//! Lives here: the modes of deletes and tombstones, routing by a field, the order of the steps.
//! Lives elsewhere: which fields to add (`field_reference`), which to drop (`drop_fields`).
//! Source: Debezium 3.7.0.Final; where the code and its documentation differ, the code.

use super::drop_fields::DropFields;
use super::envelope::{
    AFTER, BEFORE, OPERATION, cast_struct, check_put, copy_basics, fill_defaults, index_of_type,
    is_envelope, no_struct, put_checks, with_fields_of,
};
use super::field_reference::{FieldReference, Found};
use super::plans::{Planned, Plans, planned};
use super::settings::{Check, Setting, Settings, config_def, java_trim};
use connect_api::data::{Schema, SchemaAndValue, Str, Struct, Type, Value};
use connect_api::{
    ConnectError, ConnectRecord, Origin, Outcome, Result, TopicName, Transformation,
};
use connect_config::{ConfigDef, ConfigType, Importance, Properties};

const MODES: &[&str] = &[
    "drop",
    "tombstone",
    "rewrite",
    "rewrite-with-tombstone",
    "delete-to-tombstone",
];

const SETTINGS: &[Setting] = &[
    Setting {
        name: "delete.tombstone.handling.mode",
        config_type: ConfigType::String,
        default: Some("tombstone"),
        checks: &[Check::Enum(MODES)],
        importance: Importance::Medium,
        doc: "What becomes of deletes and of the tombstones behind them. drop: both are dropped. tombstone: a \
              delete becomes a record without value that keeps the row's schema, tombstones are dropped. \
              delete-to-tombstone: the same without schema. rewrite: a delete becomes the deleted row, and every \
              row gets a field __deleted, \"true\" or \"false\"; tombstones are dropped. rewrite-with-tombstone: \
              the same, and tombstones pass.",
    },
    Setting {
        name: "add.fields",
        config_type: ConfigType::List,
        default: Some(""),
        checks: &[],
        importance: Importance::Low,
        doc: "Fields of the change event to add to the row: field, or struct.field, each with :newname if it is \
              to have another name. op and ts_ms stand in the event, id, total_order and data_collection_order in \
              its transaction, all others in its source.",
    },
    Setting {
        name: "add.fields.prefix",
        config_type: ConfigType::String,
        default: Some("__"),
        checks: &[],
        importance: Importance::Low,
        doc: "What stands before the names of added fields.",
    },
    Setting {
        name: "add.headers",
        config_type: ConfigType::List,
        default: Some(""),
        checks: &[],
        importance: Importance::Low,
        doc: "Fields of the change event to add as headers, written as in add.fields.",
    },
    Setting {
        name: "add.headers.prefix",
        config_type: ConfigType::String,
        default: Some("__"),
        checks: &[],
        importance: Importance::Low,
        doc: "What stands before the names of added headers.",
    },
    Setting {
        name: "route.by.field",
        config_type: ConfigType::String,
        default: Some(""),
        checks: &[],
        importance: Importance::Low,
        doc: "Field of the row whose text becomes the topic. Without a text the topic stays.",
    },
    Setting {
        name: "drop.fields.header.name",
        config_type: ConfigType::String,
        default: None,
        checks: &[],
        importance: Importance::Low,
        doc: "Header whose list of names says which fields to take out of the row.",
    },
    Setting {
        name: "drop.fields.from.key",
        config_type: ConfigType::Boolean,
        default: Some("false"),
        checks: &[Check::Boolean],
        importance: Importance::Low,
        doc: "Whether these fields are taken out of the key too.",
    },
    Setting {
        name: "drop.fields.keep.schema.compatible",
        config_type: ConfigType::Boolean,
        default: Some("true"),
        checks: &[Check::Boolean],
        importance: Importance::Low,
        doc: "Whether only fields that the schema calls optional are taken out.",
    },
    Setting {
        name: "replace.null.with.default",
        config_type: ConfigType::Boolean,
        default: Some("true"),
        checks: &[],
        importance: Importance::Medium,
        doc: "In the rewrite modes: whether a null becomes the default of its field.",
    },
];

#[derive(Clone, Copy, Default, PartialEq)]
enum Mode {
    Drop,
    #[default]
    Tombstone,
    Rewrite,
    RewriteWithTombstone,
    DeleteToTombstone,
}

impl Mode {
    fn of_word(word: &str) -> Self {
        match word {
            "drop" => Self::Drop,
            "rewrite" => Self::Rewrite,
            "rewrite-with-tombstone" => Self::RewriteWithTombstone,
            "delete-to-tombstone" => Self::DeleteToTombstone,
            _ => Self::Tombstone,
        }
    }

    fn rewrites(self) -> bool {
        matches!(self, Self::Rewrite | Self::RewriteWithTombstone)
    }
}

/// Puts the row in place of the change event.
#[derive(Default)]
pub(super) struct ExtractNewRecordState {
    mode: Mode,
    replace_null_with_default: bool,
    add_fields: Vec<FieldReference>,
    add_headers: Vec<FieldReference>,
    route_by_field: Option<String>,
    drop_fields: Option<DropByHeader>,
    /// Where the last record was routed to, so that equal topics share one text.
    last_topic: Option<TopicName>,
    plans: Plans<EnvelopePlan>,
}

struct DropByHeader {
    header: String,
    value: DropFields,
    key: Option<DropFields>,
}

/// What is known of an envelope's schema.
struct EnvelopePlan {
    before: Option<usize>,
    after: Option<usize>,
    operation: Planned<usize>,
    headers: Planned<Vec<Found>>,
    /// Whether a field to add comes from the row itself, before or after.
    rows_are_read: [bool; 2],
    /// By the schema of the row.
    rows: Plans<RowPlan>,
    /// By the schema of the row as it is when fields are added, which may have lost some before.
    additions: Plans<Planned<Addition>>,
}

/// What is known of a row's schema.
struct RowPlan {
    /// With `__deleted`.
    rewritten: Planned<Schema>,
    checks: Box<[usize]>,
    route: Option<Planned<usize>>,
    rewritten_route: Option<Planned<usize>>,
}

struct Addition {
    schema: Schema,
    checks: Box<[usize]>,
    fields: Vec<Found>,
}

const DELETED: &str = "__deleted";

impl Transformation for ExtractNewRecordState {
    fn config_def(&self) -> ConfigDef {
        config_def(SETTINGS)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let settings = Settings::new(SETTINGS, configs);
        settings.validate_and_record()?;
        let text = |name: &str| settings.text(name).unwrap_or_default();
        self.mode = Mode::of_word(&settings.word("delete.tombstone.handling.mode"));
        self.replace_null_with_default = settings.boolean("replace.null.with.default");
        self.add_fields =
            FieldReference::parse_list(text("add.fields.prefix"), text("add.fields"))?;
        self.add_headers =
            FieldReference::parse_list(text("add.headers.prefix"), text("add.headers"))?;
        let route = text("route.by.field");
        self.route_by_field = (!route.is_empty()).then(|| route.to_string());
        let header = text("drop.fields.header.name");
        let compatible = settings.boolean("drop.fields.keep.schema.compatible");
        self.drop_fields = (!java_trim(header).is_empty()).then(|| DropByHeader {
            header: header.to_string(),
            value: DropFields::new(compatible),
            key: settings
                .boolean("drop.fields.from.key")
                .then(|| DropFields::new(compatible)),
        });
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if record.value.is_null() {
            return Ok(self.tombstone(record));
        }
        if !is_envelope(record.value_schema.as_ref()) {
            return Ok(Outcome::Keep);
        }
        self.change_event(record)
    }
}

impl ExtractNewRecordState {
    fn tombstone(&self, record: &mut ConnectRecord) -> Outcome {
        for reference in self
            .add_headers
            .iter()
            .filter(|header| header.is_operation())
        {
            let delete = SchemaAndValue::new(Schema::STRING, Value::text("d"));
            record.headers.add(reference.new_name.clone(), delete);
        }
        match self.mode {
            Mode::RewriteWithTombstone => Outcome::Keep,
            _ => Outcome::Drop,
        }
    }

    fn change_event(&mut self, record: &mut ConnectRecord) -> Result<Outcome> {
        let Self {
            mode,
            replace_null_with_default: replace,
            add_fields,
            add_headers,
            route_by_field: route,
            plans,
            ..
        } = self;
        let envelope_schema = record
            .value_schema
            .clone()
            .expect("an envelope has a schema");
        let plan = plans.get_or_make(&envelope_schema, |schema| {
            EnvelopePlan::new(schema, add_headers, add_fields)
        });
        if !add_headers.is_empty() {
            let envelope = cast_struct(&record.value)?;
            for found in planned(&plan.headers)? {
                let data = SchemaAndValue::new(found.schema.clone(), found.value(envelope)?);
                record.headers.add(found.new_name.clone(), data);
            }
        }
        let Value::Struct(envelope) = &mut record.value else {
            return Err(no_struct(&record.value, "field extraction"));
        };
        let after = plan.after.ok_or_else(|| unknown_field(AFTER))?;
        let is_delete = envelope.values()[after].is_null();
        let row_at = match (is_delete, plan.before) {
            (false, _) => after,
            (true, None) => return Err(unknown_field(BEFORE)),
            (true, Some(before)) if envelope.values()[before].is_null() => {
                return Ok(Outcome::Drop);
            }
            (true, Some(before)) => before,
        };
        if is_delete && *mode == Mode::Drop {
            return Ok(Outcome::Drop);
        }
        let row_schema = &envelope_schema.fields()[row_at].schema;
        let row_plan = plan
            .rows
            .get_or_make(row_schema, |schema| RowPlan::new(schema, route.as_deref()));
        let is_struct = matches!(envelope.values()[row_at], Value::Struct(_));
        let rewrites = mode.rewrites() && is_struct;

        let row = match is_delete && !mode.rewrites() {
            true => None,
            false => {
                let is_read = plan.rows_are_read[usize::from(!is_delete)];
                let value = &mut envelope.values_mut()[row_at];
                let mut row = Row {
                    schema: row_schema.clone(),
                    value: if is_read {
                        value.clone()
                    } else {
                        std::mem::take(value)
                    },
                };
                if rewrites {
                    let deleted = Value::text(if is_delete { "true" } else { "false" });
                    row.rewrite(row_plan, *replace, deleted)?;
                }
                Some(row)
            }
        };
        // A delete is routed by the row as the event has it, all others by the row as it is now.
        let routed = match (&row, is_delete) {
            (Some(row), false) if rewrites => {
                routed_by(row_plan.rewritten_route.as_ref(), &row.value)?
            }
            (Some(row), _) => routed_by(row_plan.route.as_ref(), &row.value)?,
            (None, _) => routed_by(row_plan.route.as_ref(), &envelope.values()[row_at])?,
        };
        if let Some(topic) = routed.filter(|topic| !java_trim(topic).is_empty()) {
            let known = self
                .last_topic
                .as_ref()
                .filter(|last| ***last == *topic.as_str());
            record.topic = known.cloned().unwrap_or_else(|| topic.as_str().into());
            self.last_topic = Some(record.topic.clone());
        }
        // What is left of the envelope: the fields to add are read from it.
        let envelope = std::mem::take(&mut record.value);
        match row {
            Some(row) => {
                record.value_schema = Some(row.schema);
                record.value = row.value;
            }
            None => {
                let keeps_schema = *mode == Mode::Tombstone;
                let schema = &envelope_schema.fields()[after].schema;
                record.value_schema = keeps_schema.then(|| schema.clone());
            }
        }
        if is_delete {
            drop_fields(&mut self.drop_fields, record)?;
            if !record.value.is_null() {
                add(plan, add_fields, &envelope_schema, &envelope, record)?;
            }
        } else {
            add(plan, add_fields, &envelope_schema, &envelope, record)?;
            drop_fields(&mut self.drop_fields, record)?;
        }
        Ok(Outcome::Keep)
    }
}

impl EnvelopePlan {
    fn new(schema: &Schema, add_headers: &[FieldReference], add_fields: &[FieldReference]) -> Self {
        let (before, after) = (schema.field_index(BEFORE), schema.field_index(AFTER));
        let added = FieldReference::find_all(add_fields, schema).unwrap_or_default();
        let is_read =
            |row: Option<usize>| row.is_some_and(|row| added.iter().any(|field| field.is_of(row)));
        Self {
            before,
            after,
            rows_are_read: [is_read(before), is_read(after)],
            operation: index_of_type(schema, OPERATION, Type::String).map_err(Into::into),
            headers: FieldReference::find_all(add_headers, schema),
            rows: Plans::default(),
            additions: Plans::default(),
        }
    }
}

impl RowPlan {
    fn new(schema: &Schema, route: Option<&str>) -> Self {
        let rewritten = with_fields_of(copy_basics(schema), schema)
            .field(DELETED, Schema::OPTIONAL_STRING)
            .build();
        let route_in = |schema: &Schema| -> Option<Planned<usize>> {
            Some(index_of_type(schema, route?, Type::String).map_err(Into::into))
        };
        Self {
            rewritten_route: rewritten.as_ref().ok().and_then(route_in),
            rewritten: rewritten.map_err(Into::into),
            checks: put_checks(schema),
            route: route_in(schema),
        }
    }
}

/// The row on its way out.
struct Row {
    schema: Schema,
    value: Value,
}

impl Row {
    /// Adds `__deleted`, as `InsertField` does.
    fn rewrite(&mut self, plan: &RowPlan, replace_nulls: bool, deleted: Value) -> Result<()> {
        let schema = planned(&plan.rewritten)?;
        let Value::Struct(row) = std::mem::take(&mut self.value) else {
            return Ok(());
        };
        let mut values = row.into_values();
        if replace_nulls {
            fill_defaults(&self.schema, &mut values);
        }
        check_put(&self.schema, &plan.checks, &values)?;
        values.push(deleted);
        self.value = Value::Struct(Struct::of_values(schema.clone(), values));
        self.schema = schema.clone();
        Ok(())
    }
}

/// `None` without routing; a null text is no topic either.
fn routed_by(route: Option<&Planned<usize>>, row: &Value) -> Result<Option<Str>> {
    let Some(route) = route else {
        return Ok(None);
    };
    let Value::Struct(row) = row else {
        let purpose = "Read record to set topic routing for CREATE / UPDATE";
        return Err(no_struct(row, purpose));
    };
    match &row.values()[*planned(route)?] {
        Value::Null => Ok(None),
        Value::String(topic) => Ok(Some(topic.clone())),
        other => Err(super::envelope::class_cast(other, "java.lang.String")),
    }
}

/// Adds the configured fields; the schema loses its optional flag also when there are none.
fn add(
    plan: &mut EnvelopePlan,
    add_fields: &[FieldReference],
    envelope_schema: &Schema,
    envelope: &Value,
    record: &mut ConnectRecord,
) -> Result<()> {
    let row = match std::mem::take(&mut record.value) {
        Value::Struct(row) => row,
        other => return Err(no_struct(&other, "source field insertion")),
    };
    planned(&plan.operation)?;
    let addition = plan.additions.get_or_make(row.schema(), |schema| {
        let fields = FieldReference::find_all(add_fields, envelope_schema)?;
        let builder = with_fields_of(copy_basics(schema), schema);
        let builder = fields.iter().fold(builder, |builder, field| {
            builder.field(field.new_name.clone(), field.schema.clone())
        });
        Ok(Addition {
            schema: builder.build()?,
            checks: put_checks(schema),
            fields,
        })
    });
    let addition = planned(addition)?;
    check_put(row.schema(), &addition.checks, row.values())?;
    let mut values = row.into_values();
    let envelope = cast_struct(envelope)?;
    for field in &addition.fields {
        let value = field.value(envelope)?;
        // A struct loses its fields with its schema's copy, and then does not fit it.
        if matches!(value, Value::Struct(_)) {
            field.schema.validate(&value)?;
        }
        values.push(value);
    }
    record.value = Value::Struct(Struct::of_values(addition.schema.clone(), values));
    record.value_schema = Some(addition.schema.clone());
    Ok(())
}

fn drop_fields(drop: &mut Option<DropByHeader>, record: &mut ConnectRecord) -> Result<()> {
    let Some(drop) = drop else {
        return Ok(());
    };
    let header = record
        .headers
        .iter()
        .find(|header| *header.key == *drop.header);
    let names = match header.map(|header| &header.value) {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(names)) if names.is_empty() => return Ok(()),
        Some(Value::Array(names)) => names,
        Some(other) => return Err(super::envelope::class_cast(other, "java.util.List")),
    };
    if let Some(key) = &mut drop.key
        && !record.key.is_null()
    {
        key.apply(names, &mut record.key_schema, &mut record.key)?;
    }
    drop.value
        .apply(names, &mut record.value_schema, &mut record.value)
}

/// What `ExtractField` says of a field that the schema lacks.
fn unknown_field(field: &str) -> ConnectError {
    ConnectError::data(format!("Unknown field: {field}"))
}
