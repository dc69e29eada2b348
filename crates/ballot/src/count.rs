use std::collections::BTreeMap;
use std::num::NonZeroU32;

use althing_record::AgentId;
use althing_tally::{
    Approval, Approvals, ChoiceBallot, ChoiceRule, Decision, Irv, OptionId, Pile, PileError, Profile,
    Ranking, Schulze, Scores, Star, TieRule, TieStep, Voice, delegated,
};

use crate::{Choice, Closing, Manifest, Outcome, Proposal, Quorum, Rejection, Rule};

/// What the ballots of a manifest come to: every node counts it, nobody announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The rounds, and how they ended.
    pub outcome: althing_tally::Outcome,
    /// The weight that takes part, abstentions included.
    pub participating: u64,
    /// The weight of voters who abstain, also because nobody speaks for them.
    pub abstaining: u64,
}

impl Count {
    /// Counts the ballots of a Closed decision by the proposal's rule; sealed ones once they are opened
    /// ([`Manifest::open`]). `None` if the proposal is a Direct one.
    #[must_use]
    pub fn of(proposal: &Proposal, manifest: &Manifest) -> Option<Self> {
        let closing = proposal.closing()?;
        let voices: BTreeMap<AgentId, Voice<AgentId, &Choice>> = manifest
            .choices
            .iter()
            .map(|(voter, choice)| match choice.delegate() {
                Some(to) => (*voter, Voice { ballot: None, delegate: Some(to) }),
                None => (*voter, Voice { ballot: Some(choice), delegate: None }),
            })
            .collect();
        let mut ballots: Vec<(&Choice, u64)> = Vec::with_capacity(voices.len());
        let (mut participating, mut abstaining) = (0, 0);
        for (voter, said) in delegated(&voices) {
            // Each sum is at most the electorate's total, which fits.
            let weight = proposal.electorate.weight(*voter)?;
            let said = said.ok().copied().unwrap_or(&Choice::Abstain);
            participating += weight;
            abstaining += if *said == Choice::Abstain { weight } else { 0 };
            ballots.push((said, weight));
        }
        let outcome = count(proposal, closing, &ballots).ok()?;
        let quorum = match closing.quorum {
            None => althing_tally::Quorum::None,
            Some(Quorum::Weight(weight)) => althing_tally::Quorum::Weight(weight.into()),
            Some(Quorum::Share { num, den }) => {
                let electorate = proposal.electorate.total().into();
                althing_tally::Quorum::Share { num, den: NonZeroU32::new(den)?, electorate }
            }
        };
        let outcome = quorum.hold(participating.into(), outcome);
        Some(Self { outcome, participating, abstaining })
    }

    /// What it decides.
    #[must_use]
    pub fn decides(&self) -> Outcome {
        match &self.outcome.decision {
            Decision::Elected(winners) => {
                let winner = winners.first().and_then(|winner| u32::try_from(winner.place()).ok());
                winner.map_or(Outcome::Rejected(Rejection::NoVotes), Outcome::Decided)
            }
            Decision::Tied(_) => Outcome::Rejected(Rejection::Tied),
            Decision::Rejected => Outcome::Rejected(Rejection::TooFew),
            Decision::NoQuorum => Outcome::Rejected(Rejection::NoQuorum),
            Decision::NoVotes => Outcome::Rejected(Rejection::NoVotes),
        }
    }

    /// The weight of each option in the first round, or the scores; in the proposal's order.
    #[must_use]
    pub fn first_tallies(&self) -> Vec<u64> {
        let first = self.outcome.rounds.first();
        let tallies = first.map_or(&[][..], |round| &round.tally);
        tallies.iter().map(|tally| u64::try_from(tally.unwrap_or(0)).unwrap_or(u64::MAX)).collect()
    }
}

fn count(
    proposal: &Proposal,
    closing: &Closing,
    ballots: &[(&Choice, u64)],
) -> Result<althing_tally::Outcome, PileError> {
    let options = proposal.options.len();
    let order = if closing.option_order { TieRule(vec![TieStep::OptionOrder]) } else { TieRule::default() };
    Ok(match proposal.rule {
        Rule::Ranked => {
            let ties = TieRule::rounds_then_order();
            Irv { ties, ..Irv::default() }.count(options, &profile(ballots, ranking)?)
        }
        Rule::Schulze => Schulze::default().count(options, &profile(ballots, ranking)?),
        Rule::Star => Star { ties: order, ..Star::default() }.count(options, &profile(ballots, scores)?),
        Rule::Approval => {
            Approval { ties: order, ..Approval::default() }.count(options, &profile(ballots, approvals)?)
        }
        Rule::Majority => one(ChoiceRule::Majority, order, options, ballots)?,
        Rule::Unanimous => one(ChoiceRule::Unanimous, order, options, ballots)?,
        Rule::SuperMajority { num, den } => one(super_majority(num, den), order, options, ballots)?,
        // A Closed proposal has no such rule.
        Rule::Approvals(_) => one(ChoiceRule::Plurality, order, options, ballots)?,
    })
}

fn one(
    rule: ChoiceRule,
    ties: TieRule,
    options: usize,
    ballots: &[(&Choice, u64)],
) -> Result<althing_tally::Outcome, PileError> {
    let rule = althing_tally::Choice { ties, ..althing_tally::Choice::new(rule) };
    Ok(rule.count(options, &profile(ballots, single)?))
}

/// The fraction; one that is too fine for the count asks for all, which is more.
fn super_majority(num: u64, den: u64) -> ChoiceRule {
    match (u32::try_from(num), u32::try_from(den).ok().and_then(NonZeroU32::new)) {
        (Ok(num), Some(den)) => ChoiceRule::SuperMajority { num, den },
        _ => ChoiceRule::Unanimous,
    }
}

fn profile<B: Ord>(ballots: &[(&Choice, u64)], read: impl Fn(&Choice) -> B) -> Result<Profile<B>, PileError> {
    let mut pile = Pile::default();
    for (choice, weight) in ballots {
        pile.add(read(choice), *weight)?;
    }
    pile.profile()
}

fn options(indices: &[u8]) -> Vec<OptionId> {
    indices.iter().filter_map(|index| OptionId::new(usize::from(*index))).collect()
}

fn single(choice: &Choice) -> ChoiceBallot {
    match choice {
        Choice::Option(index) => {
            OptionId::new(*index as usize).map_or(ChoiceBallot::Abstain, ChoiceBallot::Option)
        }
        Choice::Abstain
        | Choice::Ranking(_)
        | Choice::Approval(_)
        | Choice::Scores(_)
        | Choice::Delegate(_)
        | Choice::Sealed(_) => ChoiceBallot::Abstain,
    }
}

fn ranking(choice: &Choice) -> Ranking {
    match choice {
        Choice::Ranking(indices) => Ranking::of(&options(indices)),
        Choice::Abstain
        | Choice::Option(_)
        | Choice::Approval(_)
        | Choice::Scores(_)
        | Choice::Delegate(_)
        | Choice::Sealed(_) => Ranking::of(&[]),
    }
}

fn approvals(choice: &Choice) -> Approvals {
    match choice {
        Choice::Approval(indices) => Approvals::new(options(indices)),
        Choice::Abstain
        | Choice::Option(_)
        | Choice::Ranking(_)
        | Choice::Scores(_)
        | Choice::Delegate(_)
        | Choice::Sealed(_) => Approvals::default(),
    }
}

fn scores(choice: &Choice) -> Scores {
    match choice {
        Choice::Scores(scores) => Scores::new(scores).unwrap_or_default(),
        Choice::Abstain
        | Choice::Option(_)
        | Choice::Ranking(_)
        | Choice::Approval(_)
        | Choice::Delegate(_)
        | Choice::Sealed(_) => Scores::default(),
    }
}
