//! New member ids: the client's or the instance's name and a number that nobody guesses.
//!
//! Lives here: the number. Never here: a source of chance; the owner gives the seed.

/// Gives out ids of the shape `<name>-<uuid>`, as Kafka does.
#[derive(Debug)]
pub(super) struct MemberIds {
    seed: u64,
    given: u64,
}

impl MemberIds {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, given: 0 }
    }

    pub(super) fn next(&mut self, name: &str) -> String {
        self.given += 1;
        let high = mixed(self.seed ^ mixed(self.given));
        let low = mixed(high ^ self.seed.rotate_left(32));
        format!(
            "{name}-{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0x0fff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff,
        )
    }
}

/// The finalizer of SplitMix64: every bit of the input changes half of the output's.
fn mixed(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
