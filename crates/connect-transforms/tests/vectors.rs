//! `vectors/transforms.jsonl`: what the Java classes answered.

use connect_api::{Origin, Outcome, Predicate, Result, Transformation};
use connect_config::Properties;
use connect_testkit::envelope::{Record, read_record};
use connect_testkit::vectors::{Answer, Line, Report, Stage, lines};
use connect_transforms::{predicates, transformations};
use serde_json::Value as Json;

#[test]
fn transforms_answer_as_java() {
    let mut report = Report::new("transforms.jsonl");
    for line in lines("transforms.jsonl") {
        let answer = answer(&line).unwrap_or_else(Answer::Unreadable);
        report.check(&line, &answer);
    }
    report.finish();
}

fn answer(line: &Line) -> anyhow::Result<Answer> {
    let record = line.get("record").unwrap_or(&Json::Null);
    let mut record = read_record(record)?;
    let mut transform = make_transform(line.text("type").unwrap_or_default())?;
    if let Err(error) = transform.configure(&config(line.get("config"))) {
        return Ok(Answer::Error(error, Some(Stage::Configure)));
    }
    if let Some(json) = line.get("predicate") {
        let name = json.get("type").and_then(Json::as_str);
        let mut predicate = make_predicate(name.unwrap_or_default())?;
        if let Err(error) = predicate.configure(&config(json.get("config"))) {
            return Ok(Answer::Error(error, Some(Stage::Configure)));
        }
        let negate = json.get("negate").and_then(Json::as_bool) == Some(true);
        match predicate.test(record.common()) {
            Err(error) => return Ok(Answer::Error(error, Some(Stage::Apply))),
            Ok(answer) if answer == negate => return Ok(Answer::Record(Some(record))),
            Ok(_) => {}
        }
    }
    Ok(match apply(transform.as_mut(), &mut record) {
        Ok(Outcome::Keep) => Answer::Record(Some(record)),
        Ok(Outcome::Drop) => Answer::Record(None),
        Err(error) => Answer::Error(error, Some(Stage::Apply)),
    })
}

fn apply(transform: &mut dyn Transformation, record: &mut Record) -> Result<Outcome> {
    match record {
        Record::Source(source) => {
            let origin = Origin::Source {
                partition: source.source_partition.as_ref(),
                offset: source.source_offset.as_ref(),
            };
            transform.apply(&mut source.record, origin)
        }
        Record::Sink(sink) => {
            let origin = Origin::Sink {
                kafka_offset: sink.kafka_offset,
                timestamp_type: sink.timestamp_type,
                original: sink.original.as_deref(),
            };
            transform.apply(&mut sink.record, origin)
        }
    }
}

fn make_transform(class: &str) -> anyhow::Result<Box<dyn Transformation>> {
    let entry = transformations().find(|(name, _)| *name == class);
    let (_, make) = entry.ok_or_else(|| anyhow::anyhow!("no transform {class}"))?;
    Ok(make())
}

fn make_predicate(class: &str) -> anyhow::Result<Box<dyn Predicate>> {
    let entry = predicates().find(|(name, _)| *name == class);
    let (_, make) = entry.ok_or_else(|| anyhow::anyhow!("no predicate {class}"))?;
    Ok(make())
}

fn config(json: Option<&Json>) -> Properties {
    let mut properties = Properties::new();
    for (key, value) in json.and_then(Json::as_object).into_iter().flatten() {
        properties.set_nullable(key, value.as_str().map(str::to_string));
    }
    properties
}
