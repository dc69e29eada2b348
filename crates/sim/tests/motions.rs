//! Members that move for checkpoints in bad faith: the others go on.

#![allow(clippy::unwrap_used, reason = "tests")]

mod committee;

use althing_ballot::{
    Choice, ClosedTerms, Electorate, ProposalBody, Question, Quorum, Rule, WINDOW_MS_MAX, leaf,
};
use althing_engine::{Answer, Ask, Taken};
use althing_record::{Content, Digest, Kind, Record, RecordId};
use althing_sim::{Sim, agent_key};
use althing_trust::{Attestations, CheckpointBody, CheckpointChanges, Ledger, Params, RatingEpoch};

use committee::{
    EPOCH_MS, LIAR, WINDOW_MS, attest, body, checkpoints, ended, governed, import, link, motion, motion_of,
    params, run_to_next_epoch, spread,
};

/// A checkpoint that is right: the first one, with all that was said.
fn right(net: &Sim, epoch: RatingEpoch) -> CheckpointBody {
    let genesis = net.network().genesis();
    let (mut ledger, mut taken) = (Ledger::default(), Vec::new());
    for record in net.records(0, Kind::Attestations) {
        let said = Attestations::from_record(&record, genesis).unwrap();
        ledger.apply(said.id, said.rater, said.epoch, &said.ratings());
        taken.push((said.epoch, said.id));
    }
    taken.sort_unstable();
    let anchors = genesis.anchors.iter().copied().collect();
    let scores = ledger.view(epoch).scores(&Params { anchors, ..Params::default() }).unwrap();
    let agents = u32::try_from(scores.iter().len()).unwrap();
    let changes = CheckpointChanges { taken, ..CheckpointChanges::default() };
    changes.body(epoch, None, (scores.root(), agents), params(net)).unwrap()
}

/// Something to decide on in each of so many rating epochs.
fn go_on(net: &mut Sim, epochs: u8) {
    for ok in 0..epochs {
        run_to_next_epoch(net);
        attest(net, 1, 4, ok);
    }
}

fn voters(net: &mut Sim, proposal: RecordId) -> usize {
    let no = net.ask(1, Ask::Vote { proposal, question: None });
    let Answer::Vote(vote) = net.answer(no) else { panic!("the vote is not known") };
    vote.voters.iter().filter(|voter| !voter.choices.is_empty()).count()
}

#[test]
fn a_right_checkpoint_in_a_motion_of_another_form_binds_nobody() {
    let quorum = Some(Quorum::Weight(3));
    for (seed, window_ms, quorum) in
        [(1, WINDOW_MS_MAX, quorum), (2, WINDOW_MS, None), (3, WINDOW_MS, Some(Quorum::Weight(1)))]
    {
        let mut net = governed(seed, &[0, 1, 2, LIAR], 5);
        run_to_next_epoch(&mut net);
        attest(&mut net, 0, 4, 10);
        net.run_for(3_000);
        let checkpoint = link(&net, LIAR, Kind::Checkpoint, 1, body(&right(&net, ended(&net))));
        spread(&mut net, &checkpoint);
        let motion = motion_of(&net, (None, checkpoint.id()), window_ms, quorum);
        let proposal = link(&net, LIAR, Kind::Proposal, 1, body(&motion));
        spread(&mut net, &proposal);
        go_on(&mut net, 4);
        net.run_for(EPOCH_MS);
        assert_eq!(voters(&mut net, proposal.id()), 0, "seed {seed}");
        let shown = checkpoints(&mut net, 4);
        assert!(shown.len() >= 3, "seed {seed}: {}", shown.len());
        net.check();
    }
}

#[test]
fn a_right_checkpoint_of_a_member_without_a_node_is_decided() {
    let mut net = governed(4, &[0, 1, 2, LIAR], 5);
    run_to_next_epoch(&mut net);
    attest(&mut net, 0, 4, 10);
    net.run_for(3_000);
    let checkpoint = link(&net, LIAR, Kind::Checkpoint, 1, body(&right(&net, ended(&net))));
    spread(&mut net, &checkpoint);
    let proposal = link(&net, LIAR, Kind::Proposal, 1, body(&motion(&net, None, checkpoint.id())));
    spread(&mut net, &proposal);
    net.run_for(3 * WINDOW_MS);
    let shown = checkpoints(&mut net, 4);
    assert_eq!(shown.first().map(|one| (one.checkpoint, one.agrees)), Some((checkpoint.id(), Some(true))));
}

/// A motion for a checkpoint that does not exist.
fn empty_motion(net: &mut Sim, seq: u64) -> Record {
    let prev = checkpoints(net, 0).first().map(|newest| newest.checkpoint);
    let mut id = [7; 32];
    id[..8].copy_from_slice(&seq.to_be_bytes());
    link(net, LIAR, Kind::Proposal, seq, body(&motion(net, prev, RecordId(id))))
}

#[test]
fn motions_for_what_does_not_exist_hold_up_nobody_for_long() {
    let mut net = governed(5, &[0, 1, 2, LIAR], 5);
    let mut seq = 1;
    for ok in 0..8 {
        run_to_next_epoch(&mut net);
        attest(&mut net, 1, 4, ok);
        // One comes before every other is over.
        for _ in 0..9 {
            let motion = empty_motion(&mut net, seq);
            spread(&mut net, &motion);
            seq += 1;
            net.run_for(6_000);
        }
    }
    net.run_for(EPOCH_MS);
    let shown = checkpoints(&mut net, 4);
    assert!(shown.len() >= 4, "{}", shown.len());
    assert!(shown.iter().all(|one| one.author != agent_key(LIAR).agent()));
    net.check();
}

#[test]
fn more_motions_than_are_looked_at_keep_nobody_from_the_next() {
    let mut net = governed(6, &[0, 1, 2, LIAR], 5);
    for round in 0..3_u64 {
        run_to_next_epoch(&mut net);
        attest(&mut net, 1, 4, 9);
        let epoch = ended(&net);
        let prev = checkpoints(&mut net, 0).first().map(|newest| newest.checkpoint);
        // Each names a checkpoint of its own, with scores of its own, and more came to one node than to another.
        for n in 0..40 {
            let seq = 1 + 40 * round + n;
            let mut root = [6; 32];
            root[..8].copy_from_slice(&seq.to_be_bytes());
            let changes = CheckpointChanges::default();
            let wrong = changes.body(epoch, prev, (Digest(root), 3), params(&net)).unwrap();
            let wrong = link(&net, LIAR, Kind::Checkpoint, seq, body(&wrong));
            let proposal = link(&net, LIAR, Kind::Proposal, seq, body(&motion(&net, prev, wrong.id())));
            let yes = Content::Leaves(vec![leaf(proposal.id(), &Choice::Option(0))]);
            let ballot = link(&net, LIAR, Kind::BallotBatch, seq, yes);
            let node = usize::try_from(n % 3).unwrap();
            for record in [wrong, proposal, ballot] {
                import(&mut net, node, &record);
            }
        }
        net.run_for(2 * EPOCH_MS);
    }
    net.run_for(3 * EPOCH_MS);
    let shown = checkpoints(&mut net, 4);
    assert!(shown.len() >= 3, "{}", shown.len());
    assert!(shown.iter().all(|one| one.agrees != Some(false)));
    net.check();
}

#[test]
fn votes_of_strangers_leave_room_for_motions() {
    let mut net = governed(7, &[0, 1, 2, 3], 5);
    for stranger in 100..116 {
        let voters = Electorate::equal(vec![agent_key(stranger).agent()]).unwrap();
        let terms = ClosedTerms { by_committee: true, ..ClosedTerms::default() };
        let records: Vec<_> = (0..64_u8)
            .map(|n| {
                let question = Question {
                    text: "is anybody there",
                    options: &[],
                    rule: Rule::Majority,
                    electorate: &voters,
                    window_ms: WINDOW_MS_MAX,
                    nonce: [n; 8],
                };
                let proposal = ProposalBody::closed(&question, &terms).unwrap();
                link(&net, stranger, Kind::Proposal, 1 + u64::from(n), body(&proposal))
            })
            .collect();
        for node in 0..4 {
            let no = net.ask(node, Ask::Import { records: records.clone() });
            let Answer::Imported(taken) = net.answer(no) else { panic!("no import") };
            assert!(taken.iter().all(|taken| matches!(taken, Taken::New | Taken::Known)), "{taken:?}");
        }
    }
    go_on(&mut net, 3);
    net.run_for(EPOCH_MS);
    let shown = checkpoints(&mut net, 4);
    assert!(shown.len() >= 2, "{}", shown.len());
    // So it is after a start.
    (0..4).for_each(|node| net.crash(node));
    (0..4).for_each(|node| net.restart(node));
    go_on(&mut net, 3);
    net.run_for(EPOCH_MS);
    assert!(checkpoints(&mut net, 4).len() > shown.len());
}
