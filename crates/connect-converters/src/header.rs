//! Converters that serve headers as they serve keys and values.
//!
//! Lives here: the one way in which a [`Converter`] is a `HeaderConverter`, too.
//! Never here: conversions.

/// Implements `HeaderConverter` by the type's own `Converter`; the names of topic and header play no part.
macro_rules! serve_headers {
    ($($converter:ty),+ $(,)?) => { $(
        impl connect_api::HeaderConverter for $converter {
            fn configure(&mut self, configs: &connect_config::Properties) -> connect_api::Result<()> {
                let header = connect_api::ConverterType::Header;
                connect_api::Converter::configure(self, configs, header)
            }

            fn from_connect_header(
                &mut self,
                topic: &str,
                _key: &str,
                schema: Option<&connect_api::data::Schema>,
                value: &connect_api::data::Value,
            ) -> connect_api::Result<Option<bytes::Bytes>> {
                let mut buffer = Vec::new();
                let bytes = connect_api::Converter::from_connect_data(
                    self, topic, schema, value, &mut buffer,
                )?;
                Ok(bytes.map(bytes::Bytes::copy_from_slice))
            }

            fn to_connect_header(
                &mut self,
                topic: &str,
                _key: &str,
                bytes: Option<connect_api::data::SharedSlice<'_>>,
            ) -> connect_api::Result<connect_api::data::SchemaAndValue> {
                connect_api::Converter::to_connect_data(self, topic, bytes)
            }
        }
    )+ };
}
pub(crate) use serve_headers;
