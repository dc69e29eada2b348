//! An agent that numbers calls twice is found out by its caller, known to be a cheat everywhere, and pardoned.

use std::fs;

use althing_tests::{Home, Node, keys, poll_or_say, run};
use serde_json::Value;

fn cases(node: &Node) -> Value {
    node.ask("althing.evidence/v1", &["evidence", "ls"])
}

fn call(node: &Node, did: &str) {
    poll_or_say(
        "the agent is reached",
        || (node.run(&["send", did, "--text", "hi"]).code == Some(0)).then_some(()),
        || format!("{:?}", node.run(&["send", did, "--text", "hi"])),
    );
}

#[test]
fn whose_book_of_accepts_is_an_older_one_is_accused_by_its_caller_and_pardoned_by_the_anchors() {
    let home = Home::new();
    let founder = Node::up(&home.join("0"), &[]);
    let words = ["vote", "propose", "?", "--pardon", &founder.agent()];
    let _ = founder.run(&words).expect(1).says("neither a committee nor anchors");
    let [first, second] = ["1", "2"].map(|name| keys(&home.join(name)));
    let genesis = home.join("genesis.cbor").display().to_string();
    let words = ["network", "init", "--name", "forgiving", "--rating-epoch", "1h", "--out", &genesis];
    let _ = run(&[&words[..], &["--anchor", &first, "--anchor", &second]].concat()).expect(0);
    let one = Node::up(&home.join("1"), &["--genesis", &genesis]);
    let join = ["--genesis", &genesis, "--join", &one.address()];
    let two = Node::up(&home.join("2"), &join);
    let three = Node::up(&home.join("3"), &join);
    let did =
        three.ask("althing.exposed/v1", &["expose", "--echo", "--bg"])["agent"].as_str().unwrap().to_owned();
    let book = home.join("3/store/accepts");
    let before = fs::read(&book).unwrap();
    call(&one, &did);

    // By the book as it was before the call, calls are numbered from 1 again.
    let _ = three.run(&["down"]).expect(0);
    assert!(three.ended().success());
    assert_ne!(fs::read(&book).unwrap(), before);
    fs::write(&book, before).unwrap();
    let three = Node::up(&home.join("3"), &join);
    poll_or_say(
        "the caller accuses it, and another node knows",
        || {
            let _ = one.run(&["send", &did, "--text", "hi"]);
            (cases(&two)["total"] == 1).then_some(())
        },
        || cases(&one).to_string(),
    );
    let case = cases(&two)["evidence"][0].clone();
    assert_eq!((&case["agent"], &case["offence"]), (&did.clone().into(), &"double accept".into()), "{case}");
    assert_eq!((case["records"].as_array().map(Vec::len), &case["pardoned_by"]), (Some(1), &Value::Null));
    let text = two.run(&["rep", "show", &did]).expect(0).stdout;
    assert!(text.contains("until a vote pardons it"), "{text}");

    let _ = three
        .run(&["vote", "propose", "me?", "--pardon", &did])
        .expect(1)
        .says("not of the network's anchors");
    let words = ["vote", "propose", "a lost disk?", "--pardon", &did];
    let proposed = one.ask("althing.proposed/v1", &words);
    let proposal = proposed["proposal"].as_str().unwrap();
    for node in [&one, &two] {
        poll_or_say(
            "the ballot is cast",
            || (node.run(&["vote", "cast", proposal, "yes"]).code == Some(0)).then_some(()),
            || format!("{:?}", node.run(&["vote", "cast", proposal, "yes"])),
        );
    }
    for node in [&one, &two, &three] {
        poll_or_say(
            "every node knows the pardon",
            || (cases(node)["evidence"][0]["pardoned_by"] == proposal).then_some(()),
            || cases(node).to_string(),
        );
    }
    let text = three.run(&["rep", "show", &did]).expect(0).stdout;
    assert!(text.contains(&format!("pardoned by {}", &proposal[..16])), "{text}");
    let text = two.run(&["vote", "show", proposal]).expect(0).stdout;
    assert!(text.contains("pardons") && text.contains(&did), "{text}");
}
