//! What goes wrong between a client and Kafka: one answer for the machine, one sentence for a person.
//!
//! Lives here: [`ClientError`], its kinds, and the sentences for the failures that every client
//! shares (cannot connect, not a Kafka broker, timed out, closed, unsupported version).
//! Lives elsewhere: Kafka's error codes (`code`), bad client properties (`crate::settings`).
//! Never here: retries.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

mod code;

pub use code::KafkaErrorCode;

/// What the caller may do about an error. Closed on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The same request may succeed later, or on another broker.
    Retriable,
    /// The same request fails again; the cause is in the request or in the state of the cluster.
    Fatal,
    /// A client property is wrong; a person has to change it.
    Config,
    /// The broker refused the credentials, or they lack a permission.
    Authorization,
    /// A newer instance of this producer or group member exists; this one must stop.
    Fenced,
    /// The broker does not offer what was asked for.
    Unsupported,
}

/// An error of the Kafka client. Cheap to clone, because one broken connection fails many requests.
///
/// Prints as one sentence: what failed, on what, and why, `describe topics timed out after 60000 ms
/// (broker=127.0.0.1:9092 (id 1)): …`. Lower case, no final stop, so that messages nest.
#[derive(Clone)]
pub struct ClientError(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    code: Option<KafkaErrorCode>,
    message: String,
    context: Vec<(&'static str, String)>,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl ClientError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            code: None,
            message: message.into(),
            context: Vec::new(),
            cause: None,
        }))
    }

    pub fn retriable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Retriable, message)
    }

    pub fn fatal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Fatal, message)
    }

    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// The broker answered with an error code. Its kind follows from the code as in Java.
    pub fn from_code(code: KafkaErrorCode) -> Self {
        Self::from_code_and_message(code, None)
    }

    /// As [`Self::from_code`]; the broker's own message, when it sent one, replaces Java's general one.
    pub fn from_code_and_message(code: KafkaErrorCode, message: Option<&str>) -> Self {
        let message = message
            .filter(|message| !message.is_empty())
            .unwrap_or(code.message());
        let message = message.trim_end_matches('.');
        let mut error = Self::new(kind_of(code), format!("{code}: {message}"));
        error.edit().code = Some(code);
        error
    }

    /// Adds a fact that the reader needs. Facts print in the order in which they were added.
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        let value = value.to_string();
        self.edit().context.push((name, value));
        self
    }

    pub fn with_topic_partition(self, topic: &str, partition: i32) -> Self {
        self.with("topic", topic).with("partition", partition)
    }

    pub fn with_code(mut self, code: KafkaErrorCode) -> Self {
        self.edit().code = Some(code);
        self
    }

    pub fn caused_by(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.edit().cause = Some(Arc::new(cause));
        self
    }

    /// The same, for a caller who knows that asking again does not help.
    pub(crate) fn into_fatal(mut self) -> Self {
        self.edit().kind = ErrorKind::Fatal;
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Kafka's code. Set for answers of a broker, and, as Java does, `REQUEST_TIMED_OUT` for our own
    /// timeouts, `NETWORK_EXCEPTION` for lost connections, `UNSUPPORTED_VERSION` for missing APIs.
    pub fn code(&self) -> Option<KafkaErrorCode> {
        self.0.code
    }

    pub fn is(&self, code: KafkaErrorCode) -> bool {
        self.0.code == Some(code)
    }

    pub fn is_retriable(&self) -> bool {
        self.0.kind == ErrorKind::Retriable
    }

    pub fn is_timeout(&self) -> bool {
        self.is(KafkaErrorCode::REQUEST_TIMED_OUT)
    }

    /// The connection was lost, or could not be made.
    pub fn is_disconnect(&self) -> bool {
        self.is(KafkaErrorCode::NETWORK_EXCEPTION)
    }

    pub fn needs_metadata_refresh(&self) -> bool {
        self.0
            .code
            .is_some_and(KafkaErrorCode::needs_metadata_refresh)
    }

    /// The sentence without context and cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The value of a fact that was added with [`Self::with`].
    pub fn context(&self, name: &str) -> Option<&str> {
        let found = self.0.context.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }
}

/// The sentences of failures that every client shares.
impl ClientError {
    pub(crate) fn could_not_connect(address: &str, cause: io::Error) -> Self {
        Self::retriable(format!("could not connect to {address}"))
            .with_code(KafkaErrorCode::NETWORK_EXCEPTION)
            .caused_by(cause)
    }

    pub(crate) fn no_bootstrap_server(servers: &str, cause: ClientError) -> Self {
        let reason = cause.root().to_string();
        let hint = match cause.io_kind() {
            Some(io::ErrorKind::NotFound) => "; is the host name right?",
            Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut) => {
                "; is the broker running and the port right?"
            }
            _ => "",
        };
        let mut error = Self::new(
            cause.kind(),
            format!("could not connect to any of bootstrap.servers={servers} ({reason}){hint}"),
        );
        error.edit().code = cause.code();
        error
    }

    /// It accepts connections and stays silent.
    pub(crate) fn no_answer(address: &str, after: Duration) -> Self {
        let after = after.as_millis();
        Self::retriable(format!(
            "{address} did not answer within {after} ms; is it a Kafka broker?"
        ))
        .with_code(KafkaErrorCode::REQUEST_TIMED_OUT)
    }

    pub(crate) fn not_a_kafka_broker(address: &str, found: &str) -> Self {
        Self::fatal(format!(
            "{address} does not answer like a Kafka broker ({found})"
        ))
    }

    pub(crate) fn disconnected(address: &str, while_doing: impl fmt::Display) -> Self {
        Self::retriable(format!("{address} closed the connection {while_doing}"))
            .with_code(KafkaErrorCode::NETWORK_EXCEPTION)
    }

    pub(crate) fn timed_out(what: impl fmt::Display, after: Duration) -> Self {
        Self::retriable(format!("{what} timed out after {} ms", after.as_millis()))
            .with_code(KafkaErrorCode::REQUEST_TIMED_OUT)
    }

    pub(crate) fn client_closed() -> Self {
        Self::fatal("the Kafka client is closed")
    }

    fn io_kind(&self) -> Option<io::ErrorKind> {
        let cause = self.0.cause.as_ref()?;
        Some(cause.downcast_ref::<io::Error>()?.kind())
    }

    /// The innermost message, for sentences that name the rest themselves.
    fn root(&self) -> &dyn fmt::Display {
        match &self.0.cause {
            Some(cause) => match cause.downcast_ref::<ClientError>() {
                Some(inner) => inner.root(),
                None => cause,
            },
            None => &self.0.message,
        }
    }
}

fn kind_of(code: KafkaErrorCode) -> ErrorKind {
    use KafkaErrorCode as C;
    match code {
        C::TOPIC_AUTHORIZATION_FAILED
        | C::GROUP_AUTHORIZATION_FAILED
        | C::CLUSTER_AUTHORIZATION_FAILED
        | C::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | C::DELEGATION_TOKEN_AUTHORIZATION_FAILED
        | C::SASL_AUTHENTICATION_FAILED => ErrorKind::Authorization,
        C::PRODUCER_FENCED | C::INVALID_PRODUCER_EPOCH | C::FENCED_INSTANCE_ID => ErrorKind::Fenced,
        C::UNSUPPORTED_VERSION
        | C::UNSUPPORTED_SASL_MECHANISM
        | C::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | C::UNSUPPORTED_COMPRESSION_TYPE => ErrorKind::Unsupported,
        code if code.is_retriable() => ErrorKind::Retriable,
        _ => ErrorKind::Fatal,
    }
}

impl From<KafkaErrorCode> for ClientError {
    fn from(code: KafkaErrorCode) -> Self {
        Self::from_code(code)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (index, (name, value)) in self.0.context.iter().enumerate() {
            write!(f, "{}{name}={value}", if index == 0 { " (" } else { " " })?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        if let Some(cause) = &self.0.cause {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

/// `source` is always `None`: the sentence already contains its causes.
impl std::error::Error for ClientError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_with_context_and_cause() {
        let error = ClientError::from_code(KafkaErrorCode::NOT_LEADER_OR_FOLLOWER)
            .with("api", "Fetch")
            .with_topic_partition("orders", 3);
        assert!(error.is_retriable() && error.needs_metadata_refresh());
        let printed = error.to_string();
        assert!(
            printed.starts_with("NOT_LEADER_OR_FOLLOWER: For requests"),
            "{printed}"
        );
        assert!(
            printed.ends_with("partition (api=Fetch topic=orders partition=3)"),
            "{printed}"
        );
    }

    #[test]
    fn bootstrap_sentence_names_the_innermost_cause() {
        let refused =
            std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let error = ClientError::could_not_connect("127.0.0.1:1", refused);
        assert_eq!(
            error.to_string(),
            "could not connect to 127.0.0.1:1: connection refused"
        );
        let error = ClientError::no_bootstrap_server("127.0.0.1:1", error);
        assert_eq!(
            error.to_string(),
            "could not connect to any of bootstrap.servers=127.0.0.1:1 (connection refused); \
             is the broker running and the port right?"
        );
    }
}
