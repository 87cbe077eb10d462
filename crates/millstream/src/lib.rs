//! Millstream: everything composed into one program.
//!
//! Lives here: the list of plugins ([`plugins`]), the command line ([`cli`]), standalone mode, quickstart.
//! Lives elsewhere: the worker (`connect_worker`), each plugin in its own crate.

pub mod cli;
pub mod connector_file;
pub mod exit;
pub mod kafka;
pub mod logging;
pub mod plugins;
pub mod quickstart;
pub mod signals;
pub mod standalone;
pub mod transform;
pub mod validate;
