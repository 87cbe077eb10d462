//! zstd, with one context per direction kept between batches.

use std::io;

use zstd::bulk;
use zstd::stream::raw::{self, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe;

use super::{Failure, Output};

/// Java's default.
const LEVEL_DEFAULT: i32 = 3;
/// Decompressed at a time; zstd's own recommendation is 128 KB.
const CHUNK_BYTES: usize = 128 * 1024;

pub(super) struct Encoder {
    context: bulk::Compressor<'static>,
}

impl Encoder {
    pub(super) fn new(level: Option<i32>) -> io::Result<Encoder> {
        Ok(Encoder {
            context: bulk::Compressor::new(level.unwrap_or(LEVEL_DEFAULT))?,
        })
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let start = out.len();
        // The bound is part of the library's contract: with this room it cannot fail half-way.
        out.resize(start + zstd_safe::compress_bound(input.len()), 0);
        let bytes = self
            .context
            .compress_to_buffer(input, &mut out[start..])
            .map_err(|error| error.to_string())?;
        out.truncate(start + bytes);
        Ok(())
    }
}

pub(super) struct Decoder {
    context: raw::Decoder<'static>,
    chunk: Vec<u8>,
}

impl Decoder {
    pub(super) fn new() -> io::Result<Decoder> {
        Ok(Decoder {
            context: raw::Decoder::new()?,
            chunk: vec![0; CHUNK_BYTES],
        })
    }

    pub(super) fn decompress(&mut self, input: &[u8], out: &mut Output) -> Result<(), Failure> {
        // Also after a batch that failed half-way.
        self.context.reinit().map_err(Failure::corrupt)?;
        let mut from = InBuffer::around(input);
        loop {
            let mut to = OutBuffer::around(self.chunk.as_mut_slice());
            let more = self
                .context
                .run(&mut from, &mut to)
                .map_err(Failure::corrupt)?;
            let filled = to.pos();
            out.extend(&self.chunk[..filled])?;
            let input_left = from.pos() < input.len();
            match (more, input_left) {
                // A frame ended, and nothing is behind it.
                (0, false) => return Ok(()),
                // Frames may follow each other.
                (_, true) => {}
                // The frame wants more than there is, and has nothing left to give.
                (_, false) if filled < CHUNK_BYTES => {
                    return Err(Failure::corrupt("frame is cut"));
                }
                (_, false) => {}
            }
        }
    }
}
