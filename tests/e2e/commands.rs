//! Commands that need no node, and what all commands have in common.

use std::io::Write;
use std::process::Stdio;

use althing_tests::{Home, Node, althing, run};

/// The sample cards of the repository.
pub(crate) const TRANSLATOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/translator.json");

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_has_help() {
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    let mut leaves = 0;
    while let Some(command) = open.pop() {
        let help = run(&[&command[..], &["--help".to_owned()]].concat()).expect(0);
        assert!(help.stdout.contains("Usage: althing"), "{help:#?}");
        assert!(help.stderr.is_empty(), "{help:#?}");
        let below = subcommands(&help.stdout);
        leaves += usize::from(below.is_empty());
        open.extend(below.into_iter().map(|name| [&command[..], &[name]].concat()));
    }
    assert_eq!(leaves, 78, "a command was added or lost: is that in README.md and CHANGELOG.md?");
}

#[test]
fn memory_that_was_freed_is_given_back_by_a_thread() {
    let ended = althing(&["--version"]).env("_RJEM_MALLOC_CONF", "stats_print:true").output().unwrap();
    let options = String::from_utf8(ended.stderr).unwrap();
    for option in ["opt.narenas: 2", "opt.background_thread: true", "opt.dirty_decay_ms: 1000"] {
        assert!(options.contains(option), "{option} is not what the program's allocator says:\n{options}");
    }
}

#[test]
fn a_wrong_command_line_is_exit_2_with_cause_and_hint() {
    for (words, cause) in [
        (vec!["statsu"], "'statsu'"),
        (vec!["find"], "--skill"),
        (vec!["find", "--skill", "//"], "skill is empty"),
        (vec!["find", "tag:a AND", "te xt"], "at character 11"),
        (vec!["find", "streming:true"], "did you mean streaming:?"),
        (vec!["up", "--join", "nonsense"], "nonsense"),
        (vec!["card", "get", "did:web:x"], "did:web:x"),
        (vec!["vote", "propose", "?", "--voters", "x"], "did:key"),
        (vec!["status", "--timeout", "soon"], "soon"),
        (vec!["events", "--types", "vot"], "vot"),
        (vec!["events", "--after", "57"], "57"),
        (vec!["testnet", "up", "--nodes", "0"], "0"),
    ] {
        let text = run(&words).expect(2).says("error: ").says("hint: ").says(cause);
        assert!(text.stdout.is_empty(), "{text:#?}");
        let json = run(&[&["--json"], &words[..]].concat()).expect(2).json("althing.problem/v1");
        assert_eq!(json["exit"], 2);
    }
}

#[test]
fn without_a_node_commands_exit_3() {
    let home = Home::new();
    let at = home.join("n").display().to_string();
    let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
    for words in [
        vec!["status"],
        vec!["peers"],
        vec!["down"],
        vec!["agent", "ls"],
        vec!["card", "publish", TRANSLATOR],
        vec!["card", "get", did],
        vec!["find", "--skill", "text"],
        vec!["vote", "ls"],
        vec!["vote", "cast", "00ff", "yes"],
        vec!["vote", "propose", "?", "--voters", did],
        vec!["evidence", "ls"],
        vec!["events"],
        vec!["events", "--follow"],
        vec!["card", "verify", did],
    ] {
        let words = [&["--home", &at], &words[..]].concat();
        let _ = run(&words).expect(3).says(&at).says("hint: start it with `althing up");
        let json = run(&[&["--json"], &words[..]].concat()).expect(3).json("althing.problem/v1");
        assert_eq!(json["exit"], 3);
    }
    assert!(!home.join("n").exists());
}

#[test]
fn a_home_can_come_from_the_environment() {
    let home = Home::new();
    let at = home.join("n");
    let output = althing(&["status"]).env("ALTHING_HOME", &at).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&at.display().to_string()));
}

#[test]
fn a_network_is_made_once_and_read_back() {
    let home = Home::new();
    let file = home.join("genesis.cbor").display().to_string();
    let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
    let init = [
        "--json",
        "network",
        "init",
        "--name",
        "lab",
        "--anchor",
        did,
        "--rating-epoch",
        "12h",
        "--out",
        &file,
    ];
    let made = run(&init).expect(0).json("althing.network/v1");
    let shown = run(&["--json", "network", "show", &file]).expect(0).json("althing.network/v1");
    assert_eq!(made, shown);
    assert_eq!((&shown["name"], &shown["rating_epoch_ms"]), (&"lab".into(), &43_200_000.into()));
    assert_eq!(shown["anchors"][0], did);
    let _ = run(&init).expect(1).says(&file);

    let damaged = home.write("damaged.cbor", b"not a genesis").display().to_string();
    let _ = run(&["network", "show", &damaged]).expect(1).says("malformed").says("hint: ");
    let _ = run(&["network", "show"]).expect(0);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    for words in [vec!["network", "show"], vec!["--json", "network", "show"], vec!["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = althing(&words).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
}

#[test]
fn no_color_and_pipes_are_plain() {
    let plain = run(&["statsu"]);
    assert!(!plain.stderr.contains('\u{1b}') && !run(&["--help"]).stdout.contains('\u{1b}'), "{plain:#?}");
}

#[test]
fn every_command_prints_one_json_document_with_its_schema() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let agent = node.agent();
    let _ = node.ask("althing.published/v1", &["card", "publish", TRANSLATOR]);
    let proposed = node.ask("althing.proposed/v1", &["vote", "propose", "ship?", "--voters", &agent]);
    let id = proposed["proposal"].as_str().unwrap();
    let out = home.join("c.cbor").display().to_string();
    for (schema, words) in [
        ("althing.ballot/v1", vec!["vote", "cast", id, "yes"]),
        ("althing.vote/v1", vec!["vote", "show", &id[..16]]),
        ("althing.votes/v1", vec!["vote", "ls"]),
        ("althing.certificate-file/v1", vec!["vote", "certificate", id, "--out", &out]),
        ("althing.verified-certificate/v1", vec!["vote", "verify", &out]),
        ("althing.status/v1", vec!["status"]),
        ("althing.peers/v1", vec!["peers"]),
        ("althing.agents/v1", vec!["agent", "ls"]),
        ("althing.card/v1", vec!["card", "get", &agent]),
        ("althing.find/v1", vec!["find", "--skill", "text"]),
        ("althing.find/v1", vec!["find", "--skill", "text", "--local"]),
        ("althing.evidence/v1", vec!["evidence", "ls"]),
        ("althing.network/v1", vec!["network", "show"]),
        ("althing.version/v1", vec!["--version"]),
        ("althing.help/v1", vec!["--help"]),
    ] {
        let _ = node.ask(schema, &words);
        // The same for people says something and is no error either.
        let text = node.run(&words).stdout;
        assert!(!text.is_empty() || words.contains(&"certificate"), "{words:?}");
    }
    let _ = node.ask("althing.stopping/v1", &["down"]);
    let _ = node.ask("althing.store-check/v1", &["store", "check"]);
}

#[test]
fn a_card_can_come_from_standard_input_and_goes_out_as_it_came() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let json = "{ \"name\":\"Babel\",\"skills\":[{\"id\":\"text/translate\"}], \"pi\":3.140 }\n";
    let at = node.home().display().to_string();
    let mut child = althing(&["--home", &at, "card", "publish", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(json.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(node.run(&["card", "get", &node.agent(), "--raw"]).expect(0).stdout, json);
}
