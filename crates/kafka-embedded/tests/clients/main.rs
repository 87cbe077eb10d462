//! Kafka clients that we did not write, unchanged, on the embedded log: Apache's own tools in Java,
//! librdkafka, kcat and kafka-python.
//!
//! Lives here: the log for each suite, and running other programs against it.
//! Lives elsewhere: fetching the programs (`cargo xtask test`), what the protocol demands in detail
//! (`connect_testkit::broker_checks`).
//! Never here: our own client.

mod console;
mod kcat;
mod python;
mod support;
