//! What tests of several rooms share: records as JSON text, the recorded answers of the Java classes, and
//! real and simulated Kafka clusters.
//!
//! Lives here: the record envelope ([`envelope`]), the runner of the vector files ([`vectors`]), Apache
//! Kafka started from its jars ([`kafka`]), what a broker must do
//! ([`broker_checks`]), programs under test ([`process`]), a whole cluster under a seed in this process
//! ([`simulation`]).
//! Never here: the tests themselves; each stands beside what it proves.

pub mod broker_checks;
pub use connect_envelope as envelope;
pub mod kafka;
pub mod process;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod vectors;
