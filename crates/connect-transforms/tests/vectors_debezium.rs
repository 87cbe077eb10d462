//! `vectors/transforms-debezium.jsonl`: what Debezium's classes answered.

use connect_api::{ConnectRecord, Origin, Outcome, Transformation};
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

/// One instance sees records of its class, twice and in turn, and answers each as a fresh one does: what it keeps for
/// schemas and topics never reaches another record.
#[test]
fn what_is_kept_does_not_reach_other_records() {
    // Keeps on purpose that a geometry came as EWKB.
    const STATEFUL: &str = "io.debezium.transforms.GeometryFormatTransformer";
    const OTHERS: usize = 6;
    let lines = lines("transforms-debezium.jsonl");
    let records: Vec<Record> = lines
        .iter()
        .map(|line| read_record(line.get("record").unwrap_or(&Json::Null)).expect("an envelope"))
        .collect();
    for (at, line) in lines.iter().enumerate() {
        let (class, Ok(Ok(mut shared))) = (line.text("type"), made(line)) else {
            continue;
        };
        if class == Some(STATEFUL) {
            continue;
        }
        // From this line on, so that every pair of neighbours meets.
        let others = (at..at + lines.len()).map(|at| at % lines.len());
        let others = others.filter(|other| lines[*other].text("type") == class);
        let others: Vec<usize> = others.take(OTHERS).collect();
        for other in others.iter().chain(&others) {
            let mut fresh = made(line).expect("made before").expect("configured before");
            let expected = applied(fresh.as_mut(), records[*other].clone());
            let got = applied(shared.as_mut(), records[*other].clone());
            let same = match (&got, &expected) {
                (Answer::Record(got), Answer::Record(expected)) => got == expected,
                (Answer::Error(got, _), Answer::Error(expected, _)) => {
                    // Where bytes lie is told by their text.
                    got.message().len() == expected.message().len()
                }
                _ => false,
            };
            let (id, of) = (&lines[*other].id, &line.id);
            assert!(
                same,
                "{id} after others, configured as {of}: {got}, not {expected}"
            );
        }
    }
}

type Made = connect_api::Result<Box<dyn Transformation>>;

fn made(line: &Line) -> anyhow::Result<Made> {
    let class = line.text("type").unwrap_or_default();
    let make = transformations().find(|(name, _)| *name == class);
    let (_, make) = make.ok_or_else(|| anyhow::anyhow!("no transform {class}"))?;
    let mut transform = make();
    transform.config_def();
    Ok(transform
        .configure(&config(line.get("config")))
        .map(|()| transform))
}

fn answer(line: &Line) -> anyhow::Result<Answer> {
    let record = read_record(line.get("record").unwrap_or(&Json::Null))?;
    let mut transform = match made(line)? {
        Ok(transform) => transform,
        Err(error) => return Ok(Answer::Error(error, Some(Stage::Configure))),
    };
    if !passes_predicate(line, record.common())? {
        return Ok(Answer::Record(Some(record)));
    }
    Ok(applied(transform.as_mut(), record))
}

fn applied(transform: &mut dyn Transformation, mut record: Record) -> Answer {
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
    match outcome {
        Ok(Outcome::Keep) => Answer::Record(Some(record)),
        Ok(Outcome::Drop) => Answer::Record(None),
        Err(error) => Answer::Error(error, Some(Stage::Apply)),
    }
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
