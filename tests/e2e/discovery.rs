//! Queries, and the life of a card: published, changed, watched, retracted.

use std::fs;
use std::process::Command;

use althing_tests::{Home, Node, poll};
use serde_json::Value;

use crate::events::Follower;

const FRENCH: &str = r#"{"name":"Babel","description":"translates","version":"1.0.0","capabilities":{"streaming":true},
    "skills":[{"id":"Text/Translate/FR","name":"x","description":"d","tags":["Lang:FR"]}]}"#;

fn found(node: &Node, words: &[&str]) -> Vec<Value> {
    let found = node.ask("althing.find/v1", &[&["find"], words].concat());
    found["agents"].as_array().unwrap().clone()
}

#[test]
fn a_card_is_found_by_queries_watched_and_retracted() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    let file = home.join("card.json");
    fs::write(&file, FRENCH).unwrap();
    let file = file.display().to_string();
    let _ = one.run(&["card", "publish", &file]).expect(0);
    let agent = poll("the other node finds it", || found(&two, &["skill:text AND lang:fr"]).pop());
    assert_eq!(agent["agent"], one.agent().as_str());
    assert_eq!((agent["reach"].as_str(), agent["leases"].as_array().unwrap().len()), (Some("direct"), 1));
    let lease_ms =
        agent["served_until_ms"].as_u64().unwrap() - agent["leases"][0]["made_ms"].as_u64().unwrap();
    assert_eq!(lease_ms, 15 * 60_000);
    assert!(agent["round_trip_us"].is_u64() && agent["lease_age_ms"].as_u64().unwrap() < 120_000, "{agent}");
    for (words, count) in [
        (vec!["--skill", "TEXT/translate", "--tag", "LANG:fr"], 1),
        (vec!["--skill-exact", "text"], 0),
        (vec!["--skill-exact", "text/translate/fr"], 1),
        (vec!["--skill-prefix", "text/tr", "--healthy"], 1),
        (vec!["NOT lang:fr"], 0),
        (vec!["streaming:true", "AND", "version:1.*"], 1),
        (vec!["lang:de OR (name:babel AND NOT push:true)"], 1),
    ] {
        assert_eq!(found(&two, &words).len(), count, "{words:?}");
    }
    let explained = two.ask("althing.find/v1", &["find", "skill:text AND streaming:true", "--explain"]);
    assert_eq!(explained["explain"]["plan"], "skill:text");
    assert_eq!(explained["explain"]["pages"][0]["term"], "skill:text");
    assert!(!explained["explain"]["peers"].as_array().unwrap().is_empty(), "{explained}");
    let local = two.ask("althing.find/v1", &["find", "name:babel", "--local"]);
    assert_eq!((local["live"].as_bool(), local["complete"].as_bool()), (Some(false), Some(false)));

    fs::write(&file, FRENCH.replace("1.0.0", "1.1.0")).unwrap();
    let _ = one.run(&["card", "publish", &file]).expect(0);
    let retracted = one.ask("althing.retracted/v1", &["card", "retract"]);
    assert_eq!(retracted["leases_ended"], 1);
    let _ = one.run(&["card", "retract"]).expect(1).says("has no card to retract").says("hint: ");
    poll("it is gone", || found(&two, &["--skill", "text"]).is_empty().then_some(()));
    let _ = two.run(&["card", "get", &one.agent()]).expect(1).says("was retracted").says("card history");

    let expected = ["card.published", "lease.began", "card.updated", "card.retracted", "lease.ended"];
    let events = poll("the other node has seen it all", || {
        let history = two.ask("althing.card-history/v1", &["card", "history", &one.agent()]);
        assert_eq!(history["journal_whole"], true);
        let events = history["events"].as_array().unwrap().clone();
        (events.len() == expected.len()).then_some(events)
    });
    for (event, kind) in events.iter().zip(expected) {
        assert_eq!(event["type"], format!("io.althing.{kind}"), "{events:#?}");
    }
    assert_eq!(events[2]["data"]["changed"], serde_json::json!(["version"]));
    assert_eq!(events[3]["data"]["revision"], retracted["revision"]);
    assert_eq!(events[3]["data"]["card"], retracted["record"]);
}

#[test]
fn watchers_hear_what_changes_and_end_on_an_interrupt() {
    let home = Home::new();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    let file = home.join("card.json");
    fs::write(&file, FRENCH).unwrap();
    let file = file.display().to_string();
    let mut search = Follower::of(&two, &["find", "lang:fr", "--watch"]);
    let mut card = Follower::of(&two, &["card", "watch", &one.agent()]);
    // Changed until the watcher of the card, which begins with what happens next, has heard of one.
    let mut version = 0;
    poll("the card's watcher listens", || {
        version += 1;
        fs::write(&file, FRENCH.replace("1.0.0", &format!("0.{version}"))).unwrap();
        let _ = one.run(&["card", "publish", &file]).expect(0);
        card.has(|event| event["type"].as_str().unwrap().starts_with("io.althing.card.")).then_some(())
    });
    let change = |change: &'static str| move |line: &Value| line["change"] == change;
    search.wait("the agent appears", change("appeared"));
    fs::write(&file, FRENCH.replace("1.0.0", "1.1.0")).unwrap();
    let _ = one.run(&["card", "publish", &file]).expect(0);
    search.wait("its card changes", change("changed"));
    card.wait("the change", |event| event["data"]["changed"] == serde_json::json!(["version"]));
    let _ = one.run(&["card", "retract"]).expect(0);
    search.wait("it is gone", change("gone"));
    card.wait("the retraction", |event| event["type"] == "io.althing.card.retracted");
    card.wait("the end of the lease", |event| event["type"] == "io.althing.lease.ended");
    for line in &search.seen {
        assert_eq!(line["schema"], "althing.find-change/v1");
        assert_eq!(line["agent"]["agent"], one.agent().as_str());
    }
    for follower in [&mut search, &mut card] {
        let interrupt = Command::new("kill").args(["-INT", &follower.child.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        assert_eq!(follower.child.wait().unwrap().code(), Some(0));
    }
}
