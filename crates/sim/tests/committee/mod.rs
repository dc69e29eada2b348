//! A committee that decides on checkpoints, and a member that signs what it likes.

use althing_ballot::{ClosedTerms, Electorate, ProposalBody, Question, Quorum, Rule, Subject};
use althing_engine::{Answer, Ask, AttestationsBody, CheckpointShown, ReputationAsk, Taken};
use althing_record::cbor::{self, Encode, Writer};
use althing_record::{
    Content, Digest, Draft, Incarnation, Kind, Millis, Placement, PlacementRule, Record, RecordId,
};
use althing_sim::{Sim, WALL_START, agent_key};
use althing_trust::{Params, RatingEpoch};

pub(crate) const EPOCH_MS: u64 = 60_000;

/// A member of the committee that has no node: it signs what it likes.
pub(crate) const LIAR: usize = 50;

pub(crate) fn wall(net: &Sim) -> Millis {
    WALL_START.plus(net.time())
}

/// The rating epoch that ended last.
pub(crate) fn ended(net: &Sim) -> RatingEpoch {
    RatingEpoch(RatingEpoch::of(wall(net), net.network().genesis()).0 - 1)
}

/// Two anchors, a committee of the first agents and a checkpoint for every rating epoch.
pub(crate) fn governed(seed: u64, members: &[usize], nodes: usize) -> Sim {
    let committee = members.iter().map(|n| agent_key(*n).agent()).collect();
    let net = Sim::seed(seed).rated(EPOCH_MS, 2).checkpointed(committee, EPOCH_MS).undemanding();
    let mut net = net.nodes(nodes);
    net.run_for(5_000);
    net
}

/// What one agent says of ten calls to another, of which so many went well.
pub(crate) fn said(epoch: RatingEpoch, of: usize, ok: u8) -> AttestationsBody {
    let mut rows = Writer::default();
    let uint = |to: &mut Writer, value: u64| to.uint(value);
    [0, 0, 10, u64::from(ok), u64::from(ok) * 100, 10].into_iter().for_each(|value| uint(&mut rows, value));
    let mut tops = Writer::default();
    uint(&mut tops, 10);
    tops.bytes(&[ok; 32]);
    AttestationsBody {
        rating_epoch: epoch.0,
        agents: agent_key(of).agent().0.to_vec().try_into().unwrap(),
        skills: vec![].try_into().unwrap(),
        rows: rows.into_bytes().try_into().unwrap(),
        tops: tops.into_bytes().try_into().unwrap(),
        receipts_root: Digest([ok; 32]),
    }
}

/// Has a node say how its agent's calls of a rating epoch went.
pub(crate) fn attest_on(net: &mut Sim, node: usize, epoch: RatingEpoch, of: usize, ok: u8) -> RecordId {
    let body = Box::new(said(epoch, of, ok));
    let no = net.ask(node, Ask::Attest { agent: agent_key(node).agent(), body });
    let answer = net.answer(no);
    let Answer::Attested(id) = answer else { panic!("{answer:?}") };
    id
}

pub(crate) fn attest(net: &mut Sim, node: usize, of: usize, ok: u8) -> RecordId {
    attest_on(net, node, ended(net), of, ok)
}

/// Runs to shortly after the end of the present rating epoch: nobody has moved for a checkpoint of it.
pub(crate) fn run_to_next_epoch(net: &mut Sim) {
    let into = wall(net).since(net.network().genesis().created) % EPOCH_MS;
    net.run_for(EPOCH_MS + 1_000 - into);
}

pub(crate) fn checkpoints(net: &mut Sim, node: usize) -> Vec<CheckpointShown> {
    let no = net.ask(node, Ask::Reputation(ReputationAsk::Checkpoints { limit: 100 }));
    let Answer::Checkpoints(shown) = net.answer(no) else { panic!("no checkpoints") };
    shown
}

/// A link of a chain of somebody who signs what it likes.
pub(crate) fn link(net: &Sim, by: usize, kind: Kind, seq: u64, content: Content) -> Record {
    let PlacementRule::Chain { stream, .. } = kind.placement() else { panic!("no chain") };
    let draft = Draft {
        agent: agent_key(by).agent(),
        key_event: None,
        group: None,
        kind,
        placement: Placement::Chain {
            stream: stream.try_into().unwrap(),
            incarnation: Some(Incarnation([0xbb; 8])),
            seq,
            prev: (seq > 0).then_some(RecordId([9; 32])),
        },
        made: wall(net),
        expires: None,
        content,
    };
    draft.sign(&agent_key(by), net.network()).unwrap()
}

pub(crate) fn body(body: &impl Encode) -> Content {
    Content::Body(cbor::to_vec(body))
}

pub(crate) fn import(net: &mut Sim, node: usize, record: &Record) {
    assert_eq!(net.node(node).imports(record), Taken::New);
}

/// Has every node that runs take a record in: a motion is over before reconciliation brings it to all.
pub(crate) fn spread(net: &mut Sim, record: &Record) {
    for node in (0..net.len()).filter(|node| net.is_up(*node)).collect::<Vec<_>>() {
        let taken = net.node(node).imports(record);
        assert!(matches!(taken, Taken::New | Taken::Known), "{taken:?}");
    }
}

/// How long members have to vote: a quarter of a rating epoch.
pub(crate) const WINDOW_MS: u64 = EPOCH_MS / 4;

/// The proposal by which a committee decides on a checkpoint, made by hand: as members make it, but for its window and quorum.
pub(crate) fn motion_of(
    net: &Sim,
    (prev, checkpoint): (Option<RecordId>, RecordId),
    window_ms: u64,
    quorum: Option<Quorum>,
) -> ProposalBody {
    let electorate = Electorate::equal(net.network().genesis().committee.to_vec()).unwrap();
    let question = Question {
        text: &format!("checkpoint {checkpoint}"),
        options: &[],
        rule: Rule::SuperMajority { num: 2, den: 3 },
        electorate: &electorate,
        window_ms,
        nonce: [3; 8],
    };
    let terms = ClosedTerms { by_committee: true, quorum, ..ClosedTerms::default() };
    let prev = prev.map_or_else(|| "nothing".to_owned(), |prev| prev.to_string());
    let subject = Subject::new(&format!("checkpoint after {prev}"), None).unwrap();
    ProposalBody { subject: Some(subject), ..ProposalBody::closed(&question, &terms).unwrap() }
}

pub(crate) fn params(net: &Sim) -> Digest {
    let anchors = net.network().genesis().anchors.iter().copied().collect();
    Params { anchors, ..Params::default() }.hash()
}

/// The same in the form that members make.
pub(crate) fn motion(net: &Sim, prev: Option<RecordId>, checkpoint: RecordId) -> ProposalBody {
    let members = net.network().genesis().committee.len();
    let needed = members - (members - 1) / 3;
    motion_of(net, (prev, checkpoint), WINDOW_MS, Some(Quorum::Weight(needed as u64)))
}
