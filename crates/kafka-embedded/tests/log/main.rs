//! The log from outside: frames in, frames out.
//!
//! Never here: our client, which has suites of its own against this log.

mod cleaning;
mod restart;
mod server;
mod support;
mod waiting;
