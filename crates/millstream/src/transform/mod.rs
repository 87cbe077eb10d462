//! `millstream transform`: the chain of a connector's configuration, tried on lines without a worker.
//!
//! Lives here: the loop over the lines, what is said of each, how it ends.
//! Lives elsewhere: what a line is (`line`), the chain (`connect_worker::chain`), the envelope
//! (`connect_envelope`).

mod line;

use crate::cli::TransformArgs;
use crate::connector_file::read_config;
use crate::exit::Exit;
use crate::plugins::plugins;
use connect_api::{Origin, TopicPartition};
use connect_envelope::{Record, write_record};
use connect_worker::chain::{Applied, TransformationChain};
use line::LineReader;
use std::io::{self, BufRead, Write};

/// Reads standard input to its end. Results go to standard output, everything that is said to standard error.
pub fn run(args: &TransformArgs) -> Exit {
    let mut say = io::stderr();
    match prepare(args) {
        Ok((mut chain, mut reader)) => {
            let input = io::stdin().lock();
            let output = io::BufWriter::new(io::stdout().lock());
            match transform(
                &mut chain,
                &mut reader,
                args.explain,
                input,
                output,
                &mut say,
            ) {
                Ok(count) => {
                    let _ = writeln!(say, "{}", count.sentence());
                    count.exit()
                }
                // Who reads the output has seen enough.
                Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
                Err(cause) => {
                    let _ = writeln!(say, "cannot go on: {cause}");
                    Exit::ConnectorFailed
                }
            }
        }
        Err(message) => {
            let _ = writeln!(say, "{message}");
            Exit::WorkerFailed
        }
    }
}

fn prepare(args: &TransformArgs) -> Result<(TransformationChain, LineReader), String> {
    let config = read_config(&args.config)?;
    let plugins = plugins();
    let of_file = |errors| format!("{}: {errors}", args.config.display());
    let chain = TransformationChain::new(&plugins, &config).map_err(of_file)?;
    let reader = LineReader::new(args, &config, &plugins)
        .map_err(|error| format!("{}: {error}", args.config.display()))?;
    Ok((chain, reader))
}

/// What became of the lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    written: u64,
    dropped: u64,
    failed: u64,
}

impl Count {
    fn sentence(&self) -> String {
        format!(
            "{} written, {} dropped, {} failed",
            self.written, self.dropped, self.failed
        )
    }

    fn exit(&self) -> Exit {
        match self.failed {
            0 => Exit::Success,
            _ => Exit::ConnectorFailed,
        }
    }
}

/// Runs every line through the chain. A line that fails keeps no other from it.
///
/// Fails: when the input cannot be read or the output not be written.
fn transform(
    chain: &mut TransformationChain,
    reader: &mut LineReader,
    explain: bool,
    input: impl BufRead,
    mut output: impl Write,
    say: &mut impl Write,
) -> io::Result<Count> {
    let mut count = Count::default();
    for (number, line) in (1..).zip(input.split(b'\n')) {
        let line = line?;
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            continue;
        }
        let mut record = match reader.read(line) {
            Ok(record) => record,
            Err(reason) => {
                writeln!(say, "line {number}: {reason}")?;
                count.failed += 1;
                continue;
            }
        };
        if explain {
            // Results that were written before stand before it, also on a terminal.
            output.flush()?;
            writeln!(say, "line {number}\n  as read: {}", write_record(&record))?;
        }
        match run_stages(chain, &mut record, number, explain, say)? {
            End::Written => {
                writeln!(output, "{}", write_record(&record))?;
                count.written += 1;
            }
            End::Dropped => count.dropped += 1,
            End::Failed => count.failed += 1,
        }
    }
    output.flush()?;
    Ok(count)
}

enum End {
    Written,
    Dropped,
    Failed,
}

fn run_stages(
    chain: &mut TransformationChain,
    record: &mut Record,
    number: u64,
    explain: bool,
    say: &mut impl Write,
) -> io::Result<End> {
    let from = TopicPartition {
        topic: record.common().topic.clone(),
        partition: record.common().kafka_partition.unwrap_or_default(),
    };
    for stage in chain.stages_mut() {
        let (alias, class) = (stage.alias().to_string(), stage.class());
        let applied = match record {
            Record::Source(record) => {
                let origin = Origin::Source {
                    partition: record.source_partition.as_ref(),
                    offset: record.source_offset.as_ref(),
                };
                stage.apply(&mut record.record, origin)
            }
            Record::Sink(record) => {
                let origin = Origin::Sink {
                    kafka_offset: record.kafka_offset,
                    timestamp_type: record.timestamp_type,
                    original: Some(&from),
                };
                stage.apply(&mut record.record, origin)
            }
        };
        match applied {
            Ok(Applied::Transformed) if explain => {
                writeln!(say, "  {alias}: {}", write_record(record))?;
            }
            Ok(Applied::PassedBy) if explain => {
                writeln!(say, "  {alias}: does not apply (its predicate)")?;
            }
            Ok(Applied::Transformed | Applied::PassedBy) => {}
            Ok(Applied::Dropped) => {
                writeln!(say, "line {number}: dropped by {alias} ({class})")?;
                return Ok(End::Dropped);
            }
            Err(error) => {
                writeln!(say, "line {number}: {alias} ({class}) failed: {error}")?;
                return Ok(End::Failed);
            }
        }
    }
    Ok(End::Written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_config::Properties;
    use expect_test::{Expect, expect};

    /// What a run writes, then what it says, then the exit code.
    #[track_caller]
    fn check(options: &[&str], config: &str, lines: &str, expected: Expect) {
        let mut words = vec!["transform", "file"];
        words.extend(options);
        let args = crate::cli::transform_args(&words);
        let config = Properties::from_text(config).expect("properties");
        let plugins = plugins();
        let mut chain = TransformationChain::new(&plugins, &config).expect("a chain");
        let mut reader = LineReader::new(&args, &config, &plugins).expect("converters");
        let (mut output, mut said) = (Vec::new(), Vec::new());
        let count = transform(
            &mut chain,
            &mut reader,
            args.explain,
            lines.as_bytes(),
            &mut output,
            &mut said,
        );
        let count = count.expect("memory takes all");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let all = format!("{}---\n{}{:?}\n", text(output), text(said), count.exit());
        expected.assert_eq(&all);
    }

    const MASK: &str = "topics=orders\nconnector.class=FileStreamSink\ntransforms=mask\n\
        transforms.mask.type=org.apache.kafka.connect.transforms.MaskField$Value\ntransforms.mask.fields=card\n\
        transforms.mask.replacement=****\n";

    #[test]
    fn a_plain_line_is_a_value_of_the_connectors_topic() {
        check(
            &[],
            MASK,
            "{\"id\":7,\"card\":\"4111\"}\n",
            expect![[r#"
                {"kind":"sink","topic":"orders","partition":0,"offset":0,"timestamp":null,"timestampType":"NoTimestampType","key":{"schema":null,"payload":null},"value":{"schema":null,"payload":{"id":7,"card":"****"}},"headers":[]}
                ---
                Success
            "#]],
        );
    }

    #[test]
    fn an_envelope_is_taken_as_it_is_and_a_bad_one_refused() {
        check(
            &[],
            MASK,
            "{\"topic\":\"t\",\"value\":{\"payload\":{\"card\":\"1\"}}}\n{\"topic\":\"t\",\"value\":{},\"hedaers\":[]}\n",
            expect![[r#"
                {"kind":"source","topic":"t","partition":null,"timestamp":null,"key":{"schema":null,"payload":null},"value":{"schema":null,"payload":{"card":"****"}},"headers":[]}
                ---
                line 2: looks like an envelope, but a record has an unknown member "hedaers"
                ConnectorFailed
            "#]],
        );
    }

    #[test]
    fn failures_and_drops_are_said_with_the_alias() {
        let config = "transforms=only,name\n\
            transforms.only.type=org.apache.kafka.connect.transforms.Filter\n\
            transforms.only.predicate=gone\npredicates=gone\n\
            predicates.gone.type=org.apache.kafka.connect.transforms.predicates.RecordIsTombstone\n\
            transforms.name.type=org.apache.kafka.connect.transforms.MaskField$Value\ntransforms.name.fields=card\n";
        check(
            &["--topic", "x"],
            config,
            "null\n\"text\"\nno json\n{\"a\":1}\n",
            expect![[r#"
                {"kind":"source","topic":"x","partition":null,"timestamp":null,"key":{"schema":null,"payload":null},"value":{"schema":null,"payload":{"a":1,"card":null}},"headers":[]}
                ---
                line 1: dropped by only (org.apache.kafka.connect.transforms.Filter)
                line 2: name (org.apache.kafka.connect.transforms.MaskField$Value) failed: Only Map objects supported in absence of schema for [mask fields], found: java.lang.String
                line 3: is neither an envelope nor JSON; for text give --value-converter StringConverter
                ConnectorFailed
            "#]],
        );
    }

    #[test]
    fn explain_shows_every_step() {
        check(
            &["--explain", "--topic", "x"],
            "transforms=a,b\ntransforms.a.type=org.apache.kafka.connect.transforms.HoistField$Value\ntransforms.a.field=f\n\
             transforms.b.type=org.apache.kafka.connect.transforms.Filter\ntransforms.b.predicate=p\n\
             predicates.p.type=org.apache.kafka.connect.transforms.predicates.RecordIsTombstone\n",
            "1\n",
            expect![[r#"
                {"kind":"source","topic":"x","partition":null,"timestamp":null,"key":{"schema":null,"payload":null},"value":{"schema":null,"payload":{"f":1}},"headers":[]}
                ---
                line 1
                  as read: {"kind":"source","topic":"x","partition":null,"timestamp":null,"key":{"schema":null,"payload":null},"value":{"schema":null,"payload":1},"headers":[]}
                  a: {"kind":"source","topic":"x","partition":null,"timestamp":null,"key":{"schema":null,"payload":null},"value":{"schema":null,"payload":{"f":1}},"headers":[]}
                  b: does not apply (its predicate)
                Success
            "#]],
        );
    }

    #[test]
    fn converters_read_lines_as_the_worker_would() {
        check(
            &[
                "--topic",
                "x",
                "--key-converter",
                "LongConverter",
                "--value-converter",
                "StringConverter",
            ],
            "transforms=\n",
            "key\tvalue\nno key\n",
            expect![[r#"
                ---
                line 1: the key is not what LongConverter reads: Failed to deserialize long: : expected 8 bytes, found 3
                line 2: has no tab between key and value, as --key-converter wants it
                ConnectorFailed
            "#]],
        );
        check(
            &[
                "--topic",
                "x",
                "--key-converter",
                "StringConverter",
                "--value-converter",
                "JsonConverter",
            ],
            "transforms=\nvalue.converter.schemas.enable=false\n",
            "k\t{\"a\":1.5}\n",
            expect![[r#"
                {"kind":"source","topic":"x","partition":null,"timestamp":null,"key":{"schema":{"type":"string","optional":true},"payload":"k"},"value":{"schema":null,"payload":{"a":1.5}},"headers":[]}
                ---
                Success
            "#]],
        );
    }
}
