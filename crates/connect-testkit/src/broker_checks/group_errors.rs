//! What a group refuses, and in which state.

use anyhow::Result;

use super::client::Client;
use super::member::{Member, assignment_of, commit, commit_request, committed, form};
use super::wire::text;
use super::{Part, Target, same};

pub fn part() -> Part {
    Part::new("group errors")
        .check("commit with a stale generation: 22", stale_commit)
        .check("commit of an unknown member: 25", commit_of_unknown_member)
        .check("while Completing: commit 27, heartbeat 0", while_completing)
        .check(
            "while Preparing: commit 0, Sync and heartbeat 27",
            while_preparing,
        )
        .check("an unknown group: heartbeat and Sync 25", unknown_group)
        .check(
            "LeaveGroup answers 0 at the top and 25 per unknown member",
            leave_unknown,
        )
}

/// A stable group of one.
async fn one(target: &Target) -> Result<(Member, String)> {
    let mut client = Client::open(target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    let mut members = [Member::worker(target, &group).await?];
    form(&mut members).await?;
    let [member] = members;
    Ok((member, topic))
}

async fn stale_commit(target: Target) -> Result<()> {
    let (mut member, topic) = one(&target).await?;
    member.generation += 1;
    same(
        "error of a later generation",
        member.commit(&topic, 1).await?,
        22,
    )?;
    member.generation -= 2;
    let expected = if member.generation < 0 { 25 } else { 22 };
    same(
        "error of an earlier generation",
        member.commit(&topic, 1).await?,
        expected,
    )
}

async fn commit_of_unknown_member(target: Target) -> Result<()> {
    let (mut member, topic) = one(&target).await?;
    let request = commit_request(&member.group, &topic, 1, "")
        .with_generation_id_or_member_epoch(member.generation)
        .with_member_id(text("somebody else"));
    same("error", commit(&mut member.client, &request).await?, 25)
}

async fn while_completing(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    let mut member = Member::worker(&target, &group).await?;
    same("join", member.join().await?.error_code, 0)?;
    same("commit", member.commit(&topic, 1).await?, 27)?;
    same("heartbeat", member.heartbeat().await?, 0)?;
    let id = member.id.clone();
    same(
        "sync",
        member.sync(&[(&id, &assignment_of(&id))]).await?.error_code,
        0,
    )?;
    same("commit when stable", member.commit(&topic, 1).await?, 0)
}

async fn while_preparing(target: Target) -> Result<()> {
    let (mut member, topic) = one(&target).await?;
    let mut newcomer = Member::worker(&target, &member.group).await?;
    newcomer.take_id().await?;
    newcomer.ask_to_join().await?;
    member.hear(27).await?;
    same("commit", member.commit(&topic, 5).await?, 0)?;
    same("sync", member.sync(&[]).await?.error_code, 27)?;
    same("heartbeat", member.heartbeat().await?, 27)?;
    let group = member.group.clone();
    same(
        "committed",
        committed(&mut member.client, &group, &topic).await?.0,
        5,
    )
}

async fn unknown_group(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let group = client.group().await?;
    let mut member = Member::worker(&target, &group).await?;
    (member.id, member.generation, member.protocol) = ("somebody".into(), 1, "sessioned".into());
    same("heartbeat", member.heartbeat().await?, 25)?;
    same("sync", member.sync(&[]).await?.error_code, 25)
}

async fn leave_unknown(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let group = client.group().await?;
    let mut stranger = Member::worker(&target, &group).await?;
    stranger.id = "somebody".into();
    let (known, _) = one(&target).await?;
    for group in [group, known.group] {
        stranger.group = group;
        let answer = stranger.leave().await?;
        same("error at the top", answer.error_code, 0)?;
        let errors: Vec<i16> = answer
            .members
            .iter()
            .map(|member| member.error_code)
            .collect();
        same("errors per member", errors, vec![25])?;
    }
    Ok(())
}
