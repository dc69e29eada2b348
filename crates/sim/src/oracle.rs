use std::collections::{BTreeMap, BTreeSet};

use althing_ballot::{CloseReport, Closing, Outcome, PutAt, VerifiedFile, acks_of, reports_for, verify_file};
use althing_engine::Ask;
use althing_record::{AgentId, Digest, Domain, Kind, Millis, Record, RecordId};
use althing_store::{Snapshot, Table, prefix_end};

use crate::Sim;
use crate::node::Promise;

const VIEWS: [Table; 5] =
    [Table::VoteView, Table::GroupView, Table::EvidenceView, Table::IdentityView, Table::Slot];

/// What a node has derived from the records that it holds: equal on nodes that hold the same live records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// (table, key) → value. The index of cards is what it says and not how its rows lie, which depends on the order in
    /// which they came; when its entries end depends on when they came, too. Of a slot the value is revision and id.
    pub rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
}

/// Of how many questions of a docket each node writes the certificates.
const QUESTIONS_CERTIFIED: usize = 3;

impl Views {
    /// The views in a store, without what has expired at `now`.
    #[must_use]
    pub fn read(store: &impl Snapshot, now: Millis) -> Self {
        let is_live = |deadline: Option<&[u8]>| {
            let deadline = deadline.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
            deadline.is_some_and(|bytes| u64::from_be_bytes(bytes) > now.0)
        };
        let index = althing_card::index_contents(store, now).unwrap_or_default();
        let mut rows: BTreeMap<_, _> =
            index.into_iter().map(|entry| ((Table::CardView, entry), Vec::new())).collect();
        for table in VIEWS {
            let (mut from, to) = (Vec::new(), prefix_end(&[]));
            loop {
                let page = store.scan(table, &from, &to, 4_096).unwrap_or_default();
                let Some((last, _)) = page.last() else { break };
                from = [last, &[0][..]].concat();
                for (key, value) in page {
                    let (deadline, value) = if table == Table::Slot {
                        // Revision, id, deadline, and until when that is remembered.
                        (value.get(40..48), value[..40].to_vec())
                    } else {
                        (None, value.clone())
                    };
                    if deadline.is_some() && !is_live(deadline) {
                        continue;
                    }
                    rows.insert((table, key), value);
                }
            }
        }
        Self { rows }
    }
}

impl Sim {
    fn up(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|node| self.is_up(*node))
    }

    /// The digests of all domains at a node that runs.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn digests(&self, node: usize) -> Vec<Digest> {
        let life = self.nodes[node].life.as_ref().expect("a node that runs");
        let digest =
            |domain: &Domain| life.engine.digest(*domain, self.now(node)).expect("memory can be read");
        Domain::ALL.iter().map(digest).collect()
    }

    /// Whether all nodes that run hold the same live records.
    #[must_use]
    pub fn digests_agree(&self) -> bool {
        let mut first = None;
        self.up().all(|node| {
            let digests = self.digests(node);
            *first.get_or_insert_with(|| digests.clone()) == digests
        })
    }

    /// The views of a node that runs.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn views(&self, node: usize) -> Views {
        let life = self.nodes[node].life.as_ref().expect("a node that runs");
        Views::read(life.engine.store(), self.now(node).wall)
    }

    /// How many rows a node holds in a table.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn rows(&self, node: usize, table: Table) -> usize {
        let life = self.nodes[node].life.as_ref().expect("a node that runs");
        let rows = life.engine.store().scan_prefix(table, &[], usize::MAX);
        rows.expect("memory can be read").len()
    }

    /// The records of a kind that a node holds, expired ones included until they are swept.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn records(&self, node: usize, kind: Kind) -> Vec<Record> {
        let life = self.nodes[node].life.as_ref().expect("a node that runs");
        let rows = life.engine.store().scan_prefix(Table::Records, &[], usize::MAX);
        // The deadline, then the carried bytes; none are left of what has expired.
        let verify = |row: &[u8]| Record::verify(row.get(8..)?, &self.network).ok();
        let records = rows.expect("memory can be read").into_iter().filter_map(|(_, row)| verify(&row));
        records.filter(|record| record.kind() == kind).collect()
    }

    /// Whether a node that runs holds a record, or remembers that it did.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn holds(&self, node: usize, id: RecordId) -> bool {
        let life = self.nodes[node].life.as_ref().expect("a node that runs");
        life.engine.store().get(Table::Records, &id.0).expect("memory can be read").is_some()
    }

    /// Against whom a node that runs holds evidence.
    #[must_use]
    pub fn accused(&self, node: usize) -> BTreeSet<AgentId> {
        let rows = self.views(node).rows;
        let accused = rows.keys().filter(|(table, _)| *table == Table::EvidenceView);
        accused.filter_map(|(_, key)| AgentId::try_from(key.get(..32)?).ok()).collect()
    }

    /// Has every node that runs write the certificates of all that it knows to be decided; each is verified and kept.
    pub fn collect_certificates(&mut self) {
        for node in 0..self.nodes.len() {
            for proposal in self.proposals(node) {
                self.ask(node, Ask::Certificate { proposal, question: None });
            }
            for (docket, questions) in self.dockets(node) {
                for question in (1..=questions).take(QUESTIONS_CERTIFIED) {
                    self.ask(node, Ask::Certificate { proposal: docket, question: Some(question) });
                }
            }
        }
        self.run_for(1_000);
    }

    fn proposals(&self, node: usize) -> Vec<RecordId> {
        let Some(life) = &self.nodes[node].life else { return Vec::new() };
        let known = althing_ballot::proposals(life.engine.store(), None, usize::MAX);
        known.expect("memory can be read").into_iter().map(|put| put.id).collect()
    }

    /// The dockets that a node knows, and how many questions they have.
    fn dockets(&self, node: usize) -> Vec<(RecordId, u16)> {
        let Some(life) = &self.nodes[node].life else { return Vec::new() };
        let store = life.engine.store();
        let known = althing_ballot::dockets(store, None, usize::MAX).expect("memory can be read");
        let read = |PutAt { id, .. }| {
            let row = store.get(Table::Records, &id.0).expect("memory can be read")?;
            let record = Record::verify(row.get(8..)?, &self.network).ok()?;
            let docket = althing_ballot::Docket::from_record(&record).ok()?;
            Some((id, u16::try_from(docket.len()).ok()?))
        };
        known.into_iter().filter_map(read).collect()
    }

    pub(crate) fn certify(&mut self, node: usize, bytes: &[u8]) {
        match verify_file(bytes, Some(self.network.id())) {
            Ok(VerifiedFile::Direct(verified)) => {
                let of = (verified.proposal.id, verified.proposal.item);
                self.certified.entry(of).or_default().insert(verified.option);
            }
            Ok(VerifiedFile::Closed(verified)) => {
                let outcome = verified.count.decides();
                let outcome = if let Outcome::Decided(option) = outcome {
                    verified.proposal.options[option as usize].clone()
                } else {
                    format!("{outcome:?}")
                };
                let of = (verified.proposal.id, verified.proposal.item);
                self.certified.entry(of).or_default().insert(outcome);
                self.closed.insert(of, *verified);
            }
            Err(error) => self.violations.push(format!("node {node} wrote an invalid certificate: {error}")),
        }
    }

    /// The options that nodes wrote certificates for, by proposal and by question of a docket.
    #[must_use]
    pub fn certified(&self) -> &BTreeMap<(RecordId, Option<u16>), BTreeSet<String>> {
        &self.certified
    }

    /// What broke so far of that which must hold at every moment; empty if all is well.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = self.violations.clone();
        for ((proposal, question), options) in &self.certified {
            if options.len() > 1 {
                let question = question.map_or(String::new(), |number| format!(", question {number},"));
                failures.push(format!("certificates of {proposal}{question} conflict: {options:?}"));
            }
        }
        for node in self.up() {
            let accused = self.accused(node);
            for agent in self.nodes.iter().filter(|node| !node.is_copied).flat_map(|node| &node.agents) {
                if accused.contains(&agent.agent) {
                    failures.push(format!("node {node} holds evidence against honest {}", agent.agent));
                }
            }
            failures.extend(self.broken_promises(node));
            failures.extend(self.lost_ballots(node));
            failures.extend(self.broken_journal(node));
        }
        failures
    }

    /// The numbers of the events in a journal have no gap, whatever crashed and whatever was lost.
    fn broken_journal(&self, node: usize) -> Option<String> {
        let life = self.nodes[node].life.as_ref()?;
        let rows = life.engine.store().scan_prefix(Table::Journal, b"e", usize::MAX);
        let numbers = rows.expect("memory can be read").into_iter().filter_map(|(key, _)| {
            key.get(1..).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes)
        });
        // What is old is trimmed.
        let numbers: Vec<u64> = numbers.collect();
        let is_whole = numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        (!is_whole).then(|| format!("the journal of node {node} has a gap"))
    }

    /// What closers reported for a vote.
    fn reports(&self, store: &impl Snapshot, id: RecordId) -> Vec<CloseReport> {
        let ids = reports_for(store, id).expect("memory can be read");
        let read = |id: RecordId| {
            let row = store.get(Table::Records, &id.0).expect("memory can be read")?;
            CloseReport::from_record(&Record::verify(row.get(8..)?, &self.network).ok()?).ok()
        };
        ids.into_iter().filter_map(|(_, id)| read(id)).collect()
    }

    /// Whose ballot was acknowledged by enough closers is among those that count, or void.
    fn lost_ballots(&self, node: usize) -> Vec<String> {
        let Some(life) = &self.nodes[node].life else { return Vec::new() };
        let mut lost = Vec::new();
        for ((id, _), closed) in &self.closed {
            let acks = acks_of(life.engine.store(), *id, None).expect("memory can be read");
            let mut by_voter: BTreeMap<u16, BTreeSet<AgentId>> = BTreeMap::new();
            for (closer, voter, _) in acks {
                by_voter.entry(voter).or_default().insert(closer);
            }
            for report in self.reports(life.engine.store(), *id) {
                for (voter, _) in report.ballots {
                    by_voter.entry(voter).or_default().insert(report.closer);
                }
            }
            for (voter, closers) in by_voter {
                let voter = closed.proposal.electorate.voters()[usize::from(voter)].agent;
                let manifest = &closed.manifest;
                let counts = manifest.choices.contains_key(&voter)
                    || manifest.void.contains(&voter)
                    || manifest.invalid.contains(&voter);
                if closers.len() >= Closing::reports_needed(closed.closers.1) && !counts {
                    lost.push(format!("the ballot of {voter} on {id} was acknowledged and does not count"));
                }
            }
        }
        lost
    }

    fn broken_promises(&self, node: usize) -> Vec<String> {
        let Some(life) = &self.nodes[node].life else { return Vec::new() };
        let (store, now) = (life.engine.store(), self.now(node).wall);
        let mut broken = Vec::new();
        for promise in &self.nodes[node].promises {
            let holds = |agent: &AgentId, revision: &u64| {
                let key = [&agent.0[..], &Kind::Card.code().to_be_bytes()].concat();
                let found = Views::read(store, now).rows.remove(&(Table::Slot, key));
                found.is_some_and(|head| head[..8] >= revision.to_be_bytes()[..])
            };
            let is_kept = match promise {
                Promise::Record(id) => store.get(Table::Records, &id.0).is_ok_and(|row| row.is_some()),
                Promise::Attestation(id, epoch) => {
                    let is_faded = *epoch < life.engine.ratings_pruned().before;
                    is_faded || store.get(Table::Records, &id.0).is_ok_and(|row| row.is_some())
                }
                Promise::Card { agent, revision } => holds(agent, revision),
                Promise::Retracted { agent, revision, until } => *until <= now || holds(agent, revision),
            };
            if !is_kept {
                broken.push(format!("node {node} lost what a client was told is done: {promise:?}"));
            }
        }
        broken
    }

    /// [`Sim::failures`], and what nodes that heard everything still differ in.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let mut failures = self.failures();
        if !self.digests_agree() {
            failures.push("digests differ".into());
        }
        let mut up = self.up();
        let Some(first) = up.next() else { return failures };
        let expected = self.views(first);
        for node in up {
            let found = self.views(node);
            let differs = |one: &Views, other: &Views| {
                one.rows.iter().find(|(key, value)| other.rows.get(key) != Some(value)).map(|(key, _)| key.0)
            };
            if let Some(table) = differs(&expected, &found).or_else(|| differs(&found, &expected)) {
                let only = |one: &Views, other: &Views| {
                    let rows = one.rows.iter().filter(|(key, value)| other.rows.get(key) != Some(value));
                    rows.take(3).map(|(key, value)| format!("{:x?} {value:x?}", key.1)).collect::<Vec<_>>()
                };
                failures.push(format!(
                    "nodes {first} and {node} differ in {}: {:?} against {:?}",
                    table.name(),
                    only(&expected, &found),
                    only(&found, &expected)
                ));
            }
        }
        failures
    }

    /// Stops a test when something broke that must hold at every moment.
    ///
    /// # Panics
    /// When something broke; the message names the seed and shows what went on.
    pub fn check(&self) {
        self.stop_at(&self.failures());
    }

    /// Stops a test when something broke, or the nodes differ.
    ///
    /// # Panics
    /// As [`Sim::check`].
    pub fn check_converged(&self) {
        self.stop_at(&self.differences());
    }

    fn stop_at(&self, failures: &[String]) {
        let from = self.log.len().saturating_sub(60);
        assert!(
            failures.is_empty(),
            "seed {}:\n{}\n\nthe last of what went on:\n{}",
            self.seed,
            failures.join("\n"),
            self.log[from..].join("\n")
        );
    }
}
