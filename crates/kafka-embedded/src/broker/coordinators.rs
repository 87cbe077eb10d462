//! Groups in front of their lock: who waits for which answer, and what an effect means.
//!
//! Lives here: [`Broker::coordinate`], which lets a coordinator decide and carries its effects out
//! in their order; the keeper of its timers.
//! Lives elsewhere: the decisions (`crate::group`).
//! Never here: a group's state.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Broker;
use crate::config::Config;
use crate::group::{
    Answer, Call, Effect, GroupCoordinator, GroupEvent, GroupSettings, MembersAtRestart, Ticket,
    Topics,
};
use crate::journal::Event;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) version: i16,
    pub(crate) client_id: &'a str,
    pub(crate) client_host: &'a str,
}

pub(crate) struct Coordinators {
    groups: GroupCoordinator,
    waiting: HashMap<Ticket, oneshot::Sender<Answer>>,
    next_ticket: u64,
    /// When the keeper of time wakes up.
    wakes_at: Option<Duration>,
}

impl Coordinators {
    pub(super) fn new(config: &Config, seed: u64) -> Coordinators {
        let settings = GroupSettings {
            initial_rebalance_delay: config.initial_rebalance_delay,
            members_at_restart: match config.restore_group_members {
                true => MembersAtRestart::Survive,
                false => MembersAtRestart::Forgotten,
            },
            ..GroupSettings::default()
        };
        Coordinators {
            groups: GroupCoordinator::new(settings, seed),
            waiting: HashMap::new(),
            next_ticket: 0,
            wakes_at: None,
        }
    }

    /// Events of other parts are left alone.
    pub(super) fn restore(&mut self, event: &Event) -> io::Result<()> {
        let other_version = |cause: &dyn std::fmt::Display| {
            let what = format!("the journal has an event of another version of the log: {cause}");
            io::Error::new(io::ErrorKind::InvalidData, what)
        };
        if let Event::Group(bytes) = event {
            let event = GroupEvent::decode(bytes).map_err(|cause| other_version(&cause))?;
            self.groups.restore(event);
        }
        Ok(())
    }

    /// After the last event of the journal.
    pub(super) fn resume(&mut self) {
        self.groups.resume(Duration::ZERO);
    }

    pub(super) fn snapshot(&self, state: &mut Vec<Event>) {
        state.extend(self.groups.snapshot().iter().map(journaled));
    }

    /// A topic was deleted, and its event is in the journal.
    pub(super) fn forget_topic(&mut self, topic: &str) {
        self.groups.topic_deleted(topic, &mut Vec::new());
    }
}

fn journaled(event: &GroupEvent) -> Event {
    let mut bytes = Vec::new();
    event.encode(&mut bytes);
    Event::Group(bytes)
}

/// Topics, for a coordinator that decides.
impl Topics for Broker {
    fn contains(&self, topic: &str) -> bool {
        self.topic(topic).is_some()
    }

    fn contains_partition(&self, topic: &str, partition: i32) -> bool {
        self.partition(topic, partition).is_some()
    }
}

impl Broker {
    fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// Lets `run` decide about a caller, and waits for the answer, which may come later.
    pub(crate) async fn coordinate(
        &self,
        caller: Caller<'_>,
        run: impl FnOnce(&mut GroupCoordinator, Call<'_>, &mut Vec<Effect>),
    ) -> Option<Answer> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut coordinators = self.coordinators();
            let ticket = Ticket(coordinators.next_ticket);
            coordinators.next_ticket += 1;
            coordinators.waiting.insert(ticket, sender);
            let call = Call {
                ticket,
                version: caller.version,
                now: self.since_start(),
                client_id: caller.client_id,
                client_host: caller.client_host,
            };
            let mut effects = Vec::new();
            run(&mut coordinators.groups, call, &mut effects);
            self.carry_out(&mut coordinators, effects);
        }
        // Without an answer when the log stops.
        receiver.await.ok()
    }

    fn carry_out(&self, coordinators: &mut Coordinators, effects: Vec<Effect>) {
        let events: Vec<Event> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Journal(event) => Some(journaled(event)),
                Effect::Reply(..) => None,
            })
            .collect();
        if !events.is_empty() {
            self.journal().append(&events);
        }
        for effect in effects {
            if let Effect::Reply(ticket, answer) = effect
                && let Some(waiting) = coordinators.waiting.remove(&ticket)
            {
                // Whoever closed the connection does not hear it.
                _ = waiting.send(answer);
            }
        }
        let next = coordinators.groups.next_deadline();
        let earlier = match (next, coordinators.wakes_at) {
            (Some(next), Some(wakes_at)) => next < wakes_at,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if earlier {
            self.earlier.notify_one();
        }
    }
}

/// Does what is due in groups when it is due. Ends only when it is dropped.
pub(crate) async fn keep_time(broker: Arc<Broker>) {
    loop {
        let wakes_at = {
            let mut coordinators = broker.coordinators();
            let mut effects = Vec::new();
            coordinators.groups.tick(broker.since_start(), &mut effects);
            // Nothing is earlier than now: what is due next is looked up below.
            coordinators.wakes_at = Some(Duration::ZERO);
            broker.carry_out(&mut coordinators, effects);
            coordinators.wakes_at = coordinators.groups.next_deadline();
            coordinators.wakes_at
        };
        let sleep = async {
            match wakes_at {
                // Timers are in milliseconds: never too early.
                Some(deadline) => {
                    let at: Instant = broker.started + deadline + Duration::from_millis(1);
                    tokio::time::sleep_until(at).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = sleep => {}
            () = broker.earlier.notified() => {}
        }
    }
}
