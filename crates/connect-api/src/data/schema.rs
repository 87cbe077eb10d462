//! What a value means: type, name, version, optional, default, fields.

use super::{Str, Value};
use crate::{ConnectError, Result};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The type of a value. The last three are made of others; all before them are primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
    Bytes,
    Array,
    Map,
    Struct,
}

impl Type {
    pub fn is_primitive(self) -> bool {
        !matches!(self, Type::Array | Type::Map | Type::Struct)
    }

    /// The name as Java prints it: `INT8`.
    pub fn name(self) -> &'static str {
        match self {
            Type::Int8 => "INT8",
            Type::Int16 => "INT16",
            Type::Int32 => "INT32",
            Type::Int64 => "INT64",
            Type::Float32 => "FLOAT32",
            Type::Float64 => "FLOAT64",
            Type::Boolean => "BOOLEAN",
            Type::String => "STRING",
            Type::Bytes => "BYTES",
            Type::Array => "ARRAY",
            Type::Map => "MAP",
            Type::Struct => "STRUCT",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A schema, cheap to clone: a pointer to what it says, which never changes.
///
/// Two handles of one schema are told to be equal by their pointers, so a plan compiled for a schema is
/// found again at the cost of a comparison ([`Schema::ptr_eq`]).
#[derive(Clone)]
pub struct Schema(Handle);

#[derive(Clone)]
enum Handle {
    Static(&'static SchemaData),
    Shared(Arc<SchemaData>),
}

/// What a schema says. Read it through [`Schema`].
#[derive(Debug)]
pub struct SchemaData {
    schema_type: Type,
    optional: bool,
    default: Option<Value>,
    name: Option<Str>,
    version: Option<i32>,
    doc: Option<Str>,
    parameters: Vec<(Str, Str)>,
    has_parameters: bool,
    fields: Option<Box<Fields>>,
    key_schema: Option<Schema>,
    value_schema: Option<Schema>,
}

/// A field of a STRUCT schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: Str,
    pub index: usize,
    pub schema: Schema,
}

impl Field {
    /// Whether a value can be put into this field: Java's check of `Struct.put`.
    pub fn validate(&self, value: &Value) -> Result<()> {
        self.schema.validate_field(&self.name, value)
    }
}

#[derive(Debug, Default)]
struct Fields {
    list: Vec<Field>,
    by_name: HashMap<Str, usize>,
}

macro_rules! primitives {
    ($($required:ident, $optional:ident, $type:ident;)*) => { $(
        pub const $required: Schema = Schema::of_static({
            static DATA: SchemaData = SchemaData::primitive(Type::$type, false);
            &DATA
        });
        pub const $optional: Schema = Schema::of_static({
            static DATA: SchemaData = SchemaData::primitive(Type::$type, true);
            &DATA
        });
    )* };
}

impl SchemaData {
    const fn primitive(schema_type: Type, optional: bool) -> Self {
        Self {
            schema_type,
            optional,
            default: None,
            name: None,
            version: None,
            doc: None,
            parameters: Vec::new(),
            has_parameters: false,
            fields: None,
            key_schema: None,
            value_schema: None,
        }
    }
}

impl Schema {
    primitives! {
        INT8, OPTIONAL_INT8, Int8;
        INT16, OPTIONAL_INT16, Int16;
        INT32, OPTIONAL_INT32, Int32;
        INT64, OPTIONAL_INT64, Int64;
        FLOAT32, OPTIONAL_FLOAT32, Float32;
        FLOAT64, OPTIONAL_FLOAT64, Float64;
        BOOLEAN, OPTIONAL_BOOLEAN, Boolean;
        STRING, OPTIONAL_STRING, String;
        BYTES, OPTIONAL_BYTES, Bytes;
    }

    const fn of_static(data: &'static SchemaData) -> Self {
        Self(Handle::Static(data))
    }

    fn data(&self) -> &SchemaData {
        match &self.0 {
            Handle::Static(data) => data,
            Handle::Shared(data) => data,
        }
    }

    pub(super) fn is_static(&self) -> bool {
        matches!(self.0, Handle::Static(_))
    }

    /// The same schema, which is never freed from now on.
    pub(super) fn leaked(self) -> Self {
        match self.0 {
            Handle::Static(_) => self,
            Handle::Shared(data) => Self(Handle::Static(Box::leak(Box::new(data)))),
        }
    }

    /// Whether both are the same schema in memory. Equal schemas may differ here.
    pub fn ptr_eq(&self, other: &Schema) -> bool {
        std::ptr::eq(self.data(), other.data())
    }

    pub fn schema_type(&self) -> Type {
        self.data().schema_type
    }

    pub fn is_optional(&self) -> bool {
        self.data().optional
    }

    pub fn default_value(&self) -> Option<&Value> {
        self.data().default.as_ref()
    }

    pub fn name(&self) -> Option<&str> {
        self.data().name.as_deref()
    }

    pub fn version(&self) -> Option<i32> {
        self.data().version
    }

    pub fn doc(&self) -> Option<&str> {
        self.data().doc.as_deref()
    }

    /// Parameters in order of definition; `None` when none were ever set.
    pub fn parameters(&self) -> Option<&[(Str, Str)]> {
        self.data()
            .has_parameters
            .then_some(&self.data().parameters)
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.data()
            .parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The fields of a STRUCT; none for any other type.
    pub fn fields(&self) -> &[Field] {
        self.data()
            .fields
            .as_ref()
            .map_or(&[], |fields| &fields.list)
    }

    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.data().fields.as_ref()?.by_name.get(name).copied()
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.field_index(name).map(|index| &self.fields()[index])
    }

    /// The schema of a MAP's keys. A map that was parsed from text may have none.
    pub fn key_schema(&self) -> Option<&Schema> {
        self.data().key_schema.as_ref()
    }

    /// The schema of a MAP's values or an ARRAY's elements. What was parsed from text may have none.
    pub fn value_schema(&self) -> Option<&Schema> {
        self.data().value_schema.as_ref()
    }

    /// A builder of the schema as it is, in which every part can be set anew.
    pub fn to_builder(&self) -> SchemaBuilder {
        let data = self.data();
        SchemaBuilder {
            data: SchemaData {
                schema_type: data.schema_type,
                optional: data.optional,
                default: data.default.clone(),
                name: data.name.clone(),
                version: data.version,
                doc: data.doc.clone(),
                parameters: data.parameters.clone(),
                has_parameters: data.has_parameters,
                fields: data.fields.as_ref().map(|fields| {
                    Box::new(Fields {
                        list: fields.list.clone(),
                        by_name: fields.by_name.clone(),
                    })
                }),
                key_schema: data.key_schema.clone(),
                value_schema: data.value_schema.clone(),
            },
            changed: Changed::default(),
            error: None,
        }
    }

    /// Whether both have the same parameters, in any order.
    pub(super) fn has_same_parameters(&self, other: &Schema) -> bool {
        let (a, b) = (self.data(), other.data());
        a.has_parameters == b.has_parameters
            && a.parameters.len() == b.parameters.len()
            && a.parameters
                .iter()
                .all(|entry| b.parameters.contains(entry))
    }

    /// Equal, and the parameters stand in the same order everywhere: the one prints as the other.
    pub(super) fn is_identical(&self, other: &Schema) -> bool {
        fn ordered_alike(a: &Schema, b: &Schema) -> bool {
            let part = |a: Option<&Schema>, b: Option<&Schema>| match (a, b) {
                (Some(a), Some(b)) => ordered_alike(a, b),
                _ => true,
            };
            let fields = a.fields().iter().zip(b.fields());
            a.ptr_eq(b)
                || a.data().parameters == b.data().parameters
                    && part(a.key_schema(), b.key_schema())
                    && part(a.value_schema(), b.value_schema())
                    && fields
                        .into_iter()
                        .all(|(a, b)| ordered_alike(&a.schema, &b.schema))
        }
        self == other && ordered_alike(self, other)
    }

    /// Whether a value is valid for this schema.
    ///
    /// Fails: with Java's messages, e.g. `Invalid Java object for schema with type INT32: class
    /// java.lang.Long for value`.
    pub fn validate(&self, value: &Value) -> Result<()> {
        super::validate::validate(self, value, &super::validate::Location::Value)
    }

    pub(super) fn validate_field(&self, field: &str, value: &Value) -> Result<()> {
        super::validate::validate(self, value, &super::validate::Location::Field(field))
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        if self.ptr_eq(other) {
            return true;
        }
        let (a, b) = (self.data(), other.data());
        a.schema_type == b.schema_type
            && a.optional == b.optional
            && a.name == b.name
            && a.version == b.version
            && a.doc == b.doc
            && a.default == b.default
            && self.has_same_parameters(other)
            && self.fields() == other.fields()
            && a.key_schema == b.key_schema
            && a.value_schema == b.value_schema
    }
}

impl Eq for Schema {}

/// `Schema{name:TYPE}` or `Schema{TYPE}`.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "Schema{{{name}:{}}}", self.schema_type()),
            None => write!(f, "Schema{{{}}}", self.schema_type()),
        }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Schema");
        text.field("type", &self.schema_type())
            .field("optional", &self.is_optional());
        if let Some(name) = self.name() {
            text.field("name", &name);
        }
        if let Some(version) = self.version() {
            text.field("version", &version);
        }
        if let Some(doc) = self.doc() {
            text.field("doc", &doc);
        }
        if let Some(default) = self.default_value() {
            text.field("default", default);
        }
        if let Some(parameters) = self.parameters() {
            text.field("parameters", &parameters);
        }
        for field in self.fields() {
            text.field(&field.name, &field.schema);
        }
        if let Some(keys) = self.key_schema() {
            text.field("keys", keys);
        }
        if let Some(values) = self.value_schema() {
            text.field("values", values);
        }
        text.finish()
    }
}

/// Makes a [`Schema`]. Each part can be set once, again only to the same; the first mistake is what
/// [`SchemaBuilder::build`] says.
pub struct SchemaBuilder {
    data: SchemaData,
    changed: Changed,
    error: Option<String>,
}

/// The parts that this builder has set.
#[derive(Default)]
struct Changed {
    optional: bool,
    name: bool,
    version: bool,
    doc: bool,
    default: bool,
}

impl SchemaBuilder {
    /// A required schema of that type. Arrays and maps: [`Self::array`], [`Self::map`].
    pub fn new(schema_type: Type) -> Self {
        let mut data = SchemaData::primitive(schema_type, false);
        if schema_type == Type::Struct {
            data.fields = Some(Box::default());
        }
        Self {
            data,
            changed: Changed::default(),
            error: None,
        }
    }

    pub fn structure() -> Self {
        Self::new(Type::Struct)
    }

    /// Takes over name, version, doc and parameters, as `SchemaUtil.copySchemaBasics` does: neither whether it is
    /// optional nor its default.
    #[must_use]
    pub fn basics_of(mut self, schema: &Schema) -> Self {
        let data = schema.data();
        self.data.name = data.name.clone();
        self.data.version = data.version;
        self.data.doc = data.doc.clone();
        self.data.parameters = data.parameters.clone();
        self.data.has_parameters = data.has_parameters;
        self
    }

    pub fn array(elements: Schema) -> Self {
        let mut builder = Self::new(Type::Array);
        builder.data.value_schema = Some(elements);
        builder
    }

    pub fn map(keys: Schema, values: Schema) -> Self {
        let mut builder = Self::new(Type::Map);
        builder.data.key_schema = Some(keys);
        builder.data.value_schema = Some(values);
        builder
    }

    /// An array whose elements have no common schema: only what was parsed from text has this.
    pub fn array_of_any(elements: Option<Schema>) -> Self {
        let mut builder = Self::new(Type::Array);
        builder.data.value_schema = elements;
        builder
    }

    /// A map whose keys or values have no common schema: only what was parsed from text has this.
    pub fn map_of_any(keys: Option<Schema>, values: Option<Schema>) -> Self {
        let mut builder = Self::new(Type::Map);
        builder.data.key_schema = keys;
        builder.data.value_schema = values;
        builder
    }

    #[must_use]
    pub fn optional(self) -> Self {
        self.set_optional(true)
    }

    #[must_use]
    pub fn required(self) -> Self {
        self.set_optional(false)
    }

    fn set_optional(mut self, optional: bool) -> Self {
        let same = self.data.optional == optional;
        self.data.optional = optional;
        let was_set = std::mem::replace(&mut self.changed.optional, true);
        self.only_once("optional", !was_set || same)
    }

    #[must_use]
    pub fn name(mut self, name: impl Into<Str>) -> Self {
        let name = Some(name.into());
        let same = self.data.name == name;
        self.data.name = name;
        let was_set = std::mem::replace(&mut self.changed.name, true);
        self.only_once("name", !was_set || same)
    }

    #[must_use]
    pub fn version(mut self, version: i32) -> Self {
        let same = self.data.version == Some(version);
        self.data.version = Some(version);
        let was_set = std::mem::replace(&mut self.changed.version, true);
        self.only_once("version", !was_set || same)
    }

    #[must_use]
    pub fn doc(mut self, doc: impl Into<Str>) -> Self {
        let doc = Some(doc.into());
        let same = self.data.doc == doc;
        self.data.doc = doc;
        let was_set = std::mem::replace(&mut self.changed.doc, true);
        self.only_once("doc", !was_set || same)
    }

    /// The value that stands in for null; null is none. Checked by [`Self::build`].
    #[must_use]
    pub fn default_value(mut self, value: impl Into<Value>) -> Self {
        let value = Some(value.into());
        let same = self.data.default == value;
        self.data.default = value;
        let was_set = std::mem::replace(&mut self.changed.default, true);
        self.only_once("default", !was_set || same)
    }

    /// Takes the default away.
    #[must_use]
    pub fn without_default(mut self) -> Self {
        self.data.default = None;
        self
    }

    fn only_once(self, part: &str, allowed: bool) -> Self {
        if allowed {
            return self;
        }
        self.failed(format!(
            "Invalid SchemaBuilder call: {part} has already been set."
        ))
    }

    /// Adds a parameter, or puts its value in place of the one it has.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<Str>, value: impl Into<Str>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.data.has_parameters = true;
        let parameters = &mut self.data.parameters;
        match parameters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => parameters.push((name, value)),
        }
        self
    }

    #[must_use]
    pub fn parameters<N: Into<Str>, V: Into<Str>>(
        self,
        parameters: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let parameters = parameters.into_iter();
        parameters.fold(self, |builder, (name, value)| {
            builder.parameter(name, value)
        })
    }

    /// Adds a field behind the others.
    #[must_use]
    pub fn field(mut self, name: impl Into<Str>, schema: Schema) -> Self {
        let name = name.into();
        let Some(fields) = &mut self.data.fields else {
            let message = format!("Cannot create fields on type {}", self.data.schema_type);
            return self.failed(message);
        };
        if name.is_empty() {
            return self.failed("fieldName cannot be null.".to_string());
        }
        if fields.by_name.contains_key(&name) {
            return self.failed(format!(
                "Cannot create field because of field name duplication {name}"
            ));
        }
        let index = fields.list.len();
        fields.by_name.insert(name.clone(), index);
        fields.list.push(Field {
            name,
            index,
            schema,
        });
        self
    }

    /// The schema.
    ///
    /// Fails: with the first mistake that was made, or `Invalid default value`.
    pub fn build(self) -> Result<Schema> {
        let default = self.data.default.clone();
        let schema = self.build_unchecked()?;
        if let Some(default) = &default
            && let Err(cause) = schema.validate(default)
        {
            return Err(ConnectError::data("Invalid default value").caused_by(cause));
        }
        Ok(schema)
    }

    /// The schema, whose default may be any value, as in Java's constructor of `ConnectSchema`.
    ///
    /// Fails: with the first mistake that was made.
    pub fn build_unchecked(mut self) -> Result<Schema> {
        if let Some(message) = self.error {
            return Err(ConnectError::data(message));
        }
        self.data.default = self.data.default.filter(|default| !default.is_null());
        Ok(Schema(Handle::Shared(Arc::new(self.data))))
    }

    fn failed(mut self, message: String) -> Self {
        self.fail(message);
        self
    }

    fn fail(&mut self, message: String) {
        self.error.get_or_insert(message);
    }
}
