//! The config providers of Apache Kafka: `${provider:path:key}` from files, directories, the environment.
//!
//! Lives here: a file per provider, what they may read (`allowed_paths`), and the list of them all.
//! Lives elsewhere: finding and replacing references (`connect_config`), when they are asked and when a
//! connector is restarted because of them (`connect_worker`).
//! Never here: a value that was read, in a log line or an error.

mod allowed_paths;
mod directory;
mod env_var;
mod file;

pub use directory::DirectoryConfigProvider;
pub use env_var::EnvVarConfigProvider;
pub use file::FileConfigProvider;

use connect_api::{ConfigProvider, ConnectError};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Makes a provider that is not configured yet.
pub type Maker = fn() -> Box<dyn ConfigProvider>;

/// All providers of this crate by their Java class names.
pub fn config_providers() -> &'static [(&'static str, Maker)] {
    &[
        (
            "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
            || Box::<DirectoryConfigProvider>::default(),
        ),
        (
            "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
            || Box::<EnvVarConfigProvider>::default(),
        ),
        (
            "org.apache.kafka.common.config.provider.FileConfigProvider",
            || Box::<FileConfigProvider>::default(),
        ),
    ]
}

/// Largest file that is read. A reference to a device that never ends must not fill the memory.
const FILE_MAX_BYTES: u64 = 16 << 20;

/// The whole file as text.
///
/// Fails: as reading fails; when it is not UTF-8, and when it is larger than [`FILE_MAX_BYTES`].
fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let limit = FILE_MAX_BYTES + 1;
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == limit {
        return Err(io::Error::other(format!(
            "the file is larger than {FILE_MAX_BYTES} bytes"
        )));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("the file is not UTF-8 text"))
}

/// What Java answers to `get` before `configure`.
fn not_configured() -> ConnectError {
    ConnectError::config("The provider has not been configured yet.")
}

/// An answer as the tests' tables write it: its values as `key=value` with blanks between, or its error.
#[cfg(test)]
fn shown(answer: connect_api::Result<connect_api::ConfigData>) -> String {
    match answer {
        Ok(answer) => {
            assert_eq!(answer.ttl, None);
            let values = answer
                .data
                .iter()
                .map(|(key, value)| format!("{key}={value}"));
            values.collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.to_string(),
    }
}
