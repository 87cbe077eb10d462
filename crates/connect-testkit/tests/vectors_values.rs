//! `connect_api::data::values` against the recorded answers of Java's `Values`.

use connect_api::Result;
use connect_api::data::values::*;
use connect_api::data::{Schema, Str, Value};
use connect_testkit::vectors::{Answer, Line, Report, lines};

#[test]
fn values_convert_as_in_java() {
    let mut report = Report::new("values.jsonl");
    for line in lines("values.jsonl") {
        report.check(&line, &answer(&line));
    }
    report.finish();
}

fn answer(line: &Line) -> Answer {
    let method = line.text("values").unwrap_or_default();
    if method == "parseString" {
        let parsed = line.text("text").map(|text| parse_string(&Str::from(text)));
        return Answer::Data(parsed.unwrap_or_default());
    }
    let data = match line.data() {
        Ok(data) => data,
        Err(cause) => return Answer::Unreadable(cause),
    };
    let (schema, value) = (data.schema.as_ref(), &data.value);
    match method {
        "convertToString" => Answer::Text(convert_to_string(value).map(|text| text.to_string())),
        "inferSchema" => Answer::of(infer_schema(value), Answer::Schema),
        _ => Answer::of(converted(line, method, schema, value), Answer::Value),
    }
}

fn converted(line: &Line, method: &str, schema: Option<&Schema>, value: &Value) -> Result<Value> {
    fn or_null<T>(value: Option<T>, variant: fn(T) -> Value) -> Value {
        value.map_or(Value::Null, variant)
    }
    Ok(match method {
        "convertToBoolean" => or_null(convert_to_boolean(schema, value)?, Value::Boolean),
        "convertToByte" => or_null(convert_to_byte(schema, value)?, Value::Int8),
        "convertToShort" => or_null(convert_to_short(schema, value)?, Value::Int16),
        "convertToInteger" => or_null(convert_to_integer(schema, value)?, Value::Int32),
        "convertToLong" => or_null(convert_to_long(schema, value)?, Value::Int64),
        "convertToFloat" => or_null(convert_to_float(schema, value)?, Value::Float32),
        "convertToDouble" => or_null(convert_to_double(schema, value)?, Value::Float64),
        "convertToDecimal" => {
            let scale = line.get("scale").and_then(|scale| scale.as_i64());
            Value::Decimal(convert_to_decimal(value, scale.expect("a scale") as i32)?)
        }
        "convertToDate" => Value::Timestamp(convert_to_date(schema, value)?),
        "convertToTime" => Value::Timestamp(convert_to_time(schema, value)?),
        "convertToTimestamp" => Value::Timestamp(convert_to_timestamp(schema, value)?),
        "convertToList" => Value::Array(convert_to_list(value)?.into_owned()),
        "convertToMap" => Value::Map(convert_to_map(value)?.into_owned()),
        "convertToStruct" => Value::Struct(convert_to_struct(value)?.clone()),
        other => panic!("{}: unknown method {other}", line.id),
    })
}
