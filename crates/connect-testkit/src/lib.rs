//! What tests of several rooms share: records as JSON text, and the recorded answers of the Java classes.
//!
//! Lives here: the record envelope ([`envelope`]) and the runner of the vector files ([`vectors`]).
//! Never here: the tests themselves; each stands beside what it proves.

pub mod envelope;
pub mod vectors;
