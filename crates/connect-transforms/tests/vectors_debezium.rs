//! `vectors/transforms-debezium.jsonl`: what Debezium's classes answered.

use connect_api::{ConnectRecord, Origin, Outcome};
use connect_config::Properties;
use connect_testkit::envelope::{Record, read_record};
use connect_testkit::vectors::{Answer, Line, Report, Stage, lines};
use connect_transforms::{predicates, transformations};
use serde_json::Value as Json;

#[test]
fn debezium_transforms_answer_as_java() {
    let mut report = Report::new("transforms-debezium.jsonl");
    for line in lines("transforms-debezium.jsonl") {
        let answer = answer(&line).unwrap_or_else(Answer::Unreadable);
        report.check(&line, &answer);
    }
    report.finish();
}

fn answer(line: &Line) -> anyhow::Result<Answer> {
    let mut record = read_record(line.get("record").unwrap_or(&Json::Null))?;
    let class = line.text("type").unwrap_or_default();
    let make = transformations().find(|(name, _)| *name == class);
    let (_, make) = make.ok_or_else(|| anyhow::anyhow!("no transform {class}"))?;
    let mut transform = make();
    transform.config_def();
    if let Err(error) = transform.configure(&config(line.get("config"))) {
        return Ok(Answer::Error(error, Some(Stage::Configure)));
    }
    if !passes_predicate(line, record.common())? {
        return Ok(Answer::Record(Some(record)));
    }
    let outcome = match &mut record {
        Record::Source(source) => transform.apply(
            &mut source.record,
            Origin::Source {
                partition: source.source_partition.as_ref(),
                offset: source.source_offset.as_ref(),
            },
        ),
        Record::Sink(sink) => transform.apply(
            &mut sink.record,
            Origin::Sink {
                kafka_offset: sink.kafka_offset,
                timestamp_type: sink.timestamp_type,
                original: sink.original.as_deref(),
            },
        ),
    };
    Ok(match outcome {
        Ok(Outcome::Keep) => Answer::Record(Some(record)),
        Ok(Outcome::Drop) => Answer::Record(None),
        Err(error) => Answer::Error(error, Some(Stage::Apply)),
    })
}

fn passes_predicate(line: &Line, record: &ConnectRecord) -> anyhow::Result<bool> {
    let Some(json) = line.get("predicate").filter(|json| !json.is_null()) else {
        return Ok(true);
    };
    let class = json.get("type").and_then(Json::as_str).unwrap_or_default();
    let make = predicates().find(|(name, _)| *name == class);
    let (_, make) = make.ok_or_else(|| anyhow::anyhow!("no predicate {class}"))?;
    let mut predicate = make();
    predicate.configure(&config(json.get("config")))?;
    let negate = json.get("negate") == Some(&Json::Bool(true));
    Ok(predicate.test(record)? != negate)
}

fn config(json: Option<&Json>) -> Properties {
    let members = json.and_then(Json::as_object);
    let mut properties = Properties::new();
    for (key, value) in members.into_iter().flatten() {
        properties.set_nullable(key, value.as_str().map(str::to_string));
    }
    properties
}
