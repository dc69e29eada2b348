//! Closed decisions: nodes agree on the ballots, count them, and prove it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::process::{Child, Stdio};

use althing_record::AgentId;
use althing_tests::{Home, Node, althing, poll, poll_or_say, run};
use serde_json::{Value, json};

/// So many nodes of one network, with one agent each.
pub(crate) fn nodes(home: &Home, count: usize) -> Vec<Node> {
    lab(home, count, &[])
}

/// The same, with more words about the network.
fn lab(home: &Home, count: usize, more: &[&str]) -> Vec<Node> {
    let genesis = home.join("genesis.cbor").display().to_string();
    let init = ["network", "init", "--name", "lab", "--out", &genesis];
    let _ = run(&[&init[..], more].concat()).expect(0);
    let mut nodes: Vec<Node> = Vec::with_capacity(count);
    for name in 1..=count {
        let mut words = vec!["--genesis".to_owned(), genesis.clone()];
        words.extend(nodes.iter().flat_map(|node| ["--join".to_owned(), node.address()]));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        nodes.push(Node::up(&home.join(&name.to_string()), &words));
    }
    for node in &nodes {
        poll("the nodes see each other", || {
            (node.status()["peers"].as_u64()? + 1 >= count as u64).then_some(())
        });
    }
    nodes
}

/// The agents of nodes, as `--voters` takes them.
pub(crate) fn voters(nodes: &[Node]) -> String {
    nodes.iter().map(Node::agent).collect::<Vec<_>>().join(",")
}

/// Puts a question of the node's, with these words, and waits until all nodes have it.
pub(crate) fn propose(nodes: &[Node], words: &[&str]) -> String {
    let proposed = nodes[0].ask("althing.proposed/v1", &[&["vote", "propose", "which?"], words].concat());
    assert_eq!(proposed.get("threshold"), None, "a closed decision has none: {proposed}");
    let id = proposed["proposal"].as_str().unwrap().to_owned();
    for node in nodes {
        poll("the proposal arrives", || (node.run(&["vote", "show", &id]).code == Some(0)).then_some(()));
    }
    id
}

/// One ballot on each of the first nodes at once, in words of `vote cast` without blanks in them.
pub(crate) fn cast(nodes: &[Node], id: &str, ballots: &[&str]) {
    let casting: Vec<Child> = nodes
        .iter()
        .zip(ballots)
        .map(|(node, ballot)| {
            let words: Vec<&str> = ["vote", "cast", id].into_iter().chain(ballot.split(' ')).collect();
            start(node, &words)
        })
        .collect();
    for child in casting {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// A vote as a node shows it.
pub(crate) fn show(node: &Node, id: &str) -> Value {
    node.ask("althing.vote/v1", &["vote", "show", id])
}

/// What all nodes must show alike.
pub(crate) fn outcome(vote: &Value) -> Value {
    json!([vote["state"], vote["decided"], vote["rejected"], vote["rounds"], vote["abstentions"]])
}

/// The outcome, once all these nodes show one.
pub(crate) fn decided(nodes: &[Node], id: &str) -> Value {
    let mut shown = nodes.iter().map(|node| {
        let look = || {
            let vote = show(node, id);
            matches!(vote["state"].as_str(), Some("decided" | "rejected")).then_some(vote)
        };
        let say = || {
            let status: Vec<_> = nodes.iter().map(Node::status).collect();
            format!("{} {:#} {status:#?}", node.home().display(), show(node, id))
        };
        poll_or_say("it is decided on every node", look, say)
    });
    let first = shown.next().unwrap();
    for vote in shown {
        assert_eq!(outcome(&vote), outcome(&first));
    }
    first
}

/// Starts a command on a node and does not wait for its end.
fn start(node: &Node, words: &[&str]) -> Child {
    let home = node.home().display().to_string();
    let mut command = althing(&[&["--json", "--home", &home], words].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn five_nodes_decide_by_ranking_and_the_certificate_proves_it_anywhere() {
    let home = Home::new();
    let nodes = nodes(&home, 5);
    let options = ["--option", "Oslo", "--option", "Bergen", "--option", "Turku"];
    let terms = ["--method", "ranked", "--quorum", "4/5", "--voters"];
    let voters = voters(&nodes);
    let id = propose(&nodes, &[&options[..], &terms, &[&voters]].concat());
    let open = show(&nodes[1], &id);
    assert_eq!((open["state"].as_str(), open["tolerates"].as_u64()), (Some("open"), Some(1)), "{open}");
    let early = nodes[3].run(&["vote", "result", &id]).expect(5).says("is not decided").says("hint: ");
    assert_eq!(early.stdout, "");
    let watch = start(&nodes[4], &["vote", "watch", &id, "--timeout", "60s"]);
    let waits = start(&nodes[3], &["vote", "result", &id, "--wait", "--timeout", "60s"]);
    let ranks = ["Oslo,Turku", "Oslo", "Bergen,Turku", "Bergen", "Turku,Bergen"];
    cast(&nodes, &id, &ranks.map(|rank| format!("--rank {rank}")).each_ref().map(String::as_str));

    let waited = waits.wait_with_output().unwrap();
    assert!(waited.status.success(), "{waited:?}");
    let waited: Value = serde_json::from_slice(&waited.stdout).unwrap();
    let all = decided(&nodes, &id);
    assert_eq!(outcome(&waited), outcome(&all));
    assert_eq!(all["decided"], "Bergen");
    assert_eq!(all["rounds"][0]["tally"], json!([2, 2, 1]));
    assert_eq!(all["rounds"][0]["eliminated"], json!(["Turku"]));
    assert_eq!(all["rounds"][1]["tally"], json!([2, 3, null]));
    assert!(all["voters"].as_array().unwrap().iter().all(|voter| voter["choices"][0].is_string()), "{all}");
    let watched = watch.wait_with_output().unwrap();
    assert!(watched.status.success(), "{watched:?}");
    let watched: Vec<Value> = String::from_utf8(watched.stdout).unwrap().lines().map(parsed).collect();
    assert_eq!(watched.first().unwrap()["state"], "open");
    assert_eq!(outcome(watched.last().unwrap()), outcome(&all));

    let file = home.join("certificate.cbor").display().to_string();
    let _ = nodes[2].run(&["vote", "certificate", &id, "--out", &file]).expect(0);
    for node in &nodes {
        let audit = node.ask("althing.audit/v1", &["vote", "audit"]);
        let votes = audit["votes"].as_array().unwrap();
        assert_eq!(votes.len(), 1, "{audit}");
        assert_eq!((&votes[0]["proposal"], &votes[0]["outcome"]), (&json!(id), &json!("Bergen")), "{audit}");
        assert_eq!((&votes[0]["valid"], &votes[0]["fault"]), (&json!(true), &Value::Null), "{audit}");
        assert_eq!(node.status()["evidence"], 0, "nobody is accused");
    }
    drop(nodes);
    certificate_holds(&home, &file, &id);
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

/// Verifies the certificate where there is nothing but the file and the genesis.
fn certificate_holds(home: &Home, file: &str, id: &str) {
    let elsewhere = Home::new();
    let genesis = elsewhere.join("genesis.cbor").display().to_string();
    let certificate = elsewhere.join("certificate.cbor").display().to_string();
    fs::copy(home.join("genesis.cbor"), &genesis).unwrap();
    fs::copy(file, &certificate).unwrap();
    let nowhere = elsewhere.join("home").display().to_string();
    let verify = |file: &str| {
        run(&["--json", "--home", &nowhere, "vote", "verify", file, "--genesis", genesis.as_str()])
    };
    let verified = verify(&certificate).expect(0).json("althing.verified-certificate/v1");
    assert_eq!(
        (&verified["proposal"], &verified["option"], &verified["valid"]),
        (&json!(id), &json!("Bergen"), &json!(true)),
        "{verified}"
    );
    assert_eq!(verified["rounds"], json!([["2", "2", "1"], ["2", "3", null]]));
    assert_eq!(verified["voters"].as_array().unwrap().len(), 5);
    assert!(verified["signed_by"].as_u64().unwrap() >= 4, "{verified}");
    assert!(!elsewhere.join("home").exists(), "verifying needs no home and makes none");
    let other = elsewhere.join("other.cbor").display().to_string();
    let _ = run(&["network", "init", "--name", "other", "--out", &other]).expect(0);
    let _ = run(&["vote", "verify", &certificate, "--genesis", &other]).expect(6).says("another network");

    let good = fs::read(&certificate).unwrap();
    let step = (good.len() / 48).max(1);
    for at in (0..good.len()).step_by(step).chain([good.len() - 1]) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let bad = elsewhere.write("bad.cbor", bad).display().to_string();
        let refused = verify(&bad);
        assert_eq!(refused.code, Some(6), "byte {at}: {refused:#?}");
        assert_eq!(refused.says("error: ").json("althing.problem/v1")["exit"], 6, "byte {at}");
    }
    for bytes in [&good[..good.len() - 1], &[&good[..], &[0]].concat()] {
        let bad = elsewhere.write("bad.cbor", bytes).display().to_string();
        let _ = verify(&bad).expect(6);
    }
}

/// A vote of three nodes: its words, a ballot of each node, and what it comes to.
struct Case<'a> {
    words: &'a [&'a str],
    ballots: [&'a str; 3],
    outcome: Result<&'a str, &'a str>,
}

#[test]
fn every_method_decides_or_rejects_the_same_on_every_node() {
    let home = Home::new();
    let nodes = nodes(&home, 3);
    let agents: Vec<String> = nodes.iter().map(Node::agent).collect();
    let shares = format!("# shares\n{} 5 # the first\n\n{}\t1\n{},2\n", agents[0], agents[1], agents[2]);
    let shares = home.write("shares.txt", shares).display().to_string();
    let to = |agent: usize| format!("--delegate {}", agents[agent]);
    let (to_one, to_two) = (to(0), to(1));
    let ab = ["--option", "a", "--option", "b"];
    let abc = ["--option", "a", "--option", "b", "--option", "c"];
    let (no_majority, tied) = ("no option has enough votes", "tied");
    let cases = [
        Case { words: &["--method", "majority"], ballots: ["a", "b", "b"], outcome: Ok("b") },
        Case { words: &["--method", "majority"], ballots: ["a", "b", "c"], outcome: Err(no_majority) },
        Case {
            words: &["--method", "weighted", "--weights", &shares],
            ballots: ["a", "b", "b"],
            outcome: Ok("a"),
        },
        Case {
            words: &["--method", "approval"],
            ballots: ["--approve a,c", "--approve b,c", "--approve a,b,c"],
            outcome: Ok("c"),
        },
        Case { words: &["--method", "approval"], ballots: ["a", "b", "abstain"], outcome: Err(tied) },
        Case {
            words: &["--method", "approval", "--tie", "order"],
            ballots: ["b", "a", "abstain"],
            outcome: Ok("a"),
        },
        Case {
            words: &["--method", "schulze"],
            ballots: ["--rank a,b,c", "--rank b,c,a", "--rank b,a,c"],
            outcome: Ok("b"),
        },
        Case {
            words: &["--method", "star"],
            ballots: ["--score a=5,b=4", "--score b=3,c=2", "--score a=4,c=5"],
            outcome: Ok("a"),
        },
        Case { words: &["--method", "unanimous", "--closed"], ballots: ["a"; 3], outcome: Ok("a") },
        Case {
            words: &["--method", "unanimous", "--closed"],
            ballots: ["a", "a", "b"],
            outcome: Err(no_majority),
        },
        Case {
            words: &["--method", "supermajority", "--closed"],
            ballots: ["b", "a", "b"],
            outcome: Ok("b"),
        },
        Case {
            words: &["--method", "supermajority=3/4", "--closed"],
            ballots: ["b", "a", "b"],
            outcome: Err(no_majority),
        },
        Case {
            words: &["--method", "majority", "--delegation"],
            ballots: ["a", "b", &to_one],
            outcome: Ok("a"),
        },
        Case {
            words: &["--method", "majority", "--delegation"],
            ballots: [&to_two, &to_one, "c"],
            outcome: Ok("c"),
        },
    ];
    let everybody = voters(&nodes);
    for Case { words, ballots, outcome } in cases {
        let who: &[&str] = if words.contains(&"--weights") { &[] } else { &["--voters", &everybody] };
        let id = propose(&nodes, &[&abc[..], words, who].concat());
        cast(&nodes, &id, &ballots);
        check(&nodes, &id, words, outcome);
    }

    // The last one cycled: both abstain, and neither is void.
    let last = nodes[2].ask("althing.votes/v1", &["vote", "ls"])["votes"][0].clone();
    assert_eq!((&last["abstentions"], &last["decided"]), (&json!(2), &json!("c")), "{last}");

    // All that there is: two of three, where three are asked for. The third does not vote, so the window ends it.
    let terms = ["--method", "majority", "--quorum", "3", "--window", "4s", "--voters", &everybody];
    let id = propose(&nodes, &[&ab[..], &terms].concat());
    cast(&nodes, &id, &["a", "a"]);
    check(&nodes, &id, &terms, Err("no quorum"));
    let audit = nodes[1].ask("althing.audit/v1", &["vote", "audit"]);
    let audited = audit["votes"].as_array().unwrap();
    assert_eq!(audited.len(), 15, "{audit}");
    assert!(audited.iter().all(|vote| vote["valid"] == true), "{audit}");
}

#[test]
fn an_option_with_a_comma_can_be_ranked_approved_of_and_scored() {
    let home = Home::new();
    let nodes = nodes(&home, 1);
    let agent = nodes[0].agent();
    let options = ["--option", "Paris, Texas", "--option", "Oslo", "--option", "a \"b\", c"];
    let cases: [(&str, &[&str], &str); 4] = [
        ("ranked", &["--rank", "\"Paris, Texas\",Oslo"], "Paris, Texas > Oslo"),
        ("schulze", &["--rank", "Oslo", "--rank", "\"Paris, Texas\""], "Oslo > Paris, Texas"),
        ("approval", &["--approve", "\"a \"\"b\"\", c\""], "a \"b\", c"),
        ("star", &["--score", "\"Paris, Texas\"=5,Oslo=1"], "Oslo=1, Paris, Texas=5"),
    ];
    for (method, said, choice) in cases {
        let id = propose(&nodes, &[&options[..], &["--method", method, "--voters", &agent]].concat());
        let words = [&["--json", "vote", "cast", &id], said].concat();
        let ballot = nodes[0].run(&words).expect(0).json("althing.ballot/v1");
        assert_eq!(ballot["choice"], choice, "{method}");
        let _ = nodes[0].run(&["vote", "result", &id, "--wait"]).expect(0);
    }
    let id = propose(&nodes, &[&options[..], &["--method", "ranked", "--voters", &agent]].concat());
    for (said, says) in [("Paris, Texas", "option \"Paris\""), ("\"Paris", "a quote is not closed")] {
        let refused = nodes[0].run(&["vote", "cast", &id, "--rank", said]);
        assert!(refused.stderr.contains(says), "{refused:?}");
    }
}

/// Holds a vote's outcome on all nodes, the exit code of its result, and its certificate against what it should be.
fn check(nodes: &[Node], id: &str, words: &[&str], expected: Result<&str, &str>) {
    let vote = decided(nodes, id);
    let found = vote["decided"].as_str().ok_or_else(|| vote["rejected"].as_str().unwrap_or_default());
    assert_eq!(found, expected, "{words:?}: {vote:#}");
    let home = nodes[2].home().with_extension(format!("{}.cbor", &id[..16])).display().to_string();
    let _ = nodes[2].run(&["vote", "certificate", id, "--out", &home]).expect(0);
    let verified = run(&["--json", "vote", "verify", &home]).expect(0);
    let verified = verified.json("althing.verified-certificate/v1");
    let result = nodes[1].run(&["vote", "result", id, "--wait"]);
    match expected {
        Ok(option) => {
            assert_eq!(result.code, Some(0), "{result:#?}");
            assert_eq!((&verified["option"], &verified["rejected"]), (&json!(option), &Value::Null));
        }
        Err(cause) => {
            let _ = result.expect(1).says(&format!("rejected: {cause}"));
            assert_eq!((&verified["option"], &verified["rejected"]), (&Value::Null, &json!(cause)));
        }
    }
}

#[test]
fn a_committee_closes_a_vote_of_more_than_31_voters() {
    let home = Home::new();
    // The committee stands in the genesis, so its keys are older than the network.
    let mut members = Vec::new();
    for name in ["1", "2", "3", "4"] {
        let early = Node::up(&home.join(&format!("early-{name}")), &[]);
        members.push(early.agent());
        let keys = early.home().join("keys");
        early.kill();
        DirBuilder::new().mode(0o700).create(home.join(name)).unwrap();
        fs::rename(keys, home.join(name).join("keys")).unwrap();
    }
    let committee: Vec<&str> = members.iter().flat_map(|agent| ["--committee", agent]).collect();
    let nodes = lab(&home, 4, &committee);
    assert_eq!(nodes.iter().map(Node::agent).collect::<Vec<_>>(), members);
    // The first member has no vote.
    let absent = (1..=29).map(|byte| AgentId([byte; 32]).to_string());
    let electorate = absent.chain(members[1..].iter().cloned()).collect::<Vec<_>>().join(",");
    let terms = ["--method", "majority", "--quorum", "3/32", "--window", "5s", "--voters", &electorate];
    let id = propose(&nodes, &[&terms[..], &["--committee"]].concat());
    let open = show(&nodes[1], &id);
    let (closers, electorate) = (open["closing"]["closers"].as_array().unwrap().len(), &open["electorate"]);
    assert_eq!((closers, electorate), (4, &json!(32)), "{open}");
    let _ = nodes[0].run(&["vote", "cast", &id, "no"]).expect(1).says("not in the electorate");
    cast(&nodes[1..], &id, &["no", "yes", "yes"]);
    check(&nodes, &id, &terms, Ok("yes"));
    let audit = nodes[0].ask("althing.audit/v1", &["vote", "audit"]);
    assert_eq!(audit["votes"][0]["valid"], true, "{audit}");
}

#[test]
fn a_command_for_a_passed_vote_runs_once_on_each_node() {
    let home = Home::new();
    let nodes = nodes(&home, 2);
    let voters = voters(&nodes);
    let terms = ["--method", "majority", "--voters", &voters];
    let id = propose(&nodes, &[&terms[..], &["--option", "stay", "--option", "go"]].concat());
    let ran = |name: &str| home.join(&format!("ran-{name}"));
    let command = |name: &str| {
        let to = ran(name).display().to_string();
        format!("echo \"$ALTHING_PROPOSAL $ALTHING_OPTION $ALTHING_CERTIFICATE\" >> {to}")
    };
    let result = |node: &Node, id: &str, name: &str| {
        start(node, &["vote", "result", id, "--wait", "--timeout", "60s", "--on-pass", &command(name)])
    };
    // Before it is decided, so that they all see it at once.
    let waiting: Vec<Child> = nodes
        .iter()
        .zip(["1", "2"])
        .flat_map(|(node, name)| [name; 3].map(|name| result(node, &id, name)))
        .collect();
    cast(&nodes, &id, &["go", "go"]);
    for child in waiting {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    for (node, name) in nodes.iter().zip(["1", "2"]) {
        let said = fs::read_to_string(ran(name)).unwrap();
        let [line] = said.lines().collect::<Vec<_>>()[..] else { panic!("not once: {said:?}") };
        let [proposal, option, certificate] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line:?}")
        };
        assert_eq!((proposal, option), (id.as_str(), "go"));
        assert!(std::path::Path::new(certificate).starts_with(node.home()), "{certificate}");
        let _ = run(&["vote", "verify", certificate]).expect(0);

        let made = fs::metadata(certificate).unwrap().modified().unwrap();
        let again = node.run(&["vote", "result", &id, "--on-pass", &command(name)]).expect(0);
        assert!(again.stdout.contains("had been run before"), "{again:#?}");
        assert_eq!(fs::read_to_string(ran(name)).unwrap(), said);
        let kept = fs::metadata(certificate).unwrap().modified().unwrap();
        assert_eq!(kept, made, "a command that still runs may be reading it");
    }
    // Another command is another thing to do, and --timeout is for the outcome only; one that fails has been run.
    let slow = format!("sleep 2; echo done >> {}", ran("slow").display());
    let _ = nodes[0].run(&["vote", "result", &id, "--timeout", "1s", "--on-pass", &slow]).expect(0);
    assert_eq!(fs::read_to_string(ran("slow")).unwrap(), "done\n");
    // What a command prints is not part of the one document.
    let said =
        nodes[0].run(&["--json", "vote", "result", &id, "--on-pass", "echo hello"]).expect(0).says("hello");
    assert_eq!(said.json("althing.vote/v1")["decided"], "go");
    let failing = ["vote", "result", &id, "--on-pass", "exit 7"];
    let _ = nodes[0].run(&failing).expect(1).says("exit status: 7").says("hint: ");
    let again = nodes[0].run(&failing).expect(0);
    assert!(again.stdout.contains("had been run before"), "{again:#?}");

    let rejected = propose(&nodes, &[&terms[..], &["--option", "stay", "--option", "go"]].concat());
    cast(&nodes, &rejected, &["stay", "go"]);
    let motion = propose(&nodes, &terms);
    cast(&nodes, &motion, &["no", "no"]);
    for (id, code) in [(&rejected, 1), (&motion, 0)] {
        let output = result(&nodes[1], id, "never").wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
    assert_eq!(decided(&nodes, &motion)["decided"], "no");
    assert!(!ran("never").exists(), "a rejection and a no are no pass");
    let passed = propose(&nodes, &terms);
    cast(&nodes, &passed, &["yes", "yes"]);
    assert!(result(&nodes[1], &passed, "motion").wait_with_output().unwrap().status.success());
    assert!(fs::read_to_string(ran("motion")).unwrap().starts_with(&format!("{passed} yes /")));
}
