//! Requests and their answers: the protocol on one side, the broker on the other.
//!
//! Lives here: [`answer`], from a frame to a frame; one file for each family of requests.
//! Lives elsewhere: whether a frame may be decoded (`crate::request`), state (`crate::broker`).
//! Never here: a socket.
//!
//! The message crate refuses to encode a field that a version lacks unless it has its default.
//! Each answer here is encoded in every advertised version by a test.

mod cluster;
mod configs;
mod coordination;
mod fetch;
mod list_offsets;
mod metadata;
mod partitions;
mod produce;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use tokio::sync::Notify;

use crate::broker::Broker;
use crate::request::guard::{self, Untrue};
use crate::request::schema::{Api, Field};

/// The other side, as far as answers depend on it.
#[derive(Debug)]
pub(crate) struct Peer {
    /// As Kafka prints it in group descriptions: `/127.0.0.1`.
    pub(crate) host: String,
    /// Where it reached us.
    pub(crate) reached: (String, u16),
    /// Wakes its waiting request.
    pub(crate) wake: Arc<Notify>,
}

/// Why a request gets no answer, and its connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswerable {
    #[error("a request ends inside its header")]
    Header,
    #[error("API key {key} is not answered here")]
    UnknownApi { key: i16 },
    #[error("{api:?} version {version} is not answered here")]
    UnknownVersion { api: ApiKey, version: i16 },
    #[error("a request {api:?} version {version} is refused: {cause}")]
    Untrue {
        api: ApiKey,
        version: i16,
        cause: Untrue,
    },
    #[error("a request {api:?} version {version} cannot be read: {cause}")]
    Undecodable {
        api: ApiKey,
        version: i16,
        cause: String,
    },
    #[error("the answer to {api:?} version {version} cannot be written: {cause}; this is a bug")]
    Unencodable {
        api: ApiKey,
        version: i16,
        cause: String,
    },
    #[error("a transaction could not be ended yet, because its markers could not be written")]
    Unfinished,
    #[error("the log is stopping")]
    Stopping,
    #[error("a produce request without an answer (acks=0) failed")]
    SilentFailure,
}

/// A request's circumstances.
pub(crate) struct Call<'a> {
    pub(crate) broker: &'a Arc<Broker>,
    pub(crate) peer: &'a Peer,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) client_id: StrBytes,
    correlation_id: i32,
}

/// The header of a request, and what is behind it.
struct Head {
    key: i16,
    version: i16,
    correlation_id: i32,
    client_id: StrBytes,
    body: Bytes,
}

fn head_of(mut frame: Bytes) -> Result<Head, Unanswerable> {
    let short = |_| Unanswerable::Header;
    let key = frame.try_get_i16().map_err(short)?;
    let version = frame.try_get_i16().map_err(short)?;
    let correlation_id = frame.try_get_i32().map_err(short)?;
    let client_id = match frame.try_get_i16() {
        // A request so old that it has no client id, or none that can be read.
        Err(_) | Ok(-1) => StrBytes::new(),
        Ok(length) => {
            let length = usize::try_from(length).map_err(|_| Unanswerable::Header)?;
            if frame.len() < length {
                return Err(Unanswerable::Header);
            }
            StrBytes::from_utf8(frame.split_to(length)).map_err(|_| Unanswerable::Header)?
        }
    };
    Ok(Head {
        key,
        version,
        correlation_id,
        client_id,
        body: frame,
    })
}

/// What goes back to the client; `None`: nothing does.
pub(crate) async fn answer(
    broker: &Arc<Broker>,
    peer: &Peer,
    frame: Bytes,
) -> Result<Option<Bytes>, Unanswerable> {
    let head = head_of(frame)?;
    let (api, layout) = Api::of(head.key).ok_or(Unanswerable::UnknownApi { key: head.key })?;
    let mut call = Call {
        broker,
        peer,
        api: api.key,
        version: head.version,
        client_id: head.client_id,
        correlation_id: head.correlation_id,
    };
    if !api.takes(head.version) {
        if api.key == ApiKey::ApiVersions {
            call.version = 0;
            return call.encode(&cluster::unsupported_version()).map(Some);
        }
        return Err(Unanswerable::UnknownVersion {
            api: api.key,
            version: head.version,
        });
    }
    let body = guarded(&call, api, layout, head.body)?;
    dispatch(&call, body).await
}

/// The body, when its counts are true.
fn guarded(
    call: &Call<'_>,
    api: &Api,
    layout: &[Field],
    mut body: Bytes,
) -> Result<Bytes, Unanswerable> {
    let untrue = |cause| Unanswerable::Untrue {
        api: call.api,
        version: call.version,
        cause,
    };
    // From the first flexible version on, the header has tags too.
    if call.version >= api.flexible_from {
        let behind = guard::skip_tags(&body).map_err(untrue)?.len();
        body.advance(body.len() - behind);
    }
    guard::check(api, layout, call.version, &body).map_err(untrue)?;
    Ok(body)
}

async fn dispatch(call: &Call<'_>, body: Bytes) -> Result<Option<Bytes>, Unanswerable> {
    let answer = match call.api {
        ApiKey::Produce => return produce::produce(call, call.decode(body)?).await,
        ApiKey::Fetch => return fetch::fetch(call, call.decode(body)?).await.map(Some),
        ApiKey::ListOffsets => call.reply(body, list_offsets::list_offsets),
        ApiKey::OffsetCommit
        | ApiKey::OffsetFetch
        | ApiKey::JoinGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::DeleteGroups
        | ApiKey::OffsetDelete
        | ApiKey::TxnOffsetCommit => coordination::group(call, body).await,
        ApiKey::InitProducerId
        | ApiKey::AddPartitionsToTxn
        | ApiKey::AddOffsetsToTxn
        | ApiKey::EndTxn
        | ApiKey::ListTransactions
        | ApiKey::DescribeTransactions => coordination::transaction(call, body),
        ApiKey::FindCoordinator => call.reply(body, coordination::find_coordinator),
        ApiKey::Metadata => call.reply(body, metadata::metadata),
        ApiKey::ApiVersions => call.reply(body, cluster::api_versions),
        ApiKey::CreateTopics => call.reply(body, topics::create_topics),
        ApiKey::DeleteTopics => call.reply(body, topics::delete_topics),
        ApiKey::CreatePartitions => call.reply(body, partitions::create_partitions),
        ApiKey::DeleteRecords => call.reply(body, partitions::delete_records),
        ApiKey::DescribeProducers => call.reply(body, partitions::describe_producers),
        ApiKey::DescribeLogDirs => call.reply(body, partitions::describe_log_dirs),
        ApiKey::DescribeConfigs => call.reply(body, configs::describe_configs),
        ApiKey::IncrementalAlterConfigs => call.reply(body, configs::alter_configs),
        ApiKey::ListConfigResources => call.reply(body, configs::list_config_resources),
        ApiKey::DescribeCluster => call.reply(body, cluster::describe_cluster),
        ApiKey::DescribeAcls => call.reply(body, cluster::describe_acls),
        other => return Err(Unanswerable::UnknownApi { key: other as i16 }),
    };
    answer.map(Some)
}

impl Call<'_> {
    fn decode<R: Decodable>(&self, mut body: Bytes) -> Result<R, Unanswerable> {
        R::decode(&mut body, self.version).map_err(|cause| Unanswerable::Undecodable {
            api: self.api,
            version: self.version,
            cause: cause.to_string(),
        })
    }

    fn reply<R: Request>(
        &self,
        body: Bytes,
        handle: impl FnOnce(&Call<'_>, R) -> R::Response,
    ) -> Result<Bytes, Unanswerable> {
        let request = self.decode(body)?;
        self.encode(&handle(self, request))
    }

    fn encode<R: Encodable + HeaderVersion>(&self, response: &R) -> Result<Bytes, Unanswerable> {
        let mut out = BytesMut::with_capacity(256);
        out.put_i32(0);
        out.put_i32(self.correlation_id);
        if R::header_version(self.version) >= 1 {
            out.put_u8(0);
        }
        let unencodable = |cause: String| Unanswerable::Unencodable {
            api: self.api,
            version: self.version,
            cause,
        };
        response
            .encode(&mut out, self.version)
            .map_err(|cause| unencodable(cause.to_string()))?;
        let length = i32::try_from(out.len() - 4)
            .map_err(|_| unencodable("it is longer than a frame can be".to_owned()))?;
        out[..4].copy_from_slice(&length.to_be_bytes());
        Ok(out.freeze())
    }
}

/// A message for people, as answers carry it.
fn text(message: impl Into<String>) -> Option<StrBytes> {
    Some(StrBytes::from_string(message.into()))
}

/// An error's number with its words.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused {
    code: i16,
    message: String,
}

fn refused(error: ResponseError, message: impl Into<String>) -> Refused {
    Refused {
        code: error.code(),
        message: message.into(),
    }
}

/// Each once, in their order: what a client asks for twice is answered once where the answer may be
/// long, so that its length is bounded by what there is.
fn each_once<T, K: Eq + Hash>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = HashSet::new();
    let mut items = items;
    items.retain(|item| seen.insert(key(item)));
    items
}
