use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use althing_card::SkillPath;
use althing_record::AgentId;
use clap::{Args, Subcommand};

use super::Sealed;
use crate::cli::duration;
use crate::cli::words::{self, Options, Scores};

#[derive(Debug, Subcommand)]
pub(crate) enum Vote {
    /// Put a question to voters
    #[command(after_help = "\
Examples:
  althing vote propose \"merge PR 12?\" --voters did:key:z6MkA…,did:key:z6MkB…
  althing vote propose \"which name?\" --option Thing --option Moot \\
      --voters did:key:z6MkA…,did:key:z6MkB… --method unanimous
  althing vote propose \"where next?\" --option Oslo --option Bergen --option Turku \\
      --voters did:key:z6MkA…,did:key:z6MkB… --method ranked --window 10m --quorum 1/2
  althing vote propose \"spend it?\" --weights shares.txt --method weighted
  althing vote propose \"100 a month?\" --voters did:key:z6MkA…,did:key:z6MkB… --subject budget --after 5f0c9a11
  althing vote propose \"merge PR 12?\" --group 5f0c9a11 --method majority
  althing vote propose \"raise the rate?\" --skill text/translate --min-score 0.4 --method majority
  althing vote propose \"who leads?\" --option Ann --option Bo --method majority \\
      --voters did:key:z6MkA…,did:key:z6MkB… --sealed --trustees did:key:z6MkA…,did:key:z6MkB…
  althing vote propose \"a lost disk, no fraud?\" --pardon did:key:z6MkC…

Without --option the answers are yes and no. approvals, supermajority and unanimous are decided as soon as
enough ballots are for one option; there is no rejection, and of yes and no only yes can be certified.
majority, weighted (majority of weights), approval, ranked, schulze and star are closed decisions: when all have
voted, or the window is over, the voters' nodes agree on the ballots that count, and so does a rejection.
--closed, --quorum, --committee, --delegation, --tie (of approval and star) and --sealed make a vote a closed one.
With --skill those vote who are found to have the skill and are trusted, each with its reputation and nobody with more
than a tenth of all; the committee that the network's genesis names closes the vote.
Sealed ballots show who has voted and nothing else until, after the vote is closed, enough trustees' nodes open
them. It is for the proposer to choose trustees of whom fewer than the threshold would tell.
A pardon forgives what `althing evidence ls` shows of an agent when it is proposed, and nothing later. The committee
of the network's genesis decides, or else its anchors, without the agent; one of them proposes it.")]
    Propose(Box<Propose>),
    /// Sign and publish one ballot
    #[command(after_help = "\
Examples:
  althing vote cast 5f0c9a11 yes
  althing vote cast 5f0c9a11 abstain --agent did:key:z6Mk…
  althing vote cast 5f0c9a11 --rank Oslo,Turku
  althing vote cast 5f0c9a11 --rank '\"Paris, Texas\",Turku'
  althing vote cast 5f0c9a11 --approve Oslo --approve Turku
  althing vote cast 5f0c9a11 --score Oslo=5,Turku=2
  althing vote cast 5f0c9a11 --delegate did:key:z6Mk…

An option with a comma, or one that begins with a quote, stands in double quotes, with each quote in it doubled.
A ballot is final: the same one may be cast again, another one is refused. A sealed one waits some seconds for the
keys of trustees that have not published theirs.")]
    Cast {
        /// The proposal's id, or its beginning
        id: String,
        #[command(flatten)]
        said: Said,
        /// The hosted agent that votes [default: the node's default agent]
        #[arg(long, value_name = "DID")]
        agent: Option<AgentId>,
    },
    /// Say how a vote came out; with --wait once it has
    #[command(after_help = "\
Examples:
  althing vote result 5f0c9a11
  althing vote result 5f0c9a11 --wait --timeout 10m && ./deploy
  althing vote result 5f0c9a11 --wait --on-pass './deploy --tag v2'

Exit code 0: an option won. Exit code 1: none did, and none will. Exit code 5: it is not decided (yet).
With --wait, sealed ballots that too few trustees have opened a minute after the vote was closed end it with exit
code 5, and the trustees that have not are named; they still can.
--on-pass runs a command (by sh) when an option won and its certificate is on disk here, once on each node and
for each proposal and command, with ALTHING_PROPOSAL, ALTHING_OPTION and ALTHING_CERTIFICATE (a file) in its
environment. Of yes and no only yes is a pass.")]
    Result {
        /// The proposal's id, or its beginning
        id: String,
        /// Wait for the outcome, for an hour unless --timeout says otherwise
        #[arg(long)]
        wait: bool,
        /// Run this when an option won
        #[arg(long, value_name = "COMMAND")]
        on_pass: Option<String>,
    },
    /// Verify the certificate of every decision, of dockets too, the newest first
    #[command(after_help = "\
Examples:
  althing vote audit
  althing vote audit --group 5f0c9a11 --limit 20
  althing vote audit --after 5f0c9a11
  althing vote audit --json | jq '.votes[] | select(.valid | not)'

The order is the same on every node: what was put last comes first, by the clock of who put it, of what was put in the
same millisecond the lower id, and of a docket the first question. Each is printed as soon as it is verified.
Exit code 6: one of them is not what this node shows.")]
    Audit(Audit),
    /// Follow a vote until it is decided: who has voted, and where it stands
    #[command(after_help = "\
Examples:
  althing vote watch 5f0c9a11
  althing vote watch 5f0c9a11 --json | jq .state")]
    Watch {
        /// The proposal's id, or its beginning
        id: String,
    },
    /// Show a proposal and how it stands
    #[command(after_help = "\
Examples:
  althing vote show 5f0c9a11
  althing vote show 5f0c9a11 --json | jq .state")]
    Show {
        /// The proposal's id, or its beginning
        id: String,
    },
    /// List the proposals, newest first
    #[command(after_help = "\
Examples:
  althing vote ls
  althing vote ls --group 5f0c9a11 --limit 20
  althing vote ls --json | jq -r '.votes[].proposal'

A list has at most 1,000 of them; --after goes on behind the last one.")]
    Ls(Listed),
    /// Write the certificate of a decided proposal to a file
    #[command(after_help = "\
Examples:
  althing vote certificate 5f0c9a11 --out certificate.cbor
  althing vote verify certificate.cbor
  althing vote certificate 5f0c9a11 --out - | ssh example.org 'cat > certificate.cbor'")]
    Certificate {
        /// The proposal's id, or its beginning
        id: String,
        /// The file, which must not exist, or - for standard output
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Verify a certificate offline; needs no node
    #[command(after_help = "\
Examples:
  althing vote verify certificate.cbor
  althing vote verify certificate.cbor --genesis genesis.cbor --json

Exit code 6: it is not valid. Without --genesis the answer names the network
that the certificate is from, and it is for you to know whether that is yours.")]
    Verify {
        /// The certificate
        file: PathBuf,
        /// The genesis file of the network that it must be from
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
    },
    /// Count an election's ballots offline, round by round; needs no node
    #[command(after_help = "\
Examples:
  althing vote count --rules examples/rcv.toml examples/ballots.csv
  althing vote count --rules rcv.toml cast-vote-records.csv --json | jq '.rounds[].tally'
  zcat cast-vote-records.csv.gz | althing vote count --rules rcv.toml -

The rules are a TOML file: `method = \"irv\"` alone is one. docs/spec/counting.md has all keys, and the rules of
well-known elections. The ballots are a CSV file with a header: one ballot a row with a column for each rank (rank1,
rank2, …), or one ranking a row (`ranking`, such as Ann>Bob) with a column `count`.")]
    Count {
        /// The rules, a TOML file
        #[arg(long, value_name = "FILE")]
        rules: PathBuf,
        /// The ballots, a CSV file, or - for standard input
        #[arg(value_name = "BALLOTS")]
        ballots: PathBuf,
    },
}

/// Which proposals are listed.
#[derive(Debug, Args)]
pub(crate) struct Listed {
    /// List at most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) limit: Option<u16>,
    /// Only what comes after this proposal: its id, or the beginning
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<String>,
    /// Only what was put to the members of this group: its id, or the beginning
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
}

/// Which decisions are audited.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Audit at most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroUsize>,
    /// Only what comes after this one: the id of a proposal or a docket, or the beginning; ID/N for a question of a docket
    #[arg(long, value_name = "ID[/N]")]
    pub(crate) after: Option<String>,
    /// Only what the members of this group decided: its id, or the beginning
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Option<String>,
}

/// What is put to the vote, and how it is decided.
#[derive(Debug, Args)]
pub(crate) struct Propose {
    /// The question
    pub(crate) question: String,
    /// Who votes, each with one vote
    #[arg(long, value_name = "DID,DID,…", value_delimiter = ',',
        required_unless_present_any = ["weights", "group", "pardon", "skill"])]
    pub(crate) voters: Vec<AgentId>,
    /// Who votes, and how much each ballot counts: a file with a did and a number on each line
    #[arg(long, value_name = "FILE", conflicts_with = "voters")]
    pub(crate) weights: Option<PathBuf>,
    /// The group whose members vote, as it is now: its id, or the beginning
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["voters", "weights"])]
    pub(crate) group: Option<String>,
    /// The skill whose holders vote, weighed by reputation, nobody by more than a tenth; at least ten
    #[arg(long, value_name = "SKILL", conflicts_with_all = ["voters", "weights", "group"], value_parser = super::find::skill)]
    pub(crate) skill: Option<SkillPath>,
    /// Only holders with at least this score, from 0 to 1
    #[arg(long, value_name = "SCORE", requires = "skill", value_parser = super::find::score)]
    pub(crate) min_score: Option<u64>,
    /// approvals[=N], supermajority[=N/D], unanimous, majority, weighted, approval, ranked, schulze or star
    #[arg(long, default_value = "supermajority", value_parser = method)]
    pub(crate) method: String,
    /// An answer that can be given; may be given several times
    #[arg(long = "option", value_name = "TEXT")]
    pub(crate) options: Vec<String>,
    /// How long the vote is open; closes a closed decision, and has no influence on another one [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) window: Option<Duration>,
    /// What it decides about: of the decisions of the same voters on it, one is in force
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: Option<String>,
    /// The decision on the subject that this one takes the place of: its proposal's id, or the beginning
    #[arg(long, value_name = "ID", requires = "subject")]
    pub(crate) after: Option<String>,
    /// Forgive this agent what is proven of it, as far as the node knows; the voters follow from the network's genesis
    #[arg(long, value_name = "DID", conflicts_with_all = ["weights", "group", "options", "closed"])]
    pub(crate) pardon: Option<AgentId>,
    /// Agree on the ballots that count, so that there can be a rejection
    #[arg(long)]
    pub(crate) closed: bool,
    /// How much weight has to take part, abstentions included: N, or N/D of the electorate
    #[arg(long, value_name = "N|N/D", value_parser = quorum)]
    pub(crate) quorum: Option<String>,
    /// Let the network's committee close the vote, and not the voters
    #[arg(long)]
    pub(crate) committee: bool,
    /// Allow voters to let others vote for them
    #[arg(long)]
    pub(crate) delegation: bool,
    /// What a tie does with approval and star: reject, or order (the earlier option wins)
    #[arg(long, value_name = "WORD", value_parser = ["reject", "order"], hide_possible_values = true)]
    pub(crate) tie: Option<String>,
    #[command(flatten)]
    pub(crate) sealed: Sealed,
    /// The hosted agent that proposes [default: the node's default agent]
    #[arg(long, value_name = "DID")]
    pub(crate) agent: Option<AgentId>,
}

/// What a ballot says.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Said {
    /// One of the proposal's options, or abstain
    pub(crate) choice: Option<String>,
    /// Options, the best first; may be given several times
    #[arg(long, value_name = "OPTION,…", value_parser = words::options)]
    pub(crate) rank: Vec<Options>,
    /// All options that are approved of; may be given several times
    #[arg(long, value_name = "OPTION,…", value_parser = words::options)]
    pub(crate) approve: Vec<Options>,
    /// Scores from 0 to 5; options without one have 0; may be given several times
    #[arg(long, value_name = "OPTION=N,…", value_parser = words::scores)]
    pub(crate) score: Vec<Scores>,
    /// Another voter, whose ballot counts with this voter's weight too
    #[arg(long, value_name = "DID")]
    pub(crate) delegate: Option<AgentId>,
}

/// A method that the node will take, so that a wrong one is a usage error.
fn method(text: &str) -> Result<String, String> {
    match althing_gateway::api::parse_method(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; {}", error.hint())),
    }
}

/// A quorum that the node can read, likewise.
fn quorum(text: &str) -> Result<String, String> {
    match althing_gateway::api::parse_quorum(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; {}", error.hint())),
    }
}
