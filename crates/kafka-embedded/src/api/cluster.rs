//! Who answers here: ApiVersions, DescribeCluster, and what there is not: ACLs.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, BrokerId, DescribeAclsRequest,
    DescribeAclsResponse, DescribeClusterRequest, DescribeClusterResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, text};
use crate::broker::NODE_ID;
use crate::request::schema::{APIS, Api};

/// Kafka's `EndpointType.BROKER`.
const BROKERS: i8 = 1;

fn advertised(api: &Api) -> ApiVersion {
    ApiVersion::default()
        .with_api_key(api.key as i16)
        .with_min_version(api.min_version)
        .with_max_version(api.max_version)
}

pub(super) fn api_versions(_: &Call<'_>, _: ApiVersionsRequest) -> ApiVersionsResponse {
    ApiVersionsResponse::default().with_api_keys(APIS.iter().map(advertised).collect())
}

/// To a version that is not known, in version 0: how clients find the right one.
pub(super) fn unsupported_version() -> ApiVersionsResponse {
    let itself = APIS.iter().filter(|api| api.key == ApiKey::ApiVersions);
    ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(itself.map(advertised).collect())
}

impl Call<'_> {
    /// Host and port that this client is told.
    pub(super) fn advertised(&self) -> (StrBytes, i32) {
        let (host, port) = match &self.broker.config.advertised {
            Some(advertised) => advertised,
            None => &self.peer.reached,
        };
        (StrBytes::from_string(host.clone()), i32::from(*port))
    }
}

pub(super) fn describe_cluster(
    call: &Call<'_>,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    if request.endpoint_type != BROKERS {
        return DescribeClusterResponse::default()
            .with_error_code(ResponseError::MismatchedEndpointType.code())
            .with_error_message(text("this node is a broker, not a controller"))
            .with_cluster_id(call.broker.cluster_id.clone())
            .with_controller_id(BrokerId(-1));
    }
    let (host, port) = call.advertised();
    let node = DescribeClusterBroker::default()
        .with_broker_id(BrokerId(NODE_ID))
        .with_host(host)
        .with_port(port)
        .with_rack(None);
    DescribeClusterResponse::default()
        .with_error_message(None)
        .with_cluster_id(call.broker.cluster_id.clone())
        .with_controller_id(BrokerId(NODE_ID))
        .with_brokers(vec![node])
}

/// As a Kafka without an authorizer.
pub(super) fn describe_acls(_: &Call<'_>, _: DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse::default()
        .with_error_code(ResponseError::SecurityDisabled.code())
        .with_error_message(text("No Authorizer is configured."))
}
