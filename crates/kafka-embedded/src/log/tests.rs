//! The log of a partition, on a disk and in memory: batches as producers send them, and a fixture
//! that reads as consumers do.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use kafka_wire::batch::transaction_marker;
use kafka_wire::{
    BatchBuilder, BatchHeader, BatchKind, Codec, Compressor, ControlType, Decompressor,
    ProducerState, RecordBatches,
};
use tempfile::TempDir;

use super::*;

mod appending;
mod compaction;
mod recovery;
mod retention;

const RULE: BatchRule = BatchRule {
    max_bytes: 1 << 20,
    segment_bytes: 1 << 30,
    timestamps: TimestampRule::CreateTime {
        before_max_ms: i64::MAX,
        after_max_ms: 3_600_000,
    },
    keys_required: false,
    codec: None,
};

const ROLL: RollRule = RollRule {
    segment_bytes: 1 << 30,
    segment_ms: i64::MAX,
};

const COMPACTION: CompactionRule = CompactionRule {
    min_dirty_ratio: 0.0,
    delete_retention_ms: 1_000,
    min_lag_ms: 0,
    max_lag_ms: i64::MAX,
    segment_bytes: 4_000,
    segment_ms: i64::MAX,
};

type Pair<'a> = (&'a str, Option<&'a str>);

/// A batch as a producer sends it.
fn batch(
    pairs: &[Pair<'_>],
    producer: ProducerState,
    kind: BatchKind,
    codec: Codec,
    time: i64,
) -> Bytes {
    let mut builder = BatchBuilder::new(256);
    for (key, value) in pairs {
        let value = value.map(str::as_bytes);
        builder
            .append(time, Some(key.as_bytes()), value)
            .expect("it fits");
    }
    let mut compressor = Compressor::new(codec, None).expect("a codec");
    let header = BatchHeader::produced(producer, kind);
    builder
        .finish(&header, &mut compressor)
        .expect("a batch")
        .bytes
}

fn plain(pairs: &[Pair<'_>]) -> Bytes {
    batch(
        pairs,
        ProducerState::NONE,
        BatchKind::Plain,
        Codec::None,
        1_000,
    )
}

fn producer(id: i64, epoch: i16, base_sequence: i32) -> ProducerState {
    ProducerState {
        id,
        epoch,
        base_sequence,
    }
}

fn sound(bytes: Bytes) -> Sound {
    validate(bytes, &RULE, 1_000).expect("it is sound")
}

struct Fixture {
    log: PartitionLog,
    directory: Option<TempDir>,
}

impl Fixture {
    fn on_disk() -> Fixture {
        let directory = tempfile::tempdir().expect("a directory");
        let log = PartitionLog::empty(place(&directory));
        Fixture {
            log,
            directory: Some(directory),
        }
    }

    fn in_memory() -> Fixture {
        Fixture {
            log: PartitionLog::empty(Place::Memory),
            directory: None,
        }
    }

    fn both() -> [Fixture; 2] {
        [Fixture::on_disk(), Fixture::in_memory()]
    }

    fn append(&mut self, bytes: Bytes) -> i64 {
        let appended = self.log.append(&sound(bytes), ROLL, 1_000);
        appended.expect("it is appended").base_offset
    }

    fn end_transaction(&mut self, id: i64, epoch: i16, commit: bool) -> i64 {
        let control = if commit {
            ControlType::Commit
        } else {
            ControlType::Abort
        };
        let header = BatchHeader::produced(producer(id, epoch, -1), BatchKind::Control);
        let marker = transaction_marker(control, 3, 1_000, &header).expect("a marker");
        let offset = self.log.append_marker(&marker, commit, 3, ROLL, 1_000);
        offset.expect("it is appended")
    }

    /// After a kill: nothing but the files.
    fn restart(&mut self) -> Vec<String> {
        let Some(directory) = &self.directory else {
            return Vec::new();
        };
        let start = self.log.start_offset();
        let recovered = recover(place(directory), start, None, 1_000).expect("it is readable");
        self.log = recovered.log;
        recovered.findings
    }

    /// After a clean stop. The scan finds the same.
    fn stop_and_start(&mut self) {
        let mut checkpoint = Vec::new();
        self.log.put_checkpoint(&mut checkpoint);
        if let Some(directory) = &self.directory {
            let started = PartitionLog::from_checkpoint(&place(directory), &checkpoint);
            self.log = started.expect("its files are as it says");
            let mut again = Vec::new();
            self.log.put_checkpoint(&mut again);
            assert_eq!(checkpoint, again);
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let directory = self.directory.as_ref().expect("on a disk");
        let mut files: Vec<_> = fs::read_dir(directory.path())
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        files
    }

    fn compact(&mut self, now_ms: i64) {
        self.log.roll().expect("rolled");
        let plan = self.log.plan_clean(&COMPACTION, now_ms).expect("planned");
        if let Some(plan) = plan {
            let cleaned = plan.run().expect("compacted");
            self.log.install(cleaned).expect("installed");
        }
    }

    /// Batches from an offset on, as a consumer sees them.
    fn read(&self, offset: i64, limit: i64, max_bytes: usize) -> Vec<kafka_wire::RecordBatch> {
        let mut out = Vec::new();
        if let Some(plan) = self.log.plan_read(offset, limit, &[]) {
            plan.read(max_bytes, true, &mut out)
                .expect("it is readable");
        }
        let batches = RecordBatches::new(Bytes::from(out));
        batches.map(|batch| batch.expect("a whole batch")).collect()
    }

    /// All records that a consumer sees which reads from `offset` to the end, and how it ends.
    fn consume(
        &self,
        mut offset: i64,
        committed: bool,
    ) -> (Vec<(i64, String, Option<String>)>, i64) {
        let limit = match committed {
            true => self.log.last_stable_offset(),
            false => self.log.end_offset(),
        };
        let mut seen = Vec::new();
        let mut hints = Vec::new();
        while let Some(plan) = self.log.plan_read(offset, limit, &hints) {
            let mut out = Vec::new();
            let read = plan.read(300, true, &mut out).expect("it is readable");
            if read.bytes == 0 {
                break;
            }
            hints = read.hint.into_iter().collect();
            let aborted: Vec<_> = self
                .log
                .producers()
                .aborted_between(offset, read.next_offset)
                .collect();
            for batch in RecordBatches::new(Bytes::from(out)) {
                let batch = batch.expect("a whole batch");
                let id = batch.producer().id;
                let is_aborted = committed
                    && batch.is_transactional()
                    && aborted.iter().any(|aborted| {
                        aborted.producer_id == id
                            && (aborted.first_offset..aborted.last_offset)
                                .contains(&batch.base_offset())
                    });
                if batch.is_control() || is_aborted {
                    continue;
                }
                let decoded = batch
                    .decode(&mut Decompressor::new(1 << 20))
                    .expect("sound");
                for record in decoded.records() {
                    let record = record.expect("sound");
                    if record.offset < offset {
                        continue;
                    }
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                    let key = text(record.key.expect("a key"));
                    seen.push((record.offset, key, record.value.map(text)));
                }
            }
            offset = read.next_offset;
        }
        (seen, offset)
    }
}

fn place(directory: &TempDir) -> Place {
    Place::Directory {
        path: directory.path().to_owned(),
        files: Arc::default(),
        sync_names: false,
    }
}
