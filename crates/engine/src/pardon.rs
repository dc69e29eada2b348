//! Pardons: what those who are entitled to it forgive. An effect on scores is all that a decided pardon has, and it follows from
//! the records alone.

use std::collections::BTreeMap;

use althing_ballot::{Electorate, Outcome, Pardon, Proposal, Tally, ballots_for, pardoners};
use althing_record::{AgentId, Digest, RecordId};
use althing_store::{ReadError, Snapshot, Table};

use crate::engine::Engine;
use crate::{AskNo, Event, PardonTerms, ProposalDraft, RefusalKind};

/// Before agent and proposal in the keys of pardons that enough ballots ask for.
const GRANTED: u8 = b'g';

/// Why a client cannot ask for a pardon, and what to do about it.
type Reason = (RefusalKind, String, &'static str);

/// Forgiven cases, and by which proposal.
pub(crate) type Pardons = BTreeMap<Digest, RecordId>;

/// The outcome that forgives: "yes".
const PASSED: Outcome = Outcome::Decided(0);

impl<S: Snapshot> Engine<S> {
    /// What a client's motion forgives, and who decides; none if the client was told why it cannot be.
    pub(crate) fn pardon_for(
        &mut self,
        no: AskNo,
        agent: AgentId,
        offender: AgentId,
        draft: &ProposalDraft,
    ) -> Result<Option<(Pardon, Electorate)>, ReadError> {
        let refused = self.pardon_refusal(agent, offender, draft)?;
        match refused {
            Ok(granted) => Ok(Some(granted)),
            Err((kind, cause, hint)) => {
                self.refuse(no, kind, cause, Some(hint));
                Ok(None)
            }
        }
    }

    fn pardon_refusal(
        &self,
        agent: AgentId,
        offender: AgentId,
        draft: &ProposalDraft,
    ) -> Result<Result<(Pardon, Electorate), Reason>, ReadError> {
        let invalid = |cause: &str, hint| Ok(Err((RefusalKind::Invalid, cause.to_owned(), hint)));
        let genesis = self.network.genesis();
        if genesis.committee.is_empty() && genesis.anchors.is_empty() {
            return invalid(
                "this network's genesis names neither a committee nor anchors, so nobody can pardon",
                "`althing network init` with --committee or --anchor makes a network where some can",
            );
        }
        if agent == offender {
            return invalid(
                "nobody asks for a pardon of its own",
                "let another one who decides on it propose it",
            );
        }
        let Some(electorate) = pardoners(genesis, offender) else {
            return invalid(
                "nobody but the agent itself could decide on its pardon",
                "found another network",
            );
        };
        let who = if genesis.committee.is_empty() { "anchors" } else { "committee" };
        if electorate.weight(agent).is_none() {
            let cause =
                format!("{agent} is not of the network's {who}, which alone proposes and decides on pardons");
            return Ok(Err((RefusalKind::Invalid, cause, "propose it as one of them: --agent DID")));
        }
        let given = Electorate::weighted(draft.voters.clone());
        if draft.group.is_some()
            || draft.holders.is_some()
            || !(draft.voters.is_empty() || given.as_ref() == Ok(&electorate))
        {
            let cause =
                format!("a pardon is decided by the network's {who} without the agent, each with one vote");
            return Ok(Err((
                RefusalKind::Invalid,
                cause,
                "leave the voters out: they follow from the genesis",
            )));
        }
        if draft.closed.is_some() || !draft.options.is_empty() {
            return invalid(
                "a pardon is a motion that is decided directly: yes or no",
                "leave options and the terms of closed decisions out",
            );
        }
        let mut cases: Vec<_> = self.evidence_against(offender)?;
        cases.retain(|row| row.pardoned_by.is_none());
        let mut cases: Vec<_> = cases.into_iter().map(|row| row.case).collect();
        cases.sort_unstable();
        cases.truncate(althing_ballot::PARDONED_MAX);
        if cases.is_empty() {
            let cause = format!("no misbehaviour of {offender} that is not forgiven is proven here");
            return Ok(Err((RefusalKind::NotFound, cause, "`althing evidence ls` shows what is")));
        }
        let cases = cases.try_into().unwrap_or_default();
        Ok(Ok((Pardon { agent: offender, cases }, electorate)))
    }

    /// What a proposal asks to forgive.
    pub(crate) fn pardon_terms(&self, proposal: &Proposal) -> Option<PardonTerms> {
        let pardon = proposal.pardon.as_ref()?;
        Some(PardonTerms {
            agent: pardon.agent,
            cases: pardon.cases.to_vec(),
            is_entitled: proposal.grants(self.network.genesis()).is_some(),
        })
    }

    /// A proposal is in the view.
    pub(crate) fn fold_pardon(&mut self, id: RecordId) -> Result<(), ReadError> {
        match self.proposal(id)? {
            Some(proposal) => self.note_pardon(&proposal),
            None => Ok(()),
        }
    }

    /// Notes a pardon that enough ballots ask for, whatever keys they are under: that is so for good, and which of them
    /// stand is asked when scores are. So only what those who are entitled to it voted for is ever looked at.
    pub(crate) fn note_pardon(&mut self, proposal: &Proposal) -> Result<(), ReadError> {
        let Some(pardon) = proposal.grants(self.network.genesis()) else { return Ok(()) };
        let key = [&[GRANTED][..], &pardon.agent.0, &proposal.id.0].concat();
        self.cases.get_mut().note_pardon(pardon.agent);
        if self.store.get(Table::VoteView, &key)?.is_some() {
            self.ratings.note_change();
            self.checkpoints.note_change();
            return Ok(());
        }
        let cast = ballots_for(&self.store, proposal.id, None)?;
        let tally =
            Tally::count(proposal, cast.into_iter().map(|cast| (cast.ballot.voter, cast.ballot.choice)));
        if tally.outcome(proposal) != PASSED {
            return Ok(());
        }
        self.put(Table::VoteView, key, Vec::new());
        self.ratings.note_change();
        self.checkpoints.note_change();
        if self.outcome(proposal)? == PASSED {
            let (agent, proposal, cases) = (pardon.agent, proposal.id, pardon.cases.len() as u64);
            self.tell(&Event::AgentPardoned { agent, proposal, cases });
        }
        Ok(())
    }

    /// The cases of an agent that are forgiven, and by which decided proposal; of several by the one with the lowest id.
    pub(crate) fn pardons_of(&self, agent: AgentId) -> Result<Pardons, ReadError> {
        let mut pardons = Pardons::new();
        let mut granted = Vec::new();
        self.for_each_row(Table::VoteView, &[&[GRANTED][..], &agent.0].concat(), |key, _| {
            granted.extend(key.get(33..).and_then(|id| RecordId::try_from(id).ok()));
        })?;
        for id in granted {
            let Some(record) = self.record(id)? else { continue };
            let Ok(proposal) = Proposal::from_record(&record) else { continue };
            if let Some(pardon) = proposal.grants(self.network.genesis())
                && self.outcome(&proposal)? == PASSED
            {
                pardon.cases.iter().for_each(|case| {
                    pardons.entry(*case).or_insert(id);
                });
            }
        }
        Ok(pardons)
    }
}
