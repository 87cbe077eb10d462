//! A single-node log that speaks Kafka's protocol, in this process: for one machine, and for tests.
//!
//! Lives here: topics and their segments (`log`), what is remembered besides (`journal`), groups
//! (`group`), transactions (`transaction`), what holds them together (`broker`), what
//! a request may look like (`request`), answers (`api`) and the connections in front (`server`).
//! Never here: a concept of Kafka Connect, our client.
//!
//! ```no_run
//! # async fn example() -> Result<(), kafka_embedded::StartError> {
//! use kafka_embedded::{Config, Storage};
//!
//! let log = kafka_embedded::start(Config::new(Storage::Memory)).await?;
//! println!("bootstrap.servers={}", log.address().expect("it listens"));
//! log.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! It works inside the caller's Tokio runtime, on as many threads as that has. All timers are
//! Tokio's, so that time may be paused. Files are read and written in place, which for the page
//! cache takes microseconds; waiting for the disk (fsync) and compaction of files happen on Tokio's
//! blocking threads, and with [`Storage::Memory`] no other thread is used at all.

mod api;
mod broker;
mod config;
mod group;
mod handle;
mod journal;
mod log;
mod request;
mod server;
mod transaction;

pub use config::{Clock, Config, Fsync, Storage};
pub use handle::{Handle, StartError, start};
