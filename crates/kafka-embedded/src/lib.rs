//! A single-node log that speaks Kafka's protocol, in this process: for one machine, and for tests.
//!
//! Lives here: topics and their segments, groups, transactions, and the server in front of them.
//! Never here: a concept of Kafka Connect, our client.

pub mod group;
pub mod transaction;
