//! What tests of votes do again and again: a network that votes, what its nodes see of it, and crashes meanwhile.

use althing_engine::{Answer, Ask, Said, Vote, VoteState};
use althing_record::RecordId;

use crate::Sim;

impl Sim {
    /// So many nodes that have found each other.
    #[must_use]
    pub fn settled(seed: u64, nodes: usize) -> Self {
        let mut net = Self::seed(seed).nodes(nodes);
        net.run_for(1_000);
        net
    }

    /// A vote as a node sees it.
    ///
    /// # Panics
    /// When the node does not know it.
    pub fn vote(&mut self, node: usize, proposal: RecordId) -> Vote {
        let no = self.node(node).ask(Ask::Vote { proposal, question: None });
        let Answer::Vote(vote) = self.answer(no) else { panic!("node {node} does not know the vote") };
        *vote
    }

    /// Whether a node sees an outcome.
    pub fn is_over(&mut self, node: usize, proposal: RecordId) -> bool {
        matches!(self.vote(node, proposal).state, VoteState::Decided { .. } | VoteState::Rejected { .. })
    }

    /// Whether a node sees that this option won.
    pub fn is_decided(&mut self, node: usize, proposal: RecordId, option: &str) -> bool {
        self.vote(node, proposal).state == VoteState::Decided { option: option.into() }
    }

    /// Has the agents of the first nodes vote for one of these options each.
    ///
    /// # Panics
    /// When a ballot is refused, or was cast before.
    pub fn all_say<'a>(&mut self, proposal: RecordId, options: impl IntoIterator<Item = &'a str>) {
        for (node, option) in options.into_iter().enumerate() {
            self.says(node, proposal, Said::Option(option.into()));
        }
    }

    /// Has the agent of a node vote.
    ///
    /// # Panics
    /// When the ballot is refused, or was cast before.
    pub fn says(&mut self, node: usize, proposal: RecordId, said: Said) {
        let no = self.node(node).say(proposal, said);
        let answer = self.answer(no);
        assert!(matches!(answer, Answer::Cast { repeated: false, .. }), "node {node}: {answer:?}");
    }

    /// Crashes nodes one after the other at random moments and in every way, and starts them again. What must always hold is
    /// checked in between.
    pub fn crash_often(&mut self, times: usize) {
        let count = self.len();
        for _ in 0..times {
            let node = usize::try_from(self.below(count as u64)).expect("a node");
            match self.below(3) {
                0 => self.crash_after_next_guard(node),
                1 => self.lose_power(node),
                _ => self.crash(node),
            }
            for _ in 0..2 {
                let pause = self.below(1_500);
                self.run_for(pause);
                (0..count).for_each(|node| self.restart(node));
            }
            self.check();
        }
    }

    /// Runs until nothing happens any more, and requires that the nodes then agree on everything.
    ///
    /// # Panics
    /// When they do not come to rest or do not agree.
    pub fn settle(&mut self) {
        assert!(self.run_until_quiet(), "seed {}: it does not come to rest", self.seed_no());
        self.collect_certificates();
        self.check_converged();
    }
}
