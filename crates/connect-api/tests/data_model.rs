//! Schemas, structs, validation and projection, with the answers that the classes of Apache Kafka 4.3.1 gave
//! to the same calls.

use connect_api::data::{
    Map, Schema, SchemaBuilder, Struct, Type, Value, java_text, logical, project,
};
use connect_api::{ErrorKind, Result};

type Build = fn(SchemaBuilder) -> SchemaBuilder;

fn int32() -> SchemaBuilder {
    SchemaBuilder::new(Type::Int32)
}

fn built(builder: SchemaBuilder) -> Schema {
    builder.build().expect("no mistake was made")
}

/// An error prints with its causes; they are all Data here.
fn told<T>(result: Result<T>, text: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => text(value),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Data);
            error.to_string()
        }
    }
}

#[test]
fn builder_takes_each_part_once() {
    let rows: [(&str, Build, &str); 17] = [
        (
            "optional, required",
            |b| b.optional().required(),
            "Invalid SchemaBuilder call: optional has already been set.",
        ),
        (
            "optional twice",
            |b| b.optional().optional(),
            "Schema{INT32}",
        ),
        (
            "two names",
            |b| b.name("a").name("b"),
            "Invalid SchemaBuilder call: name has already been set.",
        ),
        (
            "two versions",
            |b| b.version(1).version(2),
            "Invalid SchemaBuilder call: version has already been set.",
        ),
        (
            "one version twice",
            |b| b.version(1).version(1),
            "Schema{INT32}",
        ),
        (
            "two docs",
            |b| b.doc("a").doc("b"),
            "Invalid SchemaBuilder call: doc has already been set.",
        ),
        (
            "two defaults",
            |b| b.default_value(1).default_value(2),
            "Invalid SchemaBuilder call: default has already been set.",
        ),
        (
            "the first mistake counts",
            |b| b.name("a").name("b").field("f", Schema::INT8),
            "Invalid SchemaBuilder call: name has already been set.",
        ),
        (
            "a default of another type",
            |b| b.default_value(1i64),
            "Invalid default value: Invalid Java object for schema with type INT32: class java.lang.Long for value",
        ),
        (
            "null default of a required schema",
            |b| b.default_value(Value::Null),
            "Invalid default value: Invalid value: null used for required value, schema type: INT32",
        ),
        (
            "null default of an optional schema",
            |b| b.optional().default_value(Value::Null),
            "Schema{INT32}",
        ),
        (
            "field of a number",
            |b| b.field("a", Schema::INT8),
            "Cannot create fields on type INT32",
        ),
        (
            "empty field name",
            |_| SchemaBuilder::structure().field("", Schema::INT8),
            "fieldName cannot be null.",
        ),
        (
            "one field twice",
            |_| {
                SchemaBuilder::structure()
                    .field("f", Schema::INT8)
                    .field("f", Schema::INT8)
            },
            "Cannot create field because of field name duplication f",
        ),
        (
            "logical type renamed",
            |_| logical::timestamp().name("x"),
            "Invalid SchemaBuilder call: name has already been set.",
        ),
        (
            "element of a default",
            |_| SchemaBuilder::array(Schema::INT8).default_value(Value::Array(vec![1.into()])),
            "Invalid default value: Invalid Java object for schema with type INT8: class java.lang.Integer for element of array value",
        ),
        ("name", |b| b.name("x"), "Schema{x:INT32}"),
    ];
    for (case, build, expected) in rows {
        let answer = told(build(int32()).build(), |schema| schema.to_string());
        assert_eq!(answer, expected, "{case}");
    }
}

#[test]
fn builder_of_a_schema_sets_parts_anew() {
    let schema = built(int32().name("a").version(1).optional().default_value(1));
    let again = built(
        schema
            .to_builder()
            .name("b")
            .version(2)
            .required()
            .default_value(2),
    );
    assert_eq!(again, built(int32().name("b").version(2).default_value(2)));
}

#[test]
fn parameters_are_replaced_and_compare_in_any_order() {
    let replaced = built(int32().parameter("a", "1").parameter("a", "2"));
    assert_eq!(replaced.parameter("a"), Some("2"));
    assert_eq!(replaced.parameters().map(<[_]>::len), Some(1));
    assert_eq!(built(int32().parameters([("", ""); 0])).parameters(), None);
    assert_eq!(
        built(int32().parameters([("a", "1"), ("b", "2")])),
        built(int32().parameters([("b", "2"), ("a", "1")]))
    );
    assert_ne!(replaced, Schema::INT32);
}

#[test]
fn a_struct_default_fits_no_builder() {
    let without = built(SchemaBuilder::structure().field("a", Schema::INT8));
    let mut default = Struct::new(without.clone()).unwrap();
    default.put("a", Value::Int8(1)).unwrap();
    let builder = || {
        without
            .to_builder()
            .default_value(Value::Struct(default.clone()))
    };
    let message = told(builder().build(), |_| String::new());
    assert_eq!(
        message,
        "Invalid default value: Struct schemas do not match."
    );
    assert!(builder().build_unchecked().is_ok());
}

#[test]
fn values_are_valid_as_in_java() {
    let long = || Value::Int64(5);
    let int = || Value::Int32(5);
    let list = |value: Value| Value::Array(vec![value]);
    let map = |key: Value, value: Value| Value::Map(Map::from_iter([(key, value)]));
    let int8s = built(SchemaBuilder::array(Schema::INT8));
    let texts = built(SchemaBuilder::map(Schema::STRING, Schema::INT32));
    let ints = built(SchemaBuilder::structure().field("a", Schema::INT32));
    let others = built(SchemaBuilder::structure().field("a", Schema::STRING));
    let empty = |schema: &Schema| Value::Struct(Struct::new(schema.clone()).unwrap());
    let named = |schema_type, name: &'static str| built(SchemaBuilder::new(schema_type).name(name));
    let any_list = built(SchemaBuilder::array_of_any(None));
    let any_map = built(SchemaBuilder::map_of_any(None, None));
    let any_values = built(SchemaBuilder::map_of_any(Some(Schema::STRING), None));
    let rows = [
        (Schema::INT32, int(), "ok"),
        (
            Schema::INT32,
            long(),
            "Invalid Java object for schema with type INT32: class java.lang.Long for value",
        ),
        (
            Schema::INT32,
            Value::Null,
            "Invalid value: null used for required value, schema type: INT32",
        ),
        (Schema::OPTIONAL_INT32, Value::Null, "ok"),
        (
            named(Type::Int32, "x"),
            long(),
            "Invalid Java object for schema \"x\" with type INT32: class java.lang.Long for value",
        ),
        (
            Schema::BYTES,
            "x".into(),
            "Invalid Java object for schema with type BYTES: class java.lang.String for value",
        ),
        (
            Schema::STRING,
            Value::Bytes(Default::default()),
            "Invalid Java object for schema with type STRING: class [B for value",
        ),
        (
            named(Type::Int32, logical::TIME),
            int(),
            "Invalid Java object for schema \"org.apache.kafka.connect.data.Time\" with type INT32: class java.lang.Integer for value",
        ),
        (
            named(Type::String, logical::TIMESTAMP),
            "x".into(),
            "Invalid Java object for schema \"org.apache.kafka.connect.data.Timestamp\" with type STRING: class java.lang.String for value",
        ),
        (
            named(Type::String, logical::TIMESTAMP),
            Value::Timestamp(5),
            "ok",
        ),
        (
            int8s.clone(),
            list(int()),
            "Invalid Java object for schema with type INT8: class java.lang.Integer for element of array value",
        ),
        (
            int8s.clone(),
            list(Value::Null),
            "Invalid value: null used for required element of array value, schema type: INT8",
        ),
        (
            built(SchemaBuilder::array(int8s.clone())),
            list(list(int())),
            "Invalid Java object for schema with type INT8: class java.lang.Integer for element of array element of array value",
        ),
        (
            texts.clone(),
            map(int(), int()),
            "Invalid Java object for schema with type STRING: class java.lang.Integer for key of map value",
        ),
        (
            texts.clone(),
            map("a".into(), "b".into()),
            "Invalid Java object for schema with type INT32: class java.lang.String for value of map value",
        ),
        (
            texts.clone(),
            map(Value::Null, int()),
            "Invalid value: null used for required key of map value, schema type: STRING",
        ),
        (
            built(SchemaBuilder::map(Schema::STRING, int8s)),
            map("a".into(), list(int())),
            "Invalid Java object for schema with type INT8: class java.lang.Integer for element of array value of map value",
        ),
        (ints.clone(), empty(&others), "Struct schemas do not match."),
        (
            ints.clone(),
            empty(&ints),
            "Invalid value: null used for required field: \"a\", schema type: INT32",
        ),
        (
            ints,
            "x".into(),
            "Invalid Java object for schema with type STRUCT: class java.lang.String for value",
        ),
        (
            any_list.clone(),
            list(int()),
            "No schema defined for element of array value",
        ),
        (any_list, Value::Array(vec![]), "ok"),
        (
            any_map,
            map(int(), int()),
            "No schema defined for key of map value",
        ),
        (
            any_values,
            map("a".into(), int()),
            "No schema defined for value of map value",
        ),
    ];
    for (schema, value, expected) in rows {
        let answer = told(schema.validate(&value), |()| "ok".to_string());
        assert_eq!(answer, expected, "{schema:?} {value:?}");
    }
}

#[test]
fn structs_check_what_is_put_and_asked() {
    let default = built(int32().default_value(7));
    let schema = built(
        SchemaBuilder::structure()
            .field("i8", Schema::INT8)
            .field("s", Schema::STRING)
            .field("d", default)
            .field("o", Schema::OPTIONAL_STRING)
            .field(
                "m",
                built(SchemaBuilder::map(Schema::STRING, Schema::INT32)),
            ),
    );
    let mut fields = Struct::new(schema).unwrap();
    let puts = [
        (
            "i8",
            Value::Int32(5),
            "Invalid Java object for schema with type INT8: class java.lang.Integer for field: \"i8\"",
        ),
        ("nope", Value::Int32(5), "nope is not a valid field name"),
        (
            "d",
            Value::Null,
            "Invalid value: null used for required field: \"d\", schema type: INT32",
        ),
        (
            "m",
            Value::Map(Map::from_iter([(1, 2)])),
            "Invalid Java object for schema with type STRING: class java.lang.Integer for key of map field: \"m\"",
        ),
        ("o", Value::Null, "Struct{}"),
        ("s", "x".into(), "Struct{s=x}"),
    ];
    for (field, value, expected) in puts {
        let answer = fields
            .put(field, value)
            .map(|fields| Value::Struct(fields.clone()));
        assert_eq!(
            told(answer, |value| java_text(&value).to_string()),
            expected
        );
    }
    let text = |value: &Value| java_text(value).to_string();
    assert_eq!(told(fields.get("d"), text), "7");
    assert_eq!(told(fields.get_without_default("d"), text), "null");
    assert_eq!(
        told(fields.get("nope"), text),
        "nope is not a valid field name"
    );
    assert_eq!(
        told(fields.get_of_type("s", Type::Int32), text),
        "Field 's' is not of type INT32"
    );
    assert_eq!(told(fields.get_of_type("d", Type::Int32), text), "null");
    assert_eq!(
        told(fields.validate(), |()| "ok".to_string()),
        "Invalid value: null used for required field: \"i8\", schema type: INT8"
    );
    assert_eq!(
        told(Struct::new(Schema::INT8), |_| String::new()),
        "Not a struct schema: Schema{INT8}"
    );
}

/// A null in a field with a default is valid, and differs from the default once put.
#[test]
fn a_default_stands_in_for_null() {
    let schema = built(SchemaBuilder::structure().field("a", built(int32().default_value(1))));
    let unset = Struct::new(schema.clone()).unwrap();
    unset.validate().unwrap();
    let mut set = Struct::new(schema).unwrap();
    set.put("a", 1).unwrap();
    assert_ne!(unset, set);
}

#[test]
fn scales_and_parts_of_days_are_checked() {
    let decimal = |text: &str| text.parse().unwrap();
    let schema = built(logical::decimal(2));
    let encoded = |bytes: Vec<u8>| format!("{bytes:?}");
    assert_eq!(
        told(logical::encode_decimal(&schema, &decimal("1.50")), encoded),
        "[0, 150]"
    );
    assert_eq!(
        told(logical::encode_decimal(&schema, &decimal("1")), encoded),
        "Decimal value has mismatching scale for given Decimal schema. Schema has scale 2, value has scale 0."
    );
    assert_eq!(
        told(
            logical::encode_decimal(&Schema::BYTES, &decimal("1")),
            encoded
        ),
        "Invalid Decimal schema: scale parameter not found."
    );
    assert_eq!(
        told(logical::encode_date(-86_400_000), |days| days.to_string()),
        "-1"
    );
    assert!(logical::encode_date(1).is_err());
    assert!(logical::encode_time(-1).is_err());
    assert!(logical::decode_time(86_400_001).is_err());
    assert_eq!(
        told(logical::decode_time(86_400_000), |ms| ms.to_string()),
        "86400000"
    );
}

#[track_caller]
fn check_projected(source: &Schema, value: Value, target: &Schema, expected: &str) {
    let answer = project(source, &value, target);
    let text = |value: Value| format!("{} {}", java_text(&value), value.java_class());
    assert_eq!(told(answer, text), expected, "{source} to {target}");
}

#[test]
fn numbers_and_nulls_are_projected() {
    let optional = Schema::OPTIONAL_INT32;
    let or_seven = built(int32().default_value(7));
    let rows = [
        (
            Schema::INT8,
            Value::Int8(5),
            Schema::INT64,
            "5 java.lang.Long",
        ),
        (
            Schema::INT8,
            Value::Int8(-5),
            Schema::FLOAT64,
            "-5.0 java.lang.Double",
        ),
        (
            Schema::INT64,
            Value::Int64(16_777_217),
            Schema::FLOAT32,
            "1.6777216E7 java.lang.Float",
        ),
        (
            Schema::FLOAT32,
            Value::Float32(0.1),
            Schema::FLOAT64,
            "0.10000000149011612 java.lang.Double",
        ),
        (
            Schema::INT64,
            Value::Int64(5),
            Schema::INT8,
            "Schema type mismatch. source type: INT64 and target type: INT8",
        ),
        (
            Schema::STRING,
            "x".into(),
            Schema::INT8,
            "Schema type mismatch. source type: STRING and target type: INT8",
        ),
        (
            optional.clone(),
            Value::Int32(5),
            Schema::INT32,
            "Writer schema is optional, however, target schema does not provide a default value.",
        ),
        (
            optional.clone(),
            Value::Null,
            or_seven.clone(),
            "7 java.lang.Integer",
        ),
        (
            optional.clone(),
            Value::Int32(5),
            or_seven,
            "5 java.lang.Integer",
        ),
        (
            Schema::INT32,
            Value::Int32(5),
            Schema::OPTIONAL_INT64,
            "5 java.lang.Long",
        ),
        (optional.clone(), Value::Null, optional, "null null"),
        (Schema::INT32, Value::Null, Schema::INT32, "null null"),
        (
            Schema::BOOLEAN,
            true.into(),
            Schema::BOOLEAN,
            "true java.lang.Boolean",
        ),
    ];
    for (source, value, target, expected) in rows {
        check_projected(&source, value, &target, expected);
    }
}

#[test]
fn names_and_parameters_must_agree() {
    let named = |name: &'static str| built(int32().name(name));
    let with = |parameters: &[(&'static str, &'static str)]| {
        built(int32().parameters(parameters.iter().copied()))
    };
    let rows = [
        (
            named("a"),
            Schema::INT32,
            "Schema name mismatch. source name: a and target name: null",
        ),
        (
            named("a"),
            named("b"),
            "Schema name mismatch. source name: a and target name: b",
        ),
        (
            with(&[("p", "1"), ("q", "2")]),
            with(&[("p", "2")]),
            "Schema parameters not equal. source parameters: {p=1, q=2} and target parameters: {p=2}",
        ),
        (
            Schema::INT32,
            with(&[("p", "2")]),
            "Schema parameters not equal. source parameters: null and target parameters: {p=2}",
        ),
    ];
    for (source, target, expected) in rows {
        check_projected(&source, Value::Int32(5), &target, expected);
    }
}

#[test]
fn fields_are_projected_by_name() {
    let structure = |fields: &[(&'static str, Schema)]| {
        let builder = SchemaBuilder::structure().name("n");
        let fields = fields.iter().cloned();
        built(fields.fold(builder, |builder, (name, schema)| {
            builder.field(name, schema)
        }))
    };
    let source = structure(&[
        ("a", Schema::INT32),
        ("b", Schema::STRING),
        ("c", Schema::OPTIONAL_INT32),
    ]);
    let mut fields = Struct::new(source.clone()).unwrap();
    fields.put("a", 1).unwrap().put("b", "q").unwrap();
    let or_three = built(SchemaBuilder::new(Type::Int8).default_value(Value::Int8(3)));
    let or_nine = built(int32().default_value(9));
    let rows = [
        (
            structure(&[("a", Schema::INT64)]),
            "Struct{a=1} org.apache.kafka.connect.data.Struct",
        ),
        (
            structure(&[("z", Schema::OPTIONAL_INT8), ("y", or_three)]),
            "Struct{y=3} org.apache.kafka.connect.data.Struct",
        ),
        (
            structure(&[("c", or_nine)]),
            "Struct{c=9} org.apache.kafka.connect.data.Struct",
        ),
        (
            structure(&[("w", Schema::INT8)]),
            "Required field `w` is missing from source schema: Schema{n:STRUCT}",
        ),
        (
            structure(&[("a", Schema::STRING)]),
            "Error projecting a: Schema type mismatch. source type: INT32 and target type: STRING",
        ),
        (
            structure(&[("c", Schema::INT32)]),
            "Error projecting c: Writer schema is optional, however, target schema does not provide a default value.",
        ),
    ];
    for (target, expected) in rows {
        check_projected(&source, Value::Struct(fields.clone()), &target, expected);
    }
    let unset = Value::Struct(Struct::new(source.clone()).unwrap());
    let message = "Invalid value: null used for required field: \"a\", schema type: INT64";
    check_projected(&source, unset, &structure(&[("a", Schema::INT64)]), message);
}

#[test]
fn elements_are_projected_one_by_one() {
    let array = |elements: Schema| built(SchemaBuilder::array(elements));
    let map = |keys: Schema| built(SchemaBuilder::map(keys, Schema::STRING));
    let or_four = built(int32().default_value(4));
    let with_null = || Value::Array(vec![1.into(), Value::Null]);
    let int8s = Value::Array(vec![Value::Int8(1)]);
    let entry = Value::Map(Map::from_iter([(Value::Int8(1), "x")]));
    let mismatch = "Schema type mismatch. source type: INT64 and target type: INT8";
    let optional =
        "Writer schema is optional, however, target schema does not provide a default value.";
    let rows = [
        (
            array(Schema::INT8),
            int8s,
            array(Schema::INT64),
            "[1] java.util.ArrayList",
        ),
        (
            map(Schema::INT8),
            entry,
            map(Schema::FLOAT32),
            "{1.0=x} java.util.HashMap",
        ),
        (
            array(Schema::INT64),
            Value::Array(vec![1i64.into()]),
            array(Schema::INT8),
            mismatch,
        ),
        (
            array(Schema::INT64),
            Value::Array(vec![]),
            array(Schema::INT8),
            "[] java.util.ArrayList",
        ),
        (
            array(Schema::OPTIONAL_INT32),
            with_null(),
            array(Schema::INT32),
            optional,
        ),
        (
            array(Schema::OPTIONAL_INT32),
            with_null(),
            array(or_four),
            "[1, 4] java.util.ArrayList",
        ),
    ];
    for (source, value, target, expected) in rows {
        check_projected(&source, value, &target, expected);
    }
}
