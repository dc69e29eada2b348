//! Holds the examples in the help texts: every command has some, and all of them can be typed.

use clap::{Command, CommandFactory, Parser};

use super::args::Cli;

/// What examples leave out, and something of that kind.
const SHORTENED: [(&str, &str); 8] = [
    ("did:key:z6Mk…", "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"),
    ("did:key:z6MkA…", "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"),
    ("did:key:z6MkB…", "did:key:z6Mkoxq3Nxci3e3FwvjJiSFeSZzJWyjBWwkpFgUgP9o3GZcZ"),
    ("did:key:z6MkC…", "did:key:z6Mkoxq3Nxci3e3FwvjJiSFeSZzJWyjBWwkpFgUgP9o3GZcZ"),
    ("3f0c…", "3f0c000000000000000000000000000000000000000000000000000000000000"),
    ("/p2p/12D3KooW…", "/p2p/12D3KooWHCJbJKGDfCgHSoCuK9q4STyRnVveqLoXAPBbXHTZx9Cv"),
    ("/ip4/…/p2p/…", "/ip4/192.0.2.7/tcp/1/p2p/12D3KooWHCJbJKGDfCgHSoCuK9q4STyRnVveqLoXAPBbXHTZx9Cv"),
    ("12D3KooW…", "12D3KooWHCJbJKGDfCgHSoCuK9q4STyRnVveqLoXAPBbXHTZx9Cv"),
];

fn leaves(command: &Command, found: &mut Vec<Command>) {
    if command.has_subcommands() {
        command.get_subcommands().filter(|below| !below.is_hide_set()).for_each(|below| leaves(below, found));
    } else {
        found.push(command.clone());
    }
}

fn help(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

/// The lines of the examples, those that end in a backslash joined.
fn examples(help: &str) -> Vec<String> {
    let block = help.split("\n\n").find_map(|paragraph| paragraph.strip_prefix("Examples:\n"));
    let parts: Vec<&str> = block.unwrap_or_default().split("\\\n").map(str::trim).collect();
    parts.join(" ").lines().map(|line| line.trim().to_owned()).collect()
}

/// The words of each call of this program on a line of shell.
fn calls(line: &str) -> Vec<Vec<String>> {
    let mut calls = vec![Vec::new()];
    let (mut word, mut quote, mut spaces) = (String::new(), None, 0);
    for char in line.chars().chain([' ']) {
        match (char, quote) {
            ('"' | '\'', None) => quote = Some(char),
            (_, Some(open)) if char == open => quote = None,
            ('|' | '&' | ';', None) => {
                let last = std::mem::take(&mut word);
                calls.last_mut().unwrap().extend((!last.is_empty()).then_some(last));
                calls.push(Vec::new());
            }
            (' ', None) => {
                spaces += 1;
                if !word.is_empty() {
                    calls.last_mut().unwrap().push(std::mem::take(&mut word));
                }
                // An explanation follows.
                if spaces == 3 {
                    break;
                }
                continue;
            }
            (char, _) => word.push(char),
        }
        spaces = 0;
    }
    for call in &mut calls {
        if let Some(end) = call.iter().position(|word| word == ">") {
            call.truncate(end);
        }
    }
    calls.into_iter().filter(|call| call.first().is_some_and(|word| word == "althing")).collect()
}

#[test]
fn every_command_has_examples_that_begin_with_it() {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut found = Vec::new();
    leaves(&command, &mut found);
    assert!(found.len() > 20, "{}", found.len());
    for leaf in found {
        let name = leaf.get_bin_name().unwrap().to_owned();
        let lines = examples(&help(&leaf));
        assert!(lines.iter().any(|line| line.contains(&name)), "`{name} --help` has no example: {lines:?}");
    }
}

#[test]
fn every_example_can_be_typed() {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut all = vec![command.clone()];
    leaves(&command, &mut all);
    for command in all {
        for line in examples(&help(&command)) {
            let mut full = line.clone();
            SHORTENED.iter().for_each(|(short, long)| full = full.replace(short, long));
            let calls = calls(&full);
            assert!(!calls.is_empty(), "no call of althing in: {line}");
            for words in calls {
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{line}\n{words:?}\n{error}");
                }
            }
        }
    }
}

#[test]
fn lines_of_shell_are_taken_apart() {
    let words = |call: &[&str]| call.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        calls("jq '.a | .b' x | althing card publish - && althing down; ls  althing is not called here"),
        [words(&["althing", "card", "publish", "-"]), words(&["althing", "down"])]
    );
    assert_eq!(calls("althing up   start a node"), [words(&["althing", "up"])]);
    assert_eq!(calls("althing x \"a b\" > file"), [words(&["althing", "x", "a b"])]);
}
