//! snappy in the framing of snappy-java's `SnappyOutputStream`, which Kafka's Java clients write:
//! a 16-byte header, then blocks of a big-endian `i32` length and a raw snappy block each.
//! librdkafka and others may write one raw block without any framing; both are read.

use snap::raw;

use super::{Failure, Output};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, version 1, and the oldest version that can read it, 1.
const HEADER: [u8; 16] = [
    0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
];
const BLOCK_BYTES: usize = 32 * 1024;
/// snappy's elements copy at most 64 bytes for 3 (2 with a short offset); a claim beyond this
/// ratio is a lie, and nothing is allocated for it.
const RATIO_MAX: usize = 64;

pub(super) struct Encoder {
    encoder: raw::Encoder,
    block: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Encoder {
        Encoder {
            encoder: raw::Encoder::new(),
            block: vec![0; raw::max_compress_len(BLOCK_BYTES)],
        }
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(&HEADER);
        for chunk in input.chunks(BLOCK_BYTES) {
            let bytes = self
                .encoder
                .compress(chunk, &mut self.block)
                .map_err(|error| error.to_string())?;
            let length = u32::try_from(bytes).map_err(|error| error.to_string())?;
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&self.block[..bytes]);
        }
        Ok(())
    }
}

pub(super) struct Decoder {
    decoder: raw::Decoder,
    block: Vec<u8>,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder {
            decoder: raw::Decoder::new(),
            block: Vec::new(),
        }
    }

    pub(super) fn decompress(&mut self, input: &[u8], out: &mut Output) -> Result<(), Failure> {
        let Some(framed) = input.strip_prefix(&MAGIC) else {
            return self.block(input, out);
        };
        let versions = HEADER.len() - MAGIC.len();
        let mut rest = framed
            .get(versions..)
            .ok_or_else(|| Failure::corrupt("header is cut"))?;
        while !rest.is_empty() {
            let (length, blocks) = rest
                .split_first_chunk::<4>()
                .ok_or_else(|| Failure::corrupt("length is cut"))?;
            let length = u32::from_be_bytes(*length) as usize;
            if length > blocks.len() {
                return Err(Failure::corrupt("block is longer than the data"));
            }
            let (block, behind) = blocks.split_at(length);
            self.block(block, out)?;
            rest = behind;
        }
        Ok(())
    }

    fn block(&mut self, block: &[u8], out: &mut Output) -> Result<(), Failure> {
        let bytes = raw::decompress_len(block).map_err(Failure::corrupt)?;
        if bytes > out.room() {
            return Err(Failure::TooLarge);
        }
        if bytes > block.len().saturating_mul(RATIO_MAX) {
            return Err(Failure::corrupt("block claims an impossible size"));
        }
        if self.block.len() < bytes {
            self.block.resize(bytes, 0);
        }
        let bytes = self
            .decoder
            .decompress(block, &mut self.block)
            .map_err(Failure::corrupt)?;
        out.extend(&self.block[..bytes])?;
        // A raw block can be as large as a whole batch; do not keep that for ever.
        if self.block.len() > 2 * BLOCK_BYTES {
            self.block = Vec::new();
        }
        Ok(())
    }
}
