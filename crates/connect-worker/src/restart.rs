//! When a task or connector that has failed is started again without anybody asking.
//!
//! Lives here: the keys of it, and the decision as a pure account: kinds of error, waits that grow, a budget per hour,
//! a fresh beginning after a healthy time.
//! Lives elsewhere: starting again (`worker::restarts`).
//! Never here: a clock, waiting.
//! Millstream's own: Java never does it, which `millstream.restart.on=none` restores.

use connect_api::ErrorKind;
use connect_config::{
    ConfigDef, ConfigErrors, ConfigException, ConfigValueData, Importance, Key, Properties,
    Validator, Width,
};
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

pub const RESTART_ON: Key<Vec<String>> = Key::new("millstream.restart.on");
pub const DELAY_MIN_MS: Key<i64> = Key::new("millstream.restart.delay.min.ms");
pub const DELAY_MAX_MS: Key<i64> = Key::new("millstream.restart.delay.max.ms");
pub const BUDGET_PER_HOUR: Key<i32> = Key::new("millstream.restart.budget.per.hour");
pub const HEALTHY_AFTER_MS: Key<i64> = Key::new("millstream.restart.healthy.after.ms");

/// Where forms show them, behind those of Kafka Connect.
const GROUP: &str = "Error Handling";
const HOUR: Duration = Duration::from_secs(3600);

/// The words of [`RESTART_ON`]. `Config` is not among them: it takes a person to change a configuration.
const KINDS: &[(&str, ErrorKind)] = &[
    ("retriable", ErrorKind::Retriable),
    ("data", ErrorKind::Data),
    ("fatal", ErrorKind::Fatal),
];
const NONE: &str = "none";

/// Adds the keys, which workers and connectors have alike.
pub fn define(def: ConfigDef) -> ConfigDef {
    use Importance::{Low, Medium};
    def.define(
        RESTART_ON
            .default(vec!["retriable".to_string()])
            .validator(Validator::custom(
                "none, or some of retriable, data, fatal",
                check_kinds,
            ))
            .importance(Medium)
            .doc(
                "After errors of which kinds a failed task or connector is started again by itself: some of retriable, \
                 data, fatal. none: never, as in Kafka Connect. A connector's setting goes before the worker's.",
            )
            .group(GROUP, 110)
            .width(Width::Short)
            .display_name("Restart after errors"),
    )
    .define(
        DELAY_MIN_MS
            .default(1_000i64)
            .validator(Validator::at_least(1i64))
            .importance(Low)
            .doc("Wait before the first restart in milliseconds; each further one is twice as long.")
            .group(GROUP, 111)
            .width(Width::Short)
            .display_name("First wait before a restart"),
    )
    .define(
        DELAY_MAX_MS
            .default(300_000i64)
            .validator(Validator::at_least(1i64))
            .importance(Low)
            .doc("Longest wait before a restart in milliseconds.")
            .group(GROUP, 112)
            .width(Width::Short)
            .display_name("Longest wait before a restart"),
    )
    .define(
        BUDGET_PER_HOUR
            .default(20)
            .validator(Validator::at_least(1))
            .importance(Low)
            .doc(
                "Most restarts of one task or connector within an hour; when they are used up, it stays FAILED until \
                 somebody restarts it.",
            )
            .group(GROUP, 113)
            .width(Width::Short)
            .display_name("Restarts per hour"),
    )
    .define(
        HEALTHY_AFTER_MS
            .default(600_000i64)
            .validator(Validator::at_least(1i64))
            .importance(Low)
            .doc("How long it must run in milliseconds until the next wait is the first again.")
            .group(GROUP, 114)
            .width(Width::Short)
            .display_name("Healthy after"),
    )
}

fn check_kinds(name: &str, value: &ConfigValueData) -> Result<(), ConfigException> {
    let ConfigValueData::List(words) = value else {
        return Err(ConfigException::invalid(name, value, "must be a list"));
    };
    let is_kind = |word: &String| KINDS.iter().any(|(known, _)| known == word);
    match &words[..] {
        [none] if none == NONE => Ok(()),
        words if !words.is_empty() && words.iter().all(is_kind) => Ok(()),
        _ => Err(ConfigException::invalid(
            name,
            value,
            "must be none, or some of retriable, data, fatal",
        )),
    }
}

/// What a worker and a connector say together.
#[derive(Clone, Debug, PartialEq)]
pub struct RestartPolicy {
    kinds: Vec<ErrorKind>,
    delay_min: Duration,
    delay_max: Duration,
    per_hour: u32,
    healthy_after: Duration,
}

impl RestartPolicy {
    /// Of a connector, whose keys go before those of its worker.
    pub fn of(worker: &Properties, connector: &Properties) -> Result<Self, ConfigErrors> {
        let def = define(ConfigDef::new());
        let mut both = Properties::new();
        for key in def.keys() {
            let name = key.name();
            if let Some(value) = connector.get(name).or_else(|| worker.get(name)) {
                both.set(name, value);
            }
        }
        let parsed = def.parse(&both)?;
        let words = parsed.get(RESTART_ON);
        let kinds = KINDS
            .iter()
            .filter(|(word, _)| words.iter().any(|it| it == word));
        let millis = |key| Duration::from_millis(i64::max(parsed.get(key), 1) as u64);
        Ok(Self {
            kinds: kinds.map(|(_, kind)| *kind).collect(),
            delay_min: millis(DELAY_MIN_MS),
            delay_max: millis(DELAY_MAX_MS),
            per_hour: parsed.get(BUDGET_PER_HOUR).unsigned_abs(),
            healthy_after: millis(HEALTHY_AFTER_MS),
        })
    }
}

/// What is decided about something that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Restart {
        /// How many failures in a row this is, from 1.
        attempt: u32,
        after: Duration,
    },
    /// It is a person's turn.
    Stay(Reason),
}

/// Why something that has failed is not started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Errors of this kind are not mended by another start.
    Kind(ErrorKind),
    /// So many restarts were within the last hour.
    Budget(u32),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(ErrorKind::Config) => {
                f.write_str("a configuration error is mended by a change of the configuration")
            }
            Self::Kind(kind) => {
                let word = KINDS.iter().find(|(_, it)| it == kind);
                let word = word.map_or("this", |(word, _)| *word);
                write!(
                    f,
                    "the error is {word}, which is not in {}",
                    RESTART_ON.name()
                )
            }
            Self::Budget(restarts) => write!(
                f,
                "{restarts} restarts within an hour are all that {} allows",
                BUDGET_PER_HOUR.name()
            ),
        }
    }
}

/// Whether the worker starts something that has failed again by itself, as its state shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restart {
    At {
        time: SystemTime,
        /// How many failures in a row there were, from 1.
        attempt: u32,
    },
    No {
        reason: String,
    },
}

/// The failures and restarts of one task or connector.
#[derive(Debug)]
pub struct RestartAccount {
    policy: RestartPolicy,
    /// Failures in a row.
    attempt: u32,
    started: Instant,
    /// At most as many as the budget.
    recent: VecDeque<Instant>,
}

impl RestartAccount {
    pub fn new(policy: RestartPolicy, now: Instant) -> Self {
        Self {
            policy,
            attempt: 0,
            started: now,
            recent: VecDeque::new(),
        }
    }

    /// It was started, by whomever.
    pub fn started(&mut self, now: Instant) {
        self.started = now;
    }

    /// It has failed. `random` is in 0..1 and spreads restarts of many tasks that failed together: each waits for
    /// half of its time at least.
    pub fn failed(&mut self, kind: ErrorKind, now: Instant, random: f64) -> Verdict {
        if now.duration_since(self.started) >= self.policy.healthy_after {
            self.attempt = 0;
        }
        if !self.policy.kinds.contains(&kind) {
            return Verdict::Stay(Reason::Kind(kind));
        }
        while let Some(oldest) = self.recent.front()
            && now.duration_since(*oldest) >= HOUR
        {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.policy.per_hour as usize {
            return Verdict::Stay(Reason::Budget(self.policy.per_hour));
        }
        self.recent.push_back(now);
        self.attempt += 1;
        let doubled = 1u32.checked_shl(self.attempt - 1);
        let wait = doubled.map_or(Duration::MAX, |factor| {
            self.policy.delay_min.saturating_mul(factor)
        });
        Verdict::Restart {
            attempt: self.attempt,
            after: wait
                .min(self.policy.delay_max)
                .mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> RestartPolicy {
        let connector = Properties::from_text(text).unwrap();
        RestartPolicy::of(&Properties::new(), &connector).unwrap()
    }

    /// Fails at these seconds after the beginning, each time started again after its wait. `s` is a restart after so
    /// many milliseconds, `budget` and `kind` are the ends.
    #[track_caller]
    fn check(text: &str, failures: &[(u64, ErrorKind)], expected: &str) {
        let begin = Instant::now();
        let mut account = RestartAccount::new(policy(text), begin);
        let verdicts = failures.iter().map(|(second, kind)| {
            let now = begin + Duration::from_secs(*second);
            match account.failed(*kind, now, 1.0) {
                Verdict::Restart { attempt, after } => {
                    account.started(now + after);
                    format!("{attempt}:{}", after.as_millis())
                }
                Verdict::Stay(Reason::Budget(_)) => "budget".into(),
                Verdict::Stay(Reason::Kind(_)) => "kind".into(),
            }
        });
        assert_eq!(verdicts.collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_healthy_time() {
        let passing = |seconds: &[u64]| -> Vec<(u64, ErrorKind)> {
            seconds
                .iter()
                .map(|it| (*it, ErrorKind::Retriable))
                .collect()
        };
        let long = "millstream.restart.delay.max.ms=5000";
        check(
            long,
            &passing(&[0, 2, 5, 10, 20]),
            "1:1000 2:2000 3:4000 4:5000 5:5000",
        );
        // Started at 1 s and 603 s: not quite healthy, then healthy.
        check("", &passing(&[0, 600, 1202]), "1:1000 2:2000 1:1000");
        let tight = "millstream.restart.budget.per.hour=2\nmillstream.restart.healthy.after.ms=10";
        check(
            tight,
            &passing(&[0, 10, 20, 3599, 3600, 3601]),
            "1:1000 1:1000 budget budget 1:1000 budget",
        );
        // No overflow.
        let many = "millstream.restart.budget.per.hour=100\nmillstream.restart.delay.max.ms=1";
        let mut last = RestartAccount::new(policy(many), Instant::now());
        for attempt in 1..=100 {
            let verdict = last.failed(ErrorKind::Retriable, Instant::now(), 0.0);
            let after = Duration::from_micros(500);
            assert_eq!(verdict, Verdict::Restart { attempt, after });
        }
    }

    #[test]
    fn the_kind_decides_and_a_configuration_is_never_mended_by_a_restart() {
        use ErrorKind::{Config, Data, Fatal, Retriable};
        let all = [(0, Retriable), (0, Data), (0, Config), (0, Fatal)];
        check("", &all, "1:1000 kind kind kind");
        check("millstream.restart.on=none", &all, "kind kind kind kind");
        let every = "millstream.restart.on=retriable, data, fatal";
        check(every, &all, "1:1000 2:2000 kind 3:4000");
    }

    #[test]
    fn the_connector_goes_before_its_worker_and_words_are_checked() {
        let worker =
            Properties::from_text("millstream.restart.on=none\nmillstream.restart.delay.min.ms=7")
                .unwrap();
        let connector = Properties::from_text("millstream.restart.on=fatal").unwrap();
        let policy = RestartPolicy::of(&worker, &connector).unwrap();
        assert_eq!(policy.kinds, [ErrorKind::Fatal]);
        assert_eq!(policy.delay_min, Duration::from_millis(7));
        for bad in ["config", "", "none, data", "always"] {
            let connector = Properties::from_iter([("millstream.restart.on", bad)]);
            assert!(RestartPolicy::of(&worker, &connector).is_err(), "{bad}");
        }
    }
}
