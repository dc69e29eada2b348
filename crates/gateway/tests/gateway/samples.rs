//! Answers of the scripted node.

use althing_engine as engine;
use althing_gateway::PeerInfo;
use althing_gateway::api::{Direction, PathKind, PeerPath, ProtocolHealth, Reach, Reachability};
use althing_record::{AgentId, Digest, GroupId, Incarnation, Millis, NetworkId, NodeId, RecordId};

use crate::journal::Journal;

pub(crate) const HOSTED: AgentId = AgentId([1; 32]);
pub(crate) const OTHER: AgentId = AgentId([2; 32]);
pub(crate) const PROPOSAL: RecordId = RecordId([3; 32]);
pub(crate) const CARD: RecordId = RecordId([4; 32]);
pub(crate) const BALLOT: RecordId = RecordId([5; 32]);
pub(crate) const GROUP: GroupId = GroupId([12; 32]);
pub(crate) const CERTIFICATE: &[u8] = &[0xa1, 0x00, 0xff];
/// With white space and a number that a JSON library might write differently.
pub(crate) const CARD_JSON: &str = "{ \"name\": \"Tolk\",\n \"description\": \"ísl.\", \"x\": 1.0e2 }";
pub(crate) const NOON: Millis = Millis(1_795_176_000_000);
pub(crate) const NOON_TEXT: &str = "2026-11-20T12:00:00.000Z";

pub(crate) fn status() -> engine::Status {
    engine::Status {
        node: NodeId([9; 32]),
        network: NetworkId([8; 32]),
        network_name: "test".into(),
        agents: vec![HOSTED],
        incarnation: Incarnation([7; 8]),
        commit: 11,
        records: 12,
        cards: 13,
        proposals: 14,
        evidence: 15,
        domains: vec![engine::DomainStatus {
            name: "directory".into(),
            records: 16,
            digest: Digest([6; 32]),
        }],
        peers: 17,
        sync_rounds: 18,
        last_sync: Some(NOON),
        voting_stopped: None,
        clock_offset_ms: Some(-20),
        served_elsewhere: vec![engine::ServedElsewhere { agent: HOSTED, node: NodeId([9; 32]), until: NOON }],
        ratings_pruned: engine::RatingsPruned { before: engine::RatingEpoch(112), records: 19 },
        waiting_for: Vec::new(),
    }
}

pub(crate) fn card() -> engine::CardAnswer {
    engine::CardAnswer {
        agent: OTHER,
        card: CARD,
        revision: 2,
        key: [2; 32],
        made: NOON,
        expires: NOON.plus(Millis::MINUTE),
        skills: vec!["text/translate".into()],
        json: CARD_JSON.into(),
        envelope: vec![0xd2, 0x84],
        leases: vec![engine::LeaseAnswer {
            node: NodeId([9; 32]),
            addresses: vec!["/ip4/127.0.0.1/tcp/4001".into()],
            made: NOON,
            expires: NOON,
        }],
    }
}

fn holders() -> engine::HoldersShown {
    let difference = engine::MassDifference { agent: HOSTED, listed: 9, here: 3 };
    engine::HoldersShown {
        skill: "text/translate".into(),
        score_min: 400,
        epoch: engine::RatingEpoch(7),
        cap: 1,
        capped: vec![(HOSTED, 9)],
        check: engine::MassCheck::Checked(engine::MassReport {
            differing: vec![difference],
            differing_known: 1,
            left_out: vec![OTHER],
            left_out_known: 1,
            ..engine::MassReport::default()
        }),
    }
}

pub(crate) fn vote() -> engine::Vote {
    engine::Vote {
        proposal: PROPOSAL,
        proposer: HOSTED,
        question: "merge PR 12?".into(),
        options: vec![
            engine::OptionTally { text: "yes".into(), votes: 2 },
            engine::OptionTally { text: "no".into(), votes: 0 },
        ],
        abstentions: 0,
        method: "unanimous".into(),
        subject: None,
        pardon: None,
        holders: Some(holders()),
        voters: vec![
            engine::Voter {
                agent: HOSTED,
                weight: 1,
                choices: vec!["yes".into()],
                acks: 0,
                void: false,
                invalid: false,
            },
            engine::Voter {
                agent: OTHER,
                weight: 1,
                choices: Vec::new(),
                acks: 0,
                void: false,
                invalid: false,
            },
        ],
        group: None,
        closing: None,
        sealed: None,
        rounds: Vec::new(),
        threshold: Some(2),
        tolerates: 0,
        made: NOON,
        closes: NOON.plus(Millis::MINUTE),
        state: engine::VoteState::Decided { option: "yes".into() },
    }
}

pub(crate) fn docket() -> engine::DocketState {
    engine::DocketState {
        summary: engine::DocketSummary {
            docket: PROPOSAL,
            proposer: HOSTED,
            title: "June".into(),
            method: "unanimous".into(),
            questions: 2,
            decided: 1,
            rejected: 0,
            is_closing: false,
            is_closed: false,
            made: NOON,
            closes: NOON.plus(Millis::MINUTE),
            is_over: false,
        },
        closing: None,
        threshold: Some(2),
        tolerates: 0,
        group: Some(althing_ballot::GroupState { group: GROUP, head: CARD }),
        holders: None,
        voters: vec![engine::DocketVoter { agent: HOSTED, weight: 1, answered: true, acks: 0 }],
        questions: vec![engine::QuestionState {
            number: 1,
            question: "merge PR 12?".into(),
            options: vec![engine::OptionTally { text: "yes".into(), votes: 2 }],
            abstentions: 0,
            state: engine::VoteState::Decided { option: "yes".into() },
        }],
    }
}

pub(crate) fn group() -> engine::Group {
    let member = |agent, role| engine::GroupMember { agent, role, leaving: false };
    engine::Group {
        group: GROUP,
        name: "translators".into(),
        founder: HOSTED,
        height: 3,
        head: RecordId([13; 32]),
        members: vec![member(HOSTED, engine::Role::Founder), member(OTHER, engine::Role::Admin)],
        invited: vec![engine::GroupInvite {
            agent: AgentId([14; 32]),
            by: OTHER,
            record: RecordId([13; 32]),
            joining: true,
        }],
        keeper: OTHER,
        fork: None,
        settled: vec![engine::ForkSettled { at: CARD, kept: BALLOT, by: PROPOSAL }],
        own: vec![(HOSTED, engine::Role::Founder)],
    }
}

pub(crate) fn peer() -> PeerInfo {
    PeerInfo {
        node: NodeId([9; 32]).to_string(),
        addresses: vec!["/ip4/127.0.0.1/udp/4001/quic-v1".into()],
        direction: Direction::Inbound,
        same_network: Some(true),
        program: Some("althing/0.1.0".into()),
        connected: Some(NOON),
        round_trip_us: Some(180),
        path: Some(path()),
        understood: Some(true),
    }
}

pub(crate) fn path() -> PeerPath {
    PeerPath { kind: PathKind::Direct, transport: Some("quic".into()), relay: None }
}

pub(crate) fn reach() -> Reach {
    Reach {
        reachability: Reachability::Private,
        setting: "auto".into(),
        kademlia: "client".into(),
        circuits: vec!["/ip4/192.0.2.1/tcp/4001/p2p/12D3KooW/p2p-circuit".into()],
        ..Reach::default()
    }
}

pub(crate) fn protocol() -> ProtocolHealth {
    ProtocolHealth { name: "kademlia".into(), healthy: true, detail: "5 peers in the routing table".into() }
}

/// Half of everything.
fn standing() -> engine::Standing {
    let half = engine::Q32(engine::Q32::ONE.0 / 2);
    let factor = engine::Factor { score: half, long: half, recent: half };
    engine::Standing {
        reliability: factor,
        quality: factor,
        responsiveness: factor,
        slash: engine::Q32::ONE,
        honesty: half,
        evidence: engine::Q32(3 * engine::Q32::ONE.0),
        ..engine::Standing::default()
    }
}

/// What the node answers when it is not scripted otherwise.
pub(crate) fn answer(ask: &engine::Ask, journal: &Journal) -> engine::Answer {
    match ask {
        engine::Ask::Rotate(rotate) => engine::Answer::Rotated(Box::new(engine::Rotated {
            agent: rotate.agent,
            key: [4; 32],
            record: CARD,
            rotations: 1,
            identity: Vec::new(),
            has_card: true,
        })),
        engine::Ask::Hosts => engine::Answer::Hosts(status().agents),
        engine::Ask::Status => engine::Answer::Status(Box::new(status())),
        engine::Ask::PublishCard { agent, .. } => engine::Answer::Published(engine::Published {
            agent: *agent,
            card: CARD,
            revision: 1,
            skills: vec!["text".into(), "text/translate".into()],
            expires: NOON,
        }),
        engine::Ask::Spread { .. } => engine::Answer::Spread { asked: 3, found: 2 },
        engine::Ask::Host(hosted) => engine::Answer::Hosted(hosted.agent),
        engine::Ask::RetractCard { agent } => engine::Answer::Retracted(engine::Retracted {
            agent: *agent,
            record: BALLOT,
            card: CARD,
            revision: 2,
            leases_ended: 1,
            expires: NOON,
        }),
        engine::Ask::Card { .. } => engine::Answer::Card(Box::new(card())),
        engine::Ask::Find(_) => engine::Answer::Found(engine::Found {
            agents: vec![engine::FoundAgent {
                card: card(),
                from_lookup: true,
                reached: engine::Reached::Answered { ms: 7 },
                standing: Some(standing()),
            }],
            pages: 2,
            pages_answered: 2,
            providers: 3,
            providers_asked: 3,
            providers_silent: 1,
            live: true,
            ..engine::Found::default()
        }),
        engine::Ask::Propose { .. } => {
            engine::Answer::Proposed { proposal: PROPOSAL, threshold: Some(2), tolerates: 0 }
        }
        engine::Ask::ProposeDocket { .. } => {
            engine::Answer::Proposed { proposal: PROPOSAL, threshold: Some(2), tolerates: 0 }
        }
        engine::Ask::AnswerDocket { .. } => engine::Answer::Cast { ballot: BALLOT, repeated: false },
        engine::Ask::Docket { .. } => engine::Answer::Docket(Box::new(docket())),
        engine::Ask::Dockets { .. } => engine::Answer::Dockets(engine::DocketsPage {
            dockets: vec![docket().summary],
            total: 1,
            next: None,
        }),
        engine::Ask::Cast { .. } => engine::Answer::Cast { ballot: BALLOT, repeated: false },
        engine::Ask::Vote { .. } => engine::Answer::Vote(Box::new(vote())),
        engine::Ask::Votes { limit, .. } => engine::Answer::Votes(engine::VotesPage {
            votes: vec![vote(), vote()].into_iter().take(*limit).collect(),
            total: 2,
            next: (*limit < 2).then_some(PROPOSAL),
        }),
        engine::Ask::Decisions { .. } => engine::Answer::Decisions(engine::DecisionsPage {
            decisions: vec![engine::Decision {
                on: engine::Decided { id: PROPOSAL, question: Some(7) },
                made: NOON,
                text: "merge?".into(),
                outcome: engine::VoteState::Decided { option: "yes".into() },
            }],
            next: Some(engine::Decided { id: PROPOSAL, question: Some(7) }),
        }),
        engine::Ask::Import { records } => engine::Answer::Imported(vec![engine::Taken::New; records.len()]),
        engine::Ask::Certificate { .. } => engine::Answer::Certificate(CERTIFICATE.to_vec()),
        engine::Ask::Events { from, kinds, limit } => {
            engine::Answer::Events(Box::new(journal.page(*from, kinds, *limit)))
        }
        engine::Ask::Group(engine::GroupAsk::List { .. }) => engine::Answer::Groups(vec![group()]),
        engine::Ask::Group(engine::GroupAsk::Show { .. }) => {
            engine::Answer::Group { group: Box::new(group()), record: None }
        }
        engine::Ask::Group(engine::GroupAsk::Resolve { keep, .. }) => {
            engine::Answer::Resolving { proposal: PROPOSAL, option: keep.to_string(), is_new: true }
        }
        engine::Ask::Group(engine::GroupAsk::Vote { change: althing_record::Change::Remove(_), .. }) => {
            engine::Answer::ChangeVote { proposal: PROPOSAL, proposer: HOSTED, is_new: true }
        }
        engine::Ask::Group(_) => engine::Answer::Group { group: Box::new(group()), record: Some(CARD) },
        engine::Ask::Attest { .. } => engine::Answer::Attested(CARD),
        engine::Ask::Accuse { .. } => engine::Answer::Accused(Some(BALLOT)),
        engine::Ask::Reputation(engine::ReputationAsk::Show { agent }) => {
            engine::Answer::Reputation(Box::new(engine::Reputation {
                agent: *agent,
                epoch: Some(engine::RatingEpoch(7)),
                network: None,
                seen: Some(standing()),
                viewer: Some(HOSTED),
                keeps_ledger: true,
                checkpointed: Some(engine::Checkpointed {
                    checkpoint: CARD,
                    epoch: engine::RatingEpoch(6),
                    standing: Some(standing()),
                    told_by: None,
                }),
                raters: Vec::new(),
                raters_known: 0,
                offences: vec![engine::Offence {
                    offence: "double accept".into(),
                    case: Digest([7; 32]),
                    pardoned_by: None,
                }],
            }))
        }
        engine::Ask::Reputation(engine::ReputationAsk::Grounds { agent, .. }) => {
            let row = engine::RatingRow {
                record: CARD,
                rater: HOSTED,
                epoch: engine::RatingEpoch(7),
                made: NOON,
                target: *agent,
                skill: "text".into(),
                counts: engine::Counts::new(3, 2, 190, 3).unwrap(),
            };
            engine::Answer::Grounds(Box::new(engine::Grounds {
                rows: vec![
                    engine::GroundsRow { row: row.clone(), is_struck: false, struck_by: None },
                    engine::GroundsRow { row, is_struck: true, struck_by: Some(BALLOT) },
                ],
                good_calls: Some(3),
            }))
        }
        engine::Ask::Reputation(engine::ReputationAsk::Top { .. }) => engine::Answer::Ranking {
            epoch: Some(engine::RatingEpoch(7)),
            agents: vec![engine::Ranked { agent: OTHER, standing: standing(), network: None }],
        },
        engine::Ask::Reputation(engine::ReputationAsk::Experience { .. }) => engine::Answer::Experienced,
        engine::Ask::Reputation(engine::ReputationAsk::Rows { .. }) => engine::Answer::Ratings {
            rows: vec![engine::RatingRow {
                record: CARD,
                rater: HOSTED,
                epoch: engine::RatingEpoch(7),
                made: NOON,
                target: OTHER,
                skill: "text".into(),
                counts: engine::Counts::new(3, 2, 190, 3).unwrap(),
            }],
            next: Some(b"next".to_vec()),
        },
        engine::Ask::Reputation(
            engine::ReputationAsk::Checkpoints { .. } | engine::ReputationAsk::Checkpoint { .. },
        ) => engine::Answer::Checkpoints(vec![checkpoint()]),
        engine::Ask::Evidence => engine::Answer::Evidence(vec![engine::EvidenceRow {
            agent: OTHER,
            case: Digest([7; 32]),
            offence: "double ballot".into(),
            records: vec![CARD, BALLOT],
            pardoned_by: Some(CARD),
        }]),
    }
}

/// A checkpoint of the ratings that struck out a row.
fn checkpoint() -> engine::CheckpointShown {
    engine::CheckpointShown {
        checkpoint: CARD,
        proposal: BALLOT,
        author: OTHER,
        made: NOON,
        epoch: engine::RatingEpoch(7),
        prev: None,
        taken: 12,
        score_root: Digest([4; 32]),
        agents: 3,
        params_hash: Digest([5; 32]),
        slashed: vec![HOSTED],
        cleared: Vec::new(),
        unproved: vec![engine::Unproved { rater: HOSTED, epoch: engine::RatingEpoch(6), row: 2 }],
        agrees: Some(true),
    }
}
