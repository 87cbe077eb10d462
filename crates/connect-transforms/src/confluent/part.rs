//! The part of a record that a transform works on: `Class$Key`, `Class$Value`.

use connect_api::ConnectRecord;
use connect_api::data::{Schema, Value};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    Key,
    Value,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Key => "key",
            Part::Value => "value",
        }
    }

    pub(crate) fn value(self, record: &ConnectRecord) -> &Value {
        match self {
            Part::Key => &record.key,
            Part::Value => &record.value,
        }
    }

    pub(crate) fn of(self, record: &mut ConnectRecord) -> (&mut Option<Schema>, &mut Value) {
        match self {
            Part::Key => (&mut record.key_schema, &mut record.key),
            Part::Value => (&mut record.value_schema, &mut record.value),
        }
    }
}
