use althing_record::AgentId;
use althing_record::cbor::DecodeError;

/// Why something is not a proposal or a ballot, or does not fit one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BallotError {
    /// The record is of another kind.
    #[error("expected a {expected}, found {found}")]
    Kind {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The body does not decode.
    #[error("body is malformed: {0}")]
    Body(#[from] DecodeError),
    /// The leaves did not travel along.
    #[error("ballots are missing beside their batch")]
    NoLeaves,
    /// Nobody may vote.
    #[error("electorate is empty")]
    NoVoters,
    /// Too many may vote.
    #[error("electorate has {0} voters, at most {max} are allowed in a named list", max = crate::VOTERS_MAX)]
    TooManyVoters(usize),
    /// Somebody is listed twice.
    #[error("voter {0} is listed twice")]
    Twice(AgentId),
    /// The list is not in order, or does not match its commitment.
    #[error("electorate does not match its commitment")]
    Electorate,
    /// The weights cannot be used.
    #[error("weights: {0}")]
    Weights(String),
    /// Too few hold the skill: one of them would weigh more than a tenth.
    #[error(
        "{0} agents hold the skill and are trusted, at least {min} are needed: nobody may weigh more than a tenth, and \
         counting identities in an open electorate invites Sybils", min = crate::HOLDERS_MIN
    )]
    FewHolders(usize),
    /// The holders of a skill, or their masses, cannot be what they say to be.
    #[error("holders: {0}")]
    Holders(String),
    /// The question is empty or too long.
    #[error("question has {0} bytes, expected 1 to {max}", max = crate::QUESTION_BYTES_MAX)]
    Question(usize),
    /// The options cannot be used.
    #[error("options: {0}")]
    Options(String),
    /// It would stay open for too long.
    #[error("a closed vote is open for {0} ms, at most {max} are allowed", max = crate::WINDOW_MS_MAX)]
    Window(u64),
    /// The rule cannot be used.
    #[error("rule: {0}")]
    Rule(String),
    /// The choice is not what the rule takes.
    #[error("choice: {0}")]
    Choice(String),
    /// The subject's name is blank or too long.
    #[error("subject has {0} bytes, expected 1 to {max}", max = crate::SUBJECT_BYTES_MAX)]
    Subject(usize),
    /// What it is to forgive cannot be forgiven like that.
    #[error("pardon: {0}")]
    Pardon(&'static str),
    /// A docket or the answers to one cannot be used.
    #[error("docket: {0}")]
    Docket(String),
    /// The terms of sealed ballots cannot be used.
    #[error("sealed ballots: {0}")]
    Sealing(String),
    /// A part of an agreement is wrong.
    #[error("agreement: {0}")]
    Agreement(String),
    /// A part of an agreement names a key that is not, or not yet, known to be its closer's.
    #[error("agreement: {0}")]
    UnknownKey(String),
    /// The record says nothing that the proposal asks for.
    #[error("{0}")]
    Closing(&'static str),
    /// The choice is not one of the proposal's.
    #[error("option \"{found}\" is not on the ballot; expected one of: {expected}")]
    UnknownOption {
        /// What was chosen.
        found: String,
        /// What there is.
        expected: String,
    },
}

impl BallotError {
    /// Whether a newer node might accept the record.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Body(error) if error.is_newer())
    }
}
