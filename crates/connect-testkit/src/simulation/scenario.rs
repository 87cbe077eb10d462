//! Many seeds of one scenario, and the replay of one.
//!
//! Lives here: [`Scenario`], the runner; [`Simulation`], what a run is given.
//! Never here: an invariant; scenarios assert their own.

use std::any::Any;
use std::cell::Cell;
use std::panic;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use kafka_client::Client;
use kafka_client::settings::ConnectionSettings;

use super::{Chance, Network, SimulatedLog, Trace, ambience};

/// How many seeds all scenarios together get, when nobody says otherwise.
const SEEDS: u64 = 2_000;

/// A run that takes longer hangs. Simulated time.
const LONGEST_RUN: Duration = Duration::from_secs(24 * 3600);

/// A run that takes longer spins. Time on the wall.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How many seeds: all scenarios together.
const SEEDS_VARIABLE: &str = "MILLSTREAM_SIM_SEEDS";

/// Only this seed, with its whole trace.
const SEED_VARIABLE: &str = "MILLSTREAM_SIM_SEED";

/// Set for a run whose trace nobody wants to see unless it fails.
const LAST_LINES_VARIABLE: &str = "MILLSTREAM_SIM_LAST_LINES";

/// How much of a trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    All,
    Last,
}

/// A way to use the cluster, to be run with many seeds.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// `env!("CARGO_PKG_NAME")`, for the command that replays a seed.
    pub package: &'static str,
    /// `env!("CARGO_CRATE_NAME")`, the same.
    pub suite: &'static str,
    /// The test's own name, the same.
    pub test: &'static str,
    /// Its part of all seeds, in thousandths.
    pub share: u64,
}

/// What a run is made of.
#[derive(Debug)]
pub struct Simulation {
    pub seed: u64,
    pub chance: Chance,
    pub network: Network,
    pub log: SimulatedLog,
    pub trace: Trace,
}

impl Simulation {
    fn new(seed: u64, whole_trace: bool) -> Simulation {
        let mut chance = Chance::new(seed);
        let trace = Trace::new(whole_trace);
        let network = Network::new(trace.clone(), chance.fork());
        let log = SimulatedLog::new(network.clone(), trace.clone(), chance.word());
        Simulation {
            seed,
            chance,
            network,
            log,
            trace,
        }
    }

    /// A client that connects through the weather.
    pub fn client(&self, name: &str, settings: ConnectionSettings) -> Client {
        Client::new(settings, self.network.dial(name))
    }
}

/// How a run ended.
struct Outcome {
    hash: u64,
    trace: Vec<String>,
    failure: Option<String>,
}

impl Scenario {
    /// Runs the seeds that the environment asks for.
    ///
    /// Panics: with the first seed that failed, the end of its trace, and the command that replays it.
    pub fn run<F: Future<Output = ()> + 'static>(&self, body: fn(Simulation) -> F) {
        if let Some(seed) = number(SEED_VARIABLE) {
            return self.run_here(seed, body);
        }
        let seeds = (number(SEEDS_VARIABLE).unwrap_or(SEEDS) * self.share).div_ceil(1000);
        let next = AtomicU64::new(0);
        let failed: Mutex<Option<(u64, String)>> = Mutex::new(None);
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return;
                }
                if let Err(said) = self.run_apart(seed, Lines::Last) {
                    next.store(seeds, Ordering::Relaxed);
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    // Of several that fail at the same time, always the same one.
                    if failed.as_ref().is_none_or(|(other, _)| seed < *other) {
                        *failed = Some((seed, said));
                    }
                    return;
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(work);
            }
        });
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some((seed, said)) = failed {
            panic!(
                "{said}\nseed {seed} of {} failed\n{}",
                self.test,
                self.replay(seed)
            );
        }
    }

    /// Runs each seed of [`run`](Self::run) twice.
    ///
    /// Panics: when the two runs are not the same, with the event in which they first differ.
    pub fn assert_repeats(&self, seeds: impl IntoIterator<Item = u64>) {
        for seed in seeds {
            let [first, second] = [(); 2].map(|()| match self.run_apart(seed, Lines::All) {
                Ok(said) => said,
                Err(said) => panic!("{said}\nseed {seed} of {} failed", self.test),
            });
            let first: Vec<&str> = first.lines().collect();
            let second: Vec<&str> = second.lines().collect();
            assert!(first.len() > 10, "a run without events: {first:?}");
            let differs =
                (0..first.len().max(second.len())).find(|at| first.get(*at) != second.get(*at));
            if let Some(at) = differs {
                panic!(
                    "{} does not repeat with seed {seed}; after\n{}\nonce\n{:?}\nonce\n{:?}",
                    self.test,
                    first[at.saturating_sub(5)..at].join("\n"),
                    first.get(at),
                    second.get(at)
                );
            }
        }
    }

    /// One seed, in this process.
    fn run_here<F: Future<Output = ()> + 'static>(&self, seed: u64, body: fn(Simulation) -> F) {
        let lines = match std::env::var_os(LAST_LINES_VARIABLE) {
            Some(_) => Lines::Last,
            None => Lines::All,
        };
        let outcome = outcome_of(seed, lines, body);
        if lines == Lines::All || outcome.failure.is_some() {
            for line in &outcome.trace {
                eprintln!("{line}");
            }
            eprintln!("trace of seed {seed}: {:016x}", outcome.hash);
        }
        if let Some(failure) = outcome.failure {
            panic!("seed {seed} of {} failed: {failure}", self.test);
        }
    }

    /// One seed, in a process of its own: what is initialized once per process, and Tokio's count of
    /// runtimes, out of which it makes chance of its own, are the same in each run only so.
    ///
    /// What it said comes back, as `Err` when it failed.
    fn run_apart(&self, seed: u64, lines: Lines) -> Result<String, String> {
        let this = std::env::current_exe().expect("this test runs from a file");
        let mut command = Command::new(this);
        command
            .args(["--exact", self.test, "--nocapture", "--test-threads=1"])
            .env(SEED_VARIABLE, seed.to_string());
        if lines == Lines::Last {
            command.env(LAST_LINES_VARIABLE, "1");
        }
        let output = command.output().expect("this test can be started");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.success() {
            true => Ok(said),
            false => Err(said),
        }
    }

    fn replay(&self, seed: u64) -> String {
        let Scenario {
            package,
            suite,
            test,
            ..
        } = self;
        format!(
            "to replay it: {SEED_VARIABLE}={seed} cargo test -p {package} --test {suite} -- --exact {test} --nocapture"
        )
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{variable} must be a number, got {text:?}"),
    }
}

/// One run, on a thread of its own: hash maps take their keys from the thread.
fn outcome_of<F: Future<Output = ()> + 'static>(
    seed: u64,
    lines: Lines,
    body: fn(Simulation) -> F,
) -> Outcome {
    hear_of_panics();
    let (sender, receiver) = std::sync::mpsc::channel();
    // Kept outside of the run, which may panic or never end.
    let kept: Arc<OnceLock<Trace>> = Arc::default();
    let keep = kept.clone();
    let run = move || {
        ambience::simulate(seed);
        let failure = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                ambience::begin();
                let simulation = Simulation::new(seed, lines == Lines::All);
                _ = keep.set(simulation.trace.clone());
                if tokio::time::timeout(LONGEST_RUN, body(simulation))
                    .await
                    .is_err()
                {
                    panic!(
                        "it hangs: it is not over after {} h of its own time",
                        LONGEST_RUN.as_secs() / 3600
                    );
                }
            });
        }));
        let failure = match failure {
            Ok(()) => FIRST_PANIC.take(),
            Err(payload) => Some(FIRST_PANIC.take().unwrap_or_else(|| said(&*payload))),
        };
        // Whoever waited too long is gone.
        _ = sender.send(failure);
    };
    let thread = thread::Builder::new().name(format!("seed {seed}"));
    thread.spawn(run).expect("a thread");
    let failure = receiver.recv_timeout(LONGEST_WAIT).unwrap_or_else(|_| {
        let seconds = LONGEST_WAIT.as_secs();
        Some(format!(
            "it spins: it is not over after {seconds} s on the wall"
        ))
    });
    let trace = kept.get();
    Outcome {
        hash: trace.map_or(0, Trace::hash),
        trace: trace.map(Trace::take_lines).unwrap_or_default(),
        failure,
    }
}

thread_local! {
    /// The first panic of a run, wherever it was: Tokio keeps those of tasks to itself.
    static FIRST_PANIC: Cell<Option<String>> = const { Cell::new(None) };
}

fn hear_of_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let first = FIRST_PANIC.take();
            let text = first.unwrap_or_else(|| info.to_string());
            FIRST_PANIC.set(Some(text));
            before(info);
        }));
    });
}

fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".to_owned())
}
