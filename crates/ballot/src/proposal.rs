use althing_record::cbor::{List, Text};
use althing_record::{AgentId, GroupId, Kind, Millis, Record, RecordId, cbor_map};

use crate::closing::{Closing, Quorum};
use crate::electorate::Snapshot;
use crate::rule::check_super_majority;
use crate::sealing::{Privacy, Sealing};
use crate::{BallotError, Electorate, Pardon, Rule, Subject, direct_threshold};

/// Longest question in bytes.
pub const QUESTION_BYTES_MAX: usize = 1_024;

/// Most options.
pub const OPTIONS_MAX: usize = 64;

/// Longest time that a Closed vote is open, in milliseconds: 31 days. Its closers keep it in memory for so long.
pub const WINDOW_MS_MAX: u64 = 31 * 24 * 3_600_000;

/// Modes on the wire.
const DIRECT: u64 = 1;
const CLOSED: u64 = 2;

cbor_map! {
    /// The body of a proposal record.
    pub struct ProposalBody: version 1 {
        /// The question.
        1 => pub question: Text<QUESTION_BYTES_MAX>,
        /// The options.
        2 => pub options: List<Text<128>, OPTIONS_MAX>,
        /// 1 approvals, 2 super-majority, 3 unanimous, 4 majority, 5 approval, 6 ranked, 7 Schulze, 8 STAR.
        3 => pub strategy: u64,
        /// Approvals: [count]; super-majority: [numerator, denominator]; else absent.
        4 => pub threshold: Option<List<u64, 2>>,
        /// What it decides about, if there is to be one decision on it.
        5 => pub subject: Option<Subject>,
        /// How much weight has to take part: [weight], or [numerator, denominator] of the electorate. Closed only.
        6 => pub quorum: Option<List<u64, 2>>,
        /// Who may vote.
        7 => pub electorate: Snapshot,
        /// Who agrees on the ballots: absent, the electorate; 1, the network's committee. Closed only.
        8 => pub closers: Option<u64>,
        /// 1 Direct, 2 Closed.
        9 => pub mode: u64,
        /// Who opens the ballots, if they are sealed. Closed only.
        10 => pub privacy: Option<Privacy>,
        /// How long clients should treat the vote as open, in milliseconds.
        11 => pub window_ms: u64,
        /// How ties of approval and STAR are broken: absent, they decide nothing; 1, the earlier option is better.
        12 => pub tie: Option<u64>,
        /// 1: voters may let others vote for them. Closed only.
        13 => pub delegation: Option<u64>,
        /// Random bytes, so that two equal questions differ.
        14 => pub nonce: [u8; 8],
        /// The index of the option that leaves things as they are and that no certificate is written for.
        15 => pub against: Option<u32>,
        /// What it forgives, if it is a pardon. Direct only.
        18 => pub pardon: Option<Pardon>,
    }
}

/// A question, who may answer it and by what rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The id of the record that puts it.
    pub id: RecordId,
    /// Its number in the docket that the record is, from 1; none if it stands alone.
    pub item: Option<u16>,
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
    /// What it decides about, if there is to be one decision on it.
    pub subject: Option<Subject>,
    /// What it asks to forgive, if it is a pardon.
    pub pardon: Option<Pardon>,
    /// Who may vote.
    pub electorate: Electorate,
    /// How it is decided.
    pub mode: Mode,
    /// How long clients should treat the vote as open, in milliseconds.
    pub window_ms: u64,
}

/// How a proposal is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By enough ballots for one option.
    Direct {
        /// The weight that one option needs.
        threshold: u64,
    },
    /// By a count of the ballots that the closers agree on.
    Closed(Closing),
}

/// What a proposal says before it is a record.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The question.
    pub text: &'a str,
    /// The options. None: a motion, "yes" or "no".
    pub options: &'a [String],
    /// The rule.
    pub rule: Rule,
    /// Who may vote.
    pub electorate: &'a Electorate,
    /// How long the vote is open, in milliseconds.
    pub window_ms: u64,
    /// Random bytes.
    pub nonce: [u8; 8],
}

/// What a Closed proposal says besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClosedTerms {
    /// How much weight has to take part.
    pub quorum: Option<Quorum>,
    /// Whether the network's committee closes the vote instead of the voters.
    pub by_committee: bool,
    /// Whether the earlier of tied options is better.
    pub option_order: bool,
    /// Whether voters may let others vote for them.
    pub delegation: bool,
    /// Who opens the ballots, if they are sealed.
    pub sealing: Option<Sealing>,
}

impl ProposalBody {
    /// A proposal that asks for a Direct decision. No options: a motion, "yes" or "no", of which "no" leaves things as
    /// they are.
    ///
    /// # Errors
    /// When a part is out of bounds or the rule cannot be met.
    pub fn direct(
        text: &str,
        options: &[String],
        rule: Rule,
        electorate: &Electorate,
        window_ms: u64,
        nonce: [u8; 8],
    ) -> Result<Self, BallotError> {
        let body = Self::draft(&Question { text, options, rule, electorate, window_ms, nonce })?;
        body.check().map(|_| body)
    }

    /// A proposal that asks for a Closed decision.
    ///
    /// # Errors
    /// When a part is out of bounds or the rule cannot be met.
    pub fn closed(question: &Question<'_>, terms: &ClosedTerms) -> Result<Self, BallotError> {
        let body = Self {
            mode: CLOSED,
            quorum: terms.quorum.and_then(|quorum| List::try_from(quorum.to_parts()).ok()),
            closers: terms.by_committee.then_some(1),
            tie: terms.option_order.then_some(1),
            delegation: terms.delegation.then_some(1),
            privacy: terms.sealing.as_ref().and_then(Sealing::privacy),
            ..Self::draft(question)?
        };
        body.check().map(|_| body)
    }

    /// A Direct proposal whose parts are not yet held against each other.
    fn draft(question: &Question<'_>) -> Result<Self, BallotError> {
        let motion = ["yes".to_owned(), "no".to_owned()];
        let given = question.options;
        let (options, against) = if given.is_empty() { (&motion[..], Some(1)) } else { (given, None) };
        Ok(Self {
            question: Text::try_from(question.text).map_err(|long| BallotError::Question(long.len))?,
            options: texts(options)?,
            strategy: question.rule.code(),
            threshold: question.rule.threshold().and_then(|threshold| List::try_from(threshold).ok()),
            subject: None,
            quorum: None,
            electorate: question.electorate.snapshot(),
            closers: None,
            mode: DIRECT,
            privacy: None,
            window_ms: question.window_ms,
            tie: None,
            delegation: None,
            nonce: question.nonce,
            against,
            pardon: None,
        })
    }

    /// This motion as one that forgives.
    ///
    /// # Errors
    /// When it is none that can.
    pub fn pardoning(self, pardon: Pardon) -> Result<Self, BallotError> {
        let body = Self { pardon: Some(pardon), ..self };
        body.check().map(|_| body)
    }

    pub(crate) fn is_direct(&self) -> bool {
        self.mode == DIRECT
    }

    /// Everything that must hold beyond the form.
    fn check(&self) -> Result<(Rule, Electorate, Mode), BallotError> {
        check_question(&self.question)?;
        check_options(&self.options, self.against)?;
        self.subject.as_ref().map_or(Ok(()), Subject::check)?;
        let rule = Rule::read(self.strategy, self.threshold.as_deref())?;
        let electorate = Electorate::from_snapshot(&self.electorate)?;
        let mode = match self.mode {
            DIRECT => {
                if [self.closers, self.tie, self.delegation].iter().any(Option::is_some)
                    || self.quorum.is_some()
                    || self.privacy.is_some()
                {
                    return Err(BallotError::Rule("a direct decision has no terms of a closed one".into()));
                }
                Mode::Direct { threshold: direct_threshold(&electorate, rule)? }
            }
            CLOSED => Mode::Closed(self.closing(rule, &electorate)?),
            value => return Err(newer("mode", value)),
        };
        if let Some(pardon) = &self.pardon {
            pardon.check(&self.options, self.against, self.is_direct())?;
        }
        if electorate.holders().is_some() && self.closers.is_none() {
            let cause = "holders of a skill decide in a closed decision that the network's committee closes: among \
                         themselves they would be counted by heads";
            return Err(BallotError::Rule(cause.into()));
        }
        Ok((rule, electorate, mode))
    }

    fn closing(&self, rule: Rule, electorate: &Electorate) -> Result<Closing, BallotError> {
        if self.window_ms > WINDOW_MS_MAX {
            return Err(BallotError::Window(self.window_ms));
        }
        if let Rule::Approvals(_) = rule {
            return Err(BallotError::Rule("a number of approvals is a rule of direct decisions".into()));
        }
        if let Rule::SuperMajority { num, den } = rule {
            check_super_majority(num, den)?;
        }
        if self.tie.is_some() && !matches!(rule, Rule::Approval | Rule::Star) {
            return Err(BallotError::Rule(format!("the order of options breaks no ties of {rule}")));
        }
        let switch = |what, value: Option<u64>| match value {
            None => Ok(false),
            Some(1) => Ok(true),
            Some(value) => Err(newer(what, value)),
        };
        let mut closing = Closing::new(
            electorate,
            self.quorum.as_deref().map(Quorum::from_parts).transpose()?,
            switch("closers", self.closers)?,
            switch("tie", self.tie)?,
            switch("delegation", self.delegation)?,
        )?;
        closing.sealing = self.privacy.as_ref().map(Sealing::read).transpose()?;
        Ok(closing)
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
        Self::of(record, record.body()?)
    }

    /// What a record asks by this body.
    pub(crate) fn of(record: &Record, body: ProposalBody) -> Result<Self, BallotError> {
        let (rule, electorate, mode) = body.check()?;
        Ok(Self {
            id: record.id(),
            item: None,
            proposer: record.agent(),
            group: record.group(),
            made: record.made(),
            question: body.question.into_inner(),
            options: body.options.iter().map(ToString::to_string).collect(),
            against: body.against,
            rule,
            subject: body.subject,
            pardon: body.pardon,
            electorate,
            mode,
            window_ms: body.window_ms,
        })
    }

    /// The weight that one option needs in a Direct decision.
    #[must_use]
    pub fn threshold(&self) -> Option<u64> {
        match self.mode {
            Mode::Direct { threshold } => Some(threshold),
            Mode::Closed(_) => None,
        }
    }

    /// The terms of a Closed decision.
    #[must_use]
    pub fn closing(&self) -> Option<&Closing> {
        match &self.mode {
            Mode::Direct { .. } => None,
            Mode::Closed(closing) => Some(closing),
        }
    }

    /// Who opens its ballots, if they are sealed.
    #[must_use]
    pub fn sealing(&self) -> Option<&Sealing> {
        self.closing().and_then(|closing| closing.sealing.as_ref())
    }

    /// When clients should stop treating it as open. Never decides an outcome.
    #[must_use]
    pub fn closes(&self) -> Millis {
        self.made.plus(self.window_ms)
    }
}

pub(crate) fn check_question(text: &str) -> Result<(), BallotError> {
    if text.trim().is_empty() { Err(BallotError::Question(text.len())) } else { Ok(()) }
}

pub(crate) fn check_options(options: &[Text<128>], against: Option<u32>) -> Result<(), BallotError> {
    if options.len() < 2 {
        return Err(BallotError::Options(format!("{} is too few, at least 2", options.len())));
    }
    for (index, option) in options.iter().enumerate() {
        if option.trim().is_empty() || &**option == "abstain" {
            return Err(BallotError::Options(format!("\"{option}\" cannot be an option")));
        }
        if options[..index].contains(option) {
            return Err(BallotError::Options(format!("\"{option}\" stands there twice")));
        }
    }
    if against.is_some_and(|index| index as usize >= options.len()) {
        return Err(BallotError::Options("the option that changes nothing does not exist".into()));
    }
    Ok(())
}

/// Option texts in their bounds.
pub(crate) fn texts(options: &[String]) -> Result<List<Text<128>, OPTIONS_MAX>, BallotError> {
    let texts: Result<Vec<_>, _> = options.iter().map(|option| Text::try_from(option.as_str())).collect();
    let texts = texts
        .map_err(|long| BallotError::Options(format!("an option has {} bytes, at most 128", long.len)))?;
    List::try_from(texts)
        .map_err(|long| BallotError::Options(format!("{} are too many, at most {OPTIONS_MAX}", long.len)))
}

fn newer(what: &'static str, value: u64) -> BallotError {
    BallotError::Body(althing_record::cbor::DecodeError::Newer { of: "proposal", what, value })
}
