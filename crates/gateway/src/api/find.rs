use althing_engine::{Found, PeerOutcome, Reached};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::cards::parsed;
use super::{Document, Lease, Newcomers, PathKind, document, rfc3339};
use crate::PeerInfo;

/// Longest name and description in a [`FoundAgent`], in characters; the card has the whole.
const TEXT_CHARS_MAX: usize = 256;

/// The answer of `GET /v1/find`: who matches, and how complete this answer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Find {
    /// Always `althing.find/v1`.
    #[schema(example = "althing.find/v1")]
    pub schema: String,
    /// What was asked for, in its canonical form.
    #[schema(example = "skill:text/translate AND tag:lang:fr")]
    pub query: String,
    /// The agents, by id: those that match and are served now.
    pub agents: Vec<FoundAgent>,
    /// Whether the network was asked at all; if not, an empty list means nothing.
    pub live: bool,
    /// Whether every page and every provider answered a live lookup, and no part of the query was left to the index.
    pub complete: bool,
    /// Whether it stopped at the limit: there may be more.
    pub cut: bool,
    /// If it was cut, what to give as `after` to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Pages of the directory that were to be asked.
    pub pages: u64,
    /// Pages that answered.
    pub pages_answered: u64,
    /// Providers that the pages named.
    pub providers: u64,
    /// Providers that were asked.
    pub providers_asked: u64,
    /// Providers that were asked and did not answer.
    pub providers_silent: u64,
    /// Parts of the query that no key of the directory leads to: the node's own index alone answered them.
    pub unkeyed: Vec<String>,
    /// Who was asked for what, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explain>,
}

document!(Find, "althing.find/v1");

impl Find {
    /// What the node found for `query`, connected to `peers`.
    #[must_use]
    pub fn new(query: &althing_engine::Query, found: Found, peers: &[PeerInfo], explain: bool) -> Self {
        let last = found.agents.last().map(|found| found.card.agent.to_string());
        Self {
            schema: Self::SCHEMA.to_owned(),
            query: query.to_string(),
            live: found.live,
            complete: found.live
                && found.pages_answered == found.pages
                && found.providers_silent == 0
                && found.unkeyed.is_empty(),
            cut: found.cut,
            next: last.filter(|_| found.cut),
            pages: found.pages,
            pages_answered: found.pages_answered,
            providers: found.providers,
            providers_asked: found.providers_asked,
            providers_silent: found.providers_silent,
            unkeyed: found.unkeyed,
            explain: explain.then(|| Explain::new(found.explain, query)),
            agents: found.agents.into_iter().map(|agent| FoundAgent::new(agent, found.at, peers)).collect(),
        }
    }
}

/// One agent that a search found. `GET /v1/cards/{did}` has the whole card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundAgent {
    /// The agent.
    #[schema(example = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp")]
    pub agent: String,
    /// The `name` in its A2A card, cut to 256 characters.
    pub name: String,
    /// The `description` in its A2A card, cut to 256 characters.
    pub description: String,
    /// Its skill paths, sorted.
    pub skills: Vec<String>,
    /// The id of the card's record. The node has verified its signature.
    pub card: String,
    /// Its slot revision.
    pub revision: u64,
    /// How long ago the card was made or renewed, in milliseconds.
    pub age_ms: u64,
    /// When the card expires unless renewed.
    pub expires: String,
    /// The same in milliseconds since 1970.
    pub expires_ms: u64,
    /// Where the card comes from.
    pub source: Source,
    /// How a node that serves it can be reached.
    pub reach: AgentReach,
    /// The last round trip to that node, in microseconds; while none was measured, how long its answer took.
    pub round_trip_us: Option<u64>,
    /// How long ago the newest lease was made, in milliseconds.
    pub lease_age_ms: u64,
    /// When the last lease ends unless renewed.
    pub served_until: String,
    /// The same in milliseconds since 1970.
    pub served_until_ms: u64,
    /// How well calls to it go, as this node sees it, in thousandths; none if nobody rated it.
    #[serde(default)]
    pub service: Option<u64>,
    /// On how many calls that rests, by the weight of who rated them, in thousandths.
    #[serde(default)]
    pub evidence: Option<u64>,
    /// Where the agent is served now.
    pub leases: Vec<Lease>,
}

impl FoundAgent {
    fn new(found: althing_engine::FoundAgent, at: althing_record::Millis, peers: &[PeerInfo]) -> Self {
        let a2a = parsed(&found.card.json);
        let text = |field: &str| a2a.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let leases: Vec<Lease> = found.card.leases.into_iter().map(Lease::from).collect();
        let (reach, round_trip_us) = reach(&leases, peers, found.reached);
        let newest = leases.iter().map(|lease| lease.made_ms).max().unwrap_or_default();
        let last = leases.iter().map(|lease| lease.expires_ms).max().unwrap_or_default();
        Self {
            agent: found.card.agent.to_string(),
            name: cut(text("name")),
            description: cut(text("description")),
            skills: found.card.skills,
            card: found.card.card.to_string(),
            revision: found.card.revision,
            age_ms: at.since(found.card.made),
            expires: rfc3339(found.card.expires),
            expires_ms: found.card.expires.0,
            source: if found.from_lookup { Source::Lookup } else { Source::Index },
            reach,
            round_trip_us,
            lease_age_ms: at.0.saturating_sub(newest),
            served_until: rfc3339(althing_record::Millis(last)),
            served_until_ms: last,
            service: found.standing.map(|standing| standing.service().per_mille()),
            evidence: found.standing.map(|standing| standing.evidence.per_mille()),
            leases,
        }
    }

    /// Whether fewer than 3 rated calls of it are known.
    #[must_use]
    pub fn is_newcomer(&self) -> bool {
        self.evidence.is_none_or(|evidence| evidence < 1_000 * u64::from(althing_route::EVIDENCE_MIN))
    }

    /// Whether a node that serves it answered in this search or is connected now.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        match self.reach {
            AgentReach::Direct | AgentReach::HolePunched | AgentReach::Relay => true,
            AgentReach::Unreachable | AgentReach::Unknown => false,
        }
    }
}

/// Where a found card comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A live lookup in the network.
    Lookup,
    /// The node's own index.
    Index,
}

/// How a node that serves an agent can be reached from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentReach {
    /// At an address of its own: it is connected so, or it answered and its lease names such an address.
    Direct,
    /// Directly too, over a connection that was opened by hole punching.
    HolePunched,
    /// Over a relay.
    Relay,
    /// It was asked and did not answer. Its lease still counts.
    Unreachable,
    /// Nobody asked it in this search, and it is not connected.
    Unknown,
}

/// The best of what is known of the nodes that serve an agent.
fn reach(leases: &[Lease], peers: &[PeerInfo], reached: Reached) -> (AgentReach, Option<u64>) {
    let is_relayed = |address: &String| address.contains("/p2p-circuit");
    let connected = leases.iter().flat_map(|lease| {
        let peers = peers.iter().filter(|peer| peer.node == lease.node);
        peers.map(|peer| {
            let told = peer.path.as_ref().map(|path| match path.kind {
                PathKind::Direct => AgentReach::Direct,
                PathKind::HolePunched => AgentReach::HolePunched,
                PathKind::Relayed => AgentReach::Relay,
            });
            let seen = match (peer.addresses.iter().all(is_relayed), lease.addresses.iter().all(is_relayed)) {
                (true, _) => AgentReach::Relay,
                (false, true) if !lease.addresses.is_empty() => AgentReach::HolePunched,
                (false, _) => AgentReach::Direct,
            };
            (told.unwrap_or(seen), peer.round_trip_us)
        })
    });
    let answered_us = match reached {
        Reached::Answered { ms } => Some(ms.saturating_mul(1_000)),
        Reached::Silent | Reached::NotAsked => None,
    };
    if let Some((reach, round_trip)) =
        connected.min_by_key(|(reach, round_trip)| (*reach, round_trip.unwrap_or(u64::MAX)))
    {
        return (reach, round_trip.or(answered_us));
    }
    match reached {
        Reached::Answered { .. } => {
            let all_relayed = leases.iter().flat_map(|lease| &lease.addresses).all(is_relayed);
            let has_address = leases.iter().any(|lease| !lease.addresses.is_empty());
            let reach = if all_relayed && has_address { AgentReach::Relay } else { AgentReach::Direct };
            (reach, answered_us)
        }
        Reached::Silent => (AgentReach::Unreachable, None),
        Reached::NotAsked => (AgentReach::Unknown, None),
    }
}

/// How a search went: the plan, the pages of the directory, and the peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explain {
    /// Which keys lead to every match.
    #[schema(example = "any of (skill:text/translate, tag:lang:fr)")]
    pub plan: String,
    /// The pages that were asked.
    pub pages: Vec<PageAsked>,
    /// The peers that were asked.
    pub peers: Vec<PeerAsked>,
}

impl Explain {
    fn new(explain: althing_engine::Explain, query: &althing_engine::Query) -> Self {
        let pages = explain.pages.into_iter().map(|page| PageAsked {
            term: page.term.to_string(),
            page: page.page,
            key: hex::encode(page.key.0),
            providers: page.providers,
            answered: page.answered,
            ms: page.ms,
        });
        let peers = explain.peers.into_iter().map(|peer| PeerAsked {
            node: peer.node.to_string(),
            outcome: match peer.outcome {
                PeerOutcome::Answered => Outcome::Answered,
                PeerOutcome::Silent => Outcome::Silent,
                PeerOutcome::Invalid => Outcome::Invalid,
                PeerOutcome::NotAsked => Outcome::NotAsked,
            },
            records: peer.records,
            ms: peer.ms,
        });
        Self { plan: query.plan().to_string(), pages: pages.collect(), peers: peers.collect() }
    }
}

/// A page of the directory that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PageAsked {
    /// Whose.
    #[schema(example = "skill:text/translate")]
    pub term: String,
    /// The bits of a provider's hash that lead to it; empty for the root.
    #[schema(example = "01")]
    pub page: String,
    /// Its Kademlia key, in hex.
    pub key: String,
    /// How many providers it named.
    pub providers: u64,
    /// Whether it answered.
    pub answered: bool,
    /// How long that took, in milliseconds.
    pub ms: u64,
}

/// A peer that was asked for cards and leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerAsked {
    /// Its PeerId.
    pub node: String,
    /// What came of it.
    pub outcome: Outcome,
    /// How many records it sent.
    pub records: u64,
    /// How long that took, in milliseconds.
    pub ms: u64,
}

/// What came of asking a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It answered.
    Answered,
    /// It did not, or too late.
    Silent,
    /// What it sent was wrong.
    Invalid,
    /// It was named and not asked: enough others were.
    NotAsked,
}

/// The query of `GET /v1/find`: `q`, `skill`, or both, which is an AND.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FindQuery {
    /// Which agents: terms like `skill:text/translate`, `tag:lang:fr` or `streaming:true`, joined by AND, OR, NOT and
    /// parentheses.
    #[param(example = "skill:text/translate")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// A skill path such as `text/translate`; its descendants match too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
    /// Most agents to return, 1 to 1,000; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only agents after this one: what an answer that was cut gives as `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether to ask the network even when the local index has an answer; false if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
    /// Whether to leave out agents whose node neither answered in this search nor is connected; false if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// Only agents whose `service` is at least this, in thousandths; who was never rated has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_score: Option<u64>,
    /// Whether agents with fewer than 3 rated calls are in the answer: `with` others if not given. With `min_score` both
    /// must hold, so that newcomers without a score are left out.
    #[param(inline)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newcomers: Option<Newcomers>,
    /// Whether to tell which pages and peers were asked; false if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<bool>,
}

fn cut(text: String) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        None => text,
        Some(_) => text.chars().take(TEXT_CHARS_MAX - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Direction;

    #[test]
    fn long_descriptions_are_cut_at_characters() {
        assert_eq!(cut("é".repeat(256)), "é".repeat(256));
        let long = cut("é".repeat(257));
        assert_eq!(long.chars().count(), 256);
        assert!(long.ends_with("é…"));
    }

    #[test]
    fn a_search_is_complete_only_when_everyone_answered() {
        let found = Found { pages: 2, pages_answered: 2, live: true, ..Found::default() };
        let complete = |found: Found| Find::new(&"skill:a".parse().unwrap(), found, &[], false).complete;
        assert!(complete(found.clone()));
        assert!(!complete(Found { pages_answered: 1, ..found.clone() }));
        assert!(!complete(Found { providers_silent: 1, ..found.clone() }));
        assert!(!complete(Found { unkeyed: vec!["name:x".into()], ..found.clone() }));
        assert!(!complete(Found { live: false, ..found }));
    }

    #[test]
    fn reach_follows_from_connections_and_answers() {
        let lease = |node: &str, address: &str| Lease {
            node: node.into(),
            addresses: vec![address.into()],
            made: String::new(),
            made_ms: 0,
            expires: String::new(),
            expires_ms: 0,
        };
        let peer = |node: &str, address: &str, round_trip_us| PeerInfo {
            node: node.into(),
            addresses: vec![address.into()],
            direction: Direction::Outbound,
            same_network: Some(true),
            program: None,
            connected: None,
            round_trip_us,
            path: None,
            understood: Some(true),
        };
        let (plain, relayed) = ("/ip4/192.0.2.7/tcp/1", "/ip4/192.0.2.9/tcp/1/p2p/R/p2p-circuit");
        let answered = Reached::Answered { ms: 7 };
        for (leases, peers, reached, expected) in [
            (
                vec![lease("a", plain)],
                vec![peer("a", plain, Some(3))],
                Reached::Silent,
                (AgentReach::Direct, Some(3)),
            ),
            (
                vec![lease("a", plain)],
                vec![peer("a", relayed, None)],
                answered,
                (AgentReach::Relay, Some(7_000)),
            ),
            (
                vec![lease("a", relayed)],
                vec![peer("a", plain, Some(3))],
                answered,
                (AgentReach::HolePunched, Some(3)),
            ),
            (
                vec![lease("a", relayed), lease("b", plain)],
                vec![peer("a", relayed, Some(1)), peer("b", plain, Some(9))],
                answered,
                (AgentReach::Direct, Some(9)),
            ),
            (
                vec![lease("a", plain)],
                vec![peer("b", plain, Some(3))],
                answered,
                (AgentReach::Direct, Some(7_000)),
            ),
            (vec![lease("a", relayed)], vec![], answered, (AgentReach::Relay, Some(7_000))),
            (vec![lease("a", plain)], vec![], Reached::Silent, (AgentReach::Unreachable, None)),
            (vec![lease("a", plain)], vec![], Reached::NotAsked, (AgentReach::Unknown, None)),
        ] {
            assert_eq!(reach(&leases, &peers, reached), expected, "{leases:?} {peers:?} {reached:?}");
        }
    }
}
