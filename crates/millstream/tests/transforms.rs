//! Every transform in a FileStream pipeline on a real broker, in one worker: what comes out is compared to the letter.

mod support;

use anyhow::{Result, ensure};
use connect_testkit::kafka::bootstrap_or_skip;
use connect_testkit::process::eventually;
use std::fs;
use std::path::PathBuf;
use support::*;

const ORDER: &str =
    r#"{"id":7,"name":"ann","price":"12.50","ts":1700000000000,"to":{"city":"Rome"}}"#;

const STRUCT: &str = concat!(
    r#"{"schema":{"type":"struct","fields":[{"field":"id","type":"int32"},{"field":"name","type":"string"}]},"#,
    r#""payload":{"id":7,"name":"ann"}}"#
);

/// Transform, its options, and the line that FileStreamSink writes for the order.
const SINKS: &[(&str, &str, &str)] = &[
    (
        "Cast$Value",
        "spec=price:float64,id:string",
        "{id=7, name=ann, price=12.5, ts=1700000000000, to={city=Rome}}",
    ),
    ("DropHeaders", "headers=h", SAME),
    (
        "ExtractField$Value",
        "field=to.city\nfield.syntax.version=V2",
        "Rome",
    ),
    ("Filter", "predicate=other", SAME),
    (
        "Flatten$Value",
        "delimiter=_",
        "{id=7, name=ann, price=12.50, ts=1700000000000, to_city=Rome}",
    ),
    (
        "HeaderFrom$Value",
        "fields=name,price\nheaders=n,p\noperation=move",
        "{id=7, ts=1700000000000, to={city=Rome}}",
    ),
    (
        "HoistField$Value",
        "field=order",
        "{order={id=7, name=ann, price=12.50, ts=1700000000000, to={city=Rome}}}",
    ),
    (
        "InsertField$Value",
        "static.field=shop\nstatic.value=mill\noffset.field=at",
        "{id=7, name=ann, price=12.50, ts=1700000000000, to={city=Rome}, at=0, shop=mill}",
    ),
    ("InsertHeader", "header=h\nvalue.literal=1", SAME),
    (
        "MaskField$Value",
        "fields=name,price\nreplacement=*",
        "{id=7, name=*, price=*, ts=1700000000000, to={city=Rome}}",
    ),
    ("RegexRouter", "regex=.*\nreplacement=elsewhere", SAME),
    (
        "ReplaceField$Value",
        "exclude=ts,to\nrenames=id:order",
        "{order=7, name=ann, price=12.50}",
    ),
    (
        "TimestampConverter$Value",
        "field=ts\ntarget.type=string\nformat=yyyy-MM-dd",
        "{id=7, name=ann, price=12.50, ts=2023-11-14, to={city=Rome}}",
    ),
    (
        "TimestampRouter",
        "topic.format=${topic}-${timestamp}",
        SAME,
    ),
    ("ValueToKey", "fields=id", SAME),
];

const SAME: &str = "{id=7, name=ann, price=12.50, ts=1700000000000, to={city=Rome}}";

struct Pipelines {
    setup: Setup,
    files: Vec<PathBuf>,
    expected: Vec<(PathBuf, String)>,
}

impl Pipelines {
    fn source(&mut self, name: &str, line: &str, more: &str) -> Result<()> {
        let input = self
            .setup
            .write(&format!("{name}.in"), &format!("{line}\n"))?;
        let topic = &self.setup.topic;
        let config = format!(
            "name={topic}-{name}\nconnector.class=FileStreamSource\nfile={}\ntopic={topic}-{name}\n{more}",
            input.display()
        );
        self.files
            .push(self.setup.write(&format!("{name}.properties"), &config)?);
        Ok(())
    }

    fn sink(&mut self, name: &str, of: &str, more: &str, expected: &str) -> Result<()> {
        let output = self.setup.path(&format!("{name}.out"));
        let topic = &self.setup.topic;
        let config = format!(
            "name={topic}-{name}\nconnector.class=FileStreamSink\nfile={}\ntopics={topic}-{of}\n\
             value.converter=org.apache.kafka.connect.json.JsonConverter\n{more}",
            output.display()
        );
        self.files
            .push(self.setup.write(&format!("{name}.properties"), &config)?);
        self.expected.push((output, format!("{expected}\n")));
        Ok(())
    }
}

/// The chain of one transform with these options.
fn chain(class: &str, options: &str) -> String {
    let options = options
        .split('\n')
        .map(|option| format!("transforms.t.{option}\n"));
    format!(
        "transforms=t\ntransforms.t.type=org.apache.kafka.connect.transforms.{class}\n{}\
         predicates=other\npredicates.other.type=TopicNameMatches\npredicates.other.pattern=nobody\n",
        options.collect::<String>()
    )
}

#[test]
fn every_transform_in_a_pipeline() -> Result<()> {
    let Some(bootstrap) = bootstrap_or_skip() else {
        return Ok(());
    };
    let mut pipelines = Pipelines {
        setup: Setup::new(&bootstrap)?,
        files: Vec::new(),
        expected: Vec::new(),
    };
    pipelines.source("orders", ORDER, "")?;
    for (number, (class, options, expected)) in SINKS.iter().enumerate() {
        let more = format!(
            "value.converter.schemas.enable=false\n{}",
            chain(class, options)
        );
        pipelines.sink(&format!("sink-{number}"), "orders", &more, expected)?;
    }
    // With a schema, which SetSchemaMetadata needs.
    pipelines.source("structs", STRUCT, "")?;
    let more = chain(
        "SetSchemaMetadata$Value",
        "schema.name=order\nschema.version=2",
    );
    pipelines.sink("sink-structs", "structs", &more, "Struct{id=7,name=ann}")?;
    // On the way in: the topic and the value are others than the connector's.
    let more = format!(
        "transforms=hoist,route\ntransforms.hoist.type=org.apache.kafka.connect.transforms.HoistField$Value\n\
         transforms.hoist.field=line\ntransforms.route.type=RegexRouter\ntransforms.route.regex=(.*)-lines\n\
         transforms.route.replacement=$1-routed\nvalue.converter=org.apache.kafka.connect.json.JsonConverter\n\
         value.converter.schemas.enable=false\n"
    );
    pipelines.source("lines", "hello", &more)?;
    pipelines.sink(
        "sink-routed",
        "routed",
        "value.converter.schemas.enable=false\n",
        "{line=hello}",
    )?;

    let worker = pipelines.setup.worker("")?;
    let mut files = vec![worker.as_path()];
    files.extend(pipelines.files.iter().map(PathBuf::as_path));
    let program = pipelines.setup.start(&files)?;
    let differ = || {
        let differ = pipelines.expected.iter().filter_map(|(path, expected)| {
            let actual = fs::read_to_string(path).unwrap_or_default();
            let name = path.file_name()?.to_string_lossy().into_owned();
            (actual != *expected).then(|| format!("{name}: expected {expected:?}, got {actual:?}"))
        });
        differ.collect::<Vec<_>>()
    };
    let all = eventually(SOON, "every file", || Ok(differ().is_empty()));
    let log = program.log();
    ensure!(program.terminate(SOON)? == 0, "{log}");
    ensure!(all.is_ok(), "{}\n{log}", differ().join("\n"));
    Ok(())
}
