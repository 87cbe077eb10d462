//! Transactions: what Kafka's transaction coordinator does in version 1 of its protocol.
//!
//! Lives here: producer ids and epochs, which partitions and groups a transaction has, how it
//! ends, replay of the journal's events.
//! Never here: I/O, a clock, a lock, a log line, a marker's bytes: `now` is an argument, and what
//! is to be done comes back as effects, so that every test is a table.

mod coordinator;
mod events;
mod overview;
mod producer_ids;
mod state;
mod words;

#[cfg(test)]
mod tests;

pub use coordinator::TransactionCoordinator;
pub use events::TransactionEvent;
pub use words::{Answer, Effect, Markers, TransactionSettings, Writing};
