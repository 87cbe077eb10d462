//! Requests as bytes: which there are, how they are laid out, and whether one is what it says.
//!
//! Lives here: the table of requests (`schema`), and the walk in front of the decoder (`guard`).
//! Never here: an answer.

pub(crate) mod guard;
pub(crate) mod schema;
