//! What happens at a node, as programs hear of it.

#![expect(clippy::disallowed_methods, reason = "a thread reads what a process prints, and real time passes")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use althing_tests::{Home, Node, althing, get, poll};
use serde_json::Value;

use crate::commands::TRANSLATOR;

/// Most lines that a follower is ahead of its test.
const LINES_MAX: usize = 1_024;

/// A command that goes on printing JSON, such as `althing events --follow --json`, line by line.
pub(crate) struct Follower {
    pub(crate) child: Child,
    lines: Receiver<Value>,
    pub(crate) seen: Vec<Value>,
}

impl Follower {
    fn start(node: &Node, more: &[&str]) -> Self {
        Self::of(node, &[&["events", "--follow"], more].concat())
    }

    pub(crate) fn of(node: &Node, command: &[&str]) -> Self {
        let at = node.home().display().to_string();
        let words = [&["--json", "--home", &at], command].concat();
        let mut child =
            althing(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts");
        let out = child.stdout.take().unwrap();
        let (send, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("every line is a JSON document");
                if send.send(event).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits until an event of this type with this datum was seen.
    fn wait_for(&mut self, kind: &str, name: &str, value: &str) {
        self.wait(&format!("{kind} with {name} {value}"), |event| {
            event["type"] == kind && event["data"][name] == value
        });
    }

    /// Waits until such a line was seen.
    pub(crate) fn wait(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) {
        poll(what, || self.has(&is_it).then_some(()));
    }

    /// Whether such a line was seen by now.
    pub(crate) fn has(&mut self, is_it: impl Fn(&Value) -> bool) -> bool {
        self.seen.extend(self.lines.try_iter());
        self.seen.iter().any(is_it)
    }

    fn kinds(&self) -> Vec<&str> {
        self.seen.iter().map(|event| event["type"].as_str().unwrap()).collect()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the journal of a node holds.
fn all(node: &Node) -> Vec<Value> {
    let printed = node.run(&["--json", "events", "--limit", "100000"]).expect(0).stdout;
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn id(event: &Value) -> String {
    event["id"].as_str().unwrap().to_owned()
}

fn ids(events: &[Value]) -> Vec<String> {
    events.iter().map(id).collect()
}

/// Puts a question to both agents and has both say yes.
fn vote(one: &Node, two: &Node, question: &str) -> String {
    let voters = format!("{},{}", one.agent(), two.agent());
    let proposed = one.ask("althing.proposed/v1", &["vote", "propose", question, "--voters", &voters]);
    let proposal = proposed["proposal"].as_str().unwrap().to_owned();
    for node in [one, two] {
        poll("the ballot is taken", || {
            (node.run(&["vote", "cast", &proposal, "yes"]).code == Some(0)).then_some(())
        });
    }
    proposal
}

#[test]
fn what_one_node_does_is_heard_at_another() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    let mut heard = Follower::start(&two, &["--limit", "9"]);
    heard.wait_for("io.althing.agent.known", "agent", &two.agent());
    let _ = one.run(&["card", "publish", TRANSLATOR]).expect(0);
    heard.wait_for("io.althing.card.published", "agent", &one.agent());
    let proposal = vote(&one, &two, "ship?");
    heard.wait_for("io.althing.vote.decided", "proposal", &proposal);

    for event in &heard.seen {
        assert_eq!(
            (&event["specversion"], &event["datacontenttype"]),
            (&"1.0".into(), &"application/json".into())
        );
        assert!(event["source"].as_str().unwrap().starts_with("urn:althing:node:"), "{event}");
        assert!(event["time"].as_str().unwrap().ends_with('Z'), "{event}");
    }
    let votes: Vec<_> = heard.kinds().into_iter().filter(|kind| kind.contains(".vote.")).collect();
    assert_eq!(
        votes,
        [
            "io.althing.vote.proposed",
            "io.althing.vote.cast",
            "io.althing.vote.cast",
            "io.althing.vote.decided"
        ]
    );
    let cast = |agent: &str| {
        let by = |event: &&Value| event["data"]["voter"] == agent;
        heard.seen.iter().find(by).map(|event| (event["subject"].clone(), event["data"]["choice"].clone()))
    };
    for node in [&one, &two] {
        assert_eq!(cast(&node.agent()), Some((proposal.clone().into(), "yes".into())));
    }

    let shown = two.run(&["events", "--types", "vote.decided"]).expect(0).stdout;
    assert!(shown.contains("vote.decided") && shown.contains(&proposal[..16]) && shown.contains("\"yes\""));
    assert_eq!(shown.lines().count(), 1, "{shown}");
    assert_eq!(two.run(&["events", "--limit", "3"]).expect(0).stdout.lines().count(), 3);
    let events = all(&two);
    let after = two.run(&["--json", "events", "--after", &id(&events[1]), "--limit", "2"]).expect(0).stdout;
    let after: Vec<Value> = after.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(after, events[2..4]);
}

#[test]
fn a_killed_node_tells_everything_once_after_it_is_back() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    let mut follower = Follower::start(&two, &["--limit", "100000"]);
    let first = vote(&one, &two, "first?");
    follower.wait_for("io.althing.vote.decided", "proposal", &first);
    let before = all(&two);
    two.kill();
    // What happens meanwhile, the node hears of when it is back.
    let proposed =
        one.ask("althing.proposed/v1", &["vote", "propose", "meanwhile?", "--voters", &one.agent()]);
    let meanwhile = proposed["proposal"].as_str().unwrap();
    let two = Node::join(&home.join("2"), &one);
    follower.wait_for("io.althing.vote.proposed", "proposal", meanwhile);

    let token = std::fs::read_to_string(two.home().join("api.token")).unwrap();
    let (host, token) = (two.api(), format!("Bearer {}", token.trim()));
    for seen in &before {
        let id = id(seen);
        let headers = [("Host", host.as_str()), ("Authorization", &token), ("Last-Event-ID", &id)];
        let reply = get(&host, "/v1/events?follow=false", &headers);
        assert_eq!(reply.status, 200, "{}", reply.body);
        let lines = |field: &str| -> Vec<String> {
            reply.body.lines().filter_map(|line| line.strip_prefix(field)).map(str::to_owned).collect()
        };
        let told: Vec<Value> =
            lines("data: ").iter().map(|json| serde_json::from_str(json).unwrap()).collect();
        assert_eq!(lines("id: "), ids(&told));
        let skipped = before.iter().position(|event| event == seen).unwrap() + 1;
        let now = all(&two);
        assert_eq!(told[..before.len() - skipped], before[skipped..], "nothing is missing");
        assert_eq!(ids(&told), ids(&now)[skipped..skipped + told.len()], "and nothing comes twice");
        assert_eq!(told[before.len() - skipped]["type"], "io.althing.node.started");
        assert!(told.iter().any(|event| event["subject"] == meanwhile));
    }
    // The command came back by itself and shows the same.
    assert_eq!(ids(&follower.seen), ids(&all(&two))[..follower.seen.len()]);
    assert!(follower.seen.len() > before.len());
    let starts = follower.kinds().iter().filter(|kind| **kind == "io.althing.node.started").count();
    assert_eq!(starts, 2);
}

#[test]
fn a_node_stops_at_once_with_streams_open() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let mut followers: Vec<_> =
        (0..4).map(|_| Follower::start(&node, &["--limit", "9", "--timeout", "100ms"])).collect();
    for follower in &mut followers {
        follower.wait_for("io.althing.agent.known", "agent", &node.agent());
    }
    let start = Instant::now();
    let asked = std::process::Command::new("kill").arg(node.pid().to_string()).status();
    assert!(asked.unwrap().success());
    assert!(node.ended().success());
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    for follower in &mut followers {
        let ended = poll("the follower gives up", || follower.child.try_wait().unwrap());
        assert_eq!(ended.code(), Some(3), "the node stays away");
    }
}

#[test]
fn who_has_seen_enough_ends_the_command_quietly() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let at = node.home().display().to_string();
    for words in [vec!["events"], vec!["events", "--follow"], vec!["events", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let words = [vec!["--home", &at], words].concat();
        let output = althing(&words).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
    let mut follower = Follower::start(&node, &[]);
    follower.wait_for("io.althing.agent.known", "agent", &node.agent());
    let pid = follower.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(poll("Ctrl-C ends it", || follower.child.try_wait().unwrap()).code(), Some(0));
}

#[test]
fn the_page_about_the_api_comes_without_a_token() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let host = node.api();
    let page = get(&host, "/docs", &[("Host", &host)]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("/v1/events") && page.body.contains("api.sock"));
    assert_eq!(get(&host, "/docs", &[("Host", "evil.example")]).problem(), "foreign-host");
    assert_eq!(get(&host, "/v1/events", &[("Host", &host)]).problem(), "unauthorized");
}
