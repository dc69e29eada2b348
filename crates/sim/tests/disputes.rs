//! Raters that show their receipts to some members of the committee and not to others.

#![allow(clippy::unwrap_used, reason = "tests")]

mod rating;

use althing_engine::{Answer, PROOF_TRIES_MAX};
use althing_record::{Kind, RecordId};
use althing_sim::{Sim, agent_key, card};
use althing_trust::{Checkpoint, Outcome, ProvenReceipt, RatingEpoch, RowProof};

use rating::{EPOCH_MS, calls, ended, run_to_middle};

/// An agent that is called and says nothing.
const CALLEE: usize = 6;

/// Four members, three raters and one that is called.
fn network(seed: u64) -> Sim {
    let mut committee: Vec<_> = (0..4).map(|member| agent_key(member).agent()).collect();
    committee.sort_unstable();
    let mut net = Sim::seed(seed).rated(EPOCH_MS, 2).checkpointed(committee, EPOCH_MS).nodes(8);
    for node in 0..8 {
        let _ = net.node(node).publish(card("x"));
    }
    run_to_middle(&mut net);
    net
}

/// Has a rater say how calls of the last rating epoch went. It shows the receipts to everybody.
fn attest(net: &mut Sim, rater: usize) -> (RecordId, RatingEpoch) {
    let epoch = ended(net);
    let receipts = calls(net, [rater, CALLEE], epoch, Outcome::Ok, 6);
    let leaves: Vec<_> = receipts.iter().map(ProvenReceipt::leaf).collect();
    let top = receipts.last().unwrap().accept().clone();
    let said = rating::attest(net, rater, rater, &[(CALLEE, Outcome::Ok, 6)]);
    let Answer::Attested(record) = said else { panic!("{said:?}") };
    net.show(rater, record, move |demand| RowProof::new(demand, &top, &leaves));
    (record, epoch)
}

fn checkpoints(net: &Sim, node: usize) -> Vec<Checkpoint> {
    let records = net.records(node, Kind::Checkpoint);
    records.iter().map(|record| Checkpoint::from_record(record).unwrap()).collect()
}

#[test]
fn rows_that_members_do_not_agree_on_hold_up_nothing_else() {
    for seed in [60, 61] {
        let mut net = network(seed);
        let (one, epoch) = attest(&mut net, 4);
        let (other, _) = attest(&mut net, 5);
        net.show_only_to(4, one, &[2, 3]);
        net.show_only_to(5, other, &[0, 1]);
        for _ in 0..PROOF_TRIES_MAX {
            run_to_middle(&mut net);
        }
        let lost = |net: &Sim, member| net.unproved(member, epoch).into_iter().map(|(rater, _)| rater);
        for (member, rater) in [(0, 4), (1, 4), (2, 5), (3, 5)] {
            assert_eq!(lost(&net, member).collect::<Vec<_>>(), [agent_key(rater).agent()], "seed {seed}");
        }
        let mut latest = Vec::new();
        for _ in 0..5 {
            latest.push(attest(&mut net, 7));
            run_to_middle(&mut net);
        }
        net.run_for(3 * EPOCH_MS);
        for (record, epoch) in latest {
            assert!(net.checkpoint_with(7, epoch, record).is_some(), "seed {seed}, rating epoch {epoch}");
        }
        let decided = |one: &&Checkpoint| net.next_checkpoint(7, one.epoch) == Some(one.id);
        let made = checkpoints(&net, 7);
        assert!(made.iter().filter(decided).all(|one| one.changes.unproved.is_empty()), "seed {seed}");
        assert!(made.iter().any(|one| !one.changes.unproved.is_empty()), "seed {seed}: there was a dispute");
        net.check();
    }
}
