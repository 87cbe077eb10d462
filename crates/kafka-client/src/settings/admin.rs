//! Properties of Java's admin client.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{ClientKind, ConnectionSettings, Parsed, Properties, SettingsErrors};

/// What an admin client does, from Java's `AdminClientConfig`.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    pub connection: ConnectionSettings,
    /// Bounds each operation, with all its retries.
    pub default_api_timeout: Duration,
    /// Most retries of an operation within that time.
    pub retries: u32,
}

static NEXT_CLIENT: AtomicU32 = AtomicU32::new(1);

impl AdminSettings {
    /// Reads and checks properties as Java's `AdminClientConfig` and `KafkaAdminClient` do. Reports
    /// everything that is wrong. A `client.id` is made up when none is given.
    pub fn parse<K, V>(
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Parsed<Self>, SettingsErrors>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut properties = Properties::read(ClientKind::Admin, properties);
        let p = &mut properties;
        if p.is_given("bootstrap.controllers") {
            p.error(
                "bootstrap.controllers",
                match p.is_given("bootstrap.servers") {
                    true => "You cannot set both bootstrap.servers and bootstrap.controllers",
                    false => "bootstrap.controllers is not supported by this client; set bootstrap.servers",
                },
            );
        } else if !p.is_given("bootstrap.servers") {
            p.error(
                "bootstrap.servers",
                "You must set either bootstrap.servers or bootstrap.controllers",
            );
        }
        let connection = ConnectionSettings::read(p, || {
            format!(
                "adminclient-{}",
                NEXT_CLIENT.fetch_add(1, Ordering::Relaxed)
            )
        });
        let settings = Self {
            default_api_timeout: default_api_timeout(p, connection.request_timeout),
            retries: u32::try_from(p.int("retries")).unwrap_or(0),
            connection,
        };
        properties.finish(settings)
    }
}

/// `KafkaAdminClient.configureDefaultApiTimeoutMs`: a value that was not asked for grows as needed.
fn default_api_timeout(p: &mut Properties, request_timeout: Duration) -> Duration {
    const KEY: &str = "default.api.timeout.ms";
    let given = p.duration(KEY);
    if given < request_timeout && p.is_given(KEY) {
        p.error(
            KEY,
            format!(
                "The specified value of {KEY} must be no smaller than the value of request.timeout.ms."
            ),
        );
    }
    given.max(request_timeout)
}
