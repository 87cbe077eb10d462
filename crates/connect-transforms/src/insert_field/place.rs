//! Where new fields go: behind the others, at the top or at the end of a path.
//!
//! Lives here: plans for schemas and for shapes of maps. What a path leads through and is not there is made.

use super::{Insertion, Source};
use crate::plan::{SchemaPlans, ShapePlans, keys_of};
use connect_api::data::{Keys, Map, Schema, SchemaBuilder, Str, Struct, Type, Value};
use connect_api::{ConnectError, Result};
use std::sync::Arc;

/// What a record has to put into new fields.
pub struct Inserted<'a> {
    pub topic: &'a Str,
    pub partition: Option<i32>,
    pub offset: i64,
    pub timestamp: Option<i64>,
    pub fixed: &'a Str,
}

impl Inserted<'_> {
    /// Null where the record has none. Without schema a timestamp is a number.
    #[inline]
    fn value(&self, source: Source, timestamp: fn(i64) -> Value) -> Value {
        match source {
            Source::Topic => Value::String(self.topic.clone()),
            Source::Partition => self.partition.map_or(Value::Null, Value::Int32),
            Source::Offset => Value::Int64(self.offset),
            Source::Timestamp => self.timestamp.map_or(Value::Null, timestamp),
            Source::Static => Value::String(self.fixed.clone()),
        }
    }

    /// Which values there are, as [`bit`]s.
    fn present(&self) -> u8 {
        let always = bit(Source::Topic) | bit(Source::Offset) | bit(Source::Static);
        let partition = self.partition.map_or(0, |_| bit(Source::Partition));
        always | partition | self.timestamp.map_or(0, |_| bit(Source::Timestamp))
    }
}

#[derive(Default)]
pub struct Places {
    root: Node,
    replace_null: bool,
    structs: SchemaPlans<StructPlan>,
}

/// What is put into one struct or map.
#[derive(Default)]
struct Node {
    entries: Vec<Entry>,
    shapes: ShapePlans<Shapes>,
}

struct Entry {
    name: Str,
    what: What,
}

enum What {
    Field(Source, Schema),
    Inside(Node),
}

impl Places {
    pub fn new(insertions: Vec<Insertion>, replace_null: bool) -> Self {
        let mut root = Node::default();
        for insertion in insertions {
            root.insert(insertion.path.steps(), insertion.source, insertion.schema);
        }
        Self {
            root,
            replace_null,
            structs: SchemaPlans::default(),
        }
    }

    pub fn of_schema(&mut self, schema: &Schema) -> Result<&StructPlan> {
        let (root, replace_null) = (&self.root, self.replace_null);
        let plan = self.structs.get(schema, |schema| {
            let mut plan = StructPlan::new(root, schema, replace_null)?;
            plan.schema = plan.schema.interned();
            Ok(plan)
        })?;
        Ok(plan)
    }

    /// Puts the values that there are; those that are null are left out.
    pub fn put_into_map(&mut self, map: &mut Map, inserted: &Inserted<'_>) -> Result<()> {
        self.root.put_into_map(map, inserted)
    }
}

impl Node {
    fn insert(&mut self, steps: &[Str], source: Source, schema: Schema) {
        let Some((first, rest)) = steps.split_first() else {
            return;
        };
        if rest.is_empty() {
            self.entries.push(Entry {
                name: first.clone(),
                what: What::Field(source, schema),
            });
            return;
        }
        let known = self
            .entries
            .iter()
            .position(|entry| entry.name == *first && matches!(entry.what, What::Inside(_)));
        let at = known.unwrap_or_else(|| {
            self.entries.push(Entry {
                name: first.clone(),
                what: What::Inside(Node::default()),
            });
            self.entries.len() - 1
        });
        if let What::Inside(node) = &mut self.entries[at].what {
            node.insert(rest, source, schema);
        }
    }
}

pub struct StructPlan {
    schema: Schema,
    /// Fields that are there and have a default or must not be null.
    nulls: Vec<(usize, Option<Value>)>,
    /// Structs that are there and get something.
    inside: Vec<(usize, StructPlan)>,
    /// New fields, in order.
    added: Vec<Added>,
}

enum Added {
    Field(Source),
    Struct(StructPlan),
}

impl StructPlan {
    fn new(node: &Node, schema: &Schema, replace_null: bool) -> Result<Self> {
        let mut nulls = Vec::new();
        let mut inside = Vec::new();
        let mut builder = SchemaBuilder::structure().basics_of(schema);
        for field in schema.fields() {
            let below = node.entries.iter().find_map(|entry| match &entry.what {
                What::Inside(node) if entry.name == field.name => Some(node),
                _ => None,
            });
            let mut new_schema = field.schema.clone();
            if let Some(node) = below {
                if new_schema.schema_type() != Type::Struct {
                    return Err(no_place(&field.name, &new_schema.to_string()));
                }
                let mut plan = StructPlan::new(node, &field.schema, replace_null)?;
                if field.schema.is_optional() {
                    plan.schema = plan.schema.to_builder().optional().build_unchecked()?;
                }
                new_schema = plan.schema.clone();
                inside.push((field.index, plan));
            }
            let default = field
                .schema
                .default_value()
                .filter(|_| replace_null && below.is_none());
            if default.is_some() || !new_schema.is_optional() {
                nulls.push((field.index, default.cloned()));
            }
            builder = builder.field(field.name.clone(), new_schema);
        }
        let mut added = Vec::new();
        for entry in &node.entries {
            match &entry.what {
                What::Field(source, schema) => {
                    builder = builder.field(entry.name.clone(), schema.clone());
                    added.push(Added::Field(*source));
                }
                What::Inside(node) if schema.field_index(&entry.name).is_none() => {
                    let empty = SchemaBuilder::structure().build()?;
                    let plan = StructPlan::new(node, &empty, replace_null)?;
                    builder = builder.field(entry.name.clone(), plan.schema.clone());
                    added.push(Added::Struct(plan));
                }
                What::Inside(_) => {}
            }
        }
        Ok(Self {
            schema: builder.build()?,
            nulls,
            inside,
            added,
        })
    }

    pub fn run(&self, fields: &mut Struct, inserted: &Inserted<'_>) -> Result<()> {
        let values = fields.values_mut();
        for (index, default) in &self.nulls {
            let value = &mut values[*index];
            if !value.is_null() {
                continue;
            }
            match default {
                Some(default) => *value = default.clone(),
                None => self.schema.fields()[*index].validate(value)?,
            }
        }
        for (index, plan) in &self.inside {
            if let Value::Struct(fields) = &mut values[*index] {
                plan.run(fields, inserted)?;
            }
        }
        let mut values = fields.take_values();
        values.reserve_exact(self.added.len());
        for added in &self.added {
            values.push(match added {
                Added::Field(source) => inserted.value(*source, Value::Timestamp),
                Added::Struct(plan) => {
                    let empty = SchemaBuilder::structure().build()?;
                    let mut fields = Struct::new(empty)?;
                    plan.run(&mut fields, inserted)?;
                    Value::Struct(fields)
                }
            });
        }
        fields.put_values(self.schema.clone(), values);
        Ok(())
    }
}

/// The shapes that maps of one shape become, by which values there are.
#[derive(Default)]
struct Shapes {
    known: Vec<(u8, Shape)>,
}

struct Shape {
    keys: Arc<Keys>,
    /// For each entry of the node, where its value goes; `None` when it has none.
    places: Vec<Option<usize>>,
}

impl Shape {
    fn new(entries: &[Entry], present: u8, keys: &Keys) -> Self {
        let mut all = keys.as_slice().to_vec();
        let places = entries.iter().map(|entry| {
            if let What::Field(source, _) = &entry.what
                && present & bit(*source) == 0
            {
                return None;
            }
            let key = Value::String(entry.name.clone());
            let known = all.iter().position(|known| *known == key);
            Some(known.unwrap_or_else(|| {
                all.push(key);
                all.len() - 1
            }))
        });
        let places = places.collect();
        Self {
            keys: keys_of(all),
            places,
        }
    }
}

fn bit(source: Source) -> u8 {
    1 << source as u8
}

impl Node {
    fn put_into_map(&mut self, map: &mut Map, inserted: &Inserted<'_>) -> Result<()> {
        let Self { entries, shapes } = self;
        let present = inserted.present();
        let shapes = shapes.get(map.shared_keys(), |_| Ok(Shapes::default()))?;
        let known = shapes.known.iter().position(|(with, _)| *with == present);
        let at = known.unwrap_or_else(|| {
            let shape = Shape::new(entries, present, map.shared_keys());
            shapes.known.push((present, shape));
            shapes.known.len() - 1
        });
        let shape = &shapes.known[at].1;
        let length = shape.keys.as_slice().len();
        let mut all = map.take_values();
        all.reserve_exact(length - all.len());
        let mut result = Ok(());
        for (entry, place) in entries.iter_mut().zip(&shape.places) {
            let Some(place) = place else { continue };
            let is_new = *place == all.len();
            match &mut entry.what {
                What::Field(source, _) if is_new => all.push(inserted.value(*source, Value::Int64)),
                What::Field(source, _) => all[*place] = inserted.value(*source, Value::Int64),
                What::Inside(node) => {
                    if is_new {
                        all.push(Value::Null);
                    }
                    result = node.put_inside(&entry.name, &mut all[*place], inserted);
                    if result.is_err() {
                        break;
                    }
                }
            }
        }
        // Also what failed is a map of as many values as keys.
        all.resize_with(length, || Value::Null);
        map.put_values(&shape.keys, all);
        result
    }

    fn put_inside(&mut self, name: &str, value: &mut Value, inserted: &Inserted<'_>) -> Result<()> {
        if value.is_null() {
            *value = Value::Map(Map::new());
        }
        match value {
            Value::Map(inner) => self.put_into_map(inner, inserted),
            other => Err(no_place(name, other.java_class())),
        }
    }
}

#[cold]
fn no_place(field: &str, found: &str) -> ConnectError {
    ConnectError::data(format!(
        "cannot insert a field into field \"{field}\": it is {found}, and a struct or map is needed"
    ))
}
