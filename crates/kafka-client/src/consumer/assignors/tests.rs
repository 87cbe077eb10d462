//! Groups and what Kafka's own assignors answered, one per row of `java_rows.txt`:
//! `assignor; topic=count:racks/racks,…; member@instance%rack topics generation owned | … => member: partitions | …`

use super::*;
use crate::consumer::protocol;

const ROWS: &str = include_str!("java_rows.txt");

fn partition(text: &str) -> TopicPartition {
    let (topic, number) = text.rsplit_once('-').expect("topic-partition");
    TopicPartition {
        topic: topic.into(),
        partition: number.parse().expect("a number"),
    }
}

fn topics(text: &str) -> TopicPartitions {
    let topic = |text: &str| {
        let (name, rest) = text.split_once('=').expect("topic=");
        let (count, racks) = rest.split_once(':').expect("count:");
        let count: usize = count.parse().expect("a number");
        let racks = racks.split('/').take(count);
        let racks = racks.map(|racks| {
            racks
                .split('+')
                .filter(|r| !r.is_empty())
                .map(str::to_owned)
                .collect()
        });
        (name.into(), racks.collect())
    };
    text.split(',').map(topic).collect()
}

fn member(text: &str, assignor: Assignor) -> GroupMember {
    let mut words = text.trim_start().split(' ');
    let names = words.next().expect("names");
    let (member_id, rest) = names.split_once('@').expect("@");
    let (instance, rack) = rest.split_once('%').expect("%");
    let topics = words
        .next()
        .expect("topics")
        .split(',')
        .map(str::to_owned)
        .collect();
    let generation: i32 = words.next().expect("generation").parse().expect("a number");
    let owned: Vec<TopicPartition> = words
        .filter(|word| !word.is_empty())
        .map(partition)
        .collect();
    let (user_data, owned_partitions) = match assignor {
        Assignor::Range | Assignor::RoundRobin => (None, Vec::new()),
        Assignor::Sticky if generation < 0 => (None, Vec::new()),
        Assignor::Sticky => (
            Some(protocol::encode_sticky_user_data(&owned, generation)),
            Vec::new(),
        ),
        Assignor::CooperativeSticky => (
            Some(protocol::encode_generation_user_data(generation)),
            owned,
        ),
    };
    let subscription = Subscription {
        topics,
        user_data,
        owned_partitions,
        generation_id: generation,
        rack_id: Some(rack.to_owned()).filter(|rack| !rack.is_empty()),
    };
    // Through the bytes, as between real members.
    let subscription = Subscription::decode(&subscription.encode()).expect("own bytes");
    let group_instance_id = Some(instance.to_owned()).filter(|instance| !instance.is_empty());
    GroupMember {
        member_id: member_id.to_owned(),
        group_instance_id,
        subscription,
    }
}

fn named(name: &str) -> Assignor {
    use Assignor::*;
    let mut known = [Range, RoundRobin, Sticky, CooperativeSticky].into_iter();
    known
        .find(|assignor| assignor.name() == name)
        .expect("a known assignor")
}

/// What of `row` differs from Java's answer.
fn check(row: &str) -> Option<String> {
    let (question, expected) = row.split_once(" => ").expect("=>");
    let mut parts = question.splitn(3, "; ");
    let assignor = named(parts.next().expect("assignor"));
    let topics = topics(parts.next().expect("topics"));
    let members = parts.next().expect("members").split(" | ");
    let members: Vec<GroupMember> = members.map(|text| member(text, assignor)).collect();
    let assigned = assign(assignor, &topics, &members, &mut AssignorMemory::default());
    let show = |partitions: &[TopicPartition]| {
        let words: Vec<String> = partitions
            .iter()
            .map(|tp| format!("{}-{}", tp.topic, tp.partition))
            .collect();
        words.join(" ")
    };
    let answers = members.iter().zip(&assigned);
    let answers: Vec<String> = answers
        .map(|(member, tps)| format!("{}: {}", member.member_id, show(tps)))
        .collect();
    let actual = answers.join(" | ");
    (actual != expected).then(|| format!("{question}\n  java {expected}\n  ours {actual}\n"))
}

#[test]
fn same_answers_as_java() {
    let extra = std::env::var("KAFKA_ASSIGNOR_ROWS")
        .map(|path| std::fs::read_to_string(path).expect("rows"));
    let rows = extra.as_deref().unwrap_or(ROWS);
    let wrong: Vec<String> = rows
        .lines()
        .filter(|row| !row.is_empty())
        .filter_map(check)
        .collect();
    let count = rows.lines().count();
    assert!(
        wrong.is_empty(),
        "{} of {count} rows differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(3)].join("\n")
    );
}

#[test]
fn default_list_is_eager_and_cooperative_alone_is_cooperative() {
    use Assignor::*;
    assert_eq!(
        RebalanceProtocol::of(&[Range, CooperativeSticky]),
        RebalanceProtocol::Eager
    );
    assert_eq!(
        RebalanceProtocol::of(&[CooperativeSticky]),
        RebalanceProtocol::Cooperative
    );
}
