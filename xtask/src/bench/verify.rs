//! Whether a destination holds exactly the records that it should, in their order.
//!
//! Lives here: comparing a file, or the values of a topic, with the lines that went in.
//! Never here: a sample. Every byte is compared.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use super::data::{Lines, Shape};
use super::wire::BrokerConnection;

const CHUNK_BYTES: usize = 1 << 20;

/// The file is, line for line, what is expected. The members of a map may stand in any order, as
/// they do in Java.
pub fn file(found: &Path, expected: &Lines) -> Result<()> {
    let bytes = found.metadata()?.len();
    let wanted = expected.bytes();
    ensure!(
        bytes == wanted,
        "the output has {bytes} bytes, expected {wanted}, which is {} records",
        expected.records
    );
    let mut found = BufReader::with_capacity(CHUNK_BYTES, File::open(found)?);
    let mut source = BufReader::with_capacity(CHUNK_BYTES, File::open(&expected.file)?);
    // Whole lines at a time: the comparison of two chunks costs nothing next to that of two lines.
    let line_bytes = usize::try_from(expected.line_bytes)?;
    let chunk = CHUNK_BYTES / line_bytes * line_bytes;
    let (mut found_chunk, mut source_chunk) = (vec![0; chunk], vec![0; chunk]);
    let mut left = wanted;
    while left > 0 {
        let length = usize::try_from(left)?.min(chunk);
        found.read_exact(&mut found_chunk[..length])?;
        source.read_exact(&mut source_chunk[..length])?;
        if found_chunk[..length] != source_chunk[..length] {
            let first = (wanted - left) / expected.line_bytes;
            let lines = found_chunk[..length].chunks(line_bytes);
            for (at, (found, wanted)) in lines
                .zip(source_chunk[..length].chunks(line_bytes))
                .enumerate()
            {
                ensure!(
                    is_same(found, wanted, expected.shape),
                    "line {} is `{}`, expected `{}`",
                    first + at as u64 + 1,
                    String::from_utf8_lossy(found).trim_end(),
                    String::from_utf8_lossy(wanted).trim_end()
                );
            }
        }
        left -= length as u64;
    }
    Ok(())
}

fn is_same(found: &[u8], expected: &[u8], shape: Shape) -> bool {
    found == expected
        || shape.is_map() && members(found).is_some_and(|found| Some(found) == members(expected))
}

/// The members of `{a=1, b=2}` in order of their names.
fn members(line: &[u8]) -> Option<Vec<&str>> {
    let inside = std::str::from_utf8(line)
        .ok()?
        .trim_end()
        .strip_prefix('{')?
        .strip_suffix('}')?;
    let mut members: Vec<&str> = inside.split(", ").collect();
    members.sort_unstable();
    Some(members)
}

/// What stands around each line in the value of a record, as converters write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around {
    pub before: &'static str,
    pub after: &'static str,
}

/// Partition 0 of the topic holds the lines, each in a record without a key, and nothing else.
pub fn topic(
    broker: &mut BrokerConnection,
    topic: &str,
    expected: &Lines,
    around: Around,
) -> Result<()> {
    let end = broker.end_offset(topic)?;
    ensure!(
        end == expected.records,
        "the topic {topic} has {end} records, expected {}",
        expected.records
    );
    let mut source = BufReader::with_capacity(CHUNK_BYTES, File::open(&expected.file)?);
    let mut line = Vec::new();
    let mut offset = 0;
    while offset < end {
        let bytes = broker.fetch(topic, offset)?;
        let mut rest = bytes.as_slice();
        let before = offset;
        while let Some((batch, after)) = next_batch(rest)? {
            ensure!(
                batch.base_offset == offset,
                "a batch begins at offset {}, expected {offset}",
                batch.base_offset
            );
            let mut records = batch.records;
            for _ in 0..batch.count {
                line.clear();
                source.read_until(b'\n', &mut line)?;
                let wanted = line
                    .strip_suffix(b"\n")
                    .context("more records than lines")?;
                let found = next_value(&mut records)
                    .with_context(|| format!("no record at offset {offset}"))?;
                ensure!(
                    is_wrapped(found, wanted, around),
                    "the record at offset {offset} is `{}`, expected `{}{}{}`",
                    String::from_utf8_lossy(found),
                    around.before,
                    String::from_utf8_lossy(wanted),
                    around.after
                );
                offset += 1;
            }
            rest = after;
        }
        ensure!(
            offset > before,
            "the broker sends nothing from offset {offset} on"
        );
    }
    Ok(())
}

fn is_wrapped(found: &[u8], line: &[u8], around: Around) -> bool {
    let inside = found.strip_prefix(around.before.as_bytes());
    inside.and_then(|inside| inside.strip_suffix(around.after.as_bytes())) == Some(line)
}

/// A record batch of format 2, as `org.apache.kafka.common.record.DefaultRecordBatch` describes it.
struct Batch<'a> {
    base_offset: u64,
    /// After its last record, which compaction may have taken away.
    end_offset: u64,
    count: u32,
    records: &'a [u8],
}

/// Bytes before what the length of a batch counts, and of the whole header.
const LENGTH_END: usize = 12;
const HEADER_BYTES: usize = 61;

/// The first batch and what follows it; `None` when it is cut off.
fn next_batch(bytes: &[u8]) -> Result<Option<(Batch<'_>, &[u8])>> {
    let Some(head) = bytes.get(..HEADER_BYTES) else {
        return Ok(None);
    };
    let number =
        |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let Some((batch, after)) = bytes.split_at_checked(LENGTH_END + number(8) as usize) else {
        return Ok(None);
    };
    ensure!(head[16] == 2, "a batch has format {}, expected 2", head[16]);
    let attributes = u16::from_be_bytes([head[21], head[22]]);
    if attributes & 0b10_0111 != 0 {
        bail!(
            "a batch is compressed or a control batch (attributes {attributes:#x}), which no case asks for"
        );
    }
    let base_offset = u64::from(number(0)) << 32 | u64::from(number(4));
    let batch = Batch {
        base_offset,
        end_offset: base_offset + u64::from(number(23)) + 1,
        count: number(57),
        records: &batch[HEADER_BYTES..],
    };
    Ok(Some((batch, after)))
}

/// What partition 0 of the topic still holds, in its order: key and value of each record.
pub fn keyed(broker: &mut BrokerConnection, topic: &str) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let end = broker.end_offset(topic)?;
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < end {
        let bytes = broker.fetch(topic, offset)?;
        let mut rest = bytes.as_slice();
        let before = offset;
        while let Some((batch, after)) = next_batch(rest)? {
            let mut records = batch.records;
            for _ in 0..batch.count {
                let (key, value) = next_record(&mut records).with_context(|| {
                    format!(
                        "no record in the batch at offset {offset}",
                        offset = batch.base_offset
                    )
                })?;
                let key = key.context("a record has no key")?;
                found.push((key.to_vec(), value.to_vec()));
            }
            offset = batch.end_offset;
            rest = after;
        }
        ensure!(
            offset > before,
            "the broker sends {} bytes from offset {offset} on, which is no whole batch; the end is {end}",
            bytes.len()
        );
    }
    Ok(found)
}

/// The value of the first record, which has no key; `records` goes on to the next.
fn next_value<'a>(records: &mut &'a [u8]) -> Option<&'a [u8]> {
    match next_record(records)? {
        (None, value) => Some(value),
        (Some(_), _) => None,
    }
}

/// Key and value of the first record; `records` goes on to the next.
fn next_record<'a>(records: &mut &'a [u8]) -> Option<(Option<&'a [u8]>, &'a [u8])> {
    let length = usize::try_from(varint(records)?).ok()?;
    let (mut record, rest) = records.split_at_checked(length)?;
    *records = rest;
    let (_attributes, fields) = record.split_first()?;
    record = fields;
    let (_timestamp, _offset) = (varint(&mut record)?, varint(&mut record)?);
    let key = match usize::try_from(varint(&mut record)?) {
        Ok(length) => {
            let (key, rest) = record.split_at_checked(length)?;
            record = rest;
            Some(key)
        }
        Err(_) => None,
    };
    let length = usize::try_from(varint(&mut record)?).ok()?;
    Some((key, record.get(..length)?))
}

/// A zigzag number of at most ten bytes.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut raw = 0_u64;
    for at in 0..10 {
        let byte = *bytes.get(at)?;
        raw |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *bytes = &bytes[at + 1..];
            return Some((raw >> 1) as i64 ^ -((raw & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_map_may_change_places_and_nothing_else() {
        let rows: [(&str, Shape, bool); 7] = [
            ("{a=1, b=2}\n", Shape::MapText, true),
            ("{b=2, a=1}\n", Shape::MapText, true),
            ("{b=2, a=1}\n", Shape::MapChainText, true),
            ("{b=2, a=1}\n", Shape::StructText, false),
            ("{b=2, a=2}\n", Shape::MapText, false),
            ("{a=1, b=2\n}", Shape::MapText, false),
            ("b=2, a=1\n", Shape::MapText, false),
        ];
        for (found, shape, same) in rows {
            assert_eq!(
                is_same(found.as_bytes(), b"{a=1, b=2}\n", shape),
                same,
                "{found:?}"
            );
        }
    }

    #[test]
    fn numbers_are_zigzag() {
        let rows: [(&[u8], Option<i64>); 5] = [
            (&[0], Some(0)),
            (&[1], Some(-1)),
            (&[0xac, 0x02, 9], Some(150)),
            (&[0x80], None),
            (&[0xff; 11], None),
        ];
        for (mut bytes, expected) in rows {
            assert_eq!(varint(&mut bytes), expected, "{bytes:?}");
        }
    }

    /// Offset 5, two records without keys: `ab` and `c`.
    fn batch() -> Vec<u8> {
        let records: &[u8] = &[16, 0, 0, 0, 1, 4, b'a', b'b', 0, 14, 0, 0, 2, 1, 2, b'c', 0];
        let mut batch = vec![0; HEADER_BYTES];
        batch[7] = 5;
        batch[11] = (HEADER_BYTES - LENGTH_END + records.len()) as u8;
        batch[16] = 2;
        batch[60] = 2;
        batch.extend_from_slice(records);
        batch
    }

    #[test]
    fn values_of_a_batch() {
        let mut bytes = batch();
        let whole = bytes.len();
        bytes.extend_from_slice(&batch()[..70]);
        let (first, rest) = next_batch(&bytes).expect("format 2").expect("it is whole");
        assert_eq!((first.base_offset, first.count), (5, 2));
        let mut records = first.records;
        assert_eq!(next_value(&mut records), Some(&b"ab"[..]));
        assert_eq!(next_value(&mut records), Some(&b"c"[..]));
        assert_eq!(next_value(&mut records), None);
        assert_eq!(rest.len(), bytes.len() - whole);
        assert!(next_batch(rest).expect("it is only cut off").is_none());
    }

    #[test]
    fn a_record_may_have_a_key() {
        let mut records: &[u8] = &[18, 0, 0, 0, 2, b'k', 4, b'a', b'b', 0];
        let found = next_record(&mut records);
        assert_eq!(found, Some((Some(&b"k"[..]), &b"ab"[..])));
        let mut records: &[u8] = &[18, 0, 0, 0, 2, b'k', 4, b'a', b'b', 0];
        assert_eq!(next_value(&mut records), None);
    }

    #[test]
    fn compressed_batches_are_refused() {
        let mut bytes = batch();
        bytes[22] = 3;
        assert!(next_batch(&bytes).is_err());
    }

    #[test]
    fn lines_stand_inside_what_a_converter_adds() {
        let quotes = Around {
            before: "\"",
            after: "\"",
        };
        assert!(is_wrapped(b"\"ab\"", b"ab", quotes));
        assert!(!is_wrapped(b"ab", b"ab", quotes));
        assert!(!is_wrapped(b"\"abc\"", b"ab", quotes));
    }
}
