//! `ExtractSchemaToNewRecord`: the columns of the source table as a field of the change event.

use super::envelope::{
    AFTER, BEFORE, SOURCE, cast_struct, check_structs, copy_basics_and_optional, fill_defaults,
    index_of, is_envelope, with_fields_of,
};
use super::name_adjuster::{MODES, NameAdjuster};
use super::plans::{PlanError, Planned, Plans, planned};
use super::settings::{Setting, Settings, config_def};
use connect_api::data::{Schema, SchemaBuilder, Struct, Type, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigType, Importance, Properties};

const SETTINGS: &[Setting] = &[Setting {
    name: "schema.name.adjustment.mode",
    config_type: ConfigType::String,
    default: Some("none"),
    checks: &[],
    importance: Importance::Low,
    doc: "How names of schemas are made fit: none, avro, avro_unicode.",
}];

const SOURCE_SCHEMA: &str = "sourceSchema";

#[derive(Default)]
pub(super) struct ExtractSchemaToNewRecord {
    adjuster: NameAdjuster,
    plans: Plans<Planned<Plan>>,
}

struct Plan {
    before: usize,
    after: usize,
    /// Made of the first record with a row, as Java caches it.
    extended: Option<Planned<Extended>>,
}

struct Extended {
    schema: Schema,
    source_schema: Value,
}

impl Transformation for ExtractSchemaToNewRecord {
    fn config_def(&self) -> ConfigDef {
        config_def(SETTINGS)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let word = Settings::new(SETTINGS, configs).word(SETTINGS[0].name);
        if !MODES.contains(&word.as_str()) {
            return Err(ConnectError::config(format!(
                "{} must be one of {}, got {word}",
                SETTINGS[0].name,
                MODES.join(", ")
            )));
        }
        self.adjuster = NameAdjuster::of_schemas(&word);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if record.value.is_null() || !is_envelope(record.value_schema.as_ref()) {
            return Ok(Outcome::Keep);
        }
        let schema = record
            .value_schema
            .as_ref()
            .expect("an envelope has a schema");
        let plan = self.plans.get_or_make(schema, |schema| {
            let index = |field: &str| {
                let unknown = || PlanError::from(format!("Unknown field: {field}"));
                schema.field_index(field).ok_or_else(unknown)
            };
            Ok(Plan {
                after: index(AFTER)?,
                before: index(BEFORE)?,
                extended: None,
            })
        });
        let plan = plan.as_mut().map_err(|error| ConnectError::from(&*error))?;
        let event = super::envelope::require_struct(&record.value, "field extraction")?;
        let is_null = |at: usize| event.value_or_default(at).is_null();
        if is_null(plan.after) && is_null(plan.before) {
            return Ok(Outcome::Keep);
        }
        let (adjuster, after) = (self.adjuster, plan.after);
        let extended = plan
            .extended
            .get_or_insert_with(|| extend(schema, event, after, adjuster));
        let extended = planned(extended)?;
        let old_schema = schema.clone();
        if let Value::Struct(event) = std::mem::take(&mut record.value) {
            let mut values = event.into_values();
            fill_defaults(&old_schema, &mut values);
            check_structs(&values)?;
            values.push(extended.source_schema.clone());
            record.value = Value::Struct(Struct::of_values(extended.schema.clone(), values));
            record.value_schema = Some(extended.schema.clone());
        }
        Ok(Outcome::Keep)
    }
}

fn extend(
    schema: &Schema,
    event: &Struct,
    after: usize,
    adjuster: NameAdjuster,
) -> Planned<Extended> {
    let adjusted = |name: &str| adjuster.adjust(name).into_owned();
    let column = SchemaBuilder::structure()
        .name(adjusted("io.debezium.connector.source.schema.Column"))
        .version(1)
        .field("name", Schema::STRING)
        .field("typeName", Schema::STRING)
        .field("length", Schema::OPTIONAL_INT32)
        .field("scale", Schema::OPTIONAL_INT32)
        .field("comment", Schema::OPTIONAL_STRING)
        .build()?;
    let table = SchemaBuilder::structure()
        .name("io.debezium.connector.source.schema.Table")
        .version(1)
        .field("columns", SchemaBuilder::array(column.clone()).build()?)
        .build()?;
    let source_schema = SchemaBuilder::structure()
        .name(adjusted("io.debezium.connector.source.Schema"))
        .version(1)
        .field("id", Schema::STRING)
        .field("table", table.clone())
        .build()?;
    let extended = with_fields_of(copy_basics_and_optional(schema), schema)
        .field(SOURCE_SCHEMA, source_schema.clone())
        .build()?;

    let source = cast_struct(event.value_or_default(index_of(schema, SOURCE)?))?;
    let mut root = Struct::new(source_schema)?;
    root.put("id", source.get("table")?.clone())?;
    let row = &schema.fields()[after].schema;
    if row.schema_type() != Type::Struct {
        return Err("Cannot list fields on non-struct type".to_string().into());
    }
    let rows = row.fields();
    let columns = rows.iter().map(|field| column_of(&column, &field.schema));
    let columns: Vec<Value> = columns.collect::<Result<_>>()?;
    let mut table = Struct::new(table)?;
    table.put("columns", Value::Array(columns))?;
    root.put("table", Value::Struct(table))?;
    Ok(Extended {
        schema: extended,
        source_schema: Value::Struct(root),
    })
}

fn column_of(column: &Schema, field: &Schema) -> Result<Value> {
    let parameter = |name: &str| field.parameter(&format!("__debezium.source.column.{name}"));
    let (Some(name), Some(type_name)) = (parameter("name"), parameter("type")) else {
        return Err(ConnectError::data(
            "Ensure that enable configurations \"column.propagate.source.type\" or \
             \"datatype.propagate.source.type\" and the value is set to \".*\"",
        ));
    };
    let number = |name: &str| match parameter(name) {
        None => Ok(Value::Null),
        Some(text) => super::settings::parse_int(text)
            .map(Value::Int32)
            .ok_or_else(|| ConnectError::data(format!("For input string: \"{text}\""))),
    };
    let values = vec![
        name.into(),
        type_name.into(),
        number("length")?,
        number("scale")?,
        parameter("comment").map_or(Value::Null, Value::from),
    ];
    Ok(Value::Struct(Struct::of_values(column.clone(), values)))
}
