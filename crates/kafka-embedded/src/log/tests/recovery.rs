//! After a kill, a power cut, a failed write.

use super::*;

/// A kill leaves any part of the last write.
#[test]
fn a_torn_tail_is_cut_off_wherever_it_is() {
    let mut fixture = Fixture::on_disk();
    for index in 0..3 {
        fixture.append(plain(&[("k", Some("v")), ("l", Some("w"))]));
        assert_eq!(fixture.log.end_offset(), index * 2 + 2);
    }
    let file = fixture.files().remove(0);
    let whole = fs::read(&file).expect("read");
    let one = whole.len() / 3;
    for length in 0..=whole.len() {
        fs::write(&file, &whole[..length]).expect("written");
        let findings = fixture.restart();
        let batches = length / one;
        assert_eq!(
            fixture.log.end_offset(),
            batches as i64 * 2,
            "{length} bytes"
        );
        assert_eq!(findings.is_empty(), length % one == 0, "{findings:?}");
        assert_eq!(fs::read(&file).expect("read").len(), batches * one);
        assert_eq!(fixture.append(plain(&[("k", None)])), batches as i64 * 2);
        assert!(fixture.restart().is_empty());
        assert_eq!(fixture.log.end_offset(), batches as i64 * 2 + 1);
    }
    // A power cut may leave zeros.
    let mut zeros = whole.clone();
    zeros.resize(whole.len() + 5_000, 0);
    fs::write(&file, &zeros).expect("written");
    let findings = fixture.restart();
    assert!(findings[0].contains("5000 of"), "{findings:?}");
    assert_eq!(fixture.log.end_offset(), 6);
}

#[test]
fn what_lies_behind_damage_is_set_aside() {
    let mut fixture = Fixture::on_disk();
    for _ in 0..3 {
        fixture.append(plain(&[("k", Some("v"))]));
        fixture.log.roll().expect("rolled");
    }
    let files = fixture.files();
    let mut damaged = fs::read(&files[1]).expect("read");
    damaged[65] ^= 1;
    fs::write(&files[1], damaged).expect("written");
    let findings = fixture.restart();
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert_eq!(fixture.log.end_offset(), 1);
    assert_eq!(fixture.append(plain(&[("k", None)])), 1);
    assert!(fixture.restart().is_empty());
}

/// Compaction was killed after it put the new segment in place and before it removed the rest.
#[test]
fn an_interrupted_compaction_is_finished_at_the_next_start() {
    let mut fixture = Fixture::on_disk();
    for value in ["1", "2", "3"] {
        fixture.append(plain(&[("a", Some(value)), (value, Some("x"))]));
        fixture.log.roll().expect("rolled");
    }
    let before: HashMap<PathBuf, Vec<u8>> = fixture
        .files()
        .into_iter()
        .map(|file| (file.clone(), fs::read(file).expect("read")))
        .collect();
    fixture.compact(10_000);
    let (seen, _) = fixture.consume(0, false);
    let first = fixture.files().remove(0);
    for (file, bytes) in &before {
        if *file != first {
            fs::write(file, bytes).expect("written");
        }
    }
    fs::write(first.with_extension("cleaned"), b"half").expect("written");
    assert!(fixture.restart().is_empty());
    assert_eq!(fixture.consume(0, false).0, seen);
    assert!(
        fixture
            .files()
            .iter()
            .all(|file| file.extension().is_some_and(|extension| extension == "log"))
    );
}

#[test]
fn a_removed_log_takes_nothing_and_leaves_nothing() {
    let mut fixture = Fixture::on_disk();
    fixture.append(plain(&[("k", None)]));
    let path = fixture
        .directory
        .as_ref()
        .expect("on a disk")
        .path()
        .to_owned();
    fixture.log.remove();
    let refused = fixture
        .log
        .append(&sound(plain(&[("k", None)])), ROLL, 1_000);
    assert!(matches!(refused, Err(AppendError::Removed)));
    assert!(!path.exists());
}

/// A full disk, or here one that may not be written: the batch is refused, the log goes on.
#[test]
fn a_failed_write_leaves_no_trace() {
    let mut fixture = Fixture::on_disk();
    fixture.append(plain(&[("k", Some("1"))]));
    let file = fixture.files().remove(0);
    // Half a batch was written when the disk was full, and it could not be cut off at once.
    let mut appender = OpenOptions::new().append(true).open(&file).expect("opened");
    std::io::Write::write_all(&mut appender, b"half a batch").expect("written");
    let segment = fixture.log.segments.last_mut().expect("one");
    segment
        .store
        .truncate(segment.size_bytes)
        .expect("truncated");
    assert_eq!(fixture.append(plain(&[("k", Some("2"))])), 1);
    assert!(fixture.restart().is_empty());
    assert_eq!(fixture.log.end_offset(), 2);
}

#[test]
fn a_checkpoint_knows_what_a_scan_finds() {
    let mut fixture = Fixture::on_disk();
    let kind = BatchKind::Transactional;
    for sequence in 0..9 {
        for id in 1..4 {
            let producer = producer(id, 0, sequence);
            let sent = batch(&[("k", Some("v"))], producer, kind, Codec::None, 500 + id);
            fixture.append(sent);
        }
        if sequence % 2 == 0 {
            fixture.end_transaction(1 + i64::from(sequence) % 3, 0, sequence % 4 == 0);
        }
        if sequence == 5 {
            fixture.log.roll().expect("rolled");
        }
    }
    let state = |log: &PartitionLog| {
        let mut bytes = Vec::new();
        log.put_checkpoint(&mut bytes);
        bytes
    };
    let live = state(&fixture.log);
    fixture.restart();
    assert_eq!(state(&fixture.log), live, "the scan finds what was there");
    fixture.stop_and_start();
    assert_eq!(state(&fixture.log), live);
    assert_eq!(fixture.consume(0, true).0, {
        fixture.restart();
        fixture.consume(0, true).0
    });
}

/// Whatever became of the files since, the checkpoint is then not believed.
#[test]
fn a_checkpoint_of_other_files_is_not_believed() {
    let mut fixture = Fixture::on_disk();
    fixture.append(plain(&[("k", Some("v"))]));
    fixture.log.roll().expect("rolled");
    fixture.append(plain(&[("k", Some("v"))]));
    let mut checkpoint = Vec::new();
    fixture.log.put_checkpoint(&mut checkpoint);
    let place = place(fixture.directory.as_ref().expect("on a disk"));
    let believed = |bytes: &[u8]| PartitionLog::from_checkpoint(&place, bytes).is_some();
    assert!(believed(&checkpoint));
    for length in 0..checkpoint.len() {
        assert!(!believed(&checkpoint[..length]), "{length} bytes");
    }
    fixture.append(plain(&[("k", Some("v"))]));
    assert!(!believed(&checkpoint), "a longer file");
    fs::remove_file(fixture.files().remove(1)).expect("removed");
    assert!(!believed(&checkpoint), "a file less");
}
