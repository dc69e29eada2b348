//! What is worth an event: called where the change is made, so that both are one commit. A lease that is renewed, every
//! five minutes for every agent, is no news; one that begins or ends is.

use althing_ballot::{Ballot, Docket, Outcome, Proposal, ballots_for};
use althing_card::{Card, Lease};
use althing_record::{AgentId, Kind, NodeId, Placement, Record, RecordId};
use althing_store::{ReadError, Snapshot, Table};

use crate::engine::Engine;
use crate::rows::{SlotHead, slot_key};
use crate::{CardNews, Event};

/// Most ballots that are told of when they were here before their proposal.
const EARLY_BALLOTS_MAX: usize = 1_024;

/// Most leases of an agent among which the one that it moved from is looked for.
const LEASES_SEEN_MAX: usize = 64;

/// Where the keys of told outcomes begin in [`Table::Journal`].
const TOLD: u8 = b'o';

impl<S: Snapshot> Engine<S> {
    /// A card record is about to take its slot. One that only renews the card's time is no news.
    pub(crate) fn tell_card(&mut self, record: &Record) -> Result<(), ReadError> {
        let Placement::Slot { name, revision } = &record.header().placement else { return Ok(()) };
        if record.kind() != Kind::Card {
            return Ok(());
        }
        let before = match self.slot_head(&slot_key(record.agent(), Kind::Card, name))? {
            Some(head) => self.record(head.id)?,
            None => None,
        };
        let before = before.and_then(|before| Card::from_record(&before).ok().flatten());
        let (agent, card, revision) = (record.agent(), record.id(), *revision);
        match (Card::from_record(record), before) {
            (Ok(Some(new)), Some(before)) if before == new => {}
            (Ok(Some(new)), before) => {
                let changed = before.as_ref().map(|before| new.differences(before)).unwrap_or_default();
                let (name, changed) = (new.name().to_owned(), changed.into_iter().collect());
                let news = CardNews { agent, card, revision, name, changed };
                self.tell(&match before {
                    Some(_) => Event::CardUpdated(news),
                    None => Event::CardPublished(news),
                });
            }
            (Ok(None), Some(_)) => self.tell(&Event::CardRetracted { agent, card, revision }),
            (Ok(None) | Err(_), _) => {}
        }
        Ok(())
    }

    /// A lease record is about to take its slot: `lease`, or the end of the one that is there.
    pub(crate) fn tell_lease(&mut self, record: &Record, lease: Option<&Lease>) -> Result<(), ReadError> {
        let Placement::Slot { name, .. } = &record.header().placement else { return Ok(()) };
        let Ok(node) = name.parse::<NodeId>() else { return Ok(()) };
        let (agent, own) = (record.agent(), slot_key(record.agent(), Kind::Lease, name));
        let was_there = match self.slot_head(&own)? {
            Some(head) => self.is_lease(head.id)?,
            None => false,
        };
        let record = record.id();
        match (lease, was_there) {
            (Some(_), true) | (None, false) => {}
            (None, true) => self.tell(&Event::LeaseEnded { agent, record, node }),
            (Some(_), false) => {
                // The head of a slot outlives its lease, so that this sees where the agent was served last.
                let mut last: Option<(SlotHead, NodeId)> = None;
                let prefix = slot_key(agent, Kind::Lease, "");
                for (key, row) in self.store.scan_prefix(Table::Slot, &prefix, LEASES_SEEN_MAX)? {
                    let name = key.get(prefix.len()..).and_then(|name| std::str::from_utf8(name).ok());
                    if key != own
                        && let (Some(head), Some(Ok(other))) = (SlotHead::read(&row), name.map(str::parse))
                        && last.is_none_or(|(newest, _)| head.revision > newest.revision)
                    {
                        last = Some((head, other));
                    }
                }
                self.tell(&match last {
                    Some((_, from)) => Event::LeaseMoved { agent, record, node, from },
                    None => Event::LeaseBegan { agent, record, node },
                });
            }
        }
        Ok(())
    }

    /// Whether a record is a lease that is here and does not end one.
    pub(crate) fn is_lease(&self, id: RecordId) -> Result<bool, ReadError> {
        Ok(self.record(id)?.is_some_and(|record| matches!(Lease::from_record(&record), Ok(Some(_)))))
    }

    /// A slot's record is about to go because its key was replaced.
    pub(crate) fn tell_withdrawn(&mut self, head: SlotHead) -> Result<(), ReadError> {
        if let Some(record) = self.record(head.id)?
            && matches!(Card::from_record(&record), Ok(Some(_)))
        {
            self.tell(&Event::CardWithdrawn { agent: record.agent(), card: head.id });
        }
        self.tell_over(head.id)
    }

    /// A lease is about to go: nobody renewed it, or its key was replaced.
    pub(crate) fn tell_over(&mut self, id: RecordId) -> Result<(), ReadError> {
        if let Some(record) = self.record(id)?
            && let Ok(Some(lease)) = Lease::from_record(&record)
        {
            self.tell(&Event::LeaseEnded { agent: lease.agent, record: id, node: lease.node });
        }
        Ok(())
    }

    /// An identity record was taken in.
    pub(crate) fn tell_identity(
        &mut self,
        record: &Record,
        was_known: bool,
        key_before: [u8; 32],
    ) -> Result<(), ReadError> {
        let (agent, record) = (record.agent(), record.id());
        if !was_known {
            self.tell(&Event::AgentKnown { agent, record });
        }
        let key = self.key_history(agent)?.current_key();
        if key != key_before {
            self.tell(&Event::AgentKeyChanged { agent, record, key });
        }
        Ok(())
    }

    /// A proposal was taken in. Ballots can be here before it, in batches that answer others too.
    pub(crate) fn tell_proposal(&mut self, record: &Record) -> Result<(), ReadError> {
        let Ok(proposal) = Proposal::from_record(record) else { return Ok(()) };
        let question = proposal.question.clone();
        let proposer = proposal.proposer;
        self.tell(&Event::VoteProposed { proposal: proposal.id, proposer, question });
        let mut last = None;
        for cast in ballots_for(&self.store, proposal.id, None)?.into_iter().take(EARLY_BALLOTS_MAX) {
            let said = (cast.ballot.voter, cast.ballot.choice.clone());
            if proposal.electorate.weight(cast.ballot.voter).is_some()
                && last.replace(said.clone()) != Some(said)
            {
                self.tell(&Event::VoteCast {
                    proposal: proposal.id,
                    voter: cast.ballot.voter,
                    ballot: cast.batch,
                    choice: cast.ballot.choice.text(&proposal),
                });
            }
        }
        if last.is_some() { self.note_outcome(&proposal) } else { Ok(()) }
    }

    /// A ballot is about to be indexed. Saying the same again is no news, and neither is a stranger's.
    pub(crate) fn tell_ballot(&mut self, ballot: &Ballot, batch: RecordId) -> Result<(), ReadError> {
        let earlier = ballots_for(&self.store, ballot.proposal, Some(ballot.voter))?;
        if earlier.iter().any(|cast| cast.ballot.choice == ballot.choice) {
            return Ok(());
        }
        if self.docket(ballot.proposal)?.is_some() {
            return Ok(());
        }
        let Some(proposal) = self.proposal(ballot.proposal)? else { return Ok(()) };
        if proposal.electorate.weight(ballot.voter).is_some() {
            self.tell(&Event::VoteCast {
                proposal: proposal.id,
                voter: ballot.voter,
                ballot: batch,
                choice: ballot.choice.text(&proposal),
            });
        }
        Ok(())
    }

    /// Tells how many questions of a docket have an outcome, unless that was told before; says whether it was not.
    pub(crate) fn tell_docket(
        &mut self,
        docket: &Docket,
        decided: u64,
        rejected: u64,
    ) -> Result<bool, ReadError> {
        let id = docket.terms.id;
        let key = [&[TOLD][..], &id.0, &decided.to_be_bytes(), &rejected.to_be_bytes()].concat();
        if self.store.get(Table::Journal, &key)?.is_some() {
            return Ok(false);
        }
        self.put(Table::Journal, key, Vec::new());
        self.tell(&Event::DocketDecided { docket: id, decided, rejected, questions: docket.len() as u64 });
        Ok(true)
    }

    /// Misbehaviour was proved. What a thief signed before the recovery key spoke accuses nobody.
    pub(crate) fn tell_evidence(
        &mut self,
        agent: AgentId,
        offence: &str,
        records: &[RecordId],
    ) -> Result<(), ReadError> {
        if self.binds(agent, records)? {
            let (offence, records) = (offence.to_owned(), records.to_vec());
            self.tell(&Event::EvidenceFound { agent, offence, records });
        }
        Ok(())
    }

    /// Whether some outcome of a proposal was told.
    pub(crate) fn is_told(&self, proposal: RecordId) -> Result<bool, ReadError> {
        let key = [&[TOLD][..], &proposal.0].concat();
        Ok(!self.store.scan_prefix(Table::Journal, &key, 1)?.is_empty())
    }

    /// Tells an outcome unless it was told before; says whether it was not.
    pub(crate) fn tell_outcome(&mut self, proposal: &Proposal, outcome: &Outcome) -> Result<bool, ReadError> {
        let indexes: &[u32] = match outcome {
            Outcome::Undecided => return Ok(false),
            Outcome::Decided(option) => &[*option],
            Outcome::Conflicting(options) => options,
            Outcome::Rejected(_) => &[],
        };
        let told = indexes.iter().flat_map(|index| index.to_be_bytes());
        let key: Vec<u8> = [TOLD].into_iter().chain(proposal.id.0).chain(told).collect();
        if self.store.get(Table::Journal, &key)?.is_some() {
            return Ok(false);
        }
        self.put(Table::Journal, key, Vec::new());
        let mut options: Vec<String> =
            indexes.iter().map(|index| proposal.options[*index as usize].clone()).collect();
        self.tell(&match (outcome, options.pop()) {
            (Outcome::Rejected(why), _) => {
                Event::VoteRejected { proposal: proposal.id, cause: why.name().to_owned() }
            }
            (Outcome::Decided(_), Some(option)) => Event::VoteDecided { proposal: proposal.id, option },
            (_, last) => {
                options.extend(last);
                Event::VoteConflicting { proposal: proposal.id, options }
            }
        });
        Ok(true)
    }
}
