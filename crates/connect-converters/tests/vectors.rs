//! `vectors/converters.jsonl`: what the Java classes answered.

use bytes::Bytes;
use connect_api::data::SharedSlice;
use connect_api::{ConverterType, Result};
use connect_config::Properties;
use connect_converters::{converters, header_converters};
use connect_testkit::vectors::{Answer, Line, Report, Stage, lines};

#[test]
fn converters_answer_as_java() {
    let mut report = Report::new("converters.jsonl");
    for line in lines("converters.jsonl") {
        let answer = answer(&line).unwrap_or_else(Answer::Unreadable);
        report.check(&line, &answer);
    }
    report.finish();
}

fn answer(line: &Line) -> anyhow::Result<Answer> {
    let says = |member: &str| line.get(member).and_then(|json| json.as_bool()) == Some(true);
    let input = Input::of(line)?;
    Ok(match says("isHeader") {
        true => as_header_converter(line, input)?,
        false => as_converter(line, says("isKey"), input)?,
    })
}

enum Input {
    Data(connect_api::data::SchemaAndValue),
    Bytes(Option<Bytes>),
}

impl Input {
    fn of(line: &Line) -> anyhow::Result<Self> {
        Ok(match line.text("dir") {
            Some("from") => Input::Data(line.data()?),
            Some("to") => Input::Bytes(bytes(line)?),
            other => anyhow::bail!("dir is {other:?}"),
        })
    }
}

fn bytes(line: &Line) -> anyhow::Result<Option<Bytes>> {
    use base64::Engine;
    let Some(text) = line.text("bytes") else {
        return Ok(None);
    };
    let bytes = base64::engine::general_purpose::STANDARD.decode(text)?;
    Ok(Some(bytes.into()))
}

fn config(line: &Line) -> Properties {
    let members = line.get("config").and_then(|json| json.as_object());
    let mut properties = Properties::new();
    for (key, value) in members.into_iter().flatten() {
        properties.set_nullable(key, value.as_str().map(str::to_string));
    }
    properties
}

fn make<T: Copy>(line: &Line, list: &[(&str, T)]) -> anyhow::Result<T> {
    let class = line.text("converter").unwrap_or_default();
    let entry = list.iter().find(|(name, _)| *name == class);
    let entry = entry.ok_or_else(|| anyhow::anyhow!("no converter {class}"))?;
    Ok(entry.1)
}

fn as_converter(line: &Line, is_key: bool, input: Input) -> anyhow::Result<Answer> {
    let mut converter = make(line, converters())?();
    let converter_type = if is_key {
        ConverterType::Key
    } else {
        ConverterType::Value
    };
    if let Err(error) = converter.configure(&config(line), converter_type) {
        return Ok(Answer::Error(error, Some(Stage::Configure)));
    }
    Ok(match input {
        Input::Data(data) => {
            let mut buffer = b"what the last record left".to_vec();
            let bytes =
                converter.from_connect_data("t", data.schema.as_ref(), &data.value, &mut buffer);
            applied(bytes, |bytes| Answer::Bytes(bytes.map(<[u8]>::to_vec)))
        }
        Input::Bytes(bytes) => {
            let bytes = bytes.as_ref().map(SharedSlice::whole);
            applied(converter.to_connect_data("t", bytes), Answer::Data)
        }
    })
}

fn as_header_converter(line: &Line, input: Input) -> anyhow::Result<Answer> {
    let mut converter = make(line, header_converters())?();
    if let Err(error) = converter.configure(&config(line)) {
        return Ok(Answer::Error(error, Some(Stage::Configure)));
    }
    Ok(match input {
        Input::Data(data) => {
            let bytes = converter.from_connect_header("t", "h", data.schema.as_ref(), &data.value);
            applied(bytes, |bytes| {
                Answer::Bytes(bytes.map(|bytes| bytes.to_vec()))
            })
        }
        Input::Bytes(bytes) => {
            let bytes = bytes.as_ref().map(SharedSlice::whole);
            applied(converter.to_connect_header("t", "h", bytes), Answer::Data)
        }
    })
}

fn applied<T>(result: Result<T>, answer: impl FnOnce(T) -> Answer) -> Answer {
    match result {
        Ok(value) => answer(value),
        Err(error) => Answer::Error(error, Some(Stage::Apply)),
    }
}
