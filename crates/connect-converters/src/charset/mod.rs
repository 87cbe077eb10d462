//! Java's character sets.
use connect_api::data::{SharedSlice, Str};

pub(crate) enum Charset {
    Utf8,
}

impl Charset {
    pub(crate) const UTF_8: Self = Charset::Utf8;

    pub(crate) fn for_name(name: &str) -> Option<Self> {
        (name == "UTF-8").then_some(Charset::Utf8)
    }

    pub(crate) fn is_utf_8(&self) -> bool {
        true
    }

    pub(crate) fn decode(&self, bytes: SharedSlice<'_>) -> Str {
        Str::from_utf8_lossy(bytes.to_bytes())
    }

    pub(crate) fn encode(&self, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(text.as_bytes());
    }
}
