use std::path::PathBuf;
use std::time::Duration;

use althing_record::AgentId;
use clap::Subcommand;

use crate::cli::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum Vote {
    /// Put a question to voters
    #[command(after_help = "\
Examples:
  althing vote propose \"merge PR 12?\" --voters did:key:z6MkA…,did:key:z6MkB…
  althing vote propose \"which name?\" --option Thing --option Moot \\
      --voters did:key:z6MkA…,did:key:z6MkB… --method unanimous

Without --option the answers are yes and no, and only yes can be certified.")]
    Propose {
        /// The question
        question: String,
        /// Who votes, each with one vote
        #[arg(long, value_name = "DID,DID,…", value_delimiter = ',', required = true)]
        voters: Vec<AgentId>,
        /// approvals[=N], supermajority[=N/D] or unanimous
        #[arg(long, default_value = "supermajority", value_parser = method)]
        method: String,
        /// An answer that can be given; may be given several times
        #[arg(long = "option", value_name = "TEXT")]
        options: Vec<String>,
        /// How long clients should treat the vote as open; never decides it [default: 1h]
        #[arg(long, value_name = "TIME", value_parser = duration::parse)]
        window: Option<Duration>,
        /// The hosted agent that proposes [default: the node's default agent]
        #[arg(long, value_name = "DID")]
        agent: Option<AgentId>,
    },
    /// Sign and publish one ballot
    #[command(after_help = "\
Examples:
  althing vote cast 5f0c9a11 yes
  althing vote cast 5f0c9a11 abstain --agent did:key:z6Mk…

A ballot is final: the same one may be cast again, another one is refused.")]
    Cast {
        /// The proposal's id, or its beginning
        id: String,
        /// One of the proposal's options, or abstain
        choice: String,
        /// The hosted agent that votes [default: the node's default agent]
        #[arg(long, value_name = "DID")]
        agent: Option<AgentId>,
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
  althing vote ls --json | jq -r '.votes[].proposal'")]
    Ls,
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

/// A method that the node will take, so that a wrong one is a usage error.
fn method(text: &str) -> Result<String, String> {
    match althing_gateway::api::parse_method(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; {}", error.hint())),
    }
}
