//! Whoever has a skill and is trusted votes, by reputation that real calls made.

use althing_tests::{Home, Node, keys, poll_or_say, run};
use serde_json::Value;

const SKILL: &str = "text/same";

/// How many agents have the skill: one more than there must be.
const HOLDERS: usize = 11;

const PROPOSE: [&str; 7] = ["vote", "propose", "raise the rate?", "--skill", SKILL, "--method", "majority"];

#[test]
fn holders_of_a_skill_decide_by_reputation() {
    let home = Home::new();
    let [first, second] = ["1", "2"].map(|name| keys(&home.join(name)));
    let genesis = home.join("genesis.cbor").display().to_string();
    let words = ["network", "init", "--name", "rated", "--rating-epoch", "3s", "--out", &genesis];
    let roles = ["--anchor", &first, "--anchor", &second, "--committee", &first, "--committee", &second];
    let _ = run(&[&words[..], &roles].concat()).expect(0);
    let one = Node::up(&home.join("1"), &["--genesis", &genesis]);
    let join = ["--genesis", &genesis, "--join", &one.address()];
    let two = Node::up(&home.join("2"), &join);
    let three = Node::up(&home.join("3"), &join);
    let agents: Vec<String> = (0..HOLDERS)
        .map(|n| {
            let name = format!("agent-{n}");
            let words = ["expose", "--echo", "--name", &name, "--skill", SKILL, "--bg"];
            three.ask("althing.exposed/v1", &words)["agent"].as_str().unwrap().to_owned()
        })
        .collect();
    let early = two.run(&PROPOSE).expect(1);
    assert!(early.stderr.contains("hint: "), "{early:?}");

    for node in [&one, &two] {
        for agent in &agents {
            let call = || node.run(&["send", agent, "--text", "hi"]);
            let is_reached = || (call().code == Some(0)).then_some(());
            poll_or_say("the agent is reached", is_reached, || format!("{:?}", call()));
        }
    }
    // Masses are those of a rating epoch that was over for a whole one.
    let proposed = poll_or_say(
        "all are trusted",
        || {
            let proposed = two.run(&[&PROPOSE[..], &["--json"]].concat());
            let proposed: Value = serde_json::from_str(&proposed.stdout).ok()?;
            let shown = two.ask("althing.vote/v1", &["vote", "show", proposed["proposal"].as_str()?]);
            (shown["electorate"] == HOLDERS).then_some(proposed)
        },
        || format!("{:?}", two.run(&PROPOSE)),
    );
    let id = proposed["proposal"].as_str().unwrap();
    let show = |node: &Node| node.ask("althing.vote/v1", &["vote", "show", id]);
    for node in [&one, &three] {
        let known = || (node.run(&["vote", "show", id]).code == Some(0)).then_some(());
        poll_or_say("the proposal is known", known, || id.to_owned());
        let holders = &show(node)["holders"];
        assert_eq!(
            (&holders["skill"], &holders["check"]["agrees"]),
            (&SKILL.into(), &true.into()),
            "{holders}"
        );
        let text = node.run(&["vote", "show", id]).expect(0).stdout;
        assert!(text.contains("holders of text/same") && text.contains("computes the same"), "{text}");
    }
    let weights = |vote: &Value| -> Vec<u64> {
        vote["voters"].as_array().unwrap().iter().map(|voter| voter["weight"].as_u64().unwrap()).collect()
    };
    let (here, there) = (weights(&show(&one)), weights(&show(&three)));
    assert_eq!(here, there);
    assert!(here.iter().all(|weight| 10 * weight <= here.iter().sum()), "{here:?}");

    for (n, agent) in agents.iter().enumerate() {
        let choice = if n < 8 { "yes" } else { "no" };
        let _ = three.run(&["vote", "cast", id, choice, "--agent", agent]).expect(0);
    }
    let result = one.run(&["vote", "result", id, "--wait", "--timeout", "60s"]).expect(0).stdout;
    assert!(result.contains("yes"), "{result}");
    let file = home.join("certificate.cbor").display().to_string();
    let _ = one.run(&["vote", "certificate", id, "--out", &file]).expect(0);
    let verified = run(&["vote", "verify", &file, "--genesis", &genesis]).expect(0).stdout;
    assert!(
        verified.contains("\"yes\" was decided") && verified.contains("holders of text/same"),
        "{verified}"
    );

    let refused = two.run(&[&PROPOSE[..], &["--min-score", "0.999"]].concat());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("0 agents hold the skill"), "{refused:?}");
    assert!(refused.stderr.contains("invites Sybils"), "{refused:?}");
}
