//! The figures as Markdown tables, for the terminal and for `BENCHMARKS.md`.
//!
//! Lives here: which figure stands where, and what the goals are.
//! Lives elsewhere: the tables of the log (`log_page`), the page around them (`page`).
//! Never here: a figure that is left out because it is bad.

use std::fmt::Write as _;
use std::time::Duration;

use super::Lane;
use super::case::Case;
use super::client_cost::ClientCosts;
use super::figures::{Spread, ratio};
use super::log::LogResult;
use super::log_page;
use super::measure::{Idle, QuickstartRun, Run, WARM_UP_PART};
use super::page::NO_FIGURE;
use super::transform_cost::TransformRow;

/// Times less CPU than Kafka Connect.
const WORKER_RATIO_MIN: f64 = 10.0;
/// Times less CPU than rdkafka.
const CLIENT_RATIO_MIN: f64 = 5.0;
const FIRST_RECORD_MAX: Duration = Duration::from_millis(100);
const QUICKSTART_MAX: Duration = Duration::from_millis(200);
const QUICKSTART_BYTES_MAX: f64 = 40.0 * MIB;
const IDLE_BYTES_MAX: f64 = 30.0 * MIB;
const LOADED_BYTES_MAX: f64 = 150.0 * MIB;

const MIB: f64 = 1024.0 * 1024.0;

/// All that was measured.
#[derive(Debug, Default)]
pub struct Results {
    pub facts: Vec<String>,
    /// The command that measures it again.
    pub command: String,
    pub cases: Vec<CaseResult>,
    pub starts: Vec<StartResult>,
    pub idle: Vec<(Lane, Idle)>,
    /// Of `millstream quickstart`.
    pub quickstarts: Vec<QuickstartRun>,
    pub client: ClientCosts,
    pub transforms: Vec<TransformRow>,
    pub log: LogResult,
    /// Runs that gave no figure, and why.
    pub failures: Vec<String>,
}

#[derive(Debug)]
pub struct CaseResult {
    pub case: Case,
    pub records: u64,
    pub runs: Vec<(Lane, Run)>,
}

/// Seconds until the first record, of each start.
#[derive(Debug)]
pub struct StartResult {
    pub title: String,
    pub seconds: Vec<(Lane, f64)>,
}

impl CaseResult {
    fn spread(&self, lane: Lane, figure: impl Fn(&Run) -> f64) -> Option<Spread> {
        let of_lane = self.runs.iter().filter(|(of, _)| *of == lane);
        Spread::of(of_lane.map(|(_, run)| figure(run)))
    }

    fn most(&self, lane: Lane) -> Option<f64> {
        self.spread(lane, |run| run.peak_resident_bytes as f64)
            .map(|spread| spread.max)
    }
}

impl Results {
    /// That some rows of a page are of this run and not of the one that the page tells about.
    pub fn note(&self) -> String {
        let fact = |name: &str| self.facts.iter().find(|fact| fact.starts_with(name));
        let date = fact("Date: ").map_or("another day", |fact| &fact["Date: ".len()..]);
        let program = fact("millstream").map_or("another build", String::as_str);
        let machine =
            fact("Machine: ").map_or("another machine", |fact| &fact["Machine: ".len()..]);
        format!(
            "- Measured later, on {date} with {program}, {machine}: `{}`",
            self.command
        )
    }

    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for fact in &self.facts {
            let _ = writeln!(text, "- {fact}");
        }
        let _ = writeln!(text, "- Command: `{}`", self.command);
        if !self.cases.is_empty() {
            self.append_cases(&mut text);
        }
        if !self.starts.is_empty() || !self.idle.is_empty() || !self.quickstarts.is_empty() {
            self.append_start_and_idle(&mut text);
        }
        if !self.client.rows.is_empty() {
            self.append_client(&mut text);
        }
        if !self.transforms.is_empty() {
            self.append_transforms(&mut text);
        }
        log_page::append(&self.log, &mut text);
        if !self.failures.is_empty() {
            text += "\n### What failed\n\n";
            for failure in &self.failures {
                let _ = writeln!(text, "- {failure}");
            }
        }
        text
    }

    fn append_cases(&self, text: &mut String) {
        let _ = write!(
            text,
            "\n### CPU-seconds per million records\n\n\
             One task, one partition. Counted at the destination after the first 1/{WARM_UP_PART} of the records; median \
             (lowest–highest). A/A is Millstream against itself in the same turns: its distance from 1 is the noise.\n\n"
        );
        let mut rows = Vec::new();
        for case in &self.cases {
            let cost = |lane| case.spread(lane, |run| run.cpu_seconds_per_million);
            let (java, ours, again) = (cost(Lane::Java), cost(Lane::Millstream), cost(Lane::Again));
            rows.push(vec![
                case.case.title.to_owned(),
                format!("{} M", case.records as f64 / 1e6),
                spread_text(java, 3),
                spread_text(ours, 3),
                ratio_text(ratio(java, ours)),
                met(ratio(java, ours).map(|ratio| ratio >= WORKER_RATIO_MIN)),
                ratio(ours.or(java), again).map_or_else(none, |ratio| format!("{ratio:.2}")),
            ]);
        }
        append_table(
            text,
            &[
                "",
                "records",
                "Kafka Connect",
                "Millstream",
                "ratio",
                "goal: ≥ 10",
                "A/A",
            ],
            &rows,
        );
        let _ = write!(
            text,
            "\n### The same runs: whole process, throughput, memory\n\n\
             The whole process is from its start to the last record, per million records. Records per second are after the \
             warm-up, and share the machine with the broker. Memory is the most that was resident in any run.\n\n"
        );
        let mut rows = Vec::new();
        for case in &self.cases {
            let whole = |lane| case.spread(lane, |run| run.whole_cpu_seconds_per_million);
            let speed = |lane| {
                let speed = case.spread(lane, |run| run.records_per_second);
                speed.map_or_else(none, |speed| format!("{:.0} k", speed.median / 1e3))
            };
            rows.push(vec![
                case.case.title.to_owned(),
                median_text(whole(Lane::Java), 3),
                median_text(whole(Lane::Millstream), 3),
                ratio_text(ratio(whole(Lane::Java), whole(Lane::Millstream))),
                speed(Lane::Java),
                speed(Lane::Millstream),
                case.most(Lane::Java).map_or_else(none, mib),
                case.most(Lane::Millstream).map_or_else(none, mib),
                met(case
                    .most(Lane::Millstream)
                    .map(|most| most <= LOADED_BYTES_MAX)),
            ]);
        }
        append_table(
            text,
            &[
                "",
                "Connect, CPU s",
                "Millstream, CPU s",
                "ratio",
                "Connect, records/s",
                "Millstream, records/s",
                "Connect, MiB",
                "Millstream, MiB",
                "goal: ≤ 150 MiB",
            ],
            &rows,
        );
    }

    fn append_start_and_idle(&self, text: &mut String) {
        text.push_str("\n### Start and rest\n\nThe broker runs, and waits for no further members of a new group.\n\n");
        let mut rows = Vec::new();
        for start in &self.starts {
            let of = |lane| {
                let seconds = start.seconds.iter().filter(|(of, _)| *of == lane);
                Spread::of(seconds.map(|(_, seconds)| seconds * 1e3))
            };
            let goal =
                of(Lane::Millstream).map(|ms| ms.median < FIRST_RECORD_MAX.as_millis() as f64);
            rows.push(vec![
                format!("{}: from start to first record, ms", start.title),
                spread_text(of(Lane::Java), 0),
                spread_text(of(Lane::Millstream), 0),
                format!("< 100: {}", met(goal)),
            ]);
        }
        let idle = |lane| {
            self.idle
                .iter()
                .find(|(of, _)| *of == lane)
                .map(|(_, idle)| idle)
        };
        if !self.idle.is_empty() {
            let bytes = |lane| idle(lane).map(|idle| idle.resident_bytes as f64);
            rows.push(vec![
                "a sink without records: resident, MiB".to_owned(),
                bytes(Lane::Java).map_or_else(none, mib),
                bytes(Lane::Millstream).map_or_else(none, mib),
                format!(
                    "≤ 30: {}",
                    met(bytes(Lane::Millstream).map(|bytes| bytes <= IDLE_BYTES_MAX))
                ),
            ]);
            let cpu =
                |lane| idle(lane).map_or_else(none, |idle| format!("{:.1}", idle.cpu_thousandths));
            rows.push(vec![
                "a sink without records: thousandths of a core".to_owned(),
                cpu(Lane::Java),
                cpu(Lane::Millstream),
                String::new(),
            ]);
        }
        self.append_quickstart(&mut rows);
        append_table(text, &["", "Kafka Connect", "Millstream", "goal"], &rows);
    }

    fn append_quickstart(&self, rows: &mut Vec<Vec<String>>) {
        let of =
            |figure: fn(&QuickstartRun) -> f64| Spread::of(self.quickstarts.iter().map(figure));
        let ready = of(|run| run.ready.as_secs_f64() * 1e3);
        let bytes = of(|run| run.resident_bytes as f64);
        if ready.is_none() {
            return;
        }
        let ready_max = QUICKSTART_MAX.as_millis();
        let in_time = ready.map(|ms| ms.median < ready_max as f64);
        rows.push(vec![
            "millstream quickstart: from start to first record of the example, ms".to_owned(),
            none(),
            spread_text(ready, 0),
            format!("< {ready_max}: {}", met(in_time)),
        ]);
        let small = bytes.map(|bytes| bytes.max <= QUICKSTART_BYTES_MAX);
        rows.push(vec![
            "millstream quickstart with its example: resident, MiB".to_owned(),
            none(),
            bytes.map_or_else(none, |bytes| mib(bytes.max)),
            format!("≤ {}: {}", mib(QUICKSTART_BYTES_MAX), met(small)),
        ]);
    }

    fn append_transforms(&self, text: &mut String) {
        text.push_str(
            "\n### Transforms in memory\n\n\
             CPU-nanoseconds per record in InsertField, ReplaceField, TimestampConverter, Cast and ValueToKey, one after the \
             other: the classes of Apache Kafka Connect and ours on the same records (`bench/transform-cost`). What making a \
             record costs is taken off.\n\n",
        );
        let mut rows = Vec::new();
        for row in &self.transforms {
            let (java, ours) = (row.spread(Lane::Java), row.spread(Lane::Millstream));
            let times = ratio(java, ours);
            rows.push(vec![
                row.title.to_owned(),
                format!("{} M", row.records as f64 / 1e6),
                spread_text(java, 0),
                spread_text(ours, 0),
                ratio_text(times),
                met(times.map(|times| times >= WORKER_RATIO_MIN)),
                ratio(ours.or(java), row.spread(Lane::Again))
                    .map_or_else(none, |ratio| format!("{ratio:.2}")),
            ]);
        }
        append_table(
            text,
            &[
                "",
                "records",
                "Kafka Connect",
                "Millstream",
                "ratio",
                "goal: ≥ 10",
                "A/A",
            ],
            &rows,
        );
    }

    fn append_client(&self, text: &mut String) {
        let _ = write!(
            text,
            "\n### The client alone\n\n\
             {}. CPU-microseconds of the process per record of 100 bytes, one partition, after the warm-up. Producers wait \
             for all replicas; consumers check checksums and touch every value.\n\n",
            self.client.versions
        );
        let mut rows = Vec::new();
        for row in &self.client.rows {
            let times = ratio(row.rdkafka, row.ours);
            rows.push(vec![
                row.title.clone(),
                spread_text(row.rdkafka, 3),
                spread_text(row.ours, 3),
                ratio_text(times),
                met(times.map(|times| times >= CLIENT_RATIO_MIN)),
                ratio(row.ours, row.again).map_or_else(none, |ratio| format!("{ratio:.2}")),
            ]);
        }
        append_table(
            text,
            &["", "rdkafka", "kafka-client", "ratio", "goal: ≥ 5", "A/A"],
            &rows,
        );
    }
}

pub fn append_table(text: &mut String, head: &[&str], rows: &[Vec<String>]) {
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let _ = writeln!(text, "|---{}|", "|---:".repeat(head.len() - 1));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
}

pub fn spread_text(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or_else(none, |spread| spread.text(decimals))
}

fn median_text(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or_else(none, |spread| format!("{:.decimals$}", spread.median))
}

pub fn ratio_text(ratio: Option<f64>) -> String {
    ratio.map_or_else(none, |ratio| format!("**{ratio:.1}**"))
}

pub fn mib(bytes: f64) -> String {
    format!("{:.0}", bytes / MIB)
}

pub fn met(goal: Option<bool>) -> String {
    match goal {
        None => none(),
        Some(true) => "met".to_owned(),
        Some(false) => "**missed**".to_owned(),
    }
}

pub fn none() -> String {
    NO_FIGURE.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::case::CASES;
    use super::*;

    fn run(cpu_seconds_per_million: f64) -> Run {
        Run {
            cpu_seconds_per_million,
            whole_cpu_seconds_per_million: cpu_seconds_per_million * 2.0,
            records_per_second: 1_234_567.0,
            peak_resident_bytes: 200 << 20,
        }
    }

    #[test]
    fn goals_are_told_as_met_or_missed() {
        let of = |java, ours| CaseResult {
            case: CASES[0],
            records: 8_000_000,
            runs: vec![(Lane::Java, run(java)), (Lane::Millstream, run(ours))],
        };
        let results = Results {
            cases: vec![of(2.0, 0.2), of(2.0, 0.25)],
            ..Results::default()
        };
        let text = results.markdown();
        let rows: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("| Kafka →"))
            .collect();
        let whole = "4.000 | 0.400 | **10.0** | 1235 k | 1235 k | 200 | 200 | **missed** |";
        assert_eq!(
            rows[0],
            "| Kafka → file, String | 8 M | 2.000 (2.000–2.000) | 0.200 (0.200–0.200) | **10.0** | met | – |"
        );
        assert_eq!(
            rows[1],
            "| Kafka → file, String | 8 M | 2.000 (2.000–2.000) | 0.250 (0.250–0.250) | **8.0** | **missed** | – |"
        );
        assert_eq!(rows[2], format!("| Kafka → file, String | {whole}"));
    }

    #[test]
    fn failures_are_told() {
        let results = Results {
            failures: vec!["Millstream did not start".into()],
            ..Results::default()
        };
        assert!(
            results
                .markdown()
                .ends_with("### What failed\n\n- Millstream did not start\n")
        );
    }
}
