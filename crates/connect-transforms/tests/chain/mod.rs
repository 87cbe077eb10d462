//! A chain of transforms as a connector's configuration writes it, applied to one record.
//!
//! Lives here: making the chain, applying it, the record as JSON. Never here: what is expected.

use connect_api::{Origin, Outcome, Result, Transformation};
use connect_config::Properties;
use connect_testkit::envelope::{Record, read_record, write_record};
use connect_transforms::transformations;
use serde_json::Value as Json;

pub struct Chain(Vec<Box<dyn Transformation>>);

impl Chain {
    /// `steps`: class and settings of each.
    pub fn new(steps: &[(&str, &[(&str, &str)])]) -> Result<Self> {
        let steps = steps.iter().map(|(class, settings)| {
            let make = transformations().find(|(name, _)| name == class);
            let (_, make) = make.unwrap_or_else(|| panic!("no transform {class}"));
            let mut transform = make();
            transform.config_def();
            transform.configure(&Properties::from_iter(settings.iter().copied()))?;
            Ok(transform)
        });
        steps.collect::<Result<_>>().map(Self)
    }

    /// `None`: dropped. The record is an envelope of `vectors/README.md`.
    pub fn apply(&mut self, record: &Json) -> Result<Option<Json>> {
        let mut record = read_record(record).expect("an envelope");
        for transform in &mut self.0 {
            let outcome = match &mut record {
                Record::Source(source) => {
                    let origin = Origin::Source {
                        partition: None,
                        offset: None,
                    };
                    transform.apply(&mut source.record, origin)
                }
                Record::Sink(sink) => {
                    let origin = Origin::Sink {
                        kafka_offset: sink.kafka_offset,
                        timestamp_type: sink.timestamp_type,
                        original: None,
                    };
                    transform.apply(&mut sink.record, origin)
                }
            };
            if outcome? == Outcome::Drop {
                return Ok(None);
            }
        }
        Ok(Some(write_record(&record)))
    }
}
