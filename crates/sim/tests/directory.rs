//! Finding everybody through the directory: pages that split and join, whoever is late, and what it costs each node.
//!
//! `ALTHING_SIM_DIRECTORY=1000x100` sets nodes and agents a node for the large test (`tests/run nightly`).

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use althing_engine::{Answer, Ask, Find, Found, MAX_FOUND};
use althing_record::AgentId;
use althing_sim::{Load, Sim, card};

const MINUTE: u64 = 60_000;

/// No node holds more provider records than so many times the mean.
const STORED_MAX: f64 = 3.0;

/// No node answers more lookups or requests than so many times the mean. A search that is content with 20 agents asks
/// those whom the root page names, who are 64 whatever the number of nodes: with 1,000 of them they get 8.5 times as many.
const SERVED_MAX: f64 = 10.0;

/// The id before all others: where going through all agents begins.
const FIRST: AgentId = AgentId([0; 32]);

fn ask(net: &mut Sim, node: usize, query: &str, after: Option<AgentId>, limit: usize) -> Found {
    let find = Find { query: query.parse().unwrap(), limit, after, live: true };
    let no = net.ask(node, Ask::Find(find));
    let Answer::Found(found) = net.answer(no) else { panic!("a search has another answer") };
    found
}

fn agents(found: &Found) -> Vec<AgentId> {
    found.agents.iter().map(|found| found.card.agent).collect()
}

/// Goes through all agents, a part at a time. Also gives the first answer.
fn read_all(net: &mut Sim, node: usize, query: &str) -> (BTreeSet<AgentId>, Found) {
    let (mut all, mut after, mut first) = (BTreeSet::new(), FIRST, None);
    loop {
        let found = ask(net, node, query, Some(after), MAX_FOUND);
        let part = agents(&found);
        assert!(part.is_sorted() && part.first().is_none_or(|agent| *agent > after));
        all.extend(part);
        let goes_on = found.cut;
        if let Some(last) = found.agents.last() {
            after = last.card.agent;
        }
        first.get_or_insert(found);
        if !goes_on {
            return (all, first.unwrap());
        }
    }
}

fn living(net: &Sim) -> BTreeSet<AgentId> {
    (0..net.len()).filter(|node| net.is_up(*node)).flat_map(|node| net.hosted(node)).collect()
}

fn grow(net: &mut Sim, nodes: usize, agents: usize, gap_ms: u64) {
    for _ in 0..nodes {
        let node = net.join_hosting(agents);
        net.node(node).publish_all(&card("translate"));
        net.run_for(gap_ms);
    }
}

/// The largest number, as a multiple of the mean.
fn multiple(loads: &[Load], of: impl Fn(&Load) -> u64) -> f64 {
    let numbers: Vec<u64> = loads.iter().map(of).collect();
    let mean = numbers.iter().sum::<u64>() as f64 / numbers.len() as f64;
    numbers.iter().max().copied().unwrap_or(0) as f64 / mean
}

fn size() -> (usize, usize) {
    let text = std::env::var("ALTHING_SIM_DIRECTORY").unwrap_or_else(|_| "200x3".to_owned());
    let (nodes, agents) = text.split_once('x').unwrap_or_else(|| panic!("expected 1000x100, found {text}"));
    (nodes.parse().unwrap(), agents.parse().unwrap())
}

#[test]
fn a_thousand_agents_of_one_skill_on_fifty_nodes_are_all_found() {
    grow_search_and_shrink(50, 20);
}

#[test]
fn agents_of_one_skill_are_all_found_while_pages_split_and_join() {
    let (nodes, per_node) = size();
    grow_search_and_shrink(nodes, per_node);
}

fn grow_search_and_shrink(nodes: usize, per_node: usize) {
    #[expect(clippy::disallowed_methods, reason = "what the large test took")]
    let clock = std::time::SystemTime::now();
    let told = |what: &str| println!("{:>6.1?} s  {what}", clock.elapsed().unwrap().as_secs_f64());
    let mut net = Sim::seed(41).directory_only();
    grow(&mut net, nodes, per_node, 10 * MINUTE / nodes as u64);
    told("grown");
    net.run_for(25 * MINUTE);
    told("settled");
    let before = net.loads();
    let late = net.join(0);
    let (found, first) = read_all(&mut net, late, "skill:text/translate");
    told(&format!("found {} in {} pages at {} providers", found.len(), first.pages, first.providers));
    let all: BTreeSet<_> = living(&net).into_iter().filter(|agent| *agent != net.agent(late)).collect();
    assert_eq!(found.len(), nodes * per_node);
    assert!(found == all);
    assert_eq!((first.pages_answered, first.providers_silent), (first.pages, 0));
    assert_eq!((first.providers, first.providers_asked), (nodes as u64, nodes as u64));
    assert!(first.pages as usize > nodes / 40, "{} pages", first.pages);

    // What one hour costs in which each node renews and every fifth one looks around.
    for node in (0..nodes).step_by(5) {
        ask(&mut net, node, "skill:text", None, 20);
        net.run_for(60 * MINUTE * 5 / nodes as u64);
    }
    let after = net.loads();
    let loads: Vec<Load> = (0..nodes)
        .map(|node| Load {
            records: after[node].records,
            lookups: after[node].lookups - before[node].lookups,
            requests: after[node].requests - before[node].requests,
        })
        .collect();
    let multiples = [
        multiple(&loads, |load| load.records),
        multiple(&loads, |load| load.lookups),
        multiple(&loads, |load| load.requests),
    ];
    told(&format!("largest by mean: records, lookups, requests {multiples:.1?}"));
    let [stored, looked_up, asked] = multiples;
    assert!(stored <= STORED_MAX && looked_up.max(asked) <= SERVED_MAX, "{multiples:.1?}");

    // Nine of ten go without a word. Their records are forgotten after an hour, and pages join at the next renewal.
    for node in 0..nodes {
        if node % 10 != 0 {
            net.crash(node);
        }
    }
    net.run_for(60 * MINUTE + 40 * MINUTE);
    told("shrunk");
    let last = net.join(0);
    let (found, joined) = read_all(&mut net, last, "skill:text/translate");
    told(&format!("found {} in {} pages at {} providers", found.len(), joined.pages, joined.providers));
    let hosts: BTreeSet<_> = (0..nodes).step_by(10).flat_map(|node| net.hosted(node)).collect();
    assert!(found == hosts, "{} of {}", found.len(), hosts.len());
    assert_eq!(joined.providers_silent, 0, "the dead are forgotten");
    assert!(2 * joined.pages < first.pages, "{} pages", joined.pages);
    net.check();
}
