use althing_gateway::api::{
    Direction, ExternalAddress, ObservedAddress, PathKind, Peer, PeerPath, Reach, Reachability, Status,
};

use super::facts::{Disk, Files, Running, Store};
use super::*;

fn peer() -> Peer {
    Peer {
        node: "12D3KooWpeer".to_owned(),
        addresses: Vec::new(),
        direction: Direction::Inbound,
        same_network: Some(true),
        program: Some("althing/0.1.0 (7519)".to_owned()),
        connected: None,
        connected_ms: None,
        round_trip_us: None,
        path: Some(PeerPath { kind: PathKind::Direct, transport: Some("tcp".to_owned()), relay: None }),
        understood: Some(true),
    }
}

fn running() -> Running {
    let status = serde_json::json!({
        "schema": "althing.status/v1", "node": "n", "version": "1.0.0", "pid": 7, "network": "x", "network_name": "y",
        "listen": [], "api": "", "agents": [], "incarnation": "", "commit": 1, "records": 0, "cards": 0, "proposals": 0,
        "evidence": 0, "domains": [], "peers": 1, "sync_rounds": 0, "last_sync": null, "last_sync_ms": null,
        "voting_stopped": null, "clock_offset_ms": 20, "ready": true, "waiting_for": [],
    });
    let status: Status = serde_json::from_value(status).unwrap();
    let reach = Reach {
        reachability: Reachability::Public,
        setting: "auto".to_owned(),
        kademlia: "server".to_owned(),
        routing_table: 1,
        listen: vec!["/ip4/198.51.100.7/tcp/1".to_owned()],
        external: vec![ExternalAddress {
            address: "/ip4/198.51.100.7/tcp/1".to_owned(),
            learnt: "autonat".to_owned(),
        }],
        upnp: "off".to_owned(),
        ..Reach::default()
    };
    Running { status, reach, peers: vec![peer()] }
}

fn healthy() -> Facts {
    Facts {
        home: "/home/me/althing".into(),
        home_flag: " --home /home/me/althing".to_owned(),
        settings: Ok(()),
        version: "1.0.0".to_owned(),
        node: Some(running()),
        unreachable: None,
        disk: Ok(Disk { free: 100 << 30, read_only: false }),
        store: Store::InUse,
        files: Files { allowed: Some(4_096), needed: 728 },
        open_modes: Vec::new(),
    }
}

/// The one thing that is found when a healthy node is changed so.
fn found(change: impl FnOnce(&mut Facts)) -> (State, String, String) {
    let mut facts = healthy();
    change(&mut facts);
    let mut checks = examine(&facts);
    checks.retain(|check| check.state != State::Ok);
    assert_eq!(checks.len(), 1, "{checks:?}");
    let check = checks.remove(0);
    (check.state, format!("{}: {}", check.name, check.finding), check.fix.expect("a fix"))
}

/// The same, of a change to what the node says.
fn found_at(change: impl FnOnce(&mut Running)) -> (State, String, String) {
    found(|facts| change(facts.node.as_mut().unwrap()))
}

#[test]
fn a_healthy_node_has_nothing_to_fix() {
    let checks = examine(&healthy());
    assert!(checks.iter().all(|check| check.state == State::Ok && check.fix.is_none()), "{checks:?}");
    assert!(checks.len() >= 16);
}

#[test]
fn without_a_node_the_rest_is_checked_and_it_says_so() {
    let down = |facts: &mut Facts| (facts.node, facts.store) = (None, Store::None);
    let (state, finding, fix) = found(down);
    assert_eq!(state, State::Warn);
    assert!(
        finding.contains("none runs in /home/me/althing") && fix.contains("althing up --home"),
        "{finding}"
    );
    let mut facts = healthy();
    down(&mut facts);
    assert!(!examine(&facts).iter().any(|check| check.name == "reachable"));
    let (state, finding, _) = found(|facts| {
        down(facts);
        (facts.unreachable, facts.store) = (Some("process 9 does not answer".to_owned()), Store::InUse);
    });
    assert_eq!((state, finding.as_str()), (State::Fail, "node: process 9 does not answer"));
}

#[test]
fn a_node_that_waits_says_for_what() {
    let (state, finding, fix) = found_at(|node| {
        (node.status.ready, node.status.waiting_for) = (false, vec!["a first peer".to_owned()]);
    });
    assert_eq!(state, State::Warn);
    assert!(finding.contains("waiting for a first peer") && fix.contains("althing logs"));
}

#[test]
fn settings_and_versions_that_do_not_fit_are_named() {
    let (state, finding, _) = found(|facts| facts.settings = Err("althing.toml:3: unknown".to_owned()));
    assert_eq!((state, finding.as_str()), (State::Fail, "settings: althing.toml:3: unknown"));
    let (state, finding, fix) = found(|facts| facts.version = "2.0.0".to_owned());
    assert_eq!(state, State::Warn);
    assert!(finding.contains("1.0.0") && finding.contains("2.0.0") && fix.contains("althing down --home"));
}

#[test]
fn reachability_is_explained_by_what_it_was_learnt_from() {
    let failed = || ObservedAddress { address: "/ip4/1.2.3.4/tcp/1".to_owned(), reached: 0, failed: 3 };
    let private = |node: &mut Running| {
        node.reach.reachability = Reachability::Private;
        node.reach.external.clear();
        node.reach.observed = vec![failed()];
    };
    let (state, finding, fix) = found_at(private);
    assert_eq!(state, State::Fail);
    assert!(finding.contains("3 tests by peers failed") && finding.contains("no relay"), "{finding}");
    assert!(fix.contains("forward the port"));

    let mut facts = healthy();
    let node = facts.node.as_mut().unwrap();
    private(node);
    (node.reach.circuits, node.reach.relays) = (vec!["c".to_owned()], vec!["r".to_owned()]);
    let reachable = network::reachability(node);
    assert_eq!(reachable.state, State::Ok);
    assert!(reachable.finding.contains("through 1 relay"), "{reachable:?}");
    node.reach.setting = "client".to_owned();
    assert!(network::reachability(node).finding.contains("the setting says client"));

    let (state, finding, _) = found_at(|node| {
        (node.reach.setting, node.reach.observed) = ("server".to_owned(), vec![failed()]);
    });
    assert_eq!(state, State::Warn);
    assert!(finding.contains("the setting says server, but 3 tests"), "{finding}");
    let (state, finding, _) = found_at(|node| node.reach.reachability = Reachability::Unknown);
    assert_eq!(state, State::Warn);
    assert!(finding.contains("no peer has tried yet"));
    let mut local = running();
    local.reach.reachability = Reachability::Local;
    assert_eq!(network::reachability(&local).state, State::Ok);
}

#[test]
fn routers_and_holes_are_looked_at() {
    let (state, finding, _) = found_at(|node| node.reach.upnp = "not_routable".to_owned());
    assert_eq!(state, State::Warn);
    assert!(finding.contains("another NAT behind it"));
    assert_eq!(found_at(|node| node.reach.upnp = "expired".to_owned()).0, State::Warn);
    let mut behind = running();
    (behind.reach.upnp, behind.reach.reachability) = ("no_gateway".to_owned(), Reachability::Private);
    assert_eq!(network::router(&behind).state, State::Warn);
    behind.reach.reachability = Reachability::Public;
    assert_eq!(network::router(&behind).state, State::Ok, "no router is needed then");
    let (state, finding, fix) = found_at(|node| node.reach.punches_failed = 4);
    assert_eq!(state, State::Warn);
    assert!(finding.contains("none of 4 worked") && fix.contains("new port for every connection"));
    assert_eq!(found_at(|node| node.reach.listen.clear()).0, State::Fail);
}

#[test]
fn a_network_without_anybody_to_ask_is_named() {
    let (state, finding, _) = found_at(|node| node.reach.routing_table = 0);
    assert_eq!(state, State::Warn);
    assert!(finding.contains("nothing can be looked up"));
    let (state, finding, fix) = found_at(|node| node.peers.clear());
    assert_eq!(state, State::Warn);
    assert!(finding.contains("none of this network") && fix.contains("--join"));
}

#[test]
fn peers_that_speak_no_common_version_are_named() {
    let (state, finding, fix) = found_at(|node| {
        let strange = |number| Peer { node: format!("12D3{number}"), understood: Some(false), ..peer() };
        node.peers.extend((0..5).map(strange));
    });
    assert_eq!(state, State::Warn);
    assert!(finding.contains("12D30 (althing/0.1.0)") && finding.ends_with("2 more"), "{finding}");
    assert!(fix.contains("1.0.0"));
}

#[test]
fn a_clock_more_than_a_minute_off_is_a_warning() {
    assert_eq!(examine_clock(Some(60_000)), State::Ok);
    assert_eq!(examine_clock(None), State::Ok);
    let (state, finding, _) = found_at(|node| node.status.clock_offset_ms = Some(-600_500));
    assert_eq!(state, State::Warn);
    assert!(finding.contains("-600 s"), "{finding}");
}

fn examine_clock(offset: Option<i64>) -> State {
    let mut node = running();
    node.status.clock_offset_ms = offset;
    network::clock(&node).state
}

#[test]
fn disks_are_looked_at() {
    let disk = |free, read_only| found(|facts| facts.disk = Ok(Disk { free, read_only }));
    assert_eq!(disk(100 << 20, false).0, State::Warn);
    assert_eq!(disk(1 << 20, false).0, State::Fail);
    let (state, finding, _) = disk(100 << 30, true);
    assert_eq!(state, State::Fail);
    assert!(finding.contains("read-only"));
    let mut facts = healthy();
    facts.node.as_mut().unwrap().status.waiting_for = vec!["space on the disk".to_owned()];
    let full = place::disk(&facts);
    assert_eq!(full.state, State::Fail);
    assert!(full.finding.contains("takes nothing new"), "{full:?}");
    assert_eq!(found(|facts| facts.disk = Err("no such file".to_owned())).0, State::Warn);
}

#[test]
fn the_store_and_its_vote_guard_are_looked_at() {
    let (state, finding, fix) = found_at(|node| node.status.voting_stopped = Some("forked".to_owned()));
    assert_eq!(state, State::Warn);
    assert!(finding.contains("signs no votes: forked") && fix.contains("SECURITY.md"));
    let read = |damage: Option<&str>, trusted| Store::Read {
        damage: damage.map(str::to_owned),
        guard: "the guard".to_owned(),
        trusted,
    };
    assert_eq!(found(|facts| facts.store = read(None, false)).0, State::Warn);
    let (state, finding, _) = found(|facts| facts.store = read(Some("000012.sst: corrupt"), true));
    assert_eq!(state, State::Fail);
    assert!(finding.contains("000012.sst"));
    assert_eq!(found(|facts| facts.store = Store::Unreadable("held".to_owned())).0, State::Fail);
    let mut facts = healthy();
    facts.store = read(None, true);
    assert_eq!(place::store(&facts).state, State::Ok);
}

#[test]
fn limits_and_modes_are_looked_at() {
    let (state, finding, fix) = found(|facts| facts.files.allowed = Some(256));
    assert_eq!(state, State::Fail);
    assert!(finding.contains("256 allowed, and 728") && fix.contains("ulimit -n 728"));
    assert_eq!(found(|facts| facts.files.allowed = None).0, State::Warn);
    let (state, finding, fix) = found(|facts| {
        facts.open_modes =
            vec![("/home/me/althing/api.token".into(), 0o644), ("/home/me/althing".into(), 0o755)];
    });
    assert_eq!(state, State::Fail);
    assert!(finding.contains("api.token has mode 0644") && finding.ends_with("and 1 more"), "{finding}");
    assert_eq!(fix, "chmod -R go= '/home/me/althing'");
}
