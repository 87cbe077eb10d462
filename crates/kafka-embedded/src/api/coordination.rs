//! Groups, and who coordinates: every group and transactional id is coordinated here.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{
    ApiKey, BrokerId, DescribeGroupsRequest, DescribeTransactionsRequest, FindCoordinatorRequest,
    FindCoordinatorResponse, OffsetFetchRequest, TxnOffsetCommitRequest,
};

use super::{Call, Unanswerable, each_once, text};
use crate::broker::{Caller, NODE_ID};
use crate::group::Answer;
use crate::transaction;

/// Kinds of coordinators.
mod kind {
    pub(super) const GROUP: i8 = 0;
    pub(super) const TRANSACTION: i8 = 1;
}

pub(super) fn find_coordinator(
    call: &Call<'_>,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let (host, port) = call.advertised();
    let known = matches!(request.key_type, kind::GROUP | kind::TRANSACTION);
    let error = ResponseError::InvalidRequest.code();
    let message = format!("Unknown coordinator type {}", request.key_type);
    // From version 4 on, for many keys.
    if call.version >= 4 {
        let coordinators = request.coordinator_keys.into_iter().map(|key| {
            let coordinator = Coordinator::default()
                .with_key(key)
                .with_error_message(None);
            match known {
                true => coordinator
                    .with_node_id(BrokerId(NODE_ID))
                    .with_host(host.clone())
                    .with_port(port),
                false => coordinator
                    .with_node_id(BrokerId(-1))
                    .with_port(-1)
                    .with_error_code(error)
                    .with_error_message(text(message.clone())),
            }
        });
        return FindCoordinatorResponse::default()
            .with_error_message(None)
            .with_coordinators(coordinators.collect());
    }
    let response = FindCoordinatorResponse::default().with_error_message(None);
    match known {
        true => response
            .with_node_id(BrokerId(NODE_ID))
            .with_host(host)
            .with_port(port),
        false => response
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(error)
            .with_error_message(text(message)),
    }
}

/// What the group coordinator answers; the connection waits with it.
pub(super) async fn group(call: &Call<'_>, body: Bytes) -> Result<Bytes, Unanswerable> {
    let broker = call.broker;
    let caller = call.caller();
    let body = match call.api {
        // Parts of these stay as long as the group does: they shall not keep the whole buffer of
        // the connection.
        ApiKey::JoinGroup | ApiKey::SyncGroup => Bytes::copy_from_slice(&body),
        _ => body,
    };
    macro_rules! let_decide {
        ($method:ident) => {
            let_decide!($method, of call.decode(body)?)
        };
        ($method:ident, of $request:expr) => {{
            let request = $request;
            let run = broker.coordinate(caller, |groups, _, call, effects| {
                groups.$method(call, &request, effects);
            });
            run.await
        }};
        ($method:ident, with topics) => {{
            let request = call.decode(body)?;
            let run = broker.coordinate(caller, |groups, _, call, effects| {
                groups.$method(call, &request, broker.as_ref(), effects);
            });
            run.await
        }};
    }
    let answer = match call.api {
        ApiKey::JoinGroup => let_decide!(join_group),
        ApiKey::SyncGroup => let_decide!(sync_group),
        ApiKey::Heartbeat => let_decide!(heartbeat),
        ApiKey::LeaveGroup => let_decide!(leave_group),
        ApiKey::OffsetCommit => let_decide!(offset_commit, with topics),
        ApiKey::OffsetFetch => {
            let mut request: OffsetFetchRequest = call.decode(body)?;
            request.groups = each_once(request.groups, |group| group.group_id.clone());
            let_decide!(offset_fetch, of request)
        }
        ApiKey::OffsetDelete => let_decide!(offset_delete, with topics),
        ApiKey::DeleteGroups => let_decide!(delete_groups),
        ApiKey::DescribeGroups => {
            let mut request: DescribeGroupsRequest = call.decode(body)?;
            request.groups = each_once(request.groups, Clone::clone);
            let_decide!(describe_groups, of request)
        }
        ApiKey::ListGroups => let_decide!(list_groups),
        ApiKey::TxnOffsetCommit => {
            let request: TxnOffsetCommitRequest = call.decode(body)?;
            let run = broker.coordinate(caller, |groups, transactions, call, effects| {
                let permission = transactions.may_commit_offsets(
                    &request.transactional_id,
                    request.producer_id.0,
                    request.producer_epoch,
                    &request.group_id,
                );
                groups.txn_offset_commit(call, &request, permission, broker.as_ref(), effects);
            });
            run.await
        }
        other => return Err(Unanswerable::UnknownApi { key: other as i16 }),
    };
    match answer.ok_or(Unanswerable::Stopping)? {
        Answer::JoinGroup(response) => call.encode(&response),
        Answer::SyncGroup(response) => call.encode(&response),
        Answer::Heartbeat(response) => call.encode(&response),
        Answer::LeaveGroup(response) => call.encode(&response),
        Answer::OffsetCommit(response) => call.encode(&response),
        Answer::TxnOffsetCommit(response) => call.encode(&response),
        Answer::OffsetFetch(response) => call.encode(&response),
        Answer::OffsetDelete(response) => call.encode(&response),
        Answer::DeleteGroups(response) => call.encode(&response),
        Answer::DescribeGroups(response) => call.encode(&response),
        Answer::ListGroups(response) => call.encode(&response),
    }
}

/// What the transaction coordinator answers, at once.
pub(super) fn transaction(call: &Call<'_>, body: Bytes) -> Result<Bytes, Unanswerable> {
    let broker = call.broker;
    let caller = call.caller();
    macro_rules! let_decide {
        ($method:ident) => {{
            let request = call.decode(body)?;
            broker.decide_transaction(caller, |transactions, call, effects| {
                transactions.$method(call, &request, effects);
            })
        }};
        ($method:ident, with topics) => {{
            let request = call.decode(body)?;
            broker.decide_transaction(caller, |transactions, call, effects| {
                transactions.$method(call, &request, broker.as_ref(), effects);
            })
        }};
    }
    let answer = match call.api {
        ApiKey::InitProducerId => let_decide!(init_producer_id),
        ApiKey::AddPartitionsToTxn => let_decide!(add_partitions_to_txn, with topics),
        ApiKey::AddOffsetsToTxn => let_decide!(add_offsets_to_txn),
        ApiKey::EndTxn => let_decide!(end_txn),
        ApiKey::ListTransactions => let_decide!(list_transactions),
        ApiKey::DescribeTransactions => {
            let mut request: DescribeTransactionsRequest = call.decode(body)?;
            request.transactional_ids = each_once(request.transactional_ids, Clone::clone);
            broker.decide_transaction(caller, |transactions, call, effects| {
                transactions.describe_transactions(call, &request, effects);
            })
        }
        other => return Err(Unanswerable::UnknownApi { key: other as i16 }),
    };
    match answer.ok_or(Unanswerable::Unfinished)? {
        transaction::Answer::InitProducerId(response) => call.encode(&response),
        transaction::Answer::AddPartitionsToTxn(response) => call.encode(&response),
        transaction::Answer::AddOffsetsToTxn(response) => call.encode(&response),
        transaction::Answer::EndTxn(response) => call.encode(&response),
        transaction::Answer::ListTransactions(response) => call.encode(&response),
        transaction::Answer::DescribeTransactions(response) => call.encode(&response),
    }
}

impl Call<'_> {
    fn caller(&self) -> Caller<'_> {
        Caller {
            version: self.version,
            client_id: self.client_id.as_str(),
            client_host: &self.peer.host,
        }
    }
}
