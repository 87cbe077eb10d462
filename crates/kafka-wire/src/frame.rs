//! The frame of a request or response: a big-endian `i32` length, then that many bytes.
//!
//! Never here: the request header, whose version depends on the message.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of the length prefix.
pub const LENGTH_BYTES: usize = 4;

/// Largest request a broker takes by default (`socket.request.max.bytes`). 100 MiB.
pub const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;

/// Largest response a client should believe. A fetch response may hold one batch beyond
/// `fetch.max.bytes`, so this is far above it; a length beyond it means that the other side does
/// not speak Kafka's protocol (an HTTP or TLS port answers with text). 1 GiB.
pub const RESPONSE_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// A length prefix that is negative or above the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "frame length {length} is not within 0 and {limit_bytes}; is this a Kafka port, and not a TLS or HTTP one?"
)]
pub struct FrameLengthError {
    pub length: i32,
    pub limit_bytes: usize,
}

/// The frame's length, of its first four bytes.
pub fn length_of(
    prefix: [u8; LENGTH_BYTES],
    limit_bytes: usize,
) -> Result<usize, FrameLengthError> {
    let length = i32::from_be_bytes(prefix);
    match usize::try_from(length) {
        Ok(bytes) if bytes <= limit_bytes => Ok(bytes),
        _ => Err(FrameLengthError {
            length,
            limit_bytes,
        }),
    }
}

/// Takes one whole frame, without its prefix, off the front of what was read so far; `None` while
/// it is incomplete.
pub fn split_frame(
    read: &mut BytesMut,
    limit_bytes: usize,
) -> Result<Option<Bytes>, FrameLengthError> {
    let Some(prefix) = read.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = length_of(*prefix, limit_bytes)?;
    if read.len() - LENGTH_BYTES < length {
        return Ok(None);
    }
    read.advance(LENGTH_BYTES);
    Ok(Some(read.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_given_once_it_is_whole() {
        let mut read = BytesMut::from(&[0, 0, 0, 2, 7][..]);
        assert_eq!(split_frame(&mut read, 100), Ok(None));
        read.extend_from_slice(&[8, 0, 0, 0]);
        assert_eq!(
            split_frame(&mut read, 100),
            Ok(Some(Bytes::from_static(&[7, 8])))
        );
        assert_eq!(split_frame(&mut read, 100), Ok(None));
        read.extend_from_slice(&[0]);
        assert_eq!(split_frame(&mut read, 100), Ok(Some(Bytes::new())));
    }

    #[test]
    fn a_foreign_protocol_is_refused_by_its_length() {
        let http = i32::from_be_bytes(*b"HTTP");
        assert_eq!(
            length_of(*b"HTTP", REQUEST_BYTES_MAX),
            Err(FrameLengthError {
                length: http,
                limit_bytes: REQUEST_BYTES_MAX
            })
        );
        assert!(length_of([0xff; 4], REQUEST_BYTES_MAX).is_err());
        assert_eq!(length_of([0, 0, 1, 0], REQUEST_BYTES_MAX), Ok(256));
    }
}
