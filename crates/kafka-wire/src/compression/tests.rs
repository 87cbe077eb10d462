//! Every codec there and back, limits, damage, and the framings that Java writes.
//!
//! Never here: batches (`crate::batch`).

use super::*;

/// Cheap, repeatable and neither constant nor random: words of a small vocabulary.
fn text(bytes: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = [
        "order ",
        "paid ",
        "2026-01-02 ",
        "42 ",
        "null ",
        "customer ",
        "é ",
        "\n",
    ];
    let mut out = Vec::with_capacity(bytes + 16);
    let mut state = 7u32;
    while out.len() < bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend_from_slice(WORDS[(state >> 29) as usize].as_bytes());
    }
    out.truncate(bytes);
    out
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

#[track_caller]
fn check(codec: Codec, level: Option<i32>, input: &[u8]) {
    let mut compressor = Compressor::new(codec, level).unwrap();
    let mut decompressor = Decompressor::new(input.len());
    // Twice: contexts are kept, and the second batch must not see the first.
    for round in 0..2 {
        let mut compressed = b"before".to_vec();
        compressor.compress(input, &mut compressed).unwrap();
        let compressed = compressed.strip_prefix(b"before").unwrap();
        let output = decompressor.decompress(codec, compressed).unwrap();
        assert!(
            output == input,
            "{codec} {level:?} {} bytes, round {round}",
            input.len()
        );
        if !input.is_empty() && codec != Codec::None {
            let short = Decompressor::new(input.len() - 1).decompress(codec, compressed);
            assert!(
                matches!(short, Err(WireError::DecompressedTooLarge { .. })),
                "{short:?}"
            );
            for cut in [0, 1, compressed.len() / 2, compressed.len() - 1] {
                let cut_short = decompressor.decompress(codec, &compressed[..cut]);
                // A raw or framed snappy stream that ends between two blocks looks whole.
                if let Ok(output) = cut_short {
                    assert!(output.len() < input.len(), "{codec} cut at {cut}");
                }
            }
        }
    }
}

#[test]
fn every_codec_gives_back_what_it_took() {
    for codec in Codec::ALL {
        for bytes in [
            0,
            1,
            100,
            32 * 1024,
            32 * 1024 + 1,
            65_534,
            65_535,
            65_536,
            200_000,
        ] {
            check(codec, None, &text(bytes));
            check(codec, None, &noise(bytes));
        }
    }
}

#[test]
fn every_level_gives_back_what_it_took() {
    let input = text(5_000);
    for (codec, levels) in [
        (Codec::Gzip, &[-1, 1, 6, 9][..]),
        (Codec::Lz4, &[1, 9, 17]),
        (Codec::Zstd, &[-131_072, -1, 0, 1, 3, 22]),
    ] {
        for level in levels {
            check(codec, Some(*level), &input);
        }
    }
}

#[test]
fn a_level_that_the_codec_lacks_is_refused() {
    for (codec, level) in [
        (Codec::None, 1),
        (Codec::Snappy, 1),
        (Codec::Gzip, 0),
        (Codec::Gzip, 10),
        (Codec::Lz4, 0),
        (Codec::Lz4, 18),
        (Codec::Zstd, 23),
        (Codec::Zstd, -131_073),
    ] {
        let refused = Compressor::new(codec, Some(level))
            .err()
            .map(|error| error.to_string());
        assert!(
            refused.is_some_and(|text| text.contains(&level.to_string())),
            "{codec} {level}"
        );
    }
}

#[test]
fn frames_of_other_writers_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write;

    let input = text(300_000);
    let mut decompressor = Decompressor::new(input.len());

    // librdkafka's snappy: one raw block.
    let raw = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    assert!(decompressor.decompress(Codec::Snappy, &raw).unwrap() == input);

    for info in [
        FrameInfo::new()
            .block_mode(BlockMode::Linked)
            .block_size(BlockSize::Max256KB),
        FrameInfo::new()
            .content_checksum(true)
            .block_checksums(true),
        FrameInfo::new().block_size(BlockSize::Max4MB),
        FrameInfo::new().content_size(Some(input.len() as u64)),
    ] {
        let mut encoder = FrameEncoder::with_frame_info(info.clone(), Vec::new());
        encoder.write_all(&input).unwrap();
        let frame = encoder.finish().unwrap();
        assert!(
            decompressor.decompress(Codec::Lz4, &frame).unwrap() == input,
            "{info:?}"
        );
    }

    // Two frames, and two members, behind each other.
    for codec in [Codec::Zstd, Codec::Gzip] {
        let mut twice = Vec::new();
        let mut compressor = Compressor::new(codec, None).unwrap();
        compressor.compress(&input[..1000], &mut twice).unwrap();
        compressor.compress(&input[1000..], &mut twice).unwrap();
        assert!(
            decompressor.decompress(codec, &twice).unwrap() == input,
            "{codec}"
        );
    }
}

/// A few bytes that claim or become gigabytes end at the limit.
#[test]
fn bombs_end_at_the_limit() {
    let zeros = vec![0u8; 8 << 20];
    let mut decompressor = Decompressor::new(1 << 20);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut bomb = Vec::new();
        Compressor::new(codec, None)
            .unwrap()
            .compress(&zeros, &mut bomb)
            .unwrap();
        let refused = decompressor.decompress(codec, &bomb);
        assert!(
            matches!(refused, Err(WireError::DecompressedTooLarge { .. })),
            "{codec}"
        );
    }
    // A raw snappy block that says 1 MB and holds nothing.
    assert!(
        decompressor
            .decompress(Codec::Snappy, &[0x80, 0x80, 0x40])
            .is_err()
    );
}
