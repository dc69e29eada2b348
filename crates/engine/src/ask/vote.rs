use althing_ballot::{GroupState, Standing};
use althing_record::{AgentId, Digest, Millis, RecordId};

use crate::{HoldersShown, SealedTerms};

/// A proposal and how it stands, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The proposal's id.
    pub proposal: RecordId,
    /// Who put it.
    pub proposer: AgentId,
    /// The question.
    pub question: String,
    /// The options.
    pub options: Vec<OptionTally>,
    /// Ballots that abstain.
    pub abstentions: u64,
    /// The rule's name: `approvals`, `supermajority=2/3`, `unanimous`, `majority`, `ranked`, …
    pub method: String,
    /// What it decides about, and whether its decision holds.
    pub subject: Option<SubjectTerms>,
    /// What it asks to forgive.
    pub pardon: Option<PardonTerms>,
    /// How a Closed decision is closed.
    pub closing: Option<ClosingTerms>,
    /// Who opens the ballots, if they are sealed.
    pub sealed: Option<SealedTerms>,
    /// The count of a Closed decision, round by round, once it is made.
    pub rounds: Vec<CountRound>,
    /// The group whose members vote, after one of its changes.
    pub group: Option<GroupState>,
    /// Of which skill the voters are holders, and whether this node computes the same of them.
    pub holders: Option<HoldersShown>,
    /// The electorate.
    pub voters: Vec<Voter>,
    /// Votes that one option needs in a Direct decision.
    pub threshold: Option<u64>,
    /// How many cheating voters, or closers of a Closed decision, it survives.
    pub tolerates: u64,
    /// When the proposal was made, by its author's clock.
    pub made: Millis,
    /// When clients should stop treating it as open.
    pub closes: Millis,
    /// Where it stands.
    pub state: VoteState,
}

/// What a proposal asks to forgive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PardonTerms {
    /// Whose misbehaviour.
    pub agent: AgentId,
    /// Which cases.
    pub cases: Vec<Digest>,
    /// Whether those vote who may forgive it; otherwise it has no effect.
    pub is_entitled: bool,
}

/// An option and the votes for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionTally {
    /// The option's text.
    pub text: String,
    /// Votes for it.
    pub votes: u64,
}

/// A member of an electorate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Who.
    pub agent: AgentId,
    /// How much the ballot counts.
    pub weight: u64,
    /// What they chose; more than one entry is an equivocation.
    pub choices: Vec<String>,
    /// How many closers promised to report the ballot.
    pub acks: u64,
    /// Whether a Closed decision does not count the ballot, because there are two.
    pub void: bool,
    /// Whether the ballot was sealed, and is none now that it is opened.
    pub invalid: bool,
}

/// How a Closed decision is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosingTerms {
    /// Who agrees on the ballots.
    pub closers: Vec<AgentId>,
    /// How many of them have closed the vote.
    pub reported: u64,
    /// The terms, for people.
    pub terms: String,
}

/// What a proposal decides about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectTerms {
    /// The subject's name.
    pub name: String,
    /// The decision that it takes the place of.
    pub basis: Option<RecordId>,
    /// Where its decision stands among those on the subject that are known here; none while nothing is decided.
    pub standing: Option<Standing>,
}

/// One round of a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountRound {
    /// The votes of each option, in the proposal's order; `None` if it was out.
    pub tally: Vec<Option<u64>>,
    /// Votes that count for no option.
    pub exhausted: u64,
    /// Who was elected.
    pub elected: Vec<String>,
    /// Who was eliminated.
    pub eliminated: Vec<String>,
    /// Options that were equal where that mattered.
    pub tied: Vec<String>,
}

/// Where a proposal stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VoteState {
    /// Not decided, and the window has not passed on this node's clock.
    Open,
    /// Not decided, and the window has passed on this node's clock. A local status, not an outcome.
    Expired,
    /// Closers agree on the ballots, or not all ballots that they agreed on are here.
    Closing,
    /// Which sealed ballots count is decided; trustees open them.
    Opening {
        /// How many trustees have.
        opened: u64,
        /// How many are needed.
        threshold: u64,
    },
    /// The same, and for a minute too few trustees have opened. A local status: they still can.
    Unopened {
        /// The trustees that have not.
        missing: Vec<AgentId>,
    },
    /// A Closed decision: no option won.
    Rejected {
        /// Why.
        cause: String,
    },
    /// Decided: this option has its votes.
    Decided {
        /// The option's text.
        option: String,
    },
    /// More voters cheated than the rule tolerates: these options all have their votes.
    Conflicting {
        /// The options' texts.
        options: Vec<String>,
    },
}
