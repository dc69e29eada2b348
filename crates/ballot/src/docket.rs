use althing_record::cbor::{self, Decode, DecodeError, Encode, Limits, List, Reader, Text, Writer};
use althing_record::{AgentId, Digest, Kind, LEAVES_MAX, Leaves, Record, RecordId, cbor_map, merkle};

use crate::ballot::LEAF_BYTES_MAX;
use crate::proposal::{OPTIONS_MAX, QUESTION_BYTES_MAX, check_options, check_question, texts};
use crate::{BallotError, Choice, Proposal, ProposalBody};

/// Most questions of one docket: its first leaf holds the terms.
pub const DOCKET_QUESTIONS_MAX: usize = LEAVES_MAX - 1;

/// Longest leaf of a docket in bytes: what a record has room for.
const DOCKET_LEAF_BYTES_MAX: usize = 60 * 1_024;

/// The tag of an answer to a question of a docket, among those of choices.
const ITEM_TAG: u64 = 7;

const LIMITS: Limits = Limits { depth: 8, items: 4_096 };

cbor_map! {
    /// A question of a docket, the second and further leaves.
    pub struct DocketQuestion: version 1 {
        /// The question.
        1 => pub question: Text<QUESTION_BYTES_MAX>,
        /// Its options; absent: those of the terms.
        2 => pub options: Option<List<Text<128>, OPTIONS_MAX>>,
    }
}

impl DocketQuestion {
    /// A question. No options: it has those of the docket's terms.
    ///
    /// # Errors
    /// When a part is out of bounds.
    pub fn new(text: &str, options: &[String]) -> Result<Self, BallotError> {
        let options = if options.is_empty() { None } else { Some(texts(options)?) };
        let question = Text::try_from(text).map_err(|long| BallotError::Question(long.len))?;
        let made = Self { question, options };
        made.check().map(|()| made)
    }

    fn check(&self) -> Result<(), BallotError> {
        check_question(&self.question)?;
        self.options.as_ref().map_or(Ok(()), |options| check_options(options, None))
    }

    /// Bytes of the longest leaf that answers it, and of its length beside it.
    fn answer_bytes_max(&self, terms: &ProposalBody) -> usize {
        let options = self.options.as_ref().map_or(terms.options.len(), |options| options.len());
        let choice = if terms.delegation.is_some() { options.max(32) } else { options };
        2 + 32 + 5 + 4 + choice
    }

    /// The question as a proposal under these terms.
    fn put(&self, terms: &Proposal, item: u16) -> Proposal {
        let mut proposal = Proposal { item: Some(item), ..terms.clone() };
        self.replace(terms, &mut proposal);
        proposal
    }

    fn replace(&self, terms: &Proposal, proposal: &mut Proposal) {
        (*self.question).clone_into(&mut proposal.question);
        match &self.options {
            Some(options) => {
                proposal.options = options.iter().map(ToString::to_string).collect();
                proposal.against = None;
            }
            None if proposal.options != terms.options || proposal.against != terms.against => {
                proposal.options.clone_from(&terms.options);
                proposal.against = terms.against;
            }
            None => {}
        }
    }
}

/// Many questions that one electorate answers under the same terms, each decided for itself: one record puts them, one
/// record of a voter answers all of them, and closers agree once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docket {
    /// The terms; the question there is the docket's title.
    pub terms: Proposal,
    questions: Vec<DocketQuestion>,
}

impl Docket {
    /// The leaves of a docket: the terms, then the questions.
    ///
    /// # Errors
    /// When there are none or too many questions, or they do not fit into a record.
    pub fn leaves(terms: &ProposalBody, questions: &[DocketQuestion]) -> Result<Vec<Vec<u8>>, BallotError> {
        if questions.is_empty() || questions.len() > DOCKET_QUESTIONS_MAX {
            return Err(BallotError::Docket(format!(
                "{} questions, expected 1 to {DOCKET_QUESTIONS_MAX}",
                questions.len()
            )));
        }
        let leaves: Vec<Vec<u8>> =
            std::iter::once(cbor::to_vec(terms)).chain(questions.iter().map(cbor::to_vec)).collect();
        check_terms(terms)?;
        // A leaf's length takes up to 3 bytes beside it, and the envelope needs some.
        let bytes: usize = leaves.iter().map(|leaf| leaf.len() + 3).sum();
        let answers: usize = questions.iter().map(|question| question.answer_bytes_max(terms)).sum();
        for (what, bytes) in [("questions", bytes), ("answers", answers)] {
            if bytes > DOCKET_LEAF_BYTES_MAX {
                return Err(BallotError::Docket(format!(
                    "its {what} take {bytes} bytes, at most {DOCKET_LEAF_BYTES_MAX}; put fewer questions at once"
                )));
            }
        }
        Ok(leaves)
    }

    /// Reads and checks the record of a docket.
    ///
    /// # Errors
    /// When it is none, its leaves did not travel along, or it contradicts itself.
    pub fn from_record(record: &Record) -> Result<Self, BallotError> {
        if record.kind() != Kind::ProposalBatch {
            return Err(BallotError::Kind { expected: "ProposalBatch", found: record.kind().name() });
        }
        let leaves = record.leaves().ok_or(BallotError::NoLeaves)?;
        let Some((terms, rest)) = leaves.split_first().filter(|(_, rest)| !rest.is_empty()) else {
            return Err(BallotError::Docket("it has no questions".to_owned()));
        };
        let terms = read_terms(record, terms)?;
        let questions = rest.iter().map(|leaf| read_question(leaf)).collect::<Result<_, _>>()?;
        Ok(Self { terms, questions })
    }

    /// How many questions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.questions.len()
    }

    /// Never: a docket has a question.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// The question with this number, from 1, as a proposal of its own.
    #[must_use]
    pub fn proposal(&self, item: u16) -> Option<Proposal> {
        let question = self.questions.get(usize::from(item).checked_sub(1)?)?;
        Some(question.put(&self.terms, item))
    }

    /// Visits every question as a proposal, in order.
    pub fn for_each(&self, mut visit: impl FnMut(u16, &Proposal)) {
        let mut proposal = self.terms.clone();
        for (item, question) in (1..).zip(&self.questions) {
            question.replace(&self.terms, &mut proposal);
            proposal.item = Some(item);
            visit(item, &proposal);
        }
    }

    /// Whether answers are of a voter, and one for each question. Others count for nothing.
    ///
    /// In a Closed docket each has to be one that may answer its question. In a Direct one, whose certificates show one
    /// answer of each batch, an answer that does not counts for nothing, and the others do.
    #[must_use]
    pub fn takes(&self, answers: &Answers) -> bool {
        let mut fits = answers.docket == self.terms.id
            && answers.choices.len() == self.questions.len()
            && self.terms.electorate.weight(answers.voter).is_some();
        if fits && self.terms.closing().is_some() {
            let mut choices = answers.choices.iter();
            self.for_each(|_, proposal| fits &= choices.next().is_some_and(|choice| choice.fits(proposal)));
        }
        fits
    }
}

fn read_terms(record: &Record, leaf: &[u8]) -> Result<Proposal, BallotError> {
    let body: ProposalBody = cbor::from_slice(leaf, LIMITS)?;
    check_terms(&body)?;
    Proposal::of(record, body)
}

fn check_terms(terms: &ProposalBody) -> Result<(), BallotError> {
    let alone = |what| BallotError::Docket(format!("{what}; put the questions one by one"));
    if terms.privacy.is_some() {
        return Err(alone("its ballots cannot be sealed"));
    }
    if terms.pardon.is_some() {
        return Err(alone("none of its questions is a pardon"));
    }
    if terms.subject.is_some() { Err(alone("its questions have no subject")) } else { Ok(()) }
}

fn read_question(leaf: &[u8]) -> Result<DocketQuestion, BallotError> {
    let question: DocketQuestion = cbor::from_slice(leaf, LIMITS)?;
    question.check().map(|()| question)
}

/// A voter's answers to all questions of a docket: the leaves of one batch of ballots, in the questions' order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// Which docket.
    pub docket: RecordId,
    /// Who answers.
    pub voter: AgentId,
    /// The record that holds the answers.
    pub batch: RecordId,
    /// The answers, from question 1 on.
    pub choices: Vec<Choice>,
}

impl Answers {
    /// The leaves that answer a docket.
    #[must_use]
    pub fn leaves(docket: RecordId, choices: &[Choice]) -> Vec<Vec<u8>> {
        (1..).zip(choices).map(|(item, choice)| item_leaf(docket, item, choice)).collect()
    }

    /// Reads a batch of ballots if it answers a docket; `None` if it holds ballots for proposals that stand alone.
    ///
    /// # Errors
    /// When it begins as answers to a docket and does not go on so, question by question.
    pub fn from_record(record: &Record) -> Result<Option<Self>, BallotError> {
        if record.kind() != Kind::BallotBatch {
            return Ok(None);
        }
        let leaves = record.leaves().ok_or(BallotError::NoLeaves)?;
        let Some(docket) = leaves.first().and_then(|leaf| is_item(leaf)) else { return Ok(None) };
        let mut choices = Vec::with_capacity(leaves.len());
        for (item, leaf) in (1..).zip(&leaves) {
            let answer = ItemAnswer::read(leaf)?;
            if (answer.docket, answer.item) != (docket, item) {
                return Err(BallotError::Docket(format!("answer {item} is to another question")));
            }
            choices.push(answer.choice);
        }
        Ok(Some(Self { docket, voter: record.agent(), batch: record.id(), choices }))
    }
}

/// The leaf that answers a question of a docket.
fn item_leaf(docket: RecordId, item: u16, choice: &Choice) -> Vec<u8> {
    [&docket.0[..], &cbor::to_vec(&Numbered(item, choice.clone()))].concat()
}

/// The docket that a leaf is for, if it is for one.
fn is_item(leaf: &[u8]) -> Option<RecordId> {
    let (docket, said) = leaf.split_first_chunk::<32>()?;
    said.starts_with(&[0x83, 0x07]).then_some(RecordId(*docket))
}

/// A leaf that answers a question of a docket.
pub(crate) struct ItemAnswer {
    pub(crate) docket: RecordId,
    pub(crate) item: u16,
    pub(crate) choice: Choice,
}

/// What follows the docket's id.
struct Numbered(u16, Choice);

impl Encode for Numbered {
    fn encode(&self, to: &mut Writer) {
        to.array(3);
        to.uint(ITEM_TAG);
        to.uint(self.0.into());
        self.1.encode(to);
    }
}

impl Decode for Numbered {
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (len, tag) = (from.array()?, from.uint()?);
        if (len, tag) != (3, ITEM_TAG) {
            return Err(DecodeError::Invalid("expected an answer to a question of a docket".to_owned()));
        }
        let item = u16::try_from(from.uint()?)
            .map_err(|_| DecodeError::Invalid("the question's number is too large".to_owned()))?;
        Ok(Self(item, Choice::decode(from)?))
    }
}

impl ItemAnswer {
    pub(crate) fn read(leaf: &[u8]) -> Result<Self, BallotError> {
        let (docket, said) =
            leaf.split_first_chunk::<32>().ok_or(DecodeError::Truncated { at: leaf.len() })?;
        let Numbered(item, choice) = cbor::from_slice(said, Limits { depth: 4, items: 128 })?;
        Ok(Self { docket: RecordId(*docket), item, choice })
    }
}

cbor_map! {
    /// That a docket's record holds a question and these terms.
    pub struct DocketProof {
        /// The question's number, from 1: its leaf's position.
        1 => pub item: u32,
        /// The question's leaf.
        2 => pub question: cbor::Blob<DOCKET_LEAF_BYTES_MAX>,
        /// The audit path of the question.
        3 => pub question_path: List<Digest, 10>,
        /// The leaf of the terms.
        4 => pub terms: cbor::Blob<DOCKET_LEAF_BYTES_MAX>,
        /// The audit path of the terms.
        5 => pub terms_path: List<Digest, 10>,
    }
}

impl DocketProof {
    /// The proof for a question of a docket that has its leaves.
    #[must_use]
    pub fn of(docket: &Record, item: u16) -> Option<Self> {
        let leaves = docket.leaves()?;
        let path = |index| merkle::path(&leaves, index).and_then(|path| List::try_from(path).ok());
        let leaf = |index: usize| leaves.get(index).and_then(|leaf| cbor::Blob::try_from(leaf.to_vec()).ok());
        let at = usize::from(item);
        Some(Self {
            item: item.into(),
            question: leaf(at)?,
            question_path: path(at)?,
            terms: leaf(0)?,
            terms_path: path(0)?,
        })
    }

    /// The question as a proposal, if the record signed it and the terms.
    ///
    /// # Errors
    /// When the record is no docket, the proof does not lead to it, or the question or terms are wrong.
    pub fn proposal(&self, docket: &Record) -> Result<Proposal, BallotError> {
        if docket.kind() != Kind::ProposalBatch {
            return Err(BallotError::Kind { expected: "ProposalBatch", found: docket.kind().name() });
        }
        let signed: Leaves = docket.body()?;
        let holds = |leaf: &[u8], index: u32, path: &[Digest]| {
            merkle::verify(leaf, index.into(), signed.count.into(), path, signed.root)
        };
        if self.item == 0
            || !holds(&self.question, self.item, &self.question_path)
            || !holds(&self.terms, 0, &self.terms_path)
        {
            return Err(BallotError::Docket("the question is not among those that were signed".to_owned()));
        }
        let item = u16::try_from(self.item)
            .map_err(|_| BallotError::Docket("the question's number is too large".to_owned()))?;
        let terms = read_terms(docket, &self.terms)?;
        Ok(read_question(&self.question)?.put(&terms, item))
    }
}

const _: () = assert!(LEAF_BYTES_MAX >= 32 + 8 + 66);

#[cfg(test)]
mod tests;
