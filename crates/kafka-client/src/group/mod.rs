//! Membership in a group, by the classic protocol: once for sink consumers and for Connect workers.
//!
//! Lives here: [`Membership`], which keeps a place in a group on a runtime of the caller's choice,
//! the decisions behind it (`state`) and the words they are put in (`words`).
//! Lives elsewhere: what members tell each other and how work is divided (the user's bytes:
//! `crate::consumer` for sink tasks, the herder for workers).
//! Never here: topics, partitions, offsets.

mod membership;
mod requests;
mod state;
mod words;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use membership::{GroupSnapshot, Membership, MembershipHandle};
pub use words::{
    Election, Generation, GroupEvent, GroupSettings, Joined, JoinedMember, Phase, Prepare,
};
