use std::collections::BTreeMap;
use std::sync::Arc;

use althing_record::{AgentId, AgentKey, Digest, Millis};
use althing_testkit::{agent, network};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::node::Node;
use super::villain::{Kind, Villain};
use crate::{Instance, InstanceId, Message, Value};

/// After healing no message takes longer.
pub(super) const DELAY_MS_MAX: u64 = 150;

/// How long a decision may take after healing.
pub(super) const DECISION_MS_MAX: u64 = 20_000;

/// What can happen.
pub(super) enum Event {
    /// Messages arrive together.
    Deliver { to: usize, from: usize, messages: Vec<Message> },
    /// One face of a villain tells the same face of another.
    Whisper { to: usize, side: usize, messages: Vec<Message> },
    /// A deadline passes, if it is still the last that was asked for.
    Wake { node: usize, at: Millis },
    /// The user of a node gives it a value to propose.
    Offer { node: usize },
    /// The user of a node says whether a value is valid.
    Judge { node: usize, value: Value },
    /// A node's agent has another key from now on.
    Rotate { node: usize },
    /// A node that crashed starts again.
    Restart { node: usize },
    /// A villain does something of its own accord.
    Scheme { node: usize },
    /// Other nodes are cut off from each other.
    Repartition,
    /// From now on everything arrives.
    Heal,
}

/// What is random about a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) closers: u8,
    pub(super) villains: usize,
    pub(super) disk: Disk,
}

/// What becomes of a disk in a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    /// What was synced is there.
    Kept,
    /// It is empty, and the node does not know.
    Lost,
    /// It is empty, and the node is told to be silent.
    Restored,
}

/// Someone in the network.
pub(super) enum Member {
    Honest(Box<Node>),
    Faulty(Box<Villain>),
}

/// Everything that is not inside a member.
pub(super) struct Air {
    pub(super) now: Millis,
    pub(super) rng: ChaCha8Rng,
    pub(super) instance: Arc<Instance>,
    /// By seat: all keys that the agent has had so far, the present one last.
    pub(super) keys: Vec<Vec<AgentKey>>,
    pub(super) healed: Option<Millis>,
    pub(super) decided: BTreeMap<usize, (Digest, Millis)>,
    pub(super) faulty: Vec<usize>,
    loss: u64,
    delay_ms: u64,
    groups: Vec<u64>,
    queue: BTreeMap<(Millis, u64), Event>,
    events: u64,
    /// Every distinct message is verified once.
    verified: BTreeMap<Arc<[u8]>, Message>,
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct Report {
    /// Decisions of honest nodes, and how long after healing.
    pub(super) decided: BTreeMap<usize, (Digest, Millis)>,
    pub(super) healed: Millis,
    pub(super) honest: usize,
    pub(super) rounds: u32,
    pub(super) evidence: usize,
    pub(super) restarts: usize,
    /// How often an honest closer signed two different statements in one place.
    pub(super) contradictions: usize,
}

impl Report {
    pub(super) fn conflict(&self) -> bool {
        let mut values = self.decided.values().map(|(value, _)| value);
        let first = values.next();
        values.any(|value| Some(value) != first)
    }
}

impl Air {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn after(&mut self, ms: u64, event: Event) {
        self.events += 1;
        self.queue.insert((self.now.plus(ms), self.events), event);
    }

    /// Sends messages from one to another, through whatever is between them.
    pub(super) fn send(&mut self, from: usize, to: usize, messages: &[Message]) {
        if from == to {
            return;
        }
        let messages: Vec<_> = messages.iter().map(|message| self.verify(message)).collect();
        if self.healed.is_some() {
            let delay = 1 + self.below(DELAY_MS_MAX);
            self.after(delay, Event::Deliver { to, from, messages });
            return;
        }
        if self.groups[from] != self.groups[to] {
            return;
        }
        let copies = if self.chance(10) { 2 } else { 1 };
        for _ in 0..copies {
            let messages: Vec<_> =
                messages.iter().filter(|_| self.rng.next_u64() % 100 >= self.loss).cloned().collect();
            let delay = 1 + self.below(self.delay_ms);
            if !messages.is_empty() {
                self.after(delay, Event::Deliver { to, from, messages });
            }
        }
    }

    fn verify(&mut self, message: &Message) -> Message {
        let bytes = message.bytes();
        if !self.verified.contains_key(bytes) {
            let verified = {
                let known = |agent: AgentId, key: &[u8; 32]| self.has_key(agent, key);
                Message::verify(bytes, &self.instance, &known).expect("closers send valid messages")
            };
            self.verified.insert(bytes.clone(), verified);
        }
        self.verified[bytes].clone()
    }

    /// The agent of a seat.
    pub(super) fn agent(&self, seat: usize) -> AgentId {
        self.instance.closers()[seat]
    }

    /// The key that speaks for a seat now.
    pub(super) fn key(&self, seat: usize) -> AgentKey {
        self.keys[seat].last().expect("everybody has a key").clone()
    }

    /// Gives a seat another key.
    pub(super) fn rotate(&mut self, seat: usize) {
        let (number, seat_no) = (self.keys[seat].len(), u8::try_from(seat).unwrap());
        let mut seed = [0xaa; 32];
        (seed[0], seed[1]) = (seat_no, u8::try_from(number).unwrap());
        self.keys[seat].push(AgentKey::from_seed(&seed));
    }

    pub(super) fn has_key(&self, agent: AgentId, key: &[u8; 32]) -> bool {
        let seat = self.instance.seat(agent).expect("a closer");
        self.keys[seat.index()].iter().any(|known| known.public() == *key)
    }

    fn repartition(&mut self) {
        let count = 1 + self.below(3);
        self.groups = (0..self.keys.len()).map(|_| self.rng.next_u64() % count).collect();
    }
}

/// A value that every honest user calls valid, unless it begins with "invalid".
pub(super) fn is_valid(value: &Value) -> bool {
    !value.bytes().starts_with(b"invalid")
}

/// Runs until all honest nodes decided, or the time is over.
pub(super) fn run(setup: Setup, kinds: &[Kind]) -> Report {
    let mut rng = ChaCha8Rng::seed_from_u64(setup.seed);
    let mut keys: Vec<_> = (1..=setup.closers).map(agent).collect();
    keys.sort_unstable_by_key(AgentKey::agent);
    let closers = keys.iter().map(AgentKey::agent).collect();
    let mut id = [0; 32];
    rng.fill_bytes(&mut id);
    let instance = Arc::new(Instance::new(network().id(), InstanceId(id), closers).unwrap());
    let mut seats: Vec<_> = (0..keys.len()).collect();
    for at in (1..seats.len()).rev() {
        seats.swap(at, usize::try_from(rng.next_u64() % (at as u64 + 1)).unwrap());
    }
    let faulty = seats[..setup.villains].to_vec();
    let mut air = Air {
        now: Millis(1_000_000),
        instance,
        healed: None,
        decided: BTreeMap::new(),
        faulty,
        loss: rng.next_u64() % 40,
        delay_ms: 20 + rng.next_u64() % 1_500,
        groups: vec![0; keys.len()],
        queue: BTreeMap::new(),
        events: 0,
        verified: BTreeMap::new(),
        rng,
        keys: keys.into_iter().map(|key| vec![key]).collect(),
    };
    let mut members = Vec::new();
    for seat in 0..air.keys.len() {
        let member = if air.faulty.contains(&seat) {
            let kind = kinds[usize::try_from(air.below(kinds.len() as u64)).unwrap()];
            Member::Faulty(Box::new(Villain::new(&mut air, seat, kind)))
        } else {
            Member::Honest(Box::new(Node::new(&mut air, seat, setup.disk)))
        };
        members.push(member);
    }
    if air.chance(70) {
        air.repartition();
        let pause = air.below(2_000);
        air.after(pause, Event::Repartition);
    }
    let heal = air.below(6_000);
    air.after(heal, Event::Heal);
    play(&mut air, &mut members);
    let nodes = members.iter().filter_map(|member| match member {
        Member::Honest(node) => Some(node),
        Member::Faulty(_) => None,
    });
    let nodes: Vec<_> = nodes.collect();
    Report {
        healed: air.healed.expect("the network heals"),
        honest: nodes.len(),
        rounds: nodes.iter().map(|node| node.round()).max().unwrap_or(0),
        evidence: nodes.iter().map(|node| node.accused()).sum(),
        restarts: nodes.iter().map(|node| node.restarts()).sum(),
        contradictions: nodes.iter().map(|node| node.contradictions()).sum(),
        decided: air.decided,
    }
}

fn play(air: &mut Air, members: &mut [Member]) {
    let honest = members.len() - air.faulty.len();
    while let Some(((now, _), event)) = air.queue.pop_first() {
        air.now = now;
        let over = air.healed.is_some_and(|healed| now > healed.plus(DECISION_MS_MAX));
        if over || (air.healed.is_some() && air.decided.len() == honest) {
            break;
        }
        match event {
            Event::Heal => {
                air.healed = Some(now);
                for member in members.iter_mut() {
                    if let Member::Honest(node) = member {
                        node.heal(air);
                    }
                }
            }
            Event::Repartition => {
                if air.healed.is_none() {
                    air.repartition();
                    let pause = air.below(2_000);
                    air.after(pause, Event::Repartition);
                }
            }
            Event::Deliver { to, from, messages } => match &mut members[to] {
                Member::Honest(node) => node.deliver(air, from, &messages),
                Member::Faulty(villain) => villain.deliver(air, from, &messages),
            },
            Event::Whisper { to, side, messages } => {
                if let Member::Faulty(villain) = &mut members[to] {
                    villain.whisper(air, side, &messages);
                }
            }
            Event::Wake { node, at } => match &mut members[node] {
                Member::Honest(node) => node.wake(air, at),
                Member::Faulty(villain) => villain.wake(air, at),
            },
            Event::Scheme { node } => {
                if let Member::Faulty(villain) = &mut members[node] {
                    villain.scheme(air);
                }
            }
            Event::Rotate { node } => air.rotate(node),
            Event::Offer { node } | Event::Judge { node, .. } | Event::Restart { node } => {
                if let Member::Honest(node) = &mut members[node] {
                    node.user(air, event);
                }
            }
        }
    }
}
