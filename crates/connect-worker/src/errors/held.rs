//! What was consumed last, as it came from Kafka.
//!
//! Lives here: keeping it within bounds, and finding a record in it. Only for connectors with a dead letter queue.

use super::{Letter, Raw};
use kafka_client::consumer::PartitionRecords;
use std::collections::VecDeque;

/// Most bytes of earlier batches that are kept beside the last one: a sink that writes later than in `put` also
/// reports later.
const BYTES_MAX: usize = 8 << 20;

#[derive(Default)]
pub struct Held {
    /// The last one at the back, each with its size in bytes.
    batches: VecDeque<(usize, Vec<PartitionRecords>)>,
    bytes: usize,
}

impl Held {
    pub fn add(&mut self, fetched: Vec<PartitionRecords>) {
        let pieces = fetched.iter().flat_map(|it| it.pieces());
        let bytes = pieces.map(|piece| piece.payload().len()).sum();
        self.bytes += bytes;
        self.batches.push_back((bytes, fetched));
        while self.bytes > BYTES_MAX
            && self.batches.len() > 1
            && let Some((bytes, _)) = self.batches.pop_front()
        {
            self.bytes -= bytes;
        }
    }

    /// The letter of a record. Cost: mostly a walk over what one poll gave of its partition.
    pub fn letter(&self, topic: &str, partition: i32, offset: i64) -> Option<Letter> {
        let batches = self.batches.iter().flat_map(|(_, batch)| batch);
        let of_partition = batches.filter(|it| *it.topic == *topic && it.partition == partition);
        // The first that ends behind it has it, unless the task went back to earlier records.
        let reaching = of_partition.filter(|it| it.next_offset() > offset);
        for piece in reaching.flat_map(|it| it.pieces()) {
            let found = piece
                .records()
                .filter_map(|view| view.ok())
                .find(|view| view.offset == offset);
            if let Some(view) = found {
                let payload = piece.payload();
                return Some(Letter::of(Raw {
                    payload,
                    view: &view,
                }));
            }
        }
        None
    }
}
