//! Values of 100 bytes: a number and words, so that compression finds about what it finds in logs.

pub const BYTES: usize = 100;

/// Different values before they come again. Together larger than any batch and any window of lz4.
const DIFFERENT: usize = 65_536;

const WORDS: [&str; 16] = [
    "order",
    "payment",
    "shipped",
    "warehouse",
    "north",
    "invoice",
    "customer",
    "retry",
    "accepted",
    "pending",
    "gateway",
    "eu-west",
    "basket",
    "refund",
    "priority",
    "standard",
];

/// Made before anything is measured.
pub struct Payloads(Vec<u8>);

impl Payloads {
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(DIFFERENT * BYTES);
        // Xorshift: the same values in every process.
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        for number in 0..DIFFERENT {
            bytes.extend_from_slice(format!("{number:010} ").as_bytes());
            while bytes.len() < (number + 1) * BYTES {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let word = WORDS[(state >> 32) as usize % WORDS.len()];
                bytes.extend_from_slice(format!("{word} {} ", state % 9_973).as_bytes());
            }
            bytes.truncate((number + 1) * BYTES);
        }
        Self(bytes)
    }

    pub fn get(&self, number: u64) -> &[u8] {
        let at = number as usize % DIFFERENT * BYTES;
        &self.0[at..at + BYTES]
    }
}
