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
    // Half a batch was written when the disk was full.
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
