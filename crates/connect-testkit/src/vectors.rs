//! The recorded answers of the Java classes, and how ours are compared with them.
//!
//! Lives here: where the files are ([`dir`]), their lines ([`lines`]), the rules of `vectors/README.md`,
//! section 3, and the count that a test ends with ([`Report`]).
//! Never here: what a line asks for; the test that knows the class answers.

use crate::envelope::{Record, read_data, read_payload, read_record, read_schema, read_schemaless};
use crate::envelope::{write_data, write_record, write_schema, write_schemaless};
use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connect_api::data::{Schema, SchemaAndValue, Value};
use connect_api::{ConnectError, ErrorKind};
use serde_json::Value as Json;
use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;

/// The folder of the vector files: `MILLSTREAM_VECTORS`, else the one of this source tree.
pub fn dir() -> PathBuf {
    match std::env::var_os("MILLSTREAM_VECTORS") {
        Some(dir) => dir.into(),
        None => concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors").into(),
    }
}

/// One case.
pub struct Line {
    pub id: String,
    /// The whole line; read what it asks with [`Line::get`].
    pub json: Json,
}

/// The lines of a vector file, split at `\n` only.
///
/// Panics: when the file cannot be read or a line is no JSON object with an `id`.
pub fn lines(file: &str) -> Vec<Line> {
    let path = dir().join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|cause| panic!("vectors {}: {cause}", path.display()));
    let lines = text.split('\n').enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(i, line)| {
            let json: Json = serde_json::from_str(line)
                .unwrap_or_else(|cause| panic!("vectors {file}:{}: {cause}", i + 1));
            let id = json.get("id").and_then(Json::as_str);
            let id = id.unwrap_or_else(|| panic!("vectors {file}:{}: no id", i + 1));
            Line {
                id: id.to_string(),
                json,
            }
        })
        .collect()
}

impl Line {
    pub fn get(&self, member: &str) -> Option<&Json> {
        self.json.get(member)
    }

    pub fn text(&self, member: &str) -> Option<&str> {
        self.get(member)?.as_str()
    }

    /// `schema` and `payload` of the line itself; either may be left out.
    pub fn data(&self) -> Result<SchemaAndValue> {
        let schema = read_schema(self.get("schema").unwrap_or(&Json::Null))?;
        let payload = self.get("payload").unwrap_or(&Json::Null);
        let value = read_payload(schema.as_ref(), payload)?;
        Ok(SchemaAndValue { schema, value })
    }

    fn says(&self, member: &str) -> bool {
        self.get(member) == Some(&Json::Bool(true))
    }
}

/// Where a plugin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Configure,
    Apply,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Configure => "configure",
            Stage::Apply => "apply",
        }
    }
}

/// What ours answered to a line; its variant says how `expect` is read.
#[derive(Debug)]
pub enum Answer {
    /// `{"schema":…,"payload":…}`
    Data(SchemaAndValue),
    /// `{"schema":…}`
    Schema(Option<Schema>),
    /// `{"value":…}` in the schemaless form
    Value(Value),
    /// `{"text":…}`
    Text(Option<String>),
    /// `{"bytes":…}`
    Bytes(Option<Vec<u8>>),
    /// An envelope, or `null` when the record was dropped
    Record(Option<Record>),
    /// `{"error":…}`; the stage for lines that say `at`
    Error(ConnectError, Option<Stage>),
    /// The line could not be put to ours at all: always a difference.
    Unreadable(anyhow::Error),
}

impl Answer {
    /// An answer without stages, where an error stands without `at`.
    pub fn of<T>(result: Result<T, ConnectError>, answer: impl FnOnce(T) -> Answer) -> Self {
        match result {
            Ok(value) => answer(value),
            Err(error) => Answer::Error(error, None),
        }
    }
}

/// Counts the lines of one file and prints what differs.
pub struct Report {
    file: String,
    equal: usize,
    ran: usize,
}

impl Report {
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_string(),
            equal: 0,
            ran: 0,
        }
    }

    /// Compares an answer with what the line expects. Prints id, expected and got when they differ.
    pub fn check(&mut self, line: &Line, answer: &Answer) {
        self.ran += 1;
        match differs(line, answer) {
            Ok(false) => self.equal += 1,
            Ok(true) => self.print(line, &answer.to_string()),
            Err(cause) => self.print(line, &format!("{answer}, not comparable: {cause:#}")),
        }
    }

    /// Prints the count.
    ///
    /// Panics: when a line differed or none ran.
    pub fn finish(self) {
        let Self { file, equal, ran } = self;
        say(&format!("vectors {file}: {equal} of {ran} equal"));
        assert!(ran > 0, "vectors {file}: no line ran");
        assert_eq!(equal, ran, "vectors {file}: lines differ, see above");
    }

    fn print(&self, line: &Line, got: &str) {
        let null = &Json::Null;
        let expect = line.get("expect").unwrap_or(null);
        say(&format!(
            "{}: {}\n  expected {expect}\n  got      {got}",
            self.file, line.id
        ));
    }
}

/// Prints past the capture of the test runner: the counts are to be seen also when all is well.
pub fn say(line: &str) {
    // A closed pipe must not fail the test.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// An answer in the form of the files.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Data(data) => write!(f, "{}", write_data(data)),
            Answer::Schema(schema) => write!(f, "{}", write_schema(schema.as_ref())),
            Answer::Value(value) => write!(f, "{}", write_schemaless(value)),
            Answer::Text(text) => write!(f, "{}", Json::from(text.clone())),
            Answer::Bytes(None) => f.write_str("no bytes"),
            Answer::Bytes(Some(bytes)) => write!(f, "bytes {}", bytes.escape_ascii()),
            Answer::Record(None) => f.write_str("no record"),
            Answer::Record(Some(record)) => write!(f, "{}", write_record(record)),
            Answer::Error(error, None) => write!(f, "error {error:?}"),
            Answer::Error(error, Some(stage)) => write!(f, "error {error:?} at {}", stage.name()),
            Answer::Unreadable(cause) => write!(f, "unreadable line: {cause:#}"),
        }
    }
}

fn differs(line: &Line, answer: &Answer) -> Result<bool> {
    let expect = line.get("expect").context("the line expects nothing")?;
    if equal(line, expect, answer)? {
        return Ok(false);
    }
    match line.get("java17") {
        Some(alternative) => Ok(!equal(line, alternative, answer)?),
        None => Ok(true),
    }
}

fn equal(line: &Line, expect: &Json, answer: &Answer) -> Result<bool> {
    if let Some(error) = expect.get("error") {
        let at = expect.get("at").and_then(Json::as_str);
        return Ok(match answer {
            Answer::Error(got, stage) => {
                at == stage.map(Stage::name) && equal_error(line, error, got)
            }
            _ => false,
        });
    }
    let unordered = line.says("unordered");
    let part = |member: &str| {
        let part = expect.get(member);
        part.ok_or_else(|| anyhow!("expect has no \"{member}\""))
    };
    Ok(match answer {
        Answer::Error(..) | Answer::Unreadable(_) => false,
        Answer::Data(got) => read_data(expect)? == *got,
        Answer::Schema(got) => read_schema(part("schema")?)? == *got,
        Answer::Value(got) => read_schemaless(part("value")?)? == *got,
        Answer::Text(got) => match (part("text")?.as_str(), got) {
            (Some(text), Some(got)) if unordered => sorted(text) == sorted(got),
            (text, got) => text == got.as_deref(),
        },
        Answer::Bytes(got) => match (part("bytes")?.as_str(), got) {
            (None, None) => true,
            (Some(bytes), Some(got)) => equal_bytes(&STANDARD.decode(bytes)?, got, unordered),
            _ => false,
        },
        Answer::Record(None) => expect.is_null(),
        Answer::Record(Some(got)) => !expect.is_null() && read_record(expect)? == *got,
    })
}

/// Kinds as `vectors/README.md` maps them from Java's classes; messages exactly, unless `loose`.
fn equal_error(line: &Line, expect: &Json, got: &ConnectError) -> bool {
    let class = expect.get("class").and_then(Json::as_str);
    let kind = match class.map(|class| class.rsplit('.').next().unwrap_or(class)) {
        Some("ConfigException") => Some(ErrorKind::Config),
        Some(
            "DataException"
            | "SchemaBuilderException"
            | "ConnectException"
            | "SerializationException"
            | "DebeziumException",
        ) => Some(ErrorKind::Data),
        _ => None,
    };
    let message = expect.get("message").and_then(Json::as_str);
    kind.is_none_or(|kind| kind == got.kind())
        && (line.says("loose") || message.is_none_or(|message| message == got.message()))
}

fn equal_bytes(expect: &[u8], got: &[u8], unordered: bool) -> bool {
    if !unordered {
        return expect == got;
    }
    match (serde_json::from_slice(expect), serde_json::from_slice(got)) {
        (Ok(expect), Ok(got)) => canonical(&expect) == canonical(&got),
        _ => {
            let texts = (
                String::from_utf8_lossy(expect),
                String::from_utf8_lossy(got),
            );
            sorted(&texts.0) == sorted(&texts.1)
        }
    }
}

/// JSON as a text in which members and elements are sorted: lists compare as multisets.
fn canonical(json: &Json) -> String {
    let mut parts: Vec<String> = match json {
        Json::Array(elements) => elements.iter().map(canonical).collect(),
        Json::Object(members) => members
            .iter()
            .map(|(name, value)| format!("{}:{}", Json::from(name.as_str()), canonical(value)))
            .collect(),
        primitive => return primitive.to_string(),
    };
    parts.sort();
    match json {
        Json::Array(_) => format!("[{}]", parts.join(",")),
        _ => format!("{{{}}}", parts.join(",")),
    }
}

fn sorted(text: &str) -> Vec<char> {
    let mut chars: Vec<char> = text.chars().collect();
    chars.sort_unstable();
    chars
}
