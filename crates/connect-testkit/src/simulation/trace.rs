//! What happened in a run, line by line, and one number that stands for all of it.
//!
//! Lives here: [`Trace`].
//! Never here: a decision.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// Lines that are kept of a run that nobody looks at.
const LINES_KEPT: usize = 60;

/// The events of a run. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Trace(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    started: Instant,
    hash: Fnv,
    lines: VecDeque<String>,
    kept: usize,
}

impl Trace {
    /// From now on; `whole` keeps every line.
    pub(super) fn new(whole: bool) -> Trace {
        Trace(Arc::new(Mutex::new(Lines {
            started: Instant::now(),
            hash: Fnv::default(),
            lines: VecDeque::new(),
            kept: if whole { usize::MAX } else { LINES_KEPT },
        })))
    }

    /// One more event, with the time.
    pub fn note(&self, event: fmt::Arguments<'_>) {
        let mut lines = self.lines();
        let mut line = String::with_capacity(96);
        let since = lines.started.elapsed();
        write!(line, "{:10.3} {event}", since.as_secs_f64()).expect("a string takes everything");
        lines.hash.add(line.as_bytes());
        if lines.lines.len() >= lines.kept {
            lines.lines.pop_front();
        }
        lines.lines.push_back(line);
    }

    /// Two runs with the same number had the same events at the same times.
    pub fn hash(&self) -> u64 {
        self.lines().hash.0
    }

    pub(super) fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines().lines).into()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// FNV-1a, 64 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fnv(pub(super) u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn of(bytes: &[u8]) -> u64 {
        let mut hash = Fnv::default();
        hash.add(bytes);
        hash.0
    }
}
