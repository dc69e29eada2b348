//! What shells and pagers meet: readers that leave, completions, man pages.

use std::fs;
use std::process::{Command, Stdio};

use althing_tests::{Home, Node, althing, run, skip};

use crate::commands::TRANSLATOR;

#[test]
fn a_reader_that_leaves_early_costs_nothing_in_any_command() {
    let home = Home::new();
    let node = Node::up(&home.join("n"), &[]);
    let at = node.home().display().to_string();
    let agent = node.agent();
    let proposed = node.ask("althing.proposed/v1", &["vote", "propose", "ship?", "--voters", &agent]);
    let id = proposed["proposal"].as_str().unwrap();
    let _ = node.run(&["vote", "cast", id, "yes"]).expect(0);
    let out = home.join("c.cbor").display().to_string();
    let _ = node.run(&["vote", "certificate", id, "--out", &out]).expect(0);
    let (made, net) = (home.join("g.cbor").display().to_string(), home.join("net").display().to_string());
    for words in [
        vec!["card", "publish", TRANSLATOR],
        vec!["card", "get", &agent],
        vec!["card", "get", &agent, "--raw"],
        vec!["find", "--skill", "text", "--local"],
        vec!["vote", "ls"],
        vec!["vote", "show", id],
        vec!["vote", "cast", id, "yes"],
        vec!["vote", "propose", "another?", "--voters", &agent],
        vec!["vote", "verify", &out],
        vec!["status"],
        vec!["peers"],
        vec!["agent", "ls"],
        vec!["evidence", "ls"],
        vec!["wait"],
        vec!["logs"],
        vec!["logs", "--follow"],
        vec!["network", "show"],
        vec!["network", "init", "--name", "x", "--out", &made],
        vec!["testnet", "status", "--dir", &net],
        vec!["testnet", "down", "--dir", &net],
        vec!["up", "--detach"],
        vec!["completions", "bash"],
        vec!["man"],
        vec!["--help"],
        vec!["up", "--help"],
        vec!["help"],
        vec!["--version"],
        vec![],
        vec!["statsu"],
        vec!["store", "check"],
        vec!["down"],
    ] {
        for json in [false, true] {
            if json && (words.contains(&"--raw") || words.contains(&"down")) {
                continue;
            }
            let _ = fs::remove_file(&made);
            let mut all = vec!["--home", &at];
            all.extend(json.then_some("--json"));
            all.extend(&words);
            let whole = if words.contains(&"--follow") { Some(0) } else { expected(&words) };
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let output = althing(&all).stdout(writer).stderr(Stdio::piped()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), whole, "{all:?}: {said}");
            assert!(!said.contains("panicked") && !said.contains("roken pipe"), "{all:?}: {said}");
            // Standard error may be that pipe too.
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let _ = fs::remove_file(&made);
            if !words.contains(&"down") && !words.contains(&"--follow") {
                let status = althing(&all).stdout(Stdio::null()).stderr(writer).status().unwrap();
                assert_eq!(status.code(), whole, "{all:?}");
            }
        }
    }
    assert!(node.ended().success(), "`down` was done though nobody read that it was");
    let node = Node::up(&home.join("n"), &[]);
    assert_eq!(node.status()["cards"], 1, "what was asked for was done");
}

/// The exit code of a command whose output is read.
fn expected(words: &[&str]) -> Option<i32> {
    match words {
        [] | ["statsu"] => Some(2),
        ["store", ..] => Some(1),
        ["testnet", "status", ..] => Some(3),
        _ => Some(0),
    }
}

#[test]
fn completions_load_and_complete() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).expect(0).stdout;
        assert!(script.contains("testnet") && script.contains("peers"), "{shell}");
        let json = run(&["--json", "completions", shell]).expect(0).json("althing.completions/v1");
        assert_eq!(json["script"], script);
    }
    let home = Home::new();
    let script = home.write("althing.bash", run(&["completions", "bash"]).expect(0).stdout);
    let complete = |line: &str| {
        let body = r#"source "$1"; read -ra COMP_WORDS <<<"$2"; [[ "$2" != *" " ]] || COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE=$2; COMP_POINT=${#2}
            function=$(complete -p althing | sed 's/.*-F \([^ ]*\).*/\1/')
            "$function" althing "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"; echo "${COMPREPLY[@]}""#;
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-euc", body, "bash"]).arg(&script).arg(line);
        let output = bash.output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert!(Command::new("bash").arg("-n").arg(&script).status().unwrap().success());
    assert_eq!(complete("althing sta"), "status");
    assert_eq!(complete("althing vote c"), "cast certificate count");
    assert!(complete("althing up --").contains("--detach --"));
    assert_eq!(complete("althing up --profile "), "default testnet");
    let _ = run(&["completions", "tcsh"]).expect(2).says("bash");
}

#[test]
fn man_pages_render_without_a_warning() {
    let home = Home::new();
    let dir = home.join("man1");
    let at = dir.display().to_string();
    let _ = run(&["man", "--out", &at]).expect(1).says(&at).says("hint: ");
    fs::create_dir(&dir).unwrap();
    let written = run(&["--json", "man", "--out", &at]).expect(0).json("althing.man-pages/v1");
    let pages: Vec<&str> =
        written["pages"].as_array().unwrap().iter().map(|page| page.as_str().unwrap()).collect();
    assert!(pages.len() > 25 && pages.contains(&"althing-vote-cast.1"), "{pages:?}");
    assert_eq!(fs::read_to_string(dir.join("althing.1")).unwrap(), run(&["man"]).expect(0).stdout);
    for page in &pages {
        let source = fs::read_to_string(dir.join(page)).unwrap();
        assert!(
            source.contains(".SH NAME")
                && (source.contains(".SH EXAMPLES") || source.contains(".SH SUBCOMMANDS")),
            "{page}: {source}"
        );
    }
    if !Command::new("groff").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return skip("rendering needs groff");
    }
    for page in pages {
        let output = Command::new("groff")
            .args(["-man", "-Tutf8", "-Kutf8", "-ww"])
            .arg(dir.join(page))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{page}: {said}");
        assert!(output.stdout.len() > 500, "{page}");
    }
}
