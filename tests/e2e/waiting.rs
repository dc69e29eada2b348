//! Commands that wait for an outcome, while their node goes away and comes back.

use std::fs::{self, File};
use std::process::{Child, Stdio};

use althing_tests::{Home, Node, althing, poll_or_say, run};
use serde_json::{Value, json};

/// A command that waits, what it says on standard error, and its process.
struct Waiter {
    name: &'static str,
    errors: std::path::PathBuf,
    child: Child,
}

impl Waiter {
    fn start(home: &Home, node: &Node, name: &'static str, words: &[&str]) -> Self {
        let errors = home.join(name);
        let at = node.home().display().to_string();
        let mut command = althing(&[&["--json", "--home", &at], words].concat());
        let child = command.stdout(Stdio::piped()).stderr(File::create(&errors).unwrap()).spawn().unwrap();
        Self { name, errors, child }
    }

    fn says(&self, text: &str) {
        let said = || fs::read_to_string(&self.errors).unwrap();
        poll_or_say(&format!("{} says: {text}", self.name), || said().contains(text).then_some(()), said);
    }

    fn ends(self, code: i32) -> String {
        let output = self.child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{}: {}",
            self.name,
            fs::read_to_string(&self.errors).unwrap()
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn who_waits_for_an_outcome_waits_for_a_node_that_restarts_and_says_so() {
    let home = Home::new();
    let at = home.join("node");
    let node = Node::up(&at, &[]);
    let agent = node.agent();
    let words = ["--json", "vote", "propose", "merge?", "--voters", &agent];
    let vote =
        node.run(&words).expect(0).json("althing.proposed/v1")["proposal"].as_str().unwrap().to_owned();
    let questions = home.write("questions.txt", "one?\ntwo?\n").display().to_string();
    let words = ["--json", "docket", "propose", "June", &questions, "--voters", &agent];
    let docket =
        node.run(&words).expect(0).json("althing.proposed/v1")["proposal"].as_str().unwrap().to_owned();

    let waiters = [
        Waiter::start(&home, &node, "vote", &["vote", "result", &vote, "--wait", "--timeout", "5m"]),
        Waiter::start(&home, &node, "docket", &["docket", "result", &docket, "--wait", "--timeout", "5m"]),
        Waiter::start(&home, &node, "watch", &["vote", "watch", &vote, "--timeout", "5m"]),
    ];
    let hasty =
        Waiter::start(&home, &node, "hasty", &["vote", "result", &vote, "--wait", "--timeout", "12s"]);
    node.kill();
    for waiter in &waiters {
        waiter.says("waiting for the node");
    }
    // Whoever does not wait is told at once.
    let _ = run(&["--home", &at.display().to_string(), "vote", "result", &vote]).expect(3);
    hasty.says("it has been away for");
    let problem: Value = serde_json::from_str(&hasty.ends(3)).unwrap();
    assert_eq!((&problem["type"], &problem["exit"]), (&json!("urn:althing:problem:down"), &json!(3)));

    let node = Node::up(&at, &[]);
    for waiter in &waiters {
        waiter.says("the node is back");
    }
    let _ = node.run(&["vote", "cast", &vote, "yes"]).expect(0);
    let _ = node.run(&["docket", "cast", &docket, "--others", "yes"]).expect(0);
    let [vote, docket, watch] = waiters.map(|waiter| waiter.ends(0));
    let vote: Value = serde_json::from_str(&vote).unwrap();
    assert_eq!((&vote["schema"], &vote["decided"]), (&json!("althing.vote/v1"), &json!("yes")));
    let docket: Value = serde_json::from_str(&docket).unwrap();
    assert_eq!(docket["decided"], 2);
    let last: Value = serde_json::from_str(watch.lines().last().unwrap()).unwrap();
    assert_eq!(last["decided"], "yes");
}
