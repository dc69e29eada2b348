use althing_card::{QUERY_BYTES_MAX, Query, QueryError, SkillError, SkillPath, TagError, Term};
use althing_record::cbor::{self, Decode, DecodeError, Encode, Limits, Reader, Writer};
use althing_record::{AgentId, Domain, Millis, Record, RecordId, VerifyError};
use althing_sync::{FETCH_MAX, MESSAGE_BYTES_MAX};
use althing_trust::ScoreProof;

mod response;

pub(crate) use self::response::{cards_response, records_response};

/// Longest request in bytes.
pub const REQUEST_BYTES_MAX: usize = 64 * 1_024;

/// Longest response in bytes.
pub const RESPONSE_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// Most records of one response.
pub const RECORDS_MAX: usize = 512;

/// Most rows of an attestation that one request asks to prove: an answer of 16 KiB each.
pub const ROWS_ASKED_MAX: usize = 16;

/// Most agents whose scores are asked for at once.
pub const SCORES_ASKED_MAX: usize = 64;

/// Longest leaf of a score, and path from it: those of 2³² agents.
const LEAF_BYTES_MAX: usize = 256;
const PATH_BYTES_MAX: usize = 32 * 32;

const LIMITS: Limits = Limits { depth: 4, items: 2 * RECORDS_MAX };

/// What one node asks another: docs/spec/wire.md, protocol "engine".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// One message of a reconciliation.
    Reconcile {
        /// Over which records.
        domain: Domain,
        /// Only those made at or after this.
        cut: Millis,
        /// The message.
        message: Vec<u8>,
    },
    /// Records by id, at most [`FETCH_MAX`].
    Fetch {
        /// Their ids.
        ids: Vec<RecordId>,
    },
    /// Cards and leases of agents that the peer serves itself, a part at a time. Since version 2.
    Cards {
        /// What it was found under: only agents that have it.
        term: Term,
        /// Only agents that match. None: this node cannot read the query, and answers with more than was asked for.
        query: Option<Box<Query>>,
        /// Only agents after this one.
        after: Option<AgentId>,
    },
    /// Cards and leases of agents that the peer knows to match, whoever serves them. Since version 2.
    Known {
        /// The query.
        query: Box<Query>,
    },
    /// Cards and leases of agents that the peer knows to have a skill: all that version 1 can ask.
    Providers {
        /// The skill.
        skill: SkillPath,
    },
    /// The scores of some agents at a checkpoint, with their paths. Since version 2.
    Scores {
        /// The checkpoint's record.
        checkpoint: RecordId,
        /// Whose, at most [`SCORES_ASKED_MAX`].
        agents: Vec<AgentId>,
    },
    /// The card and leases of one agent.
    Agent {
        /// The agent.
        agent: AgentId,
    },
    /// The receipts behind rows of an attestation, as a checkpoint draws them. Since version 2.
    Prove {
        /// The attestation.
        record: RecordId,
        /// The checkpoint.
        checkpoint: RecordId,
        /// The rows, by their places, ascending; at most [`ROWS_ASKED_MAX`].
        rows: Vec<u16>,
    },
}

/// What the other answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To [`Request::Reconcile`].
    Reconcile {
        /// The answering message.
        message: Vec<u8>,
        /// The answering node's clock.
        clock: Millis,
    },
    /// To [`Request::Cards`].
    Cards {
        /// The last agent that was looked at, if there are more after it.
        next: Option<AgentId>,
        /// The records that prove the agents, each verified.
        records: Vec<Record>,
        /// Why others in the answer are no records of this network.
        invalid: Vec<VerifyError>,
    },
    /// To [`Request::Scores`].
    Scores {
        /// The checkpoint's record.
        checkpoint: RecordId,
        /// Proofs of the scores of those who have some, in the order asked.
        proofs: Vec<ScoreProof>,
    },
    /// To all others.
    Records {
        /// How many of the ids asked for were looked at, in the order asked; the rest should be asked again.
        served: u64,
        /// The records that the peer has, each verified.
        records: Vec<Record>,
        /// Why others in the answer are no records of this network.
        invalid: Vec<VerifyError>,
    },
    /// To [`Request::Prove`].
    Proofs {
        /// For each row, in the order asked, an [`althing_trust::RowProof`]; none where the peer shows nothing.
        proofs: Vec<Option<Vec<u8>>>,
    },
    /// The peer will not answer that now.
    Busy,
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Too long.
    #[error("frame has {0} bytes")]
    TooLong(usize),
    /// Not a frame.
    #[error("frame is malformed: {0}")]
    Malformed(#[from] DecodeError),
}

impl FrameError {
    /// Whether a newer version may have meant something by it, so that nobody is to blame.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Malformed(DecodeError::Newer { .. }))
    }
}

const RECONCILE: u64 = 0;
const FETCH: u64 = 1;
const PROVIDERS: u64 = 2;
const AGENT: u64 = 3;
const CARDS: u64 = 4;
const KNOWN: u64 = 5;
const PROVE: u64 = 6;
const SCORES: u64 = 7;
const SKILL_TERM: u64 = 0;
const TAG_TERM: u64 = 1;
const RECORDS: u64 = 1;
const BUSY: u64 = 2;
const CARDS_ANSWER: u64 = 3;
const PROOFS: u64 = 4;
const SCORES_ANSWER: u64 = 5;

fn domain_code(domain: Domain) -> u64 {
    match domain {
        Domain::Directory => 0,
        Domain::Ledger => 1,
        Domain::Ratings => 2,
    }
}

impl Request {
    /// The request as bytes: an array of a tag and its parts.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer::default();
        match self {
            Self::Reconcile { domain, cut, message } => {
                to.array(4);
                to.uint(RECONCILE);
                to.uint(domain_code(*domain));
                cut.encode(&mut to);
                to.bytes(message);
            }
            Self::Fetch { ids } => {
                to.array(2);
                to.uint(FETCH);
                to.bytes(&ids.iter().flat_map(|id| id.0).collect::<Vec<u8>>());
            }
            Self::Cards { term, query, after } => {
                to.array(5);
                to.uint(CARDS);
                let (kind, text) = match term {
                    Term::Skill(path) => (SKILL_TERM, path.as_str()),
                    Term::Tag(tag) => (TAG_TERM, tag.as_str()),
                };
                to.uint(kind);
                to.text(text);
                to.text(&query.as_ref().map(ToString::to_string).unwrap_or_default());
                to.bytes(after.as_ref().map_or(&[], |agent| &agent.0));
            }
            Self::Known { query } => {
                to.array(2);
                to.uint(KNOWN);
                to.text(&query.to_string());
            }
            Self::Providers { skill } => {
                to.array(2);
                to.uint(PROVIDERS);
                to.text(skill.as_str());
            }
            Self::Scores { checkpoint, agents } => {
                to.array(3);
                to.uint(SCORES);
                checkpoint.encode(&mut to);
                to.bytes(agents.iter().map(|agent| agent.0).collect::<Vec<_>>().as_flattened());
            }
            Self::Agent { agent } => {
                to.array(2);
                to.uint(AGENT);
                agent.encode(&mut to);
            }
            Self::Prove { record, checkpoint, rows } => {
                to.array(4);
                to.uint(PROVE);
                record.encode(&mut to);
                checkpoint.encode(&mut to);
                to.bytes(&rows.iter().flat_map(|row| row.to_be_bytes()).collect::<Vec<u8>>());
            }
        }
        to.into_bytes()
    }

    /// The request as bytes for a peer that speaks version 1 only; none if that cannot ask it. What is answered to a
    /// [`Request::Cards`] is then [`Response::Records`].
    #[must_use]
    pub fn to_bytes_v1(&self) -> Option<Vec<u8>> {
        match self {
            Self::Cards { term: Term::Skill(skill), .. } => {
                Some(Self::Providers { skill: skill.clone() }.to_bytes())
            }
            Self::Cards { term: Term::Tag(_), .. } | Self::Prove { .. } | Self::Scores { .. } => None,
            Self::Known { query } => {
                query.plan().skill().map(|skill| Self::Providers { skill: skill.clone() }.to_bytes())
            }
            Self::Reconcile { .. } | Self::Fetch { .. } | Self::Providers { .. } | Self::Agent { .. } => {
                Some(self.to_bytes())
            }
        }
    }

    /// Reads a request.
    ///
    /// # Errors
    /// When it is too long, malformed or of a newer version.
    pub fn parse(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(FrameError::TooLong(bytes.len()));
        }
        cbor::scan(bytes, LIMITS)?;
        let mut from = Reader::new(bytes);
        let len = from.array()?;
        let tag = if len == 0 { u64::MAX } else { from.uint()? };
        let request = match (tag, len) {
            (RECONCILE, 4) => {
                let domain = match from.uint()? {
                    0 => Domain::Directory,
                    1 => Domain::Ledger,
                    2 => Domain::Ratings,
                    value => return Err(newer("domain", value).into()),
                };
                let (cut, message) = (Millis::decode(&mut from)?, from.bytes()?);
                if message.len() > MESSAGE_BYTES_MAX + 64 {
                    return Err(FrameError::TooLong(message.len()));
                }
                Self::Reconcile { domain, cut, message: message.to_vec() }
            }
            (FETCH, 2) => {
                let ids = from.bytes()?;
                if ids.len() > 32 * FETCH_MAX {
                    return Err(FrameError::TooLong(ids.len()));
                }
                let ids = ids.chunks(32).map(RecordId::try_from).collect::<Result<_, _>>();
                Self::Fetch { ids: ids.map_err(|error| DecodeError::Invalid(error.to_string()))? }
            }
            (PROVIDERS, 2) => {
                let skill = from.text()?.parse();
                Self::Providers {
                    skill: skill
                        .map_err(|error: althing_card::SkillError| DecodeError::Invalid(error.to_string()))?,
                }
            }
            (CARDS, 5) => {
                let invalid = |error: &dyn std::fmt::Display| DecodeError::Invalid(error.to_string());
                let (kind, text) = (from.uint()?, from.text()?);
                let term = match kind {
                    SKILL_TERM => Term::Skill(text.parse().map_err(|error: SkillError| invalid(&error))?),
                    TAG_TERM => Term::Tag(text.parse().map_err(|error: TagError| invalid(&error))?),
                    value => return Err(newer("term", value).into()),
                };
                let query = from.text()?;
                if query.len() > QUERY_BYTES_MAX {
                    return Err(FrameError::TooLong(query.len()));
                }
                // A query in a newer form only filters less.
                let query = query.parse().ok().map(Box::new);
                Self::Cards { term, query, after: agent_or_none(from.bytes()?)? }
            }
            (KNOWN, 2) => {
                let query = from.text()?;
                if query.len() > QUERY_BYTES_MAX {
                    return Err(FrameError::TooLong(query.len()));
                }
                let query: Query =
                    query.parse().map_err(|error: QueryError| DecodeError::Invalid(error.to_string()))?;
                Self::Known { query: Box::new(query) }
            }
            (PROVE, 4) => {
                let (record, checkpoint) = (Decode::decode(&mut from)?, Decode::decode(&mut from)?);
                let (rows, rest) = from.bytes()?.as_chunks();
                let rows: Vec<_> = rows.iter().map(|row| u16::from_be_bytes(*row)).collect();
                if rows.len() > ROWS_ASKED_MAX {
                    return Err(FrameError::TooLong(rows.len()));
                }
                if !rest.is_empty() || !rows.is_sorted_by(|one, other| one < other) {
                    return Err(DecodeError::Invalid("rows are not in order".to_owned()).into());
                }
                Self::Prove { record, checkpoint, rows }
            }
            (SCORES, 3) => {
                let checkpoint = Decode::decode(&mut from)?;
                let agents = from.bytes()?;
                if agents.len() > 32 * SCORES_ASKED_MAX {
                    return Err(FrameError::TooLong(agents.len()));
                }
                let agents = agents.chunks(32).map(AgentId::try_from).collect::<Result<_, _>>();
                let agents = agents.map_err(|error| DecodeError::Invalid(error.to_string()))?;
                Self::Scores { checkpoint, agents }
            }
            (AGENT, 2) => Self::Agent { agent: Decode::decode(&mut from)? },
            (value, _) => return Err(newer("request", value).into()),
        };
        Ok(request)
    }
}

fn agent_or_none(bytes: &[u8]) -> Result<Option<AgentId>, DecodeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    AgentId::try_from(bytes).map(Some).map_err(|error| DecodeError::Invalid(error.to_string()))
}

fn newer(what: &'static str, value: u64) -> DecodeError {
    DecodeError::Newer { of: "frame", what, value }
}
