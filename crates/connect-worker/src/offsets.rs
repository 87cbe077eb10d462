//! Source offsets between what tasks speak of and what the store keeps.
//!
//! Lives here: the JSON of keys (`["connector",{partition}]`) and values, the reader that tasks see, the
//! writer that the source loop uses.
//! Lives elsewhere: keeping bytes (`connect_backing_store`).

use bytes::Bytes;
use connect_api::data::{Map, SharedSlice, Value};
use connect_api::{
    ConnectError, Converter, ConverterType, OffsetStorageReader, Result, SourceOffset,
    SourcePartition, async_trait,
};
use connect_backing_store::{OffsetBackingStore, RawOffsets};
use connect_config::Properties;
use connect_converters::JsonConverter;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::warn;

/// Offsets of one connector in a store that many share.
pub struct ConnectorOffsets {
    connector: String,
    store: Arc<dyn OffsetBackingStore>,
    json: Mutex<JsonConverter>,
}

impl ConnectorOffsets {
    pub fn new(connector: &str, store: Arc<dyn OffsetBackingStore>) -> Self {
        let mut json = JsonConverter::default();
        let config = Properties::from_iter([("schemas.enable", "false")]);
        json.configure(&config, ConverterType::Key)
            .expect("the setting is one of the converter's");
        Self {
            connector: connector.to_string(),
            store,
            json: Mutex::new(json),
        }
    }

    /// What to store for an offset: key and value.
    ///
    /// Fails: when the offset holds anything but primitive values.
    pub fn encode(
        &self,
        partition: Option<&SourcePartition>,
        offset: &SourceOffset,
    ) -> Result<(Bytes, Bytes)> {
        let key = self.key_of(partition)?;
        let offset = offset.to_map();
        check_flat(&offset)?;
        let value = self.write_json(&Value::Map(offset))?;
        Ok((key, value))
    }

    /// Whether [`Self::store`] may wait for a disk.
    pub fn may_block(&self) -> bool {
        self.store.may_block()
    }

    /// Stores what [`Self::encode`] made.
    pub fn store(&self, offsets: RawOffsets) -> Result<()> {
        self.store.set(offsets).map_err(|cause| {
            ConnectError::retriable("cannot store source offsets").caused_by(cause)
        })
    }

    fn offset_of(&self, partition: &SourcePartition) -> Result<Option<Map>> {
        let key = self.key_of(Some(partition))?;
        let Some(stored) = self.store.get(&key) else {
            return Ok(None);
        };
        match self.read_json(&stored)? {
            Value::Null => Ok(None),
            Value::Map(offset) => Ok(Some(offset)),
            other => {
                let message = "stored offset is not an object; reset the connector's offsets";
                Err(ConnectError::data(message)
                    .with("connector", &self.connector)
                    .with("class", other.java_class()))
            }
        }
    }

    /// The bytes under which a partition's offset is stored: those that stand there already when another
    /// writer put the partition's fields in another order, as a Java map may.
    fn key_of(&self, partition: Option<&SourcePartition>) -> Result<Bytes> {
        let fields = partition.map_or(Value::Null, |partition| {
            Value::Map(partition.fields().clone())
        });
        let wanted = Value::Array(vec![Value::from(self.connector.as_str()), fields]);
        let key = self.write_json(&wanted)?;
        let many_fields = partition.is_some_and(|partition| partition.fields().len() > 1);
        if !many_fields || self.store.get(&key).is_some() {
            return Ok(key);
        }
        // What JSON makes of numbers: a stored key is compared as it would be read back.
        let wanted = self.read_json(&key)?;
        for stored in self.store.snapshot().into_keys() {
            match self.read_json(&stored) {
                Ok(found) if found == wanted => return Ok(stored),
                Ok(_) => {}
                Err(error) => {
                    warn!(%error, "a stored offset has a key that is no JSON; it is left alone")
                }
            }
        }
        Ok(key)
    }

    fn write_json(&self, value: &Value) -> Result<Bytes> {
        let mut buffer = Vec::new();
        let mut json = self.json.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = json.from_connect_data("", None, value, &mut buffer)?;
        Ok(Bytes::copy_from_slice(bytes.unwrap_or(b"null")))
    }

    fn read_json(&self, bytes: &Bytes) -> Result<Value> {
        let mut json = self.json.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(json
            .to_connect_data("", Some(SharedSlice::whole(bytes)))?
            .value)
    }
}

#[async_trait]
impl OffsetStorageReader for ConnectorOffsets {
    async fn offsets(&self, partitions: &[SourcePartition]) -> Result<Vec<Option<Map>>> {
        partitions
            .iter()
            .map(|partition| self.offset_of(partition))
            .collect()
    }
}

fn check_flat(offset: &Map) -> Result<()> {
    match offset
        .iter()
        .find(|(_, value)| matches!(value, Value::Array(_) | Value::Map(_) | Value::Struct(_)))
    {
        None => Ok(()),
        Some((field, value)) => {
            let message = "offsets may only hold primitive values";
            Err(ConnectError::fatal(message)
                .with("field", field.as_str().unwrap_or("?"))
                .with("class", value.java_class()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_backing_store::MemoryOffsetBackingStore;

    fn partition(fields: &[(&'static str, &str)]) -> SourcePartition {
        SourcePartition::new(
            fields
                .iter()
                .map(|(name, value)| (Value::text(name), *value))
                .collect(),
        )
    }

    #[test]
    fn keys_and_values_are_those_of_java() {
        let offsets = ConnectorOffsets::new(
            "local-file-source",
            Arc::new(MemoryOffsetBackingStore::default()),
        );
        let partition = partition(&[("filename", "test.txt")]);
        let (key, value) = offsets
            .encode(Some(&partition), &SourceOffset::Position("position", 42))
            .unwrap();
        assert_eq!(
            key,
            "[\"local-file-source\",{\"filename\":\"test.txt\"}]".as_bytes()
        );
        assert_eq!(value, "{\"position\":42}".as_bytes());
        offsets
            .store(RawOffsets::from([(key, Some(value))]))
            .unwrap();
        let read = offsets.offset_of(&partition).unwrap().unwrap();
        assert_eq!(read.get_str("position"), Some(&Value::Int64(42)));
    }

    #[test]
    fn a_key_with_fields_in_another_order_is_found_and_kept() {
        let store = Arc::new(MemoryOffsetBackingStore::default());
        let stored = Bytes::from("[\"c\",{\"b\":\"2\",\"a\":\"1\"}]");
        store
            .set(RawOffsets::from([(
                stored.clone(),
                Some(Bytes::from("{\"x\":1}")),
            )]))
            .unwrap();
        let offsets = ConnectorOffsets::new("c", store.clone());
        let partition = partition(&[("a", "1"), ("b", "2")]);
        assert!(offsets.offset_of(&partition).unwrap().is_some());
        let (key, value) = offsets
            .encode(Some(&partition), &SourceOffset::Position("x", 2))
            .unwrap();
        offsets
            .store(RawOffsets::from([(key, Some(value))]))
            .unwrap();
        assert_eq!(store.snapshot().len(), 1);
        assert_eq!(store.get(&stored), Some(Bytes::from("{\"x\":2}")));
    }

    #[test]
    fn nested_offsets_are_refused() {
        let offsets = ConnectorOffsets::new("c", Arc::new(MemoryOffsetBackingStore::default()));
        let nested = Map::from_iter([(Value::text("x"), Value::Array(vec![]))]);
        assert!(offsets.encode(None, &SourceOffset::Fields(nested)).is_err());
    }
}
