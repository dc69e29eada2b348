use althing_record::cbor::{List, Text};
use althing_record::{AgentId, GroupId, Kind, Millis, Record, RecordId, cbor_map};

use crate::electorate::Snapshot;
use crate::{BallotError, Electorate, Rule, direct_threshold};

/// Longest question in bytes.
pub const QUESTION_BYTES_MAX: usize = 1_024;

/// Most options.
pub const OPTIONS_MAX: usize = 64;

/// Mode "Direct" on the wire.
const DIRECT: u64 = 1;

cbor_map! {
    /// The body of a proposal record. Entries 5, 6, 8, 10, 12 and 13 are reserved for what Closed decisions need
    /// (basis, quorum, closers, privacy, tie, delegation).
    pub struct ProposalBody: version 1 {
        /// The question.
        1 => pub question: Text<QUESTION_BYTES_MAX>,
        /// The options.
        2 => pub options: List<Text<128>, OPTIONS_MAX>,
        /// 1 approvals, 2 super-majority, 3 unanimous.
        3 => pub strategy: u64,
        /// Approvals: [count]; super-majority: [numerator, denominator]; else absent.
        4 => pub threshold: Option<List<u64, 2>>,
        /// Who may vote.
        7 => pub electorate: Snapshot,
        /// 1 Direct.
        9 => pub mode: u64,
        /// How long clients should treat the vote as open, in milliseconds.
        11 => pub window_ms: u64,
        /// Random bytes, so that two equal questions differ.
        14 => pub nonce: [u8; 8],
        /// The index of the option that leaves things as they are and that no certificate is written for.
        15 => pub against: Option<u32>,
    }
}

/// A question, who may answer it and by what rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The record's id.
    pub id: RecordId,
    /// Who put it.
    pub proposer: AgentId,
    /// In which group, if in one.
    pub group: Option<GroupId>,
    /// When it was made, by its author's clock.
    pub made: Millis,
    /// The question.
    pub question: String,
    /// The options.
    pub options: Vec<String>,
    /// The option that leaves things as they are: it has no certificate.
    pub against: Option<u32>,
    /// The rule.
    pub rule: Rule,
    /// Who may vote.
    pub electorate: Electorate,
    /// The weight that one option needs.
    pub threshold: u64,
    /// How long clients should treat the vote as open, in milliseconds.
    pub window_ms: u64,
}

impl ProposalBody {
    /// A proposal that asks for a Direct decision. No options: a motion, "yes" or "no", of which "no" leaves things as
    /// they are.
    ///
    /// # Errors
    /// When a part is out of bounds or the rule cannot be met.
    pub fn direct(
        question: &str,
        options: &[String],
        rule: Rule,
        electorate: &Electorate,
        window_ms: u64,
        nonce: [u8; 8],
    ) -> Result<Self, BallotError> {
        let motion = ["yes".to_owned(), "no".to_owned()];
        let (options, against) = if options.is_empty() { (&motion[..], Some(1)) } else { (options, None) };
        let texts: Result<Vec<_>, _> = options.iter().map(|option| Text::try_from(option.as_str())).collect();
        let texts = texts
            .map_err(|long| BallotError::Options(format!("an option has {} bytes, at most 128", long.len)))?;
        let (strategy, threshold) = match rule {
            Rule::Approvals(0) => (1, None),
            Rule::Approvals(count) => (1, Some(vec![count])),
            Rule::SuperMajority { num, den } => (2, Some(vec![num, den])),
            Rule::Unanimous => (3, None),
        };
        let body = Self {
            question: Text::try_from(question).map_err(|long| BallotError::Question(long.len))?,
            options: List::try_from(texts).map_err(|long| {
                BallotError::Options(format!("{} are too many, at most {OPTIONS_MAX}", long.len))
            })?,
            strategy,
            threshold: threshold.and_then(|threshold| List::try_from(threshold).ok()),
            electorate: electorate.snapshot(),
            mode: DIRECT,
            window_ms,
            nonce,
            against,
        };
        body.check().map(|_| body)
    }

    /// Everything that must hold beyond the form: (rule, electorate, threshold).
    fn check(&self) -> Result<(Rule, Electorate, u64), BallotError> {
        if self.question.trim().is_empty() {
            return Err(BallotError::Question(self.question.len()));
        }
        if self.options.len() < 2 {
            return Err(BallotError::Options(format!("{} is too few, at least 2", self.options.len())));
        }
        for (index, option) in self.options.iter().enumerate() {
            if option.trim().is_empty() || &**option == "abstain" {
                return Err(BallotError::Options(format!("\"{option}\" cannot be an option")));
            }
            if self.options[..index].contains(option) {
                return Err(BallotError::Options(format!("\"{option}\" stands there twice")));
            }
        }
        if self.against.is_some_and(|index| index as usize >= self.options.len()) {
            return Err(BallotError::Options("the option that changes nothing does not exist".into()));
        }
        let newer = |what, value| {
            BallotError::Body(althing_record::cbor::DecodeError::Newer { of: "proposal", what, value })
        };
        if self.mode != DIRECT {
            return Err(newer("mode", self.mode));
        }
        let rule = match (self.strategy, self.threshold.as_deref()) {
            (1, None) => Rule::Approvals(0),
            (1, Some([count])) if *count > 0 => Rule::Approvals(*count),
            (2, Some([num, den])) => Rule::SuperMajority { num: *num, den: *den },
            (3, None) => Rule::Unanimous,
            (1..=3, _) => return Err(BallotError::Rule("the threshold does not fit the strategy".into())),
            (strategy, _) => return Err(newer("strategy", strategy)),
        };
        let electorate = Electorate::from_snapshot(&self.electorate)?;
        let threshold = direct_threshold(&electorate, rule)?;
        Ok((rule, electorate, threshold))
    }
}

impl Proposal {
    /// Reads and checks a proposal record.
    ///
    /// # Errors
    /// When it is not a proposal, or contradicts itself.
    pub fn from_record(record: &Record) -> Result<Self, BallotError> {
        if record.kind() != Kind::Proposal {
            return Err(BallotError::Kind { expected: "Proposal", found: record.kind().name() });
        }
        let body: ProposalBody = record.body()?;
        let (rule, electorate, threshold) = body.check()?;
        Ok(Self {
            id: record.id(),
            proposer: record.agent(),
            group: record.group(),
            made: record.made(),
            question: body.question.into_inner(),
            options: body.options.iter().map(ToString::to_string).collect(),
            against: body.against,
            rule,
            electorate,
            threshold,
            window_ms: body.window_ms,
        })
    }

    /// When clients should stop treating it as open. Never decides an outcome.
    #[must_use]
    pub fn closes(&self) -> Millis {
        self.made.plus(self.window_ms)
    }
}
