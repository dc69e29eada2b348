use althing_record::AgentId;
use althing_trust::{Comment, CommentError};
use clap::Subcommand;

use super::call;

#[derive(Debug, Subcommand)]
pub(crate) enum Rep {
    /// Calls that both sides signed, newest first
    #[command(after_help = "\
Examples:
  althing rep receipts
  althing rep receipts --limit 5 --json

Each is kept on this node's disk, whichever side its agent was; the newest 200,000 are.")]
    Receipts {
        /// Most calls to show
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        limit: u16,
    },
    /// An agent's scores, network-wide and as seen from here
    #[command(after_help = "\
Examples:
  althing rep show did:key:z6Mk…
  althing rep show did:key:z6Mk… --json | jq .seen.service

Skill addresses and `althing find` go by SERVICE as this node's agent sees it. Numbers of --json are in thousandths.")]
    Show {
        /// The agent's did
        #[arg(value_name = "DID")]
        agent: AgentId,
    },
    /// Why an agent stands as it does, and whether skill addresses choose it
    #[command(after_help = "\
Examples:
  althing rep explain did:key:z6Mk…
  althing rep explain did:key:z6Mk… --json | jq -r .skills[].text

The weightiest raters come first, 64 at most, and of 16 of them the 4 newest records. A rater counts as far as anchors, or this
node's agent, trust it. Calls are the 20 newest of this node's agent to it that have a receipt.")]
    Explain {
        /// The agent's did
        #[arg(value_name = "DID")]
        agent: AgentId,
    },
    /// The agents with the best scores, as this node's agent sees them
    #[command(after_help = "\
Examples:
  althing rep top
  althing rep top --skill text/translate --limit 5")]
    Top {
        /// Only agents with this skill or one below it
        #[arg(long, value_name = "SKILL", value_parser = call::skill)]
        skill: Option<althing_card::SkillPath>,
        /// Most agents to show
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        limit: u16,
    },
    /// What the network's committee decided to count of the ratings, the newest first
    #[command(after_help = "\
Examples:
  althing rep checkpoints
  althing rep checkpoints --limit 1 --json | jq -r .checkpoints[0].score_root

A checkpoint says which ratings count up to a rating epoch and which scores follow. SAME tells whether this node computed the
same scores, which it does for the newest. Networks whose genesis names no committee or no anchors have none.")]
    Checkpoints {
        /// Most checkpoints to show
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        limit: u16,
    },
    /// One checkpoint of the ratings
    #[command(after_help = "\
Examples:
  althing rep checkpoint 3f0c…
  althing rep checkpoint 3f0c… --json | jq -r .proposal | xargs althing vote certificate --out checkpoint.cbor

The certificate of its proposal proves, without a node, that the committee decided so.")]
    Checkpoint {
        /// The checkpoint's record, 64 hex digits
        #[arg(value_name = "ID")]
        id: althing_record::RecordId,
    },
    /// All that raters published and this node holds, a row a line
    #[command(after_help = "\
Examples:
  althing rep export > ratings.csv
  althing rep export --json > ratings.jsonl

A row says how a rater's calls of one rating epoch to one agent for one skill went. With --json every line is one object.")]
    Export,
    /// Say how good the answer to a call was
    #[command(after_help = "\
Examples:
  althing rep receipts                                       shows the tasks
  althing rep rate 000102030405060708090a0b0c0d0e0f --quality 90
  althing rep rate 000102030405060708090a0b0c0d0e0f --quality 40 --comment \"left out the last line\"

An answer counts as 100, a failed task as 0, until you say otherwise; you can until the call's rating epoch is over.
A comment stays on this node: it is never published. It is shown by `rep receipts` and `rep explain`.")]
    Rate {
        /// The call's task, 32 hex digits
        #[arg(value_name = "TASK")]
        task: String,
        /// How good the answer was, 0 to 100
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
        quality: u8,
        /// A note for yourself, at most 512 bytes without control characters; an empty one takes it away
        #[arg(long, value_name = "TEXT", value_parser = comment)]
        comment: Option<String>,
    },
}

/// A text that can be kept as a comment.
fn comment(text: &str) -> Result<String, CommentError> {
    text.parse::<Comment>().map(|_| text.to_owned())
}
