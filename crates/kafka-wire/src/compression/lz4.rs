//! LZ4 frames. The common frame (independent blocks, no checksums) is taken apart here, block by
//! block, straight between the two buffers; every other valid frame goes through the library's
//! own reader.
//!
//! Source: the LZ4 frame format; `Lz4BlockOutputStream` in apache/kafka, clients.

use std::io::Read;

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};
use lz4_flex::frame::FrameDecoder;

use super::{Failure, Output};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Magic; flags: version 1, independent blocks, nothing else; blocks of at most 64 KB; and the
/// header's checksum, constant like the rest. The same seven bytes as Java writes.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const END_MARK: [u8; 4] = [0; 4];
/// Just below 64 KB: the small table of the library, which is twice as quick to clear, takes
/// inputs below `u16::MAX`. A frame may hold smaller blocks than it announces.
const BLOCK_BYTES: usize = 65_534;
/// Set in a block's length when the block is stored as it is.
const STORED: u32 = 0x8000_0000;

pub(super) struct Encoder {
    table: CompressTable,
    block: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Encoder {
        Encoder {
            table: CompressTable::small(),
            block: vec![0; get_maximum_output_size(BLOCK_BYTES)],
        }
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(&HEADER);
        for chunk in input.chunks(BLOCK_BYTES) {
            let bytes = compress_into_with_table(chunk, &mut self.block, &mut self.table)
                .map_err(|error| error.to_string())?;
            let (flag, block) = if bytes < chunk.len() {
                (0, &self.block[..bytes])
            } else {
                (STORED, chunk)
            };
            let length = u32::try_from(block.len()).map_err(|error| error.to_string())?;
            out.extend_from_slice(&(length | flag).to_le_bytes());
            out.extend_from_slice(block);
        }
        out.extend_from_slice(&END_MARK);
        Ok(())
    }
}

pub(super) struct Decoder {
    block: Vec<u8>,
}

/// What the first bytes of a frame say.
struct FrameHeader {
    /// Independent blocks, no checksums, no sizes, no dictionary.
    simple: bool,
    block_bytes_max: usize,
}

impl FrameHeader {
    fn read(input: &[u8]) -> Option<FrameHeader> {
        let [flags, block_descriptor, _checksum] =
            *input.strip_prefix(&MAGIC)?.first_chunk::<3>()?;
        let block_bytes_max = match (block_descriptor >> 4) & 7 {
            4 => 64 * 1024,
            5 => 256 * 1024,
            6 => 1024 * 1024,
            7 => 4 * 1024 * 1024,
            _ => return None,
        };
        Some(FrameHeader {
            simple: flags == 0x60,
            block_bytes_max,
        })
    }
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder { block: Vec::new() }
    }

    pub(super) fn decompress(&mut self, input: &[u8], out: &mut Output) -> Result<(), Failure> {
        match FrameHeader::read(input) {
            Some(header) if header.simple => self.simple(&input[HEADER.len()..], header, out),
            // Also the header checksum of Kafka's first lz4 clients, which was computed over the
            // wrong bytes: the library refuses it, and those wrote message format 0 only.
            Some(_) => any(input, out),
            None => Err(Failure::corrupt("this is not an lz4 frame")),
        }
    }

    fn simple(
        &mut self,
        mut rest: &[u8],
        header: FrameHeader,
        out: &mut Output,
    ) -> Result<(), Failure> {
        loop {
            let (length, blocks) = rest
                .split_first_chunk::<4>()
                .ok_or_else(|| Failure::corrupt("no end mark"))?;
            let length = u32::from_le_bytes(*length);
            if length == 0 {
                // Java reads one frame and ignores what follows it.
                return Ok(());
            }
            let bytes = (length & !STORED) as usize;
            if bytes > blocks.len() || bytes > header.block_bytes_max {
                return Err(Failure::corrupt(
                    "block is longer than the data or than a block",
                ));
            }
            let (block, behind) = blocks.split_at(bytes);
            if length & STORED != 0 {
                out.extend(block)?;
            } else {
                if self.block.len() < header.block_bytes_max {
                    self.block.resize(header.block_bytes_max, 0);
                }
                let scratch = &mut self.block[..header.block_bytes_max];
                let bytes = decompress_into(block, scratch).map_err(Failure::corrupt)?;
                out.extend(&scratch[..bytes])?;
            }
            rest = behind;
        }
    }
}

fn any(input: &[u8], out: &mut Output) -> Result<(), Failure> {
    let room = out.room() as u64;
    let read = FrameDecoder::new(input)
        .take(room + 1)
        .read_to_end(&mut out.bytes)
        .map_err(Failure::corrupt)?;
    if read as u64 > room {
        Err(Failure::TooLarge)
    } else {
        Ok(())
    }
}
