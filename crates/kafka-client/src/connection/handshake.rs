//! The first words on a fresh stream: ApiVersions, then authentication.
//!
//! Lives here: [`Handshake`], one request at a time, the trait [`Authenticate`], and the ApiVersions
//! conversation with its fall-back for older brokers.
//! Lives elsewhere: everything after (`super`).
//! Never here: a timeout; the caller bounds the whole handshake.

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, ResponseHeader};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::dial::Stream;
use crate::error::{ClientError, KafkaErrorCode};

use super::body::Body;
use super::frame::{Frame, FrameReader, WriteQueue};
use super::versions::{BrokerVersions, api_name};

const SOFTWARE_NAME: &str = "millstream";
const SOFTWARE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// ApiVersions: key, and the newest version that we speak.
const API_VERSIONS_MAX: i16 = 4;

/// Runs on every fresh connection, after ApiVersions and before any other request.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    async fn authenticate(&self, handshake: &mut Handshake<'_>) -> Result<(), ClientError>;
}

/// `security.protocol=PLAINTEXT`, or TLS without SASL.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAuthentication;

#[async_trait]
impl Authenticate for NoAuthentication {
    async fn authenticate(&self, _: &mut Handshake<'_>) -> Result<(), ClientError> {
        Ok(())
    }
}

/// A stream on which one request is answered before the next is sent.
pub struct Handshake<'a> {
    pub(super) stream: &'a mut Box<dyn Stream>,
    pub(super) reader: &'a mut FrameReader,
    pub(super) address: &'a str,
    pub(super) client_id: &'a str,
    pub(super) versions: BrokerVersions,
    pub(super) next_correlation_id: i32,
}

impl Handshake<'_> {
    /// `host:port`, for messages.
    pub fn address(&self) -> &str {
        self.address
    }

    /// Sends one request in the newest version that both sides know and waits for its response.
    pub async fn call<R: Request + 'static>(
        &mut self,
        request: R,
    ) -> Result<R::Response, ClientError> {
        let version = self.versions.choose(R::KEY)?;
        let body = self.exchange(&request, version).await?;
        decode(body, R::KEY, version).map_err(|error| error.with("broker", self.address))
    }

    pub(super) async fn negotiate(&mut self) -> Result<(), ClientError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str(SOFTWARE_NAME))
            .with_client_software_version(StrBytes::from_static_str(SOFTWARE_VERSION));
        let mut version = API_VERSIONS_MAX;
        // A broker that does not know the version says so in version 0, with the range it knows.
        let response = loop {
            // Version 0 has no fields; the message crate would refuse to leave out names that are set.
            let body = match version {
                3.. => self.exchange(&request, version).await?,
                _ => {
                    self.exchange(&ApiVersionsRequest::default(), version)
                        .await?
                }
            };
            let refused =
                body.get(4..6) == Some(&KafkaErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes());
            let response = self.api_versions(body, if refused { 0 } else { version })?;
            if !refused {
                break response;
            }
            let theirs = response
                .api_keys
                .iter()
                .find(|api| api.api_key == ApiVersionsRequest::KEY);
            let next = theirs.map_or(0, |api| api.max_version.min(API_VERSIONS_MAX));
            if next < 0 || next >= version {
                return Err(ClientError::from_code(KafkaErrorCode::UNSUPPORTED_VERSION)
                    .with("api", "ApiVersions")
                    .with("broker", self.address));
            }
            version = next;
        };
        if let Err(code) = KafkaErrorCode::check(response.error_code) {
            return Err(ClientError::from_code(code)
                .with("api", "ApiVersions")
                .with("broker", self.address));
        }
        self.versions = BrokerVersions::from_response(&response);
        Ok(())
    }

    /// Decodes by hand what the message crate would trust: it allocates for the announced count first.
    fn api_versions(&self, body: Bytes, version: i16) -> Result<ApiVersionsResponse, ClientError> {
        let garbage = || {
            ClientError::not_a_kafka_broker(
                self.address,
                "its answer to ApiVersions makes no sense",
            )
        };
        let announced = match version {
            3.. => compact_count(body.get(6..).unwrap_or_default()),
            _ => body
                .get(6..10)
                .and_then(|bytes| bytes.try_into().ok())
                .map(u32::from_be_bytes),
        };
        // An entry has at least 6 bytes.
        if announced.is_none_or(|count| count as usize > body.len() / 6) {
            return Err(garbage());
        }
        let response = decode::<ApiVersionsResponse>(body, ApiVersionsRequest::KEY, version)
            .map_err(|_| garbage())?;
        match response.api_keys.is_empty() && response.error_code == 0 {
            true => Err(garbage()),
            false => Ok(response),
        }
    }

    /// Sends a request and returns the response frame, from the correlation id on.
    async fn exchange<R: Request + 'static>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<Bytes, ClientError> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let mut queue = WriteQueue::default();
        Frame::encode(request, version, self.client_id)?.write_to(correlation_id, &mut queue);
        let name = api_name(R::KEY);
        let lost = |cause: std::io::Error| self::lost(self.address, name).caused_by(cause);
        while queue.has_remaining() {
            self.stream.write_buf(&mut queue).await.map_err(lost)?;
        }
        self.stream.flush().await.map_err(lost)?;
        loop {
            let frame = self.reader.next_frame();
            let frame = frame
                .map_err(|bad| ClientError::not_a_kafka_broker(self.address, &bad.to_string()))?;
            if let Some(frame) = frame {
                check_correlation_id(&frame, correlation_id, self.address)?;
                return Ok(frame);
            }
            let count = self
                .stream
                .read_buf(&mut self.reader.spare())
                .await
                .map_err(lost)?;
            if count == 0 {
                return Err(self::lost(self.address, name));
            }
            self.reader.filled(count);
        }
    }
}

/// A listener that expects TLS or SASL hangs up on the first request.
fn lost(address: &str, api: &str) -> ClientError {
    let when =
        format!("instead of answering {api}; is security.protocol the one of that listener?");
    ClientError::disconnected(address, when)
}

pub(super) fn check_correlation_id(
    frame: &[u8],
    expected: i32,
    address: &str,
) -> Result<(), ClientError> {
    let found = frame
        .first_chunk::<4>()
        .map(|bytes| i32::from_be_bytes(*bytes));
    match found == Some(expected) {
        true => Ok(()),
        false => Err(ClientError::not_a_kafka_broker(
            address,
            &format!(
                "response to request {}, expected {expected}",
                found.unwrap_or(-1)
            ),
        )),
    }
}

/// Decodes a response frame that begins with its correlation id.
pub(super) fn decode<T: Decodable + HeaderVersion>(
    frame: Bytes,
    api_key: i16,
    version: i16,
) -> Result<T, ClientError> {
    let mut body = Body::new(frame);
    ResponseHeader::decode(&mut body, T::header_version(version))
        .and_then(|_| T::decode(&mut body, version))
        .map_err(|cause| {
            ClientError::fatal(format!(
                "could not decode the answer to {} version {version}: {cause}",
                api_name(api_key)
            ))
        })
}

/// The count of a compact array, whose varint is one more.
fn compact_count(bytes: &[u8]) -> Option<u32> {
    let mut value = 0_u32;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return value.checked_sub(1);
        }
    }
    None
}
