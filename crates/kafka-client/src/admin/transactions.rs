//! Fencing transactional producers.

use kafka_protocol::messages::{InitProducerIdRequest, TransactionalId};

use super::{Admin, PerItem, outcome, text};
use crate::client::{CoordinatorKind, Target};
use crate::error::ClientError;

impl Admin {
    /// Ends open transactions of these transactional ids and shuts out the producers that use them.
    /// A producer that starts afterwards is not affected. Answers the producer id and its new epoch.
    ///
    /// Source: `Admin.fenceProducers`, KIP-618.
    pub async fn fence_producers(&self, transactional_ids: &[&str]) -> PerItem<String, (i64, i16)> {
        let ids = transactional_ids
            .iter()
            .map(|id| (*id).to_owned())
            .collect();
        self.per_item("fence producers", ids, |_, ids| {
            self.fence_producers_once(ids)
        })
        .await
    }

    async fn fence_producers_once(
        &self,
        ids: Vec<String>,
    ) -> Result<Vec<(String, Result<(i64, i16), ClientError>)>, ClientError> {
        let mut outcomes = Vec::new();
        for id in ids {
            let fenced = self.fence_producer(&id).await;
            if let Err(error) = &fenced {
                self.doubt_coordinator(CoordinatorKind::Transaction, &id, error);
            }
            outcomes.push((id, fenced));
        }
        Ok(outcomes)
    }

    async fn fence_producer(&self, id: &str) -> Result<(i64, i16), ClientError> {
        // As in Java, the transaction that nobody will begin times out as the request does.
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(id))))
            .with_transaction_timeout_ms(self.timeout_ms());
        let target = Target::Coordinator(CoordinatorKind::Transaction, id);
        let response = self.client.request(target, &request).await?;
        outcome(response.error_code, None).map_err(|error| {
            error
                .with("api", "InitProducerId")
                .with("transactional.id", id)
        })?;
        Ok((response.producer_id.0, response.producer_epoch))
    }
}
