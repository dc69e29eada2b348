//! Agents that change, end, and come back behind what exposes them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};

use althing_tests::{Home, Node, Origin, Reply, althing, poll, send};
use rustix::process::Signal;
use serde_json::Value;

use crate::calls_bad_input::exposed;
use crate::endings::signal;

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":7,"method":"SendMessage","params":{"message":{"messageId":"m"}}}"#;

/// Two nodes; the first exposes.
struct Pair {
    one: Node,
    two: Node,
    home: Home,
}

impl Pair {
    fn up() -> Self {
        let home = Home::new();
        let one = Node::up(&home.join("1"), &[]);
        let two = Node::join(&home.join("2"), &one);
        Self { one, two, home }
    }

    fn expose(&self, origin: &Origin, more: &[&str]) -> String {
        let url = origin.url();
        let shown = self.one.ask("althing.exposed/v1", &[&["expose", &url, "--bg"], more].concat());
        shown["agent"].as_str().unwrap().to_owned()
    }

    /// A call from the other node.
    fn call(&self, did: &str) -> Reply {
        send(&self.two.api(), &format!("POST /a2a/agents/{did}/"), CALL)
    }

    /// Calls until the answer is the one that is waited for: news of an agent take their time.
    fn until(&self, what: &str, did: &str, is_it: impl Fn(&Reply) -> bool) -> Reply {
        poll(what, || Some(self.call(did)).filter(|reply| is_it(reply)))
    }
}

fn answered(reply: &Reply) -> bool {
    reply.json()["result"]["line"] == "POST /"
}

fn fails_by(cause: &'static str) -> impl Fn(&Reply) -> bool {
    move |reply| reply.header("althing-error") == cause
}

fn fault(node: &Node) -> Option<String> {
    exposed(node)[0]["fault"].as_str().map(str::to_owned)
}

#[test]
fn a_process_that_takes_the_port_over_gets_no_call() {
    let pair = Pair::up();
    let origin = Origin::agent("Babel");
    let did = pair.expose(&origin, &[]);
    let _ = pair.until("the first call arrives", &did, answered);
    let address = origin.address();
    drop(origin);
    let nobody = pair.until("nobody is there", &did, fails_by("origin-unreachable"));
    assert_eq!(nobody.json()["error"]["code"], -32603, "{nobody:?}");
    poll("it is seen without waiting for the next round", || fault(&pair.one));

    let other = Origin::agent_at(&address, "Impostor");
    let changed = pair.until("another card is noticed", &did, fails_by("origin-changed"));
    assert_eq!(changed.json()["error"]["data"][0]["reason"], "ORIGIN_CHANGED", "{changed:?}");
    for _ in 0..5 {
        let _ = pair.call(&did);
    }
    let said =
        poll("the list says so", || fault(&pair.one).filter(|fault| fault.contains("its card has changed")));
    assert!(said.contains("no calls are taken until it is exposed again"), "{said}");
    let asked = other.asked();
    assert!(asked.iter().all(|asked| asked.line == "GET /.well-known/agent-card.json"), "{asked:?}");
    // Exposed again by its owner, it is another card of the same agent.
    assert_eq!(pair.expose(&other, &["--name", "babel"]), did);
    let _ = pair.until("calls arrive again", &did, answered);
    assert_eq!(fault(&pair.one), None);
}

#[test]
fn a_card_that_changes_is_published_where_that_was_wished() {
    let pair = Pair::up();
    let origin = Origin::agent("Babel");
    let did = pair.expose(&origin, &["--follow"]);
    let _ = pair.until("the first call arrives", &did, answered);
    let address = origin.address();
    let before = exposed(&pair.one)[0]["pin"].clone();
    drop(origin);
    let _later = Origin::agent_at(&address, "Babel 2");
    let _ = pair.until("calls arrive again", &did, answered);
    let now = exposed(&pair.one)[0].clone();
    assert_ne!(now["pin"], before);
    assert_eq!((now["title"].as_str(), now["name"].as_str()), (Some("Babel 2"), Some("babel")));
    poll("the other node has the new card", || {
        pair.two.run(&["card", "get", &did]).stdout.contains("Babel 2").then_some(())
    });
}

/// `althing expose` in the foreground, once the agent is exposed.
struct Foreground(Child);

impl Foreground {
    fn expose(node: &Node, origin: &Origin) -> (Self, String) {
        let home = node.home().display().to_string();
        let words = ["--home", &home, "--json", "expose", &origin.url()].map(str::to_owned);
        let mut child = althing(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut document = String::new();
        let shown = loop {
            assert!(out.read_line(&mut document).unwrap() > 0, "it ended: {document}");
            if let Ok(shown) = serde_json::from_str::<Value>(&document) {
                break shown;
            }
        };
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        (Self(child), shown["agent"].as_str().unwrap().to_owned())
    }

    fn end(mut self, by: Signal) -> Option<i32> {
        signal(self.0.id(), by);
        self.0.wait().unwrap().code()
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_agent_in_the_foreground_is_exposed_for_as_long_as_its_command_runs() {
    let pair = Pair::up();
    let origin = Origin::agent("Babel");
    for by in [Signal::INT, Signal::KILL] {
        let (command, did) = Foreground::expose(&pair.one, &origin);
        let _ = pair.until("calls arrive", &did, answered);
        let code = command.end(by);
        assert_eq!(code, (by == Signal::INT).then_some(0));
        poll("nothing is exposed", || exposed(&pair.one).is_empty().then_some(()));
        let calls = origin.calls().len();
        let over = pair.until("calls are refused", &did, |reply| !answered(reply));
        let error = over.header("althing-error");
        assert!(["not-exposed", "agent-not-found", "agent-unreachable"].contains(&error), "{over:?}");
        assert_eq!(origin.calls().len(), calls, "nothing was sent");
    }

    // The last of several ends it, and none ends what is to stay.
    let (first, did) = Foreground::expose(&pair.one, &origin);
    let (second, _) = Foreground::expose(&pair.one, &origin);
    let _ = first.end(Signal::KILL);
    let _ = pair.until("calls arrive", &did, answered);
    assert_eq!(exposed(&pair.one).len(), 1);
    assert_eq!(pair.expose(&origin, &[]), did);
    let _ = second.end(Signal::INT);
    let _ = pair.until("calls still arrive", &did, answered);
    assert_eq!(exposed(&pair.one)[0]["kept"], true);
}

#[test]
fn what_is_to_stay_exposed_is_so_after_a_restart_and_as_soon_as_its_agent_is_there() {
    let Pair { one, two, home } = Pair::up();
    let origin = Origin::agent("Babel");
    let shown = one.ask("althing.exposed/v1", &["expose", &origin.url(), "--bg"]);
    let did = shown["agent"].as_str().unwrap().to_owned();
    let gone = Origin::agent("Passing");
    let (_passing, passing) = Foreground::expose(&one, &gone);
    one.kill();

    let one = Node::up(&home.join("1"), &["--join", &two.address()]);
    let pair = Pair { one, two, home };
    let _ = pair.until("calls arrive after a restart", &did, answered);
    assert_eq!(exposed(&pair.one)[0]["agent"], did.as_str());
    poll("what was not to stay is taken back", || {
        let found = pair.two.run(&["card", "get", &passing]);
        (found.code == Some(1)).then_some(())
    });
    let over = pair.call(&passing);
    assert!(!answered(&over) && gone.calls().is_empty(), "{over:?}");

    // The agent comes up after its node, as after a start of the machine.
    let address: SocketAddr = origin.address().parse().unwrap();
    drop(origin);
    let Pair { one, two, home } = pair;
    let _ = one.run(&["down"]).expect(0);
    assert!(one.ended().success());
    let one = Node::up(&home.join("1"), &["--join", &two.address()]);
    let pair = Pair { one, two, home };
    let waiting = poll("it waits", || fault(&pair.one).filter(|fault| fault.contains("cannot be reached")));
    assert!(waiting.contains(&address.to_string()), "{waiting}");
    assert_eq!(exposed(&pair.one)[0]["agent"], did.as_str());
    let _origin = Origin::agent_at(&address.to_string(), "Babel");
    let _ = pair.until("calls arrive once it is there", &did, answered);

    let _ = pair.one.run(&["unexpose", "babel"]).expect(0);
    let _ = pair.until("calls are refused", &did, |reply| !answered(reply));
}

#[test]
fn what_no_client_holds_is_not_exposed_for_long() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let origin = Origin::agent("Babel");
    let token = std::fs::read_to_string(node.home().join("api.token")).unwrap();
    let line = "POST /v1/exposures HTTP/1.1";
    let body = format!(r#"{{"url":"{}"}}"#, origin.url());
    let request = format!(
        "{line}\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        node.api(),
        token.trim(),
        body.len()
    );
    // A client that goes away before it hears the answer.
    let mut client = TcpStream::connect(node.api()).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    poll("it is being exposed", || origin.asked().first().map(|_| ()));
    drop(client);
    poll("it is exposed", || (exposed(&node).len() == 1).then_some(()));
    poll("it is no longer", || exposed(&node).is_empty().then_some(()));
}
