//! Membership in a group, by the classic protocol: once for sink consumers and for Connect workers.
pub mod state;
#[cfg(test)]
mod simulation;
