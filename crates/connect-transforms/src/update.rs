//! Changing single fields in place: what Cast, MaskField and TimestampConverter have in common.
//!
//! Lives here: the plan for a struct (a new schema, and what happens to which field) and for a map without schema,
//! nested as deep as the paths go, and running them.
//! Lives elsewhere: what happens to one value ([`Change`]), which is the transform's.

use crate::field_path::{FieldPath, FieldTree};
use crate::plan::{SchemaPlans, ShapePlans, keys_of};
use connect_api::data::{Keys, Map, Schema, SchemaBuilder, Str, StrBuffer, Struct, Type, Value};
use connect_api::{ConnectError, Result};
use std::sync::Arc;

/// What is to happen to a field.
pub trait Change: Clone {
    /// The same, worked out for a field's schema.
    type Step;

    /// The field's new schema, and what is done to its values.
    fn plan(&self, schema: &Schema) -> Result<(Schema, Self::Step)>;

    /// Changes a value of a field with a schema. Null, where there is no value.
    fn apply(&self, step: &Self::Step, value: &mut Value, texts: &mut StrBuffer) -> Result<()>;

    /// Changes a value without schema.
    fn apply_schemaless(&self, value: &mut Value, texts: &mut StrBuffer) -> Result<()>;

    /// What becomes of the structs around the field.
    const AROUND: Around;

    /// Why a struct whose schema has a default cannot be changed, if it cannot.
    fn refuses_default() -> Option<ConnectError> {
        None
    }
}

/// What a transform keeps of a struct's schema.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// The very schema; fields keep theirs.
    Same,
    /// Basics, whether it is optional, and its default with the change in it.
    Rebuilt,
}

pub struct Updater<C: Change> {
    tree: FieldTree<C>,
    replace_null: bool,
    structs: SchemaPlans<StructPlan<C>>,
    maps: MapUpdater<C>,
    texts: StrBuffer,
}

impl<C: Change> Updater<C> {
    pub fn new(changes: impl IntoIterator<Item = (FieldPath, C)>, replace_null: bool) -> Self {
        let mut tree = FieldTree::default();
        for (path, change) in changes {
            tree.insert(&path, change);
        }
        Self {
            maps: MapUpdater::new(&tree),
            tree,
            replace_null,
            structs: SchemaPlans::default(),
            texts: StrBuffer::new(),
        }
    }

    /// The schema of structs of this schema after the change.
    pub fn schema(&mut self, schema: &Schema) -> Result<&Schema> {
        Ok(&self.plan(schema)?.0.schema)
    }

    pub fn apply(&mut self, value: &mut Struct) -> Result<()> {
        let (plan, texts) = self.plan(value.schema())?;
        plan.run(value, texts)
    }

    pub fn apply_schemaless(&mut self, value: &mut Map) -> Result<()> {
        self.maps.run(value, &mut self.texts)
    }

    #[inline]
    fn plan(&mut self, schema: &Schema) -> Result<(&StructPlan<C>, &mut StrBuffer)> {
        let Self {
            tree,
            replace_null,
            structs,
            texts,
            ..
        } = self;
        let plan = structs.get(schema, |schema| {
            if schema.default_value().is_some()
                && let Some(error) = C::refuses_default()
            {
                return Err(error);
            }
            let mut plan = StructPlan::new(tree, schema, *replace_null)?;
            plan.schema = plan.schema.interned();
            Ok(plan)
        })?;
        Ok((plan, texts))
    }
}

struct StructPlan<C: Change> {
    /// Afterwards.
    schema: Schema,
    steps: Vec<FieldStep<C>>,
}

/// A field that is changed or whose nulls matter.
struct FieldStep<C: Change> {
    index: usize,
    /// Put in place of null before anything else.
    default: Option<Value>,
    /// Whether null is refused in the end.
    required: bool,
    action: Action<C>,
}

enum Action<C: Change> {
    Keep,
    Change(C, C::Step),
    Below(StructPlan<C>),
}

impl<C: Change> StructPlan<C> {
    fn new(tree: &FieldTree<C>, schema: &Schema, replace_null: bool) -> Result<Self> {
        let mut steps = Vec::new();
        let mut builder = SchemaBuilder::structure().basics_of(schema);
        for field in schema.fields() {
            let (new_schema, action) = match tree.branch(&field.name) {
                Some(branch) if branch.leaf.is_some() => {
                    let change = branch.leaf.clone().expect("just seen");
                    let (new_schema, step) = change.plan(&field.schema)?;
                    (new_schema, Action::Change(change, step))
                }
                Some(branch) if field.schema.schema_type() == Type::Struct => {
                    let plan = StructPlan::new(&branch.below, &field.schema, replace_null)?;
                    (plan.schema.clone(), Action::Below(plan))
                }
                _ => (field.schema.clone(), Action::Keep),
            };
            let default = field.schema.default_value().filter(|_| replace_null);
            let required = !new_schema.is_optional();
            if required || default.is_some() || !matches!(action, Action::Keep) {
                steps.push(FieldStep {
                    index: field.index,
                    default: default.cloned(),
                    required,
                    action,
                });
            }
            builder = builder.field(field.name.clone(), new_schema);
        }
        if C::AROUND == Around::Same {
            let schema = schema.clone();
            return Ok(Self { schema, steps });
        }
        if schema.is_optional() {
            builder = builder.optional();
        }
        if let Some(default) = schema.default_value() {
            let mut plan = Self {
                schema: builder.build()?,
                steps,
            };
            let mut default = default.clone();
            if let Value::Struct(fields) = &mut default {
                plan.run(fields, &mut StrBuffer::new())?;
            }
            plan.schema = plan
                .schema
                .to_builder()
                .default_value(default)
                .build_unchecked()?;
            return Ok(plan);
        }
        Ok(Self {
            schema: builder.build()?,
            steps,
        })
    }

    fn run(&self, fields: &mut Struct, texts: &mut StrBuffer) -> Result<()> {
        let values = fields.values_mut();
        for step in &self.steps {
            let value = &mut values[step.index];
            if let Some(default) = &step.default
                && value.is_null()
            {
                *value = default.clone();
            }
            match &step.action {
                Action::Keep => {}
                Action::Change(change, step) => change.apply(step, value, texts)?,
                Action::Below(plan) => {
                    if let Value::Struct(fields) = value {
                        plan.run(fields, texts)?;
                    }
                }
            }
            if step.required && value.is_null() {
                return self.schema.fields()[step.index].validate(value);
            }
        }
        if C::AROUND != Around::Same {
            fields.set_schema(self.schema.clone());
        }
        Ok(())
    }
}

struct MapUpdater<C: Change> {
    branches: Vec<MapBranch<C>>,
    shapes: ShapePlans<Shape>,
}

struct MapBranch<C: Change> {
    key: Str,
    change: Option<C>,
    below: Option<MapUpdater<C>>,
}

/// Where the keys of the branches stand in maps of one shape.
struct Shape {
    places: Vec<Option<usize>>,
    /// The keys with those that the change adds; `None` when it adds none.
    keys: Option<Arc<Keys>>,
    added: usize,
}

impl<C: Change> MapUpdater<C> {
    fn new(tree: &FieldTree<C>) -> Self {
        let branches = tree.branches.iter().map(|branch| MapBranch {
            key: branch.name.clone(),
            change: branch.leaf.clone(),
            below: (!branch.below.is_empty()).then(|| MapUpdater::new(&branch.below)),
        });
        Self {
            branches: branches.collect(),
            shapes: ShapePlans::default(),
        }
    }

    fn run(&mut self, map: &mut Map, texts: &mut StrBuffer) -> Result<()> {
        let Self { branches, shapes } = self;
        let shape = shapes.get(map.shared_keys(), |keys| Ok(Shape::new(branches, keys)))?;
        if let Some(keys) = &shape.keys {
            let mut values = map.take_values();
            values.resize_with(values.len() + shape.added, || Value::Null);
            map.put_values(keys, values);
        }
        let values = map.values_mut();
        for (branch, place) in branches.iter_mut().zip(&shape.places) {
            let Some(place) = place else { continue };
            let value = &mut values[*place];
            match (&branch.change, &mut branch.below) {
                (Some(change), _) => change.apply_schemaless(value, texts)?,
                (None, Some(below)) => {
                    if let Value::Map(map) = value {
                        below.run(map, texts)?;
                    }
                }
                (None, None) => {}
            }
        }
        Ok(())
    }
}

impl Shape {
    fn new<C: Change>(branches: &[MapBranch<C>], keys: &Keys) -> Self {
        let mut all = keys.as_slice().to_vec();
        let places = branches.iter().map(|branch| {
            let known = keys.position_of_str(&branch.key);
            // What a change names is there afterwards; a path leads into what is there.
            if known.is_none() && branch.change.is_some() {
                all.push(Value::String(branch.key.clone()));
                return Some(all.len() - 1);
            }
            known
        });
        let places: Vec<Option<usize>> = places.collect();
        let added = all.len() - keys.as_slice().len();
        Self {
            places,
            keys: (added > 0).then(|| keys_of(all)),
            added,
        }
    }
}
