//! One random life of a network: everything that may happen to honest nodes, and villains up to what is tolerated.

use althing_ballot::{Answers, Choice, Rule};
use althing_engine::{Answer, AnswersDraft, Ask, AskNo, DocketDraft, ProposalDraft, Said};
use althing_record::{Kind, Record, RecordId};

use crate::{Links, Sim, Villain, WALL_START, card, closed, motion};

/// Most nodes that a campaign ends with.
const NODES_MAX: usize = 8;

/// What a campaign did.
pub struct Report {
    /// The network at its end.
    pub sim: Sim,
    /// How many proposals were made.
    pub proposals: usize,
    /// How many ballots were acknowledged to clients.
    pub cast: usize,
    /// How many crashes there were, of any kind.
    pub crashes: usize,
}

struct Campaign {
    sim: Sim,
    villains: Vec<Villain>,
    /// What was put, and with how many questions, if as a docket.
    proposals: Vec<(RecordId, Option<usize>)>,
    proposing: Vec<(AskNo, Option<usize>)>,
    casting: Vec<AskNo>,
    /// Pairs of records that prove a villain's misbehaviour.
    pairs: Vec<(usize, [Record; 2])>,
    crashes: usize,
}

/// Plays the campaign of a seed and checks every promise on the way and at the end.
///
/// # Panics
/// When a promise was broken; the message names the seed.
#[must_use]
pub fn run(seed: u64) -> Report {
    let mut sim = Sim::seed(seed);
    let nodes = 3 + sim.below(4);
    let loss = [0, 0, 2, 10, 20][usize::try_from(sim.below(5)).unwrap_or(0)];
    // A slow disk leaves time for much to happen before anything is durable.
    let commit_ms = [(1, 6), (1, 40), (200, 4_000)][usize::try_from(sim.below(3)).unwrap_or(0)];
    sim.set_links(Links { commit_ms, ..Links::lossy(loss) });
    for _ in 0..nodes {
        let skew = if sim.below(3) == 0 { sim.below(600_000).cast_signed() - 300_000 } else { 0 };
        sim.join(skew);
    }
    let villains = (0..2).map(Villain::new).collect();
    let mut campaign = Campaign {
        sim,
        villains,
        proposals: Vec::new(),
        proposing: Vec::new(),
        casting: Vec::new(),
        pairs: Vec::new(),
        crashes: 0,
    };
    for _ in 0..40 {
        campaign.act();
        let pause = campaign.sim.below(6_000);
        campaign.sim.run_for(pause);
        campaign.sim.check();
        campaign.learn();
    }
    campaign.end()
}

impl Campaign {
    fn act(&mut self) {
        let node = self.pick_node();
        match self.sim.below(25) {
            0..=2 => {
                let skill = ["translate", "summarise", "route"][self.index(3)];
                self.sim.node(node).publish(card(skill));
            }
            3..=5 => self.propose(node),
            6..=9 => self.cast(node),
            10 => {
                let (one, other) = (0..self.sim.len()).partition::<Vec<_>, _>(|_| self.sim.below(2) == 0);
                self.sim.partition(&one, &other);
            }
            11 => self.sim.heal(),
            12 => {
                self.crashes += 1;
                if self.sim.below(2) == 0 { self.sim.crash(node) } else { self.sim.lose_power(node) }
            }
            13 => {
                self.crashes += 1;
                self.sim.crash_after_next_guard(node);
                self.cast(node);
            }
            14 | 15 => (0..self.sim.len()).for_each(|node| self.sim.restart(node)),
            16 => {
                if self.sim.len() < NODES_MAX {
                    self.sim.join(0);
                }
            }
            17 => self.equivocate(),
            20 | 21 => self.change_mind(node),
            22 => {
                self.sim.fill_disk(node);
                self.cast(node);
            }
            23 => (0..self.sim.len()).for_each(|node| self.sim.free_disk(node)),
            18 => self.annoy(node),
            24 => {
                let _ = self.sim.rotate(node);
            }
            _ => {
                let skill = ["text", "text/translate", "text/none"][self.index(3)];
                self.sim.node(node).find(skill, true);
                self.sim.collect_certificates();
            }
        }
    }

    /// Takes in what clients were answered since.
    fn learn(&mut self) {
        let sim = &self.sim;
        self.proposing.retain(|(no, questions)| match sim.answered(*no) {
            Some(Answer::Proposed { proposal, .. }) => {
                self.proposals.push((*proposal, *questions));
                false
            }
            Some(_) => false,
            None => true,
        });
    }

    fn propose(&mut self, node: usize) {
        let mut voters = self.sim.agents(0..self.sim.len());
        // F = ⌊(n − 1)/3⌋: as many villains as are tolerated, and sometimes none.
        let tolerated = (voters.len().saturating_sub(1) / 2).min(self.villains.len());
        let count = self.index(tolerated + 1);
        voters.extend(self.villains[..count].iter().map(Villain::agent));
        while (voters.len() - 1) / 3 < count {
            voters.pop();
        }
        let question = format!("question {}", self.proposing.len() + self.proposals.len());
        let draft = if self.sim.below(4) > 0 {
            motion(&question, &voters)
        } else {
            let window_ms = 5_000 + self.sim.below(60_000);
            ProposalDraft {
                question: question.clone(),
                options: Vec::new(),
                ..closed(Rule::Majority, &[], &voters, window_ms)
            }
        };
        if self.sim.below(4) == 0 {
            let count = 1 + self.index(6);
            let questions = (0..count).map(|number| (format!("{question}.{number}"), Vec::new())).collect();
            let agent = self.sim.agent(node);
            let draft = DocketDraft { terms: draft, questions };
            let no = self.sim.ask(node, Ask::ProposeDocket { agent, draft });
            self.proposing.push((no, Some(count)));
        } else {
            let no = self.sim.node(node).propose(draft);
            self.proposing.push((no, None));
        }
    }

    /// Hands a ballot, or the same answer to every question of a docket, to a node.
    fn say(&mut self, node: usize, (proposal, questions): (RecordId, Option<usize>), choice: &str) {
        let client = self.sim.node(node);
        let no = match questions {
            None => client.cast(proposal, choice),
            Some(_) => {
                let others = Some(Said::Option(choice.into()));
                client.answers(proposal, AnswersDraft { each: Vec::new(), others })
            }
        };
        self.casting.push(no);
    }

    fn cast(&mut self, node: usize) {
        let Some(proposal) = self.pick_proposal() else { return };
        let choice = ["yes", "yes", "yes", "no", "abstain"][self.index(5)];
        self.say(node, proposal, choice);
    }

    /// Votes, crashes soon after, and tries to vote otherwise: only one of the two may ever be seen.
    fn change_mind(&mut self, node: usize) {
        let Some(proposal) = self.pick_proposal() else { return };
        self.crashes += 1;
        self.say(node, proposal, "yes");
        let pause = self.sim.below(3_000);
        self.sim.run_for(pause);
        if self.sim.below(2) == 0 {
            self.sim.crash(node)
        } else {
            self.sim.lose_power(node)
        }
        self.sim.restart(node);
        let pause = self.sim.below(30_000);
        self.sim.run_for(pause);
        self.say(node, proposal, "no");
    }

    fn equivocate(&mut self) {
        let at = self.index(self.villains.len());
        let made = WALL_START.plus(self.sim.time());
        let (one, other) = (0..self.sim.len()).partition::<Vec<_>, _>(|node| node % 2 == 0);
        if self.sim.below(3) == 0 {
            let [first, second] = self.villains[at].fork(made);
            self.tell(at, &one, &first);
            self.tell(at, &other, &second);
            self.pairs.push((at, [first, second]));
        } else if self.sim.below(3) == 0 {
            // It may be a closer; to half of the nodes it reports nothing, to the others ballots that do not exist.
            if let Some((proposal, _)) = self.pick_proposal() {
                let nothing = self.villains[at].report(proposal, &[], made);
                let invented = self.villains[at].report(proposal, &[(0, RecordId([7; 32]))], made);
                self.tell(at, &one, &nothing);
                self.tell(at, &other, &invented);
            }
        } else if let Some((proposal, questions)) = self.pick_proposal() {
            let choices = [Choice::Option(0), Choice::Option(1)];
            let [first, second] = match questions {
                None => self.villains[at].two_ballots(proposal, choices, made),
                Some(count) => choices.map(|choice| {
                    self.villains[at].leaves(Answers::leaves(proposal, &vec![choice; count]), made)
                }),
            };
            self.tell(at, &one, &first);
            self.tell(at, &other, &second);
            self.pairs.push((at, [first, second]));
        }
    }

    fn tell(&mut self, villain: usize, nodes: &[usize], record: &Record) {
        self.villains[villain].tell(&mut self.sim, nodes, record.kind(), record.bytes());
    }

    /// A forgery, noise, or the ballots of somebody who may not vote.
    fn annoy(&mut self, node: usize) {
        let made = WALL_START.plus(self.sim.time());
        let forged = self.villains[0].fork(made)[0].clone();
        let forged = althing_testkit::forger(&forged, &crate::agent_key(3_000_000));
        self.villains[0].tell(&mut self.sim, &[node], Kind::Proposal, &forged);
        self.villains[0].tell(&mut self.sim, &[node], Kind::Card, &forged[..forged.len() / 2]);
        if let Some((proposal, _)) = self.pick_proposal() {
            let mut stranger = Villain::new(9);
            for _ in 0..10 {
                let ballot = stranger.ballot(proposal, Choice::Option(0), made);
                stranger.tell(&mut self.sim, &[node], Kind::BallotBatch, ballot.bytes());
            }
        }
    }

    fn end(mut self) -> Report {
        self.sim.heal();
        self.sim.spare();
        (0..self.sim.len()).for_each(|node| self.sim.free_disk(node));
        (0..self.sim.len()).for_each(|node| self.sim.restart(node));
        // The longest window of a closed vote, and what its closers may take then.
        self.sim.run_for(65_000 + 60_000);
        self.sim.run_until_quiet();
        self.sim.collect_certificates();
        let is_quiet = self.sim.run_until_quiet();
        self.sim.check_converged();
        assert!(is_quiet, "seed {}: the network did not come to rest", self.sim.seed_no());
        for node in 0..self.sim.len() {
            let accused = self.sim.accused(node);
            for (villain, [first, second]) in &self.pairs {
                let is_known = self.sim.holds(node, first.id()) && self.sim.holds(node, second.id());
                assert!(
                    !is_known || accused.contains(&self.villains[*villain].agent()),
                    "seed {}: node {node} holds both records of villain {villain} and no evidence",
                    self.sim.seed_no()
                );
            }
        }
        let cast =
            self.casting.iter().filter(|no| matches!(self.sim.answered(**no), Some(Answer::Cast { .. })));
        let cast = cast.count();
        Report { proposals: self.proposals.len(), cast, crashes: self.crashes, sim: self.sim }
    }

    fn pick_node(&mut self) -> usize {
        self.index(self.sim.len())
    }

    fn pick_proposal(&mut self) -> Option<(RecordId, Option<usize>)> {
        let at = self.index(self.proposals.len());
        self.proposals.get(at).copied()
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.sim.below(bound as u64)).unwrap_or(0)
    }
}
