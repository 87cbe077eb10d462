//! The consumer against a real broker. Needs `KAFKA_BOOTSTRAP=host:port`; says so and passes without.

mod reading;
mod sharing;
mod support;
mod throughput;
