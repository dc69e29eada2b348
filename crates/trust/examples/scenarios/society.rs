use std::collections::BTreeSet;

use crate::draw::Draw;
use crate::policy::{Blind, EigenTrust, Policy, Reports, TrustFlow};
use crate::scenario::{Role, Scenario};

/// How large a simulation is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) peers: usize,
    pub(crate) cycles: usize,
    pub(crate) queries: usize,
    pub(crate) candidates: usize,
    pub(crate) anchors: usize,
    /// Rates are of so many cycles at the end.
    pub(crate) measured: usize,
}

/// The size of the table.
pub(crate) const FULL: Size =
    Size { peers: 100, cycles: 30, queries: 15, candidates: 10, anchors: 3, measured: 10 };

/// By what peers choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    Nothing,
    EigenTrust,
    TrustFlow,
}

/// Calls that a colluder makes up for each of its friends in each cycle, and how many friends.
const MADE_UP: (u64, usize) = (20, 10);

/// Plays a scenario. Returns, for each cycle, which part of the calls of good peers went badly.
pub(crate) fn play(scenario: &Scenario, means: Means, size: Size, seed: u64) -> Vec<f64> {
    let mut society = Society::new(scenario, means, size, seed);
    (0..size.cycles).map(|cycle| society.cycle(cycle)).collect()
}

struct Society {
    size: Size,
    draw: Draw,
    roles: Vec<Role>,
    /// Who each peer is now; whitewashers change it.
    names: Vec<u64>,
    policy: Box<dyn Policy>,
}

impl Society {
    fn new(scenario: &Scenario, means: Means, size: Size, seed: u64) -> Self {
        let mut roles = Vec::with_capacity(size.peers);
        for (role, share) in &scenario.roles {
            let count = (share * size.peers as f64).round();
            roles.extend((0..size.peers).take_while(|at| (*at as f64) < count).map(|_| *role));
        }
        // Anchors are good peers, and stand at the end.
        roles.resize(size.peers, Role::Good);
        let anchors: BTreeSet<_> = (size.peers - size.anchors..size.peers).map(|at| at as u64).collect();
        let policy: Box<dyn Policy> = match means {
            Means::Nothing => Box::new(Blind),
            Means::EigenTrust => Box::new(EigenTrust::new(anchors)),
            Means::TrustFlow => Box::new(TrustFlow::new(&anchors)),
        };
        let names = (0..size.peers as u64).collect();
        Self { size, draw: Draw(seed), roles, names, policy }
    }

    /// One cycle; the part of good peers' calls that went badly.
    fn cycle(&mut self, cycle: usize) -> f64 {
        self.rename(cycle);
        let mut reports = Reports::new();
        let (mut bad, mut all) = (0_u32, 0_u32);
        for query in 0..self.size.queries * self.size.peers {
            let caller = query % self.size.peers;
            let candidates = self.candidates(caller);
            let names: Vec<_> = candidates.iter().map(|at| self.names[*at]).collect();
            let callee = candidates[self.policy.choose(self.names[caller], &names, &mut self.draw)];
            let was_good = self.roles[callee].serves_well(cycle, &mut self.draw);
            self.policy.hear(self.names[caller], self.names[callee], was_good);
            let says_good = self.roles[caller].says(self.roles[callee], was_good, cycle);
            let report = reports.entry((self.names[caller], self.names[callee])).or_default();
            *report = (report.0 + 1, report.1 + u64::from(says_good));
            if !self.roles[caller].is_malicious() {
                bad += u32::from(!was_good);
                all += 1;
            }
        }
        self.make_up(&mut reports);
        self.policy.learn(cycle, &reports);
        f64::from(bad) / f64::from(all)
    }

    fn rename(&mut self, cycle: usize) {
        for at in 0..self.size.peers {
            if self.roles[at] == Role::Whitewasher {
                self.names[at] = (at + self.size.peers * (cycle + 1)) as u64;
            }
        }
    }

    /// Different peers, and not the caller.
    fn candidates(&mut self, caller: usize) -> Vec<usize> {
        let mut chosen: Vec<usize> = Vec::with_capacity(self.size.candidates);
        while chosen.len() < self.size.candidates {
            let peer = self.draw.below(self.size.peers);
            if peer != caller && !chosen.contains(&peer) {
                chosen.push(peer);
            }
        }
        chosen
    }

    fn make_up(&mut self, reports: &mut Reports) {
        for caller in 0..self.size.peers {
            let makes_up =
                |peer: &usize| *peer != caller && self.roles[caller].makes_up_calls_to(self.roles[*peer]);
            let friends: Vec<_> = (0..self.size.peers).filter(makes_up).collect();
            if friends.is_empty() {
                continue;
            }
            for _ in 0..MADE_UP.1 {
                let friend = friends[self.draw.below(friends.len())];
                let report = reports.entry((self.names[caller], self.names[friend])).or_default();
                *report = (report.0 + MADE_UP.0, report.1 + MADE_UP.0);
            }
        }
    }
}
