//! Asking for a position while brokers are slow.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use tokio::runtime::Handle;

use super::{Log, topic};
use crate::client::Client;
use crate::consumer::{Consumer, TopicPartition};
use crate::error::KafkaErrorCode as Code;
use crate::fake_broker::{Call, FakeCluster, Reply};
use crate::settings::ConsumerSettings;

/// Seed 2 of the simulated sink: after the first attempt had failed, the time of the second, once it
/// was past, made the wait for its answer a loop that never waits.
#[tokio::test(start_paused = true)]
async fn a_second_attempt_is_waited_for_without_spinning() {
    let mut log = Log::new(&["a", "b"]);
    let mut attempts = 0;
    let cluster = FakeCluster::new(move |call: &Call| {
        if !call.is::<ListOffsetsRequest>() {
            return log.answer(call);
        }
        attempts += 1;
        if attempts > 1 {
            return Reply::Later(Duration::from_secs(5), Box::new(log.answer(call)));
        }
        let partition =
            ListOffsetsPartitionResponse::default().with_error_code(Code::NOT_LEADER_OR_FOLLOWER.0);
        let topic = ListOffsetsTopicResponse::default()
            .with_name(topic())
            .with_partitions(vec![partition]);
        call.answer::<ListOffsetsRequest>(&ListOffsetsResponse::default().with_topics(vec![topic]))
    });
    let settings = ConsumerSettings::parse([
        ("bootstrap.servers", "fake:9001"),
        ("auto.offset.reset", "latest"),
    ]);
    let settings = settings.expect("settings").settings;
    let client = Client::new(settings.connection.clone(), Arc::new(cluster));
    let mut consumer = Consumer::with_client(client, settings, Handle::current());
    let partition = TopicPartition::new("t", 0);
    consumer.assign([partition.clone()]).expect("assigned");
    // Under paused time a loop that never waits would never end.
    let position = consumer.position(&partition).await;
    assert_eq!(position.expect("found"), 2);
}
