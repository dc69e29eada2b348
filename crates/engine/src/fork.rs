//! Forks of groups, and how those who were members there settle them: by a vote on a subject of its own, whose options are
//! the changes that begin the branches.

use althing_ballot::{
    CLOSERS_MAX, ClosedTerms, Closing, GroupState, Mode, OPTIONS_MAX, Outcome, Proposal, ProposalBody,
    Question, Quorum, Rule, Subject, proposals_on, reports_for,
};
use althing_group::{HEIGHT_MAX, State};
use althing_record::{AgentId, Content, GroupId, Kind, RecordId, cbor};
use althing_store::{ReadError, Snapshot};
use rand_core::Rng;

use crate::engine::Engine;
use crate::voted::electorate_of;
use crate::{Answer, AskNo, ForkSettled, Now, RefusalKind};

/// Most votes about one fork that are looked at, those with the lowest ids.
const VOTES_MAX: usize = 256;

/// How much of the members has to take part in a closed vote about a fork.
const QUORUM: Quorum = Quorum::Share { num: 2, den: 3 };

impl<S: Snapshot> Engine<S> {
    /// The branch after a state that its members chose, where several changes follow. Of several decisions that with the
    /// lowest id holds, so nodes that know the same choose the same.
    pub(crate) fn settled_branch(&self, state: &State) -> Result<Option<ForkSettled>, ReadError> {
        for proposal in self.votes_on_fork(state)? {
            let Outcome::Decided(option) = self.outcome(&proposal)? else { continue };
            let Some(kept) = branch(&proposal, option) else { continue };
            if let Some(step) = althing_group::step(&self.store, kept)?
                && step.prev == state.head()
                && self.key_history(step.author)?.speaks(&step.key)
            {
                return Ok(Some(ForkSettled { at: state.head(), kept, by: proposal.id }));
            }
        }
        Ok(None)
    }

    /// The votes that can settle a fork, ascending.
    fn votes_on_fork(&self, state: &State) -> Result<Vec<Proposal>, ReadError> {
        let (Ok(electorate), Ok(subject)) = (electorate_of(state), subject_of(state)) else {
            return Ok(Vec::new());
        };
        let mut votes = Vec::new();
        for id in proposals_on(&self.store, subject.key(&electorate), VOTES_MAX)? {
            let proposal = self.record(id)?.and_then(|record| Proposal::from_record(&record).ok());
            votes.extend(proposal.filter(|proposal| settles(proposal, state)));
        }
        Ok(votes)
    }

    /// Has the members of a forked group vote on which branch holds, or finds the vote that they hold already.
    pub(crate) fn on_resolve_group(
        &mut self,
        no: AskNo,
        (agent, group): (AgentId, GroupId),
        keep: RecordId,
        window_ms: u64,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(());
        };
        let Some(tip) = self.tip(group)? else {
            self.refuse_unknown_group(no, group);
            return Ok(());
        };
        let state = &tip.state;
        let Some(fork) = tip.fork else {
            let cause = format!("group {group} is not forked");
            self.refuse(no, RefusalKind::Conflict, cause, Some("`althing group show` has its newest state"));
            return Ok(());
        };
        if !state.is_member(agent) {
            let cause =
                format!("{agent} was not a member of group {group} where it forked, at {}", state.head());
            self.refuse(no, RefusalKind::Invalid, cause, Some("those who were members there settle it"));
            return Ok(());
        }
        let Some(kept) = self.branch_with(keep, state.head())? else {
            let cause = format!("{keep} is no change after {}, where group {group} is forked", state.head());
            let hint = format!("it is forked into {} and {}", fork[0], fork[1]);
            self.refuse(no, RefusalKind::NotFound, cause, Some(&hint));
            return Ok(());
        };
        let option = kept.to_string();
        for proposal in self.votes_on_fork(state)? {
            if proposal.options.contains(&option)
                && proposal.closes() > now.wall
                && self.outcome(&proposal)? == Outcome::Undecided
                && reports_for(&self.store, proposal.id)?.is_empty()
            {
                self.answer(no, Answer::Resolving { proposal: proposal.id, option, is_new: false });
                return Ok(());
            }
        }
        let others = althing_group::children(&self.store, state.head(), OPTIONS_MAX)?;
        let mut branches: Vec<RecordId> = others.into_iter().filter(|other| *other != kept).collect();
        branches.truncate(OPTIONS_MAX - 1);
        branches.push(kept);
        branches.sort_unstable();
        let body = match self.vote_body(state, &branches, window_ms) {
            Ok(body) => body,
            Err(error) => {
                self.refuse(no, RefusalKind::Invalid, error.to_string(), None);
                return Ok(());
            }
        };
        match self.sign_link(&hosted, Kind::Proposal, Content::Body(cbor::to_vec(&body)), now) {
            Ok(record) => {
                self.answer(no, Answer::Resolving { proposal: record.id(), option, is_new: true });
                Ok(())
            }
            Err(error) => self.refuse_unsigned(no, error),
        }
    }

    /// What a vote about a fork asks: a closed one if there can be closers, else one that ballots alone decide.
    fn vote_body(
        &mut self,
        state: &State,
        branches: &[RecordId],
        window_ms: u64,
    ) -> Result<ProposalBody, althing_ballot::BallotError> {
        let (electorate, subject) = (electorate_of(state)?, subject_of(state)?);
        let mut nonce = [0; 8];
        self.random.fill_bytes(&mut nonce);
        let text = format!("which change after {} holds in group {}?", state.head(), state.group());
        let options: Vec<String> = branches.iter().map(ToString::to_string).collect();
        let by_committee = electorate.voters().len() > CLOSERS_MAX;
        let body = if by_committee && self.network.genesis().committee.is_empty() {
            let rule = Rule::SuperMajority { num: 2, den: 3 };
            ProposalBody::direct(&text, &options, rule, &electorate, window_ms, nonce)?
        } else {
            let (rule, electorate) = (Rule::Majority, &electorate);
            let question = Question { text: &text, options: &options, rule, electorate, window_ms, nonce };
            let terms = ClosedTerms { quorum: Some(QUORUM), by_committee, ..ClosedTerms::default() };
            ProposalBody::closed(&question, &terms)?
        };
        Ok(ProposalBody { subject: Some(subject), ..body })
    }

    /// The change right after `from` on the way to another one, which may be the same.
    fn branch_with(&self, change: RecordId, from: RecordId) -> Result<Option<RecordId>, ReadError> {
        let mut at = change;
        for _ in 0..=HEIGHT_MAX {
            match althing_group::step(&self.store, at)? {
                Some(step) if step.prev == from => return Ok(Some(at)),
                Some(step) => at = step.prev,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// What a proposal decided may settle a fork: there may be something to do in the group.
    pub(crate) fn after_outcome(&mut self, proposal: &Proposal) -> Result<(), ReadError> {
        match (proposal.electorate.group(), &proposal.subject) {
            (Some(of), Some(_)) => self.look_after(of.group),
            (Some(_), None) | (None, _) => Ok(()),
        }
    }
}

/// What a vote about a fork after a state decides about.
fn subject_of(state: &State) -> Result<Subject, althing_ballot::BallotError> {
    Subject::new(&format!("group fork {}", state.head()), None)
}

/// Whether a proposal can settle a fork after a state: its members then are asked, enough of them have to agree that no
/// small part decides, and it takes no other decision's place.
fn settles(proposal: &Proposal, state: &State) -> bool {
    let of = GroupState { group: state.group(), head: state.head() };
    let has_basis = proposal.subject.as_ref().is_none_or(|subject| subject.basis.is_some());
    let is_wide = match &proposal.mode {
        Mode::Direct { .. } => true,
        Mode::Closed(closing) => proposal.rule == Rule::Majority && asks_enough(closing, proposal),
    };
    proposal.electorate.group() == Some(of) && !has_basis && proposal.against.is_none() && is_wide
}

/// Whether a closed vote needs two thirds of the weight to take part.
fn asks_enough(closing: &Closing, proposal: &Proposal) -> bool {
    match closing.quorum {
        Some(Quorum::Share { num, den }) => 3 * u64::from(num) >= 2 * u64::from(den),
        Some(Quorum::Weight(weight)) => 3 * u128::from(weight) >= 2 * u128::from(proposal.electorate.total()),
        None => false,
    }
}

/// The change that an option names.
fn branch(proposal: &Proposal, option: u32) -> Option<RecordId> {
    proposal.options.get(option as usize)?.parse().ok()
}
