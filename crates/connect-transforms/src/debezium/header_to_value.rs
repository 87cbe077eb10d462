//! `HeaderToValue`: headers moved or copied into fields of the value.
//!
//! Lives here: which headers become which fields, the rebuilt schema and its nesting.
//! Source: `HeaderToValue` and `ConnectRecordUtil` of Debezium 3.7.0.Final, with the places that nesting reaches
//! and those that it does not.

use super::envelope::{copy_basics, no_struct, require_struct};
use super::plans::{Planned, Plans, planned};
use super::settings::{Check, Setting, Settings, config_def};
use connect_api::data::{Schema, SchemaBuilder, Struct, Type, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigType, Importance, Properties};

const SETTINGS: &[Setting] = &[
    Setting {
        name: "fields",
        config_type: ConfigType::List,
        default: None,
        checks: &[Check::Required, Check::NoSpaces, Check::NoEmptyElements],
        importance: Importance::High,
        doc: "Fields that the headers become, one for each of `headers`; a.b is field b of the struct a.",
    },
    Setting {
        name: "headers",
        config_type: ConfigType::List,
        default: None,
        checks: &[Check::Required, Check::NoSpaces, Check::NoEmptyElements],
        importance: Importance::High,
        doc: "Headers to put into the value.",
    },
    Setting {
        name: "operation",
        config_type: ConfigType::String,
        default: None,
        checks: &[Check::Required, Check::Enum(&["move", "copy"])],
        importance: Importance::High,
        doc: "move: the headers go; copy: they stay too.",
    },
];

/// Debezium's name for the value itself. A field of this name confuses the nesting there, and so it does here.
const ROOT: &str = "payload";

#[derive(Default)]
pub(super) struct HeaderToValue {
    headers: Vec<String>,
    fields: Vec<String>,
    moves: bool,
    plans: Plans<LastEntries>,
}

/// A header on its way into the value.
struct Entry<'a> {
    field: &'a str,
    schema: Option<Schema>,
    value: Value,
}

/// The plan for the headers that the last record of a schema had.
#[derive(Default)]
struct LastEntries {
    entries: Vec<(String, Option<Schema>)>,
    plan: Option<Planned<Node>>,
}

/// How one struct is rebuilt.
struct Node {
    schema: Schema,
    /// Fields of the old struct that are rebuilt too.
    nested: Vec<(usize, Node)>,
    /// Entries that become fields of this struct: field and number of the entry.
    puts: Vec<(String, usize)>,
    parents: Vec<Parent>,
}

/// A struct that is made for entries.
struct Parent {
    name: String,
    schema: Schema,
    puts: Vec<(String, usize)>,
}

impl Transformation for HeaderToValue {
    fn config_def(&self) -> ConfigDef {
        config_def(SETTINGS)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let settings = Settings::new(SETTINGS, configs);
        settings.validate()?;
        let list = |name: &str| -> Vec<String> {
            settings
                .list(name)
                .into_iter()
                .map(str::to_string)
                .collect()
        };
        (self.fields, self.headers) = (list("fields"), list("headers"));
        if self.fields.len() != self.headers.len() {
            return Err(ConnectError::config(
                "'fields' config must have the same number of elements as 'headers' config.",
            ));
        }
        self.moves = settings.word("operation") == "move";
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if record.value.is_null() {
            return Ok(Outcome::Keep);
        }
        let old_schema = require_struct(&record.value, "Header field insertion")?
            .schema()
            .clone();
        let position = |key: &str| self.headers.iter().position(|header| header == key);
        let entries: Vec<Entry<'_>> = record
            .headers
            .iter()
            .filter_map(|header| {
                Some(Entry {
                    field: &self.fields[position(&header.key)?],
                    schema: header.schema.clone(),
                    value: header.value.clone(),
                })
            })
            .collect();
        if entries.is_empty() {
            return Ok(Outcome::Keep);
        }
        let last = self
            .plans
            .get_or_make(&old_schema, |_| LastEntries::default());
        let node = planned(last.plan_for(&old_schema, &entries))?;
        if let Value::Struct(old) = std::mem::take(&mut record.value) {
            record.value = Value::Struct(node.rebuild(old, &entries)?);
            record.value_schema = Some(node.schema.clone());
        }
        if self.moves {
            let headers = &self.headers;
            let is_listed = |key: &str| headers.iter().any(|header| header == key);
            record.headers.retain(|header| !is_listed(&header.key));
            if record.headers.is_empty() {
                record.headers.clear();
            }
        }
        Ok(Outcome::Keep)
    }
}

impl LastEntries {
    fn plan_for(&mut self, schema: &Schema, entries: &[Entry<'_>]) -> &Planned<Node> {
        let known = self
            .entries
            .iter()
            .map(|(field, schema)| (field.as_str(), schema.as_ref()));
        let wanted = entries
            .iter()
            .map(|entry| (entry.field, entry.schema.as_ref()));
        if self.plan.is_none() || !known.eq(wanted) {
            self.entries = entries
                .iter()
                .map(|entry| (entry.field.to_string(), entry.schema.clone()))
                .collect();
            self.plan = Some(plan(schema, entries));
        }
        self.plan.as_ref().expect("just made")
    }
}

fn plan(schema: &Schema, entries: &[Entry<'_>]) -> Planned<Node> {
    let nested: Vec<&str> = entries
        .iter()
        .map(|entry| entry.field)
        .filter(|field| field.contains('.'))
        .collect();
    for path in &nested {
        check_parents(schema, path)?;
    }
    let planner = Planner { entries, nested };
    Ok(planner.node(ROOT, schema, 0)?)
}

/// Fails: when a part of the path is there and holds no fields.
fn check_parents(schema: &Schema, path: &str) -> Result<()> {
    let parts = parts(path);
    let mut current = schema;
    for part in &parts[..parts.len() - 1] {
        if current.schema_type() != Type::Struct {
            return Err(ConnectError::data(
                "Cannot look up fields on non-struct type",
            ));
        }
        let Some(field) = current.field(part) else {
            return Ok(());
        };
        if field.schema.schema_type().is_primitive() {
            return Err(ConnectError::data(format!(
                "Field '{part}' is a primitive type, not a struct. Cannot add nested field '{path}'."
            )));
        }
        current = &field.schema;
    }
    Ok(())
}

fn parts(path: &str) -> Vec<&str> {
    super::java_split::split(path, '.')
}

struct Planner<'a> {
    entries: &'a [Entry<'a>],
    nested: Vec<&'a str>,
}

impl Planner<'_> {
    fn node(&self, name: &str, old: &Schema, level: usize) -> Result<Node> {
        if old.schema_type() != Type::Struct {
            return Err(ConnectError::data("Cannot list fields on non-struct type"));
        }
        let basics = copy_basics(old);
        let mut fields: Vec<(String, Schema)> = Vec::new();
        let mut nested = Vec::new();
        for field in old.fields() {
            let mut schema = field.schema.clone();
            if self.is_parent(&field.name) && !schema.schema_type().is_primitive() {
                let node = self.node(&field.name, &field.schema, level + 1)?;
                schema = node.schema.clone();
                nested.push((field.index, node));
            }
            fields.push((field.name.to_string(), schema));
        }
        let mut puts = Vec::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let Some(field) = field_at(entry.field, name, level) else {
                continue;
            };
            if !fields.iter().any(|(known, _)| known == field) {
                fields.push((field.to_string(), entry.schema_for(field)?));
            }
            puts.push((field.to_string(), number));
        }
        let mut parents = Vec::new();
        for parent in self.new_parents(name, old, level) {
            let mut builder = SchemaBuilder::structure().optional();
            let mut inner = Vec::new();
            for (number, entry) in self.entries.iter().enumerate() {
                if let Some(field) = field_in_parent(entry.field, parent, name, level) {
                    builder = builder.field(field, entry.schema_for(field)?);
                    inner.push((field.to_string(), number));
                }
            }
            let schema = builder.build()?;
            fields.push((parent.to_string(), schema.clone()));
            parents.push(Parent {
                name: parent.to_string(),
                schema,
                puts: inner,
            });
        }
        let builder = fields.into_iter().fold(basics, |builder, (name, schema)| {
            builder.field(name, schema)
        });
        Ok(Node {
            schema: builder.build()?,
            nested,
            puts,
            parents,
        })
    }

    /// Whether an entry's path has this name before a dot, or a name that ends so.
    fn is_parent(&self, name: &str) -> bool {
        let with_dot = format!("{name}.");
        self.nested.iter().any(|path| path.contains(&with_dot))
    }

    /// Parents that entries of this level need and that the struct does not have.
    fn new_parents(&self, name: &str, old: &Schema, level: usize) -> Vec<&str> {
        let mut new = Vec::new();
        for path in &self.nested {
            let parts = parts(path);
            let here = (level == 0 && name == ROOT)
                || (level > 0 && level < parts.len() && parts[level - 1] == name);
            if !here || level + 1 >= parts.len() {
                continue;
            }
            let parent = parts[level];
            if old.field(parent).is_none() && !new.contains(&parent) {
                new.push(parent);
            }
        }
        new
    }
}

impl Entry<'_> {
    fn schema_for(&self, field: &str) -> Result<Schema> {
        self.schema.clone().ok_or_else(|| {
            ConnectError::data(format!("fieldSchema for field {field} cannot be null."))
        })
    }
}

/// The field that an entry becomes in the struct `name` at this level.
fn field_at<'a>(path: &'a str, name: &str, level: usize) -> Option<&'a str> {
    let parts = parts(path);
    if parts.len() == 1 && name == ROOT {
        return Some(parts[0]);
    }
    let is_child = parts.len() == level + 1 && parts[level.saturating_sub(1)] == name;
    is_child.then(|| parts[level])
}

/// The field that an entry becomes in a parent that is made for it.
fn field_in_parent<'a>(path: &'a str, parent: &str, name: &str, level: usize) -> Option<&'a str> {
    let parts = parts(path);
    if level == 0 && name == ROOT {
        return (parts.len() > 1 && parts[0] == parent).then(|| parts[1]);
    }
    let so_far = parts[..parts.len().min(level + 1)].join(".");
    (level > 0 && so_far == parent && level + 1 < parts.len()).then(|| parts[level + 1])
}

impl Node {
    /// The old struct's fields come first and in order, so they keep their indexes.
    fn rebuild(&self, old: Struct, entries: &[Entry<'_>]) -> Result<Struct> {
        let old_schema = old.schema().clone();
        let mut values = old.into_values();
        super::envelope::fill_defaults(&old_schema, &mut values);
        super::envelope::check_structs(&values)?;
        for (index, node) in &self.nested {
            match std::mem::take(&mut values[*index]) {
                Value::Null => {}
                Value::Struct(inner) => {
                    values[*index] = Value::Struct(node.rebuild(inner, entries)?);
                }
                other => return Err(no_struct(&other, "Nested field")),
            }
        }
        values.resize(self.schema.fields().len(), Value::Null);
        let mut new = Struct::of_values(self.schema.clone(), values);
        for (field, number) in &self.puts {
            new.put(field, entries[*number].value.clone())?;
        }
        for parent in &self.parents {
            let mut made = Struct::new(parent.schema.clone())?;
            for (field, number) in &parent.puts {
                made.put(field, entries[*number].value.clone())?;
            }
            new.put(&parent.name, Value::Struct(made))?;
        }
        Ok(new)
    }
}
