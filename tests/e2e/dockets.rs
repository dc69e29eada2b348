//! Dockets: many questions that are put, answered and decided at once.

use althing_tests::{Home, Node, poll_or_say, run};
use serde_json::{Value, json};

use crate::closed::{nodes, voters};

fn show(node: &Node, id: &str) -> Value {
    node.ask("althing.docket/v1", &["docket", "show", id])
}

/// The docket as a node shows it once every question has its outcome.
fn decided(node: &Node, id: &str) -> Value {
    let look = || {
        let shown = node.run(&["--json", "docket", "show", id]);
        let docket = (shown.code == Some(0)).then(|| shown.json("althing.docket/v1"))?;
        (docket["state"] == "decided").then_some(docket)
    };
    poll_or_say("every question has its outcome", look, || node.run(&["docket", "show", id]).stdout)
}

#[test]
fn five_nodes_decide_three_hundred_questions_with_one_ballot_each() {
    let home = Home::new();
    let nodes = nodes(&home, 5);
    let voters = voters(&nodes);
    let mut lines = "# what we decide in June\nwhere? | Oslo | Turku | Riga\n".to_owned();
    (2..=300).for_each(|number| lines += &format!("merge PR {number}?\n"));
    let file = home.write("questions.txt", lines).display().to_string();
    let terms = ["--json", "docket", "propose", "June", &file, "--method", "majority", "--voters", &voters];
    let proposed = nodes[0].run(&terms).expect(0).json("althing.proposed/v1");
    let id = proposed["proposal"].as_str().unwrap();
    assert_eq!(proposed["tolerates"], 1);
    for node in &nodes {
        poll_or_say(
            "the docket arrives",
            || (node.run(&["docket", "show", id]).code == Some(0)).then_some(()),
            String::new,
        );
    }
    let answers = json!({"1": "Turku", "2": "no", "300": "abstain"}).to_string();
    let answers = home.write("answers.json", answers).display().to_string();
    let says: [&[&str]; 5] = [
        &["--answer", "1=Oslo", "--others", "yes"],
        &["--answers", &answers, "--others", "yes"],
        &["--answer", "1=Turku", "--answer", "2=no", "--others", "yes"],
        &["--answer", "1=Turku", "--answer", "2=no", "--answer", "3=no", "--others", "yes"],
        &["--answer", "1=Riga"],
    ];
    for (node, said) in nodes.iter().zip(says) {
        let words = [&["docket", "cast", id], said].concat();
        assert!(node.run(&words).expect(0).stdout.contains("answered"));
    }
    let first = decided(&nodes[0], id);
    assert_eq!(
        (&first["questions"], &first["decided"], &first["rejected"]),
        (&json!(300), &json!(300), &json!(0))
    );
    let asked = first["asked"].as_array().unwrap();
    let outcomes: Vec<&str> = asked.iter().map(|asked| asked["decided"].as_str().unwrap()).collect();
    assert_eq!(outcomes[..3], ["Turku", "no", "yes"]);
    assert!(outcomes[3..].iter().all(|outcome| *outcome == "yes"));
    for node in &nodes[1..] {
        let docket = decided(node, id);
        assert_eq!((&docket["asked"], &docket["voters"][0]["answered"]), (&first["asked"], &json!(true)));
    }
    let result = nodes[2].run(&["docket", "result", &id[..12], "--wait"]).expect(0);
    assert!(result.stdout.contains("300 decided, 0 rejected of 300"), "{}", result.stdout);
    let listed = nodes[3].ask("althing.dockets/v1", &["docket", "ls"]);
    assert_eq!(listed["dockets"][0]["title"], "June");
    let question = nodes[4].ask("althing.vote/v1", &["docket", "show", id, "--question", "1"]);
    assert_eq!((&question["decided"], &question["rounds"][0]["tally"]), (&json!("Turku"), &json!([1, 3, 1])));

    // Anybody checks one question with nothing but its certificate.
    let certificate = home.join("certificate.cbor").display().to_string();
    let _ = nodes[4].run(&["docket", "certificate", id, "2", "--out", &certificate]).expect(0);
    let verified =
        run(&["--json", "vote", "verify", &certificate]).expect(0).json("althing.verified-certificate/v1");
    assert_eq!(
        (&verified["question"], &verified["option"], &verified["number"]),
        (&json!("merge PR 2?"), &json!("no"), &json!(2)),
        "{verified}"
    );
    let mut bytes = std::fs::read(&certificate).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        bytes[at] ^= 1;
        let broken = home.write("broken.cbor", &bytes).display().to_string();
        let _ = run(&["vote", "verify", &broken]).expect(6);
        bytes[at] ^= 1;
    }
    let events = nodes[1].run(&["events", "--types", "docket"]).expect(0).stdout;
    assert!(events.contains("300 of 300 questions decided"), "{events}");
    assert_eq!(events.matches("docket.answered").count(), 5, "{events}");

    let audit = |node: &Node, words: &[&str]| {
        node.ask("althing.audit/v1", &[&["vote", "audit"], words].concat())["votes"]
            .as_array()
            .unwrap()
            .clone()
    };
    // Every page but the last is full, and what comes after question 148 begins with 149.
    let audited = audit(&nodes[3], &["--limit", "148"]);
    let rest = audit(&nodes[1], &["--after", &format!("{}/148", &id[..12])]);
    assert_eq!((audited.len(), rest.len()), (148, 152));
    for (number, row) in (1..).zip(audited.iter().chain(&rest)) {
        assert_eq!((&row["proposal"], &row["number"]), (&json!(id), &json!(number)));
        assert_eq!((&row["valid"], row["outcome"].as_str()), (&json!(true), Some(outcomes[number - 1])));
    }
    let text = nodes[2].run(&["vote", "audit", "--limit", "2"]).expect(0).stdout;
    assert!(text.contains("where?: Turku"), "{text}");
    assert!(text.contains(&format!("there are older ones: --after {id}/2")), "{text}");

    // The nodes come back with all of it.
    let home_of_last = nodes[4].home().to_owned();
    let addresses: Vec<String> = nodes[..4].iter().map(Node::address).collect();
    let mut nodes = nodes;
    nodes.remove(4).kill();
    let genesis = home_of_last.with_file_name("genesis.cbor").display().to_string();
    let again = Node::up(&home_of_last, &["--genesis", &genesis, "--join", &addresses[0]]);
    assert_eq!(decided(&again, id)["asked"], first["asked"]);
}

#[test]
fn wrong_dockets_and_answers_are_refused_with_what_is_wrong() {
    let home = Home::new();
    let nodes = nodes(&home, 2);
    let voters = voters(&nodes[..1]);
    let write = |name: &str, text: &str| home.write(name, text).display().to_string();
    let propose = |file: &str, more: &[&str]| {
        nodes[0].run(&[&["docket", "propose", "June", file, "--voters", &voters], more].concat())
    };
    let many: String = (0..1_024).map(|number| format!("question {number}?\n")).collect();
    let long: String = (0..500).map(|number| format!("{number} {}?\n", "why ".repeat(60))).collect();
    let _ = propose(&write("none.txt", "# nothing\n"), &[]).expect(2).says("has 0 questions").says("hint: ");
    let _ = propose(&write("many.txt", &many), &[]).expect(2).says("has 1024 questions, expected 1 to 1023");
    let _ = propose(&write("long.txt", &long), &[]).expect(1).says("its questions take");
    let _ = propose(&write("one.txt", "where? | Oslo\n"), &[]).expect(1).says("1 is too few");
    let _ = propose(&write("twice.txt", "where? | Oslo | Oslo\n"), &[]).expect(1).says("stands there twice");
    let _ = propose(&home.join("absent.txt").display().to_string(), &[]).expect(1).says("absent.txt");

    let good = write("good.txt", "first?\nsecond?\n");
    let proposed = nodes[0].run(&["--json", "docket", "propose", "June", &good, "--voters", &voters]);
    let proposed = proposed.expect(0).json("althing.proposed/v1");
    let id = proposed["proposal"].as_str().unwrap();
    let cast = |said: &[&str]| nodes[0].run(&[&["docket", "cast", id], said].concat());
    let _ = cast(&[]).expect(2).says("--others");
    let _ = cast(&["--answer", "0=yes"]).expect(2).says("from 1");
    let _ = cast(&["--answer", "3=yes"]).expect(1).says("there is no question 3, there are 1 to 2");
    let _ = cast(&["--answer", "1=maybe"]).expect(1).says("question 1").says("maybe");
    let _ = cast(&["--answer", "1=yes", "--answer", "1=no"]).expect(2).says("two answers");
    let wrong = write("answers.json", "{\"first\": \"yes\"}");
    let _ = cast(&["--answers", &wrong]).expect(2).says("answers.json").says("hint: ");
    let _ = nodes[0].run(&["vote", "cast", id, "yes"]).expect(1).says("is a docket of 2 questions");
    let _ = nodes[0].run(&["vote", "show", id]).expect(1).says("is a docket").says("hint: ");
    let _ = nodes[0].run(&["docket", "show", id, "--question", "3"]).expect(1).says("has no question 3");
    let _ = nodes[0].run(&["docket", "result", id]).expect(5).says("2 of 2 questions").says("hint: ");
    let _ = nodes[0].run(&["docket", "certificate", id, "1", "--out", "-"]).expect(1).says("is not decided");
    assert!(cast(&["--others", "yes"]).expect(0).stdout.contains("answered"));
    assert!(cast(&["--others", "yes"]).expect(0).stdout.contains("had answered this before"));
    let _ = cast(&["--others", "no"]).expect(1).says("already answered").says("final");
    assert_eq!(show(&nodes[0], id)["decided"], 2, "one voter of one");
    let stranger = nodes[1].run(&["docket", "cast", id, "--others", "yes"]);
    assert!(
        stranger.stderr.contains("not in the electorate") || stranger.stderr.contains("not known"),
        "{stranger:?}"
    );
    let alone = nodes[0].run(&["--json", "vote", "propose", "alone?", "--voters", &voters]).expect(0);
    let alone = alone.json("althing.proposed/v1");
    let _ = nodes[0]
        .run(&["docket", "show", alone["proposal"].as_str().unwrap()])
        .expect(1)
        .says("asks one question");
}
