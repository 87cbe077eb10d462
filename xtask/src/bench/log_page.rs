//! The tables of the embedded log.
//!
//! Lives elsewhere: what is measured (`log`), the other tables and what they share (`report`).

use std::fmt::Write as _;

use super::Lane;
use super::figures::{Spread, ratio};
use super::log::{Alone, LoadRow, LoadRun, LogResult};
use super::report::{append_table, met, mib, none, ratio_text, spread_text};

/// Of Kafka's records per second.
const LOAD_RATIO_MIN: f64 = 1.0;
/// The most memory with the whole topic, of that with its first quarter.
const GROWTH_MAX: f64 = 1.25;

impl LoadRow {
    fn spread(&self, lane: Lane, figure: impl Fn(&LoadRun) -> f64) -> Option<Spread> {
        let of_lane = self.runs.iter().filter(|(of, _)| *of == lane);
        Spread::of(of_lane.map(|(_, run)| figure(run)))
    }
}

pub fn append(result: &LogResult, text: &mut String) {
    if !result.loads.is_empty() {
        append_loads(&result.loads, text);
    }
    let rows = alone_rows(&result.alone);
    if !rows.is_empty() {
        text.push_str(
            "\n### The embedded log by itself\n\n\
             `millstream kafka` with one topic of one partition and records of 100 bytes. A start lasts until a request is \
             answered; afterwards the topic has all its records. Memory is the most that was resident until then. A \
             compaction shows on the disk in one step at its end, so what it costs is its processor time.\n\n",
        );
        append_table(text, &["", "Millstream", "goal"], &rows);
    }
}

fn append_loads(loads: &[LoadRow], text: &mut String) {
    let _ = write!(
        text,
        "\n### The embedded log next to a broker\n\n\
         kafka-client against a broker of Apache Kafka and against `millstream kafka`, in turn: one partition, {} M records \
         of 100 bytes, idempotent, acks=all. Thousands of records per second as the client sees them after the warm-up; \
         CPU-microseconds of the server per record. Both servers leave writing to the disk to the kernel.\n\n",
        loads[0].records as f64 / 1e6
    );
    let mut rows = Vec::new();
    for load in loads {
        let speed = |lane| load.spread(lane, |run| run.records_per_second / 1e3);
        let cpu = |lane| load.spread(lane, |run| run.server_cpu_us);
        let times = ratio(speed(Lane::Millstream), speed(Lane::Java));
        rows.push(vec![
            load.title.clone(),
            spread_text(speed(Lane::Java), 0),
            spread_text(speed(Lane::Millstream), 0),
            ratio_text(times),
            met(times.map(|times| times >= LOAD_RATIO_MIN)),
            ratio(
                speed(Lane::Millstream).or(speed(Lane::Java)),
                speed(Lane::Again),
            )
            .map_or_else(none, |ratio| format!("{ratio:.2}")),
            spread_text(cpu(Lane::Java), 3),
            spread_text(cpu(Lane::Millstream), 3),
            ratio_text(ratio(cpu(Lane::Java), cpu(Lane::Millstream))),
        ]);
    }
    append_table(
        text,
        &[
            "",
            "Kafka, k records/s",
            "Millstream, k records/s",
            "ratio",
            "goal: ≥ 1",
            "A/A",
            "Kafka, CPU us",
            "Millstream, CPU us",
            "ratio",
        ],
        &rows,
    );
}

fn alone_rows(alone: &Alone) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |title: String, figure: String, goal: String| {
        rows.push(vec![title, figure, goal]);
    };
    let first = alone.growth.first().map(|step| step.resident_bytes as f64);
    let bounded = |bytes: f64| match first {
        Some(first) => format!(
            "≤ {GROWTH_MAX} × the first: {}",
            met(Some(bytes <= first * GROWTH_MAX))
        ),
        None => none(),
    };
    for (number, step) in alone.growth.iter().enumerate() {
        let bytes = step.resident_bytes as f64;
        row(
            format!(
                "a topic of {} M records was written: resident, MiB",
                step.records as f64 / 1e6
            ),
            mib(bytes),
            if number == 0 {
                String::new()
            } else {
                bounded(bytes)
            },
        );
    }
    if let Some(bytes) = alone.consumed_resident_bytes {
        row(
            "all of it was read: resident, MiB".to_owned(),
            mib(bytes as f64),
            bounded(bytes as f64),
        );
    }
    let gb = alone.growth.last().map(|step| step.disk_bytes as f64 / 1e9);
    if let Some(gb) = gb {
        row(
            "its size on the disk, GB".to_owned(),
            format!("{gb:.2}"),
            String::new(),
        );
    }
    let starts = [
        ("in an empty directory", &alone.empty_starts_ms, false),
        ("after a clean stop", &alone.clean_starts_ms, true),
        ("after kill -9", &alone.killed_starts_ms, true),
    ];
    for (when, all_ms, with_data) in starts {
        let Some(ms) = Spread::of(all_ms.iter().copied()) else {
            continue;
        };
        row(format!("start {when}, ms"), ms.text(0), String::new());
        if let Some(gb) = gb.filter(|_| with_data) {
            row(
                format!("start {when}, ms per GB of data"),
                format!("{:.1}", ms.median / gb),
                String::new(),
            );
        }
    }
    if let Some(found) = alone.compaction {
        let what = format!("compaction of {} M records", found.records as f64 / 1e6);
        let (before, after) = found.bytes;
        row(
            format!("{what}: CPU s"),
            format!("{:.2}", found.cpu_seconds),
            String::new(),
        );
        row(
            format!("{what}: MB on the disk, before and after"),
            format!("{:.1}, {:.1}", before as f64 / 1e6, after as f64 / 1e6),
            String::new(),
        );
        row(
            format!("{what}: resident, MiB"),
            mib(found.resident_bytes as f64),
            String::new(),
        );
        row(
            format!("{what}: records that are read back, each the newest of its key"),
            found.left.to_string(),
            format!(
                "{} keys: {}",
                found.keys,
                met(Some(found.left == found.keys))
            ),
        );
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::log::GrowthStep;
    use super::*;

    #[test]
    fn speed_is_better_when_it_is_more() {
        let run = |records_per_second, server_cpu_us| LoadRun {
            records_per_second,
            server_cpu_us,
        };
        let result = LogResult {
            loads: vec![LoadRow {
                title: "produce".into(),
                records: 4_000_000,
                runs: vec![
                    (Lane::Java, run(1e6, 0.8)),
                    (Lane::Millstream, run(2e6, 0.1)),
                    (Lane::Again, run(2e6, 0.1)),
                ],
            }],
            ..LogResult::default()
        };
        let mut text = String::new();
        append(&result, &mut text);
        let row = text.lines().find(|line| line.starts_with("| produce"));
        assert_eq!(
            row,
            Some(
                "| produce | 1000 (1000–1000) | 2000 (2000–2000) | **2.0** | met | 1.00 | 0.800 (0.800–0.800) | 0.100 (0.100–0.100) | **8.0** |"
            )
        );
    }

    #[test]
    fn memory_that_grows_with_the_topic_is_told() {
        let step = |records, resident_bytes| GrowthStep {
            records,
            disk_bytes: records * 100,
            resident_bytes,
        };
        let alone = Alone {
            growth: vec![step(10_000_000, 40 << 20), step(20_000_000, 80 << 20)],
            killed_starts_ms: vec![10.0],
            ..Alone::default()
        };
        let rows = alone_rows(&alone);
        assert_eq!(rows[1][1..], ["80", "≤ 1.25 × the first: **missed**"]);
        assert_eq!(
            rows[4][..2],
            ["start after kill -9, ms per GB of data", "5.0"]
        );
    }
}
