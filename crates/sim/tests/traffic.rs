//! What the ledger of ratings costs each node of a network.

#![allow(clippy::unwrap_used, reason = "tests")]

mod rating;

use althing_engine::Answer;
use althing_sim::{Sim, Traffic};
use althing_trust::Outcome;

use rating::{EPOCH_MS, attest, run_to_middle};

/// A rating epoch is a day; reconciliation goes on all the time.
const DAY_MS: u64 = 24 * 3_600_000;

/// What a node may send of ratings a day in a network of 1,000, and as much it gets.
const BYTES_A_DAY_MAX: u64 = 100_000_000;

/// Nodes, and how many others each of them calls in a rating epoch.
fn size() -> (usize, usize) {
    let text = std::env::var("ALTHING_SIM_LEDGER").unwrap_or_else(|_| "40x10".to_owned());
    let (nodes, relations) = text.split_once('x').unwrap_or_else(|| panic!("expected 1000x30, found {text}"));
    (nodes.parse().unwrap(), relations.parse().unwrap())
}

/// Whatever the number of calls: one receipt of each relation stands for a day of them, since rows hold counts.
#[test]
fn a_day_of_ratings_is_below_its_bound() {
    let (nodes, relations) = size();
    let mut net = Sim::seed(51).rated(EPOCH_MS, 2).nodes(nodes);
    net.run_for(1_000);
    run_to_middle(&mut net);
    run_to_middle(&mut net);
    let quiet = net.traffic();
    let from = net.time();
    run_to_middle(&mut net);
    let still = since(net.traffic(), quiet);
    let took = net.time() - from;
    let before = net.traffic();
    for node in 0..nodes {
        let rows: Vec<_> = (1..=relations).map(|n| ((node + n) % nodes, Outcome::Ok, 1)).collect();
        let answer = attest(&mut net, node, node, &rows);
        assert!(matches!(answer, Answer::Attested(_)), "{answer:?}");
    }
    net.run_for(5_000);
    let busy = since(net.traffic(), before);
    let each = |bytes: u64| bytes / nodes as u64;
    let (told, reconciled) = (each(busy.ledger), each(still.requests * (DAY_MS / took)));
    println!(
        "{nodes} nodes that call {relations} others: a node sends {told} bytes of attestations a day, \
         {reconciled} of reconciliation"
    );
    let mut scores: Vec<_> = Vec::new();
    run_to_middle(&mut net);
    assert!(net.run_until_quiet());
    run_to_middle(&mut net);
    for node in 0..nodes {
        scores.push(net.scores(node).unwrap().network().unwrap().root());
    }
    assert!(scores.windows(2).all(|pair| pair[0] == pair[1]), "scores differ");
    // A network of 1,000 has so many more raters.
    assert!(told * 1_000 / (nodes as u64) + reconciled < BYTES_A_DAY_MAX);
}

fn since(now: Traffic, before: Traffic) -> Traffic {
    Traffic {
        ledger: now.ledger - before.ledger,
        directory: now.directory - before.directory,
        requests: now.requests - before.requests,
    }
}
