//! What a node refuses, and how it says so.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use althing_tests::{Home, Node, get, run};

/// The words that start a node which must not start.
fn up<'a>(home: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words = ["--home", home, "up", "--listen", "/ip4/127.0.0.1/tcp/0", "--profile", "testnet"];
    [&words[..], more].concat()
}

#[test]
fn a_second_node_on_one_home_is_refused_by_pid() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let at = node.home().display().to_string();
    let _ = run(&up(&at, &[])).expect(1).says(&node.pid().to_string()).says("hint: ");
    let _ = run(&["--home", &at, "store", "check"]).expect(1).says(&node.pid().to_string());
    assert_eq!(node.status()["pid"], node.pid());
}

#[test]
fn ports_in_use_are_named() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let at = home.join("n").display().to_string();
    let api = address.to_string();
    let _ = run(&up(&at, &["--api", &api])).expect(1).says(&api);
    let listen = format!("/ip4/127.0.0.1/tcp/{}", address.port());
    let _ = run(&up(&at, &["--listen", &listen])).expect(1).says(&address.port().to_string());
    let _ = run(&up(&at, &["--api", "0.0.0.0:0"])).expect(1).says("loopback");
    // Nothing stays locked by the attempts.
    let _ = Node::up(&home.join("n"), &[]);
}

#[test]
fn without_the_right_token_commands_exit_4() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let token = node.home().join("api.token");
    let good = fs::read(&token).unwrap();

    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let _ = node.run(&["status"]).expect(4).says("0644").says("hint: ");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();

    fs::write(&token, [b'0'; 64]).unwrap();
    let wrong = node.run(&["--json", "status"]).expect(4);
    assert_eq!(wrong.json("althing.problem/v1")["exit"], 4);

    fs::remove_file(&token).unwrap();
    let _ = node.run(&["status"]).expect(4).says("api.token");

    fs::write(&token, good).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let _ = node.run(&["status"]).expect(0);
}

#[test]
fn the_api_lets_in_neither_web_pages_nor_strangers() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let api = node.api();
    let token = fs::read_to_string(node.home().join("api.token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let ask = |host: &str, more: &[(&str, &str)]| {
        let headers = [&[("Host", host), ("Authorization", bearer.as_str())], more].concat();
        get(&api, "/v1/status", &headers)
    };
    assert_eq!(ask(&api, &[]).status, 200);
    let foreign = ask("evil.example", &[]);
    assert!(matches!(foreign.status, 403 | 421), "{foreign:?}");
    assert_eq!(foreign.problem(), "foreign-host");
    let page = ask(&api, &[("Origin", "https://evil.example")]);
    assert_eq!((page.status, page.problem().as_str()), (403, "foreign-origin"));
    let stranger = get(&api, "/v1/status", &[("Host", &api)]);
    assert_eq!((stranger.status, stranger.problem().as_str()), (401, "unauthorized"));
    assert_eq!(get(&api, "/livez", &[("Host", &api)]).status, 200);
    let metrics = get(&api, "/metrics", &[("Host", &api)]).body;
    assert!(metrics.contains("althing_") && metrics.contains("libp2p_"), "{metrics}");
    assert!(!metrics.contains(token.trim()));
}

#[test]
fn a_card_that_is_none_is_refused_with_the_reason() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let large = format!("{{\"name\":\"x\",\"description\":\"{}\"}}", "y".repeat(20_000));
    let huge = " ".repeat(300_000);
    for (name, json, cause) in [
        ("large", large.as_str(), "at most"),
        ("huge", huge.as_str(), "at most 15360"),
        ("broken", "{\"name\":", "line 1 column 8"),
        ("nameless", "{\"skills\":[]}", "name"),
    ] {
        let file = home.write(name, json).display().to_string();
        let _ = node.run(&["card", "publish", &file]).expect(1).says(cause);
    }
    let _ = node.run(&["card", "publish", "/nonexistent"]).expect(1).says("/nonexistent");
    let stranger = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
    let file = crate::commands::TRANSLATOR;
    let _ = node.run(&["card", "publish", file, "--agent", stranger]).expect(1).says(stranger);
    assert_eq!(node.status()["cards"], 0);
}

#[test]
fn a_home_stays_in_its_network() {
    let home = Home::new();
    let genesis = home.join("genesis.cbor").display().to_string();
    let made = run(&["--json", "network", "init", "--name", "lab", "--out", &genesis]).expect(0);
    let made = made.json("althing.network/v1");
    let node = Node::up(&home.join("n"), &["--genesis", &genesis]);
    assert_eq!(node.up_document()["network"], made["network"]);
    node.kill();
    // Without the flag it is still that one.
    let node = Node::up(&home.join("n"), &[]);
    assert_eq!(node.up_document()["network"], made["network"]);
    node.kill();

    let other = home.join("other.cbor").display().to_string();
    let _ = run(&["network", "init", "--name", "other", "--out", &other]).expect(0);
    let at = home.join("n").display().to_string();
    let named = made["network"].as_str().unwrap();
    let _ = run(&up(&at, &["--genesis", &other])).expect(1).says(named).says("hint: ");
}

#[test]
fn a_damaged_database_is_refused_and_nothing_is_lost() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let published = node.ask("althing.published/v1", &["card", "publish", crate::commands::TRANSLATOR]);
    let _ = node.run(&["down"]).expect(0);
    let at = node.home().display().to_string();
    assert!(node.ended().success());
    let _ = run(&["--home", &at, "store", "check"]).expect(0);

    let files = fs::read_dir(home.join("n/store/db")).unwrap().flatten().map(|entry| entry.path());
    let log = files.filter(|path| path.extension().is_some_and(|end| end == "log")).max().unwrap();
    let good = fs::read(&log).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 0xff;
    fs::write(&log, bad).unwrap();
    let _ = run(&up(&at, &[])).expect(1).says("store/db").says("Corruption").says("hint: ");
    let check = run(&["--json", "--home", &at, "store", "check"]).expect(1).says("not sound");
    assert_eq!(check.json("althing.store-check/v1")["sound"], false);

    fs::write(&log, good).unwrap();
    let _ = run(&["--home", &at, "store", "check"]).expect(0);
    let node = Node::up(&home.join("n"), &[]);
    let card = node.ask("althing.card/v1", &["card", "get", &node.agent()]);
    assert_eq!(card["card"], published["card"]);
}
