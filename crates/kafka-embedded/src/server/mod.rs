//! Connections: frames in, frames out, one request of a connection after the other.
//!
//! Lives here: reading and writing frames (`connection`).
//! Lives elsewhere: what is answered (`crate::api`), who listens (`crate::handle`).
//! Never here: an API.

pub(crate) mod connection;
