//! Groups of Kafka Connect's workers: protocol type `connect`, opaque bytes, members that fall
//! silent.

use anyhow::{Result, ensure};
use kafka_protocol::messages::JoinGroupRequest;

use super::client::Client;
use super::member::{Member, SESSION_MIN_MS, assignment_of, form, gather, rejoin, sync_all};
use super::wire::text;
use super::{Part, Target, same, until};

pub fn part() -> Part {
    Part::new("worker groups")
        .check("two join: one generation for both, `sessioned`, only the leader sees members and bytes", two_join)
        .check("assignments come back byte for byte; heartbeats 0", assignments)
        .check("a third joins: 27, generation + 1, the leader keeps leadership", third_joins)
        .check("the leader leaves: another leads, generation + 1", leader_leaves)
        .check("one without `sessioned`: `compatible` wins", compatible_wins)
        .check("another protocol type, or nothing in common: 23", inconsistent)
        .check("empty protocols or type: 23", empty_protocols)
        .check("an empty group id: 24", empty_group)
        .check("a session timeout under 6000 or over 1800000 ms: 26", session_timeouts)
        .check("an unknown member id: 25", unknown_member)
        .check("a member leaves: 27, then generation + 1 without it", member_leaves)
        .waiting("silence: the session timeout removes a member", silent_member)
        .waiting("a missing sync: removed at the rebalance timeout, then 25", missing_sync)
        .waiting("a missing rejoin: removed at the rebalance timeout", missing_rejoin)
        .check("a pending id holds the barrier", pending_id)
        .check("the leader rejoins: a rebalance", leader_rejoins)
        .check("a follower with changed metadata: a rebalance", changed_metadata)
        .check("a follower with the same metadata: answered at once with the current generation", same_metadata)
        .check("a stale generation: 22", stale_generation)
        .check("SyncGroup 5 with another protocol name or type: 23", sync_with_other_protocol)
        .check("SyncGroup again when stable: the same assignment", sync_again)
        .check("JoinGroup 2 and 3 with an empty id: OK; 4: 79", old_joins)
}

/// Workers that have not joined yet, of one new group.
async fn workers<const N: usize>(target: &Target) -> Result<[Member; N]> {
    let group = Client::open(target).await?.group().await?;
    let mut workers = Vec::with_capacity(N);
    for _ in 0..N {
        workers.push(Member::worker(target, &group).await?);
    }
    Ok(workers.try_into().expect("N were pushed"))
}

/// A stable group, leader first.
async fn stable<const N: usize>(target: &Target) -> Result<[Member; N]> {
    let mut members = workers::<N>(target).await?;
    form(&mut members).await?;
    Ok(members)
}

async fn two_join(target: Target) -> Result<()> {
    let mut members = workers::<2>(&target).await?;
    for (place, member) in members.iter_mut().enumerate() {
        member.protocols = vec![
            (
                "sessioned".to_owned(),
                bytes::Bytes::from(format!("\u{0}url {place}")),
            ),
            ("compatible".to_owned(), bytes::Bytes::from_static(b"\xff")),
        ];
    }
    let answers = gather(&mut members).await?;
    let mut leaders = 0;
    for answer in &answers {
        same(
            "type",
            answer.protocol_type.as_ref().map(|name| name.as_str()),
            Some("connect"),
        )?;
        same(
            "protocol",
            answer.protocol_name.as_ref().map(|name| name.as_str()),
            Some("sessioned"),
        )?;
        same("leader", &answer.leader, &answers[0].leader)?;
        if answer.leader != answer.member_id {
            same("members that a follower sees", answer.members.len(), 0)?;
            continue;
        }
        leaders += 1;
        let mut seen: Vec<_> = answer
            .members
            .iter()
            .map(|member| (member.member_id.to_string(), member.metadata.clone()))
            .collect();
        seen.sort();
        let mut expected: Vec<_> = members
            .iter()
            .map(|member| (member.id.clone(), member.protocols[0].1.clone()))
            .collect();
        expected.sort();
        same("members that the leader sees", seen, expected)?;
    }
    same("leaders", leaders, 1)
}

async fn assignments(target: Target) -> Result<()> {
    // `stable` compares the bytes of each.
    for member in &mut stable::<3>(&target).await? {
        same("heartbeat", member.heartbeat().await?, 0)?;
    }
    Ok(())
}

async fn third_joins(target: Target) -> Result<()> {
    let [leader, follower] = stable::<2>(&target).await?;
    let mut third = Member::worker(&target, &leader.group).await?;
    let (generation, leader_id) = (leader.generation, leader.id.clone());
    third.take_id().await?;
    let mut members = [leader, follower, third];
    members[2].ask_to_join().await?;
    for member in &mut members[..2] {
        member.hear(27).await?;
        member.ask_to_join().await?;
    }
    for member in &mut members {
        let answer = member.joined().await?;
        same(
            "error and generation",
            (answer.error_code, answer.generation_id),
            (0, generation + 1),
        )?;
        same("leader", answer.leader.as_str(), leader_id.as_str())?;
    }
    sync_all(&mut members, 0).await
}

async fn leader_leaves(target: Target) -> Result<()> {
    let [mut leader, mut follower] = stable::<2>(&target).await?;
    let generation = follower.generation;
    leader.leave_well().await?;
    follower.hear(27).await?;
    let answer = follower.join().await?;
    same(
        "error and generation",
        (answer.error_code, answer.generation_id),
        (0, generation + 1),
    )?;
    same("leader", answer.leader.as_str(), follower.id.as_str())?;
    same("members", answer.members.len(), 1)
}

async fn compatible_wins(target: Target) -> Result<()> {
    let mut members = workers::<2>(&target).await?;
    members[0]
        .protocols
        .push(("compatible".to_owned(), bytes::Bytes::from_static(b"c")));
    members[1].protocols = vec![("compatible".to_owned(), bytes::Bytes::from_static(b"c"))];
    form(&mut members).await?;
    for member in &members {
        same("protocol", member.protocol.as_str(), "compatible")?;
    }
    Ok(())
}

/// The error of a JoinGroup of version 3, where a first join needs no id.
async fn refused(member: &mut Member) -> Result<i16> {
    let request = member.join_request();
    Ok(member.client.connection.ask(3, &request).await?.error_code)
}

async fn inconsistent(target: Target) -> Result<()> {
    let [member] = stable::<1>(&target).await?;
    let mut other = Member::new(&target, &member.group, "consumer", &[("sessioned", b"")]).await?;
    same("error of another type", refused(&mut other).await?, 23)?;
    let mut other = Member::new(&target, &member.group, "connect", &[("default", b"")]).await?;
    same("error of nothing in common", refused(&mut other).await?, 23)
}

async fn empty_protocols(target: Target) -> Result<()> {
    let [mut member] = workers::<1>(&target).await?;
    member.protocol_type.clear();
    same("error of an empty type", refused(&mut member).await?, 23)?;
    member.protocol_type = "connect".to_owned();
    member.protocols.clear();
    same("error without protocols", refused(&mut member).await?, 23)
}

async fn empty_group(target: Target) -> Result<()> {
    let mut member = Member::worker(&target, "").await?;
    same("error", refused(&mut member).await?, 24)
}

async fn session_timeouts(target: Target) -> Result<()> {
    let [mut member] = workers::<1>(&target).await?;
    for session_ms in [0, SESSION_MIN_MS - 1, 1_800_001] {
        member.session_ms = session_ms;
        same(
            format!("error of {session_ms} ms"),
            refused(&mut member).await?,
            26,
        )?;
    }
    Ok(())
}

async fn unknown_member(target: Target) -> Result<()> {
    let [mut member] = stable::<1>(&target).await?;
    member.id = "somebody".to_owned();
    same("join", member.join().await?.error_code, 25)?;
    same("heartbeat", member.heartbeat().await?, 25)?;
    same("sync", member.sync(&[]).await?.error_code, 25)
}

async fn member_leaves(target: Target) -> Result<()> {
    let [leader, mut follower] = stable::<2>(&target).await?;
    follower.leave_well().await?;
    let generation = leader.generation;
    let mut left = [leader];
    left[0].hear(27).await?;
    rejoin(&mut left).await?;
    same("generation", left[0].generation, generation + 1)?;
    same("heartbeat of who left", follower.heartbeat().await?, 25)
}

async fn silent_member(target: Target) -> Result<()> {
    let mut members = workers::<2>(&target).await?;
    members[0].session_ms = 60_000;
    members[1].session_ms = SESSION_MIN_MS;
    form(&mut members).await?;
    let [mut alive, mut silent] = members;
    let begun = std::time::Instant::now();
    alive.hear(27).await?;
    let waited = begun.elapsed().as_millis();
    // It was heard of at its sync, a little before.
    ensure!(
        waited > SESSION_MIN_MS as u128 - 1_000,
        "the silent member was removed after {waited} ms, expected {SESSION_MIN_MS}"
    );
    let answer = alive.join().await?;
    same(
        "error and members",
        (answer.error_code, answer.members.len()),
        (0, 1),
    )?;
    same("heartbeat of the silent one", silent.heartbeat().await?, 25)
}

async fn missing_sync(target: Target) -> Result<()> {
    let mut members = workers::<2>(&target).await?;
    for member in &mut members {
        member.rebalance_ms = 2_000;
    }
    gather(&mut members).await?;
    let [mut leader, mut lazy] = members;
    let assignments = [leader.id.clone(), lazy.id.clone()].map(|id| (assignment_of(&id), id));
    let assignments: Vec<(&str, &[u8])> = assignments
        .iter()
        .map(|(bytes, id)| (id.as_str(), bytes.as_slice()))
        .collect();
    same(
        "sync of the leader",
        leader.sync(&assignments).await?.error_code,
        0,
    )?;
    leader.hear(27).await?;
    same("heartbeat of who did not sync", lazy.heartbeat().await?, 25)?;
    let answer = leader.join().await?;
    same(
        "error and members",
        (answer.error_code, answer.members.len()),
        (0, 1),
    )
}

async fn missing_rejoin(target: Target) -> Result<()> {
    let mut members = workers::<2>(&target).await?;
    for member in &mut members {
        member.rebalance_ms = 2_000;
    }
    form(&mut members).await?;
    let [mut rejoins, mut stays] = members;
    let generation = rejoins.generation;
    let answer = rejoins.join().await?;
    same(
        "error and generation",
        (answer.error_code, answer.generation_id),
        (0, generation + 1),
    )?;
    same("members", answer.members.len(), 1)?;
    same(
        "heartbeat of who did not rejoin",
        stays.heartbeat().await?,
        25,
    )
}

async fn pending_id(target: Target) -> Result<()> {
    let [mut leader] = stable::<1>(&target).await?;
    let mut newcomer = Member::worker(&target, &leader.group).await?;
    newcomer.take_id().await?;
    leader.ask_to_join().await?;
    // On another connection: it must be asked after the leader was heard.
    let mut client = Client::open(&target).await?;
    until(
        "the rebalance begins and waits for the pending id",
        async || {
            let found = super::groups::describe(&mut client, 5, &leader.group).await?;
            Ok(match found.group_state.as_str() {
                "PreparingRebalance" => Ok(()),
                state => Err(format!("state {state}")),
            })
        },
    )
    .await?;
    newcomer.ask_to_join().await?;
    let answers = [leader.joined().await?, newcomer.joined().await?];
    same(
        "generations",
        answers.each_ref().map(|answer| answer.generation_id),
        [2, 2],
    )?;
    same("members that the leader sees", answers[0].members.len(), 2)
}

async fn leader_rejoins(target: Target) -> Result<()> {
    let mut members = stable::<2>(&target).await?;
    let generation = members[0].generation;
    members[0].ask_to_join().await?;
    members[1].hear(27).await?;
    members[1].ask_to_join().await?;
    for member in &mut members {
        same(
            "generation",
            member.joined().await?.generation_id,
            generation + 1,
        )?;
    }
    sync_all(&mut members, 0).await
}

async fn changed_metadata(target: Target) -> Result<()> {
    let mut members = stable::<2>(&target).await?;
    let generation = members[0].generation;
    members[1].protocols[0].1 = bytes::Bytes::from_static(b"changed");
    members[1].ask_to_join().await?;
    members[0].hear(27).await?;
    members[0].ask_to_join().await?;
    let leader = members[0].joined().await?;
    same("generation", leader.generation_id, generation + 1)?;
    let seen = leader
        .members
        .iter()
        .any(|member| member.metadata.as_ref() == b"changed");
    ensure!(
        seen,
        "the leader does not see the changed metadata: {:?}",
        leader.members
    );
    same(
        "generation of the follower",
        members[1].joined().await?.generation_id,
        generation + 1,
    )
}

async fn same_metadata(target: Target) -> Result<()> {
    let [mut leader, mut follower] = stable::<2>(&target).await?;
    let answer = follower.join().await?;
    same(
        "error and generation",
        (answer.error_code, answer.generation_id),
        (0, leader.generation),
    )?;
    same("heartbeat of the leader", leader.heartbeat().await?, 0)?;
    let synced = follower.sync(&[]).await?;
    same(
        "assignment",
        synced.assignment.as_ref(),
        assignment_of(&follower.id).as_slice(),
    )
}

async fn stale_generation(target: Target) -> Result<()> {
    let [mut member] = stable::<1>(&target).await?;
    member.generation += 5;
    same("heartbeat", member.heartbeat().await?, 22)?;
    same("sync", member.sync(&[]).await?.error_code, 22)
}

async fn sync_with_other_protocol(target: Target) -> Result<()> {
    let [mut member] = stable::<1>(&target).await?;
    let request = member.sync_request(&[]);
    let other_name = request.clone().with_protocol_name(Some(text("compatible")));
    same(
        "error of another name",
        member.client.ask(&other_name).await?.error_code,
        23,
    )?;
    let other_type = request.with_protocol_type(Some(text("consumer")));
    same(
        "error of another type",
        member.client.ask(&other_type).await?.error_code,
        23,
    )
}

async fn sync_again(target: Target) -> Result<()> {
    for member in &mut stable::<2>(&target).await? {
        let synced = member.sync(&[]).await?;
        same("error", synced.error_code, 0)?;
        same(
            "assignment",
            synced.assignment.as_ref(),
            assignment_of(&member.id).as_slice(),
        )?;
        same(
            "type and protocol",
            (synced.protocol_type, synced.protocol_name),
            (Some(text("connect")), Some(text("sessioned"))),
        )?;
    }
    Ok(())
}

async fn old_joins(target: Target) -> Result<()> {
    for (version, error) in [(2, 0), (3, 0), (4, 79)] {
        let [mut member] = workers::<1>(&target).await?;
        let request: JoinGroupRequest = member.join_request();
        let answer = member.client.connection.ask(version, &request).await?;
        same(
            format!("error in version {version}"),
            answer.error_code,
            error,
        )?;
        ensure!(
            !answer.member_id.is_empty(),
            "version {version}: found no member id"
        );
    }
    Ok(())
}
