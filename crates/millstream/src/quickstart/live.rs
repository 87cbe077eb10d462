//! The live line: records per second and lag, as the log itself counts them.
//!
//! Lives here: asking the log once a second, what is shown (pure), and how on a terminal and on a pipe.

use kafka_client::admin::OffsetSpec;
use kafka_client::settings::{AdminSettings, IsolationLevel};
use kafka_client::{Admin, ClientError, TopicPartition};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::debug;

/// On a terminal the line is written over; a pipe gets a line of its own, less often.
const EVERY: Duration = Duration::from_secs(1);
const EVERY_ON_A_PIPE: Duration = Duration::from_secs(10);

/// Groups of sink connectors begin so.
const SINK_GROUP: &str = "connect-";

/// What the log holds, and how far the sinks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    records: i64,
    lag: i64,
}

/// Shows the line until it is dropped.
pub async fn show(servers: String) {
    let parsed = AdminSettings::parse([("bootstrap.servers", servers.as_str())]);
    let admin = match parsed {
        Ok(parsed) => Admin::connect(parsed.settings),
        Err(errors) => return debug!(%errors, "no live line"),
    };
    let terminal = std::io::stdout().is_terminal();
    let mut ticks = interval(if terminal { EVERY } else { EVERY_ON_A_PIPE });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<(Count, Instant)> = None;
    loop {
        ticks.tick().await;
        let count = match count(&admin).await {
            Ok(count) => count,
            Err(error) => {
                debug!(%error, "the log could not be asked for its offsets");
                continue;
            }
        };
        let now = Instant::now();
        if let Some((before, at)) = last {
            let line = line(before, count, now - at);
            let mut out = std::io::stdout().lock();
            // Who closed the pipe does not want to see it.
            let _ = match terminal {
                // Back to the beginning of the line, and over what was there.
                true => write!(out, "\r\x1b[K{line}"),
                false => writeln!(out, "{line}"),
            };
            let _ = out.flush();
        }
        last = Some((count, now));
    }
}

fn line(before: Count, now: Count, elapsed: Duration) -> String {
    let per_second = (now.records - before.records) as f64 / elapsed.as_secs_f64();
    format!(
        "{} records in topics, {per_second:.0} records/s, lag {}",
        now.records, now.lag
    )
}

async fn count(admin: &Admin) -> Result<Count, ClientError> {
    let topics = admin.list_topics().await?;
    let topics = topics.iter().filter(|topic| !topic.is_internal);
    let partitions: Vec<TopicPartition> = topics
        .flat_map(|topic| {
            let partitions = 0..topic.partitions.len() as i32;
            partitions.map(|partition| TopicPartition {
                topic: topic.name.clone(),
                partition,
            })
        })
        .collect();
    let ends = offsets(admin, &partitions, OffsetSpec::Latest).await;
    let starts = offsets(admin, &partitions, OffsetSpec::Earliest).await;
    let records = ends
        .iter()
        .map(|(partition, end)| end - starts.get(partition).unwrap_or(end))
        .sum();
    let mut lag = 0;
    for group in admin.list_groups(&[], &[]).await? {
        if !group.group_id.starts_with(SINK_GROUP) {
            continue;
        }
        let committed = admin
            .list_group_offsets(&group.group_id, None, false)
            .await?;
        lag += committed
            .iter()
            .filter_map(|(partition, committed)| Some(ends.get(partition)? - committed.offset))
            .sum::<i64>();
    }
    Ok(Count { records, lag })
}

async fn offsets(
    admin: &Admin,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
) -> BTreeMap<TopicPartition, i64> {
    let asked = partitions.iter().map(|it| (it.clone(), spec)).collect();
    let listed = admin.list_offsets(&asked, IsolationLevel::ReadUncommitted);
    let listed = listed.await.into_iter();
    // A topic that was deleted meanwhile counts nothing.
    listed
        .filter_map(|(partition, listed)| Some((partition, listed.ok()?.offset)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_rate_since_the_last_one() {
        let before = Count {
            records: 10,
            lag: 5,
        };
        let now = Count {
            records: 25,
            lag: 2,
        };
        assert_eq!(
            line(before, now, Duration::from_secs(3)),
            "25 records in topics, 5 records/s, lag 2"
        );
    }
}
