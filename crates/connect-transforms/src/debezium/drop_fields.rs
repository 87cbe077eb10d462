//! Fields of key and value that a header names are taken out: `drop.fields.*` of ExtractNewRecordState.
//!
//! Never here: which record has such a header.

use super::envelope::{check_put, copy_basics, no_struct, put_checks};
use super::plans::{Planned, Plans, planned};
use connect_api::data::{Schema, SchemaBuilder, Struct, Type, Value};
use connect_api::{ConnectError, Result};

/// Takes fields out of one part of records, the key or the value.
pub(super) struct DropFields {
    /// Only fields that are optional in the schema.
    keep_schema_compatible: bool,
    plans: Plans<LastNames>,
}

/// The plan for the names that the last record of this schema had; they rarely change.
#[derive(Default)]
struct LastNames {
    names: Vec<Value>,
    plan: Option<Planned<Option<Plan>>>,
}

struct Plan {
    schema: Schema,
    keep: Box<[usize]>,
    checks: Box<[usize]>,
}

impl DropFields {
    pub(super) fn new(keep_schema_compatible: bool) -> Self {
        Self {
            keep_schema_compatible,
            plans: Plans::default(),
        }
    }

    /// `names` are what the header's list holds. A null value keeps its schema.
    pub(super) fn apply(
        &mut self,
        names: &[Value],
        schema: &mut Option<Schema>,
        value: &mut Value,
    ) -> Result<()> {
        let Some(old_schema) = schema else {
            return self.apply_schemaless(names, value);
        };
        let compatible = self.keep_schema_compatible;
        let last = self.plans.get_or_make(old_schema, |_| LastNames::default());
        if last.plan.is_none() || last.names != names {
            last.names = names.to_vec();
            last.plan = Some(plan(old_schema, names, compatible));
        }
        let plan = last.plan.as_ref().expect("just made");
        let Some(plan) = planned(plan)? else {
            return Ok(()); // nothing of this schema is named
        };
        match std::mem::take(value) {
            Value::Null => {}
            Value::Struct(fields) => {
                *value = Value::Struct(without(fields, plan)?);
                *schema = Some(plan.schema.clone());
            }
            other => {
                let error = no_struct(&other, "field replacement");
                *value = other;
                return Err(error);
            }
        }
        Ok(())
    }

    fn apply_schemaless(&self, names: &[Value], value: &mut Value) -> Result<()> {
        if self.keep_schema_compatible {
            return Err(ConnectError::data(
                "fields to drop are named by a header, and there is no schema that says which are optional; \
                 set drop.fields.keep.schema.compatible=false",
            ));
        }
        match value {
            Value::Null => {}
            Value::Map(map) => {
                for name in names {
                    map.remove(name);
                }
            }
            other => {
                return Err(ConnectError::data(format!(
                    "Only Map objects supported in absence of schema for [field replacement], found: {}",
                    other.java_class()
                )));
            }
        }
        Ok(())
    }
}

fn plan(schema: &Schema, names: &[Value], compatible: bool) -> Planned<Option<Plan>> {
    if schema.schema_type() != Type::Struct {
        if compatible {
            return Err("Cannot list fields on non-struct type".to_string().into());
        }
        // The value is refused when it is there.
        return Ok(Some(Plan {
            schema: schema.clone(),
            keep: Box::default(),
            checks: Box::default(),
        }));
    }
    let named = |name: &str| names.iter().any(|value| value.as_str() == Some(name));
    let is_dropped = |field: &connect_api::data::Field| {
        named(&field.name) && (!compatible || field.schema.is_optional())
    };
    if compatible && !schema.fields().iter().any(is_dropped) {
        return Ok(None);
    }
    let kept = || schema.fields().iter().filter(|field| !is_dropped(field));
    let builder: SchemaBuilder = kept().fold(copy_basics(schema), |builder, field| {
        builder.field(field.name.clone(), field.schema.clone())
    });
    let schema = builder.build()?;
    Ok(Some(Plan {
        checks: put_checks(&schema),
        schema,
        keep: kept().map(|field| field.index).collect(),
    }))
}

/// Kept fields read with their defaults, as `ReplaceField` does unless told otherwise.
fn without(fields: Struct, plan: &Plan) -> Result<Struct> {
    let values = plan
        .keep
        .iter()
        .map(|index| fields.value_or_default(*index).clone());
    let values: Vec<Value> = values.collect();
    check_put(&plan.schema, &plan.checks, &values)?;
    Ok(Struct::of_values(plan.schema.clone(), values))
}
