//! What a Kafka broker must do, as checks that run unchanged against Apache Kafka and against the
//! embedded log.
//!
//! Lives here: the list ([`all`]), its run ([`run`]) and its verdict; the checks, a file per part of
//! the protocol; the checks that need a broker that dies and comes back ([`restart`]).
//! Lives elsewhere: starting brokers ([`crate::kafka`], `kafka_embedded`).
//! Never here: our own client, which repairs what a broker does wrong; a check that only one of the
//! two brokers passes. Where Kafka leaves room (a topic that is not readable yet, a transaction that
//! still ends), a check polls until the event, with a deadline.
//!
//! Everything runs on one thread: call it inside a runtime of Tokio, where nothing has to be `Send`.

mod client;
mod configs;
mod fetch;
mod group_errors;
mod groups;
mod member;
mod offsets;
mod produce;
mod producer;
pub mod restart;
mod server;
mod topics;
mod transaction_errors;
mod transactions;
mod wire;
mod worker_groups;

use std::cell::OnceCell;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use kafka_protocol::messages::ApiKey;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

/// Checks that are busy at once. Those that mostly wait for a timeout of the broker come on top.
const BUSY_MAX: usize = 12;

/// Longest wait for something that a broker does by itself. Kafka looks for transactions that are
/// over time every 10 s.
const EVENT_MAX: Duration = Duration::from_secs(30);

/// A broker under check.
#[derive(Debug, Clone)]
pub struct Target {
    /// `host:port` of the only broker.
    pub bootstrap: String,
}

type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// One thing that a broker must do.
pub struct Check {
    /// The part of the protocol and what must hold, in the words of the list of facts.
    pub name: String,
    /// Mostly waits for a timeout of the broker.
    waits: bool,
    /// Holds also when the broker does not advertise one of these.
    optional: &'static [ApiKey],
    run: Box<dyn Fn(Target) -> LocalFuture<Result<()>>>,
}

impl Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// The checks of one part of the protocol.
struct Part {
    name: &'static str,
    checks: Vec<Check>,
}

impl Part {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            checks: Vec::new(),
        }
    }

    fn check<F>(self, name: &str, run: impl Fn(Target) -> F + 'static) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
    {
        self.optional(&[], name, run)
    }

    /// A check that mostly waits: it starts at once and counts for nothing.
    fn waiting<F>(mut self, name: &str, run: impl Fn(Target) -> F + 'static) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
    {
        self = self.check(name, run);
        if let Some(check) = self.checks.last_mut() {
            check.waits = true;
        }
        self
    }

    /// A check of APIs that a broker may lack.
    fn optional<F>(
        mut self,
        apis: &'static [ApiKey],
        name: &str,
        run: impl Fn(Target) -> F + 'static,
    ) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
    {
        self.checks.push(Check {
            name: format!("{}: {name}", self.name),
            waits: false,
            optional: apis,
            run: Box::new(move |target| Box::pin(run(target))),
        });
        self
    }
}

/// All checks that need one running broker.
pub fn all() -> Vec<Check> {
    [
        topics::part(),
        configs::part(),
        produce::part(),
        fetch::part(),
        offsets::part(),
        groups::part(),
        group_errors::part(),
        worker_groups::part(),
        transactions::part(),
        transaction_errors::part(),
        server::part(),
    ]
    .into_iter()
    .flat_map(|part| part.checks)
    .collect()
}

/// What became of a check.
#[derive(Debug)]
pub enum Verdict {
    Holds,
    /// The broker does not advertise this API, and need not.
    Absent(ApiKey),
    Fails(anyhow::Error),
}

/// What became of all of them, in their order.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
}

/// What became of a check, and how long it took.
#[derive(Debug)]
struct Row {
    name: String,
    verdict: Verdict,
    took: Duration,
}

impl Report {
    /// Name, found and expected of each check that does not hold.
    fn failures(&self) -> Vec<String> {
        self.rows
            .iter()
            .filter_map(|Row { name, verdict, .. }| match verdict {
                Verdict::Fails(cause) => Some(format!("{name}\n    {cause:#}")),
                _ => None,
            })
            .collect()
    }

    /// When nothing else could be looked at.
    fn of_failure(name: &str, cause: anyhow::Error) -> Self {
        let row = Row {
            name: name.to_owned(),
            verdict: Verdict::Fails(cause),
            took: Duration::ZERO,
        };
        Self { rows: vec![row] }
    }

    /// Prints a line per check and `checks: N of M hold`, then each failure with found and expected.
    ///
    /// Panics: when one does not hold.
    pub fn assert_all_hold(&self) {
        for Row {
            name,
            verdict,
            took,
        } in &self.rows
        {
            let took = took.as_secs_f64();
            match verdict {
                Verdict::Holds => println!("holds   {took:5.1} s  {name}"),
                Verdict::Absent(api) => {
                    println!("absent           {name} ({api:?} is not advertised)")
                }
                Verdict::Fails(_) => println!("FAILS   {took:5.1} s  {name}"),
            }
        }
        let failures = self.failures();
        let (total, failed) = (self.rows.len(), failures.len());
        // Not `println!`: the test harness would keep the line of a test that passes to itself.
        let line = format!("checks: {} of {total} hold\n", total - failed);
        let _ = std::io::stderr().write_all(line.as_bytes());
        assert!(
            failures.is_empty(),
            "{failed} of {total} checks do not hold:\n{}",
            failures.join("\n")
        );
    }
}

/// Runs `checks` against `target`, many at once.
pub async fn run(target: &Target, checks: Vec<Check>) -> Report {
    let local = LocalSet::new();
    local.run_until(run_locally(target, checks)).await
}

async fn run_locally(target: &Target, checks: Vec<Check>) -> Report {
    let advertised = match client::warmed_up(target).await {
        Ok(advertised) => Rc::new(advertised),
        Err(cause) => {
            return Report::of_failure("the broker answers, and has its coordinators", cause);
        }
    };
    let busy = Rc::new(Semaphore::new(BUSY_MAX));
    let running: Vec<_> = checks
        .into_iter()
        .map(|check| {
            let (target, busy, advertised) = (target.clone(), busy.clone(), advertised.clone());
            let name = check.name.clone();
            let task = tokio::task::spawn_local(async move {
                let _turn = match check.waits {
                    true => None,
                    false => busy.acquire().await.ok(),
                };
                let begun = Instant::now();
                let missing = |api: &&ApiKey| !advertised.contains(&(**api as i16));
                let verdict = match check.optional.iter().find(missing) {
                    Some(api) => Verdict::Absent(*api),
                    None => (check.run)(target)
                        .await
                        .map_or_else(Verdict::Fails, |()| Verdict::Holds),
                };
                (verdict, begun.elapsed())
            });
            (name, task)
        })
        .collect();
    let mut report = Report::default();
    for (name, task) in running {
        let (verdict, took) = task.await.unwrap_or_else(|panicked| {
            let cause = anyhow!("the check panicked: {panicked}");
            (Verdict::Fails(cause), Duration::ZERO)
        });
        report.rows.push(Row {
            name,
            verdict,
            took,
        });
    }
    report
}

/// A name that no other check, run or process uses.
fn unique(kind: &str) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    static NAMES: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static RUN: OnceCell<u64> = const { OnceCell::new() };
    }
    let run = RUN.with(|run| *run.get_or_init(|| RandomState::new().hash_one(std::process::id())));
    let number = NAMES.fetch_add(1, Ordering::Relaxed);
    format!("check-{kind}-{:08x}-{number}", run as u32)
}

/// Fails unless the broker answered as expected.
fn same<T: PartialEq + Debug>(what: impl Display, found: T, expected: T) -> Result<()> {
    ensure!(
        found == expected,
        "{what}: found {found:?}, expected {expected:?}"
    );
    Ok(())
}

/// Fails unless the answer is one of those that are right.
fn one_of<T: PartialEq + Debug>(what: impl Display, found: T, expected: &[T]) -> Result<()> {
    ensure!(
        expected.contains(&found),
        "{what}: found {found:?}, expected one of {expected:?}"
    );
    Ok(())
}

/// Looks again and again until there is something, at most [`EVENT_MAX`]. `look` says what it found
/// instead, for the message.
async fn until<T>(
    what: impl Display,
    mut look: impl AsyncFnMut() -> Result<std::result::Result<T, String>>,
) -> Result<T> {
    let deadline = Instant::now() + EVENT_MAX;
    let mut pause = Duration::from_millis(2);
    loop {
        let found = match look().await? {
            Ok(event) => return Ok(event),
            Err(found) => found,
        };
        if Instant::now() > deadline {
            bail!(
                "{what}: still found {found} after {} s",
                EVENT_MAX.as_secs()
            );
        }
        // Another process: there is nothing to wait on but its answer.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report_of(checks: Vec<Check>, bootstrap: &str) -> Report {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime of one thread");
        let bootstrap = bootstrap.to_owned();
        runtime.block_on(run(&Target { bootstrap }, checks))
    }

    #[test]
    fn a_broker_that_is_not_there_passes_nothing() {
        // Port 1 of this machine: nobody listens.
        let failures = report_of(all(), "127.0.0.1:1").failures();
        assert_eq!(failures.len(), 1);
        let wanted =
            "the broker answers, and has its coordinators\n    could not connect to 127.0.0.1:1";
        assert!(failures[0].starts_with(wanted), "{failures:?}");
    }

    #[test]
    fn a_check_that_fails_is_told_with_found_and_expected() {
        let row = |name: &str, result: Result<()>| Row {
            name: format!("part: {name}"),
            verdict: result.map_or_else(Verdict::Fails, |()| Verdict::Holds),
            took: Duration::ZERO,
        };
        let rows = vec![
            row("one", same("number", 1, 1)),
            row("two", same("number", 1, 2)),
            row("three", one_of("number", 1, &[2, 1])),
        ];
        let failures = Report { rows }.failures();
        assert_eq!(failures, ["part: two\n    number: found 1, expected 2"]);
    }

    #[test]
    #[should_panic(expected = "checks do not hold")]
    fn a_run_with_a_failure_fails() {
        Report::of_failure("part: one", anyhow!("number: found 1, expected 2")).assert_all_hold();
    }

    #[test]
    fn names_of_checks_differ() {
        let mut names: Vec<String> = all().into_iter().map(|check| check.name).collect();
        names.extend(restart::names());
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
