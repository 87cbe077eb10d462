//! Finding the geometries in a value: fields whose schema is named `io.debezium.data.geometry.Geometry`.
//!
//! Never here: what becomes of a geometry.

use super::envelope::{cast_struct, check_put_of, fill_defaults, index_of_type, put_checks};
use super::plans::{Planned, Plans, planned};
use connect_api::data::{Map, Schema, Struct, Type, Value};
use connect_api::{ConnectError, Result};

const GEOMETRY: &str = "io.debezium.data.geometry.Geometry";

/// How deep geometries are looked for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Depth {
    /// Structs in structs.
    Structs,
    /// Arrays and maps too.
    Containers,
}

/// Walks values of known schemas.
pub(super) struct GeometryFields {
    depth: Depth,
    plans: Plans<Place>,
}

/// What a schema holds.
enum Place {
    Nothing,
    Geometry(Planned<Geometry>),
    /// Fields to walk or to check, in order.
    Struct {
        has_defaults: bool,
        fields: Vec<(usize, Place)>,
    },
    Array(Box<Place>),
    Map(Box<Place>, Box<Place>),
}

/// Indexes of the fields of a geometry.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    srid: usize,
    wkb: usize,
}

impl Geometry {
    fn of(schema: &Schema) -> Planned<Self> {
        Ok(Self {
            srid: index_of_type(schema, "srid", Type::Int32)?,
            wkb: index_of_type(schema, "wkb", Type::Bytes)?,
        })
    }

    pub(super) fn srid(self, geometry: &Struct) -> Option<i32> {
        match &geometry.values()[self.srid] {
            Value::Int32(srid) => Some(*srid),
            _ => None,
        }
    }

    pub(super) fn wkb(self, geometry: &Struct) -> Option<&[u8]> {
        match &geometry.values()[self.wkb] {
            Value::Bytes(wkb) => Some(wkb),
            _ => None,
        }
    }

    pub(super) fn set_wkb(self, geometry: &mut Struct, wkb: Vec<u8>) {
        geometry.values_mut()[self.wkb] = Value::Bytes(wkb.into());
    }
}

type Change<'a> = &'a mut dyn FnMut(Geometry, &mut Struct) -> Result<()>;

impl GeometryFields {
    pub(super) fn new(depth: Depth) -> Self {
        Self {
            depth,
            plans: Plans::default(),
        }
    }

    /// Hands every geometry to `change`. Nulls of fields with a default become it, as in Java.
    pub(super) fn each(&mut self, value: &mut Struct, change: Change<'_>) -> Result<()> {
        let depth = self.depth;
        let place = self
            .plans
            .get_or_make(value.schema(), |schema| Place::of_struct(schema, depth));
        place.walk_struct(value, change)
    }
}

impl Place {
    fn of(schema: &Schema, depth: Depth) -> Self {
        let containers = depth == Depth::Containers;
        match (schema.schema_type(), schema.value_schema()) {
            (Type::Struct, _) if schema.name() == Some(GEOMETRY) => {
                Place::Geometry(Geometry::of(schema))
            }
            (Type::Struct, _) => Place::of_struct(schema, depth),
            (Type::Array, Some(elements)) if containers => match Place::of(elements, depth) {
                Place::Nothing => Place::Nothing,
                place => Place::Array(Box::new(place)),
            },
            (Type::Map, Some(values)) if containers => {
                let keys = schema
                    .key_schema()
                    .map_or(Place::Nothing, |keys| Place::of(keys, depth));
                Place::Map(Box::new(keys), Box::new(Place::of(values, depth)))
            }
            _ => Place::Nothing,
        }
    }

    fn of_struct(schema: &Schema, depth: Depth) -> Self {
        let fields = schema.fields();
        let checks = put_checks(schema);
        let places = fields
            .iter()
            .map(|field| (field.index, Place::of(&field.schema, depth)));
        let is_needed = |(index, place): &(usize, Place)| {
            !matches!(place, Place::Nothing) || checks.contains(index)
        };
        Place::Struct {
            has_defaults: fields
                .iter()
                .any(|field| field.schema.default_value().is_some()),
            fields: places.filter(is_needed).collect(),
        }
    }

    fn walk(&self, value: &mut Value, change: Change<'_>) -> Result<()> {
        if value.is_null() {
            return Ok(());
        }
        match self {
            Place::Nothing => Ok(()),
            Place::Geometry(geometry) => change(*planned(geometry)?, struct_in(value)?),
            Place::Struct { .. } => self.walk_struct(struct_in(value)?, change),
            Place::Array(place) => match value {
                Value::Array(elements) => elements
                    .iter_mut()
                    .try_for_each(|element| place.walk(element, change)),
                other => Err(super::envelope::class_cast(other, "java.util.List")),
            },
            Place::Map(keys, values) => match value {
                Value::Map(map) => {
                    *map = walk_map(keys, values, map, change)?;
                    Ok(())
                }
                other => Err(super::envelope::class_cast(other, "java.util.Map")),
            },
        }
    }

    fn walk_struct(&self, value: &mut Struct, change: Change<'_>) -> Result<()> {
        let Place::Struct {
            has_defaults,
            fields,
        } = self
        else {
            return Ok(());
        };
        let schema = value.schema().clone();
        if *has_defaults {
            fill_defaults(&schema, value.values_mut());
        }
        for (index, place) in fields {
            let field = &mut value.values_mut()[*index];
            place.walk(field, change)?;
            check_put_of(&schema, *index, field)?;
        }
        Ok(())
    }
}

fn walk_map(keys: &Place, values: &Place, map: &Map, change: Change<'_>) -> Result<Map> {
    let mut new = Map::with_capacity(map.len());
    for (key, value) in map.iter() {
        if value.is_null() {
            return Err(ConnectError::data(
                "a map holds a null, which SwapGeometryCoordinates does not take",
            ));
        }
        let (mut key, mut value) = (key.clone(), value.clone());
        keys.walk(&mut key, change)?;
        values.walk(&mut value, change)?;
        new.insert(key, value);
    }
    Ok(new)
}

fn struct_in(value: &mut Value) -> Result<&mut Struct> {
    match value {
        Value::Struct(fields) => Ok(fields),
        other => Err(cast_struct(other)
            .err()
            .unwrap_or_else(|| ConnectError::data("no struct"))),
    }
}
