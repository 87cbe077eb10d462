//! When what a connector's configuration refers to has expired or changed.
//!
//! Lives here: the account of when to look and what a look means ([`Schedule`], pure), the loop around it.
//! Lives elsewhere: asking (`config_providers`), the restart itself (`worker::reload`).
//! Source: `WorkerConfigTransformer.scheduleReload`, KIP-297. Looking for changes is our own.

use crate::config_providers::{Answer, ConfigProviders};
use crate::worker::ConnectorRequest;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{info, warn};

/// Shortest time after which values expire, whatever a provider says: no connector restarts all the time.
const TTL_MIN: Duration = Duration::from_secs(1);

/// Ends the loop when it is dropped.
pub struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watch {
    /// Asks for one restart of the connector when one of the answers has expired or changed, not before
    /// `at_least` is over. `None`: nothing of them ever does.
    pub fn start(
        connector: &str,
        answers: Vec<Answer>,
        at_least: Duration,
        providers: Arc<ConfigProviders>,
        requests: UnboundedSender<ConnectorRequest>,
        (control, data): (&Handle, &Handle),
    ) -> Option<Self> {
        let mut schedule = Schedule::new(answers, Instant::now(), at_least);
        let first = schedule.next()?;
        if first.1 == Due::Expired {
            let ms = (first.0 - Instant::now()).as_millis() as u64;
            info!("Scheduling a restart of connector {connector} in {ms} ms");
        }
        let (connector, data) = (connector.to_string(), data.clone());
        Some(Self(control.spawn(async move {
            let ask = |question: Answer| {
                let providers = providers.clone();
                let asked = data.spawn_blocking(move || providers.ask_again(&question));
                async move {
                    asked
                        .await
                        .unwrap_or_else(|lost| Err(format!("the config provider was lost: {lost}")))
                }
            };
            let reason = watch(&connector, &mut schedule, ask).await;
            // A worker that is gone restarts nothing.
            let _ = requests.send(ConnectorRequest::ReloadConfig { connector, reason });
        })))
    }
}

/// Returns the reason when the connector is to be restarted.
async fn watch<F>(
    connector: &str,
    schedule: &mut Schedule,
    mut ask: impl FnMut(Answer) -> F,
) -> String
where
    F: Future<Output = Result<BTreeMap<String, String>, String>>,
{
    loop {
        let Some((at, due)) = schedule.next() else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(at).await;
        let index = match due {
            Due::Expired => return "the values of a config provider have expired".to_string(),
            Due::Look(index) => index,
        };
        let question = schedule.watched[index].answer.clone();
        let (provider, path) = (question.provider.clone(), question.path.clone());
        let found = ask(question).await;
        match schedule.looked(index, found, Instant::now()) {
            Looked::Nothing => {}
            Looked::Worse(what) => warn!(
                connector,
                provider, path, "the connector goes on with the values that it has: {what}"
            ),
            Looked::Changed => {
                return format!(
                    "values of the config provider {provider} have changed, path {path}"
                );
            }
        }
    }
}

/// When to do what.
struct Schedule {
    watched: Vec<Watched>,
    expires: Option<Instant>,
}

struct Watched {
    /// What the connector runs with.
    answer: Answer,
    next_look: Option<Instant>,
    /// What the last look found, when that was something new.
    before: Option<BTreeMap<String, String>>,
    /// Whether it was said that the values are not to be had.
    is_worse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Expired,
    /// Ask again for the answer of this index.
    Look(usize),
}

#[derive(Debug, PartialEq, Eq)]
enum Looked {
    /// Nothing new, or something that the next look is to confirm.
    Nothing,
    /// Values are missing. Said once, until they are there again.
    Worse(String),
    /// Two looks have found the same new values: nobody is in the middle of writing them.
    Changed,
}

impl Schedule {
    fn new(answers: Vec<Answer>, now: Instant, at_least: Duration) -> Self {
        let ttls = answers.iter().filter_map(|answer| answer.ttl);
        let expires = ttls.min().map(|ttl| now + ttl.max(TTL_MIN).max(at_least));
        let watched = answers.into_iter().map(|answer| Watched {
            next_look: answer.look_every.map(|every| now + every.max(at_least)),
            answer,
            before: None,
            is_worse: false,
        });
        Self {
            watched: watched.collect(),
            expires,
        }
    }

    /// What is due first. `None`: nothing ever.
    fn next(&self) -> Option<(Instant, Due)> {
        let looks = self.watched.iter().enumerate();
        let look = looks
            .filter_map(|(index, it)| Some((it.next_look?, Due::Look(index))))
            .min_by_key(|(at, _)| *at);
        let expiry = self.expires.map(|at| (at, Due::Expired));
        expiry.into_iter().chain(look).min_by_key(|(at, _)| *at)
    }

    /// Takes note of what a look has found.
    fn looked(
        &mut self,
        index: usize,
        found: Result<BTreeMap<String, String>, String>,
        now: Instant,
    ) -> Looked {
        let it = &mut self.watched[index];
        it.next_look = it.answer.look_every.map(|every| now + every);
        let missing = match &found {
            Err(message) => Some(message.clone()),
            Ok(found) => {
                let gone = it.answer.data.keys().find(|key| !found.contains_key(*key));
                gone.map(|key| format!("the key {key} is not there any more"))
            }
        };
        if let Some(what) = missing {
            it.before = None;
            return match std::mem::replace(&mut it.is_worse, true) {
                true => Looked::Nothing,
                false => Looked::Worse(what),
            };
        }
        it.is_worse = false;
        let found = found.unwrap_or_default();
        if found == it.answer.data {
            it.before = None;
            return Looked::Nothing;
        }
        if it.before.as_ref() == Some(&found) {
            return Looked::Changed;
        }
        it.before = Some(found);
        Looked::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::VecDeque;

    const SECOND: Duration = Duration::from_secs(1);

    fn data(text: &str) -> BTreeMap<String, String> {
        text.split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    fn answer(look_every: Option<Duration>, ttl: Option<Duration>) -> Answer {
        let data = data("a=1 b=2");
        Answer {
            provider: "file".into(),
            path: "/x".into(),
            keys: data.keys().cloned().collect(),
            data,
            ttl,
            look_every,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_counts_when_it_is_seen_twice() {
        let gone = |key: &str| Looked::Worse(format!("the key {key} is not there any more"));
        let rows = [
            (Ok("a=1 b=2"), Looked::Nothing),
            // Being written.
            (Ok("a=1 b="), Looked::Nothing),
            (Ok("a=1 b=3"), Looked::Nothing),
            // And back.
            (Ok("a=1 b=2"), Looked::Nothing),
            (Ok("a=1 b=3"), Looked::Nothing),
            // The file is replaced.
            (Err("no such file"), Looked::Worse("no such file".into())),
            (Err("no such file"), Looked::Nothing),
            (Ok("a=1 b=3"), Looked::Nothing),
            (Ok("a=1"), gone("b")),
            (Ok("a=1"), Looked::Nothing),
            (Ok("a=1 b=3"), Looked::Nothing),
            (Ok("a=1 b=3"), Looked::Changed),
        ];
        let now = Instant::now();
        let mut schedule = Schedule::new(vec![answer(Some(SECOND), None)], now, Duration::ZERO);
        for (number, (found, expected)) in rows.into_iter().enumerate() {
            let found = found.map(data).map_err(str::to_string);
            assert_eq!(schedule.looked(0, found, now), expected, "look {number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_first() {
        let now = Instant::now();
        let look = |seconds| Some(seconds * SECOND);
        for (answers, at_least, expected) in [
            (vec![], 0, None),
            (vec![answer(None, None)], 0, None),
            (vec![answer(look(3), None)], 0, Some((3, Due::Look(0)))),
            (vec![answer(None, look(7))], 0, Some((7, Due::Expired))),
            (
                vec![answer(None, Some(Duration::ZERO))],
                0,
                Some((1, Due::Expired)),
            ),
            (vec![answer(look(3), look(2))], 0, Some((2, Due::Expired))),
            (
                vec![answer(look(5), None), answer(look(4), look(9))],
                0,
                Some((4, Due::Look(1))),
            ),
            (vec![answer(look(3), None)], 30, Some((30, Due::Look(0)))),
            (vec![answer(None, look(7))], 30, Some((30, Due::Expired))),
        ] {
            let schedule = Schedule::new(answers, now, at_least * SECOND);
            let expected = expected.map(|(seconds, due)| (now + seconds * SECOND, due));
            assert_eq!(schedule.next(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_loop_looks_at_every_interval_and_ends_with_the_reason() {
        let begin = Instant::now();
        let found = RefCell::new(VecDeque::from(["a=1 b=2", "a=1 b=3", "a=1 b=3"]));
        let ask = |question: Answer| {
            assert_eq!(question.path, "/x");
            let found = found.borrow_mut().pop_front().expect("no more looks");
            async move { Ok(data(found)) }
        };
        let mut schedule = Schedule::new(vec![answer(Some(SECOND), None)], begin, Duration::ZERO);
        let reason = watch("c", &mut schedule, ask).await;
        assert_eq!(
            reason,
            "values of the config provider file have changed, path /x"
        );
        assert_eq!(begin.elapsed(), 3 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn the_loop_ends_when_the_first_values_expire() {
        let begin = Instant::now();
        let answers = vec![
            answer(None, Some(9 * SECOND)),
            answer(None, Some(5 * SECOND)),
        ];
        let mut schedule = Schedule::new(answers, begin, Duration::ZERO);
        let ask = |_| async { Err("nobody asks".to_string()) };
        let reason = watch("c", &mut schedule, ask).await;
        assert_eq!(reason, "the values of a config provider have expired");
        assert_eq!(begin.elapsed(), 5 * SECOND);
    }
}
