//! Many restarts in a row: by request, and by SIGKILL at any point.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use althing_tests::{Background, Home, Node, althing, poll, run};
use rustix::process::Signal;
use serde_json::Value;

use crate::endings::signal;

const RESTARTS: u32 = 100;

/// What must not change: who the node is, and what it holds. No cards here: a start renews their leases.
fn held(status: &Value) -> BTreeMap<String, String> {
    let names = ["node", "agents", "incarnation", "network", "proposals", "records", "domains", "cards"];
    names.iter().map(|name| ((*name).to_owned(), status[name].to_string())).collect()
}

#[test]
fn a_hundred_restarts_change_nothing_and_lose_nothing() {
    let home = Home::new();
    let at = home.join("n");
    let start = Instant::now();
    let mut seed: u64 =
        std::env::var("ALTHING_RESTART_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("ALTHING_RESTART_SEED={seed}");
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let node = Node::up(&at, &[]);
    let (agent, who) = (node.agent(), node.up_document()["node"].clone());
    let mut acknowledged: Vec<String> = Vec::new();
    let mut before = held(&node.status());
    let mut clean = true;
    signal(node.pid(), Signal::TERM);
    assert!(node.ended().success());

    for round in 0..RESTARTS {
        if round % 10 == 9 {
            // Killed somewhere on its way up.
            let words = Background::words(&at, &[]);
            let mut child = althing(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let point = Instant::now() + Duration::from_millis(random(200));
            poll("its time has come", || (Instant::now() >= point).then_some(()));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let node = Node::up(&at, &[]);
        let status = node.status();
        assert_eq!(
            (&status["node"], &status["agents"][0]),
            (&who, &Value::from(agent.as_str())),
            "round {round}"
        );
        assert!(status["voting_stopped"].is_null(), "round {round}: {status}");
        if clean {
            assert_eq!(held(&status), before, "round {round}");
        }
        let listed = node.ask("althing.votes/v1", &["vote", "ls"]);
        let known = listed["votes"].to_string();
        let lost = acknowledged.iter().find(|id| !known.contains(*id));
        assert_eq!(lost, None, "round {round}: acknowledged, and gone");

        let question = format!("round {round}?");
        let propose = ["vote", "propose", &question, "--voters", &agent];
        let proposed = node.ask("althing.proposed/v1", &propose);
        acknowledged.push(proposed["proposal"].as_str().unwrap().to_owned());
        clean = round % 2 == 0;
        if clean {
            before = held(&node.status());
            signal(node.pid(), Signal::TERM);
            assert!(node.ended().success(), "round {round}");
            continue;
        }
        // Killed somewhere in a write, or just before or after.
        let home = at.display().to_string();
        let mut writer = althing(&["--home", &home, "vote", "propose", "cut off?", "--voters", &agent])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let point = Instant::now() + Duration::from_millis(random(40));
        poll("its time has come", || (Instant::now() >= point).then_some(()));
        node.kill();
        writer.wait().unwrap();
    }
    let took = start.elapsed();
    println!("{RESTARTS} restarts took {took:?}");
    let _ = run(&["--home", &at.display().to_string(), "store", "check"]).expect(0);
    assert!(took < Duration::from_secs(60), "{took:?}");
}
