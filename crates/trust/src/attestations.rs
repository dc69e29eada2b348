use std::collections::{BTreeMap, BTreeSet};

use althing_record::cbor::{Blob, DecodeError, List, Reader, Text, Writer};
use althing_record::{AgentId, Digest, Genesis, Kind, Millis, Record, RecordId, cbor_map, merkle};

use crate::accept::is_path;
use crate::{Counts, CountsError, INDEX_MAX, Outcome, ProvenReceipt, Rating, RatingEpoch};

/// Most rows of one record; fewer if the envelope would pass its bound.
pub const ROWS_MAX: usize = 1_024;

/// Most skills that one record names.
pub const SKILLS_MAX: usize = 64;

/// Longest list of rows in bytes.
const ROWS_BYTES_MAX: usize = 32 * 1_024;

/// Longest list of highest Accepts in bytes: an index and an id each.
const TOPS_BYTES_MAX: usize = ROWS_MAX * (5 + 34);

cbor_map! {
    /// The body of an attestation: how one rater's calls of one rating epoch went.
    pub struct AttestationsBody: version 1 {
        /// Which rating epoch.
        1 => pub rating_epoch: u64,
        /// The called agents, ascending, 32 bytes each.
        2 => pub agents: Blob<{ ROWS_MAX * 32 }>,
        /// The skills called for, ascending.
        3 => pub skills: List<Text<128>, SKILLS_MAX>,
        /// For each row, by agent and skill: the agent's place, the skill's place from 1 or 0 for none, how many calls,
        /// how many went well, the sum of their qualities, how many were in time; each an unsigned integer of CBOR.
        4 => pub rows: Blob<ROWS_BYTES_MAX>,
        /// For each agent, in order: the highest index of its Accepts, and that Accept's id as a byte string of CBOR.
        5 => pub tops: Blob<TOPS_BYTES_MAX>,
        /// The root over the receipts: row by row, in each by the index of the Accept.
        6 => pub receipts_root: Digest,
    }
}

/// How a rater's calls to one agent for one skill went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who was called.
    pub target: AgentId,
    /// For which skill; empty: for none in particular.
    pub skill: Text<128>,
    /// How that went.
    pub counts: Counts,
}

/// The last Accept that a callee gave a rater in a rating epoch. Nothing beyond it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Top {
    /// Whose Accept.
    pub callee: AgentId,
    /// Its index.
    pub index: u64,
    /// Its id.
    pub accept: Digest,
}

/// A rater's word on one rating epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestations {
    /// The record's id.
    pub id: RecordId,
    /// Whose word.
    pub rater: AgentId,
    /// On which rating epoch.
    pub epoch: RatingEpoch,
    /// When, by the rater's clock.
    pub made: Millis,
    /// By agent and skill, each pair once.
    pub rows: Vec<Row>,
    /// By agent.
    pub tops: Vec<Top>,
    /// The root over the receipts.
    pub receipts_root: Digest,
}

/// An attestation that its rater is about to sign, and the receipts that it must be able to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The body of the record.
    pub body: AttestationsBody,
    /// The leaves under its root.
    pub leaves: Vec<Vec<u8>>,
    /// How many receipts were left out, because there was no room for their rows or they were not of this rater and
    /// rating epoch.
    pub left_out: usize,
}

/// Why a record is no attestation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationsError {
    /// It is of another kind.
    #[error("expected Attestations, found {0}")]
    Kind(&'static str),
    /// Its body does not decode.
    #[error("attestations are malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// A list is not in order, or names what no row uses.
    #[error("attestations break a rule: {0}")]
    Rule(&'static str),
    /// It was made before its rating epoch was over.
    #[error(
        "attestations of rating epoch {epoch} come from the future: they were made in rating epoch {made}"
    )]
    Future {
        /// On which.
        epoch: RatingEpoch,
        /// In which.
        made: RatingEpoch,
    },
    /// The rater rates itself.
    #[error("attestations are about their own rater")]
    SelfCall,
    /// A row's numbers are no counts.
    #[error("row {row} is wrong: {error}")]
    Counts {
        /// Which row.
        row: usize,
        /// Why.
        error: CountsError,
    },
    /// More calls than the callee accepted.
    #[error("{count} calls to {callee} are attested, its highest accept has index {index}")]
    AboveAccepts {
        /// Who was called.
        callee: AgentId,
        /// How many calls.
        count: u64,
        /// The index.
        index: u64,
    },
}

impl AttestationsError {
    /// Whether a newer node might accept the record: then nobody is at fault.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Malformed(error) if error.is_newer())
    }

    /// A short name for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kind(_) => "other_kind",
            Self::Malformed(_) => "malformed",
            Self::Rule(_) => "rule",
            Self::Future { .. } => "future",
            Self::SelfCall => "self_call",
            Self::Counts { error: CountsError::Quality { .. }, .. } => "quality",
            Self::Counts { .. } => "counts",
            Self::AboveAccepts { .. } => "no_accept",
        }
    }
}

impl Attestations {
    /// Reads a record. What it says is not proved by it: see [`Attestations::demands`].
    ///
    /// # Errors
    /// When it is none, contradicts itself, or comes from the future.
    pub fn from_record(record: &Record, genesis: &Genesis) -> Result<Self, AttestationsError> {
        if record.kind() != Kind::Attestations {
            return Err(AttestationsError::Kind(record.kind().name()));
        }
        let body: AttestationsBody = record.body()?;
        let (epoch, made) = (RatingEpoch(body.rating_epoch), record.header().made);
        if epoch >= RatingEpoch::of(made, genesis) {
            return Err(AttestationsError::Future { epoch, made: RatingEpoch::of(made, genesis) });
        }
        let rater = record.agent();
        let rows = rows(&body, rater)?;
        let tops = tops(&body, &rows)?;
        Ok(Self { id: record.id(), rater, epoch, made, rows, tops, receipts_root: body.receipts_root })
    }

    /// The rows as the ledger takes them.
    #[must_use]
    pub fn ratings(&self) -> Vec<Rating> {
        self.rows.iter().map(|row| Rating { target: row.target, counts: row.counts }).collect()
    }

    /// The highest Accept of a callee.
    #[must_use]
    pub fn top(&self, callee: AgentId) -> Option<&Top> {
        self.tops.binary_search_by_key(&callee, |top| top.callee).ok().map(|at| &self.tops[at])
    }

    /// How many receipts lie under the root.
    #[must_use]
    pub fn receipts(&self) -> u64 {
        self.rows.iter().map(|row| row.counts.count()).sum()
    }
}

impl Summary {
    /// Sums up what `rater` knows of a rating epoch. If there are more rows than fit, those with the most calls stay.
    #[must_use]
    pub fn new(rater: AgentId, epoch: RatingEpoch, receipts: &[ProvenReceipt], genesis: &Genesis) -> Self {
        let is_of_it = |receipt: &&ProvenReceipt| {
            let accept = receipt.accept();
            accept.caller == rater && RatingEpoch::of(accept.made, genesis) == epoch
        };
        let mut of_row: BTreeMap<(AgentId, Text<128>), BTreeMap<u64, &ProvenReceipt>> = BTreeMap::new();
        // A callee that gives an index twice, even for two skills, is a cheat; its Accepts prove one call.
        let mut seen = BTreeSet::new();
        for receipt in receipts.iter().filter(is_of_it) {
            let accept = receipt.accept();
            if seen.insert((accept.callee, accept.index)) {
                let row = of_row.entry((accept.callee, accept.skill.clone())).or_default();
                row.insert(accept.index, receipt);
            }
        }
        let mut by_calls: Vec<_> = of_row.iter().map(|(row, calls)| (calls.len(), row.clone())).collect();
        by_calls.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        let mut room = Room::default();
        let kept: BTreeSet<_> =
            by_calls.into_iter().map(|(_, row)| row).filter(|row| room.take(row)).collect();
        of_row.retain(|row, _| kept.contains(row));
        let leaves: Vec<_> =
            of_row.values().flat_map(BTreeMap::values).map(|receipt| receipt.leaf()).collect();
        let left_out = receipts.len() - leaves.len();
        Self { body: body(epoch, &of_row, merkle::root(&leaves)), leaves, left_out }
    }
}

/// What of a record's bounds is taken.
#[derive(Default)]
struct Room {
    rows: usize,
    agents: BTreeSet<AgentId>,
    skills: BTreeSet<Text<128>>,
    bytes: usize,
}

impl Room {
    /// For everything but lists: the header and the signature of the envelope, with room for later labels.
    const BYTES_MAX: usize = 62 * 1_024;
    /// Places, and numbers of at most 2³² and 100 · 2³².
    const ROW_BYTES_MAX: usize = 3 + 2 + 9 + 9 + 9 + 9;

    fn take(&mut self, (agent, skill): &(AgentId, Text<128>)) -> bool {
        let is_new_agent = !self.agents.contains(agent);
        let is_new_skill = !skill.is_empty() && !self.skills.contains(skill);
        let bytes = self.bytes
            + Self::ROW_BYTES_MAX
            + usize::from(is_new_agent) * (32 + 9 + 34)
            + usize::from(is_new_skill) * (skill.len() + 2);
        let skills = self.skills.len() + usize::from(is_new_skill);
        let is_room = self.rows < ROWS_MAX && bytes <= Self::BYTES_MAX && skills <= SKILLS_MAX;
        let is_room = is_room && (self.rows + 1) * Self::ROW_BYTES_MAX <= ROWS_BYTES_MAX;
        if is_room {
            self.rows += 1;
            self.bytes = bytes;
            self.agents.insert(*agent);
            if is_new_skill {
                self.skills.insert(skill.clone());
            }
        }
        is_room
    }
}

fn body(
    epoch: RatingEpoch,
    rows: &BTreeMap<(AgentId, Text<128>), BTreeMap<u64, &ProvenReceipt>>,
    receipts_root: Digest,
) -> AttestationsBody {
    let agents: BTreeSet<_> = rows.keys().map(|(agent, _)| *agent).collect();
    let skills: BTreeSet<_> = rows.keys().map(|(_, skill)| skill).filter(|skill| !skill.is_empty()).collect();
    let (mut to, mut highest) = (Writer::default(), BTreeMap::new());
    for ((agent, skill), calls) in rows {
        let (mut ok, mut quality, mut in_time) = (0_u64, 0_u64, 0_u64);
        for (index, call) in calls {
            ok += u64::from(call.receipt().outcome == Outcome::Ok);
            quality += u64::from(call.receipt().quality);
            in_time += u64::from(call.is_in_time());
            let top = highest.entry(*agent).or_insert((*index, call.accept().id()));
            *top = (*top).max((*index, call.accept().id()));
        }
        let agent = agents.iter().position(|other| other == agent).unwrap_or(0);
        let skill = skills.iter().position(|other| *other == skill).map_or(0, |at| at + 1);
        for number in [agent as u64, skill as u64, calls.len() as u64, ok, quality, in_time] {
            to.uint(number);
        }
    }
    let mut tops = Writer::default();
    for (index, accept) in highest.values() {
        tops.uint(*index);
        tops.bytes(&accept.0);
    }
    let agents: Vec<u8> = agents.iter().flat_map(|agent| agent.0).collect();
    let fits = "Room keeps every bound";
    AttestationsBody {
        rating_epoch: epoch.0,
        agents: agents.try_into().expect(fits),
        skills: skills.into_iter().cloned().collect::<Vec<_>>().try_into().expect(fits),
        rows: to.into_bytes().try_into().expect(fits),
        tops: tops.into_bytes().try_into().expect(fits),
        receipts_root,
    }
}

fn rows(body: &AttestationsBody, rater: AgentId) -> Result<Vec<Row>, AttestationsError> {
    let (agents, rest) = body.agents.as_chunks::<32>();
    let rule = |holds: bool, rule| if holds { Ok(()) } else { Err(AttestationsError::Rule(rule)) };
    rule(rest.is_empty() && agents.is_sorted_by(|one, other| one < other), "agents are not in order")?;
    if agents.contains(&rater.0) {
        return Err(AttestationsError::SelfCall);
    }
    rule(body.skills.is_sorted_by(|one, other| one < other), "skills are not in order")?;
    rule(body.skills.iter().all(|skill| !skill.is_empty() && is_path(skill)), "a skill is not a path")?;
    let mut from = Reader::new(&body.rows);
    let mut rows: Vec<Row> = Vec::new();
    let (mut last, mut skills_used, mut agents_used) = (None, BTreeSet::new(), 0);
    while from.remaining() > 0 {
        rule(rows.len() < ROWS_MAX, "there are too many rows")?;
        let [agent, skill] = [from.uint()?, from.uint()?];
        let [count, ok, quality, in_time] = [from.uint()?, from.uint()?, from.uint()?, from.uint()?];
        rule(last < Some((agent, skill)), "rows are not in order")?;
        // Rows are in order, so each agent is used if each new one is the next.
        agents_used += u64::from(last.is_none_or(|(before, _)| before < agent));
        rule(agents_used == agent + 1, "an agent has no row")?;
        last = Some((agent, skill));
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let target =
            agents.get(place(agent)).ok_or(AttestationsError::Rule("a row's agent is not listed"))?;
        let skill = match skill.checked_sub(1) {
            None => Text::default(),
            Some(at) => {
                skills_used.insert(at);
                let skill = body.skills.get(place(at));
                skill.ok_or(AttestationsError::Rule("a row's skill is not listed"))?.clone()
            }
        };
        let counts = Counts::new(count, ok, quality, in_time)
            .map_err(|error| AttestationsError::Counts { row: rows.len(), error })?;
        rows.push(Row { target: AgentId(*target), skill, counts });
    }
    rule(!rows.is_empty(), "there is no row")?;
    rule(agents_used == agents.len() as u64, "an agent has no row")?;
    rule(skills_used.len() == body.skills.len(), "a skill has no row")?;
    Ok(rows)
}

fn tops(body: &AttestationsBody, rows: &[Row]) -> Result<Vec<Top>, AttestationsError> {
    let mut from = Reader::new(&body.tops);
    let mut tops = Vec::new();
    for of_callee in rows.chunk_by(|one, other| one.target == other.target) {
        let callee = of_callee[0].target;
        let index = from.uint()?;
        let accept = from.bytes()?;
        let accept = accept.try_into().map_err(|_| AttestationsError::Rule("an accept's id has 32 bytes"))?;
        if !(1..=INDEX_MAX).contains(&index) {
            return Err(AttestationsError::Rule("an accept's index is not between 1 and 4294967296"));
        }
        let count: u64 = of_callee.iter().map(|row| row.counts.count()).sum();
        if count > index {
            return Err(AttestationsError::AboveAccepts { callee, count, index });
        }
        tops.push(Top { callee, index, accept: Digest(accept) });
    }
    from.end()?;
    Ok(tops)
}
