//! The body of a response, read with its announced counts in doubt.
//!
//! Lives here: [`Body`], the bytes that the message crate decodes from.
//! Lives elsewhere: which bytes are a response (`super::frame`).
//! Never here: a message's schema.
//!
//! The message crate makes room for as many elements as an array announces before it reads the
//! first, and a process that asks for terabytes is aborted. In flexible versions every count and
//! length is an unsigned varint, and nothing else is, but for the numbers of tags; so one that is
//! larger than what is left of the frame is damage, whatever the message. Versions before that
//! announce counts as any other integer and are trusted as the broker is; brokers from Kafka 2.8 on
//! are asked in flexible versions.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::buf::ByteBuf;

/// Harmless as a count, and more than any tag.
const ALWAYS_FINE: usize = 16 * 1024;

/// What is left of a response.
pub(super) struct Body {
    bytes: Bytes,
    /// The varint that is being read: its bits so far, and how many there are.
    value: u64,
    bits: u32,
}

impl Body {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            value: 0,
            bits: 0,
        }
    }
}

impl Buf for Body {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.bytes.copy_to_bytes(count)
    }

    /// The message crate reads varints so, and booleans, which look like small ones.
    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.bytes.try_get_u8()?;
        self.value |= u64::from(byte & 0x7f) << self.bits;
        self.bits += 7;
        // The fifth byte ends a varint, whatever it says.
        if byte & 0x80 == 0 || self.bits == 35 {
            let (value, left) = (self.value as usize, self.bytes.remaining());
            (self.value, self.bits) = (0, 0);
            // A count or length is written as one more.
            if value > ALWAYS_FINE && value > left + 1 {
                return Err(TryGetError {
                    requested: value - 1,
                    available: left,
                });
            }
        }
        Ok(byte)
    }
}

impl ByteBuf for Body {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    /// A slice: record batches are not copied.
    fn get_bytes(&mut self, count: usize) -> Bytes {
        self.bytes.split_to(count)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::metadata_response::{
        MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
    };
    use kafka_protocol::messages::{BrokerId, FetchResponse, ProduceResponse, TopicName};
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

    use super::*;

    fn metadata() -> MetadataResponse {
        let partition = |index| MetadataResponsePartition::default().with_partition_index(index);
        let topic = |index| {
            MetadataResponseTopic::default()
                .with_name(Some(TopicName(StrBytes::from_string(format!(
                    "topic-{index}"
                )))))
                .with_partitions((0..200).map(partition).collect())
        };
        MetadataResponse::default()
            .with_controller_id(BrokerId(-1))
            .with_topics((0..300).map(topic).collect())
    }

    #[test]
    fn what_is_sound_is_read_as_before() {
        let message = metadata();
        for version in 0..=13 {
            let mut bytes = BytesMut::new();
            message.encode(&mut bytes, version).expect("encodes");
            let mut body = Body::new(bytes.freeze());
            let read = MetadataResponse::decode(&mut body, version).expect("decodes");
            assert_eq!(read.topics, message.topics, "version {version}");
            assert_eq!(body.remaining(), 0);
        }
    }

    /// Every byte of a message in turn begins a count of four thousand million.
    #[test]
    fn no_count_is_believed_beyond_the_frame() {
        let mut bytes = BytesMut::new();
        let small = metadata().with_topics(metadata().topics.into_iter().take(1).collect());
        small.encode(&mut bytes, 13).expect("encodes");
        let mut refused = 0;
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            for byte in damaged.iter_mut().skip(at).take(5) {
                *byte = 0xff;
            }
            let damaged = damaged.freeze();
            refused +=
                usize::from(MetadataResponse::decode(&mut Body::new(damaged.clone()), 13).is_err());
            // Whatever it is taken for, nobody asks for more than there is.
            _ = FetchResponse::decode(&mut Body::new(damaged.clone()), 17);
            _ = ProduceResponse::decode(&mut Body::new(damaged), 12);
        }
        assert!(refused > 0);
    }
}
