//! From the first reason for a rebalance to the next generation.
//!
//! Lives here: opening the barrier, closing it, giving up on members that miss it, timers.
//! Never here: requests and who may send them (`join`, `sync`), offsets.
//! Source: `GroupMetadataManager` in apache/kafka, group-coordinator, its classic half.

use std::time::Duration;

use kafka_protocol::ResponseError as Code;

use super::answers;
use super::state::{Barrier, Membership, State, Step};
use super::words::Answer;

impl Membership {
    /// Starts a rebalance, or looks whether the one under way is complete.
    pub(super) fn rebalance(&mut self, step: &mut Step<'_>) {
        match self.state {
            State::Preparing(_) => self.close_if_all_joined(step),
            _ => self.open_barrier(step),
        }
    }

    pub(super) fn open_barrier(&mut self, step: &mut Step<'_>) {
        if let State::Completing { .. } = self.state {
            for member in self.members.values_mut() {
                member.assignment.clear();
                if let Some(waiter) = member.syncing.take() {
                    member.renew(step.now);
                    step.reply(
                        waiter.ticket,
                        answers::sync_error(Code::RebalanceInProgress),
                    );
                }
            }
        }
        if self.is_empty() {
            let delay = step.settings.initial_rebalance_delay;
            self.state = State::Preparing(Barrier::Initial {
                until: step.now + delay,
                left: self.rebalance_timeout().saturating_sub(delay),
                joined_since: false,
            });
            if delay.is_zero() {
                self.close_barrier(step);
            }
        } else {
            self.wait_for_rejoin(step.now);
            self.close_if_all_joined(step);
        }
    }

    fn wait_for_rejoin(&mut self, now: Duration) {
        let until = now + self.rebalance_timeout();
        self.state = State::Preparing(Barrier::Rejoin { until });
    }

    /// The first members of an empty group wait for their pause, not for each other.
    pub(super) fn close_if_all_joined(&mut self, step: &mut Step<'_>) {
        if matches!(self.state, State::Preparing(Barrier::Rejoin { .. })) && self.all_joined() {
            self.close_barrier(step);
        }
    }

    /// Ends the wait: who has not joined is out, static members excepted; the others get the
    /// next generation.
    fn close_barrier(&mut self, step: &mut Step<'_>) {
        let late: Vec<String> = self
            .members
            .values()
            .filter(|member| member.joining.is_none() && member.instance_id.is_none())
            .map(|member| member.id.clone())
            .collect();
        for member in late {
            self.remove(&member, step);
        }
        if !self.elect_leader() && !self.members.is_empty() {
            // Only static members are left and none of them is here: they keep their places.
            self.wait_for_rejoin(step.now);
            return;
        }
        // Numbers start again after 2^31 rebalances; zero and below mean "no generation".
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.state = State::Empty;
            self.protocol = None;
            self.leader = None;
            self.journal(step);
            return;
        }
        self.protocol = self.select_protocol();
        self.state = State::Completing {
            sync_until: step.now + self.rebalance_timeout(),
        };
        for member in self.members.values_mut() {
            member.fresh = false;
            member.synced = false;
            member.renew(step.now);
        }
        let waiting: Vec<_> = self
            .members
            .values_mut()
            .filter_map(|member| Some((member.id.clone(), member.joining.take()?)))
            .collect();
        for (member, waiter) in waiting {
            let answer = answers::joined(self, &member, waiter.version);
            step.reply(waiter.ticket, Answer::JoinGroup(answer));
        }
    }

    /// The leader stays if it has joined, else the oldest that has. False: nobody has.
    fn elect_leader(&mut self) -> bool {
        let leader = self
            .leader
            .as_ref()
            .and_then(|leader| self.members.get(leader));
        if leader.is_some_and(|leader| leader.joining.is_some()) {
            return true;
        }
        match self.oldest(|member| member.joining.is_some()) {
            Some(oldest) => {
                self.leader = Some(oldest.id.clone());
                true
            }
            None => false,
        }
    }

    /// Takes a member out. A caller that still waits in its name gets 25: it may come again.
    /// (Apache Kafka 4.3.1 leaves a SyncGroup that waits unanswered.)
    pub(super) fn remove(&mut self, id: &str, step: &mut Step<'_>) {
        let Some(member) = self.members.remove(id) else {
            return;
        };
        if let Some(instance) = &member.instance_id {
            self.statics.remove(instance);
        }
        if let Some(waiter) = member.joining {
            let answer = answers::join_error(waiter.version, id, Code::UnknownMemberId);
            step.reply(waiter.ticket, answer);
        }
        if let Some(waiter) = member.syncing {
            step.reply(waiter.ticket, answers::sync_error(Code::UnknownMemberId));
        }
        if self.is_leader(id) {
            self.leader = self.oldest(|_| true).map(|member| member.id.clone());
        }
    }

    /// After members or ids are gone.
    pub(super) fn after_removal(&mut self, step: &mut Step<'_>) {
        match self.state {
            State::Empty => {}
            _ => self.rebalance(step),
        }
    }

    /// Does what is due at `step.now`.
    pub(super) fn tick(&mut self, step: &mut Step<'_>) {
        let now = step.now;
        let ids = self.pending.len();
        self.pending.retain(|_, ends| *ends > now);
        if self.pending.len() < ids {
            self.close_if_all_joined(step);
        }
        let silent: Vec<String> = self
            .members
            .values()
            .filter(|member| member.expires().is_some_and(|ends| ends <= now))
            .map(|member| member.id.clone())
            .collect();
        for member in &silent {
            self.remove(member, step);
        }
        if !silent.is_empty() {
            self.after_removal(step);
        }
        match self.state {
            State::Preparing(Barrier::Initial {
                until,
                left,
                joined_since,
            }) if until <= now => {
                if joined_since && !left.is_zero() {
                    let delay = step.settings.initial_rebalance_delay.min(left);
                    self.state = State::Preparing(Barrier::Initial {
                        until: now + delay,
                        left: left - delay,
                        joined_since: false,
                    });
                } else {
                    self.close_barrier(step);
                }
            }
            State::Preparing(Barrier::Rejoin { until }) if until <= now => self.close_barrier(step),
            State::Completing { sync_until }
            | State::Stable {
                sync_until: Some(sync_until),
            } if sync_until <= now => {
                self.give_up_on_sync(step);
            }
            _ => {}
        }
    }

    /// Who has not asked for its assignment within the rebalance timeout is out.
    fn give_up_on_sync(&mut self, step: &mut Step<'_>) {
        let missing: Vec<String> = self
            .members
            .values()
            .filter(|member| !member.synced)
            .map(|member| member.id.clone())
            .collect();
        for member in &missing {
            self.remove(member, step);
        }
        self.open_barrier(step);
    }
}
