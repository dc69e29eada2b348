//! Subjects: of decisions that were made side by side on one thing, one is in force, the same on every node.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_ballot::{Rule, Standing};
use althing_engine::{Answer, Ask, ProposalDraft, RefusalKind, SubjectTerms};
use althing_record::{AgentId, RecordId};
use althing_sim::{Sim, closed, motion};

fn on(mut draft: ProposalDraft, after: Option<RecordId>) -> ProposalDraft {
    draft.subject = Some(("budget".to_owned(), after));
    draft
}

fn budget(voters: &[AgentId], after: Option<RecordId>) -> ProposalDraft {
    on(closed(Rule::Majority, &["100", "200"], voters, 600_000), after)
}

fn terms(net: &mut Sim, node: usize, proposal: RecordId) -> SubjectTerms {
    let no = net.node(node).ask(Ask::Vote { proposal, question: None });
    let Answer::Vote(vote) = net.answer(no) else { panic!("node {node} does not know the vote") };
    vote.subject.unwrap()
}

fn all_say(net: &mut Sim, proposal: RecordId, choice: &str) {
    net.run_for(1_000);
    for node in 0..net.len() {
        let no = net.node(node).cast(proposal, choice);
        let answer = net.answer(no);
        assert!(matches!(answer, Answer::Cast { .. }), "{answer:?}");
    }
    net.run_for(3_000);
}

fn refused(net: &mut Sim, node: usize, draft: ProposalDraft) -> String {
    let no = net.node(node).propose(draft);
    let Answer::Refused(refusal) = net.answer(no) else { panic!("it was put") };
    assert_eq!(refusal.kind, RefusalKind::Conflict);
    format!("{}; {}", refusal.cause, refusal.hint.unwrap_or_default())
}

#[test]
fn the_later_decision_names_the_earlier_and_takes_its_place() {
    let mut net = Sim::seed(1).nodes(4);
    net.run_for(1_000);
    let voters = net.agents(0..4);
    let first = net.node(0).proposes(budget(&voters, None));
    assert_eq!(terms(&mut net, 0, first).standing, None, "nothing is decided");
    all_say(&mut net, first, "100");
    assert_eq!(terms(&mut net, 2, first).standing, Some(Standing::InForce));

    let blind = refused(&mut net, 1, budget(&voters, None));
    assert!(blind.contains("is in force") && blind.contains(&format!("--after {first}")), "{blind}");
    let stray = refused(&mut net, 1, budget(&voters, Some(RecordId([7; 32]))));
    assert!(stray.contains("is in force"), "{stray}");
    let elsewhere = refused(&mut net, 1, budget(&voters[..3], Some(first)));
    assert!(elsewhere.contains("nothing is decided"), "the same name with other voters is another subject");

    let second = net.node(1).proposes(budget(&voters, Some(first)));
    all_say(&mut net, second, "200");
    for node in 0..4 {
        assert_eq!(terms(&mut net, node, first).standing, Some(Standing::Superseded(second)));
        assert_eq!(terms(&mut net, node, second).standing, Some(Standing::InForce));
    }
    // What leaves things as they are decides nothing on the subject.
    let third = net.node(2).proposes(on(motion("spend it all?", &voters), Some(second)));
    net.run_for(1_000);
    for node in 0..4 {
        let _ = net.node(node).cast(third, "no");
    }
    net.run_for(3_000);
    assert_eq!(terms(&mut net, 3, third).standing, None);
    assert_eq!(terms(&mut net, 3, second).standing, Some(Standing::InForce));
    assert!(net.run_until_quiet());
    net.check_converged();
}

#[test]
fn of_two_that_were_decided_side_by_side_every_node_holds_the_same_in_force() {
    for seed in 0..8 {
        let mut net = Sim::seed(20 + seed).nodes(4);
        net.run_for(1_000);
        let voters = net.agents(0..4);
        // Neither proposer knows of the other's proposal.
        net.partition(&[0, 1], &[2, 3]);
        let one = net.node(0).proposes(budget(&voters, None));
        let other = net.node(3).proposes(budget(&voters, None));
        net.heal();
        net.run_for(40_000);
        all_say(&mut net, one, "100");
        all_say(&mut net, other, "200");
        let (winner, loser) = (one.min(other), one.max(other));
        for node in 0..4 {
            assert_eq!(terms(&mut net, node, winner).standing, Some(Standing::InForce), "seed {seed}");
            let standing = terms(&mut net, node, loser).standing;
            assert_eq!(standing, Some(Standing::Overruled(Some(winner))), "seed {seed}");
        }
        let next = net.node(1).proposes(budget(&voters, Some(winner)));
        all_say(&mut net, next, "200");
        assert_eq!(terms(&mut net, 2, next).standing, Some(Standing::InForce), "seed {seed}");
        assert!(net.run_until_quiet());
        net.check_converged();
    }
}
