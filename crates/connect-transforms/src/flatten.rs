//! `Flatten`: fields of nested structs or maps as fields at the top, their names joined.
//!
//! Lives here: the settings, and structs.
//! Lives elsewhere: maps without schema (`flatten/maps.rs`).
//! Source: `org.apache.kafka.connect.transforms.Flatten` of Apache Kafka 4.3.1.

mod maps;

use crate::operate::{Part, no_struct, parse, require_map};
use crate::plan::SchemaPlans;
use connect_api::data::{Schema, SchemaBuilder, Str, Struct, Type, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, Importance, Key, Properties};
use maps::Maps;

const DELIMITER: Key<Option<String>> = Key::new("delimiter");
const PURPOSE: &str = "flattening";

pub fn config_def() -> ConfigDef {
    ConfigDef::new().define(
        DELIMITER
            .default(".")
            .importance(Importance::Medium)
            .doc("Stands between the names of the outer and the inner field."),
    )
}

pub struct Flatten {
    part: Part,
    delimiter: String,
    plans: SchemaPlans<Plan>,
    maps: Maps,
}

impl Flatten {
    pub fn new(part: Part) -> Self {
        Self {
            part,
            delimiter: String::new(),
            plans: SchemaPlans::default(),
            maps: Maps::default(),
        }
    }
}

impl Transformation for Flatten {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let delimiter = parse(&config_def(), configs)?.get(DELIMITER);
        // Java joins names with the text of null, too.
        self.delimiter = delimiter.unwrap_or_else(|| "null".to_owned());
        self.maps = Maps::new(&self.delimiter);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let (schema, value) = self.part.slot(record);
        if value.is_null() {
            return Ok(Outcome::Keep);
        }
        let Some(schema) = schema else {
            self.maps.flatten(require_map(value, PURPOSE)?)?;
            return Ok(Outcome::Keep);
        };
        let Value::Struct(fields) = value else {
            return Err(no_struct(value, PURPOSE));
        };
        let delimiter = &self.delimiter;
        let plan = self
            .plans
            .get(fields.schema(), |schema| Plan::new(schema, delimiter))?;
        let mut values = Vec::with_capacity(plan.schema.fields().len());
        plan.run(&plan.fields, Some(fields), &mut values)?;
        *fields = Struct::of_values(plan.schema.clone(), values);
        *schema = plan.schema.clone();
        Ok(Outcome::Keep)
    }
}

struct Plan {
    schema: Schema,
    fields: Vec<Field>,
}

enum Field {
    Leaf {
        default: Option<Value>,
    },
    Struct {
        fields: Vec<Field>,
        /// How many leaves it has.
        leaves: usize,
    },
}

impl Plan {
    fn new(schema: &Schema, delimiter: &str) -> Result<Self> {
        let mut builder = SchemaBuilder::structure().basics_of(schema);
        let around = Around {
            prefix: None,
            optional: schema.is_optional(),
            default: schema.default_value(),
        };
        let fields = plan_fields(schema, delimiter, &around, &mut builder)?;
        Ok(Self {
            schema: builder.build()?.interned(),
            fields,
        })
    }

    /// Appends the values of the leaves; nulls for a struct that is missing.
    fn run(&self, plan: &[Field], from: Option<&mut Struct>, out: &mut Vec<Value>) -> Result<()> {
        let Some(from) = from else {
            let leaves = plan.iter().map(|field| match field {
                Field::Leaf { .. } => 1,
                Field::Struct { leaves, .. } => *leaves,
            });
            let all = out.len() + leaves.sum::<usize>();
            out.resize_with(all, || Value::Null);
            return Ok(());
        };
        for (field, value) in plan.iter().zip(from.values_mut()) {
            match field {
                Field::Leaf { default } => {
                    let mut value = std::mem::take(value);
                    if value.is_null() {
                        match default {
                            Some(default) => value = default.clone(),
                            None => self.schema.fields()[out.len()].validate(&value)?,
                        }
                    }
                    out.push(value);
                }
                Field::Struct { fields, .. } => {
                    let inner = match value {
                        Value::Struct(inner) => Some(inner),
                        _ => None,
                    };
                    self.run(fields, inner, out)?;
                }
            }
        }
        Ok(())
    }
}

/// What the structs around a field say about it.
struct Around<'a> {
    /// `None` at the top.
    prefix: Option<String>,
    optional: bool,
    default: Option<&'a Value>,
}

fn plan_fields(
    schema: &Schema,
    delimiter: &str,
    around: &Around<'_>,
    builder: &mut SchemaBuilder,
) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    for field in schema.fields() {
        let name = match &around.prefix {
            // Java takes an empty prefix for none.
            Some(prefix) if !prefix.is_empty() => format!("{prefix}{delimiter}{}", field.name),
            _ => field.name.to_string(),
        };
        let optional = around.optional || field.schema.is_optional();
        let default = field
            .schema
            .default_value()
            .or_else(|| match around.default {
                Some(Value::Struct(outer)) => {
                    let value = outer.value_or_default(outer.schema().field_index(&field.name)?);
                    (!value.is_null()).then_some(value)
                }
                _ => None,
            });
        fields.push(match field.schema.schema_type() {
            Type::Struct => {
                let around = Around {
                    prefix: Some(name),
                    optional,
                    default,
                };
                let inner = plan_fields(&field.schema, delimiter, &around, builder)?;
                let leaves = inner.iter().map(|field| match field {
                    Field::Leaf { .. } => 1,
                    Field::Struct { leaves, .. } => *leaves,
                });
                Field::Struct {
                    leaves: leaves.sum(),
                    fields: inner,
                }
            }
            Type::Map => {
                return Err(ConnectError::data(format!(
                    "Flatten transformation does not support MAP for record with schemas (for field {name})."
                )));
            }
            _ => {
                let leaf = leaf_schema(&field.schema, optional, default)?;
                let with_field = std::mem::replace(builder, SchemaBuilder::structure());
                *builder = with_field.field(Str::from(name), leaf);
                Field::Leaf {
                    default: field.schema.default_value().cloned(),
                }
            }
        });
    }
    Ok(fields)
}

fn leaf_schema(schema: &Schema, optional: bool, default: Option<&Value>) -> Result<Schema> {
    if schema.is_optional() == optional && schema.default_value() == default {
        return Ok(schema.clone());
    }
    let builder = match schema.schema_type() {
        Type::Array => SchemaBuilder::array_of_any(schema.value_schema().cloned()),
        other => SchemaBuilder::new(other),
    };
    let mut builder = builder.basics_of(schema);
    if optional {
        builder = builder.optional();
    }
    if let Some(default) = default {
        builder = builder.default_value(default.clone());
    }
    builder.build()
}
