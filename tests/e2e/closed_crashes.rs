//! Closed decisions while nodes are killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use althing_tests::{Background, Home, Node, Run, althing, poll, run};
use serde_json::{Value, json};

use crate::closed::{cast, decided, nodes, outcome, propose, show, voters};

/// How long a decision may take once enough closers are there again.
const RESUME_MAX: Duration = Duration::from_secs(20);

/// The genesis file of a node's network.
fn genesis(home: &Path) -> String {
    home.with_file_name("genesis.cbor").display().to_string()
}

/// Starts a node that was killed. Its peers' ports may be others by now.
fn again(home: &Path, peers: impl IntoIterator<Item = String>) -> Node {
    let mut words = vec!["--genesis".to_owned(), genesis(home)];
    words.extend(peers.into_iter().flat_map(|peer| ["--join".to_owned(), peer]));
    Node::up(home, &words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn three_of_four_decide_after_the_window_and_the_fourth_learns_of_it() {
    let home = Home::new();
    let mut nodes = nodes(&home, 4);
    let voters = voters(&nodes);
    let terms =
        ["--option", "a", "--option", "b", "--method", "majority", "--window", "5s", "--voters", &voters];
    let absent = nodes.pop().unwrap();
    let (absent_home, absent_agent) = (absent.home().to_owned(), absent.agent());
    absent.kill();
    let id = propose(&nodes, &terms);
    cast(&nodes, &id, &["a", "b", "b"]);
    assert_eq!(show(&nodes[0], &id)["state"], "open", "one ballot may still come");
    let there = decided(&nodes, &id);
    assert_eq!(there["decided"], "b", "{there:#}");
    assert_eq!(there["rounds"][0]["tally"], json!([1, 2]));

    nodes.push(again(&absent_home, nodes.iter().map(Node::address)));
    assert_eq!(nodes[3].agent(), absent_agent);
    let late = decided(&nodes, &id);
    assert_eq!(outcome(&late), outcome(&there));
    let _ = nodes[3].run(&["vote", "cast", &id, "a"]).expect(1).says("closed").says("hint: ");
    let audit = nodes[3].ask("althing.audit/v1", &["vote", "audit"]);
    assert_eq!((&audit["votes"][0]["valid"], &audit["votes"][0]["outcome"]), (&json!(true), &json!("b")));
    quiet(&nodes);
}

#[test]
fn two_of_four_decide_nothing_until_a_third_is_there() {
    let home = Home::new();
    let mut nodes = nodes(&home, 4);
    let voters = voters(&nodes);
    let terms =
        ["--option", "a", "--option", "b", "--method", "majority", "--window", "5s", "--voters", &voters];
    let id = propose(&nodes, &terms);
    let homes: Vec<PathBuf> = nodes.drain(2..).map(|node| node.home().to_owned()).collect();
    cast(&nodes, &id, &["b", "b"]);
    let reported = |node: &Node| show(node, &id)["closing"]["reported"].as_u64().unwrap_or(0);
    poll("both have closed it", || nodes.iter().all(|node| reported(node) == 2).then_some(()));
    // Some rounds of an agreement that cannot come about.
    let until = Instant::now() + Duration::from_secs(4);
    poll("some time passes", || {
        for node in &nodes {
            let vote = show(node, &id);
            assert!(matches!(vote["state"].as_str(), Some("closing" | "expired")), "{vote:#}");
        }
        (Instant::now() >= until).then_some(())
    });
    let _ = nodes[0].run(&["vote", "result", &id, "--wait", "--timeout", "1s"]).expect(5).says("not decided");

    nodes.push(again(&homes[0], nodes.iter().map(Node::address)));
    let back = Instant::now();
    let three = decided(&nodes, &id);
    println!("decided {:?} after the third was there", back.elapsed());
    assert!(back.elapsed() < RESUME_MAX, "decided only after {:?}", back.elapsed());
    assert_eq!(three["decided"], "b", "{three:#}");
    nodes.push(again(&homes[1], nodes.iter().map(Node::address)));
    assert_eq!(outcome(&decided(&nodes, &id)), outcome(&three));
    quiet(&nodes);
}

/// Nobody is accused, and everybody may go on signing.
fn quiet(nodes: &[Node]) {
    for node in nodes {
        let evidence = node.ask("althing.evidence/v1", &["evidence", "ls"]);
        assert_eq!(evidence["evidence"], json!([]), "{evidence}");
        let status = node.status();
        assert!(status["voting_stopped"].is_null(), "{status}");
    }
}

/// Where a node lives that may be down just now.
struct Place {
    home: String,
    agent: String,
}

impl Place {
    fn run(&self, words: &[&str]) -> Run {
        run(&[&["--home", self.home.as_str()], words].concat())
    }

    fn vote(&self, id: &str) -> Option<Value> {
        let shown = self.run(&["--json", "vote", "show", id]);
        (shown.code == Some(0)).then(|| shown.json("althing.vote/v1"))
    }
}

/// Fewest votes, and how long they go on at least.
const VOTES_MIN: usize = 8;
const KILLING: Duration = Duration::from_secs(30);

/// Kills and starts nodes, another one each time, but the one that is spared, until told to end.
fn kill_and_start(nodes: &mut Vec<Node>, spared: &AtomicUsize, end: &Receiver<()>, mut seed: u64) -> usize {
    let mut kills = 0;
    while end.recv_timeout(Duration::from_millis(300)) == Err(RecvTimeoutError::Timeout) {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(seed >> 33).unwrap() % nodes.len();
        if at == spared.load(Ordering::SeqCst) {
            continue;
        }
        let others = (0..nodes.len()).filter(|other| *other != at);
        let peers: Vec<String> = others.map(|other| nodes[other].address()).collect();
        let home = nodes[at].home().to_owned();
        nodes.remove(at).kill();
        if kills % 4 == 3 {
            // Killed once more, somewhere on its way up.
            let genesis = genesis(&home);
            let words = Background::words(&home, &["--genesis", &genesis]);
            let mut child = althing(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let _ = end.recv_timeout(Duration::from_millis((seed >> 33) % 400));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        nodes.insert(at, again(&home, peers));
        kills += 1;
    }
    kills
}

#[test]
fn nobody_signs_twice_and_votes_go_on_while_nodes_are_killed() {
    let home = Home::new();
    let mut nodes = nodes(&home, 4);
    let voters = voters(&nodes);
    let places: Vec<Place> = nodes
        .iter()
        .map(|node| Place { home: node.home().display().to_string(), agent: node.agent() })
        .collect();
    let seed: u64 = std::env::var("ALTHING_KILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("ALTHING_KILL_SEED={seed}");
    let spared = AtomicUsize::new(0);
    let (end, ended) = mpsc::sync_channel::<()>(0);
    let (votes, kills) = std::thread::scope(|scope| {
        let (nodes, spared) = (&mut nodes, &spared);
        let killer = scope.spawn(move || kill_and_start(nodes, spared, &ended, seed));
        let start = Instant::now();
        let mut votes = Vec::new();
        while votes.len() < VOTES_MIN || start.elapsed() < KILLING {
            let proposer = votes.len() % places.len();
            spared.store(proposer, Ordering::SeqCst);
            votes.push(vote(&places, &places[proposer], &voters));
        }
        drop(end);
        (votes, killer.join().unwrap())
    });
    println!("{} votes, {kills} kills", votes.len());
    assert!(kills >= VOTES_MIN, "only {kills} kills");

    for (id, shown) in &votes {
        let all = decided(&nodes, id);
        assert_eq!(outcome(&all), *shown, "what was decided once stays so");
        assert!(all["decided"].is_string(), "{all:#}");
    }
    // A proposal of which a killed node could not tell its client is closed, too.
    let listed = nodes[0].ask("althing.votes/v1", &["vote", "ls"]);
    let listed = listed["votes"].as_array().unwrap();
    for vote in listed {
        let _ = decided(&nodes, vote["proposal"].as_str().unwrap());
    }
    quiet(&nodes);
    for node in &nodes {
        let audit = node.ask("althing.audit/v1", &["vote", "audit"]);
        let audited = audit["votes"].as_array().unwrap();
        assert_eq!(audited.len(), listed.len(), "{audit}");
        assert!(audited.iter().all(|vote| vote["valid"] == true), "{audit}");
    }
}

/// One vote from its proposal to its outcome, on nodes that come and go.
fn vote(places: &[Place], proposer: &Place, voters: &str) -> (String, Value) {
    let options = ["--option", "a", "--option", "b", "--option", "c"];
    let terms =
        ["--json", "vote", "propose", "which?", "--method", "ranked", "--window", "4s", "--voters", voters];
    let proposed = poll("it is proposed", || {
        let proposed = proposer.run(&[&terms[..], &options].concat());
        (proposed.code == Some(0)).then(|| proposed.json("althing.proposed/v1"))
    });
    let id = proposed["proposal"].as_str().unwrap();
    let ballots = ["a,b", "b", "c,b", "b,c"];
    // Whoever proposes is there, and so at least one ballot is in time.
    let own = places.iter().position(|place| place.agent == proposer.agent).unwrap();
    for at in (0..places.len()).map(|step| (own + step) % places.len()) {
        poll("the ballot is taken, or comes too late", || {
            let cast = places[at].run(&["vote", "cast", id, "--rank", ballots[at]]);
            assert!(!cast.stderr.contains("already voted"), "{cast:#?}");
            (cast.code == Some(0) || cast.stderr.contains("closed")).then_some(())
        });
    }
    let decided = poll("it is decided while nodes are killed", || {
        let vote = proposer.vote(id)?;
        (vote["state"] == "decided").then_some(vote)
    });
    (id.to_owned(), outcome(&decided))
}
