//! Membership in a group, by the classic protocol: once for sink consumers and for Connect workers.
//!
//! Lives here: [`Membership`], which keeps a place in a group on a runtime of the caller's choice,
//! and the decisions behind it (`state`).
//! Lives elsewhere: what members tell each other and how work is divided (the user's bytes:
//! `crate::consumer` for sink tasks, the herder for workers).
//! Never here: topics, partitions, offsets.

mod membership;
mod requests;
pub mod state;

#[cfg(test)]
mod simulation;

pub use membership::{GroupSnapshot, Membership, MembershipHandle};
pub use state::{
    Election, Generation, GroupEvent, GroupSettings, Joined, JoinedMember, Note, Phase, Prepare,
};
