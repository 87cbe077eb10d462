//! Sequence numbers of one partition: what makes a retry not a duplicate.
//!
//! Lives here: which number the next batch gets, what the broker has confirmed, and when only a new
//! epoch helps.
//! Lives elsewhere: which batches are queued or on the wire (`partition`).
//! Never here: a clock, bytes.
//!
//! A batch that fails for good leaves a *hole*: the broker waits for its numbers. Batches behind
//! the hole that already have numbers keep them, because they may be in the log, and the broker
//! tells: "out of order" for the one right behind the hole proves that none of them is, a success
//! proves that the failed one is. No fresh batch gets a number before that is settled. A new epoch
//! starts again at 0, and the broker accepts it without knowing what was lost.
//!
//! The broker takes any first number of a producer that it does not know. So the first batch of an
//! epoch goes alone: were it refused (a topic just created, a leader just moved) and the one behind
//! it taken, order would be lost.
//!
//! Epochs are counted per partition, because the broker's state is per partition: a loss on one
//! disturbs no other.
//! Source: `TransactionManager` in apache/kafka, clients, for the idempotent producer; KIP-360.

use kafka_wire::ProducerState;

use super::batch::add_sequence;

/// Which producer a partition's numbers belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProducerId {
    pub id: i64,
    pub epoch: i16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sequences {
    producer: ProducerId,
    /// Of the next fresh batch.
    next: i32,
    /// What the broker expects next, as far as it told.
    expected: i32,
    /// A batch of this epoch was acknowledged, so the broker knows it.
    is_known: bool,
    /// Numbers right behind batches that failed.
    holes: Vec<i32>,
    bump: bool,
}

/// What an answer "out of order sequence number" means for the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutOfOrder {
    /// An earlier batch is on its way again; so must this one be.
    WaitForEarlier,
    /// The broker lost what it had, or never gets what is missing.
    NewEpoch,
}

impl Sequences {
    pub fn new(producer: ProducerId) -> Sequences {
        Sequences {
            producer,
            next: 0,
            expected: 0,
            is_known: false,
            holes: Vec::new(),
            bump: false,
        }
    }

    pub fn producer(&self) -> ProducerId {
        self.producer
    }

    /// Numbers for a fresh batch. Call only while `is_settled`.
    pub fn assign(&mut self, records: u32) -> ProducerState {
        let ProducerId { id, epoch } = self.producer;
        let assigned = ProducerState {
            id,
            epoch,
            base_sequence: self.next,
        };
        self.next = add_sequence(self.next, records);
        assigned
    }

    /// Whether a fresh batch may get numbers.
    pub fn is_settled(&self) -> bool {
        self.holes.is_empty() && !self.bump
    }

    /// Whether more than one batch may be on the wire.
    pub fn is_known_to_broker(&self) -> bool {
        self.is_known
    }

    pub fn wants_new_epoch(&self) -> bool {
        self.bump
    }

    /// The broker has everything before `end`.
    pub fn acknowledged(&mut self, end: i32) {
        self.is_known = true;
        if is_before(self.expected, end) {
            self.expected = end;
        }
        let expected = self.expected;
        self.holes.retain(|hole| is_before(expected, *hole));
    }

    /// `is_first`: no batch with earlier numbers is unanswered. Only then nothing that may be in the
    /// log gets new numbers.
    pub fn out_of_order(&mut self, base: i32, is_first: bool) -> OutOfOrder {
        // Below what it expects: it lost this producer's numbers in between, and took later ones.
        let never_taken = !is_before(self.expected, base);
        if is_first && (self.holes.contains(&base) || (self.holes.is_empty() && never_taken)) {
            self.bump = true;
            OutOfOrder::NewEpoch
        } else {
            OutOfOrder::WaitForEarlier
        }
    }

    /// The broker no longer knows this producer, or knows a later epoch of it.
    pub fn forgotten(&mut self) {
        self.bump = true;
    }

    /// A batch with numbers will not be sent again. `never_written`: the broker refused it, every
    /// time it was sent.
    pub fn failed(&mut self, base: i32, end: i32, never_written: bool) {
        if never_written && end == self.next && self.is_settled() {
            self.next = base;
        } else {
            self.holes.push(end);
        }
    }

    /// Nothing with numbers is queued or on the wire any more.
    pub fn idle(&mut self) {
        if !self.holes.is_empty() {
            if self.expected == self.next {
                self.holes.clear();
            } else {
                self.bump = true;
            }
        }
    }

    /// Starts again at 0 in the next epoch. `Err` when there is none: the producer needs a new id.
    /// Call only while nothing is on the wire; queued batches get new numbers by `assign`.
    pub fn start_new_epoch(&mut self) -> Result<(), EpochsExhausted> {
        let epoch = self.producer.epoch.checked_add(1).ok_or(EpochsExhausted)?;
        *self = Sequences::new(ProducerId {
            epoch,
            ..self.producer
        });
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct EpochsExhausted;

/// Whether `a` comes before `b`, in a space where numbers wrap; both are close to each other.
pub(super) fn is_before(a: i32, b: i32) -> bool {
    let distance = b.wrapping_sub(a) & i32::MAX;
    distance != 0 && distance < 1 << 30
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ProducerId = ProducerId { id: 7, epoch: 0 };

    fn after_three_batches_of_ten() -> Sequences {
        let mut sequences = Sequences::new(ID);
        for base in [0, 10, 20] {
            assert_eq!(sequences.assign(10).base_sequence, base);
        }
        sequences
    }

    #[test]
    fn out_of_order_means_wait_unless_it_is_the_next_expected() {
        for (base, expect) in [
            (0, OutOfOrder::NewEpoch),
            (10, OutOfOrder::WaitForEarlier),
            (20, OutOfOrder::WaitForEarlier),
        ] {
            let mut sequences = after_three_batches_of_ten();
            assert_eq!(sequences.out_of_order(base, true), expect, "base {base}");
            assert_eq!(sequences.wants_new_epoch(), expect == OutOfOrder::NewEpoch);
        }
        let mut sequences = after_three_batches_of_ten();
        sequences.acknowledged(10);
        assert_eq!(sequences.out_of_order(20, true), OutOfOrder::WaitForEarlier);
        assert_eq!(sequences.out_of_order(10, true), OutOfOrder::NewEpoch);

        let mut earlier = after_three_batches_of_ten();
        earlier.failed(10, 20, true);
        assert_eq!(earlier.out_of_order(20, false), OutOfOrder::WaitForEarlier);
        assert_eq!(earlier.out_of_order(20, true), OutOfOrder::NewEpoch);

        let mut overtaken = after_three_batches_of_ten();
        overtaken.acknowledged(20);
        assert_eq!(overtaken.out_of_order(10, true), OutOfOrder::NewEpoch);
    }

    #[test]
    fn a_refused_last_batch_gives_its_numbers_back() {
        let mut sequences = after_three_batches_of_ten();
        sequences.failed(20, 30, true);
        assert!(sequences.is_settled());
        assert_eq!(sequences.assign(5).base_sequence, 20);
    }

    #[test]
    fn a_hole_is_settled_by_what_the_broker_says_about_the_batch_behind_it() {
        // The first batch ran out of time; nobody knows whether it is in the log.
        let mut sequences = after_three_batches_of_ten();
        sequences.failed(0, 10, false);
        assert!(!sequences.is_settled());
        let mut written = sequences.clone();
        written.acknowledged(20);
        assert!(
            written.is_settled(),
            "a later batch was taken, so the failed one is in the log"
        );
        assert_eq!(written.assign(1).base_sequence, 30);

        assert_eq!(sequences.out_of_order(20, true), OutOfOrder::WaitForEarlier);
        assert_eq!(sequences.out_of_order(10, true), OutOfOrder::NewEpoch);
        assert_eq!(sequences.start_new_epoch(), Ok(()));
        let assigned = sequences.assign(10);
        assert_eq!((assigned.epoch, assigned.base_sequence), (1, 0));
    }

    #[test]
    fn a_hole_at_the_end_asks_for_a_new_epoch_once_all_else_is_done() {
        let mut sequences = after_three_batches_of_ten();
        sequences.acknowledged(20);
        sequences.failed(20, 30, false);
        assert!(!sequences.wants_new_epoch());
        sequences.idle();
        assert!(sequences.wants_new_epoch());

        // The answer came after the caller was told that it failed.
        let mut late = after_three_batches_of_ten();
        late.acknowledged(20);
        late.acknowledged(30);
        late.idle();
        assert!(late.is_settled());
    }

    #[test]
    fn epochs_end() {
        let mut sequences = Sequences::new(ProducerId {
            id: 7,
            epoch: i16::MAX,
        });
        assert_eq!(sequences.start_new_epoch(), Err(EpochsExhausted));
    }

    #[test]
    fn order_wraps() {
        for (a, b, expect) in [
            (0, 1, true),
            (1, 0, false),
            (5, 5, false),
            (i32::MAX, 0, true),
            (0, i32::MAX, false),
        ] {
            assert_eq!(is_before(a, b), expect, "{a} {b}");
        }
    }
}
