//! Consumer groups: members come and go; groups described and listed.

use anyhow::{Context as _, Result, ensure};
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{DescribeGroupsRequest, ListGroupsRequest};

use super::client::{Client, group_id};
use super::member::{Member, assignment_of, form, rejoin, simple_commit};
use super::offsets::{consumer, subscription};
use super::wire::{CLIENT_ID, text};
use super::{Part, Target, same};

pub fn part() -> Part {
    Part::new("groups")
        .check("two members, one leaves", one_leaves)
        .check("cooperative-sticky", cooperative)
        .check(
            "a static member rejoins: same generation, the old id gets 82",
            static_member,
        )
        .check(
            "DescribeGroups: Stable with members, bytes and protocol",
            describe_stable,
        )
        .check("DescribeGroups: Empty", describe_empty)
        .check(
            "DescribeGroups: Dead, with 69 from version 6 on",
            describe_dead,
        )
        .check("ListGroups: filter by state", list_by_state)
        .check(
            "ListGroups: a group with only offsets has protocol type \"\"",
            list_only_offsets,
        )
}

async fn one_leaves(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(2).await?, client.group().await?);
    let mut members = [
        consumer(&target, &group, &[&topic]).await?,
        consumer(&target, &group, &[&topic]).await?,
    ];
    form(&mut members).await?;
    let generation = members[0].generation;
    same("commit", members[1].commit(&topic, 1).await?, 0)?;
    members[1].leave_well().await?;
    members[0].hear(27).await?;
    rejoin(&mut members[..1]).await?;
    same("generation", members[0].generation, generation + 1)?;
    same("heartbeat", members[0].heartbeat().await?, 0)?;
    same("heartbeat of who left", members[1].heartbeat().await?, 25)
}

async fn cooperative(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(2).await?, client.group().await?);
    let metadata = subscription(&[&topic])?;
    let offered: &[(&str, &[u8])] = &[("cooperative-sticky", &metadata), ("range", &metadata)];
    let mut members = [
        Member::new(&target, &group, "consumer", offered).await?,
        Member::new(&target, &group, "consumer", offered).await?,
    ];
    form(&mut members).await?;
    for member in &members {
        same("protocol", member.protocol.as_str(), "cooperative-sticky")?;
    }
    // The second round, in which partitions that were given up move on, is an ordinary rejoin.
    let generation = members[0].generation;
    members[0].ask_to_join().await?;
    members[1].hear(27).await?;
    members[1].ask_to_join().await?;
    let joined = [members[0].joined().await?, members[1].joined().await?];
    same(
        "generations",
        joined.map(|answer| answer.generation_id),
        [generation + 1; 2],
    )
}

async fn static_member(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    let mut members = [consumer(&target, &group, &[&topic]).await?];
    members[0].instance = Some("one".to_owned());
    form(&mut members).await?;
    let [mut old] = members;
    let mut new = consumer(&target, &group, &[&topic]).await?;
    new.instance = old.instance.clone();
    let answer = new.join().await?;
    same(
        "error and generation",
        (answer.error_code, answer.generation_id),
        (0, old.generation),
    )?;
    ensure!(
        answer.member_id.as_str() != old.id,
        "the new member has the old id"
    );
    ensure!(
        answer.skip_assignment,
        "skip_assignment: found false, expected true"
    );
    let listed: Vec<_> = answer
        .members
        .iter()
        .map(|member| member.member_id.to_string())
        .collect();
    same("members that the leader sees", listed, vec![new.id.clone()])?;
    let synced = new.sync(&[]).await?;
    same("SyncGroup", synced.error_code, 0)?;
    same(
        "the assignment from before",
        synced.assignment.as_ref(),
        assignment_of(&old.id).as_slice(),
    )?;
    same("heartbeat under the old id", old.heartbeat().await?, 82)?;
    same("heartbeat", new.heartbeat().await?, 0)
}

pub async fn describe(client: &mut Client, version: i16, group: &str) -> Result<DescribedGroup> {
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    let answer = client.connection.ask(version, &request).await?;
    answer
        .groups
        .into_iter()
        .next()
        .context("no group in the answer")
}

async fn describe_stable(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let group = client.group().await?;
    let mut members = [
        Member::worker(&target, &group).await?,
        Member::worker(&target, &group).await?,
    ];
    form(&mut members).await?;
    let found = describe(&mut client, 6, &group).await?;
    same(
        "error and state",
        (found.error_code, found.group_state.as_str()),
        (0, "Stable"),
    )?;
    same(
        "type and protocol",
        (found.protocol_type.as_str(), found.protocol_data.as_str()),
        ("connect", "sessioned"),
    )?;
    let mut described: Vec<_> = found
        .members
        .iter()
        .map(|member| {
            (
                member.member_id.to_string(),
                member.client_id.to_string(),
                member.member_metadata.to_vec(),
                member.member_assignment.to_vec(),
            )
        })
        .collect();
    described.sort();
    let mut expected: Vec<_> = members
        .iter()
        .map(|member| {
            (
                member.id.clone(),
                CLIENT_ID.to_owned(),
                b"url".to_vec(),
                assignment_of(&member.id),
            )
        })
        .collect();
    expected.sort();
    same("members", described, expected)?;
    let host = found.members[0].client_host.to_string();
    ensure!(
        host.contains("127.0.0.1"),
        "host: found {host:?}, expected 127.0.0.1"
    );
    Ok(())
}

async fn describe_empty(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let group = client.group().await?;
    let mut members = [Member::worker(&target, &group).await?];
    form(&mut members).await?;
    members[0].leave_well().await?;
    let found = describe(&mut client, 6, &group).await?;
    same(
        "error, state and members",
        (
            found.error_code,
            found.group_state.as_str(),
            found.members.len(),
        ),
        (0, "Empty", 0),
    )?;
    same("protocol type", found.protocol_type.as_str(), "connect")
}

async fn describe_dead(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let group = client.group().await?;
    for (version, error) in [(0, 0), (5, 0), (6, 69)] {
        let found = describe(&mut client, version, &group).await?;
        same(
            format!("error and state in version {version}"),
            (found.error_code, found.group_state.as_str()),
            (error, "Dead"),
        )?;
    }
    Ok(())
}

async fn listed(client: &mut Client, states: &[&str], group: &str) -> Result<Option<ListedGroup>> {
    let request = ListGroupsRequest::default()
        .with_states_filter(states.iter().map(|state| text(*state)).collect());
    let answer = client.ask(&request).await?;
    same("error", answer.error_code, 0)?;
    Ok(answer
        .groups
        .into_iter()
        .find(|listed| listed.group_id.as_str() == group))
}

async fn list_by_state(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let group = client.group().await?;
    let mut members = [Member::worker(&target, &group).await?];
    form(&mut members).await?;
    for (states, expected) in [
        (&[][..], true),
        (&["Stable"], true),
        (&["Empty"], false),
        (&["Empty", "Stable"], true),
    ] {
        let found = listed(&mut client, states, &group).await?;
        same(
            format!("listed with the states {states:?}"),
            found.is_some(),
            expected,
        )?;
        if let Some(found) = found {
            same(
                "type and state",
                (found.protocol_type.as_str(), found.group_state.as_str()),
                ("connect", "Stable"),
            )?;
        }
    }
    Ok(())
}

async fn list_only_offsets(target: Target) -> Result<()> {
    let mut client = Client::open(&target).await?;
    let (topic, group) = (client.topic(1).await?, client.group().await?);
    same(
        "commit",
        simple_commit(&mut client, &group, &topic, 1).await?,
        0,
    )?;
    let found = listed(&mut client, &["Empty"], &group)
        .await?
        .context("the group is not listed")?;
    same("protocol type", found.protocol_type.as_str(), "")
}
