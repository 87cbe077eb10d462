//! Groups of any protocol type, and committed offsets: what Kafka's group coordinator does with
//! the classic protocol.
//!
//! Lives here: the state of all groups, one method per API, replay of the journal's events.
//! Never here: I/O, a clock, a lock, a log line, a topic: `now` is an argument, and what is to be
//! done comes back as effects, so that every test is a table.

mod answers;
pub(crate) mod codec;
mod commit;
mod coordinator;
mod events;
mod fetch;
mod join;
mod member_ids;
mod offsets;
mod overview;
mod rebalance;
mod state;
mod subscription;
mod sync;
mod words;

#[cfg(test)]
mod tests;

pub use codec::DecodeError;
pub use coordinator::GroupCoordinator;
pub use events::GroupEvent;
pub(crate) use events::{put_outcome, read_outcome};
pub use words::{Answer, Call, Effect, GroupSettings, MembersAtRestart, Outcome, Ticket, Topics};
