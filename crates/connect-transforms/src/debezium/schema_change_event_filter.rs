//! `SchemaChangeEventFilter`: drops schema changes by what they do.

use super::envelope::{cast_struct, index_of_type, require_struct};
use super::java_split::split;
use super::settings::{Check, Setting, Settings, config_def, java_trim};
use connect_api::data::{Schema, Type, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigType, Importance, Properties};

const SETTINGS: &[Setting] = &[Setting {
    name: "schema.change.event.exclude.list",
    config_type: ConfigType::String,
    default: None,
    checks: &[Check::Required],
    importance: Importance::High,
    doc: "Kinds of schema change to drop, separated by commas: CREATE, ALTER, DROP, TRUNCATE, DATABASE. Changes \
          without a list of tables are always dropped.",
}];

const TYPES: [&str; 5] = ["CREATE", "ALTER", "DROP", "TRUNCATE", "DATABASE"];

#[derive(Default)]
pub(super) struct SchemaChangeEventFilter {
    excluded: Vec<&'static str>,
}

impl Transformation for SchemaChangeEventFilter {
    fn config_def(&self) -> ConfigDef {
        config_def(SETTINGS)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let settings = Settings::new(SETTINGS, configs);
        settings.validate()?;
        let list = settings.text(SETTINGS[0].name).unwrap_or_default();
        self.excluded = split(list, ',')
            .into_iter()
            .map(|name| type_of(java_trim(name)).map_err(ConnectError::config))
            .collect::<Result<_>>()?;
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if record.value.is_null() || !is_schema_change(record.value_schema.as_ref()) {
            return Ok(Outcome::Keep);
        }
        let change = require_struct(&record.value, "Read schema change event to filter")?;
        let changes = index_of_type(change.schema(), "tableChanges", Type::Array)?;
        let kind = match &change.values()[changes] {
            Value::Array(changes) => match changes.first() {
                None => "DATABASE",
                Some(first) => {
                    let kind = cast_struct(first)?.get("type")?;
                    type_of(kind.as_str().unwrap_or("null")).map_err(ConnectError::data)?
                }
            },
            _ => return Ok(Outcome::Drop),
        };
        Ok(match self.excluded.contains(&kind) {
            true => Outcome::Drop,
            false => Outcome::Keep,
        })
    }
}

fn is_schema_change(schema: Option<&Schema>) -> bool {
    let name = schema.and_then(Schema::name);
    name.is_some_and(|name| {
        name.ends_with(".SchemaChangeValue") || name.ends_with(".SchemaChangeKey")
    })
}

fn type_of(name: &str) -> Result<&'static str, String> {
    let known = TYPES.into_iter().find(|known| *known == name);
    known.ok_or_else(|| {
        format!(
            "No enum constant io.debezium.schema.SchemaChangeEvent.SchemaChangeEventType.{name}"
        )
    })
}
