//! The fields of a change event that `add.fields` and `add.headers` name.

use super::envelope::{OPERATION, cast_struct, copy_basics};
use super::java_split::split;
use super::plans::{PlanError, Planned};
use connect_api::data::{Schema, Str, Struct, Type, Value};
use connect_api::{ConnectError, Result};

/// One entry: a field, the struct that holds it, and its name in the output.
pub(super) struct FieldReference {
    /// `None`: the envelope itself.
    parent: Option<String>,
    field: String,
    pub(super) new_name: Str,
}

/// An entry found in the schema of an envelope.
pub(super) struct Found {
    pub(super) new_name: Str,
    /// Optional, without default.
    pub(super) schema: Schema,
    place: Place,
}

enum Place {
    Envelope(usize),
    Inside {
        parent: usize,
        field: usize,
    },
    /// The parent lacks the field, and the envelope has one of that name; null while the parent is null.
    EnvelopeBesides {
        parent: usize,
        field: usize,
    },
}

impl FieldReference {
    /// Fails: for more than one colon, and where Java's indexes run out of bounds (`:`, `.`).
    fn parse(prefix: &str, text: &str) -> Result<Self> {
        let bad = || ConnectError::config(format!("Unexpected field name: {text}"));
        let parts = split(text, ':');
        let path = split(parts.first().ok_or_else(bad)?, '.');
        let (parent, field) = match path.as_slice() {
            [field] => (parent_of(field), *field),
            [parent, field, ..] => (Some(*parent), *field),
            [] => return Err(bad()),
        };
        let new_name = match (parts.as_slice(), parent) {
            ([_], Some(parent)) if path.len() > 1 => format!("{prefix}{parent}_{field}"),
            ([_], _) => format!("{prefix}{field}"),
            ([_, name], _) => format!("{prefix}{name}"),
            _ => return Err(bad()),
        };
        Ok(Self {
            parent: parent.map(str::to_string),
            field: field.to_string(),
            new_name: new_name.into(),
        })
    }

    pub(super) fn parse_list(prefix: &str, text: &str) -> Result<Vec<Self>> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let entries = split(text, ',').into_iter();
        entries
            .map(|entry| Self::parse(prefix, super::settings::java_trim(entry)))
            .collect()
    }

    pub(super) fn is_operation(&self) -> bool {
        self.field == OPERATION
    }

    /// Where the field stands; `None` when neither its parent nor the envelope has it.
    ///
    /// Fails: where the parent is not in the schema, a null pointer in Java.
    fn find(&self, envelope: &Schema) -> Planned<Option<Found>> {
        let of_envelope = |field: &str| envelope.field(field);
        let found = |schema: &Schema, place: Place| {
            let schema = copy_basics(schema).optional().build()?;
            Ok::<_, PlanError>(Some(Found {
                new_name: self.new_name.clone(),
                schema,
                place,
            }))
        };
        let Some(parent_name) = &self.parent else {
            return match of_envelope(&self.field) {
                Some(field) => found(&field.schema, Place::Envelope(field.index)),
                None => Ok(None),
            };
        };
        let Some(parent) = of_envelope(parent_name) else {
            let message = format!(
                "a field to add is to come from \"{parent_name}\", which the change event does not have"
            );
            return Err(message.into());
        };
        if parent.schema.schema_type() != Type::Struct {
            return Err("Cannot look up fields on non-struct type"
                .to_string()
                .into());
        }
        if let Some(field) = parent.schema.field(&self.field) {
            let place = Place::Inside {
                parent: parent.index,
                field: field.index,
            };
            return found(&field.schema, place);
        }
        match of_envelope(&self.field) {
            Some(field) => found(
                &field.schema,
                Place::EnvelopeBesides {
                    parent: parent.index,
                    field: field.index,
                },
            ),
            None => Ok(None),
        }
    }

    pub(super) fn find_all(references: &[Self], envelope: &Schema) -> Planned<Vec<Found>> {
        let found = references.iter().map(|reference| reference.find(envelope));
        found.filter_map(Result::transpose).collect()
    }
}

impl Found {
    /// Whether the value is, or is inside, that field of the envelope.
    pub(super) fn is_of(&self, index: usize) -> bool {
        match self.place {
            Place::Envelope(field) => field == index,
            Place::Inside { parent, .. } => parent == index,
            Place::EnvelopeBesides { parent, field } => parent == index || field == index,
        }
    }

    /// The value in an envelope of the schema that this was found in; defaults are not put in.
    pub(super) fn value(&self, envelope: &Struct) -> Result<Value> {
        let values = envelope.values();
        let inside = |parent: usize| match &values[parent] {
            Value::Null => Ok(None),
            other => cast_struct(other).map(Some),
        };
        Ok(match self.place {
            Place::Envelope(field) => values[field].clone(),
            Place::Inside { parent, field } => match inside(parent)? {
                Some(parent) => parent.values()[field].clone(),
                None => Value::Null,
            },
            Place::EnvelopeBesides { parent, field } => match inside(parent)? {
                Some(_) => values[field].clone(),
                None => Value::Null,
            },
        })
    }
}

/// The struct that holds a field written without one.
fn parent_of(field: &str) -> Option<&'static str> {
    match field {
        "id" | "total_order" | "data_collection_order" => Some("transaction"),
        "op" | "ts_ms" | "ts_us" | "ts_ns" => None,
        "updateDescription" => Some("updateDescription"),
        _ => Some("source"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_debezium() {
        let rows: &[(&str, Option<&str>)] = &[
            ("op", Some("__op")),
            ("op:", Some("__op")),
            ("table", Some("__table")),
            ("source.ts_ms", Some("__source_ts_ms")),
            ("source.ts_ms.more", Some("__source_ts_ms")),
            ("source.ts_ms:when", Some("__when")),
            (":x", Some("__x")),
            ("a:b:c", None),
            (":", None),
            (".", None),
        ];
        for (text, name) in rows {
            let parsed = FieldReference::parse("__", text).ok();
            let got = parsed.as_ref().map(|reference| reference.new_name.as_str());
            assert_eq!(got, *name, "{text}");
        }
    }
}
