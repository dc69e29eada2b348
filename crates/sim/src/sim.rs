mod faults;
mod growth;

use std::collections::{BTreeMap, BTreeSet};

use althing_engine::{
    Answer, Ask, AskNo, Config, Engine, Gate, HostedAgent, Input, MessageNo, Now, RatingEpoch, ReplyNo,
    RequestNo, ScoreTable, Timing,
};
use althing_record::{AgentId, Millis, Network, NodeId, RecordId, Verdict, recovery_key_hash};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest as _, Sha256};

use crate::build::{agent_key, seed};
use crate::event::{Event, Message};
use crate::kademlia::Kademlia;
use crate::memo::Memo;
use crate::node::{Life, Node};
use crate::{Client, Links, Traffic};

/// The wall-clock time at which a simulation begins.
pub const WALL_START: Millis = althing_testkit::MADE;

/// Up to so many nodes, everybody is connected to everybody; beyond, each to some.
const FULL_MESH_MAX: usize = 9;

/// Nothing but renewed leases for so long, in milliseconds, counts as quiet: two periodic reconciliations and a bit.
const QUIET_MS: u64 = 70_000;

/// Longest wait for quiet in milliseconds of simulated time: what is left of a dead node's lease may differ that long.
const QUIET_MS_MAX: u64 = 45 * 60_000;

/// Longest wait for an answer in milliseconds of simulated time.
const ANSWER_MS_MAX: u64 = 60_000;

/// A network of engines.
pub struct Sim {
    pub(crate) seed: u64,
    pub(crate) network: Network,
    pub(crate) timing: Timing,
    pub(crate) random: ChaCha8Rng,
    pub(crate) links: Links,
    /// Milliseconds since the start.
    pub(crate) time: u64,
    pub(crate) queue: BTreeMap<(u64, u64), Event>,
    pub(crate) queued: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) index: BTreeMap<NodeId, usize>,
    pub(crate) kademlia: Kademlia,
    pub(crate) memo: Memo,
    pub(crate) trace: Sha256,
    pub(crate) asked: u64,
    pub(crate) numbered: u64,
    pub(crate) answers: BTreeMap<AskNo, Answer>,
    pub(crate) verdicts: Vec<(MessageNo, Verdict)>,
    pub(crate) replies: BTreeMap<ReplyNo, (usize, u64, RequestNo)>,
    pub(crate) news_at: u64,
    /// Records that an honest engine gossiped, or let pass.
    pub(crate) honest: BTreeSet<RecordId>,
    /// What was certified on proposals, and on questions of dockets by their numbers.
    pub(crate) certified: BTreeMap<(RecordId, Option<u16>), BTreeSet<String>>,
    /// The certificates of closed votes, by proposal and question.
    pub(crate) closed: BTreeMap<(RecordId, Option<u16>), althing_ballot::ClosedVerified>,
    pub(crate) violations: Vec<String>,
    /// How often a node refused something of reputation for this reason.
    pub(crate) refusals: BTreeMap<(usize, &'static str), u64>,
    /// Which node blamed which.
    pub(crate) blamed: BTreeSet<(usize, NodeId)>,
    pub(crate) log: Vec<String>,
    /// Whether nodes have neighbours: without, nothing is gossiped or reconciled.
    pub(crate) is_meshed: bool,
    pub(crate) traffic: Traffic,
}

impl Sim {
    /// A network without nodes. Everything that happens in it follows from the seed.
    #[must_use]
    pub fn seed(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self {
            seed,
            network: althing_testkit::network(),
            timing: Timing::default(),
            random: ChaCha8Rng::from_seed(bytes),
            links: Links::default(),
            time: 0,
            queue: BTreeMap::new(),
            queued: 0,
            nodes: Vec::new(),
            index: BTreeMap::new(),
            kademlia: Kademlia::default(),
            memo: Memo::default(),
            trace: Sha256::new(),
            asked: 0,
            numbered: 0,
            answers: BTreeMap::new(),
            verdicts: Vec::new(),
            replies: BTreeMap::new(),
            news_at: 0,
            honest: BTreeSet::new(),
            certified: BTreeMap::new(),
            closed: BTreeMap::new(),
            violations: Vec::new(),
            refusals: BTreeMap::new(),
            blamed: BTreeSet::new(),
            log: Vec::new(),
            is_meshed: true,
            traffic: Traffic::default(),
        }
    }

    /// Leaves the directory as the only way to hear of others: nodes that are added from now on have no neighbours.
    #[must_use]
    pub fn directory_only(mut self) -> Self {
        self.is_meshed = false;
        self
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The newest scores at a node that runs.
    #[must_use]
    pub fn scores(&self, node: usize) -> Option<&ScoreTable> {
        self.nodes[node].life.as_ref()?.engine.scores()
    }

    /// The first checkpoint after a rating epoch that a node that runs knows.
    #[must_use]
    pub fn next_checkpoint(&self, node: usize, epoch: RatingEpoch) -> Option<RecordId> {
        self.nodes[node].life.as_ref()?.engine.next_checkpoint(epoch)
    }

    /// The checkpoint that took an attestation, as a node that runs knows.
    #[must_use]
    pub fn checkpoint_with(&self, node: usize, epoch: RatingEpoch, id: RecordId) -> Option<RecordId> {
        self.nodes[node].life.as_ref()?.engine.checkpoint_with(epoch, id)
    }

    /// How links and disks behave from now on.
    #[must_use]
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }

    /// Changes how links and disks behave.
    pub fn set_links(&mut self, links: Links) {
        self.links = links;
    }

    /// A client of a node.
    pub fn node(&mut self, node: usize) -> Client<'_> {
        Client { sim: self, node }
    }

    /// The first agent of a node.
    #[must_use]
    pub fn agent(&self, node: usize) -> AgentId {
        self.nodes[node].agents[0].agent
    }

    /// The first agents of some nodes.
    #[must_use]
    pub fn agents(&self, nodes: impl IntoIterator<Item = usize>) -> Vec<AgentId> {
        nodes.into_iter().map(|node| self.agent(node)).collect()
    }

    /// How many nodes there are, down ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether a node runs.
    #[must_use]
    pub fn is_up(&self, node: usize) -> bool {
        self.nodes[node].life.is_some()
    }

    /// The seed.
    #[must_use]
    pub fn seed_no(&self) -> u64 {
        self.seed
    }

    /// Milliseconds of simulated time since the start.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.time
    }

    /// A digest of everything that every engine was told and did so far: equal for equal runs.
    #[must_use]
    pub fn trace(&self) -> [u8; 32] {
        self.trace.clone().finalize().into()
    }

    /// What went on, a line for each thing that a person would want to see.
    #[must_use]
    pub fn log(&self) -> &[String] {
        &self.log
    }

    /// Hands an ask to a node. A node that is down never answers.
    pub fn ask(&mut self, node: usize, ask: Ask) -> AskNo {
        self.asked += 1;
        let no = AskNo(self.asked);
        if let Ask::Rotate(rotate) = &ask {
            self.nodes[node].keys.push(rotate.key.clone());
        }
        if let Some(life) = &mut self.nodes[node].life {
            life.asks.insert(no);
            self.handle(node, Input::Ask { no, ask });
        }
        no
    }

    /// The answer to an ask, if it has come.
    #[must_use]
    pub fn answered(&self, no: AskNo) -> Option<&Answer> {
        self.answers.get(&no)
    }

    /// Runs until an ask is answered.
    ///
    /// # Panics
    /// When no answer comes within a minute.
    pub fn answer(&mut self, no: AskNo) -> Answer {
        let until = self.time + ANSWER_MS_MAX;
        loop {
            if let Some(answer) = self.answers.get(&no) {
                return answer.clone();
            }
            assert!(self.step(until), "seed {}: ask {} was not answered", self.seed, no.0);
        }
    }

    /// Runs for some time.
    pub fn run_for(&mut self, ms: u64) {
        let until = self.time + ms;
        while self.step(until) {}
        self.time = until;
    }

    /// Runs until the nodes have no news for each other and agree, and says whether that came about.
    pub fn run_until_quiet(&mut self) -> bool {
        let limit = self.time + QUIET_MS_MAX;
        self.news_at = self.time;
        while self.time < limit {
            let is_quiet = self.time >= self.news_at + QUIET_MS;
            if is_quiet && self.digests_agree() {
                return true;
            }
            self.run_for(if is_quiet { 1_000 } else { self.news_at + QUIET_MS - self.time });
        }
        false
    }

    /// Plays the next event that is due by `until`.
    fn step(&mut self, until: u64) -> bool {
        let Some(entry) = self.queue.first_entry() else { return false };
        if entry.key().0 > until {
            return false;
        }
        let ((at, _), event) = entry.remove_entry();
        self.time = at;
        self.play(event);
        true
    }

    pub(crate) fn start(&mut self, number: usize) {
        let engine_seed = {
            let mut bytes = seed("engine", number);
            self.random.fill_bytes(&mut bytes);
            bytes
        };
        let now = self.now(number);
        let agents = self.serving(number);
        let node = &mut self.nodes[number];
        node.run += 1;
        let config = Config {
            network: self.network.clone(),
            node_key: node.key.clone(),
            agents,
            guard: node.disk.guard(),
            last_commit: node.disk.written(),
            expects_peers: true,
            keeps_ledger: !node.lacks_ledger,
            timing: self.timing,
        };
        let engine = Engine::new(config, node.disk.database(), engine_seed, now).expect("memory can be read");
        node.life = Some(Life {
            engine,
            gate: Gate::new(node.disk.written()),
            commit_is_due: false,
            wake_at: 0,
            seen: BTreeMap::new(),
            waiting: BTreeSet::new(),
            asks: BTreeSet::new(),
            connected: BTreeSet::new(),
            provided: BTreeSet::new(),
            served: 0,
        });
        let node = &self.nodes[number];
        self.kademlia.join(number, node.id(), node.side);
        self.drain(number);
        self.handle(number, Input::Addresses(vec![format!("/memory/{number}")]));
    }

    fn stop(&mut self, node: usize) {
        self.nodes[node].life = None;
        self.nodes[node].crashes_after_guard = false;
        self.kademlia.leave(node);
        self.connect();
    }

    pub(crate) fn stop_in_commit(&mut self, node: usize) {
        self.say(format!("crash {node} between guard and batch"));
        self.nodes[node].disk.crash();
        self.stop(node);
    }

    fn settle_sides(&mut self) {
        for (number, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.life.is_some()) {
            self.kademlia.join(number, node.id(), node.side);
        }
        self.connect();
    }

    /// Makes connections what partitions and crashes allow, and tells the engines.
    fn connect(&mut self) {
        for one in 0..self.nodes.len() {
            for other in self.nodes[one].neighbours.clone() {
                let Some(life) = &mut self.nodes[one].life else { continue };
                let is = life.connected.contains(&other);
                let can = self.reaches(one, other);
                let peer = self.nodes[other].id();
                let Some(life) = &mut self.nodes[one].life else { continue };
                match (is, can) {
                    (false, true) => {
                        life.connected.insert(other);
                        self.handle(one, Input::Connected(peer));
                    }
                    (true, false) => {
                        life.connected.remove(&other);
                        self.handle(one, Input::Disconnected(peer));
                    }
                    (true, true) | (false, false) => {}
                }
            }
        }
    }

    /// Whether both nodes run and no partition is between them.
    pub(crate) fn reaches(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.nodes[one], &self.nodes[other]);
        one.life.is_some() && other.life.is_some() && one.side == other.side
    }

    pub(crate) fn now(&self, node: usize) -> Now {
        let wall = WALL_START.plus(self.time).0.saturating_add_signed(self.nodes[node].skew_ms);
        Now { wall: Millis(wall), ticks: self.time }
    }

    pub(crate) fn schedule(&mut self, after_ms: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((self.time + after_ms, self.queued), event);
    }

    /// A random number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound.max(1)
    }

    pub(crate) fn between(&mut self, (least, most): (u64, u64)) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// A message from a peer that is no engine.
    pub(crate) fn gossip_to(&mut self, to: usize, from: NodeId, message: &Message) {
        let after = self.between(self.links.delay_ms);
        self.schedule(after, Event::Gossip { to, from, message: message.clone() });
    }

    pub(crate) fn say(&mut self, line: String) {
        let at = self.time;
        self.log.push(format!("{at:>9} ms  {line}"));
    }
}

/// The `n`th agent, with its key.
fn hosted(n: usize) -> HostedAgent {
    let (key, recovery) = (agent_key(n), agent_key(n + 1_000_000));
    HostedAgent { agent: key.agent(), key, recovery_key_hash: recovery_key_hash(&recovery.public()) }
}
