//! Answers to local clients that only read.

use althing_card::Card;
use althing_record::{AgentId, Digest, Domain, Kind, Millis, Placement, Record, RecordId};
use althing_store::{ReadError, Snapshot, Table, prefix_end};
use sha2::{Digest as _, Sha256};

use crate::engine::Engine;
use crate::rows::{SlotHead, slot_key};
use crate::{Answer, Ask, AskNo, DomainStatus, Now, Status};

impl<S: Snapshot> Engine<S> {
    pub(crate) fn on_ask(&mut self, no: AskNo, ask: Ask, now: Now) -> Result<(), ReadError> {
        match self.ready_ask(no, ask, now)? {
            Some(ask) => self.on_ready_ask(no, ask, now),
            None => Ok(()),
        }
    }

    /// Does what waits for nothing any more.
    pub(crate) fn on_ready_ask(&mut self, no: AskNo, ask: Ask, now: Now) -> Result<(), ReadError> {
        match ask {
            Ask::Status => {
                let status = self.status(now)?;
                self.answer(no, Answer::Status(Box::new(status)));
                Ok(())
            }
            Ask::Hosts => {
                self.answer(no, Answer::Hosts(self.agents.iter().map(|hosted| hosted.agent).collect()));
                Ok(())
            }
            Ask::PublishCard { agent, json } => self.on_publish_card(no, agent, json, now),
            Ask::Rotate(rotate) => self.on_rotate(no, *rotate, now),
            Ask::Host(hosted) => self.on_host(no, *hosted, now),
            Ask::RetractCard { agent } => self.on_retract_card(no, agent, now),
            Ask::Card { agent } => self.on_card(no, agent, now),
            Ask::Spread { agent } => self.on_spread(no, agent, now),
            Ask::Find(find) => self.on_find(no, &find, now),
            Ask::Propose { agent, draft } => self.on_propose(no, agent, &draft, now),
            Ask::Cast { agent, proposal, choice } => self.on_cast(no, agent, proposal, &choice, now),
            Ask::Vote { proposal, question } => self.on_vote(no, proposal, question, now),
            Ask::Votes { after, group, limit } => self.on_votes(no, after, (group, limit), now),
            Ask::Decisions { after, group, limit } => self.on_decisions(no, after, (group, limit)),
            Ask::Certificate { proposal, question } => self.on_certificate(no, proposal, question),
            Ask::ProposeDocket { agent, draft } => self.on_propose_docket(no, agent, &draft, now),
            Ask::AnswerDocket { agent, docket, answers } => {
                self.on_answer_docket(no, agent, docket, &answers, now)
            }
            Ask::Docket { docket, from, limit } => self.on_docket(no, docket, (from, limit), now),
            Ask::Dockets { after, limit } => self.on_dockets(no, after, limit, now),
            Ask::Group(ask) => self.on_group_ask(no, ask, now),
            Ask::Attest { agent, body } => self.on_attest(no, agent, &body, now),
            Ask::Accuse { agent, accepts } => self.on_accuse(no, agent, &accepts, now),
            Ask::Reputation(ask) => self.on_reputation_ask(no, ask, now),
            Ask::Evidence => {
                let evidence = self.evidence()?;
                self.answer(no, Answer::Evidence(evidence));
                Ok(())
            }
            Ask::Import { records } => self.on_import(no, &records, now),
            Ask::Events { from, kinds, limit } => self.on_events(no, from, &kinds, limit),
        }
    }

    fn status(&self, now: Now) -> Result<Status, ReadError> {
        let domains = Domain::ALL
            .iter()
            .map(|domain| self.domain_status(*domain, now))
            .collect::<Result<Vec<_>, _>>()?;
        let mut cards = 0;
        self.for_each_row(Table::Slot, &[], |key, value| {
            let is_card = key.get(32..34) == Some(&Kind::Card.code().to_be_bytes()[..]);
            cards += u64::from(is_card && SlotHead::read(value).is_some_and(|head| head.deadline > now.wall));
        })?;
        Ok(Status {
            node: self.node(),
            network: self.network.id(),
            network_name: self.network.genesis().name.to_string(),
            agents: self.agents.iter().map(|hosted| hosted.agent).collect(),
            incarnation: self.incarnation,
            commit: self.durable.0,
            records: domains.iter().map(|domain| domain.records).sum(),
            cards,
            proposals: self.count(Table::VoteView, b"p")?,
            evidence: self.evidence_count()?,
            domains,
            peers: self.peers.len() as u64,
            sync_rounds: self.reconciler.rounds,
            last_sync: self.reconciler.last,
            voting_stopped: self.signing_stopped.clone(),
            clock_offset_ms: self.clock_offset(),
            served_elsewhere: self.served_elsewhere(now)?,
            ratings_pruned: self.ratings_pruned(),
            waiting_for: self.waiting_for(),
        })
    }

    /// The digest of a domain: the sum, modulo 2^256, of SHA-256 over "althing/digest/1" and each live record's id. Equal
    /// sets have equal digests in whatever order they were taken in.
    pub(crate) fn domain_status(&self, domain: Domain, now: Now) -> Result<DomainStatus, ReadError> {
        let (mut sum, mut records) = ([0_u64; 4], 0);
        self.for_each_live(domain, now, |_: Millis, id: RecordId| {
            let hash: [u8; 32] =
                Sha256::new().chain_update("althing/digest/1").chain_update(id.0).finalize().into();
            add(&mut sum, &hash);
            records += 1;
        })?;
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(8).zip(sum) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        Ok(DomainStatus { name: domain.name().to_owned(), records, digest: Digest(digest) })
    }

    /// The digest of one domain at a time, for tests and the simulator.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn digest(&self, domain: Domain, now: Now) -> Result<Digest, ReadError> {
        self.domain_status(domain, now).map(|status| status.digest)
    }

    /// An agent's current card, the record that carries it, and its revision.
    pub(crate) fn current_card(
        &self,
        agent: AgentId,
        now: Now,
    ) -> Result<Option<(Record, Card, u64)>, ReadError> {
        let Some(record) = self.slot_record(&slot_key(agent, Kind::Card, ""), now)? else { return Ok(None) };
        let revision = match record.header().placement {
            Placement::Slot { revision, .. } => revision,
            Placement::Chain { .. } | Placement::Pair { .. } | Placement::Round { .. } => 0,
        };
        Ok(Card::from_record(&record).ok().flatten().map(|card| (record, card, revision)))
    }

    pub(crate) fn count(&self, table: Table, prefix: &[u8]) -> Result<u64, ReadError> {
        let mut count = 0;
        self.for_each_row(table, prefix, |_, _| count += 1)?;
        Ok(count)
    }

    pub(crate) fn for_each_row(
        &self,
        table: Table,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), ReadError> {
        let (mut from, to) = (prefix.to_vec(), prefix_end(prefix));
        loop {
            let rows = self.store.scan(table, &from, &to, 4_096)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            from = [last, &[0][..]].concat();
            rows.iter().for_each(|(key, value)| visit(key, value));
        }
    }
}

/// Adds a 256-bit big-endian number to a sum of four words, the highest first, modulo 2^256.
fn add(sum: &mut [u64; 4], number: &[u8; 32]) {
    let mut carry = false;
    for index in (0..4).rev() {
        let mut word = [0; 8];
        word.copy_from_slice(&number[8 * index..8 * index + 8]);
        let (partial, over) = sum[index].overflowing_add(u64::from_be_bytes(word));
        let (total, over_again) = partial.overflowing_add(u64::from(carry));
        sum[index] = total;
        carry = over || over_again;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_carry_and_wrap() {
        let mut sum = [0, 0, 0, u64::MAX];
        let mut one = [0; 32];
        one[31] = 1;
        add(&mut sum, &one);
        assert_eq!(sum, [0, 0, 1, 0]);
        let mut sum = [u64::MAX; 4];
        add(&mut sum, &one);
        assert_eq!(sum, [0; 4]);
    }
}
