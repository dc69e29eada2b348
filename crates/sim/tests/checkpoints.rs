//! Checkpoints: the committee decides what counts, and every node reads the same from the decisions.

#![allow(clippy::unwrap_used, reason = "tests")]

mod committee;

use althing_ballot::{Choice, leaf};
use althing_engine::{Answer, Ask, CheckpointShown, Q32, ReputationAsk, Taken, Unproved, VoteState};
use althing_record::{AgentId, Content, Digest, Kind, RecordId};
use althing_sim::{Links, Sim, agent_key};
use althing_trust::{CheckpointBody, CheckpointChanges, RatingEpoch};

use committee::{
    EPOCH_MS, LIAR, attest, body, checkpoints, ended, governed, import, link, motion, params,
    run_to_next_epoch, said, spread,
};

/// The checkpoints, oldest first, which are the same on all nodes and agree with what each computed.
fn same_checkpoints(net: &mut Sim) -> Vec<CheckpointShown> {
    let nodes: Vec<_> = (0..net.len()).filter(|node| net.is_up(*node)).collect();
    let mut first = None;
    for node in nodes {
        let shown = checkpoints(net, node);
        assert_eq!(shown.first().and_then(|newest| newest.agrees), Some(true), "node {node}");
        let plain: Vec<_> =
            shown.into_iter().map(|one| CheckpointShown { agrees: None, ..one }).rev().collect();
        assert_eq!(*first.get_or_insert_with(|| plain.clone()), plain, "node {node}");
    }
    first.unwrap()
}

fn network_root(net: &Sim, node: usize) -> Digest {
    net.scores(node).unwrap().network().unwrap().root()
}

/// A checkpoint of a liar, and its motion, taken in by every node.
fn lie(net: &mut Sim, seq: u64, prev: Option<RecordId>, checkpoint: &CheckpointBody) -> RecordId {
    let record = link(net, LIAR, Kind::Checkpoint, seq, body(checkpoint));
    spread(net, &record);
    let motion = motion(net, prev, record.id());
    let proposal = link(net, LIAR, Kind::Proposal, 2 * seq, body(&motion));
    spread(net, &proposal);
    let yes = Content::Leaves(vec![leaf(proposal.id(), &Choice::Option(0))]);
    let ballot = link(net, LIAR, Kind::BallotBatch, 2 * seq + 1, yes);
    spread(net, &ballot);
    proposal.id()
}

fn state(net: &mut Sim, node: usize, proposal: RecordId) -> VoteState {
    let no = net.ask(node, Ask::Vote { proposal, question: None });
    let Answer::Vote(vote) = net.answer(no) else { panic!("node {node} does not know the vote") };
    vote.state
}

/// What the agent of a node said, as another node knows.
fn choice(net: &mut Sim, node: usize, proposal: RecordId, voter: usize) -> Vec<String> {
    let voter = net.agent(voter);
    let no = net.ask(node, Ask::Vote { proposal, question: None });
    let Answer::Vote(vote) = net.answer(no) else { panic!("node {node} does not know the vote") };
    vote.voters.into_iter().find(|one| one.agent == voter).unwrap().choices
}

#[test]
fn the_committee_decides_on_what_was_said_and_every_node_reads_the_same() {
    let mut net = governed(1, &[0, 1, 2, 3], 6);
    for ok in [10, 9, 8] {
        run_to_next_epoch(&mut net);
        for node in [0, 1, 2, 4] {
            attest(&mut net, node, 5, ok);
        }
        net.run_for(EPOCH_MS / 2);
    }
    let chain = same_checkpoints(&mut net);
    assert_eq!(chain.len(), 3, "one for each rating epoch");
    let before: Vec<_> = chain.iter().map(|one| one.prev).collect();
    let ids: Vec<_> = chain.iter().map(|one| one.checkpoint).collect();
    assert_eq!(before, [None, Some(ids[0]), Some(ids[1])]);
    assert_eq!(chain.iter().map(|one| one.taken).collect::<Vec<_>>(), [4; 3]);
    let authors: std::collections::BTreeSet<_> = chain.iter().map(|one| one.author).collect();
    assert_eq!(authors.len(), 3, "members take turns");
    // Nothing came late, so what each node computes from all attestations is what was decided.
    assert_eq!(chain[2].epoch, ended(&net));
    assert_eq!(chain[2].score_root, network_root(&net, 5));
    for one in &chain {
        assert_eq!(net.next_checkpoint(4, one.epoch), Some(one.checkpoint));
    }
    assert_eq!(net.next_checkpoint(4, RatingEpoch(ended(&net).0 + 1)), None);

    // Nothing new was said: nothing is decided.
    net.run_for(5 * EPOCH_MS);
    assert_eq!(same_checkpoints(&mut net).len(), 3);

    // Who comes later, and who starts again, read the same.
    net.join(0);
    net.crash(2);
    net.restart(2);
    net.run_for(60_000);
    assert_eq!(same_checkpoints(&mut net).len(), 3);
    assert!(net.run_until_quiet());
    net.check_converged();
}

#[test]
fn a_network_without_a_committee_has_no_checkpoints() {
    let mut net = governed(2, &[], 4);
    for _ in 0..3 {
        run_to_next_epoch(&mut net);
        attest(&mut net, 0, 3, 10);
        net.run_for(EPOCH_MS / 2);
    }
    assert_eq!(checkpoints(&mut net, 0), []);
    assert!(net.records(0, Kind::Proposal).is_empty() && net.records(0, Kind::Checkpoint).is_empty());
}

#[test]
fn silent_members_are_passed_over_in_turn() {
    let mut net = governed(3, &[0, 1, 2, 3], 5);
    net.crash(3);
    for ok in [10, 9, 8, 7, 6] {
        run_to_next_epoch(&mut net);
        for node in [0, 1, 4] {
            attest(&mut net, node, 2, ok);
        }
        net.run_for(3 * EPOCH_MS / 2);
    }
    net.run_for(2 * EPOCH_MS);
    let chain = same_checkpoints(&mut net);
    assert!(chain.len() >= 4, "{}", chain.len());
    assert_eq!(chain.iter().map(|one| one.taken).sum::<u64>(), 15);
    net.restart(3);
    net.run_for(EPOCH_MS);
    same_checkpoints(&mut net);
}

#[test]
fn what_comes_late_counts_in_the_next_checkpoint() {
    let mut net = governed(4, &[0, 1, 2, 3], 6);
    run_to_next_epoch(&mut net);
    let epoch = ended(&net);
    net.partition(&[0, 1, 2, 3, 5], &[4]);
    let late = attest(&mut net, 4, 5, 0);
    let known = attest(&mut net, 0, 5, 10);
    net.run_for(EPOCH_MS / 2);
    let first = checkpoints(&mut net, 1);
    assert_eq!((first.len(), first[0].epoch, first[0].taken), (1, epoch, 1));
    net.heal();
    run_to_next_epoch(&mut net);
    attest(&mut net, 0, 5, 10);
    net.run_for(EPOCH_MS / 2);
    let chain = same_checkpoints(&mut net);
    assert_eq!(chain.iter().map(|one| one.taken).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(chain[1].score_root, network_root(&net, 4));
    for node in 0..6 {
        assert_eq!(net.checkpoint_with(node, epoch, known), Some(chain[0].checkpoint));
        assert_eq!(net.checkpoint_with(node, epoch, late), Some(chain[1].checkpoint));
        assert_eq!(net.checkpoint_with(node, epoch, RecordId([7; 32])), None);
    }
}

#[test]
fn loss_crashes_and_partitions_never_make_two_chains() {
    for seed in 10..13 {
        let mut net = governed(seed, &[0, 1, 2, 3, 4], 7);
        net.set_links(Links::lossy(15));
        for round in 0..6_u8 {
            run_to_next_epoch(&mut net);
            for node in [0, 2, 5, 6] {
                let body = Box::new(said(ended(&net), 1, round));
                let agent = agent_key(node).agent();
                net.ask(node, Ask::Attest { agent, body });
            }
            match round {
                1 => net.partition(&[0, 1, 2], &[3, 4, 5, 6]),
                2 => net.heal(),
                3 => net.crash_after_next_guard(2),
                4 => net.lose_power(4),
                _ => {}
            }
            net.run_for(EPOCH_MS);
            (0..7).for_each(|node| net.restart(node));
        }
        net.spare();
        net.set_links(Links::default());
        net.heal();
        net.run_for(4 * EPOCH_MS);
        (0..7).for_each(|node| net.restart(node));
        net.run_for(4 * EPOCH_MS);
        let chain = same_checkpoints(&mut net);
        assert!(chain.len() >= 2, "seed {seed}: {}", chain.len());
        assert!(net.run_until_quiet(), "seed {seed}");
        net.check_converged();
        let count = net.records(0, Kind::Attestations).len() as u64;
        assert_eq!(
            chain.iter().map(|one| one.taken).sum::<u64>(),
            count,
            "seed {seed}: all that was said counts"
        );
    }
}

#[test]
fn a_member_that_proposes_something_else_than_all_compute_is_outvoted_by_name() {
    let mut net = governed(5, &[0, 1, 2, LIAR], 5);
    run_to_next_epoch(&mut net);
    let first = attest(&mut net, 0, 4, 10);
    net.run_for(EPOCH_MS);
    net.run_for(2 * EPOCH_MS);
    let chain = same_checkpoints(&mut net);
    let tip = chain[0].clone();
    let epoch = ended(&net);
    let root = (Digest([6; 32]), 2);
    let prev = Some(tip.checkpoint);
    let taken = |taken: &[(RatingEpoch, RecordId)]| CheckpointChanges {
        taken: taken.to_vec(),
        ..CheckpointChanges::default()
    };
    let plain = taken(&[]).body(epoch, prev, root, params(&net)).unwrap();
    let again = taken(&[(tip.epoch, first)]).body(epoch, prev, root, params(&net)).unwrap();
    let stranger = net.records(0, Kind::Proposal)[0].id();
    let foreign = taken(&[(epoch, stranger)]).body(epoch, prev, root, params(&net)).unwrap();
    let row = Unproved { rater: net.agent(3), epoch: tip.epoch, row: 0 };
    let changes = CheckpointChanges { unproved: vec![row], ..CheckpointChanges::default() };
    let struck = changes.body(epoch, prev, root, params(&net)).unwrap();
    let changes = CheckpointChanges { cleared: vec![net.agent(0)], ..CheckpointChanges::default() };
    let cleared = changes.body(epoch, prev, root, params(&net)).unwrap();
    let others = CheckpointBody { params_hash: Digest([1; 32]), ..plain.clone() };
    let old = CheckpointBody { prev: None, ..plain.clone() };
    let said = [
        (plain, "its scores are not those"),
        (again, "was taken before"),
        (foreign, "is no attestation"),
        (struck, "is proved, or was not demanded"),
        (cleared, "is not slashed"),
        (others, "other parameters"),
        (old, "does not follow"),
    ];
    for (seq, (checkpoint, cause)) in (1..).zip(said) {
        let from = net.log().len();
        let proposal = lie(&mut net, seq, prev, &checkpoint);
        net.run_for(230_000);
        for node in 0..5 {
            let state = state(&mut net, node, proposal);
            assert_eq!(state, VoteState::Decided { option: "no".into() }, "node {node}: {cause}");
        }
        let told = net.log()[from..].iter().filter(|line| line.contains(cause)).count();
        assert!(told >= 3, "three members say why: {cause}\n{}", net.log()[from..].join("\n"));
    }
    // What is not here is waited for. In the end the liar alone has voted, and one yes is no quorum.
    let missing = taken(&[(epoch, RecordId([5; 32]))]).body(epoch, prev, root, params(&net)).unwrap();
    let future = taken(&[]).body(RatingEpoch(epoch.0 + 100), prev, root, params(&net)).unwrap();
    for (seq, checkpoint) in [(20, missing), (21, future)] {
        let proposal = lie(&mut net, seq, prev, &checkpoint);
        net.run_for(230_000);
        let rejected = VoteState::Rejected { cause: "no quorum".into() };
        assert_eq!(state(&mut net, 4, proposal), rejected);
        assert_eq!(choice(&mut net, 4, proposal, 1), Vec::<String>::new());
    }
    assert_eq!(same_checkpoints(&mut net), chain);
    // And honest members go on.
    run_to_next_epoch(&mut net);
    attest(&mut net, 1, 4, 9);
    net.run_for(4 * EPOCH_MS);
    assert_eq!(same_checkpoints(&mut net).len(), 2);
}

#[test]
fn proposals_of_strangers_on_the_same_subject_are_no_motions() {
    let mut net = governed(6, &[0, 1, 2], 5);
    run_to_next_epoch(&mut net);
    let stranger = 4;
    let checkpoint =
        CheckpointChanges::default().body(RatingEpoch(0), None, (Digest([6; 32]), 0), params(&net));
    let record = link(&net, stranger, Kind::Checkpoint, 1, body(&checkpoint.unwrap()));
    let taken = net.node(0).imports(&record);
    assert!(matches!(&taken, Taken::Unwanted(cause) if cause.contains("does not decide")), "{taken:?}");
    let motion = motion(&net, None, record.id());
    let proposal = link(&net, stranger, Kind::Proposal, 1, body(&motion));
    spread(&mut net, &proposal);
    net.run_for(10_000);
    assert_eq!(choice(&mut net, 1, proposal.id(), 0), Vec::<String>::new(), "nobody votes by itself");
    for node in 0..3 {
        let no = net.node(node).cast(proposal.id(), "yes");
        assert!(matches!(net.answer(no), Answer::Cast { .. }));
    }
    net.run_for(5_000);
    assert_eq!(state(&mut net, 4, proposal.id()), VoteState::Decided { option: "yes".into() });
    assert_eq!(checkpoints(&mut net, 4), []);
}

#[test]
fn a_struck_row_counts_nothing_on_any_node_whenever_it_came() {
    let mut net = governed(7, &[0, 1, 2, LIAR], 6);
    run_to_next_epoch(&mut net);
    let epoch = ended(&net);
    attest(&mut net, 0, 5, 10);
    attest(&mut net, 1, 5, 10);
    net.run_for(3 * EPOCH_MS);
    let with_row = network_root(&net, 4);
    let tip = same_checkpoints(&mut net)[0].clone();
    // More members than may be are faulty: they vote before they can see what it is about.
    let row = Unproved { rater: net.agent(1), epoch, row: 0 };
    let changes = CheckpointChanges { unproved: vec![row], ..CheckpointChanges::default() };
    let new = RatingEpoch(tip.epoch.0 + 1);
    let checkpoint = changes.body(new, Some(tip.checkpoint), (Digest([6; 32]), 3), params(&net)).unwrap();
    let record = link(&net, LIAR, Kind::Checkpoint, 1, body(&checkpoint));
    let motion = motion(&net, Some(tip.checkpoint), record.id());
    let proposal = link(&net, LIAR, Kind::Proposal, 1, body(&motion));
    spread(&mut net, &proposal);
    net.run_for(5_000);
    for node in 0..3 {
        let no = net.node(node).cast(proposal.id(), "yes");
        assert!(matches!(net.answer(no), Answer::Cast { .. }));
    }
    let yes = Content::Leaves(vec![leaf(proposal.id(), &Choice::Option(0))]);
    let ballot = link(&net, LIAR, Kind::BallotBatch, 2, yes);
    spread(&mut net, &ballot);
    net.run_for(100_000);
    assert_eq!(checkpoints(&mut net, 5).len(), 1, "what was decided is not here");
    import(&mut net, 0, &record);
    net.run_for(5 * EPOCH_MS);
    let shown: Vec<_> = (0..6).map(|node| checkpoints(&mut net, node)).collect();
    for (node, shown) in shown.iter().enumerate() {
        assert_eq!((shown.len(), shown[0].checkpoint, &*shown[0].unproved), (2, record.id(), &[row][..]));
        assert_eq!(shown[0].agrees, Some(false), "node {node} sees that the scores are invented");
    }
    let roots: Vec<_> = (0..6).map(|node| network_root(&net, node)).collect();
    assert_eq!(roots, vec![roots[0]; 6]);
    assert_ne!(roots[0], with_row);
    // A node that hears of the row after it was struck out, and one that starts again.
    let late = net.join(0);
    net.crash(3);
    net.restart(3);
    net.run_for(EPOCH_MS);
    assert_eq!([network_root(&net, late), network_root(&net, 3)], [network_root(&net, 0); 2]);
    let of = net.agent(5);
    let no = net.ask(late, Ask::Reputation(ReputationAsk::Show { agent: of }));
    let Answer::Reputation(shown) = net.answer(no) else { panic!("no reputation") };
    let raters: Vec<_> = shown.raters.iter().map(|one| one.rater).collect();
    assert_eq!(raters, [net.agent(0)]);
    let no = net.ask(late, Ask::Reputation(ReputationAsk::Grounds { agent: of, goal: Q32::ONE }));
    let Answer::Grounds(grounds) = net.answer(no) else { panic!("no grounds") };
    let rows: Vec<_> = grounds.rows.iter().map(|one| (one.row.rater, one.is_struck, one.struck_by)).collect();
    assert_eq!(rows, [(net.agent(0), false, None), (net.agent(1), true, Some(record.id()))]);
}

#[test]
fn a_node_without_the_ledger_has_the_scores_of_checkpoints_with_their_proofs() {
    let mut net = governed(8, &[0, 1, 2], 5);
    let bare = net.join_without_ledger();
    let (node, of) = (net.agent(bare), net.agent(4));
    let show = |net: &mut Sim, node: usize, agent: AgentId| {
        let no = net.ask(node, Ask::Reputation(ReputationAsk::Show { agent }));
        let Answer::Reputation(shown) = net.answer(no) else { panic!("no reputation") };
        *shown
    };
    assert_eq!(show(&mut net, bare, of).checkpointed, None);
    for ok in [10, 7] {
        run_to_next_epoch(&mut net);
        for node in [0, 1, 2, bare] {
            attest(&mut net, node, 4, ok);
        }
        net.run_for(EPOCH_MS / 2);
    }
    net.run_for(2 * EPOCH_MS);
    let decided = checkpoints(&mut net, 0);
    let plain: Vec<_> = decided.iter().map(|one| one.checkpoint).collect();
    let there: Vec<_> = checkpoints(&mut net, bare).iter().map(|one| one.checkpoint).collect();
    assert_eq!((there, plain.len()), (plain, 2), "it reads what was decided");
    assert_eq!(checkpoints(&mut net, bare)[0].agrees, None);
    let (known, told) = (show(&mut net, 0, of), show(&mut net, bare, of));
    let (computed, proved) = (known.checkpointed.unwrap(), told.checkpointed.unwrap());
    assert_eq!((computed.checkpoint, computed.epoch), (proved.checkpoint, proved.epoch));
    assert!(computed.standing.is_some() && computed.standing == proved.standing);
    assert!(computed.told_by.is_none() && proved.told_by.is_some());
    assert_eq!((told.keeps_ledger, told.network, told.seen), (false, None, None));
    // Its own word is in the ledger of the others, and the word of others is not here.
    assert_eq!(net.records(bare, Kind::Attestations).len(), 2);
    assert_eq!(net.records(0, Kind::Attestations).len(), 8);
    // Of somebody whom nobody rated there is none, whoever is asked.
    let unknown = show(&mut net, bare, agent_key(77).agent()).checkpointed.unwrap();
    assert_eq!((unknown.checkpoint, unknown.standing), (proved.checkpoint, None));
    // A node that damages its answers is passed over.
    (0..4).for_each(|node| net.garble(node, true));
    let raters = show(&mut net, bare, node).checkpointed.unwrap();
    assert!(raters.standing.is_none() || raters.told_by.is_some());
    // Without anybody to ask it says what it knows.
    (0..5).for_each(|node| net.crash(node));
    let other = net.agent(1);
    let alone = show(&mut net, bare, other).checkpointed.unwrap();
    assert_eq!((alone.checkpoint, alone.standing), (proved.checkpoint, None));
    assert_eq!(show(&mut net, bare, of).checkpointed.unwrap(), proved, "what was proved is remembered");
}
