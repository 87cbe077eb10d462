//! What tests of several rooms share: records as JSON text, the recorded answers of the Java classes, and
//! real Kafka clusters.
//!
//! Lives here: the record envelope ([`envelope`]), the runner of the vector files ([`vectors`]), Apache
//! Kafka started from its jars ([`kafka`]), what a broker must do
//! ([`broker_checks`]), programs under test ([`process`]).
//! Never here: the tests themselves; each stands beside what it proves.

pub mod broker_checks;
pub use connect_envelope as envelope;
pub mod kafka;
pub mod process;
pub mod vectors;
