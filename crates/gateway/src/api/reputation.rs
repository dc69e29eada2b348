use althing_engine::{Contribution, Q32, Ranked, RatingEpoch, RatingRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Document, document, rfc3339};

/// The answer of `GET /v1/reputation/{did}`: what is known of one agent, and by whom. Numbers are in thousandths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reputation {
    /// Always `althing.reputation/v1`.
    #[schema(example = "althing.reputation/v1")]
    pub schema: String,
    /// The agent.
    pub agent: String,
    /// At the end of which rating epoch; none if no scores were computed yet.
    pub epoch: Option<u64>,
    /// As every node computes it; none if nobody rated it, or the network's genesis names no anchors.
    pub network: Option<Scores>,
    /// As the agent `seen_by` sees it; none if nobody rated it. Skill addresses choose by this.
    pub seen: Option<Scores>,
    /// The node's first agent.
    pub seen_by: Option<String>,
    /// Whether the node holds what raters publish; if not, it has scores of checkpoints alone.
    pub ledger: bool,
    /// At the newest checkpoint; none if there is none, or its scores are not known here.
    pub checkpoint: Option<CheckpointScores>,
    /// Who rates it, the weightiest first; at most 64.
    pub raters: Vec<Rater>,
    /// How many raters there are.
    pub raters_known: u64,
    /// What misbehaviour of it is proven.
    pub offences: Vec<Offence>,
}

document!(Reputation, "althing.reputation/v1");

impl From<althing_engine::Reputation> for Reputation {
    fn from(found: althing_engine::Reputation) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            agent: found.agent.to_string(),
            epoch: found.epoch.map(|epoch| epoch.0),
            network: found.network.map(Scores::from),
            seen: found.seen.map(Scores::from),
            seen_by: found.viewer.map(|agent| agent.to_string()),
            ledger: found.keeps_ledger,
            checkpoint: found.checkpointed.map(CheckpointScores::from),
            raters: found.raters.into_iter().map(Rater::from).collect(),
            raters_known: found.raters_known,
            offences: found.offences.into_iter().map(Offence::from).collect(),
        }
    }
}

/// A proven case of misbehaviour of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offence {
    /// What, as in `GET /v1/evidence`.
    pub offence: String,
    /// The case.
    pub case: String,
    /// The decided proposal that forgives it; it costs no score then.
    pub pardoned_by: Option<String>,
}

impl From<althing_engine::Offence> for Offence {
    fn from(of: althing_engine::Offence) -> Self {
        Self {
            offence: of.offence,
            case: of.case.to_string(),
            pardoned_by: of.pardoned_by.map(|proposal| proposal.to_string()),
        }
    }
}

/// How an agent stands at a checkpoint: as trustworthy as the network's committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointScores {
    /// The checkpoint's record.
    pub checkpoint: String,
    /// The last rating epoch that is in it.
    pub epoch: u64,
    /// How it stands; none if it has no scores there, or no peer that was asked gave any.
    pub scores: Option<Scores>,
    /// The peer that proved the scores; none: they were computed here.
    pub proved_by: Option<String>,
}

impl From<althing_engine::Checkpointed> for CheckpointScores {
    fn from(found: althing_engine::Checkpointed) -> Self {
        Self {
            checkpoint: found.checkpoint.to_string(),
            epoch: found.epoch.0,
            scores: found.standing.map(Scores::from),
            proved_by: found.told_by.map(|peer| peer.to_string()),
        }
    }
}

/// How an agent stands, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scores {
    /// What to choose by: 0.5 reliability, 0.3 quality, 0.2 responsiveness, less what misbehaviour costs.
    #[schema(example = 812)]
    pub service: u64,
    /// The same times honesty.
    pub composite: u64,
    /// How sure that is, by the calls that it rests on.
    pub confidence: u64,
    /// How many calls that are, by the weight of who rated them; in thousandths too.
    pub evidence: u64,
    /// Whether its calls go well.
    pub reliability: Factor,
    /// How good its answers are.
    pub quality: Factor,
    /// Whether it answers in the promised time.
    pub responsiveness: Factor,
    /// Whether what it says of others agrees with what they say.
    pub honesty: u64,
    /// 1,000, less what proven misbehaviour costs.
    pub slash: u64,
    /// Its part of all trust.
    pub trust: u64,
    /// How much its word counts.
    pub weight: u64,
}

impl From<althing_engine::Standing> for Scores {
    fn from(of: althing_engine::Standing) -> Self {
        Self {
            service: of.service().per_mille(),
            composite: of.composite().per_mille(),
            confidence: of.confidence().per_mille(),
            evidence: of.evidence.per_mille(),
            reliability: of.reliability.into(),
            quality: of.quality.into(),
            responsiveness: of.responsiveness.into(),
            honesty: of.honesty.per_mille(),
            slash: of.slash.per_mille(),
            trust: of.trust.per_mille(),
            weight: of.weight.per_mille(),
        }
    }
}

/// One of three factors, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Factor {
    /// The lower of the two views.
    pub score: u64,
    /// The long view.
    pub long: u64,
    /// What happened lately.
    pub recent: u64,
}

impl From<althing_engine::Factor> for Factor {
    fn from(of: althing_engine::Factor) -> Self {
        let [score, long, recent] = [of.score, of.long, of.recent].map(Q32::per_mille);
        Self { score, long, recent }
    }
}

/// One rater's part in an agent's score, in thousandths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rater {
    /// Who rates.
    pub rater: String,
    /// The share of its calls that went well.
    pub share: u64,
    /// How sure that is, by the number of calls.
    pub sureness: u64,
    /// How much the rater counts.
    pub weight: u64,
    /// Its honesty.
    pub honesty: u64,
    /// Its part of all trust.
    pub trust: u64,
}

impl From<Contribution> for Rater {
    fn from(of: Contribution) -> Self {
        Self {
            rater: of.rater.to_string(),
            share: of.share.per_mille(),
            sureness: of.sureness.per_mille(),
            weight: of.weight.per_mille(),
            honesty: of.honesty.per_mille(),
            trust: of.trust.per_mille(),
        }
    }
}

/// The query of `GET /v1/reputation`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RankingQuery {
    /// Only agents whose card has this skill or one below it.
    #[param(example = "text/translate")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
    /// Most agents to return, 1 to 1,000; 1,000 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The answer of `GET /v1/reputation`: agents by what skill addresses choose by, the best first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ranking {
    /// Always `althing.ranking/v1`.
    #[schema(example = "althing.ranking/v1")]
    pub schema: String,
    /// At the end of which rating epoch; none if no scores were computed yet.
    pub epoch: Option<u64>,
    /// The agents.
    pub agents: Vec<RankedAgent>,
}

document!(Ranking, "althing.ranking/v1");

impl Ranking {
    /// What the node answered.
    #[must_use]
    pub fn new(epoch: Option<RatingEpoch>, agents: Vec<Ranked>) -> Self {
        let agents = agents.into_iter().map(|one| RankedAgent {
            agent: one.agent.to_string(),
            seen: one.standing.into(),
            network: one.network.map(Scores::from),
        });
        Self { schema: Self::SCHEMA.to_owned(), epoch: epoch.map(|epoch| epoch.0), agents: agents.collect() }
    }
}

/// One agent in a ranking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RankedAgent {
    /// Who.
    pub agent: String,
    /// As the node's first agent sees it.
    pub seen: Scores,
    /// As every node computes it; none if the network's genesis names no anchors.
    pub network: Option<Scores>,
}

/// The query of `GET /v1/attestations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttestationsQuery {
    /// Go on after this: the `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// The answer of `GET /v1/attestations`: what raters published, row by row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attestations {
    /// Always `althing.attestations/v1`.
    #[schema(example = "althing.attestations/v1")]
    pub schema: String,
    /// The rows, by rater and rating epoch.
    pub rows: Vec<Attested>,
    /// If there may be more, what to give as `after` to go on.
    pub next: Option<String>,
}

document!(Attestations, "althing.attestations/v1");

impl Attestations {
    /// A page of rows.
    #[must_use]
    pub fn new(rows: Vec<RatingRow>, next: Option<&[u8]>) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            rows: rows.into_iter().map(Attested::from).collect(),
            next: next.map(hex::encode),
        }
    }
}

/// How a rater's calls of one rating epoch to one agent for one skill went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attested {
    /// The record that says so.
    pub record: String,
    /// Who says so.
    pub rater: String,
    /// Of which rating epoch.
    pub epoch: u64,
    /// When, by the rater's clock.
    pub made: String,
    /// Who was called.
    pub target: String,
    /// For which skill; empty: for none in particular.
    pub skill: String,
    /// How many calls.
    pub count: u64,
    /// How many of them went well.
    pub ok: u64,
    /// The sum of their qualities, each 0 to 100.
    pub quality_sum: u64,
    /// How many were answered in the promised time.
    pub in_time: u64,
}

impl From<RatingRow> for Attested {
    fn from(row: RatingRow) -> Self {
        Self {
            record: row.record.to_string(),
            rater: row.rater.to_string(),
            epoch: row.epoch.0,
            made: rfc3339(row.made),
            target: row.target.to_string(),
            skill: row.skill,
            count: row.counts.count(),
            ok: row.counts.ok(),
            quality_sum: row.counts.quality_sum(),
            in_time: row.counts.in_time(),
        }
    }
}

/// The body of `POST /v1/receipts/{task}/rating`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateRequest {
    /// How good the answer was: 0 to 100.
    #[schema(minimum = 0, maximum = 100, example = 90)]
    pub quality: u8,
    /// A note about it in at most 512 bytes, without control characters. It stays on this node. Not given, the one from
    /// before stays; empty, it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 512, example = "left out the last line")]
    pub comment: Option<String>,
}

/// The answer of `POST /v1/receipts/{task}/rating`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rated {
    /// Always `althing.rated/v1`.
    #[schema(example = "althing.rated/v1")]
    pub schema: String,
    /// Which call, in hex.
    pub task: String,
    /// Who was called.
    pub callee: String,
    /// How good the answer was: 0 to 100.
    pub quality: u8,
    /// What was said of it before.
    #[serde(default)]
    pub before: u8,
    /// With the calls of which rating epoch it is published, when that is over.
    pub epoch: u64,
    /// What is noted about it on this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

document!(Rated, "althing.rated/v1");
