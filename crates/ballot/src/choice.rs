use althing_record::cbor::{Decode, DecodeError, Encode, Reader, Writer};

use crate::{BallotError, OPTIONS_MAX, Proposal};

/// What a ballot says: an array of a tag and its value. Later versions add tags; see docs/spec/voting.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// For no option.
    Abstain,
    /// For the option with this index, from 0.
    Option(u32),
}

impl Choice {
    /// The choice that a text names: an option of the proposal, or "abstain".
    ///
    /// # Errors
    /// When there is no such option.
    pub fn parse(text: &str, proposal: &Proposal) -> Result<Self, BallotError> {
        let index = proposal.options.iter().position(|option| **option == *text);
        match index.and_then(|index| u32::try_from(index).ok()) {
            Some(index) => Ok(Self::Option(index)),
            None if text == "abstain" => Ok(Self::Abstain),
            None => Err(BallotError::UnknownOption {
                found: text.chars().take(80).collect(),
                expected: proposal.options.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                    + ", abstain",
            }),
        }
    }

    /// The text that names the choice.
    #[must_use]
    pub fn text(self, proposal: &Proposal) -> String {
        match self {
            Self::Abstain => "abstain".into(),
            Self::Option(index) => match proposal.options.get(index as usize) {
                Some(option) => option.to_string(),
                None => format!("(no option {index})"),
            },
        }
    }
}

impl Encode for Choice {
    fn encode(&self, to: &mut Writer) {
        match self {
            Self::Abstain => {
                to.array(1);
                to.uint(0);
            }
            Self::Option(index) => {
                to.array(2);
                to.uint(1);
                index.encode(to);
            }
        }
    }
}

impl Decode for Choice {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array()?;
        let tag = if len == 0 { 0 } else { from.uint()? };
        match (tag, len) {
            (0, 1) => Ok(Self::Abstain),
            (1, 2) => {
                let index: u32 = Decode::decode(from)?;
                if index as usize >= OPTIONS_MAX {
                    let expected = format!("below {OPTIONS_MAX}");
                    return Err(DecodeError::OutOfBounds { what: "option", value: index.into(), expected });
                }
                Ok(Self::Option(index))
            }
            (0 | 1, _) => Err(DecodeError::Invalid(format!("choice {tag} has {len} parts"))),
            (value, _) => Err(DecodeError::Newer { of: "choice", what: "tag", value }),
        }
    }
}
