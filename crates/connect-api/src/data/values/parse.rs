//! What a text means: null, a boolean, a number, a time, an array, a map, or just a text.

use super::convert::convert_to;
use super::temporal::parse_as_temporal;
use crate::data::digits::digit_value;
use crate::data::{Decimal, Map, Schema, SchemaAndValue, SchemaBuilder, Str, Type, Value, logical};
use std::ops::Range;
use std::sync::Arc;

/// The value that a text names, with its schema; the text itself as STRING when it names nothing else.
/// `null` has neither schema nor value. Texts in the answer share the buffer.
///
/// Arrays and maps whose elements are of several types have schemas without element schemas
/// ([`SchemaBuilder::array_of_any`]). Nested deeper than [`DEPTH_MAX`] they are texts; in Java it depends on
/// the stack.
///
/// Cost: O(length of the text).
pub fn parse_string(text: &Str) -> SchemaAndValue {
    if text.is_empty() {
        return string(text.clone());
    }
    let mut parser = Parser {
        tokens: Tokens {
            text,
            end: 0,
            peeked: None,
        },
        depth: 0,
    };
    match parser.parse(Place::Top) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => SchemaAndValue::NULL,
        Err(NotThis) => string(text.clone()),
    }
}

/// How deep arrays and maps may nest in a text.
const DEPTH_MAX: usize = 256;

/// The text is no array or map after all.
struct NotThis;

type Parsed = Result<Option<SchemaAndValue>, NotThis>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    /// Inside an array or a map, where strings are quoted.
    Embedded,
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    depth: usize,
}

fn string(text: Str) -> SchemaAndValue {
    SchemaAndValue::new(Schema::STRING, text)
}

impl Parser<'_> {
    /// The next value; `None` for null and where nothing is left.
    fn parse(&mut self, place: Place) -> Parsed {
        if !self.tokens.has_next() {
            return Ok(None);
        }
        if place == Place::Embedded && self.tokens.can_consume("\"") {
            return Ok(Some(self.parse_quoted()));
        }
        if self.literal("null", place) {
            return Ok(None);
        }
        if self.literal("true", place) {
            return Ok(Some(SchemaAndValue::new(Schema::BOOLEAN, true)));
        }
        if self.literal("false", place) {
            return Ok(Some(SchemaAndValue::new(Schema::BOOLEAN, false)));
        }
        let start = self.tokens.mark();
        match self.parse_container() {
            Some(Ok(parsed)) => return Ok(Some(parsed)),
            Some(Err(NotThis)) => self.tokens.rewind_to(start),
            None => {}
        }
        let text = self.tokens.text;
        let token = &text[self.tokens.next()];
        if trim(token).is_empty() {
            return Ok(Some(string(text.slice_ref(token))));
        }
        self.parse_token(trim(token), place)
    }

    /// Takes a literal. At the top it must stand alone: `true}` is a text.
    fn literal(&mut self, literal: &str, place: Place) -> bool {
        let start = self.tokens.mark();
        let taken = self.tokens.can_consume(literal)
            && (place == Place::Embedded || !self.tokens.has_next());
        // Scanning a long text again is dear, so only where blanks or the literal were passed over.
        if !taken && self.tokens.mark() != start {
            self.tokens.rewind_to(start);
        }
        taken
    }

    /// An array or a map; `None` when none begins here.
    fn parse_container(&mut self) -> Option<Result<SchemaAndValue, NotThis>> {
        let is_array = self.tokens.can_consume("[");
        if !is_array && !self.tokens.can_consume("{") {
            return None;
        }
        if self.depth == DEPTH_MAX {
            return Some(Err(NotThis));
        }
        self.depth += 1;
        let parsed = if is_array {
            self.parse_array()
        } else {
            self.parse_map()
        };
        self.depth -= 1;
        Some(parsed)
    }

    /// A time, a number, or at the top the whole text. `token` is taken already, its blanks trimmed.
    fn parse_token(&mut self, token: &str, place: Place) -> Parsed {
        let first = token.chars().next().unwrap_or(' ');
        let starts_with_digit = digit_value(first).is_some();
        if starts_with_digit && let Some(temporal) = self.parse_temporal(token) {
            return Ok(Some(temporal));
        }
        if (starts_with_digit || matches!(first, '+' | '-'))
            && let Ok(decimal) = token.parse()
        {
            return Ok(Some(smallest_number(decimal)));
        }
        match place {
            Place::Top => Ok(Some(string(self.tokens.text.clone()))),
            Place::Embedded => Err(NotThis),
        }
    }

    /// Colons split a time into five tokens, so four more are looked at.
    fn parse_temporal(&mut self, token: &str) -> Option<SchemaAndValue> {
        let start = self.tokens.mark();
        if let Some(end) = self.tokens.skip(4) {
            let rest = &self.tokens.text[start..end];
            if let Some(temporal) = parse_as_temporal(&format!("{token}{rest}")) {
                return Some(temporal);
            }
        }
        self.tokens.rewind_to(start);
        parse_as_temporal(token)
    }

    /// What stands up to the closing quote, or up to the end. Blanks between delimiters get lost.
    fn parse_quoted(&mut self) -> SchemaAndValue {
        let text = self.tokens.text;
        let mut whole = self.tokens.mark()..self.tokens.mark();
        let mut pieces: Option<String> = None;
        while self.tokens.has_next() && !self.tokens.can_consume("\"") {
            let token = self.tokens.next();
            match &mut pieces {
                Some(pieces) => pieces.push_str(&text[token]),
                None if whole.is_empty() => whole = token,
                None if whole.end == token.start => whole.end = token.end,
                None => pieces = Some([&text[whole.clone()], &text[token]].concat()),
            }
        }
        let content = match pieces {
            Some(pieces) => Str::from(pieces),
            None => text.slice_ref(&text[whole]),
        };
        parse_as_temporal(&content).unwrap_or_else(|| string(content))
    }

    /// The opening bracket is taken already.
    fn parse_array(&mut self) -> Result<SchemaAndValue, NotThis> {
        let mut elements = Vec::new();
        let mut common = Common::default();
        while self.tokens.has_next() {
            if self.tokens.can_consume("]") {
                let schema = common.schema();
                let elements = align(schema.as_ref(), elements)?;
                let schema = SchemaBuilder::array_of_any(schema);
                return Ok(built(schema, Value::Array(elements)));
            }
            if self.tokens.can_consume(",") {
                return Err(NotThis);
            }
            let element = self.parse(Place::Embedded)?;
            elements.push(common.merge(element));
            let behind_element = self.tokens.mark();
            if self.tokens.can_consume("]") {
                self.tokens.rewind_to(behind_element);
            } else if !self.tokens.can_consume(",") {
                return Err(NotThis);
            }
        }
        Err(NotThis)
    }

    /// The opening bracket is taken already.
    fn parse_map(&mut self) -> Result<SchemaAndValue, NotThis> {
        let mut map = Map::new();
        let mut common_key = Common::default();
        let mut common_value = Common::default();
        while self.tokens.has_next() {
            if self.tokens.can_consume("}") {
                let keys = common_key.schema();
                let values = common_value.schema().filter(|_| keys.is_some());
                if keys.is_some() {
                    let aligned_keys = align(keys.as_ref(), map.keys().to_vec())?;
                    let aligned_values = align(values.as_ref(), map.values().to_vec())?;
                    map = aligned_keys.into_iter().zip(aligned_values).collect();
                }
                let schema = SchemaBuilder::map_of_any(keys, values);
                return Ok(built(schema, Value::Map(map)));
            }
            if self.tokens.can_consume(",") {
                return Err(NotThis);
            }
            let key = common_key.merge(self.parse(Place::Embedded)?);
            if key.is_null() || !self.tokens.can_consume(":") {
                return Err(NotThis);
            }
            let value = self.parse(Place::Embedded)?;
            map.insert(key, common_value.merge(value));
            self.tokens.can_consume(",");
        }
        Err(NotThis)
    }
}

fn built(schema: SchemaBuilder, value: Value) -> SchemaAndValue {
    let schema = schema.build().expect("an array or map without a default");
    SchemaAndValue::new(schema, value)
}

/// The values as ones of their common schema; as they are when they have none.
fn align(schema: Option<&Schema>, values: Vec<Value>) -> Result<Vec<Value>, NotThis> {
    let Some(schema) = schema else {
        return Ok(values);
    };
    let aligned = values
        .iter()
        .map(|value| convert_to(schema, None, value).map_err(|_| NotThis));
    aligned.collect()
}

/// The smallest type that holds a number: an integer when it is whole, else a float, else a decimal.
fn smallest_number(decimal: Decimal) -> SchemaAndValue {
    if let Some(long) = decimal.to_long_exact() {
        return smallest_integer(long);
    }
    if decimal.scale() != 0 {
        let float = decimal.to_float();
        if float.is_finite() {
            return SchemaAndValue::new(Schema::FLOAT32, Value::Float32(float));
        }
        let double = decimal.to_double();
        if double.is_finite() {
            return SchemaAndValue::new(Schema::FLOAT64, double);
        }
    }
    let schema = logical::decimal(decimal.scale()).build();
    let schema = schema.expect("a logical type has no default");
    SchemaAndValue::new(schema, Value::Decimal(Arc::new(decimal)))
}

fn smallest_integer(long: i64) -> SchemaAndValue {
    if let Ok(number) = i8::try_from(long) {
        SchemaAndValue::new(Schema::INT8, Value::Int8(number))
    } else if let Ok(number) = i16::try_from(long) {
        SchemaAndValue::new(Schema::INT16, Value::Int16(number))
    } else if let Ok(number) = i32::try_from(long) {
        SchemaAndValue::new(Schema::INT32, number)
    } else {
        SchemaAndValue::new(Schema::INT64, long)
    }
}

/// The schema that all elements so far can be converted to.
#[derive(Default)]
enum Common {
    /// Nulls only, or nothing.
    #[default]
    Open,
    Schema(Schema),
    None,
}

impl Common {
    /// Takes an element's schema into account; gives its value back.
    fn merge(&mut self, element: Option<SchemaAndValue>) -> Value {
        let Some(SchemaAndValue {
            schema: Some(schema),
            value,
        }) = element
        else {
            return Value::Null;
        };
        let merged = match std::mem::replace(self, Common::None) {
            Common::Open => Some(schema),
            Common::Schema(known) => wider(known, schema),
            Common::None => None,
        };
        if let Some(schema) = merged {
            *self = Common::Schema(schema);
        }
        value
    }

    fn schema(&self) -> Option<Schema> {
        match self {
            Common::Schema(schema) => Some(schema.clone()),
            Common::Open | Common::None => None,
        }
    }
}

/// Of two schemas the one whose type holds the values of both; of one type, the later.
fn wider(known: Schema, later: Schema) -> Option<Schema> {
    let (known_type, later_type) = (known.schema_type(), later.schema_type());
    if known_type == later_type {
        return Some(later);
    }
    let (known_width, later_width) = (width(known_type)?, width(later_type)?);
    Some(if known_width > later_width {
        known
    } else {
        later
    })
}

fn width(schema_type: Type) -> Option<u8> {
    Some(match schema_type {
        Type::Int8 => 0,
        Type::Int16 => 1,
        Type::Int32 => 2,
        Type::Int64 => 3,
        Type::Float32 => 4,
        Type::Float64 => 5,
        _ => return None,
    })
}

/// The text cut at unescaped delimiters, each of which is a token of its own. A backslash escapes the next
/// character and stays in the token.
struct Tokens<'a> {
    text: &'a Str,
    /// Where the next token begins, behind the one looked at.
    end: usize,
    /// A token that was looked at and not taken. It ends at `end`.
    peeked: Option<Range<usize>>,
}

impl Tokens<'_> {
    fn has_next(&self) -> bool {
        self.peeked.is_some() || self.end < self.text.len()
    }

    fn next(&mut self) -> Range<usize> {
        match self.peeked.take() {
            Some(token) => token,
            None => self.scan(),
        }
    }

    /// Takes the next token if it is the expected one, blanks around it trimmed. Tokens of nothing but blanks
    /// before any other are passed over, whether it is the expected one or not.
    fn can_consume(&mut self, expected: &str) -> bool {
        if !self.has_next() {
            return false;
        }
        let mut token = self.next();
        while self.end < self.text.len() && trim(&self.text[token.clone()]).is_empty() {
            token = self.scan();
        }
        if trim(&self.text[token.clone()]) == expected {
            return true;
        }
        self.peeked = Some(token);
        false
    }

    /// Takes some tokens and says where they end; none when there are fewer.
    fn skip(&mut self, count: usize) -> Option<usize> {
        let start = self.mark();
        for _ in 0..count {
            if !self.has_next() {
                self.rewind_to(start);
                return None;
            }
            self.next();
        }
        Some(self.end)
    }

    fn mark(&self) -> usize {
        match &self.peeked {
            Some(token) => token.start,
            None => self.end,
        }
    }

    fn rewind_to(&mut self, mark: usize) {
        self.end = mark;
        self.peeked = None;
    }

    fn scan(&mut self) -> Range<usize> {
        let bytes = self.text.as_bytes();
        let start = self.end;
        let mut escaped = false;
        while let Some(byte) = bytes.get(self.end) {
            match byte {
                b'\\' => escaped = !escaped,
                b':' | b',' | b'{' | b'}' | b'[' | b']' | b'"' if !escaped => {
                    if start == self.end {
                        self.end += 1;
                    }
                    break;
                }
                _ => escaped = false,
            }
            self.end += 1;
        }
        start..self.end
    }
}

/// Java's `String.trim`: blanks and control characters.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::values::convert_to_string;

    /// Type and, of arrays and maps, element types; `?` where they have none.
    fn shape(schema: Option<&Schema>) -> String {
        let Some(schema) = schema else {
            return "?".to_string();
        };
        match (schema.schema_type(), schema.name()) {
            (Type::Array, _) => format!("[{}]", shape(schema.value_schema())),
            (Type::Map, _) => {
                let (keys, values) = (schema.key_schema(), schema.value_schema());
                format!("{{{}:{}}}", shape(keys), shape(values))
            }
            (_, Some(name)) => name.rsplit('.').next().unwrap_or(name).to_string(),
            (schema_type, None) => schema_type.to_string(),
        }
    }

    /// Found by comparing with the class of Kafka 4.3.1; what the recorded vectors have is not repeated.
    #[test]
    fn texts_mean_what_they_mean_in_java() {
        let rows = [
            ("true}", "STRING", "true}"),
            ("null,1", "STRING", "null,1"),
            ("[true}]", "STRING", "[true}]"),
            (" [1,,2]", "STRING", " "),
            (" [1] ", "[INT8]", "[1]"),
            (" \"x\"", "STRING", " \"x\""),
            ("[ [1,,2]]", "STRING", "[ [1,,2]]"),
            ("[1,\"a\",2]", "[?]", "[1,\"a\",2]"),
            ("[\"a: :b\"]", "[STRING]", "[\"a::b\"]"),
            ("[\"a", "STRING", "[\"a"),
            ("[300,1,3000000000]", "[INT64]", "[300,1,3000000000]"),
            ("[1.5,3000000000]", "[FLOAT32]", "[1.5,3.0E9]"),
            ("[0,2021-06-30]", "[Date]", "[00:00:00.000Z,2021-06-30]"),
            ("[2021-06-30,100000]", "STRING", "[2021-06-30,100000]"),
            (
                "[14:34:54.346Z,86400001]",
                "STRING",
                "[14:34:54.346Z,86400001]",
            ),
            (
                "[1e400,99999999999999999999]",
                "[Decimal]",
                "[1E+400,99999999999999999999]",
            ),
            ("{\"a\":1,5:2}", "{?:?}", "{\"a\":1,5:2}"),
            ("{\"a\":1,\"a\":300}", "{STRING:INT16}", "{\"a\":300}"),
            ("{\"a\":[1,,2]}", "STRING", "{\"a\":[1,,2]}"),
            ("{1:1,300:2}", "{INT16:INT8}", "{1:1,300:2}"),
            ("1E-3-01-01", "Date", "00:00:00.000Z"),
            ("2019-1E1-2", "Date", "2019-10-02"),
            ("2019-NaN-1", "Date", "2018-12-01"),
            ("1582-10-10", "Date", "00:00:00.000Z"),
            ("99:99:99.999Z", "Time", "1970-01-05T04:40:39.999Z"),
            (
                "2019-08-23T14\\:34\\:54.346Z",
                "Timestamp",
                "2019-08-23T14:34:54.346Z",
            ),
            ("0e2147483647", "INT8", "0"),
            ("1e-2147483647", "FLOAT32", "0.0"),
            ("-1e-400", "FLOAT32", "-0.0"),
            ("1e2147483647", "Decimal", "1E+2147483647"),
            ("9.2e18", "INT64", "9200000000000000000"),
            ("9.3e18", "FLOAT32", "9.3E18"),
            ("\u{1D7CF}", "STRING", "\u{1D7CF}"),
            ("\u{0663}", "INT8", "3"),
            ("\u{A0}1", "STRING", "\u{A0}1"),
            ("\u{1}1\u{1}", "INT8", "1"),
        ];
        for (text, expected_shape, expected_text) in rows {
            let parsed = parse_string(&Str::from(text));
            let printed = convert_to_string(&parsed.value).unwrap();
            let shape = shape(parsed.schema.as_ref());
            assert_eq!(
                (shape.as_str(), printed.as_str()),
                (expected_shape, expected_text),
                "{text}"
            );
        }
    }

    #[test]
    fn deep_nesting_is_a_text() {
        let nested = |depth: usize| Str::from("[".repeat(depth) + &"]".repeat(depth));
        let schema_type = |text: &Str| parse_string(text).schema.unwrap().schema_type();
        assert_eq!(schema_type(&nested(DEPTH_MAX)), Type::Array);
        assert_eq!(schema_type(&nested(DEPTH_MAX + 1)), Type::String);
        assert_eq!(schema_type(&nested(1_000_000)), Type::String);
        assert_eq!(schema_type(&Str::from("{1:".repeat(100_000))), Type::String);
    }

    #[test]
    fn strings_share_the_buffer() {
        let text = Str::from_static(r#"["abc"]"#);
        let Value::Array(elements) = parse_string(&text).value else {
            panic!("an array");
        };
        let address = elements[0].as_str().unwrap().as_ptr();
        assert_eq!(address, text[2..].as_ptr());
    }
}
