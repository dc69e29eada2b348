//! Agents that cannot be exposed: each is refused with cause, value and next step, and nothing of it is published.

use std::net::TcpListener;

use althing_tests::{Answer, Asked, Home, Node, Origin, Run, card, reply};
use serde_json::{Value, json};

fn expose(node: &Node, url: &str, more: &[&str]) -> Run {
    node.run(&[&["expose", url, "--bg"], more].concat())
}

/// What is exposed, by local name.
pub(crate) fn exposed(node: &Node) -> Vec<Value> {
    node.ask("althing.exposures/v1", &["expose", "--list"])["exposures"].as_array().unwrap().clone()
}

/// An origin that serves this card, and answers calls as an agent does.
fn serving(card: impl Fn(std::net::SocketAddr) -> Value + Send + Sync + 'static) -> Origin {
    Origin::start(move |asked, at| {
        if asked.line.starts_with("GET /.well-known/agent-card.json") {
            Answer::json(&card(at))
        } else {
            reply(asked)
        }
    })
}

#[test]
fn addresses_that_lead_nowhere_are_named() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = format!("http://{free}");
    let _ = expose(&node, &dead, &[]).expect(1).says(&dead).says("hint: start the agent first");
    let _ = expose(&node, "http://no-such-host.invalid:9999", &[])
        .expect(1)
        .says("no-such-host.invalid has no address")
        .says("hint: check the address");
    for (url, said) in [
        ("ftp://localhost/agent", "the scheme \"ftp\", expected http or https"),
        ("localhost:9999", "the scheme \"localhost\", expected http or https"),
        ("agent", "not an absolute URL"),
        ("http://localhost:0", "port 0"),
        ("http://224.0.0.1:9999", "multicast"),
        ("http://anna:sesame@localhost:9999", "contains a user or a password"),
    ] {
        let refused =
            expose(&node, url, &[]).expect(1).says(said).says("hint: write it as http://localhost:9999");
        assert!(!refused.stderr.contains("sesame"), "{refused:#?}");
    }
    let origin = Origin::agent("Babel");
    for name in ["Babel", "a b", "default", "../x", "x-recovery", "-x", &"a".repeat(41)] {
        let wish = format!("--name={name}");
        let refused = expose(&node, &origin.url(), &[&wish]).expect(1);
        let _ = refused.says("cannot be a local name").says("hint: use 1 to 40 of a-z, 0-9 and -");
    }
    assert!(exposed(&node).is_empty());
    assert!(!node.log().contains("sesame"), "no password is logged");
}

#[test]
fn what_is_not_an_agent_is_named() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let page = Origin::start(|_, _| Answer::html(200));
    let _ = expose(&node, &page.url(), &[])
        .expect(1)
        .says("is not a valid agent card")
        .says("is not JSON")
        .says("hint: ");
    let nothing = Origin::start(|_, _| Answer::html(404));
    let url = format!("{}/.well-known/agent-card", nothing.url());
    let _ = expose(&node, &nothing.url(), &[])
        .expect(1)
        .says(&url)
        .says("404")
        .says("hint: give the URL of the card");
    let broken = Origin::start(|_, _| Answer::html(500));
    let _ = expose(&node, &broken.url(), &[]).expect(1).says("500");
    let other = serving(|_| json!({"openapi": "3.1.0"}));
    let _ = expose(&node, &other.url(), &[]).expect(1).says("name is missing").says("url is missing");
    let text = serving(|_| json!("a card"));
    let _ = expose(&node, &text.url(), &[]).expect(1).says("expected an object");
    let silent = Origin::start(|_, _| Answer::Never);
    let _ = expose(&node, &silent.url(), &[]).expect(1).says("did not come within 5s");

    // Where the card redirects to is not asked.
    let target = Origin::agent("Elsewhere");
    let to = target.url();
    let sent = to.clone();
    let redirect = Origin::start(move |_, _| {
        Answer::Reply(
            302,
            "text/plain",
            format!("Location: {sent}/.well-known/agent-card.json\r\n"),
            Vec::new(),
        )
    });
    let said = expose(&node, &redirect.url(), &[]).expect(1).says(&to).says("redirects are not followed");
    let _ = said.says("hint: name the address that it redirects to");
    assert!(target.asked().is_empty());
    assert!(exposed(&node).is_empty());
}

#[test]
fn every_fault_of_a_card_is_named_with_its_path() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let origin = serving(|at| {
        let mut faulty = card("", at);
        faulty["skills"][0]["id"] = json!("");
        faulty["skills"][0]["tags"] = json!("echo");
        faulty["supportedInterfaces"][1] = json!({"protocolBinding": "HTTP+JSON", "url": "localhost"});
        faulty["capabilities"]["streaming"] = json!("yes");
        faulty
    });
    let mut refused = expose(&node, &origin.url(), &[]).expect(1);
    for said in [
        "name is empty",
        "skills[0].id is empty",
        "skills[0].tags is a string, expected a list",
        "supportedInterfaces[1].url is not an http or https URL: \"localhost\"",
        "capabilities.streaming is a string, expected a boolean",
        "hint: mend the card",
    ] {
        refused = refused.says(said);
    }
    let long = serving(|at| {
        let mut long = card("Long", at);
        long["description"] = json!("x".repeat(15_360));
        long
    });
    let _ = expose(&node, &long.url(), &[]).expect(1).says("bytes, at most 15360 are allowed");
    let huge =
        Origin::start(|_, _| Answer::Reply(200, "application/json", String::new(), vec![b' '; 300_000]));
    let _ = expose(&node, &huge.url(), &[]).expect(1).says("has more than 262144 bytes");
    let twice = Origin::start(|_, _| {
        Answer::Reply(
            200,
            "application/json",
            String::new(),
            br#"{"name":"a","name":"b","url":"http://x/"}"#.to_vec(),
        )
    });
    let _ = expose(&node, &twice.url(), &[]).expect(1).says("name \"name\" occurs twice");
    assert!(exposed(&node).is_empty());
}

#[test]
fn an_agent_that_does_not_answer_a_call_is_not_exposed_unless_that_is_wished() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let with = |name: &'static str, answer: fn(&Asked) -> Answer| {
        Origin::start(move |asked, at| match asked.line.as_str() {
            "GET /.well-known/agent-card.json" => Answer::json(&card(name, at)),
            _ => answer(asked),
        })
    };
    let page = with("Page", |_| Answer::html(200));
    let error = with("Error", |_| Answer::html(500));
    let other = with("Other", |_| Answer::json(&json!({"fine": true})));
    let never = with("Never", |_| Answer::Never);
    for (origin, said) in [
        (&page, "200 OK and no JSON-RPC: it is not an A2A agent at /"),
        (&error, "500 Internal Server Error and no JSON-RPC"),
        (&other, "200 OK and no JSON-RPC"),
        (&never, "did not answer a call within 10s"),
    ] {
        let refused = expose(&node, &origin.url(), &[]).expect(1).says(&origin.url()).says(said);
        let _ = refused.says("hint: mend the agent, or expose it all the same with --no-probe");
    }
    assert!(exposed(&node).is_empty());
    // Who wants to be shown a credential is an agent, and so is who is not asked.
    let locked = with("Locked", |_| Answer::html(401));
    let _ = expose(&node, &locked.url(), &[]).expect(0);
    let shown = expose(&node, &page.url(), &["--no-probe"]).expect(0);
    assert!(shown.stdout.contains("not tried"), "{shown:#?}");
    assert_eq!(exposed(&node).len(), 2);
}

#[test]
fn only_interfaces_at_the_exposed_address_are_exposed() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let elsewhere = Origin::agent("Elsewhere");
    let there = elsewhere.url();
    let away = there.clone();
    let strays = serving(move |at| {
        let mut strays = card("Strays", at);
        strays["supportedInterfaces"][0]["url"] = json!(format!("{away}/"));
        strays["supportedInterfaces"][1]["url"] = json!("https://192.0.2.1/a2a");
        strays
    });
    let _ = expose(&node, &strays.url(), &[])
        .expect(1)
        .says(&format!("has no interface at {}", strays.url()))
        .says(&there)
        .says("https://192.0.2.1/a2a")
        .says("hint: expose the address that its card names");
    let away = there.clone();
    let partly = serving(move |at| {
        let mut partly = card("Partly", at);
        partly["supportedInterfaces"][1]["url"] = json!(away);
        partly
    });
    let shown = expose(&node, &partly.url(), &[]).expect(0);
    assert!(
        shown.stdout.contains(&format!("note: {there} is not at {} and is not exposed", partly.url())),
        "{shown:#?}"
    );
    // What goes to the other one is refused, and does not go to either.
    let answer = althing_tests::send(&node.api(), "GET /a2a/agents/partly/tasks/7", "");
    assert_eq!((answer.status, answer.header("althing-error")), (400, "target"), "{answer:?}");
    assert!(elsewhere.asked().is_empty() && partly.calls().is_empty());
}

#[test]
fn a_name_stands_for_one_agent_and_one_agent_may_be_exposed_again() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let babel = Origin::agent("Babel");
    let first = node.ask("althing.exposed/v1", &["expose", &babel.url(), "--bg"]);
    let did = first["agent"].as_str().unwrap();
    let revision = || node.ask("althing.card/v1", &["card", "get", did])["revision"].as_u64().unwrap();
    let before = revision();
    let again = node.ask("althing.exposed/v1", &["expose", &babel.url(), "--bg"]);
    assert_eq!((&first["agent"], &first["name"]), (&again["agent"], &"babel".into()));
    assert_eq!(exposed(&node).len(), 1);
    assert!(revision() > before, "it is published anew");
    let other = Origin::agent("Babel");
    let refused = expose(&node, &other.url(), &[])
        .expect(1)
        .says(&format!("\"babel\" exposes {} already", babel.url()));
    let _ = refused.says("hint: choose another --name");
    let _ = expose(&node, &other.url(), &["--name", "other"]).expect(0);
    assert_eq!(exposed(&node).len(), 2);

    let _ =
        node.run(&["unexpose", "nobody"]).expect(1).says("nothing is exposed as \"nobody\"").says("hint: ");
    let _ = node.run(&["unexpose", &node.agent()]).expect(1).says("nothing is exposed as");
    let _ = node.run(&["unexpose", did]).expect(0);
    let _ = node.run(&["unexpose", did]).expect(1).says("nothing is exposed as");
    let _ = node.run(&["unexpose", "other"]).expect(0);
    assert!(exposed(&node).is_empty());
    // The name is free for another, and stays the agent that it was.
    let moved = node.ask("althing.exposed/v1", &["expose", &other.url(), "--bg"]);
    assert_eq!(moved["agent"].as_str(), Some(did));
}

#[test]
fn a_card_with_a_query_and_an_agent_on_version_6_of_ip_are_exposed() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let query = Origin::start(|asked, at| match asked.line.as_str() {
        "GET /.well-known/agent-card.json?assistant_id=7" => {
            let mut queried = card("Helper", at);
            for interface in queried["supportedInterfaces"].as_array_mut().unwrap() {
                interface["url"] = json!(format!("http://{at}/a2a?assistant_id=7"));
            }
            Answer::json(&queried)
        }
        line if line.starts_with("GET ") => Answer::html(404),
        _ => reply(asked),
    });
    let url = format!("{}/.well-known/agent-card.json?assistant_id=7", query.url());
    let _ = expose(&node, &url, &[]).expect(0);
    let call =
        |line: &str| althing_tests::send(&node.api(), line, r#"{"jsonrpc":"2.0","id":1,"method":"GetTask"}"#);
    assert_eq!(call("POST /a2a/agents/helper/").json()["result"]["line"], "POST /a2a?assistant_id=7");
    let joined = call("POST /a2a/agents/helper/?x=1").json();
    assert_eq!(joined["result"]["line"], "POST /a2a?assistant_id=7&x=1");
    // Another assistant of the same server is not exposed.
    for set in ["assistant_id=8", "assistant%5fid=8", "ASSISTANT_ID=8"] {
        let refused = call(&format!("POST /a2a/agents/helper/?{set}"));
        assert_eq!(refused.header("althing-error"), "target", "{refused:?}");
    }
    assert_eq!(query.calls().len(), 2, "{:?}", query.calls());

    let Ok(_) = TcpListener::bind("[::1]:0") else { return althing_tests::skip("there is no IPv6 here") };
    let six = Origin::agent_at("[::1]:0", "Six");
    let shown = node.ask("althing.exposed/v1", &["expose", &six.url(), "--bg"]);
    assert_eq!(shown["origin"], six.url());
    assert_eq!(call("POST /a2a/agents/six/").json()["result"]["line"], "POST /");
    assert_eq!(six.calls()[0].header("host"), [six.address()]);
}
