use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;
use serde_json::json;

use super::args::Cli;
use super::failure::{Exit, Failure};
use super::page::{Page, Screen, Text, note};

/// Prints what clap has to say: help or the version on standard output, a wrong command line on standard error.
pub(crate) fn explain(error: &clap::Error, words: &[OsString]) -> ExitCode {
    let screen = Screen { json: wants_json(words) };
    let asked = if error.kind() == ErrorKind::DisplayHelp {
        Some(json!({"schema": "althing.help/v1", "text": rendered(error)}))
    } else if error.kind() == ErrorKind::DisplayVersion {
        Some(json!({"schema": "althing.version/v1", "version": env!("CARGO_PKG_VERSION")}))
    } else {
        None
    };
    match asked {
        Some(document) if screen.json => match Page::new(&document, Text::default()) {
            Ok(page) => screen.show(&page),
            Err(failure) => screen.fail(&failure),
        },
        // Nobody may be there to read it.
        Some(_) => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        None if screen.json && is_call(words) => screen.fail(&failure(error).of_call()),
        None if screen.json => screen.fail(&failure(error)),
        None if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(Exit::Usage.code())
        }
        None => {
            let failure = failure(error);
            let code = screen.fail(&failure);
            if let Some(usage) = rendered(error).lines().find(|line| line.starts_with("Usage: ")) {
                note(usage);
            }
            code
        }
    }
}

fn wants_json(words: &[OsString]) -> bool {
    let is_output = |word: &OsString| word == "-o" || word == "--output";
    words.iter().any(|word| ["--json", "-ojson", "-o=json", "--output=json"].iter().any(|json| word == *json))
        || words.windows(2).any(|pair| is_output(&pair[0]) && pair[1] == "json")
}

/// Whether the command is one that follows the specification of the A2A command line.
fn is_call(words: &[OsString]) -> bool {
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(words);
    matches.is_ok_and(|matches| matches.subcommand_name().is_some_and(|name| matches!(name, "send" | "task")))
}

/// Clap's message is paragraphs: the cause, tips, the usage, and where to find help.
fn failure(error: &clap::Error) -> Failure {
    let text = rendered(error);
    let paragraphs: Vec<&str> = text.split("\n\n").map(str::trim).collect();
    let cause = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "a command is missing".to_owned()
    } else {
        one_line(paragraphs.first().copied().unwrap_or_default().trim_start_matches("error: "))
    };
    let tip = text.lines().map(str::trim).find_map(|line| line.strip_prefix("tip: "));
    let hint = tip.map_or_else(|| "`--help` after the command shows what it takes".to_owned(), one_line);
    Failure::new(Exit::Usage, cause).hint(hint)
}

fn rendered(error: &clap::Error) -> String {
    error.render().to_string()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn failure_of(words: &[&str]) -> Failure {
        let words = std::iter::once("althing").chain(words.iter().copied());
        failure(&Cli::try_parse_from(words).unwrap_err())
    }

    #[test]
    fn a_wrong_word_is_named_with_the_nearest_known_one() {
        let failure = failure_of(&["statsu"]);
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.cause(), "unrecognized subcommand 'statsu'");
        assert!(failure.next_step().unwrap().contains("'status'"), "{failure:?}");
    }

    #[test]
    fn calls_are_known_and_so_is_how_they_want_their_errors() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (text, call, json) in [
            ("althing --home /tmp/task send -o json", true, true),
            ("althing task get --json", true, true),
            ("althing task gte --output=json", true, true),
            ("althing send babel --text json", true, false),
            ("althing card get --json", false, true),
            ("althing --home send", false, false),
        ] {
            assert_eq!((is_call(&words(text)), wants_json(&words(text))), (call, json), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(failure_of(&["card", "get"]).cause().contains("<DID>"));
        assert_eq!(failure_of(&[]).cause(), "a command is missing");
    }
}
