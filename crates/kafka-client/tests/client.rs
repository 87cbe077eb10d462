//! The client against a real broker. Needs `KAFKA_BOOTSTRAP=host:port`; says so and passes without.

use kafka_client::client::Refresh;
use kafka_client::settings::AdminSettings;
use kafka_client::{Client, CoordinatorKind, KafkaErrorCode, Target};
use kafka_protocol::messages::DescribeClusterRequest;

fn client() -> Option<Client> {
    let Ok(servers) = std::env::var("KAFKA_BOOTSTRAP") else {
        eprintln!("skipped: set KAFKA_BOOTSTRAP=host:port to run this test against a broker");
        return None;
    };
    let parsed = AdminSettings::parse([("bootstrap.servers", servers)]).expect("settings");
    Some(Client::connect(parsed.settings.connection))
}

#[tokio::test]
async fn metadata_requests_and_coordinators() {
    let Some(client) = client() else { return };
    let metadata = client
        .refresh_metadata(Refresh::All)
        .await
        .expect("metadata");
    assert!(metadata.controller_id.is_some() && metadata.brokers().count() >= 1);

    for target in [
        Target::Any,
        Target::Controller,
        Target::Coordinator(CoordinatorKind::Group, "g"),
    ] {
        let request = DescribeClusterRequest::default();
        let answer = client.retry(
            "describe cluster",
            client.settings().request_timeout,
            |_| client.request(target, &request),
        );
        let answer = answer.await.expect("an answer");
        assert_eq!(
            answer.cluster_id.as_str(),
            metadata.cluster_id.as_deref().expect("an id")
        );
    }

    let missing = "no-such-topic";
    let metadata = client
        .refresh_metadata(Refresh::Topics(&[missing]))
        .await
        .expect("metadata");
    assert_eq!(
        metadata.topic_error(missing),
        Some(KafkaErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    );
}
