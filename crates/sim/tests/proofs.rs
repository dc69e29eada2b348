//! What members of the committee demand of raters, and what becomes of those that cannot show it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use althing_engine::{Answer, Ask, AttestationsBody, PROOF_TRIES_MAX};
use althing_record::cbor::{self, Writer};
use althing_record::{AgentKey, Digest, Kind, Millis, NodeKey, RecordId, merkle};
use althing_sim::{Links, Sim, WALL_START, agent_key};
use althing_trust::{
    Accept, AcceptBody, Call, CallBody, Checkpoint, Demand, Outcome, ProvenReceipt, RatingEpoch, Receipt,
    ReceiptBody, ReceiptLeaf, RowProof, Statement, Summary, TaskId, Unproved, request_head_hash,
};

const EPOCH_MS: u64 = 60_000;
const CALLS: u64 = 6;

/// The rater is on node 3; nodes 0 and 1 host the committee.
const RATER: usize = 3;

fn wall(net: &Sim) -> Millis {
    WALL_START.plus(net.time())
}

fn run_to_middle(net: &mut Sim) {
    let into = wall(net).since(net.network().genesis().created) % EPOCH_MS;
    net.run_for(EPOCH_MS + EPOCH_MS / 2 - into);
}

fn ended(net: &Sim) -> RatingEpoch {
    RatingEpoch(RatingEpoch::of(wall(net), net.network().genesis()).0 - 1)
}

/// A statement that breaks its own rules, signed all the same.
fn signed<S: Statement>(statement: &S, key: &AgentKey) -> Vec<u8> {
    let content = cbor::to_vec(statement);
    let mut message = u16::try_from(S::DOMAIN.len()).unwrap().to_be_bytes().to_vec();
    message.extend_from_slice(S::DOMAIN.as_bytes());
    message.extend_from_slice(&content);
    let mut to = Writer::default();
    to.array(2);
    to.bytes(&content);
    to.bytes(&key.sign(&message));
    to.into_bytes()
}

fn accept(net: &Sim, epoch: RatingEpoch, index: u64) -> AcceptBody {
    let genesis = net.network().genesis();
    let made = genesis.created.plus(epoch.0 * genesis.rating_epoch_ms + index);
    let call = CallBody {
        network: net.network().id(),
        caller: agent_key(RATER).agent(),
        callee: agent_key(2).agent(),
        task: TaskId([u8::try_from(index).unwrap(); 16]),
        caller_node: NodeKey::from_seed(&[1; 32]).node(),
        request_head_hash: request_head_hash(b""),
        made,
        key: None,
    };
    let call = Call::sign(call, &agent_key(RATER)).unwrap();
    AcceptBody::to(&call, index, made)
}

fn receipt(accept: &Accept) -> ReceiptBody {
    ReceiptBody { outcome: Outcome::Ok, quality: 90, ..ReceiptBody::timeout(accept, 5, accept.made) }
}

fn receipts(net: &Sim, epoch: RatingEpoch) -> Vec<ProvenReceipt> {
    (1..=CALLS)
        .map(|index| {
            let accept = Accept::sign(accept(net, epoch, index), &agent_key(2)).unwrap();
            let receipt = Receipt::sign(receipt(&accept), &agent_key(RATER)).unwrap();
            ProvenReceipt::new(accept, receipt).unwrap()
        })
        .collect()
}

fn leaf(accept: &[u8], receipt: &[u8]) -> Vec<u8> {
    let [accept, receipt] = [accept, receipt].map(|bytes| bytes.to_vec().try_into().unwrap());
    cbor::to_vec(&ReceiptLeaf { accept, receipt })
}

/// A network of five nodes. No agent has a card: who tells of its calls has a lease all the same.
fn network(seed: u64, links: Links) -> Sim {
    let mut committee: Vec<_> = [0, 1].map(|member| agent_key(member).agent()).into();
    committee.sort_unstable();
    let net = Sim::seed(seed).rated(EPOCH_MS, 2).checkpointed(committee, EPOCH_MS);
    let mut net = net.links(links).nodes(5);
    run_to_middle(&mut net);
    net
}

/// The rater says how its calls went, with a root over these leaves.
fn attest(
    net: &mut Sim,
    leaves: impl FnOnce(&Sim, &[ProvenReceipt]) -> Vec<Vec<u8>>,
) -> (RecordId, RatingEpoch, Vec<Vec<u8>>) {
    let (agent, epoch) = (agent_key(RATER).agent(), ended(net));
    let honest = receipts(net, epoch);
    let summary = Summary::new(agent, epoch, &honest, net.network().genesis());
    let leaves = leaves(net, &honest);
    let body = Box::new(AttestationsBody { receipts_root: merkle::root(&leaves), ..summary.body });
    let no = net.ask(RATER, Ask::Attest { agent, body });
    let Answer::Attested(record) = net.answer(no) else { panic!("not attested") };
    (record, epoch, leaves)
}

fn honest(_: &Sim, receipts: &[ProvenReceipt]) -> Vec<Vec<u8>> {
    receipts.iter().map(ProvenReceipt::leaf).collect()
}

fn top(net: &Sim, epoch: RatingEpoch) -> Accept {
    Accept::sign(accept(net, epoch, CALLS), &agent_key(2)).unwrap()
}

/// Long enough for a checkpoint, for every try, and for the next checkpoint.
fn ask_until_settled(net: &mut Sim) {
    for _ in 0..PROOF_TRIES_MAX + 4 {
        run_to_middle(net);
    }
}

fn checkpoints(net: &Sim, node: usize) -> Vec<Checkpoint> {
    let records = net.records(node, Kind::Checkpoint);
    records.iter().map(|record| Checkpoint::from_record(record).unwrap()).collect()
}

/// Runs until a checkpoint that takes the record is proposed, and a while for it to be decided.
fn run_to_checkpoint(net: &mut Sim, epoch: RatingEpoch, record: RecordId) {
    let is_taken = |net: &Sim| {
        checkpoints(net, 1).iter().any(|one| one.changes.taken.binary_search(&(epoch, record)).is_ok())
    };
    for _ in 0..600 {
        if is_taken(net) {
            return net.run_for(5_000);
        }
        net.run_for(500);
    }
    panic!("no checkpoint takes the record");
}

#[test]
fn who_shows_its_receipts_keeps_its_rows_under_loss_and_over_restarts() {
    for seed in 40..44 {
        let mut net = network(seed, Links::lossy(10));
        let (record, epoch, leaves) = attest(&mut net, honest);
        let top = top(&net, epoch);
        net.show(RATER, record, move |demand| RowProof::new(demand, &top, &leaves));
        assert_eq!(net.refusals(0), BTreeMap::new(), "nothing is demanded before there is a checkpoint");
        net.run_for(3_000);
        net.crash(RATER);
        run_to_checkpoint(&mut net, epoch, record);
        net.crash(0);
        net.restart(RATER);
        net.restart(0);
        ask_until_settled(&mut net);
        for member in [0, 1] {
            assert!(net.unproved(member, epoch).is_empty(), "seed {seed}, member {member}");
            assert!(!net.has_blamed(member, RATER));
            assert!(checkpoints(&net, member).iter().all(|one| one.changes.unproved.is_empty()));
        }
        net.check();
    }
}

/// Somebody else keeps a rater's node busy: that proves nothing against it. But it must not be busy for ever.
#[test]
fn a_node_without_room_is_asked_again_and_not_for_ever() {
    for (demands, is_lost) in [(40, false), (u32::MAX, true)] {
        let mut net = network(61, Links::default());
        let (record, epoch, leaves) = attest(&mut net, honest);
        let top = top(&net, epoch);
        net.show(RATER, record, move |demand| RowProof::new(demand, &top, &leaves));
        net.keep_busy(RATER, demands);
        ask_until_settled(&mut net);
        ask_until_settled(&mut net);
        for member in [0, 1] {
            assert_eq!(!net.unproved(member, epoch).is_empty(), is_lost, "{demands}, member {member}");
        }
        net.check();
    }
}

/// Runs a rater that lies; gives what members refused.
fn lies(
    seed: u64,
    leaves: impl FnOnce(&Sim, &[ProvenReceipt]) -> Vec<Vec<u8>>,
    shown: impl Fn(&Demand, &Accept, &[Vec<u8>]) -> Option<RowProof> + 'static,
) -> (Vec<&'static str>, bool) {
    let mut net = network(seed, Links::default());
    let (record, epoch, leaves) = attest(&mut net, leaves);
    let top = top(&net, epoch);
    net.show(RATER, record, move |demand| shown(demand, &top, &leaves));
    ask_until_settled(&mut net);
    for member in [0, 1] {
        assert_eq!(
            net.unproved(member, epoch),
            [(agent_key(RATER).agent(), 0)],
            "seed {seed}, member {member}"
        );
    }
    assert!(net.unproved(4, epoch).is_empty(), "no member is there");
    // A later checkpoint strikes it out, for everybody.
    let lost = Unproved { rater: agent_key(RATER).agent(), epoch, row: 0 };
    for node in [0, 4] {
        let struck = checkpoints(&net, node).iter().any(|one| one.changes.unproved.contains(&lost));
        assert!(struck, "seed {seed}, node {node}");
    }
    net.check();
    let refusals = net.refusals(0);
    let tries = refusals.values().sum::<u64>();
    assert!(
        (u64::from(PROOF_TRIES_MAX) - 1..=u64::from(PROOF_TRIES_MAX)).contains(&tries),
        "seed {seed}: {refusals:?}"
    );
    (refusals.into_keys().collect(), net.has_blamed(0, RATER))
}

/// What is refused for this reason alone, every time when the rater answered; it may not know the checkpoint at first.
fn all(reason: &'static str) -> Vec<&'static str> {
    vec![reason]
}

#[test]
fn who_shows_nothing_is_asked_several_times_and_loses_the_row() {
    assert_eq!(lies(50, honest, |_, _, _| None), (all("missing"), false));
}

#[test]
fn every_lie_is_refused_by_name_and_costs_who_tells_it() {
    let shown = |demand: &Demand, top: &Accept, leaves: &[Vec<u8>]| RowProof::new(demand, top, leaves);
    // Leaves that lie under the root.
    let of_epoch = |net: &Sim, receipts: &[ProvenReceipt]| {
        let other = RatingEpoch(RatingEpoch::of(receipts[0].accept().made, net.network().genesis()).0 - 1);
        honest(net, &self::receipts(net, other))
    };
    assert_eq!(lies(60, of_epoch, shown), (all("epoch"), true));
    let future = |net: &Sim, receipts: &[ProvenReceipt]| {
        let late = |proven: &ProvenReceipt| {
            let body = ReceiptBody { made: wall(net).plus(EPOCH_MS), ..receipt(proven.accept()) };
            leaf(proven.accept().bytes(), Receipt::sign(body, &agent_key(RATER)).unwrap().bytes())
        };
        receipts.iter().map(late).collect::<Vec<_>>()
    };
    assert_eq!(lies(61, future, shown), (all("future"), true));
    let replayed = |_: &Sim, receipts: &[ProvenReceipt]| vec![receipts[0].leaf(); receipts.len()];
    assert_eq!(lies(62, replayed, shown), (all("replayed"), true));
    let changed = |change: fn(&ProvenReceipt) -> Vec<u8>| {
        move |_: &Sim, receipts: &[ProvenReceipt]| receipts.iter().map(change).collect::<Vec<_>>()
    };
    let quality = |proven: &ProvenReceipt| {
        let body = ReceiptBody { quality: 101, ..receipt(proven.accept()) };
        leaf(proven.accept().bytes(), &signed(&body, &agent_key(RATER)))
    };
    assert_eq!(lies(63, changed(quality), shown), (all("quality"), true));
    let own = |proven: &ProvenReceipt| {
        let accept = AcceptBody { callee: agent_key(RATER).agent(), ..(**proven.accept()).clone() };
        leaf(&signed(&accept, &agent_key(RATER)), proven.receipt().bytes())
    };
    assert_eq!(lies(64, changed(own), shown), (all("self_call"), true));
    let none = |proven: &ProvenReceipt| {
        let body = ReceiptBody { accept: Digest([5; 32]), ..receipt(proven.accept()) };
        leaf(proven.accept().bytes(), Receipt::sign(body, &agent_key(RATER)).unwrap().bytes())
    };
    assert_eq!(lies(65, changed(none), shown), (all("no_accept"), true));
    let forged = |proven: &ProvenReceipt| {
        leaf(proven.accept().bytes(), &signed(&receipt(proven.accept()), &agent_key(2)))
    };
    assert_eq!(lies(66, changed(forged), shown), (all("forged"), true));
    // An honest root, and a path to another one.
    let wrong_path = |demand: &Demand, top: &Accept, leaves: &[Vec<u8>]| {
        let mut proof = RowProof::new(demand, top, leaves)?;
        let mut receipts = proof.receipts.to_vec();
        receipts[0].path = vec![Digest([1; 32]); receipts[0].path.len()].try_into().ok()?;
        proof.receipts = receipts.try_into().ok()?;
        Some(proof)
    };
    assert_eq!(lies(67, honest, wrong_path), (all("merkle_path"), true));
}
