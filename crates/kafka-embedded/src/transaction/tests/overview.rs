//! ListTransactions and DescribeTransactions.

use super::*;

type Names = &'static [&'static str];

fn three_states() -> World {
    let mut world = World::new();
    world.init("empty");
    let producer = world.init("committed");
    world.add("committed", producer, 0);
    world.end("committed", producer, true);
    let producer = world.init("open");
    world.add("open", producer, 3);
    world.now += Duration::from_secs(10);
    world
}

#[test]
fn listing_with_filters() {
    let mut world = three_states();
    const ALL: Names = &["committed CompleteCommit", "empty Empty", "open Ongoing"];
    let rows: [(Names, &[i64], i64, Names, Names); 6] = [
        (&[], &[], -1, ALL, &[]),
        (
            &["Ongoing", "Nonsense"],
            &[],
            -1,
            &["open Ongoing"],
            &["Nonsense"],
        ),
        (&["ongoing"], &[], -1, &[], &["ongoing"]),
        (&[], &[0, 99], -1, &["empty Empty"], &[]),
        (&[], &[], 9_999, ALL, &[]),
        (&[], &[], 10_000, &["empty Empty"], &[]),
    ];
    for (states, producers, duration, expect, unknown) in rows {
        let request = ListTransactionsRequest::default()
            .with_state_filters(states.iter().map(|state| text(state)).collect())
            .with_producer_id_filters(producers.iter().map(|id| (*id).into()).collect())
            .with_duration_filter(duration);
        let answer = world.call(1, |transactions, call, effects| {
            transactions.list_transactions(call, &request, effects);
        });
        let Answer::ListTransactions(answer) = answer else {
            panic!()
        };
        let listed: Vec<String> = answer
            .transaction_states
            .iter()
            .map(|one| {
                format!(
                    "{} {}",
                    one.transactional_id.as_str(),
                    one.transaction_state
                )
            })
            .collect();
        assert_eq!(listed, expect, "{states:?} {producers:?} {duration}");
        let refused: Vec<&str> = answer
            .unknown_state_filters
            .iter()
            .map(|name| name.as_str())
            .collect();
        assert_eq!(refused, unknown);
    }
}

#[test]
fn describing() {
    let mut world = three_states();
    let ids = ["open", "committed", "nobody's", ""];
    let request = DescribeTransactionsRequest::default()
        .with_transactional_ids(ids.iter().map(|id| TransactionalId(text(id))).collect());
    let answer = world.call(0, |transactions, call, effects| {
        transactions.describe_transactions(call, &request, effects);
    });
    let Answer::DescribeTransactions(answer) = answer else {
        panic!()
    };
    let [open, committed, unknown, empty] = &answer.transaction_states[..] else {
        panic!()
    };
    assert_eq!(open.transaction_state.as_str(), "Ongoing");
    assert_eq!(open.transaction_timeout_ms, 60_000);
    assert_eq!(open.transaction_start_time_ms, 1_700_000_100_000);
    assert_eq!((open.producer_id.0, open.producer_epoch), (2, 0));
    assert_eq!(open.topics[0].topic.as_str(), "t");
    assert_eq!(open.topics[0].partitions, [3]);
    assert_eq!(committed.transaction_state.as_str(), "CompleteCommit");
    assert!(committed.topics.is_empty());
    assert_eq!(unknown.error_code, 105);
    assert_eq!(empty.error_code, 42);
}
