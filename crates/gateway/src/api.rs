//! Every JSON type of the local API.
//!
//! A top-level answer is a [`Document`]: its first field, `schema`, names its form and version. Ids are strings
//! (`did:key:…` for agents, PeerIds for nodes, hex for records and digests). A time is an RFC 3339 string, with the
//! same time in milliseconds since 1970 beside it as `…_ms`.
//!
//! Events are the exception: they are CloudEvents.
//!
//! Requests refuse unknown fields; answers may gain fields within a version, and readers ignore those.

mod calls;
mod cards;
mod dockets;
mod events;
mod evidence;
mod explanation;
mod find;
mod groups;
mod health;
mod holders;
mod keys;
mod lists;
mod newcomers;
mod once;
mod peers;
mod problem;
mod propose;
mod reach;
mod reputation;
mod score_checkpoints;
mod sealed;
mod status;
mod store;
mod time;
mod votes;
mod wait;

pub use calls::{
    CallProof, CallProofs, CallSeen, CallsQuery, ExposeRequest, Exposed, ExposedList, Unexposed,
};
pub use cards::{AgentQuery, Card, Lease, Published, Retracted};
pub use dockets::{
    Answer, Answered, AnswersRequest, AskedQuestion, Docket, DocketQuestion, DocketRequest, DocketSummary,
    DocketVoter, MAX_QUESTIONS, QuestionsQuery,
};
pub use events::{
    CloudEvent, EVENT_TYPE_PREFIX, EVENTS_LOST, EventData, EventsQuery, LostReason, MAX_LAST,
    parse_event_types,
};
pub use evidence::{Evidence, EvidenceRow};
pub use explanation::{ExplainedRating, Explanation, SkillChoice};
pub use find::{AgentReach, Explain, Find, FindQuery, FoundAgent, Outcome, PageAsked, PeerAsked, Source};
pub use groups::{
    FoundGroupRequest, Group, GroupChange, GroupChangeRequest, GroupInvite, GroupMember, GroupSummary,
    GroupVote, GroupVoteRequest, Groups, GroupsQuery, JoiningRequest, OwnRole, Resolution, ResolveRequest,
    SettledFork,
};
pub use health::{Health, HealthState, ProtocolHealth, Stopping};
pub use holders::{CappedVoter, DifferingVoter, ElectorateCheck, Holders};
pub use keys::KeyRotated;
pub use lists::{
    Decision, Decisions, DecisionsQuery, Dockets, DocketsQuery, ListQuery, MAX_LISTED, PlaceError, Votes,
    VotesQuery,
};
pub use newcomers::{Newcomers, UnknownNewcomers};
pub use peers::{Direction, Peer, Peers};
pub use problem::{Problem, ProblemKind};
pub use propose::{DEFAULT_WINDOW_MS, MethodError, ProposeError, ProposeRequest, parse_method, parse_quorum};
pub use reach::{
    ExternalAddress, ObservedAddress, PathKind, PeerPath, Ping, PingQuery, Reach, Reachability, Relaying,
};
pub use reputation::{
    Attestations, AttestationsQuery, Attested, CheckpointScores, Factor, RankedAgent, Ranking, RankingQuery,
    RateRequest, Rated, Rater, Reputation, Scores,
};
pub use score_checkpoints::{ScoreCheckpoint, ScoreCheckpointSummary, ScoreCheckpoints, UnprovedRow};
pub use sealed::{SealError, SealRequest, Sealed, Trustee};
pub use status::{Domain, RatingsPruned, ServedElsewhere, Status};
pub use store::{
    Checkpoint, CheckpointFile, CheckpointQuery, Compaction, CompactionState, ImportOutcome, Imported,
    ImportedRecord, RecordsQuery, Released,
};
pub use time::rfc3339;
pub use votes::{
    Ballot, BallotRequest, BallotRequestError, Closing, OptionVotes, Proposed, Round, Standing, Subject,
    Vote, VoteState, VoteSummary, Voter,
};
pub use wait::{Until, WAIT_MAX, WaitQuery};

/// A top-level JSON answer.
pub trait Document: serde::Serialize + serde::de::DeserializeOwned {
    /// The value of the first field, `althing.<thing>/v1`.
    const SCHEMA: &'static str;

    /// What the `schema` field of this answer says.
    fn schema(&self) -> &str;
}

macro_rules! document {
    ($name:ident, $schema:literal) => {
        impl $crate::api::Document for $name {
            const SCHEMA: &'static str = $schema;

            fn schema(&self) -> &str {
                &self.schema
            }
        }
    };
}
use document;
