//! Metadata: which topics there are and who has them, which is always this node.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use uuid::Uuid;

use super::topics::name_error;
use super::{Call, each_once};
use crate::broker::topic_config::TopicOverrides;
use crate::broker::{NODE_ID, Topic};

pub(super) fn metadata(call: &Call<'_>, request: MetadataRequest) -> MetadataResponse {
    let topics = match request.topics {
        // Version 0 asks for all with an empty list, later ones with null.
        None => all(call),
        Some(wanted) if wanted.is_empty() && call.version == 0 => all(call),
        Some(wanted) => each_once(wanted, |topic| (topic.topic_id, topic.name.clone()))
            .iter()
            .map(|topic| one(call, topic, request.allow_auto_topic_creation))
            .collect(),
    };
    let (host, port) = call.advertised();
    let node = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE_ID))
        .with_host(host)
        .with_port(port)
        .with_rack(None);
    MetadataResponse::default()
        .with_brokers(vec![node])
        .with_cluster_id(Some(call.broker.cluster_id.clone()))
        .with_controller_id(BrokerId(NODE_ID))
        .with_topics(topics)
}

fn all(call: &Call<'_>) -> Vec<MetadataResponseTopic> {
    call.broker.topics().iter().map(described).collect()
}

fn one(call: &Call<'_>, wanted: &MetadataRequestTopic, may_create: bool) -> MetadataResponseTopic {
    let broker = call.broker;
    // The Java admin client sends an empty name beside the id.
    if !wanted.topic_id.is_nil() {
        return match broker.topic_by_id(&wanted.topic_id) {
            Some(topic) => described(&topic),
            None => {
                // Names may be null only from version 12 on.
                let name = (call.version < 12).then(TopicName::default);
                absent(name, wanted.topic_id, ResponseError::UnknownTopicId)
            }
        };
    }
    let name = wanted.name.clone().unwrap_or_default();
    if let Some(topic) = broker.topic(name.as_str()) {
        return described(&topic);
    }
    let creates = may_create && broker.config.auto_create_topics;
    let collides = creates && broker.colliding_topic(name.as_str()).is_some();
    let error = if name_error(name.as_str()).is_some() || collides {
        ResponseError::InvalidTopicException
    } else if creates {
        let partitions = broker.config.default_partitions;
        broker.create_topic(name.as_str(), partitions, TopicOverrides::default());
        match broker.topic(name.as_str()) {
            Some(topic) => return described(&topic),
            None => ResponseError::LeaderNotAvailable,
        }
    } else {
        ResponseError::UnknownTopicOrPartition
    };
    absent(Some(name), Uuid::nil(), error)
}

fn absent(name: Option<TopicName>, id: Uuid, error: ResponseError) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(name)
        .with_topic_id(id)
}

fn described(topic: &Arc<Topic>) -> MetadataResponseTopic {
    let partition = |index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BrokerId(NODE_ID))
            .with_leader_epoch(0)
            .with_replica_nodes(vec![BrokerId(NODE_ID)])
            .with_isr_nodes(vec![BrokerId(NODE_ID)])
    };
    MetadataResponseTopic::default()
        .with_name(Some(topic.name.clone()))
        .with_topic_id(topic.id)
        .with_partitions((0..topic.partition_count() as i32).map(partition).collect())
}
