//! What a broker still knows after it was killed, twice.
//!
//! Lives here: [`Restartable`], and checks in two halves: one that leaves something with the broker,
//! and one that looks for it after the kills.
//! Never here: a clean stop, which proves less.

use std::collections::HashSet;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kafka_wire::BatchKind;
use kafka_wire::batch::ProducerState;
use tokio::task::LocalSet;

use super::client::{Client, Isolation, values_from, warmed_up};
use super::configs::topic_configs;
use super::member::{Member, assignment_of, commit, commit_request, committed, form};
use super::producer::{End, Producer, idempotent_id};
use super::{LocalFuture, Report, Row, Target, Verdict, same};

/// A broker that this process can kill and start again on its old address with its old data.
pub trait Restartable {
    fn bootstrap(&self) -> String;

    /// As `kill -9` does, without a word to anybody; returns when the broker answers again.
    fn kill_and_restart(&mut self) -> impl Future<Output = Result<()>>;
}

/// The second half of a check.
type After = Box<dyn FnOnce(Target) -> LocalFuture<Result<()>>>;

fn after<F>(look: impl FnOnce(Target) -> F + 'static) -> Result<After>
where
    F: Future<Output = Result<()>> + 'static,
{
    Ok(Box::new(move |target| Box::pin(look(target))))
}

/// The first half.
type Before = Box<dyn FnOnce(Target) -> LocalFuture<Result<After>>>;

fn before<F>(
    name: &'static str,
    leave: impl FnOnce(Target) -> F + 'static,
) -> (&'static str, Before)
where
    F: Future<Output = Result<After>> + 'static,
{
    (name, Box::new(move |target| Box::pin(leave(target))))
}

fn all() -> Vec<(&'static str, Before)> {
    vec![
        before("committed data is there once", committed_data),
        before("aborted and open transactions are invisible", invisible),
        before(
            "an open transaction is aborted by InitProducerId",
            open_transaction,
        ),
        before("committed offsets are back with metadata", offsets),
        before(
            "offsets of an open transaction are not, and can still be committed",
            open_offsets,
        ),
        before("configs and partitions are back", configs),
        before(
            "classic members are back, and heartbeats go on with 0",
            members,
        ),
        before("the producer id is kept, the epoch is + 1", producer_id),
        before(
            "an idempotent repeat gives the old offset, a gap 45",
            idempotent,
        ),
        before("no producer id is given twice", fresh_ids),
    ]
}

/// The names of the checks, as the report has them.
pub fn names() -> Vec<String> {
    let checks = all().into_iter();
    checks.map(|(name, _)| format!("restart: {name}")).collect()
}

/// Leaves everything, kills the broker twice, looks for everything.
pub async fn run(broker: &mut impl Restartable) -> Report {
    LocalSet::new().run_until(run_locally(broker)).await
}

async fn run_locally(broker: &mut impl Restartable) -> Report {
    let target = Target {
        bootstrap: broker.bootstrap(),
    };
    let mut left = Vec::new();
    let prepared = match warmed_up(&target).await {
        Ok(_) => {
            for (name, leave) in all() {
                left.push((name, leave(target.clone()).await));
            }
            restarted_twice(broker, &target).await
        }
        Err(cause) => Err(cause),
    };
    if let Err(cause) = prepared {
        return Report::of_failure("restart: the broker comes back after a kill, twice", cause);
    }
    let looking: Vec<_> = left
        .into_iter()
        .map(|(name, left)| {
            let target = target.clone();
            let look = async move {
                let begun = Instant::now();
                let looked = match left {
                    Ok(look) => look(target).await.context("after the kills"),
                    Err(cause) => Err(cause.context("before the kills")),
                };
                (looked, begun.elapsed())
            };
            (name, tokio::task::spawn_local(look))
        })
        .collect();
    let mut report = Report::default();
    for (name, look) in looking {
        let (verdict, took) = match look.await {
            Ok((Ok(()), took)) => (Verdict::Holds, took),
            Ok((Err(cause), took)) => (Verdict::Fails(cause), took),
            Err(panicked) => (Verdict::Fails(panicked.into()), Duration::ZERO),
        };
        let name = format!("restart: {name}");
        report.rows.push(Row {
            name,
            verdict,
            took,
        });
    }
    report
}

async fn restarted_twice(broker: &mut impl Restartable, target: &Target) -> Result<()> {
    for _ in 0..2 {
        broker.kill_and_restart().await?;
        warmed_up(target).await?;
    }
    same(
        "address after the restart",
        broker.bootstrap(),
        target.bootstrap.clone(),
    )
}

async fn read(target: &Target, topic: &str, isolation: Isolation) -> Result<Vec<String>> {
    Client::open(target).await?.read(topic, 0, isolation).await
}

async fn committed_data(target: Target) -> Result<After> {
    let mut producer = Producer::open(&target).await?;
    let topic = producer.client.topic(1).await?;
    producer.client.append(&topic, 0, &["plain"]).await?;
    producer.write(&topic, 0, &["a", "b"]).await?;
    producer.finish(End::Commit).await?;
    after(async move |target| {
        let expected = ["plain", "a", "b"].map(str::to_owned).to_vec();
        let mut client = Client::open(&target).await?;
        client.wait_until_usable(&topic, 1).await?;
        same("high watermark", client.settled(&topic, 0).await?, 4)?;
        same(
            "values",
            read(&target, &topic, Isolation::Committed).await?,
            expected,
        )
    })
}

async fn invisible(target: Target) -> Result<After> {
    let (mut aborted, mut open) = (
        Producer::open(&target).await?,
        Producer::open(&target).await?,
    );
    let topic = aborted.client.topic(1).await?;
    aborted.write(&topic, 0, &["aborted"]).await?;
    aborted.finish(End::Abort).await?;
    aborted.client.settled(&topic, 0).await?;
    aborted.client.append(&topic, 0, &["seen"]).await?;
    open.write(&topic, 0, &["open"]).await?;
    after(async move |target| {
        Client::open(&target)
            .await?
            .wait_until_usable(&topic, 1)
            .await?;
        same(
            "committed values",
            read(&target, &topic, Isolation::Committed).await?,
            vec!["seen".to_owned()],
        )?;
        let all = ["aborted", "seen", "open"].map(str::to_owned).to_vec();
        same(
            "all values",
            read(&target, &topic, Isolation::Uncommitted).await?,
            all,
        )
    })
}

async fn open_transaction(target: Target) -> Result<After> {
    let mut open = Producer::open(&target).await?;
    let topic = open.client.topic(1).await?;
    open.write(&topic, 0, &["lost"]).await?;
    after(async move |target| {
        let mut new = Producer::open_as(&target, &open.transactional_id, 60_000).await?;
        new.write(&topic, 0, &["kept"]).await?;
        new.finish(End::Commit).await?;
        new.client.settled(&topic, 0).await?;
        same(
            "values",
            read(&target, &topic, Isolation::Committed).await?,
            vec!["kept".to_owned()],
        )
    })
}

async fn offsets(target: Target) -> Result<After> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    let request = commit_request(&group, &topic, 12, "note");
    same("commit", commit(&mut client, &request).await?, 0)?;
    after(async move |target| {
        let mut client = Client::open(&target).await?;
        let found = stable(&mut client, &group, &topic).await?;
        same("committed", found, (12, Some("note".to_owned()), 0))
    })
}

/// What is committed, once the coordinator has loaded it.
async fn stable(
    client: &mut Client,
    group: &str,
    topic: &str,
) -> Result<(i64, Option<String>, i16)> {
    super::until(
        format!("the coordinator of {group} has loaded"),
        async || {
            Ok(committed(client, group, topic)
                .await
                .map_err(|cause| format!("{cause:#}")))
        },
    )
    .await
}

async fn open_offsets(target: Target) -> Result<After> {
    let mut producer = Producer::open(&target).await?;
    let (topic, group) = (
        producer.client.topic(1).await?,
        producer.client.group().await?,
    );
    same("AddOffsetsToTxn", producer.add_offsets(&group).await?, 0)?;
    same(
        "TxnOffsetCommit",
        producer.commit_offset(&group, &topic, 3).await?,
        0,
    )?;
    after(async move |target| {
        producer.client = Client::open(&target).await?;
        let before = stable(&mut producer.client, &group, &topic).await?;
        same("committed before the end", before.0, -1)?;
        same(
            "TxnOffsetCommit after the restart",
            producer.commit_offset(&group, &topic, 4).await?,
            0,
        )?;
        producer.finish(End::Commit).await?;
        super::until("the offset is committed", async || {
            let found = committed(&mut producer.client, &group, &topic).await?;
            Ok(match found.0 {
                4 => Ok(()),
                _ => Err(format!("{found:?}")),
            })
        })
        .await
    })
}

async fn configs(target: Target) -> Result<After> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic_with(3, &[("retention.ms", "424242")]).await?;
    after(async move |target| {
        let mut client = Client::open(&target).await?;
        client.wait_until_usable(&topic, 3).await?;
        let found = topic_configs(&mut client, &topic, Some(&["retention.ms"])).await?;
        same(
            "retention.ms",
            found.get("retention.ms"),
            Some(&("424242".to_owned(), 1)),
        )
    })
}

async fn members(target: Target) -> Result<After> {
    let group = Client::open(&target).await?.group().await?;
    let mut members = [
        Member::worker(&target, &group).await?,
        Member::worker(&target, &group).await?,
    ];
    for member in &mut members {
        // Two restarts of a JVM take their time.
        member.session_ms = 300_000;
    }
    form(&mut members).await?;
    after(async move |target| {
        for mut member in members {
            member.client = Client::open(&target).await?;
            member.hear(0).await?;
            let synced = member.sync(&[]).await?;
            let expected = (0, assignment_of(&member.id));
            same(
                "error and assignment",
                (synced.error_code, synced.assignment.to_vec()),
                expected,
            )?;
        }
        Ok(())
    })
}

async fn producer_id(target: Target) -> Result<After> {
    let old = Producer::open(&target).await?;
    after(async move |target| {
        let new = Producer::open_as(&target, &old.transactional_id, 60_000).await?;
        same("id and epoch", (new.id, new.epoch), (old.id, old.epoch + 1))
    })
}

async fn idempotent(target: Target) -> Result<After> {
    let mut client = Client::open(&target).await?;
    let topic = client.topic(1).await?;
    let (id, epoch) = idempotent_id(&mut client).await?;
    let batch = move |base_sequence| {
        values_from(
            ProducerState {
                id,
                epoch,
                base_sequence,
            },
            BatchKind::Plain,
            &["a", "b"],
        )
    };
    for sequence in [0, 2] {
        same(
            "produce",
            client
                .produce(&topic, 0, batch(sequence)?)
                .await?
                .error_code,
            0,
        )?;
    }
    after(async move |target| {
        let mut client = Client::open(&target).await?;
        client.wait_until_usable(&topic, 1).await?;
        let again = client.produce(&topic, 0, batch(2)?).await?;
        same(
            "error and offset of the repeat",
            (again.error_code, again.base_offset),
            (0, 2),
        )?;
        same(
            "error of a gap",
            client.produce(&topic, 0, batch(8)?).await?.error_code,
            45,
        )?;
        let next = client.produce(&topic, 0, batch(4)?).await?;
        same(
            "error and offset of the next",
            (next.error_code, next.base_offset),
            (0, 4),
        )
    })
}

async fn fresh_ids(target: Target) -> Result<After> {
    let mut client = Client::open(&target).await?;
    let mut given = HashSet::new();
    for _ in 0..10 {
        given.insert(idempotent_id(&mut client).await?.0);
    }
    after(async move |target| {
        let mut client = Client::open(&target).await?;
        for _ in 0..10 {
            let (id, _) = idempotent_id(&mut client).await?;
            ensure!(given.insert(id), "producer id {id} was given twice");
        }
        Ok(())
    })
}
