//! Confluent's `Drop$Key` and `Drop$Value`: the key or the value becomes null.

use super::name_of;
use crate::operate::{Part, parse};
use connect_api::data::{Schema, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigEnum, Importance, Key, Properties};

#[derive(Clone, Copy, Debug, PartialEq)]
enum SchemaBehavior {
    Nullify,
    Retain,
    Validate,
    ForceOptional,
}

impl ConfigEnum for SchemaBehavior {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("nullify", Self::Nullify),
        ("retain", Self::Retain),
        ("validate", Self::Validate),
        ("force_optional", Self::ForceOptional),
    ];
}

const SCHEMA_BEHAVIOR: Key<SchemaBehavior> = Key::new("schema.behavior");

fn config_def() -> ConfigDef {
    ConfigDef::new().define(
        SCHEMA_BEHAVIOR
            .default(SchemaBehavior::Nullify)
            .importance(Importance::Medium)
            .doc(
                "What becomes of the schema: nullify takes it away too, retain keeps it, validate keeps it and fails when \
                 it is not optional, force_optional makes it optional.",
            ),
    )
}

pub(super) struct Drop {
    part: Part,
    behavior: SchemaBehavior,
    /// The last schema that was made optional.
    last: Option<(Schema, Schema)>,
}

impl Drop {
    pub(super) fn new(part: Part) -> Self {
        Self {
            part,
            behavior: SchemaBehavior::Nullify,
            last: None,
        }
    }

    fn optional(&mut self, schema: &Schema) -> Result<Schema> {
        match &self.last {
            Some((known, optional)) if known.ptr_eq(schema) => Ok(optional.clone()),
            _ => {
                let optional = schema.to_builder().optional().build()?;
                self.last = Some((schema.clone(), optional.clone()));
                Ok(optional)
            }
        }
    }
}

impl Transformation for Drop {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        self.behavior = parse(&config_def(), configs)?.get(SCHEMA_BEHAVIOR);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let part = self.part;
        let (schema, value) = part.slot(record);
        let required = schema.as_ref().filter(|schema| !schema.is_optional());
        match (self.behavior, required) {
            (SchemaBehavior::Nullify, _) => *schema = None,
            (SchemaBehavior::Validate, Some(required)) => {
                return Err(ConnectError::data(format!(
                    "{} cannot be dropped: its schema {required} is not optional, and Drop has \
                     schema.behavior=validate; force_optional makes it optional",
                    name_of(part)
                )));
            }
            (SchemaBehavior::ForceOptional, Some(required)) => {
                let optional = self.optional(&required.clone())?;
                *schema = Some(optional);
            }
            _ => {}
        }
        *value = Value::Null;
        Ok(Outcome::Keep)
    }
}
