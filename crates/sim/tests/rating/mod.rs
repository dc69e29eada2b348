//! Calls that nobody made, and what raters say of them.

#![allow(dead_code, reason = "not every test file needs all of it")]

use althing_engine::{Answer, Ask, AttestationsBody};
use althing_record::{Millis, NodeKey};
use althing_sim::{Sim, WALL_START, agent_key};
use althing_trust::{
    Accept, AcceptBody, Call, CallBody, Outcome, ProvenReceipt, RatingEpoch, Receipt, ReceiptBody, Summary,
    TaskId, request_head_hash,
};

pub(crate) const EPOCH_MS: u64 = 60_000;

pub(crate) fn wall(net: &Sim) -> Millis {
    WALL_START.plus(net.time())
}

/// The rating epoch that ended last.
pub(crate) fn ended(net: &Sim) -> RatingEpoch {
    RatingEpoch(RatingEpoch::of(wall(net), net.network().genesis()).0 - 1)
}

/// So many calls of one node's agent to another's in a rating epoch, which all end so.
pub(crate) fn calls(
    net: &Sim,
    [by, to]: [usize; 2],
    epoch: RatingEpoch,
    outcome: Outcome,
    count: u64,
) -> Vec<ProvenReceipt> {
    let genesis = net.network().genesis();
    let begin = genesis.created.plus(epoch.0 * genesis.rating_epoch_ms);
    let (caller, callee) = (agent_key(by), agent_key(to));
    (1..=count)
        .map(|index| {
            let mut task = [u8::try_from(index).unwrap(); 16];
            task[..8].copy_from_slice(&epoch.0.to_be_bytes());
            let body = CallBody {
                network: net.network().id(),
                caller: caller.agent(),
                callee: callee.agent(),
                task: TaskId(task),
                caller_node: NodeKey::from_seed(&[1; 32]).node(),
                request_head_hash: request_head_hash(b""),
                made: begin.plus(index),
                key: None,
            };
            let call = Call::sign(body, &caller).unwrap();
            let accept = Accept::sign(AcceptBody::to(&call, index, begin.plus(index)), &callee).unwrap();
            let missed = ReceiptBody::timeout(&accept, 5, begin.plus(index));
            let quality = if outcome == Outcome::Ok { 100 } else { 0 };
            let receipt = Receipt::sign(ReceiptBody { outcome, quality, ..missed }, &caller).unwrap();
            ProvenReceipt::new(accept, receipt).unwrap()
        })
        .collect()
}

pub(crate) fn body(
    net: &Sim,
    by: usize,
    epoch: RatingEpoch,
    to: &[(usize, Outcome, u64)],
) -> AttestationsBody {
    let receipts: Vec<_> =
        to.iter().flat_map(|(to, outcome, count)| calls(net, [by, *to], epoch, *outcome, *count)).collect();
    Summary::new(agent_key(by).agent(), epoch, &receipts, net.network().genesis()).body
}

/// Has a node say how its agent's calls of the last rating epoch went.
pub(crate) fn attest(net: &mut Sim, node: usize, by: usize, to: &[(usize, Outcome, u64)]) -> Answer {
    let body = Box::new(body(net, by, ended(net), to));
    let no = net.ask(node, Ask::Attest { agent: agent_key(by).agent(), body });
    net.answer(no)
}

/// Runs to the middle of a rating epoch: every clock is in the same one.
pub(crate) fn run_to_middle(net: &mut Sim) {
    let genesis = net.network().genesis().created;
    let into = wall(net).since(genesis) % EPOCH_MS;
    net.run_for(EPOCH_MS + EPOCH_MS / 2 - into);
}
