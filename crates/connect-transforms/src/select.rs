//! Which fields stay, and under which names: what ReplaceField does, and HeaderFrom when it moves.
//!
//! Lives here: rules about fields, as deep as paths go; plans of them for schemas and for shapes of maps; running
//! them, which moves values inside of the struct or map that is there.

use crate::field_path::{Branch, FieldTree};
use crate::operate::key_is_no_text;
use crate::plan::{SchemaPlans, ShapePlans, keys_of};
use connect_api::Result;
use connect_api::data::{Keys, Map, Schema, SchemaBuilder, Str, Struct, Type, Value};
use std::sync::Arc;

/// What is said about the fields of a struct or map.
#[derive(Clone, Default)]
pub struct Rules {
    pub exclude: FieldTree<()>,
    /// `None`: all.
    pub include: Option<FieldTree<()>>,
    /// New names.
    pub renames: FieldTree<Str>,
}

impl Rules {
    /// The name under which a field stays, if it does, and the rules for what is inside of it, if there are any.
    fn of_field(&self, name: &Str) -> Option<(Str, Option<Rules>)> {
        let excluded = self.exclude.branch(name);
        if excluded.is_some_and(|branch| branch.leaf.is_some()) {
            return None;
        }
        let include = match &self.include {
            None => None,
            Some(include) => {
                let branch = include.branch(name)?;
                branch.leaf.is_none().then(|| branch.below.clone())
            }
        };
        let renamed = self.renames.branch(name);
        let new_name = renamed.and_then(|branch| branch.leaf.clone());
        fn below<T: Clone>(branch: Option<&Branch<T>>) -> FieldTree<T> {
            branch.map_or_else(FieldTree::default, |branch| branch.below.clone())
        }
        let inside = Rules {
            exclude: below(excluded),
            include,
            renames: below(renamed),
        };
        let says_something =
            !inside.exclude.is_empty() || inside.include.is_some() || !inside.renames.is_empty();
        Some((
            new_name.unwrap_or_else(|| name.clone()),
            says_something.then_some(inside),
        ))
    }
}

/// Rules with the plans that were made from them.
#[derive(Default)]
pub struct Selection {
    rules: Rules,
    replace_null: bool,
    structs: SchemaPlans<StructPlan>,
    shapes: ShapePlans<MapPlan>,
}

impl Selection {
    pub fn new(rules: Rules, replace_null: bool) -> Self {
        Self {
            rules,
            replace_null,
            ..Self::default()
        }
    }

    pub fn apply(&mut self, fields: &mut Struct) -> Result<()> {
        let (rules, replace_null) = (&self.rules, self.replace_null);
        let plan = self.structs.get(fields.schema(), |schema| {
            let mut plan = StructPlan::new(rules, schema, replace_null, Place::Top)?;
            plan.schema = plan.schema.interned();
            Ok(plan)
        })?;
        plan.run(fields)
    }

    pub fn apply_schemaless(&mut self, map: &mut Map) -> Result<()> {
        let rules = &self.rules;
        let plan = self
            .shapes
            .get(map.shared_keys(), |keys| MapPlan::new(rules, keys))?;
        plan.run(map)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Inside,
}

struct StructPlan {
    schema: Schema,
    moves: Moves,
    /// Of the takes, those whose nulls matter or that change inside.
    special: Vec<Special>,
}

/// How values that stay come together at the front, in order.
enum Moves {
    /// All stay.
    None,
    /// The indexes of the few that go, the last one first.
    Remove(Vec<usize>),
    /// For each that stays, where it comes from; never from before its new place.
    Gather(Vec<usize>),
}

/// Up to so many values are cheaper to close up one by one.
const REMOVED_MAX: usize = 4;

impl Moves {
    /// `from`: for each value that stays, its index among all.
    fn new(from: Vec<usize>, all: usize) -> Self {
        match all - from.len() {
            0 => Moves::None,
            1..=REMOVED_MAX => {
                let gone = (0..all).rev().filter(|index| !from.contains(index));
                Moves::Remove(gone.collect())
            }
            _ => Moves::Gather(from),
        }
    }

    fn run(&self, values: &mut Vec<Value>) {
        match self {
            Moves::None => {}
            Moves::Remove(gone) => {
                for index in gone {
                    values.remove(*index);
                }
            }
            Moves::Gather(from) => {
                for (index, from) in from.iter().enumerate() {
                    if index != *from {
                        values.swap(index, *from);
                    }
                }
                values.truncate(from.len());
            }
        }
    }
}

struct Special {
    /// The new index.
    index: usize,
    default: Option<Value>,
    required: bool,
    inside: Option<StructPlan>,
}

impl StructPlan {
    fn new(rules: &Rules, schema: &Schema, replace_null: bool, place: Place) -> Result<Self> {
        let mut builder = SchemaBuilder::structure().basics_of(schema);
        let mut takes = Vec::new();
        let mut special = Vec::new();
        for field in schema.fields() {
            let Some((name, inside)) = rules.of_field(&field.name) else {
                continue;
            };
            let is_struct = field.schema.schema_type() == Type::Struct;
            if !is_struct && inside.as_ref().is_some_and(|rules| rules.include.is_some()) {
                // What is to be included lies inside of it, and there is no inside.
                continue;
            }
            let inside = inside
                .filter(|_| is_struct)
                .map(|rules| StructPlan::new(&rules, &field.schema, replace_null, Place::Inside))
                .transpose()?;
            let new_schema = match &inside {
                Some(plan) => plan.schema.clone(),
                None => field.schema.clone(),
            };
            let default = field
                .schema
                .default_value()
                .filter(|_| replace_null)
                .cloned();
            let required = !new_schema.is_optional();
            if default.is_some() || required || inside.is_some() {
                special.push(Special {
                    index: takes.len(),
                    default,
                    required,
                    inside,
                });
            }
            takes.push(field.index);
            builder = builder.field(name, new_schema);
        }
        // Java's new struct is never optional and has no default; those inside keep what they have.
        if place == Place::Inside && schema.is_optional() {
            builder = builder.optional();
        }
        let mut plan = Self {
            schema: builder.build()?,
            moves: Moves::new(takes, schema.fields().len()),
            special,
        };
        if place == Place::Inside
            && let Some(Value::Struct(default)) = schema.default_value()
        {
            let mut default = default.clone();
            plan.run(&mut default)?;
            let builder = plan
                .schema
                .to_builder()
                .default_value(Value::Struct(default));
            plan.schema = builder.build_unchecked()?;
        }
        Ok(plan)
    }

    fn run(&self, fields: &mut Struct) -> Result<()> {
        match &self.moves {
            Moves::None => fields.set_schema(self.schema.clone()),
            moves => {
                let mut values = fields.take_values();
                moves.run(&mut values);
                fields.put_values(self.schema.clone(), values);
            }
        }
        let values = fields.values_mut();
        for special in &self.special {
            let value = &mut values[special.index];
            if value.is_null() {
                if let Some(default) = &special.default {
                    *value = default.clone();
                } else if special.required {
                    return self.schema.fields()[special.index].validate(value);
                }
            }
            if let (Some(plan), Value::Struct(fields)) = (&special.inside, value) {
                plan.run(fields)?;
            }
        }
        Ok(())
    }
}

enum Order {
    Kept(Moves),
    /// For each key of the result, where its value comes from.
    Changed(Vec<usize>),
}

struct MapPlan {
    keys: Arc<Keys>,
    order: Order,
    inside: Vec<(usize, Selection)>,
}

impl MapPlan {
    fn new(rules: &Rules, keys: &Keys) -> Result<Self> {
        let mut names: Vec<Str> = Vec::new();
        let mut from = Vec::new();
        let mut inside = Vec::new();
        for (index, key) in keys.as_slice().iter().enumerate() {
            let Value::String(key) = key else {
                return Err(key_is_no_text(key));
            };
            let Some((name, rules)) = rules.of_field(key) else {
                continue;
            };
            // Of two that get the same name, the later one stays.
            let at = match names.iter().position(|known| *known == name) {
                Some(at) => {
                    from[at] = index;
                    inside.retain(|(known, _)| *known != at);
                    at
                }
                None => {
                    names.push(name);
                    from.push(index);
                    names.len() - 1
                }
            };
            if let Some(rules) = rules {
                inside.push((at, Selection::new(rules, false)));
            }
        }
        Ok(Self {
            order: if from.is_sorted() {
                Order::Kept(Moves::new(from, keys.as_slice().len()))
            } else {
                Order::Changed(from)
            },
            keys: keys_of(names.into_iter().map(Value::String)),
            inside,
        })
    }

    fn run(&mut self, map: &mut Map) -> Result<()> {
        let mut values = map.take_values();
        match &self.order {
            Order::Kept(moves) => moves.run(&mut values),
            Order::Changed(from) => {
                let taken = from.iter().map(|from| std::mem::take(&mut values[*from]));
                values = taken.collect();
            }
        }
        for (index, selection) in &mut self.inside {
            if let Value::Map(map) = &mut values[*index] {
                selection.apply_schemaless(map)?;
            }
        }
        map.put_values(&self.keys, values);
        Ok(())
    }
}
