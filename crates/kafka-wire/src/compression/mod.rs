//! The five codecs in the framing that Kafka's clients write and read.
//!
//! Lives here: [`Compressor`] and [`Decompressor`], one per producer or fetcher, which keep their
//! contexts and scratch buffers between batches.
//! Lives elsewhere: record batches (`batch`), settings and their warnings (`kafka_client`).
//!
//! | codec | on the wire | we write |
//! |---|---|---|
//! | gzip | RFC 1952 | one member, no name |
//! | snappy | snappy-java's stream, or one raw block | the stream, blocks of 32 KB |
//! | lz4 | LZ4 frame | independent blocks of at most 64 KB, no checksums |
//! | zstd | zstd frames | one frame with its content size |

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::fmt;

use crate::error::WireError;

/// Compression type of a record batch; the number is the one in its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Codec {
    pub const ALL: [Codec; 5] = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ];

    pub fn from_id(id: u8) -> Option<Codec> {
        Codec::ALL.get(usize::from(id)).copied()
    }

    /// The name in `compression.type`.
    pub fn from_name(name: &str) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }

    /// What `compression.<name>.level` may hold, in words; `None` when the codec has no levels.
    pub fn valid_levels(self) -> Option<&'static str> {
        match self {
            Codec::None | Codec::Snappy => None,
            Codec::Gzip => Some("-1 (default), 1 to 9"),
            Codec::Lz4 => Some("1 to 17"),
            Codec::Zstd => Some("-131072 to 22"),
        }
    }

    pub fn is_valid_level(self, level: i32) -> bool {
        match self {
            Codec::None | Codec::Snappy => false,
            Codec::Gzip => level == -1 || (1..=9).contains(&level),
            Codec::Lz4 => (1..=17).contains(&level),
            Codec::Zstd => (-131_072..=22).contains(&level),
        }
    }

    /// Whether a level changes anything here. For lz4 it does not: the library has the fast
    /// compressor only, while Java uses its high compressor from level 2 on. The result is a valid
    /// frame at every level, only larger; settings warn when a level other than Java's default
    /// is asked for.
    pub fn honours_level(self) -> bool {
        matches!(self, Codec::Gzip | Codec::Zstd)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Compresses one batch after the other, keeping its context. One per producer; not shared.
pub struct Compressor {
    codec: Codec,
    state: CompressorState,
}

enum CompressorState {
    None,
    Gzip(Box<gzip::Encoder>),
    Snappy(Box<snappy::Encoder>),
    Lz4(lz4::Encoder),
    Zstd(zstd::Encoder),
}

impl Compressor {
    /// `level: None` is the default of Java's clients (gzip 6, lz4 9, zstd 3).
    /// Fails: when the level is not one of the codec's, or the codec's context cannot be made.
    pub fn new(codec: Codec, level: Option<i32>) -> Result<Compressor, WireError> {
        if let Some(level) = level
            && !codec.is_valid_level(level)
        {
            let valid = codec.valid_levels().unwrap_or("it has no levels");
            return Err(WireError::InvalidLevel {
                codec,
                level,
                valid,
            });
        }
        let state = match codec {
            Codec::None => CompressorState::None,
            Codec::Gzip => CompressorState::Gzip(Box::new(gzip::Encoder::new(level))),
            Codec::Snappy => CompressorState::Snappy(Box::new(snappy::Encoder::new())),
            Codec::Lz4 => CompressorState::Lz4(lz4::Encoder::new()),
            Codec::Zstd => CompressorState::Zstd(
                zstd::Encoder::new(level).map_err(|cause| compress_error(codec, cause))?,
            ),
        };
        Ok(Compressor { codec, state })
    }

    /// For batches that are not compressed. Holds nothing.
    pub fn none() -> Compressor {
        Compressor {
            codec: Codec::None,
            state: CompressorState::None,
        }
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends `input` compressed to `out`.
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        match &mut self.state {
            CompressorState::None => {
                out.extend_from_slice(input);
                Ok(())
            }
            CompressorState::Gzip(encoder) => encoder.compress(input, out),
            CompressorState::Snappy(encoder) => encoder.compress(input, out),
            CompressorState::Lz4(encoder) => encoder.compress(input, out),
            CompressorState::Zstd(encoder) => encoder.compress(input, out),
        }
        .map_err(|cause| compress_error(self.codec, cause))
    }
}

/// Decompresses one batch after the other, keeping contexts and scratch buffers. One per fetcher;
/// not shared.
pub struct Decompressor {
    limit_bytes: usize,
    snappy: snappy::Decoder,
    lz4: lz4::Decoder,
    zstd: Option<zstd::Decoder>,
}

/// First reservation for a batch whose decompressed size is unknown, at most.
const RESERVE_BYTES_MAX: usize = 1024 * 1024;

impl Decompressor {
    /// `limit_bytes`: the most that one batch may become; beyond it is an error, which protects
    /// memory from a small batch that expands a thousandfold.
    pub fn new(limit_bytes: usize) -> Decompressor {
        Decompressor {
            limit_bytes,
            snappy: snappy::Decoder::new(),
            lz4: lz4::Decoder::new(),
            zstd: None,
        }
    }

    /// `input` decompressed, in a new buffer that holds nothing else.
    pub fn decompress(&mut self, codec: Codec, input: &[u8]) -> Result<Vec<u8>, WireError> {
        let mut out = Output::new(self.limit_bytes, input.len());
        match codec {
            Codec::None => out.extend(input),
            Codec::Gzip => gzip::decompress(input, &mut out),
            Codec::Snappy => self.snappy.decompress(input, &mut out),
            Codec::Lz4 => self.lz4.decompress(input, &mut out),
            Codec::Zstd => self.decompress_zstd(input, &mut out),
        }
        .map_err(|failure| match failure {
            Failure::TooLarge => WireError::DecompressedTooLarge {
                codec,
                limit_bytes: self.limit_bytes,
            },
            Failure::Corrupt(cause) => WireError::Decompress { codec, cause },
        })?;
        Ok(out.bytes)
    }

    fn decompress_zstd(&mut self, input: &[u8], out: &mut Output) -> Result<(), Failure> {
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => none.insert(zstd::Decoder::new().map_err(Failure::corrupt)?),
        };
        decoder.decompress(input, out)
    }
}

/// Why a decoder stopped; [`Decompressor::decompress`] adds which codec.
enum Failure {
    TooLarge,
    Corrupt(Box<str>),
}

impl Failure {
    fn corrupt(cause: impl fmt::Display) -> Failure {
        Failure::Corrupt(cause.to_string().into_boxed_str())
    }
}

/// Decompressed bytes so far, which never pass the limit.
struct Output {
    bytes: Vec<u8>,
    limit_bytes: usize,
}

impl Output {
    fn new(limit_bytes: usize, compressed_bytes: usize) -> Output {
        let guess = compressed_bytes
            .saturating_mul(3)
            .min(RESERVE_BYTES_MAX)
            .min(limit_bytes);
        Output {
            bytes: Vec::with_capacity(guess),
            limit_bytes,
        }
    }

    /// Bytes that may still be added.
    fn room(&self) -> usize {
        self.limit_bytes - self.bytes.len()
    }

    fn extend(&mut self, more: &[u8]) -> Result<(), Failure> {
        if more.len() > self.room() {
            return Err(Failure::TooLarge);
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }
}

fn compress_error(codec: Codec, cause: impl fmt::Display) -> WireError {
    WireError::Compress {
        codec,
        cause: cause.to_string().into_boxed_str(),
    }
}

#[cfg(test)]
mod tests;
