//! Records, schemas and values as JSON, every type told apart, one record a line: `vectors/README.md`, section 1.
//!
//! Lives here: a strict reader ([`read_schema`], [`read_payload`], [`read_data`], [`read_record`]), which
//! refuses unknown members, unknown tags and numbers out of range, and a writer of the same form.
//! Never here: defaults put in place of null, or any other help: what is read is what is written.

mod error;
mod read;
mod record;
mod schema;
mod write;

pub use error::EnvelopeError;
pub use read::{read_data, read_payload, read_schemaless};
pub use record::{Record, read_record, write_record};
pub use schema::{read_schema, write_schema};
pub use write::{write_data, write_payload, write_schemaless};

use crate::error::{Context, Result, bail};
use serde_json::{Map as Object, Value as Json};

/// The members of a JSON object, each to be taken once; what is left over is refused.
struct Members<'a> {
    object: &'a Object<String, Json>,
    taken: Vec<&'static str>,
}

impl<'a> Members<'a> {
    fn of(json: &'a Json, what: &str) -> Result<Self> {
        let object = json
            .as_object()
            .with_context(|| format!("{what} must be an object, got {json}"))?;
        Ok(Self {
            object,
            taken: Vec::new(),
        })
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Json> {
        self.taken.push(name);
        self.object.get(name)
    }

    fn take_text(&mut self, name: &'static str) -> Result<Option<&'a str>> {
        let text = |json: &'a Json| {
            json.as_str()
                .with_context(|| format!("\"{name}\" must be text, got {json}"))
        };
        self.take(name).map(text).transpose()
    }

    fn refuse_others(self, what: &str) -> Result<()> {
        for name in self.object.keys() {
            if !self.taken.contains(&name.as_str()) {
                bail!("{what} has an unknown member \"{name}\"");
            }
        }
        Ok(())
    }
}
