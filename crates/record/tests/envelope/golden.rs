//! One fixture per kind. A change of these bytes is a change of the format: its own commit, with its reason.
//! `ALTHING_BLESS=1 cargo test -p althing-record golden` rewrites them.

use std::path::PathBuf;

use althing_record::cbor::{List, Text, Writer};
use althing_record::{
    AgentKey, Change, Content, Draft, Fork, Founding, Genesis, GroupId, Incarnation, Inception, Joining,
    Kind, Membership, Millis, Network, Placement, PlacementRule, Record, Rotation, cbor, recovery_key_hash,
};

const CREATED: Millis = Millis(1_795_132_800_000);
const MADE: Millis = Millis(CREATED.0 + 1_000);

fn key(n: u8) -> AgentKey {
    AgentKey::from_seed(&[n; 32])
}

fn network() -> Network {
    let mut genesis = Genesis::plain(Text::try_from("golden").unwrap(), CREATED);
    genesis.anchors = List::try_from(vec![key(1).agent()]).unwrap();
    genesis.committee = List::try_from(vec![key(1).agent(), key(2).agent()]).unwrap();
    Network::new(genesis).unwrap()
}

fn draft(kind: Kind, placement: Placement, content: Content) -> Draft {
    let lifetime = match kind.placement() {
        PlacementRule::Slot { lifetime_ms_max } => Some(lifetime_ms_max),
        PlacementRule::Chain { .. } | PlacementRule::Pair | PlacementRule::Round => None,
    };
    Draft {
        agent: key(1).agent(),
        key_event: None,
        group: None,
        kind,
        placement,
        made: MADE,
        expires: lifetime.map(|lifetime| MADE.plus(lifetime)),
        content,
    }
}

fn link(kind: Kind, prev: Option<&Record>, content: Content) -> Draft {
    let PlacementRule::Chain { stream, per_incarnation } = kind.placement() else { panic!("a chain kind") };
    let placement = Placement::Chain {
        stream: stream.try_into().unwrap(),
        incarnation: per_incarnation.then_some(Incarnation([7; 8])),
        seq: u64::from(prev.is_some()),
        prev: prev.map(Record::id),
    };
    draft(kind, placement, content)
}

fn in_slot(kind: Kind, name: &str, body: Vec<u8>) -> Draft {
    let placement = Placement::Slot { name: name.try_into().unwrap(), revision: MADE.0 };
    draft(kind, placement, Content::Body(body))
}

fn signed(draft: Draft) -> Record {
    draft.sign(&key(1), &network()).unwrap()
}

/// A body of the right shape for kinds whose own is not this crate's.
fn shaped(text: &str) -> Vec<u8> {
    let mut to = Writer::default();
    to.map(2);
    to.entry(0, &1_u64);
    to.entry(1, &Text::<64>::try_from(text).unwrap());
    to.into_bytes()
}

fn records() -> Vec<Record> {
    let body = |value: Vec<u8>| Content::Body(value);
    let inception = Inception { recovery_key_hash: recovery_key_hash(&key(3).public()) };
    let inception = signed(link(Kind::Inception, None, body(cbor::to_vec(&inception))));
    let rotation = Rotation {
        new_key: key(4).public(),
        new_recovery_key_hash: Some(recovery_key_hash(&key(5).public())),
    };
    let rotation = signed(link(Kind::Rotation, Some(&inception), body(cbor::to_vec(&rotation))));
    let founding = Founding {
        name: "translators".try_into().unwrap(),
        members: vec![key(2).agent()].try_into().unwrap(),
        admins: List::default(),
        nonce: [9; 8],
    };
    let founding = signed(link(Kind::Founding, None, body(cbor::to_vec(&founding))));
    let membership = Membership { prev: founding.id(), change: Change::Add(key(6).agent()), decision: None };
    let membership = signed(Draft {
        group: Some(GroupId(founding.id().0)),
        ..link(Kind::Membership, Some(&founding), body(cbor::to_vec(&membership)))
    });
    let joining = Joining { answers: membership.id(), leaves: Some(1) };
    let joining = signed(Draft {
        group: Some(GroupId(founding.id().0)),
        ..link(Kind::Joining, Some(&membership), body(cbor::to_vec(&joining)))
    });
    let card = signed(in_slot(Kind::Card, "card", shaped("a card")));
    let node = "12D3KooWA4h9nRCVgGnkHMmQ1mVK1JDxE8aTkyYGNwdiiL1Fbzbs";
    let lease = signed(in_slot(Kind::Lease, node, shaped("a lease")));
    let proposal = signed(link(Kind::Proposal, None, body(shaped("a proposal"))));
    let ballots = Content::Leaves(vec![vec![1; 33], vec![2; 33], vec![3; 33]]);
    let ballots = signed(link(Kind::BallotBatch, Some(&proposal), ballots));
    let questions = Content::Leaves(vec![vec![4; 60], vec![5; 20]]);
    let questions = signed(link(Kind::ProposalBatch, Some(&ballots), questions));
    let ack = signed(link(Kind::BallotAck, Some(&ballots), body(shaped("an acknowledgement"))));
    let report = signed(link(Kind::CloseReport, Some(&ack), body(shaped("a report"))));
    let part = signed(link(Kind::Agreement, Some(&report), body(shaped("a part of an agreement"))));
    let trustee_key = signed(link(Kind::TrusteeKey, Some(&part), body(shaped("a trustee's key"))));
    let opening = signed(link(Kind::Opening, Some(&trustee_key), body(shaped("an opening"))));
    let attestations = signed(link(Kind::Attestations, None, body(shaped("attestations"))));
    let evidence = signed(link(Kind::Evidence, Some(&attestations), body(shaped("evidence"))));
    let checkpoint = signed(link(Kind::Checkpoint, Some(&attestations), body(shaped("a checkpoint"))));
    // The key of the rotation above signs this one.
    let message = Draft {
        key_event: Some(rotation.id()),
        ..draft(Kind::Message, Placement::Pair { to: key(2).agent() }, Content::Detached(shaped("a message")))
    };
    let message = message.sign(&key(4), &network()).unwrap();
    vec![
        inception,
        rotation,
        founding,
        membership,
        joining,
        card,
        lease,
        proposal,
        ballots,
        questions,
        ack,
        report,
        part,
        trustee_key,
        attestations,
        checkpoint,
        evidence,
        opening,
        message,
    ]
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{name}.hex"))
}

fn wrapped(bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    let lines: Vec<_> = digits.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    lines.join("\n") + "\n"
}

/// Compares with the fixture, and gives its bytes.
fn golden(name: &str, built: &[u8]) -> Vec<u8> {
    if std::env::var("ALTHING_BLESS").is_ok_and(|bless| bless == "1") {
        std::fs::write(path(name), wrapped(built)).unwrap();
    }
    let kept = std::fs::read_to_string(path(name)).unwrap_or_default();
    assert_eq!(kept, wrapped(built), "the bytes of {name} changed");
    hex::decode(kept.replace('\n', "")).unwrap()
}

#[test]
fn golden_records_are_rebuilt_to_the_byte_and_verify() {
    let records = records();
    let kinds: Vec<_> = records.iter().map(Record::kind).collect();
    assert_eq!(kinds, Kind::ALL, "one fixture per kind");
    for record in records {
        let kept = golden(&record.kind().name().to_lowercase(), record.bytes());
        assert_eq!(Record::verify(&kept, &network()), Ok(record));
    }
}

#[test]
fn golden_genesis_is_rebuilt_to_the_byte() {
    let kept = golden("genesis", &network().to_bytes());
    assert_eq!(Network::from_bytes(&kept), Ok(network()));
}

#[test]
fn golden_fork_is_rebuilt_to_the_byte() {
    let [one, other] =
        ["yes", "no"].map(|text| signed(link(Kind::Proposal, None, Content::Body(shaped(text)))));
    let fork = Fork::prove(&one, &other).unwrap();
    let kept = golden("fork", &fork.to_bytes());
    assert_eq!(Fork::verify(&kept, &network()), Ok(fork));
}

#[test]
fn the_worked_example_of_the_specification_is_the_fixture() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/spec/records.md")).unwrap();
    let inception = &records()[0];
    assert!(page.contains(&format!("```\n{}```", wrapped(inception.bytes()))), "the bytes");
    assert!(page.contains(&format!("```\n{}\n```", inception.id())), "the id");
}

#[test]
fn the_specification_lists_every_kind_as_it_is() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/spec/records.md")).unwrap();
    for kind in Kind::ALL {
        let row = format!("| {} | {} | ", kind.code(), kind.name());
        let row = page.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("{row}"));
        let placement = match kind.placement() {
            PlacementRule::Slot { .. } => "slot".to_owned(),
            PlacementRule::Chain { stream, .. } => format!("chain `{stream}`"),
            PlacementRule::Pair => "pair".to_owned(),
            PlacementRule::Round => "round".to_owned(),
        };
        assert!(row.contains(&format!("| {placement} |")), "{row}");
        assert!(
            row.contains(&format!("| {} |", kind.domain().map_or("none", |domain| domain.name()))),
            "{row}"
        );
        assert!(row.contains(&format!("| {} KiB |", kind.envelope_bytes_max() / 1_024)), "{row}");
    }
}
