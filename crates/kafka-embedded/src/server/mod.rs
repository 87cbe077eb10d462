//! Connections: frames in, frames out, one request of a connection after the other.
//!
//! Lives here: reading frames (`connection`), the guard in front of the decoder (`guard`, `schema`).
//! Lives elsewhere: what is answered (`crate::api`), who listens (`crate::handle`).
//! Never here: a topic.

pub(crate) mod connection;
pub(crate) mod guard;
pub(crate) mod schema;
#[cfg(test)]
mod tests;
