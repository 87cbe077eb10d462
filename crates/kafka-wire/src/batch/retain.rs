//! A batch with some of its records: what compaction leaves of it.
//!
//! Lives here: [`retain`]. Offsets and the header's claim on them stay; see `DefaultRecordBatch`
//! and `LogCleaner` in apache/kafka.
//! Never here: which records to keep.

use bytes::Bytes;

use super::*;
use crate::compression::{Codec, Compressor};
use crate::error::WireError;

/// The batch with the records that `keep` says yes to: same base offset, last offset, producer,
/// sequence, codec and maximal timestamp. Without a record left it is a header only.
///
/// `delete_horizon_ms`, when given, is noted in the header in place of the base timestamp
/// ([`HeaderFields::delete_horizon_ms`]); timestamps of records stay. Codec levels are the
/// defaults. Cost: writes all kept records again.
pub fn retain(
    decoded: &DecodedBatch,
    delete_horizon_ms: Option<i64>,
    mut keep: impl FnMut(&RecordView<'_>) -> bool,
) -> Result<Bytes, WireError> {
    let original = decoded.batch().bytes();
    let mut header = [0; BATCH_OVERHEAD];
    header.copy_from_slice(&original[..BATCH_OVERHEAD]);
    let mut attributes = i16::from_be_bytes(get(&header, ATTRIBUTES));
    let mut base_timestamp = decoded.batch().base_timestamp_ms();
    if let Some(horizon) = delete_horizon_ms {
        attributes |= DELETE_HORIZON;
        base_timestamp = horizon;
    }
    let mut builder = BatchBuilder::new(original.len());
    builder.set_base_timestamp(base_timestamp);
    let base_offset = decoded.batch().base_offset();
    for (index, record) in (0u32..).zip(decoded.records()) {
        let record = record?;
        if !keep(&record) {
            continue;
        }
        let headers = record
            .headers()
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| WireError::CorruptRecord {
                base_offset,
                index,
                what: "a length inside its headers is impossible",
            })?;
        builder.append_at(
            (record.offset - base_offset) as i32,
            record.timestamp_ms,
            record.key,
            record.value,
            headers.iter().map(|header| (header.key, header.value)),
        )?;
    }
    let records = builder.record_count();
    let mut batch = match decoded.batch().codec()? {
        _ if records == 0 => {
            attributes &= !CODEC_MASK;
            header.to_vec()
        }
        Codec::None => {
            let mut batch = builder.into_written();
            batch[..BATCH_OVERHEAD].copy_from_slice(&header);
            batch
        }
        codec => {
            let mut batch = header.to_vec();
            Compressor::new(codec, None)?
                .compress(&builder.into_written()[BATCH_OVERHEAD..], &mut batch)?;
            batch
        }
    };
    let length = (batch.len() - LOG_OVERHEAD) as i32;
    put(&mut batch, LENGTH, length.to_be_bytes());
    put(&mut batch, ATTRIBUTES, attributes.to_be_bytes());
    put(&mut batch, BASE_TIMESTAMP, base_timestamp.to_be_bytes());
    put(&mut batch, RECORD_COUNT, (records as i32).to_be_bytes());
    seal(&mut batch);
    Ok(Bytes::from(batch))
}

/// The batch with its records compressed by another codec.
pub fn recompress(decoded: &DecodedBatch, compressor: &mut Compressor) -> Result<Bytes, WireError> {
    let mut batch = decoded.batch().bytes()[..BATCH_OVERHEAD].to_vec();
    let codec = compressor.codec();
    compressor.compress(decoded.payload(), &mut batch)?;
    let attributes = i16::from_be_bytes(get(&batch, ATTRIBUTES)) & !CODEC_MASK | codec as i16;
    let length = (batch.len() - LOG_OVERHEAD) as i32;
    put(&mut batch, LENGTH, length.to_be_bytes());
    put(&mut batch, ATTRIBUTES, attributes.to_be_bytes());
    seal(&mut batch);
    Ok(Bytes::from(batch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::Decompressor;

    fn batch_of(codec: Codec) -> DecodedBatch {
        let mut builder = BatchBuilder::new(256);
        for index in 0..5u8 {
            let header: (&[u8], Option<&[u8]>) = (b"h", None);
            builder
                .append_with_headers(
                    1_000 + i64::from(index),
                    Some(&[index]),
                    Some(b"value"),
                    [header, header].into_iter(),
                )
                .expect("fits");
        }
        let producer = ProducerState {
            id: 7,
            epoch: 1,
            base_sequence: 30,
        };
        let mut compressor = Compressor::new(codec, None).expect("a codec");
        let header = BatchHeader {
            base_offset: 40,
            ..BatchHeader::produced(producer, BatchKind::Plain)
        };
        let bytes = builder.finish(&header, &mut compressor).expect("a batch");
        decode(bytes.bytes)
    }

    fn decode(bytes: Bytes) -> DecodedBatch {
        let batch = RecordBatches::new(bytes)
            .next()
            .expect("whole")
            .expect("sound");
        batch
            .decode(&mut Decompressor::new(1 << 20))
            .expect("sound")
    }

    fn rows(batch: &DecodedBatch) -> Vec<(i64, i64, u8, usize)> {
        let row = |record: Result<RecordView<'_>, _>| {
            let record = record.expect("sound");
            let key = record.key.expect("a key")[0];
            let headers = record.headers().count();
            (record.offset, record.timestamp_ms, key, headers)
        };
        batch.records().map(row).collect()
    }

    #[test]
    fn offsets_timestamps_headers_and_the_producer_stay() {
        for codec in [
            Codec::None,
            Codec::Gzip,
            Codec::Snappy,
            Codec::Lz4,
            Codec::Zstd,
        ] {
            let original = batch_of(codec);
            for horizon in [None, Some(99_000)] {
                let kept = retain(&original, horizon, |record| record.offset % 2 == 1);
                let kept = decode(kept.expect("retained"));
                assert_eq!(rows(&kept), [(41, 1001, 1, 2), (43, 1003, 3, 2)]);
                let fields = HeaderFields::read(kept.batch().bytes())
                    .expect("sound")
                    .expect("whole");
                assert_eq!(fields.last_offset(), 44);
                assert_eq!(fields.last_sequence(), 34);
                assert_eq!(fields.max_timestamp_ms, 1004);
                assert_eq!(fields.delete_horizon_ms(), horizon);
                assert_eq!(fields.codec(), Some(codec));
                assert!(fields.crc_matches(kept.batch().bytes()));
            }
            let none = decode(retain(&original, None, |_| false).expect("retained"));
            assert_eq!((rows(&none).len(), none.batch().last_offset()), (0, 44));
            assert_eq!(none.batch().producer(), original.batch().producer());
        }
    }

    #[test]
    fn recompressed_records_are_the_same() {
        let original = batch_of(Codec::Lz4);
        for codec in [Codec::None, Codec::Zstd] {
            let mut compressor = Compressor::new(codec, None).expect("a codec");
            let again = decode(recompress(&original, &mut compressor).expect("compressed"));
            assert_eq!(rows(&again), rows(&original));
            assert_eq!(again.batch().codec().expect("known"), codec);
        }
    }
}
