//! What closed decisions refuse, by the command line and by the API.

use std::io::{Read, Write};
use std::net::TcpStream;

use althing_record::AgentId;
use althing_tests::{Home, Node, run};
use serde_json::{Value, json};

use crate::closed::{cast, decided, nodes, propose, voters};

/// The answer of a node's API to a body of JSON that its owner sends: the status and the problem.
fn post(node: &Node, path: &str, body: &Value) -> (u16, Value) {
    let token = std::fs::read_to_string(node.home().join("api.token")).unwrap();
    let (host, token, body) = (node.api(), token.trim(), body.to_string());
    let mut stream = TcpStream::connect(&host).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

/// Something wrong, the exit code, and what the message has to name.
type Wrong<'a> = (&'a [&'a str], i32, &'a [&'a str]);

/// Runs what is wrong: each is refused with its exit code, names what is wrong with it, and says what to do.
fn refused(node: &Node, before: &[&str], wrong: &[Wrong<'_>]) {
    for (words, code, names) in wrong {
        let mut refused = node.run(&[before, words].concat());
        assert_eq!(refused.code, Some(*code), "{refused:#?}");
        for name in *names {
            refused = refused.says(name);
        }
        let said = &refused.stderr;
        assert!(said.starts_with("error: ") && !said.contains("panicked"), "{refused:#?}");
        assert!(said.contains("hint: ") || said.contains("--help"), "no next step: {refused:#?}");
        assert_eq!(refused.stdout, "", "{refused:#?}");
    }
}

#[test]
fn ballots_that_do_not_fit_the_vote_are_refused_by_name() {
    let home = Home::new();
    let nodes = nodes(&home, 3);
    let (one, stranger) = (&nodes[0], nodes[2].agent());
    let members = voters(&nodes[..2]);
    let abc = ["--option", "a", "--option", "b", "--option", "c", "--voters", &members];
    let put = |words: &[&str]| propose(&nodes, &[&abc[..], words].concat());
    let majority = put(&["--method", "majority"]);
    let ranked = put(&["--method", "ranked"]);
    let approval = put(&["--method", "approval"]);
    let star = put(&["--method", "star"]);
    let delegated = put(&["--method", "majority", "--delegation"]);
    let (own, other) = (nodes[0].agent(), nodes[1].agent());

    let lists = "`althing vote show";
    refused(
        one,
        &["vote", "cast", &majority],
        &[
            (&["d"], 1, &["option \"d\"", "a, b, c, abstain", lists]),
            (&["--rank", "a,b"], 1, &["majority takes one option", lists]),
            (&["--approve", "a"], 1, &["majority takes one option", lists]),
            (&["--score", "a=1"], 1, &["majority takes one option", lists]),
            (&["--delegate", &other], 1, &["allows no delegation", lists]),
            (&["--delegate", "nobody"], 2, &["nobody"]),
            (&["--score", "a=6"], 2, &["a=6", "0 to 5"]),
            (&["--score", "a"], 2, &["OPTION=N"]),
            (&["--score", "a=-1"], 2, &["0 to 5"]),
            (&["a", "--rank", "b"], 2, &["--rank"]),
            (&[], 2, &["--rank"]),
        ],
    );
    refused(
        one,
        &["vote", "cast", &ranked],
        &[
            (&["--rank", "a,b,a"], 1, &["\"a\" stands there twice", lists]),
            (&["--rank", "a,d"], 1, &["option \"d\"", "a, b, c", lists]),
            (&["--rank", ""], 1, &["option \"\"", lists]),
            (&["--approve", "a"], 1, &["ranked takes a ranking", lists]),
        ],
    );
    refused(
        one,
        &["vote", "cast", &approval],
        &[
            (&["--approve", "a,a"], 1, &["\"a\" stands there twice", lists]),
            (&["--rank", "a"], 1, &["approval takes a list of approved options", lists]),
        ],
    );
    refused(
        one,
        &["vote", "cast", &star],
        &[
            (&["a"], 1, &["star takes scores", lists]),
            (&["--score", "d=3"], 1, &["option \"d\"", lists]),
            (&["--score", "a=1,a=2"], 2, &["option \"a\" has two scores, 1 and 2", "hint: "]),
        ],
    );
    refused(
        one,
        &["vote", "cast", &delegated],
        &[
            (&["--delegate", &own], 1, &["nobody can vote as themselves", lists]),
            (&["--delegate", &stranger], 1, &[&stranger, "not in the electorate", lists]),
        ],
    );
    refused(
        &nodes[2],
        &["vote", "cast", &majority],
        &[(&["a"], 1, &[&stranger, &majority, "not in the electorate", lists])],
    );

    let to = |id: &str| format!("/v1/votes/{id}/ballots");
    let several = "several things";
    for (id, body, says) in [
        (&majority, json!({"choice": "d"}), "option \"d\""),
        (&majority, json!({"rank": ["a"]}), "takes one option"),
        (&majority, json!({}), "says nothing"),
        (&majority, json!({"choice": "a", "rank": ["a"]}), several),
        (&majority, json!({"delegate": "x"}), "delegate: "),
        (&majority, json!({"delegate": other}), "allows no delegation"),
        (&majority, json!({"choice": "a", "weight": 7}), "weight"),
        (&ranked, json!({"rank": ["a", "a"]}), "twice"),
        (&star, json!({"score": {"a": 6}}), "0 to 5, found 6"),
        (&star, json!({"score": {"a": -1}}), "-1"),
        (&star, json!({"score": {"d": 1}}), "option \"d\""),
        (&delegated, json!({"delegate": own}), "as themselves"),
        (&delegated, json!({"delegate": stranger}), "not in the electorate"),
    ] {
        let (status, problem) = post(one, &to(id), &body);
        assert_eq!((status, &problem["schema"]), (400, &json!("althing.problem/v1")), "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{body}: {problem}");
    }

    // Nothing of all this was a ballot.
    for id in [&majority, &ranked, &approval, &star, &delegated] {
        let vote = one.ask("althing.vote/v1", &["vote", "show", id]);
        assert_eq!((&vote["voted"], &vote["state"]), (&json!(0), &json!("open")), "{vote}");
    }
    cast(&nodes, &majority, &["a", "b"]);
    let _ = decided(&nodes, &majority);
    refused(one, &["vote", "cast", &majority], &[(&["b"], 1, &["already voted \"a\"", "hint: "])]);
    let (status, problem) = post(one, &to(&majority), &json!({"choice": "b"}));
    assert_eq!(status, 409, "{problem}");

    let short = put(&["--method", "majority", "--window", "1s"]);
    assert_eq!(decided(&nodes, &short)["rejected"], "no votes");
    refused(&nodes[1], &["vote", "cast", &short], &[(&["b"], 1, &[&short, "is closed", "hint: "])]);
    let (status, problem) = post(&nodes[1], &to(&short), &json!({"choice": "b"}));
    assert_eq!(status, 409, "{problem}");
    assert_eq!(one.status()["evidence"], 0);
}

#[test]
fn questions_that_cannot_be_decided_are_refused_by_name() {
    let home = Home::new();
    let node = Node::up(&home.join("1"), &[]);
    let own = node.agent();
    let many = (1..=31).map(|byte| AgentId([byte; 32]).to_string()).chain([own.clone()]);
    let many = many.collect::<Vec<_>>().join(",");
    let two = format!("{own},{}", AgentId([7; 32]));
    let shares = |text: String| home.write("shares.txt", text).display().to_string();
    let file = home.join("shares.txt").display().to_string();

    let voters = ["--voters", two.as_str()];
    let with = |words: &[&'static str]| -> Vec<String> {
        voters.iter().chain(words).map(|word| (*word).to_owned()).collect()
    };
    for (words, code, names) in [
        (with(&["--method", "majority", "--quorum", "0"]), 1, ["quorum 0", "up to 2"]),
        (with(&["--method", "majority", "--quorum", "3"]), 1, ["quorum 3", "up to 2"]),
        (with(&["--method", "majority", "--quorum", "3/2"]), 1, ["quorum 3/2", "fraction up to 1"]),
        (with(&["--method", "majority", "--quorum", "0/2"]), 1, ["quorum 0/2", "fraction up to 1"]),
        (with(&["--method", "majority", "--quorum", "1/0"]), 1, ["quorum 1/0", "fraction up to 1"]),
        (with(&["--method", "majority", "--quorum", "half"]), 2, ["\"half\"", "N/D"]),
        (with(&["--method", "majority", "--tie", "coin"]), 2, ["'coin'", "order"]),
        (with(&["--method", "plurality"]), 2, ["plurality", "schulze"]),
        (with(&["--method", "approvals=2", "--closed"]), 1, ["approvals", "direct"]),
        (with(&["--method", "majority", "--committee"]), 1, ["no committee", "genesis"]),
        (with(&["--method", "majority", "--weights", "x"]), 2, ["--weights", "--voters"]),
        (vec!["--method".into(), "majority".into()], 2, ["--voters", "required"]),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        refused(&node, &["vote", "propose", "which?"], &[(&words, code, &names)]);
    }
    refused(
        &node,
        &["vote", "propose", "which?", "--method", "majority", "--voters", &many],
        &[
            (&[], 1, &["32 voters", "at most 31", "committee"]),
            (&["--committee"], 1, &["no committee", "genesis"]),
        ],
    );

    let at = |line: usize| format!("{file}:{line}: ");
    for (text, line, shown) in [
        (format!("{own} 1\nsomebody 2\n"), 2, "somebody 2"),
        (format!("# one\n\n{own}\n"), 3, own.as_str()),
        (format!("{own} -1\n"), 1, "-1"),
        (format!("{own} 1 2\n"), 1, "1 2"),
        (format!("{own} 18446744073709551616\n"), 1, "18446744073709551616"),
    ] {
        let words = ["--method", "weighted", "--weights", &shares(text)];
        refused(&node, &["vote", "propose", "which?"], &[(&words, 2, &[&at(line), shown, "hint: "])]);
    }
    for (text, says) in [
        (format!("{own} 1\n{own} 2\n"), "twice"),
        (format!("{own} 0\n"), "weight 0"),
        (format!("{own} {max}\n{} {max}\n", AgentId([7; 32]), max = u64::MAX), "at most"),
        ("# nobody\n".to_owned(), "empty"),
    ] {
        let words = ["--method", "weighted", "--weights", &shares(text)];
        refused(&node, &["vote", "propose", "which?"], &[(&words, 1, &[says])]);
    }
    refused(
        &node,
        &["vote", "propose", "which?", "--weights", "/nonexistent"],
        &[(&[], 1, &["/nonexistent"])],
    );

    let draft = json!({"question": "which?", "voters": [own], "method": "majority"});
    for (key, value, says) in [
        ("quorum", json!("0"), "quorum 0"),
        ("quorum", json!("3/2"), "quorum 3/2"),
        ("quorum", json!("2"), "quorum 2"),
        ("quorum", json!("x"), "\"x\""),
        ("tie", json!("coin"), "\"coin\""),
        ("committee", json!(true), "no committee"),
        ("weights", json!([1, 2]), "2 weights for 1 voters"),
        ("weights", json!([0]), "weight 0"),
        ("method", json!("plurality"), "\"plurality\""),
        ("options", json!(["a", "a"]), "\"a\""),
        ("voters", json!([]), "empty"),
        ("colour", json!("red"), "colour"),
    ] {
        let mut body = draft.clone();
        body[key] = value;
        let (status, problem) = post(&node, "/v1/votes", &body);
        assert_eq!((status, &problem["schema"]), (400, &json!("althing.problem/v1")), "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{body}: {problem}");
    }
    let listed = node.ask("althing.votes/v1", &["vote", "ls"]);
    assert_eq!(listed["total"], 0, "{listed}");
    let _ = run(&["vote", "audit", "--home", "/nonexistent"]).expect(3).says("hint: ");
}
