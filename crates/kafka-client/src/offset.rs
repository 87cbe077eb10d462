//! A position that a group commits.
//!
//! Lives here: the value that consumers and administration share.
//! Lives elsewhere: who commits and fetches it (`crate::consumer`, `crate::admin`).
//! Never here: a request.

/// A committed position: the offset of the next record to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetAndMetadata {
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    /// Whatever the one who committed wrote beside it.
    pub metadata: String,
}

impl OffsetAndMetadata {
    pub fn new(offset: i64) -> Self {
        Self {
            offset,
            ..Self::default()
        }
    }
}
