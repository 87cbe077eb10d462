//! Describing the cluster.

use std::sync::Arc;

use kafka_protocol::messages::DescribeClusterRequest;

use super::{Admin, outcome};
use crate::client::Target;
use crate::error::ClientError;
use crate::metadata::Broker;
use crate::settings::HostPort;

/// Who the cluster is and which brokers are alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    pub cluster_id: String,
    /// With KRaft any broker may be named here; it forwards to the controller.
    pub controller_id: Option<i32>,
    /// In order of their ids.
    pub brokers: Vec<Arc<Broker>>,
}

impl Admin {
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        self.whole("describe cluster", |_| self.describe_cluster_once())
            .await
    }

    async fn describe_cluster_once(&self) -> Result<ClusterDescription, ClientError> {
        let request = DescribeClusterRequest::default();
        let response = self.client.request(Target::Any, &request).await?;
        outcome(response.error_code, response.error_message.as_ref())
            .map_err(|error| error.with("api", "DescribeCluster"))?;
        let mut brokers: Vec<Arc<Broker>> = response
            .brokers
            .iter()
            .map(|broker| {
                Arc::new(Broker {
                    id: broker.broker_id.0,
                    address: HostPort::new(
                        broker.host.as_str(),
                        u16::try_from(broker.port).unwrap_or(0),
                    ),
                    rack: broker.rack.as_ref().map(ToString::to_string),
                })
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        Ok(ClusterDescription {
            cluster_id: response.cluster_id.to_string(),
            controller_id: Some(response.controller_id.0).filter(|id| *id >= 0),
            brokers,
        })
    }
}
