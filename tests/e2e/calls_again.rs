//! Messages that were lost on the way, and agents that may get them again.

use std::collections::BTreeSet;
use std::sync::Mutex;

use althing_tests::{Answer, Home, Node, Origin, Reply, card, poll, reply, send};
use serde_json::{Value, json};

const IDEMPOTENT: &str = "https://althing.dev/a2a/extension/idempotent-messages/1";

/// An agent that never answers a message the first time, and knows it again.
fn agent(is_idempotent: bool) -> Origin {
    let known: Mutex<BTreeSet<String>> = Mutex::default();
    Origin::start(move |asked, at| match asked.line.as_str() {
        "GET /.well-known/agent-card.json" => {
            let mut card = card("Once", at);
            if is_idempotent {
                card["capabilities"]["extensions"] = json!([{"uri": IDEMPOTENT}]);
            }
            Answer::json(&card)
        }
        line if line.starts_with("GET /.well-known/") => Answer::html(404),
        _ => {
            let came: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
            let said =
                if came["message"].is_object() { &came["message"] } else { &came["params"]["message"] };
            let id = said["messageId"].as_str().unwrap_or_default().to_owned();
            let is_new = id.starts_with("lost-") && known.lock().unwrap().insert(id);
            if is_new { Answer::Never } else { reply(asked) }
        }
    })
}

/// What a client gets whose message is with the agent when the agent's node is killed and started again.
fn call_through_a_kill(origin: &Origin, path: &str, body: &str) -> (Reply, usize) {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    let shown = one.ask("althing.exposed/v1", &["expose", &origin.url(), "--bg"]);
    let at = format!("/a2a/agents/{}/", shown["agent"].as_str().unwrap());
    let api = two.api();
    poll("the agent is reached", || {
        (send(&api, &format!("GET {at}tasks/x"), "").status == 200).then_some(())
    });
    let messages = || origin.calls().iter().filter(|call| call.line.starts_with("POST ")).count();
    let line = format!("POST {at}{path}");
    let reply = std::thread::scope(|scope| {
        let client = scope.spawn(|| send(&api, &line, body));
        poll("the message is with the agent", || (messages() == 1).then_some(()));
        one.kill();
        let _again = Node::join(&home.join("1"), &two);
        client.join().unwrap()
    });
    (reply, messages())
}

fn rpc(id: &str) -> String {
    let message = json!({"messageId": id, "role": "ROLE_USER", "parts": [{"text": "pay"}]});
    json!({"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {"message": message}}).to_string()
}

#[test]
fn an_agent_that_knows_messages_again_gets_one_that_was_lost_with_its_node_once_more() {
    let origin = agent(true);
    let (reply, messages) = call_through_a_kill(&origin, "", &rpc("lost-1"));
    assert_eq!((reply.status, reply.header("althing-error")), (200, ""), "{reply:?}");
    assert_eq!(reply.json()["result"]["came"]["params"]["message"]["messageId"], "lost-1", "{reply:?}");
    assert_eq!(messages, 2);
    let sent: BTreeSet<_> = origin
        .calls()
        .into_iter()
        .filter(|call| call.line.starts_with("POST "))
        .map(|call| call.body)
        .collect();
    assert_eq!(sent.len(), 1, "byte for byte the same");

    let rest = json!({"message": {"messageId": "lost-2", "role": "ROLE_USER", "parts": [{"text": "pay"}]}});
    let origin = agent(true);
    let (reply, messages) = call_through_a_kill(&origin, "message:send", &rest.to_string());
    assert_eq!((reply.status, messages), (200, 2), "{reply:?}");
}

#[test]
fn to_another_agent_it_is_sent_once_and_the_client_hears_of_it() {
    let origin = agent(false);
    let (reply, messages) = call_through_a_kill(&origin, "", &rpc("lost-1"));
    assert_eq!(reply.header("althing-error"), "connection-lost", "{reply:?}");
    assert_eq!(reply.json()["error"]["data"][0]["reason"], "CONNECTION_LOST", "{reply:?}");
    assert_eq!(messages, 1);
}
