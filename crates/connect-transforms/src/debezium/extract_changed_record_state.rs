//! `ExtractChangedRecordState`: headers that name the fields an update has changed, and those it has not.

use super::envelope::{AFTER, BEFORE, index_of, is_envelope, require_struct};
use super::plans::{Planned, Plans, planned};
use super::settings::{Setting, Settings, config_def, java_trim};
use connect_api::data::{Schema, SchemaAndValue, SchemaBuilder, Str, Struct, Value};
use connect_api::{ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigType, Importance, Properties};

const SETTINGS: &[Setting] = &[
    Setting {
        name: "header.changed.name",
        config_type: ConfigType::String,
        default: None,
        checks: &[],
        importance: Importance::Low,
        doc: "Header that lists the fields whose values differ before and after. Without it there is none.",
    },
    Setting {
        name: "header.unchanged.name",
        config_type: ConfigType::String,
        default: None,
        checks: &[],
        importance: Importance::Low,
        doc: "Header that lists the fields whose values are the same before and after. Without it there is none.",
    },
];

#[derive(Default)]
pub(super) struct ExtractChangedRecordState {
    changed: Option<(Str, Schema)>,
    unchanged: Option<(Str, Schema)>,
    rows: Plans<Planned<(usize, usize)>>,
}

impl Transformation for ExtractChangedRecordState {
    fn config_def(&self) -> ConfigDef {
        config_def(SETTINGS)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let settings = Settings::new(SETTINGS, configs);
        let header = |name: &str| {
            let name = settings
                .text(name)
                .filter(|name| !java_trim(name).is_empty());
            name.map(|name| {
                let schema = SchemaBuilder::array(Schema::OPTIONAL_STRING)
                    .optional()
                    .name(name);
                Ok::<_, connect_api::ConnectError>((Str::from(name), schema.build()?))
            })
            .transpose()
        };
        let (changed, unchanged) = (header(SETTINGS[0].name)?, header(SETTINGS[1].name)?);
        self.changed = changed;
        self.unchanged = unchanged;
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if record.value.is_null() || !is_envelope(record.value_schema.as_ref()) {
            return Ok(Outcome::Keep);
        }
        let event = require_struct(&record.value, "Record value should be struct.")?;
        let rows = self.rows.get_or_make(event.schema(), |schema| {
            Ok((index_of(schema, AFTER)?, index_of(schema, BEFORE)?))
        });
        let (after, before) = *planned(rows)?;
        let (after, before) = (
            event.value_or_default(after),
            event.value_or_default(before),
        );
        let (mut changed, mut unchanged) = (Vec::new(), Vec::new());
        if !after.is_null() && !before.is_null() {
            let after = require_struct(after, "After value should be struct.")?;
            let before = require_struct(before, "Before value should be struct.")?;
            compare(after, before, &mut changed, &mut unchanged);
        }
        for (header, names) in [(&self.changed, changed), (&self.unchanged, unchanged)] {
            if let Some((name, schema)) = header {
                let data = SchemaAndValue::new(schema.clone(), Value::Array(names));
                record.headers.add(name.clone(), data);
            }
        }
        Ok(Outcome::Keep)
    }
}

fn compare(after: &Struct, before: &Struct, changed: &mut Vec<Value>, unchanged: &mut Vec<Value>) {
    let (new, old) = (after.schema(), before.schema());
    let same_fields = new.ptr_eq(old);
    for (field, value) in new.fields().iter().zip(after.values()) {
        let at = match same_fields {
            true => Some(field.index),
            false => old.field_index(&field.name),
        };
        let same = at.is_some_and(|at| before.values()[at] == *value);
        let names = if same { &mut *unchanged } else { &mut *changed };
        names.push(Value::String(field.name.clone()));
    }
    if !same_fields {
        let gone = old
            .fields()
            .iter()
            .filter(|field| new.field_index(&field.name).is_none());
        changed.extend(gone.map(|field| Value::String(field.name.clone())));
    }
}
