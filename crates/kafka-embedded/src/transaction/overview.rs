//! What admin clients see of transactions: ListTransactions and DescribeTransactions.
//!
//! Lives here: filters, what one line says. Never here: a change.

use std::time::Duration;

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::list_transactions_response::TransactionState as ListedTransaction;
use kafka_protocol::messages::{ListTransactionsRequest, ProducerId, TransactionalId};
use kafka_protocol::protocol::StrBytes;

use super::state::{STATE_NAMES, State, Transaction};

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// Names in the filter that are no state. Case counts, as in Kafka.
pub(super) fn unknown_states(request: &ListTransactionsRequest) -> Vec<StrBytes> {
    let unknown = |name: &&StrBytes| !STATE_NAMES.contains(&name.as_str());
    request
        .state_filters
        .iter()
        .filter(unknown)
        .cloned()
        .collect()
}

/// One line of ListTransactions, if the filters let it pass. `wall` is the time since 1970.
pub(super) fn listed(
    id: &str,
    transaction: &Transaction,
    request: &ListTransactionsRequest,
    wall: Duration,
) -> Option<ListedTransaction> {
    let state = transaction.state.name();
    let producer = ProducerId(transaction.producer_id);
    let states = &request.state_filters;
    let producers = &request.producer_id_filters;
    let state_passes = states.is_empty() || states.iter().any(|name| name.as_str() == state);
    let producer_passes = producers.is_empty() || producers.contains(&producer);
    // Negative: no filter. An id that never began a transaction passes, as in Kafka.
    let age_passes = match (u64::try_from(request.duration_filter), transaction.began) {
        (Ok(limit_ms), Some(began)) => wall.saturating_sub(began) > Duration::from_millis(limit_ms),
        _ => true,
    };
    (state_passes && producer_passes && age_passes).then(|| {
        ListedTransaction::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(producer)
            .with_transaction_state(text(state))
    })
}

pub(super) fn unknown(id: &TransactionalId) -> TransactionState {
    let error = if id.is_empty() {
        Code::InvalidRequest
    } else {
        Code::TransactionalIdNotFound
    };
    TransactionState::default()
        .with_error_code(error.code())
        .with_transactional_id(id.clone())
}

pub(super) fn described(id: &TransactionalId, transaction: &Transaction) -> TransactionState {
    let began_ms = transaction.began.map_or(-1, |began| ms(began.as_millis()));
    let partitions = &transaction.partitions;
    let shown = matches!(transaction.state, State::Ongoing | State::Prepared(_));
    let topics = partitions
        .iter()
        .filter(|_| shown)
        .map(|(topic, partitions)| {
            TopicData::default()
                .with_topic(text(topic).into())
                .with_partitions(partitions.iter().copied().collect())
        });
    TransactionState::default()
        .with_transactional_id(id.clone())
        .with_transaction_state(text(transaction.state.name()))
        .with_transaction_timeout_ms(
            i32::try_from(transaction.timeout.as_millis()).unwrap_or(i32::MAX),
        )
        .with_transaction_start_time_ms(began_ms)
        .with_producer_id(transaction.producer_id.into())
        .with_producer_epoch(transaction.epoch)
        .with_topics(topics.collect())
}

fn ms(millis: u128) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}
