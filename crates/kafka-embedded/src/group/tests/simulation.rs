//! Members that join, sync slowly, leave and die, against a coordinator that restarts, while time
//! jumps. A run takes a seed; a failing one names it.
//!
//! Checked: a generation has one leader, one protocol and one assignment; whoever syncs gets what
//! that leader gave it; each ticket is answered once and none is left over; in the end those alive
//! form a stable group and nobody else does.

use super::*;

const SEEDS: u64 = 1_000;
const STEPS: u32 = 400;

#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    Out,
    Joining(Ticket),
    /// Has an answer to its join and takes its time.
    Joined,
    Syncing(Ticket),
    Member,
}

struct Client {
    alive: bool,
    id: String,
    instance: Option<&'static str>,
    generation: i32,
    leads: bool,
    members: Vec<String>,
    at: At,
    metadata: &'static str,
}

struct Run {
    seed: u64,
    rng: Rng,
    world: World,
    clients: Vec<Client>,
    /// Counts restarts: a generation that nobody completed may come again after one.
    life: u32,
    leaders: BTreeMap<(u32, i32), (String, Option<StrBytes>)>,
    /// What the leader of a generation gave, once it was accepted.
    given: BTreeMap<i32, BTreeMap<String, Bytes>>,
    offers: BTreeMap<Ticket, (i32, BTreeMap<String, Bytes>)>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let delay = [0, 100, 3_000][usize::try_from(rng.below(3)).unwrap()];
        let world = World::with(GroupSettings {
            initial_rebalance_delay: ms(delay),
            ..GroupSettings::default()
        });
        let instances = [None, None, None, Some("a"), Some("b")];
        let client = |instance: &Option<&'static str>| Client {
            alive: true,
            id: String::new(),
            instance: *instance,
            generation: -1,
            leads: false,
            members: Vec::new(),
            at: At::Out,
            metadata: "m",
        };
        Self {
            seed,
            rng,
            world,
            clients: instances.iter().map(client).collect(),
            life: 0,
            leaders: BTreeMap::new(),
            given: BTreeMap::new(),
            offers: BTreeMap::new(),
        }
    }

    fn faulty_step(&mut self) {
        let client = usize::try_from(self.rng.below(self.clients.len() as u64)).unwrap();
        match self.rng.below(60) {
            0 => self.clients[client].metadata = ["m", "n"][usize::from(self.rng.one_in(2))],
            1 => self.leave(client),
            2 => self.die(client),
            3 if self.rng.one_in(4) => self.restart(),
            4 => self.join(client),
            5 => self.wait_up_to(61_000),
            6 => self.wait_up_to(11_000),
            7..=9 => self.wait_up_to(1_000),
            _ => self.proceed(client),
        }
        self.read_answers();
    }

    fn wait_up_to(&mut self, limit_ms: u64) {
        let time = ms(self.rng.below(limit_ms));
        self.wait(time);
    }

    fn wait(&mut self, time: Duration) {
        self.world.pass(time);
    }

    /// What a healthy client does next.
    fn proceed(&mut self, client: usize) {
        if !self.clients[client].alive {
            self.clients[client].alive = true;
            self.forget(client);
        }
        match self.clients[client].at {
            At::Out => self.join(client),
            At::Joined => self.sync(client),
            At::Member => self.heartbeat(client),
            At::Joining(_) | At::Syncing(_) => {}
        }
    }

    fn request(&self, client: usize) -> JoinGroupRequest {
        let client = &self.clients[client];
        join_request("g", &client.id, &[("range", client.metadata)])
            .with_group_instance_id(client.instance.map(text))
    }

    fn join(&mut self, client: usize) {
        if self.clients[client].alive {
            let ticket = self.world.join(9, self.request(client));
            self.clients[client].at = At::Joining(ticket);
        }
    }

    fn sync(&mut self, client: usize) {
        let Client {
            id,
            generation,
            leads,
            members,
            ..
        } = &self.clients[client];
        let mut given = BTreeMap::new();
        if *leads {
            for member in members {
                given.insert(member.clone(), format!("{generation} for {member}"));
            }
        }
        let pairs: Vec<(&str, &str)> = given
            .iter()
            .map(|(id, bytes)| (id.as_str(), bytes.as_str()))
            .collect();
        let request = sync_request("g", *generation, id, &pairs)
            .with_group_instance_id(self.clients[client].instance.map(text));
        let offer = given
            .iter()
            .map(|(id, bytes)| (id.clone(), Bytes::from(bytes.clone())));
        let offer = (*generation, offer.collect());
        let leads = *leads;
        let ticket = self.world.call(4, |groups, call, effects| {
            groups.sync_group(call, &request, effects)
        });
        if leads {
            self.offers.insert(ticket, offer);
        }
        self.clients[client].at = At::Syncing(ticket);
    }

    fn heartbeat(&mut self, client: usize) {
        let Client { id, generation, .. } = &self.clients[client];
        let (id, generation) = (id.clone(), *generation);
        match self.world.heartbeat("g", generation, &id) {
            0 => {}
            22 | 27 => self.join(client),
            25 => self.forget(client),
            code => panic!("seed {}: heartbeat answered {code}", self.seed),
        }
    }

    fn leave(&mut self, client: usize) {
        let id = self.clients[client].id.clone();
        if self.clients[client].alive && !id.is_empty() {
            self.world.leave("g", &[&id]);
            self.forget(client);
        }
    }

    /// Static members remember nothing either: they come back under a new id.
    fn die(&mut self, client: usize) {
        self.clients[client].alive = false;
        self.forget(client);
    }

    fn forget(&mut self, client: usize) {
        let client = &mut self.clients[client];
        client.at = At::Out;
        client.id.clear();
        client.generation = -1;
    }

    fn restart(&mut self) {
        let settings = self.world.groups_settings();
        if self.rng.one_in(2) {
            self.world.journal = self.world.groups.snapshot();
        }
        self.world.restart(settings);
        self.life += 1;
        for client in &mut self.clients {
            // Connections broke: whoever waited asks again.
            client.at = match client.at {
                At::Joining(_) => At::Out,
                At::Syncing(_) => At::Joined,
                at => at,
            };
        }
    }

    fn read_answers(&mut self) {
        // The leader's first: its answer says that its assignment was accepted.
        for ticket in self.offers.keys().copied().collect::<Vec<_>>() {
            if let Some(Answer::SyncGroup(answer)) = self.world.answers.get(&ticket) {
                let (generation, offer) = self.offers.remove(&ticket).expect("just seen");
                if answer.error_code == 0 {
                    let first = self
                        .given
                        .entry(generation)
                        .or_insert_with(|| offer.clone());
                    assert_eq!(*first, offer, "seed {}: one assignment", self.seed);
                }
            }
        }
        for client in 0..self.clients.len() {
            match self.clients[client].at {
                At::Joining(ticket) => {
                    if let Some(Answer::JoinGroup(answer)) = self.world.answers.get(&ticket) {
                        self.on_joined(client, &answer.clone());
                    }
                }
                At::Syncing(ticket) => {
                    if let Some(Answer::SyncGroup(answer)) = self.world.answers.get(&ticket) {
                        self.on_synced(client, &answer.clone());
                    }
                }
                _ => {}
            }
        }
    }

    fn on_joined(&mut self, client: usize, answer: &JoinGroupResponse) {
        let seed = self.seed;
        self.clients[client].at = At::Out;
        match answer.error_code {
            0 => {
                let leader = (answer.leader.to_string(), answer.protocol_name.clone());
                let leads = answer.leader == answer.member_id;
                assert_eq!(
                    !answer.members.is_empty(),
                    leads,
                    "seed {seed}: who sees members"
                );
                let known = self
                    .leaders
                    .entry((self.life, answer.generation_id))
                    .or_insert_with(|| leader.clone());
                // A static leader that comes back under a new id leads in the same generation.
                if !known.0.starts_with(['a', 'b']) {
                    assert_eq!(*known, leader, "seed {seed}: one leader a generation");
                }
                let client = &mut self.clients[client];
                client.id = answer.member_id.to_string();
                client.generation = answer.generation_id;
                client.leads = leads && !answer.skip_assignment;
                client.members = answer
                    .members
                    .iter()
                    .map(|member| member.member_id.to_string())
                    .collect();
                client.at = At::Joined;
            }
            79 => self.clients[client].id = answer.member_id.to_string(),
            25 | 82 => self.forget(client),
            27 => {}
            code => panic!("seed {seed}: join answered {code}"),
        }
    }

    fn on_synced(&mut self, client: usize, answer: &SyncGroupResponse) {
        let seed = self.seed;
        let generation = self.clients[client].generation;
        match answer.error_code {
            0 => {
                let given = &self.given[&generation];
                let id = &self.clients[client].id;
                if self.clients[client].instance.is_none() {
                    let expect = given.get(id).cloned().unwrap_or_default();
                    assert_eq!(
                        answer.assignment, expect,
                        "seed {seed}: {id} in {generation}"
                    );
                } else {
                    // It may have been assigned under the id before.
                    let known = given.values().any(|bytes| *bytes == answer.assignment);
                    assert!(known || answer.assignment.is_empty(), "seed {seed}: {id}");
                }
                self.clients[client].at = At::Member;
            }
            22 | 27 => self.clients[client].at = At::Out,
            25 | 82 => self.forget(client),
            code => panic!("seed {seed}: sync answered {code}"),
        }
    }

    fn calm(&mut self) {
        for _ in 0..80 {
            for client in 0..self.clients.len() {
                if self.clients[client].alive {
                    self.proceed(client);
                    self.read_answers();
                }
            }
            self.wait(secs(3));
            self.read_answers();
        }
        let alive: Vec<&Client> = self.clients.iter().filter(|client| client.alive).collect();
        let generations: BTreeSet<i32> = alive.iter().map(|client| client.generation).collect();
        assert!(
            generations.len() <= 1,
            "seed {}: {generations:?}",
            self.seed
        );
        assert!(
            alive.iter().all(|client| client.at == At::Member),
            "seed {}",
            self.seed
        );
        let members: BTreeSet<String> = alive.iter().map(|client| client.id.clone()).collect();
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text("g"))]);
        let ticket = self.world.call(6, |groups, call, effects| {
            groups.describe_groups(call, &request, effects)
        });
        let Answer::DescribeGroups(answer) = &self.world.answers[&ticket] else {
            panic!()
        };
        let described: BTreeSet<String> = answer.groups[0]
            .members
            .iter()
            .map(|member| member.member_id.to_string())
            .collect();
        assert_eq!(described, members, "seed {}", self.seed);
    }

    fn end(&mut self) {
        self.wait(secs(1000));
        self.read_answers();
        assert!(self.world.open.is_empty(), "seed {}: unanswered", self.seed);
        assert_eq!(
            self.world.groups.next_deadline(),
            None,
            "seed {}",
            self.seed
        );
        assert!(self.world.groups.waiting().is_empty(), "seed {}", self.seed);
    }
}

impl World {
    fn groups_settings(&self) -> GroupSettings {
        self.groups.settings.clone()
    }
}

#[test]
fn groups_hold_together() {
    let mut generations = 0;
    for seed in 0..SEEDS {
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            run.faulty_step();
        }
        run.calm();
        run.end();
        generations += run.given.len();
    }
    // A simulation in which nothing happens proves nothing.
    assert!(
        generations > 5 * usize::try_from(SEEDS).unwrap(),
        "{generations}"
    );
}
