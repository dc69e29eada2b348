//! How a node ends when it is asked to, whatever it is doing.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use althing_tests::{Background, Home, Node, althing, poll, run, skip};
use rustix::process::{Pid, Signal, kill_process};

use crate::commands::TRANSLATOR;

/// How long a node may take to end.
const END_MAX: Duration = Duration::from_secs(2);

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// Connections that a node has to cut: silent ones, and one with half a request.
fn hold(node: &Node) -> Vec<TcpStream> {
    let token = std::fs::read_to_string(node.home().join("api.token")).unwrap();
    let mut held: Vec<_> = (0..20).map(|_| TcpStream::connect(node.api()).unwrap()).collect();
    write!(
        held[0],
        "POST /v1/cards HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{",
        node.api(),
        token.trim()
    )
    .unwrap();
    held
}

#[test]
fn a_busy_node_ends_within_two_seconds_and_keeps_what_it_acknowledged() {
    let home = Home::new();
    let other = Node::up(&home.join("other"), &[]);
    let mut worst = Duration::ZERO;
    for how in ["TERM", "INT", "down"] {
        let node = Node::join(&home.join("n"), &other);
        let (at, pid) = (node.home().display().to_string(), node.pid());
        let held = hold(&node);
        let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
        let writer = || {
            while !stop.load(Ordering::Relaxed) {
                let published = run(&["--json", "--home", &at, "card", "publish", TRANSLATOR]);
                if published.code == Some(0) {
                    let revision = published.json("althing.published/v1")["revision"].as_u64().unwrap();
                    acknowledged.fetch_max(revision, Ordering::Relaxed);
                }
            }
        };
        let searcher = || {
            while !stop.load(Ordering::Relaxed) {
                let _ = run(&["--home", &at, "find", "--skill", "text/nobody/has/this"]);
            }
        };
        let took = std::thread::scope(|scope| {
            let threads: [&(dyn Fn() + Sync); 3] = [&writer, &writer, &searcher];
            threads.into_iter().for_each(|work| drop(scope.spawn(work)));
            poll("writes are under way", || (acknowledged.load(Ordering::Relaxed) > 0).then_some(()));
            let start = Instant::now();
            match how {
                "TERM" => signal(pid, Signal::TERM),
                "INT" => signal(pid, Signal::INT),
                _ => drop(run(&["--home", &at, "down"]).expect(0)),
            }
            let status = node.ended();
            let took = start.elapsed();
            stop.store(true, Ordering::Relaxed);
            assert!(status.success(), "{how}: {status}");
            took
        });
        drop(held);
        println!("{how}: ended after {took:?}");
        worst = worst.max(took);
        assert!(!home.join("n/api.sock").exists() && !home.join("n/api.addr").exists(), "{how}");
        let _ = run(&["--home", &at, "store", "check"]).expect(0);
        let node = Node::up(&home.join("n"), &[]);
        let card = node.ask("althing.card/v1", &["card", "get", &node.agent()]);
        assert!(card["revision"].as_u64().unwrap() >= acknowledged.load(Ordering::Relaxed), "{how}: {card}");
        let _ = node.run(&["down"]).expect(0);
        let _ = node.ended();
    }
    assert!(worst < END_MAX, "{worst:?}");
}

#[test]
fn a_second_interrupt_ends_a_node_at_once() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    // What is asked for half is waited for, which leaves time for a second interrupt.
    let _held = hold(&node);
    poll("the request is there", || (node.status()["ready"] == true).then_some(()));
    signal(node.pid(), Signal::INT);
    let at = node.home().display().to_string();
    poll("it is stopping", || run(&["--home", &at, "logs"]).stdout.contains("why=\"SIGINT\"").then_some(()));
    signal(node.pid(), Signal::INT);
    let start = Instant::now();
    assert_eq!(node.ended().signal(), Some(9));
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    let _ = Node::up(&home.join("n"), &[]);
}

#[test]
fn a_node_that_does_not_end_is_named() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    signal(node.pid(), Signal::STOP);
    let stuck = node.run(&["down", "--timeout", "300ms"]);
    signal(node.pid(), Signal::CONT);
    let pid = node.pid().to_string();
    let _ = stuck.expect(5).says(&pid).says("kill -9").says("300ms");
    let _ = node.run(&["down"]).expect(0);
    assert!(node.ended().success());
}

#[test]
fn a_lost_terminal_ends_a_node_and_nohup_keeps_it() {
    let home = Home::new();
    let at = home.join("n").display().to_string();
    let words = format!("{} --home {at} up --listen /ip4/127.0.0.1/tcp/0", althing_tests::binary().display());
    if !Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return skip("needs script(1) for a terminal");
    }
    for (prefix, survives) in [("exec", false), ("exec nohup", true)] {
        let mut terminal = Command::new("script")
            .args(["--quiet", "--command", &format!("{prefix} {words}"), "/dev/null"])
            // Where nohup leaves its output.
            .current_dir(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _ = run(&["--home", &at, "wait"]).expect(0);
        let status = run(&["--json", "--home", &at, "status"]).expect(0).json("althing.status/v1");
        let pid = u32::try_from(status["pid"].as_u64().unwrap()).unwrap();
        signal(pid, Signal::HUP);
        if survives {
            let _ = run(&["--home", &at, "wait"]).expect(0);
            let _ = run(&["--home", &at, "down"]).expect(0);
        }
        let _ = run(&["--home", &at, "wait", "--for", "stopped"]).expect(0);
        terminal.kill().unwrap();
        terminal.wait().unwrap();
    }
    let logged = run(&["--home", &at, "logs"]).expect(0).stdout;
    assert!(
        logged.contains("why=\"SIGHUP\"") && logged.contains("why=\"a client asked for it\""),
        "{logged}"
    );
}

#[test]
fn a_node_without_its_api_is_stopped_too() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    for name in ["api.sock", "api.addr"] {
        std::fs::remove_file(node.home().join(name)).unwrap();
    }
    let _ = node.run(&["down"]).expect(0).stdout.contains(&node.pid().to_string());
    assert!(node.ended().success());
}

#[test]
fn a_node_that_nobody_reads_goes_on() {
    let home = Home::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = althing(&Background::words(&home.join("n"), &["--log", "debug"]))
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .spawn()
        .unwrap();
    let at = home.join("n").display().to_string();
    let _ = run(&["--home", &at, "wait"]).expect(0);
    let _ = run(&["--home", &at, "card", "publish", TRANSLATOR]).expect(0);
    let _ = run(&["--home", &at, "down"]).expect(0);
    assert!(child.wait().unwrap().success());
    let logged = run(&["--home", &at, "logs", "-n", "5000"]).expect(0).stdout;
    assert!(logged.contains("stopped") && !logged.contains("panicked"), "{logged}");
}
