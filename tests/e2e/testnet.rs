//! Local networks of real nodes.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use althing_tests::{Home, althing, poll, run};
use serde_json::Value;

fn alive(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie has ended; in a container nobody may collect it.
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn pids(report: &Value) -> Vec<Value> {
    report["nodes"].as_array().unwrap().iter().map(|node| node["pid"].clone()).collect()
}

/// Stops the testnet of a test that fails.
struct Down(String);

impl Drop for Down {
    fn drop(&mut self) {
        let _ = run(&["testnet", "down", "--dir", &self.0]);
    }
}

#[test]
fn a_testnet_comes_up_meshed_and_goes_down_whole() {
    let home = Home::new();
    let dir = Down(home.join("net").display().to_string());
    let up = run(&["--json", "testnet", "up", "--nodes", "3", "--dir", &dir.0]).expect(0);
    let report = up.json("althing.testnet-status/v1");
    assert!(pids(&report).len() == 3 && pids(&report).iter().all(alive), "{report}");
    let _ = run(&["testnet", "up", "--dir", &dir.0]).expect(1).says("already runs").says("testnet down");

    let status =
        run(&["--json", "testnet", "status", "--dir", &dir.0]).expect(0).json("althing.testnet-status/v1");
    assert_eq!(status["running"], 3);
    assert!(
        status["nodes"].as_array().unwrap().iter().all(|node| node["peers"].as_u64() > Some(0)),
        "{status}"
    );
    let table = run(&["testnet", "status", "--dir", &dir.0]).expect(0).stdout;
    assert_eq!(table.lines().count(), 4, "{table}");

    let killed = &pids(&report)[2];
    assert!(Command::new("kill").args(["-9", &killed.to_string()]).status().unwrap().success());
    let status =
        run(&["--json", "testnet", "status", "--dir", &dir.0]).expect(0).json("althing.testnet-status/v1");
    assert_eq!((&status["running"], &status["agree"]), (&2.into(), &false.into()));

    let down =
        run(&["--json", "testnet", "down", "--dir", &dir.0]).expect(0).json("althing.testnet-stopped/v1");
    let how: Vec<&str> =
        down["nodes"].as_array().unwrap().iter().filter_map(|node| node["how"].as_str()).collect();
    assert_eq!(how, ["asked", "asked", "not-running"]);
    assert!(!pids(&report).iter().any(alive));
    let _ = run(&["testnet", "down", "--dir", &dir.0]).expect(0);
    let _ = run(&["testnet", "status", "--dir", &dir.0]).expect(3).says("testnet up");
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    let home = Home::new();
    home.write("mine", "precious");
    let dir = home.path().display().to_string();
    let _ = run(&["testnet", "up", "--dir", &dir]).expect(1).says(&dir).says("hint: ");
    let _ = run(&["testnet", "demo", "--dir", &dir]).expect(1).says(&dir);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn a_testnet_that_fails_half_way_leaves_no_process() {
    let home = Home::new();
    let dir = home.join("net").display().to_string();
    let _down = Down(dir.clone());
    // The first node has been started by then, and no node is ready that soon.
    let _ = run(&["testnet", "up", "--nodes", "8", "--dir", &dir, "--timeout", "1ms"]).expect(5);
    assert!(Path::new(&dir).join("logs/node-1.log").exists());
    assert!(!Path::new(&dir).join("testnet.json").exists());
    assert_eq!(processes_that_name(&dir), Vec::<String>::new());
    let _ = run(&["testnet", "status", "--dir", &dir]).expect(3);
}

/// The command lines of running processes that hold this text.
fn processes_that_name(text: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(text))
        .collect()
}

#[test]
fn an_interrupted_demo_leaves_no_process() {
    let home = Home::new();
    let dir = home.join("demo").display().to_string();
    let _down = Down(dir.clone());
    let mut demo = althing(&["testnet", "demo", "--dir", &dir]).stderr(Stdio::piped()).spawn().unwrap();
    poll("the fifth node starts", || home.join("demo/logs/node-5.log").exists().then_some(()));
    assert!(Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap().success());
    let status = poll("the demo ends", || demo.try_wait().unwrap());
    let mut said = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(status.code() == Some(1) && said.contains("interrupted"), "{status}: {said}");
    assert_eq!(processes_that_name(&dir), Vec::<String>::new());
}

#[test]
fn the_demo_plays_to_its_end() {
    let home = Home::new();
    let dir = home.join("demo").display().to_string();
    let output = althing(&["--json", "testnet", "demo", "--dir", &dir]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let demo: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(demo["schema"], "althing.demo/v1");
    assert_eq!((demo["steps"].as_array().unwrap().len(), said.lines().count()), (14, 14), "{said}");
    let certificate = demo["certificate"].as_str().unwrap();
    let genesis = demo["genesis"].as_str().unwrap();
    let _ = run(&["vote", "verify", certificate, "--genesis", genesis]).expect(0);
    assert!(!home.join("demo/node-1").exists() && home.join("demo/logs/node-1.log").exists());
}
