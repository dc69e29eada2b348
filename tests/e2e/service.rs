//! What a service manager hears, over real sockets (sd_notify(3)).

use std::fs::File;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use althing_tests::{Background, Home, Node, althing, get, run};
use rustix::fs::OFlags;

use crate::commands::TRANSLATOR;

/// How long the manager waits for a sign of life; the node gives one at half of it.
const WATCHDOG: Duration = Duration::from_millis(400);

/// A node under a manager. It is killed when dropped.
struct Managed {
    child: Child,
    manager: UnixDatagram,
}

impl Managed {
    fn up(home: &Home, manager: UnixDatagram, name: &str, more: &[&str]) -> Self {
        Self::logging(home, manager, name, more, Stdio::null())
    }

    fn logging(home: &Home, manager: UnixDatagram, name: &str, more: &[&str], log: Stdio) -> Self {
        manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let child = althing(&Background::words(&home.join("n"), more))
            .env("NOTIFY_SOCKET", name)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            // One that is held up is not the only one.
            .env("TOKIO_WORKER_THREADS", "2")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, manager }
    }

    fn next(&self) -> String {
        let mut bytes = [0; 1_024];
        let length = self.manager.recv(&mut bytes).expect("the node says something");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// What is said until there is this in it, heartbeats left out.
    fn until(&self, text: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let said = self.next();
            if said != "WATCHDOG=1" {
                heard.push(said.clone());
            }
            if said.contains(text) {
                return heard;
            }
        }
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_manager_is_told_of_readiness_life_and_end() {
    let home = Home::new();
    let path = home.join("notify");
    let node = Managed::up(&home, UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap(), &[]);
    let heard = node.until("READY=1");
    assert!(heard.last().unwrap().ends_with("STATUS=ready, 0 peers"), "{heard:?}");
    let start = Instant::now();
    for _ in 0..5 {
        node.until("WATCHDOG=1");
    }
    let took = start.elapsed();
    assert!((Duration::from_millis(700)..Duration::from_secs(5)).contains(&took), "every 200 ms: {took:?}");

    let peer = Node::up(&home.join("peer"), &["--join", &listen(&home)]);
    let heard = node.until("1 peers");
    assert!(heard.iter().all(|said| !said.contains("READY")), "it is told once: {heard:?}");
    drop(peer);

    let at = home.join("n").display().to_string();
    let down = run(&["--home", &at, "down"]).expect(0);
    let heard = node.until("STOPPING=1");
    assert!(heard.last().unwrap().contains("STATUS=stopping"), "{heard:?} {down:?}");
}

/// Standard error is a pipe that nobody reads, and the event loop is all that logs: its next line holds it up, for real
/// and as long as the test wants.
#[test]
fn an_event_loop_that_is_stuck_gives_no_sign_of_life() {
    let home = Home::new();
    let path = home.join("notify");
    let (mut log, writer) = std::io::pipe().unwrap();
    let filter = ["--log", "error,althing::daemon::event_loop=trace"];
    let manager = UnixDatagram::bind(&path).unwrap();
    let node =
        Managed::logging(&home, manager, path.to_str().unwrap(), &filter, writer.try_clone().unwrap().into());
    node.until("READY=1");
    node.until("WATCHDOG=1");

    let filled = fill(&writer);
    let at = home.join("n").display().to_string();
    let mut publish = althing(&["--home", &at, "card", "publish", TRANSLATOR]).spawn().unwrap();
    // What it said before it was stuck is read, and then there is nothing for as long as would kill it, three times over.
    node.manager.set_read_timeout(Some(3 * WATCHDOG)).unwrap();
    let start = Instant::now();
    let mut bytes = [0; 1_024];
    while node.manager.recv(&mut bytes).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(30), "it still says that it lives");
    }
    // The rest of the process is well, so nobody but the event loop could tell.
    let api = std::fs::read_to_string(home.join("n/api.addr")).unwrap();
    assert_eq!(get(api.trim(), "/livez", &[("Host", api.trim())]).status, 200);
    assert!(publish.try_wait().unwrap().is_none(), "nothing is answered");

    log.read_exact(&mut vec![0; filled]).unwrap();
    let reading = std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    node.manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    for _ in 0..3 {
        node.until("WATCHDOG=1");
    }
    assert!(publish.wait().unwrap().success(), "it goes on where it was");
    drop((node, writer));
    let _ = reading.join().unwrap();
}

/// Fills a pipe to its brim, and says with how many bytes.
fn fill(pipe: &PipeWriter) -> usize {
    // Opened again, so that the node's end of it still waits.
    let again = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut pipe = File::options().write(true).custom_flags(flags).open(again).unwrap();
    let mut filled = 0;
    // Whole pages first, then what is left of the last.
    for size in [4_096, 1] {
        while let Ok(written) = pipe.write(&vec![b'.'; size]) {
            filled += written;
        }
    }
    filled
}

#[test]
fn an_abstract_socket_works_and_a_node_that_waits_is_not_ready() {
    let home = Home::new();
    let gone = Node::up(&home.join("gone"), &[]);
    let address = gone.address();
    gone.kill();
    let name = format!("althing-e2e-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let node = Managed::up(&home, manager, &format!("@{name}"), &["--join", &address]);
    let heard = node.until("waiting for");
    assert!(heard.iter().all(|said| !said.contains("READY")), "{heard:?}");
    // The event loop turns all the same.
    node.until("WATCHDOG=1");
    let back = Node::up(&home.join("gone"), &["--listen", address.rsplit_once("/p2p/").unwrap().0]);
    node.until("READY=1");
    drop(back);
}

#[test]
fn the_unit_file_names_what_there_is() {
    let unit = include_str!("../../examples/althing.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words: Vec<&str> = start.split_whitespace().skip(1).collect();
    let _ = run(&[&words[..], &["--help"]].concat()).expect(0);
    assert!(unit.contains("Type=notify") && unit.contains("WatchdogSec="));
}

/// An address to join the managed node by.
fn listen(home: &Home) -> String {
    let at = home.join("n").display().to_string();
    let status = run(&["--json", "--home", &at, "status"]).expect(0).json("althing.status/v1");
    status["listen"][0].as_str().unwrap().to_owned()
}
