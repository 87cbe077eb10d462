//! What goes on beside requests: retention, compaction, fsync, a shorter journal.
//!
//! Lives here: two loops over all partitions.
//! Lives elsewhere: what is deleted or compacted (`crate::log`).
//! Never here: a request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior};
use tracing::{error, info};

use super::Broker;
use super::topic::{Partition, Topic};
use crate::config::Fsync;
use crate::log::CleanPlan;

/// A producer's sequence on a partition is forgotten after this (`producer.id.expiration.ms`).
const PRODUCER_EXPIRY_MS: i64 = 86_400_000;

/// Retention, compaction, a shorter journal. Ends only when it is dropped.
pub(crate) async fn maintain_regularly(broker: Arc<Broker>) {
    let mut retention = regularly(broker.config.retention_interval);
    let mut compaction = regularly(broker.config.compaction_interval);
    loop {
        let work = tokio::select! {
            // In the same order in every simulated run.
            biased;
            _ = retention.tick() => Work::Retention,
            _ = compaction.tick() => Work::Compaction,
        };
        for topic in broker.topics() {
            for (index, partition) in topic.partitions().into_iter().enumerate() {
                let done = match work {
                    Work::Retention => delete_old(&broker, &topic, index, &partition),
                    Work::Compaction => compact(&broker, &topic, index, &partition).await,
                };
                if let Err(cause) = done {
                    error!(topic = topic.name.as_str(), partition = index, %cause, "{work:?} failed; it is tried again");
                }
            }
        }
        broker.retry_stuck();
        if broker.journal().wants_rewrite()
            && let Err(cause) = broker.rewrite_journal()
        {
            error!(%cause, "the journal could not be written anew; it is tried again");
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Retention,
    Compaction,
}

/// The first time is one interval from now.
fn regularly(interval: Duration) -> Interval {
    let interval = interval.max(Duration::from_millis(1));
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn delete_old(
    broker: &Broker,
    topic: &Topic,
    index: usize,
    partition: &Partition,
) -> io::Result<()> {
    let now_ms = broker.now_ms();
    let mut log = partition.log();
    log.expire_producers(now_ms - PRODUCER_EXPIRY_MS);
    let mut deleted = log.delete_below_start()?;
    if let Some(retention) = &topic.configured().rules.retention {
        deleted += log.delete_old(retention, now_ms)?;
    }
    if deleted > 0 {
        info!(
            topic = topic.name.as_str(),
            partition = index,
            segments = deleted,
            start = log.start_offset(),
            "old segments deleted"
        );
    }
    Ok(())
}

async fn compact(
    broker: &Broker,
    topic: &Topic,
    index: usize,
    partition: &Partition,
) -> io::Result<()> {
    let now_ms = broker.now_ms();
    let rules = topic.configured().rules;
    let on_disk = broker.root.is_some();
    let flush_due = partition
        .log()
        .unsynced_since_ms()
        .is_some_and(|since| now_ms.saturating_sub(since) >= rules.flush_ms);
    if flush_due {
        let stores = partition.log().take_unsynced();
        blocking(on_disk, move || {
            stores.iter().try_for_each(|store| store.sync())
        })
        .await?;
    }
    let Some(compaction) = &rules.compaction else {
        return Ok(());
    };
    let Some(plan) = partition.log().plan_clean(compaction, now_ms)? else {
        return Ok(());
    };
    let cleaned = blocking(on_disk, move || CleanPlan::run(plan)).await?;
    info!(
        topic = topic.name.as_str(),
        partition = index,
        before_bytes = cleaned.bytes_before,
        after_bytes = cleaned.bytes_after,
        "partition compacted"
    );
    partition.log().install(cleaned)
}

/// Ends only when it is dropped; at once, when nothing is to be done regularly.
pub(crate) async fn flush_regularly(broker: Arc<Broker>) {
    let Fsync::Interval(interval) = broker.config.fsync else {
        return;
    };
    let mut ticks = regularly(interval);
    loop {
        ticks.tick().await;
        if let Err(cause) = broker.sync_all().await {
            error!(%cause, "records could not be brought to the disk; it is tried again");
        }
    }
}

impl Broker {
    /// Waits until all that was written is on the disk.
    pub(crate) async fn sync_all(&self) -> io::Result<()> {
        let partitions: Vec<_> = self
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
            .collect();
        sync_partitions(self.root.is_some(), &partitions).await?;
        self.journal().sync()
    }
}

pub(super) async fn sync_partitions(
    on_disk: bool,
    partitions: &[Arc<Partition>],
) -> io::Result<()> {
    let stores: Vec<_> = partitions
        .iter()
        .flat_map(|partition| partition.log().take_unsynced())
        .collect();
    if stores.is_empty() {
        return Ok(());
    }
    blocking(on_disk, move || {
        stores.iter().try_for_each(|store| store.sync())
    })
    .await
}

/// Work that may take long: elsewhere when it waits for a disk, here when it does not.
async fn blocking<T: Send + 'static>(
    on_disk: bool,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if !on_disk {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => Err(io::Error::other(failed)),
    }
}
