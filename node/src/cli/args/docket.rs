use std::path::PathBuf;

use althing_record::AgentId;
use clap::{Args, Subcommand};

use super::Propose;

#[derive(Debug, Subcommand)]
pub(crate) enum Docket {
    /// Put many questions to the same voters at once
    #[command(after_help = "\
Examples:
  althing docket propose June questions.txt --voters did:key:z6MkA…,did:key:z6MkB… --method majority
  printf 'merge PR 12?\\nwhere? | Oslo | Turku\\n' | \\
      althing docket propose June - --voters did:key:z6MkA…,did:key:z6MkB… --method majority

A line is a question, 1 to 1,023 of them. Options stand behind it, each after a bar; without any it has those of
--option, or yes and no. Lines that begin with # are remarks. All other terms are those of `althing vote propose`.
Every question is decided for itself, and each voter answers all of them with one signature.")]
    Propose(Box<DocketPropose>),
    /// Answer all questions of a docket with one signature
    #[command(after_help = "\
Examples:
  althing docket cast 5f0c9a11 --others yes
  althing docket cast 5f0c9a11 --answer 3=Oslo --answer 7=no --others yes
  althing docket cast 5f0c9a11 --answers answers.json

A question that is not answered gets the answer of --others, or abstains. A file of answers is a JSON object from
numbers to options, or to rankings and the like: {\"3\": \"Oslo\", \"4\": {\"rank\": [\"Ann\", \"Bob\"]}}.
Answers are final: the same ones may be given again, others are refused.")]
    Cast(DocketCast),
    /// Say how a docket came out; with --wait once every question has an outcome
    #[command(after_help = "\
Examples:
  althing docket result 5f0c9a11
  althing docket result 5f0c9a11 --wait --timeout 10m --json | jq '.asked[] | select(.decided == \"yes\").question'

Exit code 0: every question has its outcome. Exit code 5: some have none (yet).")]
    Result {
        /// The docket's id, or its beginning
        id: String,
        /// Wait for the outcomes, for an hour unless --timeout says otherwise
        #[arg(long)]
        wait: bool,
    },
    /// Show a docket and how its questions stand, or one question in full
    #[command(after_help = "\
Examples:
  althing docket show 5f0c9a11
  althing docket show 5f0c9a11 --question 3")]
    Show {
        /// The docket's id, or its beginning
        id: String,
        /// The number of a question
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
        question: Option<u16>,
    },
    /// List the dockets, newest first
    #[command(after_help = "\
Examples:
  althing docket ls
  althing docket ls --limit 20 --after 5f0c9a11
  althing docket ls --json | jq -r '.dockets[].docket'

A list has at most 100 of them; --after goes on behind the last one.")]
    Ls {
        /// List at most so many
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
        limit: Option<u16>,
        /// Only what comes after this docket: its id, or the beginning
        #[arg(long, value_name = "ID")]
        after: Option<String>,
    },
    /// Write the certificate of a decided question to a file
    #[command(after_help = "\
Examples:
  althing docket certificate 5f0c9a11 3 --out certificate.cbor
  althing vote verify certificate.cbor")]
    Certificate {
        /// The docket's id, or its beginning
        id: String,
        /// The question's number
        #[arg(value_parser = clap::value_parser!(u16).range(1..))]
        question: u16,
        /// The file, which must not exist, or - for standard output
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// What is put to the vote, and how it is decided.
#[derive(Debug, Args)]
pub(crate) struct DocketPropose {
    #[command(flatten)]
    pub(crate) terms: Propose,
    /// The questions, a file with one on each line, or - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) questions: PathBuf,
}

/// What a voter says to a docket.
#[derive(Debug, Args)]
pub(crate) struct DocketCast {
    /// The docket's id, or its beginning
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) said: SaidToAll,
    /// The hosted agent that votes [default: the node's default agent]
    #[arg(long, value_name = "DID")]
    pub(crate) agent: Option<AgentId>,
}

/// Answers to all questions.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct SaidToAll {
    /// The answer to one question; may be given several times
    #[arg(long = "answer", value_name = "N=CHOICE", value_parser = numbered)]
    pub(crate) each: Vec<(u16, String)>,
    /// Answers by number, a JSON file
    #[arg(long, value_name = "FILE", conflicts_with = "each")]
    pub(crate) answers: Option<PathBuf>,
    /// The answer to all other questions [default: abstain]
    #[arg(long, value_name = "CHOICE")]
    pub(crate) others: Option<String>,
}

fn numbered(text: &str) -> Result<(u16, String), String> {
    let (number, choice) = text.split_once('=').ok_or("expected N=CHOICE")?;
    let number = number.parse().ok().filter(|number| *number > 0);
    Ok((number.ok_or("expected a question's number from 1 before the =")?, choice.to_owned()))
}
