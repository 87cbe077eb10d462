//! A whole cluster inside one test process, where a seed decides everything that can go wrong.
//!
//! Lives here: what happens by chance ([`Chance`]), how bad the network is ([`Weather`]), the network
//! and its faults ([`Network`]), the log behind it and its crashes ([`SimulatedLog`]), the record of
//! what happened ([`Trace`]), and the runner of many seeds ([`Scenario`]).
//! Lives elsewhere: the scenarios and their invariants (`tests/` of the crates that they prove).
//! Never here: a socket, a wait by the clock on the wall, a source of chance besides the seed.
//!
//! A run is one thread with one current-thread runtime under Tokio's paused time: an hour passes as
//! soon as everybody waits. What the operating system would add by chance (the keys of hash maps, the
//! time of day) is answered by `ambience`, so that a seed gives the same run each time.

mod ambience;
mod chance;
mod errors;
mod log;
mod network;
mod onlooker;
mod relay;
mod scenario;
mod storm;
mod trace;
mod weather;

pub use chance::Chance;
pub use log::{Keep, SimulatedLog};
pub use network::{Network, SimulatedDial};
pub use onlooker::{Onlooker, Stored};
pub use scenario::{Scenario, Simulation};
pub use storm::Storm;
pub use trace::Trace;
pub use weather::Weather;
