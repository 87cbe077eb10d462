//! Log lines on standard error: plain on a pipe, coloured on a terminal.

use std::io::IsTerminal;
use tracing::Level;
use tracing_subscriber::EnvFilter;

/// The variable that sets levels: `debug`, or `info,kafka_client=debug`.
const LEVEL_VARIABLE: &str = "MILLSTREAM_LOG";

/// Starts logging, at `level` unless the variable says otherwise. Call once, before anything else. Standard
/// output stays free for connectors.
pub fn start(level: Level) {
    let filter = EnvFilter::builder()
        .with_env_var(LEVEL_VARIABLE)
        .with_default_directive(level.into())
        .from_env_lossy();
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .init();
}
