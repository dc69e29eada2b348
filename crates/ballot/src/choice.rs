use std::collections::BTreeSet;

use althing_record::AgentId;
use althing_record::cbor::{Decode, DecodeError, Encode, Reader, Writer};
use althing_tally::SCORE_MAX;

use crate::{BallotError, OPTIONS_MAX, Proposal, Rule, Sealed};

/// What a ballot says: an array of a tag and its value. Later versions add tags; see docs/spec/voting.md.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// For no option.
    Abstain,
    /// For the option with this index, from 0.
    Option(u32),
    /// The options by their indices, the best first; those that are not named come after all that are.
    Ranking(Box<[u8]>),
    /// All these options, by ascending index; at least one.
    Approval(Box<[u8]>),
    /// A score from 0 to 5 for each option, in their order.
    Scores(Box<[u8]>),
    /// What this voter says.
    Delegate(AgentId),
    /// Any of the above, which only trustees can open.
    Sealed(Sealed),
}

impl Choice {
    /// What is sealed in it, if it is.
    #[must_use]
    pub fn sealed(&self) -> Option<&Sealed> {
        if let Self::Sealed(sealed) = self { Some(sealed) } else { None }
    }

    /// The choice that a text names: an option of the proposal, or "abstain".
    ///
    /// # Errors
    /// When there is no such option, or the rule wants something else.
    pub fn parse(text: &str, proposal: &Proposal) -> Result<Self, BallotError> {
        match option(text, proposal) {
            Ok(index) => {
                let choice = match proposal.rule {
                    Rule::Approval => Self::Approval([index].into()),
                    Rule::Ranked | Rule::Schulze => Self::Ranking([index].into()),
                    Rule::Star
                    | Rule::Approvals(_)
                    | Rule::SuperMajority { .. }
                    | Rule::Unanimous
                    | Rule::Majority => Self::Option(index.into()),
                };
                choice.checked(proposal)
            }
            Err(_) if text == "abstain" => Ok(Self::Abstain),
            Err(error) => Err(error),
        }
    }

    /// A ranking of options, the best first.
    ///
    /// # Errors
    /// When there is no such option, one is named twice, or the rule wants something else.
    pub fn ranking(options: &[String], proposal: &Proposal) -> Result<Self, BallotError> {
        Self::Ranking(indices(options, proposal)?.into()).checked(proposal)
    }

    /// Approval of options.
    ///
    /// # Errors
    /// As [`Choice::ranking`].
    pub fn approval(options: &[String], proposal: &Proposal) -> Result<Self, BallotError> {
        let mut indices = indices(options, proposal)?;
        indices.sort_unstable();
        Self::Approval(indices.into()).checked(proposal)
    }

    /// Scores of options; those that are not named have 0.
    ///
    /// # Errors
    /// As [`Choice::ranking`]; also when a score is beyond 5.
    pub fn scores(given: &[(String, u8)], proposal: &Proposal) -> Result<Self, BallotError> {
        let names: Vec<_> = given.iter().map(|(name, _)| name.clone()).collect();
        let mut scores = vec![0; proposal.options.len()];
        for (index, (_, score)) in indices(&names, proposal)?.into_iter().zip(given) {
            scores[usize::from(index)] = *score;
        }
        Self::Scores(scores.into()).checked(proposal)
    }

    /// The choice, if it may answer the proposal; where that takes sealed ballots, once it is opened.
    ///
    /// # Errors
    /// When it may not, and why.
    pub fn checked(self, proposal: &Proposal) -> Result<Self, BallotError> {
        match self.misfit(proposal) {
            None => Ok(self),
            Some(cause) => Err(BallotError::Choice(cause)),
        }
    }

    /// Whether a ballot with it may answer the proposal; one that may not counts for nothing.
    #[must_use]
    pub fn fits(&self, proposal: &Proposal) -> bool {
        match self {
            Self::Sealed(sealed) => sealed.misfit(proposal).is_none(),
            Self::Abstain
            | Self::Option(_)
            | Self::Ranking(_)
            | Self::Approval(_)
            | Self::Scores(_)
            | Self::Delegate(_) => proposal.sealing().is_none() && self.answers(proposal),
        }
    }

    /// Whether what it says may answer the proposal, sealed or not.
    pub(crate) fn answers(&self, proposal: &Proposal) -> bool {
        self.misfit(proposal).is_none()
    }

    fn misfit(&self, proposal: &Proposal) -> Option<String> {
        let count = proposal.options.len();
        let beyond = |options: &[u8]| options.iter().any(|index| usize::from(*index) >= count);
        let wanted = match (self, proposal.rule) {
            (Self::Abstain, _) => return None,
            (Self::Sealed(_), _) => return Some("it is sealed".to_owned()),
            (Self::Delegate(to), _) if proposal.closing().is_some_and(|closing| closing.delegation) => {
                return proposal
                    .electorate
                    .weight(*to)
                    .is_none()
                    .then(|| format!("{to} is not in the electorate"));
            }
            (Self::Delegate(_), _) => return Some("the proposal allows no delegation".to_owned()),
            (
                Self::Option(index),
                Rule::Approvals(_) | Rule::SuperMajority { .. } | Rule::Unanimous | Rule::Majority,
            ) => return (*index as usize >= count).then(|| format!("there is no option {index}")),
            (Self::Ranking(options), Rule::Ranked | Rule::Schulze)
            | (Self::Approval(options), Rule::Approval) => {
                return beyond(options)
                    .then(|| format!("it names an option beyond the {count} that there are"));
            }
            (Self::Scores(scores), Rule::Star) => {
                if scores.len() != count {
                    return Some(format!("{} scores for {count} options", scores.len()));
                }
                let beyond = scores.iter().find(|score| **score > SCORE_MAX);
                return beyond.map(|score| format!("expected scores from 0 to {SCORE_MAX}, found {score}"));
            }
            (_, Rule::Ranked | Rule::Schulze) => "a ranking",
            (_, Rule::Approval) => "a list of approved options",
            (_, Rule::Star) => "scores",
            (_, Rule::Approvals(_) | Rule::SuperMajority { .. } | Rule::Unanimous | Rule::Majority) => {
                "one option"
            }
        };
        Some(format!("the rule {} takes {wanted}", proposal.rule))
    }

    /// Whose ballot it leaves the choice to.
    #[must_use]
    pub fn delegate(&self) -> Option<AgentId> {
        match self {
            Self::Delegate(to) => Some(*to),
            Self::Abstain
            | Self::Option(_)
            | Self::Ranking(_)
            | Self::Approval(_)
            | Self::Scores(_)
            | Self::Sealed(_) => None,
        }
    }

    /// The text that shows the choice.
    #[must_use]
    pub fn text(&self, proposal: &Proposal) -> String {
        let name = |index: &u8| self.name(u32::from(*index), proposal);
        match self {
            Self::Abstain => "abstain".into(),
            Self::Option(index) => self.name(*index, proposal),
            Self::Ranking(options) => options.iter().map(name).collect::<Vec<_>>().join(" > "),
            Self::Approval(options) => options.iter().map(name).collect::<Vec<_>>().join(", "),
            Self::Scores(scores) => {
                let scored =
                    (0..).zip(scores).map(|(index, score)| format!("{}={score}", self.name(index, proposal)));
                scored.collect::<Vec<_>>().join(", ")
            }
            Self::Delegate(to) => format!("as {to}"),
            Self::Sealed(_) => "sealed".into(),
        }
    }

    fn name(&self, index: u32, proposal: &Proposal) -> String {
        match proposal.options.get(index as usize) {
            Some(option) => option.clone(),
            None => format!("(no option {index})"),
        }
    }
}

/// The index of an option, by its text.
fn option(text: &str, proposal: &Proposal) -> Result<u8, BallotError> {
    let index = proposal.options.iter().position(|option| **option == *text);
    index.and_then(|index| u8::try_from(index).ok()).ok_or_else(|| BallotError::UnknownOption {
        found: text.chars().take(80).collect(),
        expected: proposal.options.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            + ", abstain",
    })
}

fn indices(options: &[String], proposal: &Proposal) -> Result<Vec<u8>, BallotError> {
    let mut seen = BTreeSet::new();
    let mut indices = Vec::with_capacity(options.len().min(OPTIONS_MAX));
    for text in options {
        let index = option(text, proposal)?;
        if !seen.insert(index) {
            return Err(BallotError::Choice(format!("\"{text}\" stands there twice")));
        }
        indices.push(index);
    }
    if indices.is_empty() {
        return Err(BallotError::Choice("it names no option; \"abstain\" is a choice of its own".into()));
    }
    Ok(indices)
}

const ABSTAIN: u64 = 0;
const OPTION: u64 = 1;
const RANKING: u64 = 2;
const APPROVAL: u64 = 3;
const SCORES: u64 = 4;
const DELEGATE: u64 = 5;
const SEALED: u64 = 6;

impl Encode for Choice {
    fn encode(&self, to: &mut Writer) {
        let (tag, bytes) = match self {
            Self::Abstain => {
                to.array(1);
                to.uint(ABSTAIN);
                return;
            }
            Self::Option(index) => {
                to.array(2);
                to.uint(OPTION);
                index.encode(to);
                return;
            }
            Self::Ranking(options) => (RANKING, &options[..]),
            Self::Approval(options) => (APPROVAL, &options[..]),
            Self::Scores(scores) => (SCORES, &scores[..]),
            Self::Delegate(voter) => (DELEGATE, &voter.0[..]),
            Self::Sealed(sealed) => (SEALED, sealed.bytes()),
        };
        to.array(2);
        to.uint(tag);
        to.bytes(bytes);
    }
}

impl Decode for Choice {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array()?;
        let tag = if len == 0 { ABSTAIN } else { from.uint()? };
        match (tag, len) {
            (ABSTAIN, 1) => Ok(Self::Abstain),
            (OPTION, 2) => {
                let index: u32 = Decode::decode(from)?;
                if index as usize >= OPTIONS_MAX {
                    let expected = format!("below {OPTIONS_MAX}");
                    return Err(DecodeError::OutOfBounds { what: "option", value: index.into(), expected });
                }
                Ok(Self::Option(index))
            }
            (RANKING, 2) => {
                let options = options(from.bytes()?)?;
                let distinct: BTreeSet<_> = options.iter().collect();
                if distinct.len() < options.len() {
                    return Err(DecodeError::Invalid("a ranking names an option twice".into()));
                }
                Ok(Self::Ranking(options))
            }
            (APPROVAL, 2) => {
                let options = options(from.bytes()?)?;
                if options.windows(2).any(|pair| pair[0] >= pair[1]) {
                    return Err(DecodeError::Invalid("approved options are not in ascending order".into()));
                }
                Ok(Self::Approval(options))
            }
            (SCORES, 2) => {
                let scores = bounded(from.bytes()?)?;
                match scores.iter().find(|score| **score > SCORE_MAX) {
                    Some(score) => {
                        let (what, value, expected) =
                            ("score", u64::from(*score), format!("0 to {SCORE_MAX}"));
                        Err(DecodeError::OutOfBounds { what, value, expected })
                    }
                    None => Ok(Self::Scores(scores)),
                }
            }
            (DELEGATE, 2) => {
                let voter = AgentId::try_from(from.bytes()?);
                voter.map(Self::Delegate).map_err(|error| DecodeError::Invalid(error.to_string()))
            }
            (SEALED, 2) => Sealed::from_bytes(from.bytes()?).map(Self::Sealed),
            (ABSTAIN..=SEALED, _) => Err(DecodeError::Invalid(format!("choice {tag} has {len} parts"))),
            (value, _) => Err(DecodeError::Newer { of: "choice", what: "tag", value }),
        }
    }
}

/// One to [`OPTIONS_MAX`] bytes.
fn bounded(bytes: &[u8]) -> Result<Box<[u8]>, DecodeError> {
    if (1..=OPTIONS_MAX).contains(&bytes.len()) {
        return Ok(bytes.into());
    }
    let (what, value) = ("options of a choice", bytes.len() as u64);
    Err(DecodeError::OutOfBounds { what, value, expected: format!("1 to {OPTIONS_MAX}") })
}

fn options(bytes: &[u8]) -> Result<Box<[u8]>, DecodeError> {
    let options = bounded(bytes)?;
    match options.iter().find(|index| usize::from(**index) >= OPTIONS_MAX) {
        Some(index) => {
            let expected = format!("below {OPTIONS_MAX}");
            Err(DecodeError::OutOfBounds { what: "option", value: u64::from(*index), expected })
        }
        None => Ok(options),
    }
}
