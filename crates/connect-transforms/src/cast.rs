//! `Cast`: fields, or whole keys or values, as another primitive type.
//!
//! Lives here: the settings, what becomes of schemas, and which field is cast to what.
//! Lives elsewhere: casting one value (`cast_value`).
//! Source: `org.apache.kafka.connect.transforms.Cast` of Apache Kafka 4.3.1.

use crate::cast_value::{Target, cast, refused_input};
use crate::field_path::{FIELD_SYNTAX_VERSION, FieldPath, FieldSyntax, field_syntax_version};
use crate::operate::{
    Part, REPLACE_NULL_WITH_DEFAULT, no_fields, parse, replace_null_with_default, require_map,
    require_struct,
};
use crate::plan::SchemaPlans;
use crate::update::{Around, Change, Updater};
use connect_api::data::{Schema, SchemaBuilder, StrBuffer, Type, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{
    ConfigDef, ConfigException, ConfigValueData, Importance, Key, Properties, Validator,
};

const SPEC: Key<Vec<String>> = Key::new("spec");
const PURPOSE: &str = "cast types";

pub fn config_def() -> ConfigDef {
    let spec = Validator::custom(
        "list of colon-delimited pairs, e.g. foo:bar,abc:xyz",
        |_, value| match value {
            ConfigValueData::List(entries) if !entries.is_empty() => {
                Spec::parse(entries).map(|_| ())
            }
            _ => Err(ConfigException::new(
                "Must specify at least one field to cast.",
            )),
        },
    );
    ConfigDef::new()
        .define(SPEC.required().importance(Importance::High).validator(spec).doc(
            "What is cast to what: field1:type,field2:type for fields of maps and structs, or one type for the whole \
             key or value. Types: int8, int16, int32, int64, float32, float64, boolean, string. Bytes can be cast to \
             string only, which makes Base64 of them.",
        ))
        .define(replace_null_with_default())
        .define(field_syntax_version())
}

pub struct Cast {
    part: Part,
    what: What,
}

enum What {
    Whole {
        target: Target,
        schemas: SchemaPlans<Schema>,
        texts: StrBuffer,
    },
    Fields(Updater<Target>),
}

impl Cast {
    pub fn new(part: Part) -> Self {
        Self {
            part,
            what: What::Fields(Updater::new([], true)),
        }
    }
}

impl Transformation for Cast {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let config = parse(&config_def(), configs)?;
        let spec = Spec::parse(&config.get(SPEC));
        let spec = spec.map_err(|error| ConnectError::config(error.into_message()))?;
        self.what = match spec {
            Spec::Whole(target) => What::Whole {
                target,
                schemas: SchemaPlans::default(),
                texts: StrBuffer::new(),
            },
            Spec::Fields(fields) => {
                let syntax = config.get(FIELD_SYNTAX_VERSION);
                let changes = paths(fields, syntax)?;
                What::Fields(Updater::new(changes, config.get(REPLACE_NULL_WITH_DEFAULT)))
            }
        };
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let (schema, value) = self.part.slot(record);
        if value.is_null() {
            return Ok(Outcome::Keep);
        }
        match (&mut self.what, &mut *schema) {
            (What::Whole { target, texts, .. }, None) => cast(None, value, *target, texts)?,
            (
                What::Whole {
                    target,
                    schemas,
                    texts,
                },
                Some(schema),
            ) => {
                let updated = schemas
                    .get(schema, |schema| whole_schema(schema, *target))?
                    .clone();
                cast(Some(schema), value, *target, texts)?;
                *schema = updated;
            }
            (What::Fields(fields), None) => {
                fields.apply_schemaless(require_map(value, PURPOSE)?)?;
            }
            (What::Fields(fields), Some(schema)) => {
                if schema.schema_type() != Type::Struct {
                    return Err(no_fields());
                }
                let value = require_struct(value, PURPOSE)?;
                fields.apply(value)?;
                *schema = value.schema().clone();
            }
        }
        Ok(Outcome::Keep)
    }
}

fn paths(fields: Vec<(String, Target)>, syntax: FieldSyntax) -> Result<Vec<(FieldPath, Target)>> {
    let paths = fields
        .into_iter()
        .map(|(field, target)| Ok((FieldPath::parse(&field, syntax)?, target)));
    paths.collect()
}

/// What `spec` says.
enum Spec {
    Whole(Target),
    Fields(Vec<(String, Target)>),
}

impl Spec {
    fn parse(entries: &[String]) -> Result<Self, ConfigException> {
        let mut whole = None;
        let mut fields = Vec::new();
        for entry in entries {
            let mut parts: Vec<&str> = entry.split(':').collect();
            // Java's `split` leaves out empty texts at the end.
            while parts.last().is_some_and(|part| part.is_empty()) && entry.contains(':') {
                parts.pop();
            }
            match parts[..] {
                [target] => whole = Some(Target::parse(target)?),
                [field, target] => fields.push((field.trim().to_owned(), Target::parse(target)?)),
                _ => {
                    return Err(ConfigException::invalid(
                        "renames",
                        ConfigValueData::List(entries.to_vec()),
                        format!("Invalid rename mapping: {entry}"),
                    ));
                }
            }
        }
        match whole {
            Some(_) if entries.len() > 1 => Err(ConfigException::new(
                "Cast transformations that specify a type to cast the entire value to may only specify a single cast \
                 in their spec",
            )),
            Some(target) => Ok(Spec::Whole(target)),
            None => Ok(Spec::Fields(fields)),
        }
    }
}

/// The schema of a whole value that is cast. The name stays, so a Timestamp cast to INT64 is still called one.
fn whole_schema(schema: &Schema, target: Target) -> Result<Schema> {
    let mut builder = SchemaBuilder::new(target.schema_type()).basics_of(schema);
    if schema.is_optional() {
        builder = builder.optional();
    }
    if let Some(default) = schema.default_value() {
        let mut default = default.clone();
        cast(Some(schema), &mut default, target, &mut StrBuffer::new())?;
        builder = builder.default_value(default);
    }
    Ok(builder.build()?.interned())
}

impl Change for Target {
    type Step = Schema;

    fn plan(&self, schema: &Schema) -> Result<(Schema, Schema)> {
        let mut builder = SchemaBuilder::new(self.schema_type());
        if schema.is_optional() {
            builder = builder.optional();
        }
        if let Some(default) = schema.default_value() {
            let mut default = default.clone();
            cast(Some(schema), &mut default, *self, &mut StrBuffer::new())?;
            builder = builder.default_value(default);
        }
        Ok((builder.build()?, schema.clone()))
    }

    fn apply(&self, schema: &Schema, value: &mut Value, texts: &mut StrBuffer) -> Result<()> {
        cast(Some(schema), value, *self, texts)
    }

    fn apply_schemaless(&self, value: &mut Value, texts: &mut StrBuffer) -> Result<()> {
        cast(None, value, *self, texts)
    }

    const AROUND: Around = Around::Rebuilt;

    /// Java tries to cast the default as a whole.
    fn refuses_default() -> Option<ConnectError> {
        Some(refused_input(Type::Struct))
    }
}
