//! Log lines on standard error: plain on a pipe, coloured on a terminal, without values of config providers.

use connect_config::Secrets;
use std::io::{self, IsTerminal, Write};
use tracing::Level;
use tracing_subscriber::EnvFilter;

/// The variable that sets levels: `debug`, or `info,kafka_client=debug`.
const LEVEL_VARIABLE: &str = "MILLSTREAM_LOG";

/// Starts logging, at `level` unless the variable says otherwise. Call once, before anything else. Standard
/// output stays free for connectors.
///
/// A value that is added to what is returned is printed as its reference from then on.
pub fn start(level: Level) -> Secrets {
    let filter = EnvFilter::builder()
        .with_env_var(LEVEL_VARIABLE)
        .with_default_directive(level.into())
        .from_env_lossy();
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let secrets = Secrets::default();
    let hidden = secrets.clone();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || WithoutSecrets {
            secrets: hidden.clone(),
            to: io::stderr(),
        })
        .with_ansi(colour)
        .init();
    secrets
}

/// Gets a whole line at a time, as `tracing_subscriber` writes them.
struct WithoutSecrets<W> {
    secrets: Secrets,
    to: W,
}

impl<W: Write> Write for WithoutSecrets<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line)?;
        Ok(line.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(line);
        self.to.write_all(self.secrets.hide(&text).as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
