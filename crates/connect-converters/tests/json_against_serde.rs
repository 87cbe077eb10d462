//! Random documents, read and written by JsonConverter and by `serde_json`.
//!
//! Each document goes through a converter that has read all before it and through a new one: what a converter
//! has learned must never show.

use bytes::Bytes;
use connect_api::data::{SchemaAndValue, SharedSlice, Value};
use connect_api::{Converter, ConverterType};
use connect_config::Properties;
use connect_converters::JsonConverter;
use serde_json::Value as Json;
use std::fmt::Write;

const DOCUMENTS: usize = 3000;

#[test]
fn documents_without_a_schema() {
    let mut random = Random(0x5EED);
    let mut experienced = converter("false");
    for _ in 0..DOCUMENTS {
        let text = random.document();
        let expected: Json = serde_json::from_str(&text).expect("random documents are JSON");
        for converter in [&mut experienced, &mut converter("false")] {
            let data = read(converter, &text);
            check(&expected, &data.value, &text);
            let written = write(converter, &data);
            let again: Json = serde_json::from_str(&written).expect("the converter writes JSON");
            check(&again, &data.value, &written);
        }
    }
}

/// The same payloads in envelopes without a schema, in either order.
#[test]
fn envelopes() {
    let mut random = Random(0xE57);
    let mut experienced = converter("true");
    for _ in 0..DOCUMENTS / 10 {
        let text = random.document();
        let expected: Json = serde_json::from_str(&text).expect("random documents are JSON");
        for envelope in [
            format!(r#"{{"schema":null,"payload":{text}}}"#),
            format!(r#"{{"payload":{text},"schema":null}}"#),
            format!("{{ \"schema\" : null , \"payload\" : {text} }} and more"),
        ] {
            for converter in [&mut experienced, &mut converter("true")] {
                check(&expected, &read(converter, &envelope).value, &envelope);
            }
        }
    }
}

/// A document cut off anywhere is no JSON, but where a number or a whole document remains.
#[test]
fn cut_off_documents() {
    let mut random = Random(0xC07);
    let mut experienced = converter("false");
    for _ in 0..DOCUMENTS / 100 {
        let text = random.document();
        for end in (1..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let cut = &text[..end];
            let expected = serde_json::from_str::<Json>(cut);
            let bytes = Bytes::copy_from_slice(cut.as_bytes());
            let got = experienced.to_connect_data("t", Some(SharedSlice::whole(&bytes)));
            let blank = cut.trim().is_empty();
            assert_eq!(got.is_ok(), expected.is_ok() || blank, "{cut}");
        }
    }
}

fn converter(schemas_enable: &str) -> JsonConverter {
    let mut converter = JsonConverter::new();
    let configs = Properties::from_iter([("schemas.enable", schemas_enable)]);
    Converter::configure(&mut converter, &configs, ConverterType::Value).expect("good settings");
    converter
}

fn read(converter: &mut JsonConverter, text: &str) -> SchemaAndValue {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let read = converter.to_connect_data("t", Some(SharedSlice::whole(&bytes)));
    read.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn write(converter: &mut JsonConverter, data: &SchemaAndValue) -> String {
    let mut buffer = Vec::new();
    let written = converter.from_connect_data("t", None, &data.value, &mut buffer);
    let bytes = written.expect("plain values can be written");
    String::from_utf8(bytes.unwrap_or(b"null").to_vec()).expect("JSON is UTF-8")
}

#[track_caller]
fn check(expected: &Json, got: &Value, text: &str) {
    assert!(
        same(expected, got),
        "expected {expected}\ngot {got:?}\nof {text}"
    );
}

fn same(expected: &Json, got: &Value) -> bool {
    match (expected, got) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(expected), Value::Boolean(got)) => expected == got,
        (Json::Number(number), Value::Int64(got)) => number.to_string().parse() == Ok(*got),
        (Json::Number(number), Value::Float64(got)) => number.to_string().parse() == Ok(*got),
        (Json::String(expected), Value::String(got)) => got == expected.as_str(),
        (Json::Array(expected), Value::Array(got)) => {
            expected.len() == got.len() && expected.iter().zip(got).all(|(e, g)| same(e, g))
        }
        (Json::Object(expected), Value::Map(got)) => {
            let same_member = |name, value| got.get_str(name).is_some_and(|got| same(value, got));
            expected.len() == got.len()
                && expected
                    .iter()
                    .all(|(name, value)| same_member(name, value))
        }
        _ => false,
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.next(choices.len() as u64) as usize]
    }

    /// Mostly a row of some table, sometimes anything.
    fn document(&mut self) -> String {
        let mut text = String::new();
        let space = self.pick(&["", "", "", " "]);
        if self.next(4) == 0 {
            self.value(0, &mut text);
            return text;
        }
        let row = [
            ("id", 9),
            ("name", 9),
            ("amount", 8),
            ("active", 7),
            ("city", 9),
            ("tags", 4),
            ("nested", 6),
        ];
        text.push('{');
        for (name, often) in row {
            if self.next(10) > often {
                continue;
            }
            if text.len() > 1 {
                let _ = write!(text, ",{space}");
            }
            let _ = write!(text, "\"{name}\":{space}");
            self.value(1, &mut text);
        }
        text.push('}');
        text
    }

    fn value(&mut self, depth: u64, text: &mut String) {
        match self.next(if depth > 4 { 7 } else { 10 }) {
            0 => text.push_str(self.pick(&["null", "true", "false"])),
            1 | 2 => {
                let number = self.next(u64::MAX) as i64 >> self.next(64);
                let _ = write!(text, "{number}");
            }
            3 => {
                let _ = write!(text, "{}.{}", self.next(100_000), self.next(1000));
            }
            4 => {
                let exponent = self.next(500) as i64 - 250;
                let _ = write!(text, "-{}.5e{exponent}", self.next(u64::MAX));
            }
            5 | 6 => self.string(text),
            7 => self.list(depth, text),
            _ => self.object(depth, text),
        }
    }

    fn string(&mut self, text: &mut String) {
        text.push('"');
        for _ in 0..self.next(12) {
            text.push_str(self.pick(&[
                "a",
                "bcd",
                "0123456789",
                " ",
                "é",
                "日本",
                "😀",
                "\\n",
                "\\\"",
                "\\\\",
                "\\/",
                "\\u00e9",
                "\\uD83D\\uDE00",
                "\u{7f}",
            ]));
        }
        text.push('"');
    }

    fn list(&mut self, depth: u64, text: &mut String) {
        text.push('[');
        for i in 0..self.next(4) {
            text.push_str(if i > 0 { ", " } else { "" });
            self.value(depth + 1, text);
        }
        text.push(']');
    }

    fn object(&mut self, depth: u64, text: &mut String) {
        text.push('{');
        // Now and then more members than are compared with each other, and some of them twice.
        let many = if self.next(20) == 0 { 40 } else { 5 };
        for i in 0..self.next(many) {
            text.push_str(if i > 0 { "," } else { "" });
            let letter = self.pick(&["a", "b", "c", "\\u0061", "d e", "a member with a long name"]);
            let _ = write!(text, "\"{letter}{}\" : ", self.next(many));
            self.value(depth + 1, text);
        }
        text.push('}');
    }
}
