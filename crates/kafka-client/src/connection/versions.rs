//! Which requests we can speak, in which versions, and what a broker offers.
//!
//! Lives here: the one table of APIs, and the choice of a version per connection.
//! Lives elsewhere: asking the broker (`super::handshake`).
//! Never here: a socket.
//!
//! The lower ends are what Apache Kafka 3.0 speaks, wherever an older version has another shape: one
//! shape per request keeps callers free of version branches, and the message crate refuses to
//! encode a field that a version lacks. The upper ends are chosen row by row; the reason is beside.

use std::collections::HashMap;

use kafka_protocol::messages::api_versions_response::ApiVersionsResponse;

use crate::error::{ClientError, KafkaErrorCode};

/// One request type that this client sends.
#[derive(Debug, Clone, Copy)]
pub struct Api {
    pub key: i16,
    pub name: &'static str,
    pub min: i16,
    pub max: i16,
}

const fn api(key: i16, name: &'static str, min: i16, max: i16) -> Api {
    Api {
        key,
        name,
        min,
        max,
    }
}

/// Sorted by key.
#[rustfmt::skip]
pub static APIS: &[Api] = &[
    // 12 asks the broker to add partitions to a transaction (transaction version 2), 13 needs topic ids.
    api(0, "Produce", 7, 11),
    // 13 needs topic ids.
    api(1, "Fetch", 11, 12),
    // 10 waits for remote storage, 11 asks for offsets that only tiered storage has.
    // 7 is the first that finds the largest timestamp.
    api(2, "ListOffsets", 7, 9),
    // 10 carries topic ids, 13 asks to bootstrap again.
    api(3, "Metadata", 9, 13),
    // 10 needs topic ids.
    api(8, "OffsetCommit", 7, 9),
    // 8 is the first with several groups, which is the shape we use; 10 needs topic ids.
    api(9, "OffsetFetch", 8, 9),
    // 4 is the first with several keys, which is the shape we use.
    api(10, "FindCoordinator", 4, 6),
    api(11, "JoinGroup", 5, 9),
    api(12, "Heartbeat", 3, 4),
    // 3 is the first with a list of members.
    api(13, "LeaveGroup", 3, 5),
    api(14, "SyncGroup", 3, 5),
    api(15, "DescribeGroups", 4, 6),
    // 4 filters by state, 5 by type.
    api(16, "ListGroups", 3, 5),
    api(17, "SaslHandshake", 1, 1),
    api(18, "ApiVersions", 0, 4),
    api(19, "CreateTopics", 5, 7),
    // 6 has another shape than before, because it can name topics by id.
    api(20, "DeleteTopics", 6, 6),
    api(21, "DeleteRecords", 0, 2),
    // 3 is the first that bumps an epoch; 6 is for two-phase commit.
    api(22, "InitProducerId", 3, 5),
    api(23, "OffsetForLeaderEpoch", 3, 4),
    // 4 has another shape and is spoken between brokers.
    api(24, "AddPartitionsToTxn", 0, 3),
    api(25, "AddOffsetsToTxn", 0, 4),
    // 5 is transaction version 2.
    api(26, "EndTxn", 0, 4),
    // 3 is the first that carries the member; 5 is transaction version 2.
    api(28, "TxnOffsetCommit", 3, 4),
    api(32, "DescribeConfigs", 1, 4),
    api(36, "SaslAuthenticate", 1, 2),
    api(37, "CreatePartitions", 0, 3),
    api(42, "DeleteGroups", 0, 2),
    api(44, "IncrementalAlterConfigs", 0, 1),
    api(47, "OffsetDelete", 0, 0),
    api(60, "DescribeCluster", 0, 2),
];

/// Kafka's name of an API, for messages.
pub fn api_name(key: i16) -> &'static str {
    find(key).map_or("unknown API", |api| api.name)
}

fn find(key: i16) -> Option<&'static Api> {
    APIS.binary_search_by_key(&key, |api| api.key)
        .ok()
        .map(|index| &APIS[index])
}

/// What a broker answered to ApiVersions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerVersions {
    apis: HashMap<i16, (i16, i16)>,
    finalized_features: HashMap<String, i16>,
}

impl BrokerVersions {
    pub fn from_response(response: &ApiVersionsResponse) -> Self {
        let apis = response.api_keys.iter();
        let features = response.finalized_features.iter();
        Self {
            apis: apis
                .map(|api| (api.api_key, (api.min_version, api.max_version)))
                .collect(),
            finalized_features: features
                .map(|feature| (feature.name.to_string(), feature.max_version_level))
                .collect(),
        }
    }

    /// The range that the broker offers for an API.
    pub fn offered(&self, key: i16) -> Option<(i16, i16)> {
        self.apis.get(&key).copied()
    }

    /// The level of a cluster feature, `transaction.version` for example. 0 when it is not enabled.
    pub fn finalized_feature(&self, name: &str) -> i16 {
        self.finalized_features.get(name).copied().unwrap_or(0)
    }

    /// The version to speak: the newest that both sides know.
    pub fn choose(&self, key: i16) -> Result<i16, ClientError> {
        let Some(ours) = find(key) else {
            return Err(ClientError::fatal(format!(
                "this client has no version for the API with key {key}"
            )));
        };
        let found = match self.offered(key) {
            Some((min, max)) if max >= ours.min && min <= ours.max => return Ok(max.min(ours.max)),
            Some((min, max)) => format!("it offers versions {min} to {max}"),
            None => "it does not offer it".to_owned(),
        };
        Err(ClientError::unsupported(format!(
            "the broker does not support {} in a version that this client speaks ({} to {}): {found}; \
             Apache Kafka 3.0 or newer is needed",
            ours.name, ours.min, ours.max
        ))
        .with_code(KafkaErrorCode::UNSUPPORTED_VERSION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::ApiKey;

    #[test]
    fn table_is_sorted_and_within_what_the_message_crate_knows() {
        assert!(APIS.windows(2).all(|pair| pair[0].key < pair[1].key));
        for api in APIS {
            let key = ApiKey::try_from(api.key).expect("known key");
            assert_eq!(api.name, format!("{key:?}"));
            let known = key.valid_versions();
            assert!(
                known.min <= api.min && api.max <= known.max && api.min <= api.max,
                "{}",
                api.name
            );
        }
    }

    #[test]
    fn version_is_the_newest_that_both_know() {
        let rows = [
            (Some((0, 13)), Ok(12)),
            (Some((4, 11)), Ok(11)),
            (Some((12, 17)), Ok(12)),
            (
                Some((13, 17)),
                Err(
                    "the broker does not support Fetch in a version that this client speaks (11 to 12): it offers versions 13 to 17; Apache Kafka 3.0 or newer is needed",
                ),
            ),
            (
                None,
                Err(
                    "the broker does not support Fetch in a version that this client speaks (11 to 12): it does not offer it; Apache Kafka 3.0 or newer is needed",
                ),
            ),
        ];
        for (offered, expected) in rows {
            let versions = BrokerVersions {
                apis: offered.into_iter().map(|range| (1, range)).collect(),
                ..BrokerVersions::default()
            };
            let actual = versions.choose(1).map_err(|error| error.to_string());
            assert_eq!(actual, expected.map_err(str::to_owned));
        }
    }
}
