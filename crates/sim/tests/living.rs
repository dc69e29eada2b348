//! Who is served where: agents that are killed, that move, and that live at a node with a wrong clock.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use althing_card::LEASE_LIFETIME_MS;
use althing_engine::{Answer, Ask};
use althing_record::{AgentId, Kind, Millis, NodeId};
use althing_sim::{Links, Sim, card};

/// Agents, and the nodes that serve them.
type Served = BTreeMap<AgentId, BTreeSet<NodeId>>;

/// Which agents with this card a node says are served, each with the nodes that serve it.
fn served(net: &mut Sim, node: usize, live: bool) -> Served {
    let find = net.node(node).find("text/translate", live);
    let Answer::Found(found) = net.answer(find) else { panic!("a search has another answer") };
    let agents = found.agents.into_iter().filter(|found| !found.card.leases.is_empty());
    agents
        .map(|found| (found.card.agent, found.card.leases.iter().map(|lease| lease.node).collect()))
        .collect()
}

/// At how many nodes an agent is served, as the answer to "where is it" says.
fn places(net: &mut Sim, node: usize, agent: AgentId) -> usize {
    let ask = net.node(node).ask(Ask::Card { agent });
    let Answer::Card(card) = net.answer(ask) else { panic!("node {node} does not know the card") };
    card.leases.len()
}

/// Nodes whose agents have published the same skill, and know each other.
fn published(mut net: Sim) -> Sim {
    net.run_for(5_000);
    for node in 0..net.len() {
        let publish = net.node(node).publish(card("translate"));
        assert!(matches!(net.answer(publish), Answer::Published(_)));
    }
    net.run_for(60_000);
    net
}

#[test]
fn killed_agent_is_gone_from_every_answer_within_one_lease() {
    for seed in 40..46 {
        // From just after a renewal to just before the next one.
        let mut net = published(Sim::seed(seed).links(Links::lossy(5)).nodes(6));
        net.run_for((seed - 40) * Millis::MINUTE);
        let killed = net.agent(2);
        net.crash(2);
        let end = net.time() + LEASE_LIFETIME_MS;
        let alive = [0, 1, 3, 4, 5];
        for node in alive {
            assert!(served(&mut net, node, false).contains_key(&killed), "seed {seed}: node {node} knew it");
        }
        net.run_for(end - net.time());
        for node in alive {
            for live in [false, true] {
                let served = served(&mut net, node, live);
                assert!(!served.contains_key(&killed), "seed {seed}: node {node}, live: {live}");
                assert_eq!(served.len(), 5, "seed {seed}: the others stay");
            }
            assert_eq!(places(&mut net, node, killed), 0, "seed {seed}: node {node}");
        }
        net.check();
    }
}

/// Who first hears of a lease near its end cannot tell a slow clock of its own from a dead agent: it adds the ten
/// minutes that clocks may be off, and no more.
#[test]
fn killed_agent_is_gone_for_late_joiners_within_one_lease_and_the_clock_bound() {
    let mut net = published(Sim::seed(47).nodes(4));
    let killed = net.agent(2);
    net.crash(2);
    let end = net.time() + LEASE_LIFETIME_MS;
    net.run_for(8 * Millis::MINUTE);
    let late = net.join(0);
    net.run_for(5_000);
    assert_eq!(places(&mut net, late, killed), 1);
    net.run_for(end + 10 * Millis::MINUTE - net.time());
    for node in [0, 1, 3, late] {
        assert_eq!(places(&mut net, node, killed), 0, "node {node}");
    }
    net.check();
}

#[test]
fn moved_agent_is_found_at_its_new_place_and_is_one_agent() {
    for seed in 50..53 {
        let mut net = published(Sim::seed(seed).nodes(4));
        let moved = net.agent(1);
        let before = served(&mut net, 0, false)[&moved].clone();
        let [card, inception] = [Kind::Card, Kind::Inception].map(|kind| {
            net.records(0, kind).into_iter().find(|record| record.agent() == moved).unwrap().id()
        });
        net.crash(1);
        let end = net.time() + LEASE_LIFETIME_MS;
        // The key is taken to a fresh node; nobody publishes anything again.
        let new = net.host_elsewhere(1);
        net.run_for(10_000);
        let others = [0, 2, 3, new];
        for node in others {
            let at = served(&mut net, node, true).remove(&moved).unwrap();
            assert_eq!(at.difference(&before).count(), 1, "seed {seed}: node {node} knows the new place");
        }
        net.run_for(end - net.time());
        for node in others {
            let at = served(&mut net, node, true).remove(&moved).unwrap();
            assert!(at.is_disjoint(&before), "seed {seed}: node {node} has forgotten the old place");
            assert_eq!(at.len(), 1);
            let of = |kind| {
                let records = net.records(node, kind).into_iter().filter(|record| record.agent() == moved);
                records.map(|record| record.id()).collect::<Vec<_>>()
            };
            assert_eq!(of(Kind::Inception), [inception], "seed {seed}: one identity");
            assert_eq!(of(Kind::Card), [card], "seed {seed}: one card");
        }
        assert!(net.run_until_quiet());
        net.check_converged();
    }
}

/// What one node answers: who is served where, and whether its own clock seems right to it.
type Answered = (Served, bool);

/// What every node but the last one answers, minute by minute.
fn half_an_hour(seed: u64, skew_ms: i64) -> Vec<Vec<Answered>> {
    let mut net = Sim::seed(seed).nodes(4);
    let skewed = net.join(skew_ms);
    let mut net = published(net);
    let mut answers = Vec::new();
    for _ in 0..30 {
        net.run_for(Millis::MINUTE);
        let now: Vec<_> = (0..skewed)
            .map(|node| {
                let ask = net.node(node).ask(Ask::Status);
                let Answer::Status(status) = net.answer(ask) else { panic!("a status has another answer") };
                let is_right =
                    status.clock_offset_ms.is_some_and(|offset| offset.unsigned_abs() < Millis::MINUTE);
                (served(&mut net, node, false), is_right)
            })
            .collect();
        answers.push(now);
        assert_eq!(
            served(&mut net, skewed, false).len(),
            5,
            "seed {seed}, {skew_ms} ms: the skewed node finds all"
        );
    }
    net.check();
    answers
}

#[test]
fn clock_ten_minutes_off_on_one_node_changes_no_answer_of_others() {
    for seed in 60..62 {
        let right = half_an_hour(seed, 0);
        assert!(
            right.iter().flatten().all(|(served, is_right)| served.len() == 5 && *is_right),
            "seed {seed}"
        );
        for minutes in [-10, 10] {
            let skewed = half_an_hour(seed, minutes * 60_000);
            for (minute, (right, skewed)) in right.iter().zip(&skewed).enumerate() {
                assert_eq!(right, skewed, "seed {seed}, {minutes} min, at minute {minute}");
            }
        }
    }
}
