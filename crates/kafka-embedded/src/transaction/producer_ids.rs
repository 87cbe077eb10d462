//! New producer ids, none of them given out twice, restarts included.
//!
//! Lives here: blocks of ids, so that not every producer costs a line of the journal.
//! Never here: epochs.

/// As many ids as one journal event reserves. A restart skips what is left of a block.
const BLOCK: i64 = 1000;

#[derive(Debug, Default)]
pub(super) struct ProducerIds {
    next: i64,
    reserved: i64,
}

impl ProducerIds {
    /// The next id, and the new end of the reserved ones when that must be journaled first.
    pub(super) fn take(&mut self) -> (i64, Option<i64>) {
        let mut reserved = None;
        if self.next == self.reserved {
            self.reserved += BLOCK;
            reserved = Some(self.reserved);
        }
        self.next += 1;
        (self.next - 1, reserved)
    }

    /// Ids below `next` may have been given out by an earlier run.
    pub(super) fn restore(&mut self, next: i64) {
        self.next = self.next.max(next);
        self.reserved = self.reserved.max(next);
    }

    /// No id from here on has been given out.
    pub(super) fn reserved(&self) -> i64 {
        self.reserved
    }
}
