//! A real Prometheus server scrapes a testnet. `tests/run prometheus` gets the server and names it in
//! `ALTHING_PROMETHEUS`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use althing_tests::{Home, Node, Reply, get, poll};
use serde_json::Value;

/// What a dashboard of a node needs.
const DASHBOARD: [&str; 24] = [
    "althing_build_info",
    "althing_calls_total",
    "althing_calls_under_way",
    "althing_clock_offset_seconds",
    "althing_closings_put_off_total",
    "althing_commit_duration_seconds_bucket",
    "althing_commit_failures_total",
    "althing_commit_number",
    "althing_gossip_verdicts_total",
    "althing_misbehaviour_proofs_total",
    "althing_net_peers",
    "althing_net_requests_total",
    "althing_queue_depth",
    "althing_queue_drops_total",
    "althing_records_total",
    "althing_signing_stopped",
    "althing_store_files_bytes",
    "althing_store_memory_bytes",
    "althing_sync_rounds_total",
    "althing_tasks",
    "althing_votes_decided_total",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_resident_memory_bytes",
];

/// A Prometheus server. It is killed when dropped.
struct Prometheus {
    child: Child,
    address: String,
}

impl Prometheus {
    fn start(dir: &Path, targets: &[String]) -> Self {
        let program = std::env::var_os("ALTHING_PROMETHEUS").expect("run this by `tests/run prometheus`");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs:\n- job_name: althing\n  static_configs:\n  - targets: {targets:?}\n"
        );
        let file = dir.join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let log = dir.join("prometheus.log");
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("tsdb").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { child, address: String::new() };
        server.address = poll("Prometheus listens", || {
            let said = std::fs::read_to_string(&log).unwrap();
            assert!(server.child.try_wait().unwrap().is_none(), "Prometheus ended:\n{said}");
            let mut lines = said.lines().filter(|line| line.contains("msg=\"Listening on\""));
            Some(lines.next()?.split_once(" address=")?.1.to_owned())
        });
        poll("Prometheus is ready", || (server.get("/-/ready").status == 200).then_some(()));
        server
    }

    fn get(&self, path: &str) -> Reply {
        get(&self.address, path, &[("Host", &self.address)])
    }

    fn ask(&self, path: &str) -> Value {
        let reply = self.get(&format!("/api/v1/{path}"));
        let answer: Value = serde_json::from_str(&reply.body).unwrap_or_else(|_| panic!("{path}: {reply:?}"));
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"].clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nodes that have done something worth measuring: published, found, voted.
fn busy_nodes(home: &Home) -> Vec<Node> {
    let first = Node::up(&home.join("1"), &[]);
    let mut nodes: Vec<_> = (2..=5).map(|n| Node::join(&home.join(&n.to_string()), &first)).collect();
    nodes.insert(0, first);
    let card = home.write("card.json", br#"{"name":"Babel","skills":[{"id":"text/translate"}]}"#);
    let _ = nodes[1].run(&["card", "publish", &card.display().to_string()]).expect(0);
    let _ = nodes[4].run(&["find", "--skill", "text"]);
    let voters: Vec<_> = nodes.iter().map(Node::agent).collect();
    let put = nodes[0].ask("althing.proposed/v1", &["vote", "propose", "up?", "--voters", &voters.join(",")]);
    let id = put["proposal"].as_str().unwrap().to_owned();
    for node in &nodes {
        poll("the ballot is taken", || {
            (node.run(&["vote", "cast", &id, "yes"]).code == Some(0)).then_some(())
        });
    }
    for node in &nodes {
        poll("the vote is decided everywhere", || {
            node.run(&["vote", "show", &id]).stdout.contains("decided: yes").then_some(())
        });
    }
    nodes
}

#[test]
#[ignore = "needs a Prometheus server: tests/run prometheus"]
fn prometheus_scrapes_every_node_and_finds_what_a_dashboard_needs() {
    let home = Home::new();
    let nodes = busy_nodes(&home);
    let apis: Vec<_> = nodes.iter().map(Node::api).collect();
    let prometheus = Prometheus::start(home.path(), &apis);

    let targets = poll("every target is up", || {
        let found = prometheus.ask("targets")["activeTargets"].as_array().unwrap().clone();
        let down = found.iter().filter(|target| target["health"] != "up").count();
        (found.len() == nodes.len() && down == 0).then_some(found)
    });
    for target in &targets {
        assert_eq!(target["lastError"], "", "{target}");
    }
    let up = prometheus.ask("query?query=sum(up)");
    assert_eq!(up["result"][0]["value"][1], nodes.len().to_string());

    let series = prometheus.ask("series?match%5B%5D=%7Bjob%3D%22althing%22%7D");
    let series = series.as_array().unwrap();
    let names: BTreeSet<_> = series.iter().map(|one| one["__name__"].as_str().unwrap()).collect();
    for name in DASHBOARD {
        assert!(names.contains(name), "{name} is missing in {names:#?}");
    }
    no_label_names_anybody(series, &nodes);
    conventions_hold(&prometheus, &names);
    assert_eq!(prometheus.ask("query?query=sum(althing_votes_decided_total)")["result"][0]["value"][1], "5");
}

/// Labels have few values: none is a peer, an agent, a record or an address.
fn no_label_names_anybody(series: &[Value], nodes: &[Node]) {
    let mut values: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for one in series {
        for (label, value) in one.as_object().unwrap() {
            if !["__name__", "instance", "job", "le"].contains(&label.as_str()) {
                let name = one["__name__"].as_str().unwrap();
                values.entry((name, label)).or_default().insert(value.as_str().unwrap());
            }
        }
    }
    let id = |node: &Node| node.status()["node"].as_str().unwrap().to_owned();
    let ids: Vec<_> = nodes.iter().flat_map(|node| [node.agent(), id(node)]).collect();
    for ((name, label), values) in values {
        assert!(values.len() <= 64, "{name} has {} values of {label}", values.len());
        for value in values {
            let named = value.contains("12D3Koo")
                || value.contains("did:")
                || ids.iter().any(|id| value.contains(id));
            assert!(!named && !value.contains("127.0.0.1"), "{name}{{{label}={value:?}}} names somebody");
        }
    }
}

/// <https://prometheus.io/docs/practices/naming/>: base units in the name, counters end in `_total`, everything is
/// described.
fn conventions_hold(prometheus: &Prometheus, names: &BTreeSet<&str>) {
    let metadata = prometheus.ask("metadata");
    for (name, entries) in metadata.as_object().unwrap() {
        let entry = &entries[0];
        let unit = entry["unit"].as_str().unwrap();
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
            "{name}"
        );
        assert!(!entry["help"].as_str().unwrap().is_empty(), "{name} says nothing");
        assert!(unit.is_empty() || name.ends_with(&format!("_{unit}")), "{name} is in {unit}");
        for other in ["_ms", "_milliseconds", "_micros", "_mb", "_kb", "_duration", "_latency", "_percent"] {
            assert!(!name.ends_with(other), "{name} has no base unit");
        }
        if entry["type"] == "counter" {
            assert!(!name.ends_with("_total") && !names.contains(name.as_str()), "{name} is a counter");
        }
    }
}
