//! gzip, through zlib's interface.

use std::io::Read;

use flate2::{Compress, Compression, FlushCompress, Status, bufread::MultiGzDecoder};

use super::{Failure, Output};

/// As zlib's `deflateInit` takes it: 32 KB, the format's largest.
const WINDOW_BITS: u8 = 15;

pub(super) struct Encoder {
    deflate: Compress,
}

impl Encoder {
    /// `None` and -1 are zlib's default, which is 6.
    pub(super) fn new(level: Option<i32>) -> Encoder {
        let level = match level {
            Some(level @ 1..=9) => Compression::new(level.unsigned_abs()),
            _ => Compression::default(),
        };
        Encoder {
            deflate: Compress::new_gzip(level, WINDOW_BITS),
        }
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        self.deflate.reset();
        // Half is enough for most record data; the loop grows it for the rest.
        out.reserve(input.len() / 2 + 64);
        loop {
            let consumed = self.deflate.total_in() as usize;
            let status = self
                .deflate
                .compress_vec(&input[consumed..], out, FlushCompress::Finish)
                .map_err(|error| error.to_string())?;
            match status {
                Status::StreamEnd => return Ok(()),
                Status::Ok | Status::BufError => out.reserve(input.len() / 4 + 64),
            }
        }
    }
}

/// Reads one member or several behind each other, as Java's `GZIPInputStream` does.
pub(super) fn decompress(input: &[u8], out: &mut Output) -> Result<(), Failure> {
    let room = out.room() as u64;
    let read = MultiGzDecoder::new(input)
        .take(room + 1)
        .read_to_end(&mut out.bytes)
        .map_err(Failure::corrupt)?;
    if read as u64 > room {
        Err(Failure::TooLarge)
    } else {
        Ok(())
    }
}
