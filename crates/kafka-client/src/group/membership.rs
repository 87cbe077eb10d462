//! A place in a group, kept while its user works.
//!
//! Lives here: [`Membership`], the handle of the user, and the task that carries out what the
//! state machine decides.
//! Lives elsewhere: the decisions (`super::state`), the requests (`super::requests`).
//!
//! The task runs on the runtime that it is given, and so do its connections: a user that blocks
//! its own runtime keeps its place until `rebalance_timeout` is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::requests::Requests;
use super::state::Member;
use super::words::{Action, Event, Generation, GroupEvent, GroupSettings, Note, Phase};
use crate::client::Client;
use crate::error::{ClientError, KafkaErrorCode};

/// What a membership looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSnapshot {
    pub generation: Generation,
    pub phase: Phase,
    pub leader: bool,
    /// The broker that coordinates the group; `None` while it is looked for.
    pub coordinator: Option<i32>,
    /// A rebalance was asked for or is under way.
    pub rejoin_needed: bool,
}

/// A place in a group. One user owns it and answers its events.
///
/// Nothing happens before the first [`Self::rejoin`]. Dropping it stops the heartbeats and tells
/// the coordinator nothing; [`Self::close`] leaves.
#[derive(Debug)]
pub struct Membership {
    handle: MembershipHandle,
    events: mpsc::UnboundedReceiver<GroupEvent>,
    task: JoinHandle<()>,
}

/// For those who work in the name of the member, without answering its events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MembershipHandle {
    commands: mpsc::UnboundedSender<Command>,
    snapshot: watch::Receiver<GroupSnapshot>,
    alive: Arc<UserAlive>,
}

#[derive(Debug)]
enum Command {
    Event(Event),
    /// Leave, and end.
    Close(String),
}

/// When the user was last seen, without a message per poll.
#[derive(Debug)]
struct UserAlive {
    start: Instant,
    /// Milliseconds after `start`, or [`IN_POLL`].
    seen_ms: AtomicU64,
}

const IN_POLL: u64 = u64::MAX;

impl UserAlive {
    fn enter(&self) {
        self.seen_ms.store(IN_POLL, Ordering::Relaxed);
    }

    fn leave(&self) {
        let seen_ms = self.start.elapsed().as_millis() as u64;
        self.seen_ms.store(seen_ms, Ordering::Relaxed);
    }

    fn seen(&self, now: Instant) -> Instant {
        match self.seen_ms.load(Ordering::Relaxed) {
            IN_POLL => now,
            ms => self.start + Duration::from_millis(ms),
        }
    }
}

impl Membership {
    /// Starts the task of a membership on `runtime`.
    ///
    /// The client's connections are made by whoever needs them first, so create the client on
    /// the same runtime.
    pub fn start(client: Client, settings: GroupSettings, runtime: &Handle) -> Self {
        let now = Instant::now();
        let (commands, receiver) = mpsc::unbounded_channel();
        let (sender, events) = mpsc::unbounded_channel();
        let member = Member::new(settings.clone(), now);
        let (publish, snapshot) = watch::channel(snapshot_of(&member));
        let alive = Arc::new(UserAlive {
            start: now,
            seen_ms: AtomicU64::new(0),
        });
        let run = Run {
            member,
            settings: settings.clone(),
            requests: Arc::new(Requests::new(client, settings)),
            under_way: JoinSet::new(),
            commands: receiver,
            events: sender,
            snapshot: publish,
            alive: alive.clone(),
        };
        Self {
            handle: MembershipHandle {
                commands,
                snapshot,
                alive,
            },
            events,
            task: runtime.spawn(run.run()),
        }
    }

    /// The next event. Cancel safe. `None` never happens while the runtime of the task lives.
    pub async fn next_event(&mut self) -> Option<GroupEvent> {
        self.events.recv().await
    }

    /// The next event if there is one.
    pub fn try_next_event(&mut self) -> Option<GroupEvent> {
        self.events.try_recv().ok()
    }

    /// Answers [`GroupEvent::Rejoin`]: the protocols and the bytes for the leader, in the order of
    /// preference.
    pub fn join(&self, protocols: Vec<(String, Bytes)>) {
        self.handle.send(Event::Join(protocols));
    }

    /// Answers [`GroupEvent::Elected`]: the bytes for each member id.
    pub fn assign(&self, assignments: Vec<(String, Bytes)>) {
        self.handle.send(Event::Assign(assignments));
    }

    /// Answers [`GroupEvent::Elected`] when no assignment can be made. Retriable errors start the
    /// rebalance again, others end the membership with [`GroupEvent::Failed`].
    pub fn assign_failed(&self, error: ClientError) {
        self.handle.send(Event::AssignFailed(error));
    }

    /// Leaves the group, unless the member is static, and stays outside until [`Self::rejoin`].
    /// The reason is for the log of the coordinator.
    pub fn leave(&self, reason: impl Into<String>) {
        self.handle.send(Event::Leave(reason.into()));
    }

    pub fn handle(&self) -> &MembershipHandle {
        &self.handle
    }

    /// Leaves the group, unless the member is static, and ends the task. Waits at most `timeout`
    /// for the coordinator to hear of it.
    pub async fn close(self, timeout: Duration, reason: &str) {
        let Self {
            handle,
            events,
            mut task,
        } = self;
        _ = handle.commands.send(Command::Close(reason.to_owned()));
        drop(events);
        if tokio::time::timeout(timeout, &mut task).await.is_err() {
            task.abort();
        }
    }
}

impl MembershipHandle {
    pub fn snapshot(&self) -> GroupSnapshot {
        self.snapshot.borrow().clone()
    }

    /// Sees every change.
    pub fn watch(&self) -> watch::Receiver<GroupSnapshot> {
        self.snapshot.clone()
    }

    /// The user works on the group's behalf until [`Self::left_poll`]: its time does not run out.
    pub fn entered_poll(&self) {
        self.alive.enter();
    }

    /// From now on the user has `rebalance_timeout` to come back.
    pub fn left_poll(&self) {
        self.alive.leave();
    }

    /// Wants a rebalance, or to be in the group at all. The reason is for the log of the coordinator.
    pub fn rejoin(&self, reason: impl Into<String>) {
        self.send(Event::RequestRejoin(reason.into()));
    }

    /// A request that was sent in the name of `generation` was answered with `code`.
    pub fn report(&self, generation: Generation, code: KafkaErrorCode) {
        self.send(Event::UserError(generation, code));
    }

    fn send(&self, event: Event) {
        // The task ends only after this handle, or with its runtime.
        _ = self.commands.send(Command::Event(event));
    }
}

struct Run {
    member: Member,
    settings: GroupSettings,
    requests: Arc<Requests>,
    under_way: JoinSet<Option<Event>>,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::UnboundedSender<GroupEvent>,
    snapshot: watch::Sender<GroupSnapshot>,
    alive: Arc<UserAlive>,
}

impl Run {
    async fn run(mut self) {
        let far = Duration::from_secs(3600);
        loop {
            let wake_at = self
                .member
                .wake_at()
                .unwrap_or_else(|| Instant::now() + far);
            let event = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Event(event)) => event,
                    Some(Command::Close(reason)) => {
                        // Nobody waits for their answers any more.
                        self.under_way.abort_all();
                        self.step(Event::Leave(reason));
                        break;
                    }
                    // Dropped without a word.
                    None => return,
                },
                Some(done) = self.under_way.join_next() => match done {
                    Ok(Some(event)) => event,
                    _ => continue,
                },
                () = tokio::time::sleep_until(wake_at) => Event::Tick,
            };
            self.step(event);
        }
        // The last thing that a member says is that it leaves.
        while self.under_way.join_next().await.is_some() {}
    }

    fn step(&mut self, event: Event) {
        let now = Instant::now();
        let mut actions = self.member.step(Event::Polled, self.alive.seen(now));
        actions.extend(self.member.step(event, now));
        // First what is, then what happened: who hears of an event sees at least its state.
        let snapshot = snapshot_of(&self.member);
        self.snapshot.send_if_modified(|known| {
            let changed = *known != snapshot;
            *known = snapshot;
            changed
        });
        for action in actions {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        let requests = self.requests.clone();
        match action {
            Action::Note(note) => self.log(note),
            // A user that is gone needs no events.
            Action::Notify(event) => _ = self.events.send(event),
            Action::FindCoordinator => {
                self.under_way.spawn(async move {
                    Some(Event::Coordinator(requests.find_coordinator().await))
                });
            }
            Action::Join {
                attempt,
                member_id,
                protocols,
                reason,
            } => {
                self.under_way.spawn(async move {
                    let answer = requests.join(member_id, protocols, reason).await;
                    Some(Event::JoinAnswered(attempt, answer))
                });
            }
            Action::Sync {
                attempt,
                generation,
                assignments,
            } => {
                self.under_way.spawn(async move {
                    let answer = requests.sync(generation, assignments).await;
                    Some(Event::SyncAnswered(attempt, answer))
                });
            }
            Action::Heartbeat(generation) => {
                self.under_way.spawn(async move {
                    let answer = requests.heartbeat(&generation).await;
                    Some(Event::HeartbeatAnswered(generation, answer))
                });
            }
            Action::Leave { member_id, reason } => {
                let group = self.settings.group_id.clone();
                info!(group, member = member_id, reason, "leaving group");
                self.under_way.spawn(async move {
                    if let Err(error) = requests.leave(member_id, reason).await {
                        debug!(group, %error, "the coordinator did not confirm that the member leaves");
                    }
                    None
                });
            }
        }
    }

    fn log(&self, note: Note) {
        let group = self.settings.group_id.as_str();
        let member = self.member.generation().member_id.as_str();
        match note {
            Note::CoordinatorFound(broker) => debug!(group, broker, "group coordinator found"),
            Note::CoordinatorNotFound(reason) => {
                warn!(
                    group,
                    reason, "the group coordinator cannot be found, still trying"
                );
            }
            Note::CoordinatorLost(reason) => debug!(
                group,
                reason, "group coordinator lost, looking for it again"
            ),
            Note::GenerationLost(reason) => warn!(group, reason, "membership lost, joining again"),
            Note::PollTimeout => {
                let limit_ms = self.settings.rebalance_timeout.as_millis() as u64;
                let hint = match self.settings.user {
                    "consumer" => {
                        "processing takes too long: raise max.poll.interval.ms or lower max.poll.records"
                    }
                    _ => "raise rebalance.timeout.ms, or find out what keeps it",
                };
                let user = self.settings.user;
                warn!(
                    group,
                    member, user, limit_ms, hint, "no poll within the limit, leaving the group"
                );
            }
            Note::Joined {
                generation_id,
                leader,
            } => info!(group, member, generation_id, leader, "joined group"),
            Note::RejoinRequested(reason) => debug!(group, member, reason, "rejoining group"),
        }
    }
}

fn snapshot_of(member: &Member) -> GroupSnapshot {
    GroupSnapshot {
        generation: member.generation().clone(),
        phase: member.phase(),
        leader: member.is_leader(),
        coordinator: member.coordinator(),
        rejoin_needed: member.rejoin_needed(),
    }
}
