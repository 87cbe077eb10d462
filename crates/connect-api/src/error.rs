//! What a plugin tells the worker when something fails.

use std::error::Error as StdError;
use std::fmt;

pub type Result<T, E = ConnectError> = std::result::Result<T, E>;

/// Who can mend it. `Retriable`: the other side may recover, the same records come again. `Data`: this
/// record cannot pass; in a converter or transform `errors.tolerance` decides, in `put` report it as
/// errant. `Config` and `Fatal`: the task fails until a person acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    Retriable,
    Data,
    Config,
    Fatal,
}

/// An error with its kind, one sentence, what it was about and what caused it.
///
/// Prints as `sentence (name=value …): cause`.
pub struct ConnectError(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl ConnectError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            cause: None,
        }))
    }

    pub fn retriable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Retriable, message)
    }

    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub fn fatal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Fatal, message)
    }

    /// Adds what the error is about: a topic, a partition, a file.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((name, value.to_string()));
        self
    }

    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence alone, as Java's `getMessage`.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn is_retriable(&self) -> bool {
        self.0.kind == ErrorKind::Retriable
    }
}

/// A configuration that is wrong: the message names every bad key.
impl From<connect_config::ConfigErrors> for ConnectError {
    fn from(errors: connect_config::ConfigErrors) -> Self {
        Self::config(errors.to_string())
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (i, (name, value)) in self.0.context.iter().enumerate() {
            write!(f, "{}{name}={value}", if i == 0 { " (" } else { " " })?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        // Errors of our own print their causes themselves.
        match &self.0.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .cause
            .as_deref()
            .map(|cause| cause as &(dyn StdError + 'static))
    }
}
