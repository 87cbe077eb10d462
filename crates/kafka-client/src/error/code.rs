//! Kafka's error codes: number, name, Java's message, and what a client may do about each.
//!
//! Lives here: one table, taken from `org.apache.kafka.common.protocol.Errors` of Kafka 4.3.1.
//! Lives elsewhere: what we tell a person (`super`), who retries (`crate::client`).
//! Never here: an opinion that differs from Java's. `Retriable` is `RetriableException`, `Refresh`
//! is `InvalidMetadataException` (also retriable, after a metadata refresh).

use std::fmt;

/// An error code of Kafka's protocol, with Kafka's own name as constant: `KafkaErrorCode::NOT_COORDINATOR`.
///
/// A code that this client does not know keeps its number and is treated as fatal.
/// Prints as its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KafkaErrorCode(pub i16);

/// What Java's exception class for a code promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Asking again does not help.
    Final,
    /// Asking again may help.
    Retriable,
    /// Asking again may help, once the metadata has been refreshed.
    Refresh,
}

struct Row {
    code: i16,
    name: &'static str,
    class: Class,
    message: &'static str,
}

impl KafkaErrorCode {
    /// `Err` with the code unless it is 0.
    pub fn check(code: i16) -> Result<(), Self> {
        match code {
            0 => Ok(()),
            code => Err(Self(code)),
        }
    }

    pub fn is_error(self) -> bool {
        self != Self::NONE
    }

    /// Kafka's name, `UNKNOWN_CODE` when newer than this table.
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN_CODE", |row| row.name)
    }

    /// Java's message for the code.
    pub fn message(self) -> &'static str {
        self.row().map_or(
            "The server answered with an error code that this client does not know.",
            |row| row.message,
        )
    }

    /// Asking again may help, as Java's `RetriableException` says.
    pub fn is_retriable(self) -> bool {
        self.row().is_some_and(|row| row.class != Class::Final)
    }

    /// Our metadata is out of date, as Java's `InvalidMetadataException` says.
    pub fn needs_metadata_refresh(self) -> bool {
        self.row().is_some_and(|row| row.class == Class::Refresh)
    }

    fn row(self) -> Option<&'static Row> {
        TABLE
            .binary_search_by_key(&self.0, |row| row.code)
            .ok()
            .map(|index| &TABLE[index])
    }
}

impl fmt::Display for KafkaErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => f.write_str(row.name),
            None => write!(f, "UNKNOWN_CODE({})", self.0),
        }
    }
}

impl fmt::Debug for KafkaErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! codes {
    ($($code:literal $name:ident $class:ident $message:literal;)*) => {
        impl KafkaErrorCode {
            $(pub const $name: Self = Self($code);)*
        }

        /// Sorted by code.
        static TABLE: &[Row] = &[
            $(Row { code: $code, name: stringify!($name), class: Class::$class, message: $message },)*
        ];
    };
}

#[rustfmt::skip]
codes! {
    -1 UNKNOWN_SERVER_ERROR Final "The server experienced an unexpected error when processing the request.";
    0 NONE Final "NONE";
    1 OFFSET_OUT_OF_RANGE Final "The requested offset is not within the range of offsets maintained by the server.";
    2 CORRUPT_MESSAGE Retriable "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is otherwise corrupt.";
    3 UNKNOWN_TOPIC_OR_PARTITION Refresh "This server does not host this topic-partition.";
    4 INVALID_FETCH_SIZE Final "The requested fetch size is invalid.";
    5 LEADER_NOT_AVAILABLE Refresh "There is no leader for this topic-partition as we are in the middle of a leadership election.";
    6 NOT_LEADER_OR_FOLLOWER Refresh "For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.";
    7 REQUEST_TIMED_OUT Retriable "The request timed out.";
    8 BROKER_NOT_AVAILABLE Final "The broker is not available.";
    9 REPLICA_NOT_AVAILABLE Refresh "The replica is not available for the requested topic-partition. Produce/Fetch requests and other requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not a replica of the topic-partition.";
    10 MESSAGE_TOO_LARGE Final "The request included a message larger than the max message size the server will accept.";
    11 STALE_CONTROLLER_EPOCH Final "The controller moved to another broker.";
    12 OFFSET_METADATA_TOO_LARGE Final "The metadata field of the offset request was too large.";
    13 NETWORK_EXCEPTION Refresh "The server disconnected before a response was received.";
    14 COORDINATOR_LOAD_IN_PROGRESS Retriable "The coordinator is loading and hence can't process requests.";
    15 COORDINATOR_NOT_AVAILABLE Retriable "The coordinator is not available.";
    16 NOT_COORDINATOR Retriable "This is not the correct coordinator.";
    17 INVALID_TOPIC_EXCEPTION Final "The request attempted to perform an operation on an invalid topic.";
    18 RECORD_LIST_TOO_LARGE Final "The request included message batch larger than the configured segment size on the server.";
    19 NOT_ENOUGH_REPLICAS Retriable "Messages are rejected since there are fewer in-sync replicas than required.";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Retriable "Messages are written to the log, but to fewer in-sync replicas than required.";
    21 INVALID_REQUIRED_ACKS Final "Produce request specified an invalid value for required acks.";
    22 ILLEGAL_GENERATION Final "Specified group generation id is not valid.";
    23 INCONSISTENT_GROUP_PROTOCOL Final "The group member's supported protocols are incompatible with those of existing members or first group member tried to join with empty protocol type or empty protocol list.";
    24 INVALID_GROUP_ID Final "The group id is invalid.";
    25 UNKNOWN_MEMBER_ID Final "The coordinator is not aware of this member.";
    26 INVALID_SESSION_TIMEOUT Final "The session timeout is not within the range allowed by the broker (as configured by group.min.session.timeout.ms and group.max.session.timeout.ms).";
    27 REBALANCE_IN_PROGRESS Final "The group is rebalancing, so a rejoin is needed.";
    28 INVALID_COMMIT_OFFSET_SIZE Final "The committing offset data size is not valid.";
    29 TOPIC_AUTHORIZATION_FAILED Final "Topic authorization failed.";
    30 GROUP_AUTHORIZATION_FAILED Final "Group authorization failed.";
    31 CLUSTER_AUTHORIZATION_FAILED Final "Cluster authorization failed.";
    32 INVALID_TIMESTAMP Final "The timestamp of the message is out of acceptable range.";
    33 UNSUPPORTED_SASL_MECHANISM Final "The broker does not support the requested SASL mechanism.";
    34 ILLEGAL_SASL_STATE Final "Request is not valid given the current SASL state.";
    35 UNSUPPORTED_VERSION Final "The version of API is not supported.";
    36 TOPIC_ALREADY_EXISTS Final "Topic with this name already exists.";
    37 INVALID_PARTITIONS Final "Number of partitions is below 1.";
    38 INVALID_REPLICATION_FACTOR Final "Replication factor is below 1 or larger than the number of available brokers.";
    39 INVALID_REPLICA_ASSIGNMENT Final "Replica assignment is invalid.";
    40 INVALID_CONFIG Final "Configuration is invalid.";
    41 NOT_CONTROLLER Retriable "This is not the correct controller for this cluster.";
    42 INVALID_REQUEST Final "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Final "The message format version on the broker does not support the request.";
    44 POLICY_VIOLATION Final "Request parameters do not satisfy the configured policy.";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER Final "The broker received an out of order sequence number.";
    46 DUPLICATE_SEQUENCE_NUMBER Final "The broker received a duplicate sequence number.";
    47 INVALID_PRODUCER_EPOCH Final "Producer attempted to produce with an old epoch.";
    48 INVALID_TXN_STATE Final "The producer attempted a transactional operation in an invalid state.";
    49 INVALID_PRODUCER_ID_MAPPING Final "The producer attempted to use a producer id which is not currently assigned to its transactional id.";
    50 INVALID_TRANSACTION_TIMEOUT Final "The transaction timeout is larger than the maximum value allowed by the broker (as configured by transaction.max.timeout.ms).";
    51 CONCURRENT_TRANSACTIONS Retriable "The producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing.";
    52 TRANSACTION_COORDINATOR_FENCED Final "Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current coordinator for a given producer.";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Final "Transactional Id authorization failed.";
    54 SECURITY_DISABLED Final "Security features are disabled.";
    55 OPERATION_NOT_ATTEMPTED Final "The broker did not attempt to execute this operation. This may happen for batched RPCs where some operations in the batch failed, causing the broker to respond without trying the rest.";
    56 KAFKA_STORAGE_ERROR Refresh "Disk error when trying to access log file on the disk.";
    57 LOG_DIR_NOT_FOUND Final "The user-specified log directory is not found in the broker config.";
    58 SASL_AUTHENTICATION_FAILED Final "SASL Authentication failed.";
    59 UNKNOWN_PRODUCER_ID Final "This exception is raised by the broker if it could not locate the producer metadata associated with the producerId in question. This could happen if, for instance, the producer's records were deleted because their retention time had elapsed. Once the last records of the producerId are removed, the producer's metadata is removed from the broker, and future appends by the producer will return this exception.";
    60 REASSIGNMENT_IN_PROGRESS Final "A partition reassignment is in progress.";
    61 DELEGATION_TOKEN_AUTH_DISABLED Final "Delegation Token feature is not enabled.";
    62 DELEGATION_TOKEN_NOT_FOUND Final "Delegation Token is not found on server.";
    63 DELEGATION_TOKEN_OWNER_MISMATCH Final "Specified Principal is not valid Owner/Renewer.";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Final "Delegation Token requests are not allowed on PLAINTEXT/1-way SSL channels and on delegation token authenticated channels.";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Final "Delegation Token authorization failed.";
    66 DELEGATION_TOKEN_EXPIRED Final "Delegation Token is expired.";
    67 INVALID_PRINCIPAL_TYPE Final "Supplied principalType is not supported.";
    68 NON_EMPTY_GROUP Final "The group is not empty.";
    69 GROUP_ID_NOT_FOUND Final "The group id does not exist.";
    70 FETCH_SESSION_ID_NOT_FOUND Retriable "The fetch session ID was not found.";
    71 INVALID_FETCH_SESSION_EPOCH Retriable "The fetch session epoch is invalid.";
    72 LISTENER_NOT_FOUND Refresh "There is no listener on the leader broker that matches the listener on which metadata request was processed.";
    73 TOPIC_DELETION_DISABLED Final "Topic deletion is disabled.";
    74 FENCED_LEADER_EPOCH Refresh "The leader epoch in the request is older than the epoch on the broker.";
    75 UNKNOWN_LEADER_EPOCH Retriable "The leader epoch in the request is newer than the epoch on the broker.";
    76 UNSUPPORTED_COMPRESSION_TYPE Final "The requesting client does not support the compression type of given partition.";
    77 STALE_BROKER_EPOCH Final "Broker epoch has changed.";
    78 OFFSET_NOT_AVAILABLE Retriable "The leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing.";
    79 MEMBER_ID_REQUIRED Final "The group member needs to have a valid member id before actually entering a consumer group.";
    80 PREFERRED_LEADER_NOT_AVAILABLE Refresh "The preferred leader was not available.";
    81 GROUP_MAX_SIZE_REACHED Final "The group has reached its maximum size.";
    82 FENCED_INSTANCE_ID Final "The broker rejected this static consumer since another consumer with the same group.instance.id has registered with a different member.id.";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE Refresh "Eligible topic partition leaders are not available.";
    84 ELECTION_NOT_NEEDED Refresh "Leader election not needed for topic partition.";
    85 NO_REASSIGNMENT_IN_PROGRESS Final "No partition reassignment is in progress.";
    86 GROUP_SUBSCRIBED_TO_TOPIC Final "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it.";
    87 INVALID_RECORD Final "This record has failed the validation on broker and hence will be rejected.";
    88 UNSTABLE_OFFSET_COMMIT Retriable "There are unstable offsets that need to be cleared.";
    89 THROTTLING_QUOTA_EXCEEDED Retriable "The throttling quota has been exceeded.";
    90 PRODUCER_FENCED Final "There is a newer producer with the same transactionalId which fences the current one.";
    91 RESOURCE_NOT_FOUND Final "A request illegally referred to a resource that does not exist.";
    92 DUPLICATE_RESOURCE Final "A request illegally referred to the same resource twice.";
    93 UNACCEPTABLE_CREDENTIAL Final "Requested credential would not meet criteria for acceptability.";
    94 INCONSISTENT_VOTER_SET Final "Indicates that the either the sender or recipient of a voter-only request is not one of the expected voters.";
    95 INVALID_UPDATE_VERSION Final "The given update version was invalid.";
    96 FEATURE_UPDATE_FAILED Final "Unable to update finalized features due to an unexpected server error.";
    97 PRINCIPAL_DESERIALIZATION_FAILURE Final "Request principal deserialization failed during forwarding. This indicates an internal error on the broker cluster security setup.";
    98 SNAPSHOT_NOT_FOUND Final "Requested snapshot was not found.";
    99 POSITION_OUT_OF_RANGE Final "Requested position is not greater than or equal to zero, and less than the size of the snapshot.";
    100 UNKNOWN_TOPIC_ID Refresh "This server does not host this topic ID.";
    101 DUPLICATE_BROKER_REGISTRATION Final "This broker ID is already in use.";
    102 BROKER_ID_NOT_REGISTERED Final "The given broker ID was not registered.";
    103 INCONSISTENT_TOPIC_ID Refresh "The log's topic ID did not match the topic ID in the request.";
    104 INCONSISTENT_CLUSTER_ID Final "The clusterId in the request does not match that found on the server.";
    105 TRANSACTIONAL_ID_NOT_FOUND Final "The transactionalId could not be found.";
    106 FETCH_SESSION_TOPIC_ID_ERROR Retriable "The fetch session encountered inconsistent topic ID usage.";
    107 INELIGIBLE_REPLICA Final "The new ISR contains at least one ineligible replica.";
    108 NEW_LEADER_ELECTED Final "The AlterPartition request successfully updated the partition state but the leader has changed.";
    109 OFFSET_MOVED_TO_TIERED_STORAGE Final "The requested offset is moved to tiered storage.";
    110 FENCED_MEMBER_EPOCH Final "The member epoch is fenced by the group coordinator. The member must abandon all its partitions and rejoin.";
    111 UNRELEASED_INSTANCE_ID Final "The instance ID is still used by another member in the consumer group. That member must leave first.";
    112 UNSUPPORTED_ASSIGNOR Final "The assignor or its version range is not supported by the consumer group.";
    113 STALE_MEMBER_EPOCH Final "The member epoch is stale. The member must retry after receiving its updated member epoch via the ConsumerGroupHeartbeat API.";
    114 MISMATCHED_ENDPOINT_TYPE Final "The request was sent to an endpoint of the wrong type.";
    115 UNSUPPORTED_ENDPOINT_TYPE Final "This endpoint type is not supported yet.";
    116 UNKNOWN_CONTROLLER_ID Final "This controller ID is not known.";
    117 UNKNOWN_SUBSCRIPTION_ID Final "Client sent a push telemetry request with an invalid or outdated subscription ID.";
    118 TELEMETRY_TOO_LARGE Final "Client sent a push telemetry request larger than the maximum size the broker will accept.";
    119 INVALID_REGISTRATION Final "The controller has considered the broker registration to be invalid.";
    120 TRANSACTION_ABORTABLE Final "The server encountered an error with the transaction. The client can abort the transaction to continue using this transactional ID.";
    121 INVALID_RECORD_STATE Final "The record state is invalid. The acknowledgement of delivery could not be completed.";
    122 SHARE_SESSION_NOT_FOUND Retriable "The share session was not found.";
    123 INVALID_SHARE_SESSION_EPOCH Retriable "The share session epoch is invalid.";
    124 FENCED_STATE_EPOCH Final "The share coordinator rejected the request because the share-group state epoch did not match.";
    125 INVALID_VOTER_KEY Final "The voter key doesn't match the receiving replica's key.";
    126 DUPLICATE_VOTER Final "The voter is already part of the set of voters.";
    127 VOTER_NOT_FOUND Final "The voter is not part of the set of voters.";
    128 INVALID_REGULAR_EXPRESSION Final "The regular expression is not valid.";
    129 REBOOTSTRAP_REQUIRED Final "Client metadata is stale. The client should rebootstrap to obtain new metadata.";
    130 STREAMS_INVALID_TOPOLOGY Final "The supplied topology is invalid.";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Final "The supplied topology epoch is invalid.";
    132 STREAMS_TOPOLOGY_FENCED Final "The supplied topology epoch is outdated.";
    133 SHARE_SESSION_LIMIT_REACHED Retriable "The limit of share sessions has been reached.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_so_that_it_can_be_searched() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn classes_are_javas() {
        let rows = [
            (KafkaErrorCode::NONE, false, false),
            (KafkaErrorCode::NOT_LEADER_OR_FOLLOWER, true, true),
            (KafkaErrorCode::COORDINATOR_LOAD_IN_PROGRESS, true, false),
            (KafkaErrorCode::TOPIC_ALREADY_EXISTS, false, false),
            (KafkaErrorCode(32000), false, false),
        ];
        for (code, retriable, refresh) in rows {
            assert_eq!(
                (code.is_retriable(), code.needs_metadata_refresh()),
                (retriable, refresh),
                "{code}"
            );
        }
    }

    #[test]
    fn a_code_newer_than_the_table_keeps_its_number() {
        assert_eq!(KafkaErrorCode(32000).to_string(), "UNKNOWN_CODE(32000)");
        assert_eq!(
            KafkaErrorCode::NOT_COORDINATOR.to_string(),
            "NOT_COORDINATOR"
        );
    }
}
