//! Why a line is no envelope.
//!
//! Lives here: [`EnvelopeError`], and how the places that it passes on its way up are put before it.

use connect_api::ConnectError;
use std::fmt::Display;

pub type Result<T, E = EnvelopeError> = std::result::Result<T, E>;

/// One sentence, from the whole to the part: `in "value": in field "id": must be an i32 integer, got "x"`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EnvelopeError(String);

impl EnvelopeError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<ConnectError> for EnvelopeError {
    fn from(error: ConnectError) -> Self {
        Self(error.to_string())
    }
}

/// Says where something is missing or wrong.
pub(crate) trait Context<T> {
    fn context(self, place: impl Display) -> Result<T>;

    fn with_context<D: Display>(self, place: impl FnOnce() -> D) -> Result<T>;
}

impl<T> Context<T> for Option<T> {
    fn context(self, place: impl Display) -> Result<T> {
        self.ok_or_else(|| EnvelopeError(place.to_string()))
    }

    fn with_context<D: Display>(self, place: impl FnOnce() -> D) -> Result<T> {
        self.ok_or_else(|| EnvelopeError(place().to_string()))
    }
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn context(self, place: impl Display) -> Result<T> {
        self.map_err(|error| EnvelopeError(format!("{place}: {error}")))
    }

    fn with_context<D: Display>(self, place: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| EnvelopeError(format!("{}: {error}", place())))
    }
}

macro_rules! bail {
    ($message:literal $($rest:tt)*) => {
        return Err(crate::error::EnvelopeError::new(format!($message $($rest)*)))
    };
    ($message:expr) => {
        return Err(crate::error::EnvelopeError::new($message))
    };
}
pub(crate) use bail;
