//! How the program ends, in numbers that scripts can tell apart.
//!
//! Source: `ConnectStandalone` of Apache Kafka 4.3 ends with the same numbers.

use std::process::ExitCode;

/// What the program ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Stopped as it was told.
    Success = 0,
    /// The command line was wrong; nothing was tried.
    Usage = 1,
    /// The worker could not start: its configuration, its offset file or Kafka.
    WorkerFailed = 2,
    /// A connector of the command line could not be read or started.
    ConnectorFailed = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
