//! A node in the background: `up --detach`, `logs`, `wait`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use althing_tests::{Background, Home, Node, althing, poll, run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

/// A command that runs on, and its lines as they come. It is killed when dropped.
struct Following {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Following {
    fn logs(home: &Path, more: &[&str]) -> Self {
        let home = home.display().to_string();
        let words = [&["--home", &home, "logs", "--follow"], more].concat();
        let mut child = althing(&words).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::sync_channel(1_024);
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(60)).expect("another line")
    }

    fn until(&self, text: &str) {
        while !self.next().contains(text) {}
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_detached_node_is_on_its_own_and_told_of_a_second_time() {
    let home = Home::new();
    let at = home.join("n");
    let node = Background::up(&at, &[]);
    let up = node.up_document();
    assert_eq!((&up["already_running"], &up["waiting_for"]), (&false.into(), &serde_json::json!([])));
    let proc = format!("/proc/{}", node.pid());
    let stat = fs::read_to_string(format!("{proc}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let (group, session, terminal) = (fields[2], fields[3], fields[4]);
    assert_eq!(
        (group, session, terminal),
        (&*node.pid().to_string(), &*node.pid().to_string(), "0"),
        "{stat}"
    );
    let open = |fd: u32| fs::read_link(format!("{proc}/fd/{fd}")).unwrap();
    assert_eq!([open(0), open(1)], [Path::new("/dev/null"), Path::new("/dev/null")]);
    assert_eq!(open(2), at.join("node.log"));
    assert_eq!(up["log"], at.join("node.log").display().to_string());
    assert_eq!(fs::read_link(format!("{proc}/cwd")).unwrap(), at);
    assert_eq!(fs::metadata(at.join("node.log")).unwrap().permissions().mode() & 0o7777, 0o600);

    let again = run(&Background::words(&at, &["--detach"])).expect(0);
    assert!(
        again.stdout.contains("it runs already") && again.stdout.contains(&node.pid().to_string()),
        "{again:#?}"
    );
    let again = run(&Background::words(&at, &["--detach", "--json"])).expect(0).json("althing.up/v1");
    assert_eq!((&again["already_running"], &again["pid"]), (&true.into(), &node.pid().into()));
    assert_eq!((&again["node"], &again["listen"]), (&up["node"], &up["listen"]));

    let _ = node.run(&["down"]).expect(0).stdout.contains("stopped");
    assert!(!node.is_alive(), "down waits for the end");
    let logged = node.run(&["logs"]).expect(0).stdout;
    assert!(
        logged.contains("node is up") && logged.contains("stopping why=\"a client asked for it\""),
        "{logged}"
    );
    assert_eq!(node.run(&["logs", "-n", "1"]).expect(0).stdout.lines().count(), 1);
    let json = node.run(&["--json", "logs"]).expect(0).json("althing.logs/v1");
    assert_eq!(json["lines"].as_array().unwrap().len(), logged.lines().count());
}

#[test]
fn a_detached_start_that_fails_says_why_and_leaves_nothing_running() {
    let home = Home::new();
    let at = home.join("n");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let listen = format!("/ip4/127.0.0.1/tcp/{port}");
    let words = Background::words(&at, &["--detach", "--listen", &listen]);
    let failed =
        run(&words).expect(1).says(&listen).says("hint: ").says("the last lines of").says("starting");
    assert!(failed.stdout.is_empty() && failed.stderr.contains("node.log"), "{failed:#?}");
    let json = run(&Background::words(&at, &["--json", "--detach", "--listen", &listen])).expect(1);
    assert!(json.json("althing.problem/v1")["detail"].as_str().unwrap().contains(&listen));
    let logged = fs::read_to_string(at.join("node.log")).unwrap();
    assert!(logged.contains("the node ends") && logged.contains(&listen), "{logged}");

    let words = Background::words(&at, &["--detach", "--timeout", "1ms"]);
    let _ = run(&words).expect(5).says("1ms").says("--timeout");
    let at = at.display().to_string();
    let _ = run(&["--home", &at, "wait", "--for", "stopped", "--timeout", "1ms"]).expect(0);
    let _ = Background::up(Path::new(&at), &[]);
}

#[test]
fn logs_are_followed_over_a_rotation_and_a_restart() {
    let home = Home::new();
    let at = home.join("n");
    fs::create_dir(&at).unwrap();
    fs::set_permissions(&at, fs::Permissions::from_mode(0o700)).unwrap();
    let _ = run(&["--home", &at.display().to_string(), "logs"]).expect(1).says("no log").says("hint: ");
    // Begun before there is a log.
    let following = Following::logs(&at, &[]);
    let node = Background::up(&at, &["--log-format", "json"]);
    following.until("\"message\":\"node is up\"");
    fs::rename(at.join("node.log"), at.join("node.log.1")).unwrap();
    signal(node.pid(), Signal::HUP);
    following.until("log opened again");
    let documents = Following::logs(&at, &["--json"]);
    assert!(node.is_alive(), "a node without a terminal survives SIGHUP");
    let _ = node.run(&["down"]).expect(0);
    following.until("\"message\":\"stopped\"");
    let node = Background::up(&at, &[]);
    following.until("node is up");
    for text in ["log opened again", "node is up"] {
        let has_it = |document: &Value| document["line"].as_str().unwrap().contains(text);
        let mut read = std::iter::repeat_with(|| serde_json::from_str::<Value>(&documents.next()).unwrap());
        let document = read.find(has_it).unwrap();
        assert_eq!(document["schema"], "althing.log-line/v1");
    }
    drop(node);
    let all = run(&["--home", &at.display().to_string(), "logs"]).expect(0).stdout;
    assert_eq!(all.matches("node is up").count(), 2, "both files are shown: {all}");
    assert!(all.lines().next().unwrap().starts_with('{'), "as it was written: {all}");
}

#[test]
fn nobody_left_to_read_ends_following_quietly() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let at = node.home().display().to_string();
    // The log stays quiet, so only a look at the pipe tells.
    let mut child = althing(&["--home", &at, "logs", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    drop(out);
    let status = poll("the command ends", || child.try_wait().unwrap());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn waiting_ends_when_there_is_what_was_waited_for() {
    let home = Home::new();
    let at = home.join("n").display().to_string();
    let waiting = |more: &[&str]| run(&[&["--home", &at, "wait"], more].concat());
    let _ = waiting(&["--timeout", "300ms"]).expect(3).says("hint: start it with");
    let _ = waiting(&["--for", "stopped"]).expect(0);
    let _ = waiting(&["--for", "peers=0"]).expect(2).says("peers=N");

    // As in `althing up & althing wait`, with the wait first.
    let early = althing(&["--home", &at, "--json", "wait"]).stdout(Stdio::piped()).spawn().unwrap();
    let node = Node::up(&home.join("n"), &[]);
    let early = early.wait_with_output().unwrap();
    assert!(early.status.success() && String::from_utf8_lossy(&early.stdout).contains("althing.wait/v1"));
    let _ = waiting(&["--for", "peers=1", "--timeout", "300ms"]).expect(5).says("peers=1, found 0");
    let _ = waiting(&["--for", "stopped", "--timeout", "300ms"]).expect(5).says(&node.pid().to_string());

    let gone = Node::up(&home.join("gone"), &[]);
    let address = gone.address();
    gone.kill();
    let lonely = home.join("lonely");
    let node = Background::up(&lonely, &["--join", &address]);
    assert_ne!(node.up_document()["waiting_for"], serde_json::json!([]));
    let missing = node.run(&["wait", "--timeout", "300ms"]).expect(5).says("still waiting for");
    assert!(missing.stderr.contains("peer"), "{missing:#?}");
}
