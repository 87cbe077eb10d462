//! A time in which things go wrong.
//!
//! Lives here: [`Storm`]: weather that changes, connections that break all at once, kills of the log,
//! jumps of the time.
//! Never here: a client.

use std::time::Duration;

use tokio::time::Instant;

use super::{Chance, Network, SimulatedLog, Weather};

/// What a storm may do.
#[derive(Debug, Clone)]
pub struct Storm {
    pub lasts: Duration,
    /// The longest delay of a message.
    pub slow_max_ms: u64,
    /// Whether the log is killed now and then; it must keep what it has on the disk.
    pub kills: bool,
    /// The longest jump of the time, as when a machine sleeps. Zero: none.
    pub jump_max: Duration,
}

impl Storm {
    /// Afterwards the weather is calm and the log is there.
    pub async fn run(&self, mut chance: Chance, network: &Network, log: &mut SimulatedLog) {
        let end = Instant::now() + self.lasts;
        network.set_weather(Weather::of(&mut chance, self.slow_max_ms));
        while Instant::now() < end {
            tokio::time::sleep(chance.millis(100..=4_000)).await;
            match chance.within(0..=9) {
                0..=3 => network.set_weather(Weather::of(&mut chance, self.slow_max_ms)),
                4 => network.set_weather(Weather::calm()),
                5 => network.break_all(),
                6 if !self.jump_max.is_zero() => {
                    let jump = chance.millis(1..=self.jump_max.as_millis() as u64);
                    network.note(format_args!("the time jumps by {} ms", jump.as_millis()));
                    tokio::time::advance(jump).await;
                }
                7 if self.kills => {
                    log.kill().await;
                    tokio::time::sleep(chance.millis(0..=5_000)).await;
                    log.restart().await;
                }
                _ => {}
            }
        }
        network.set_weather(Weather::calm());
    }
}
