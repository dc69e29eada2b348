use std::path::PathBuf;

use althing_record::AgentId;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Card {
    /// Sign an A2A AgentCard and publish it
    #[command(after_help = "\
Examples:
  althing card publish examples/translator.json
  jq '.version = \"2.0.0\"' card.json | althing card publish -")]
    Publish {
        /// The card's JSON; - reads standard input
        file: PathBuf,
        /// The hosted agent that signs [default: the node's default agent]
        #[arg(long, value_name = "DID")]
        agent: Option<AgentId>,
    },
    /// Show an agent's newest card, verified by the node
    #[command(after_help = "\
Examples:
  althing card get did:key:z6Mk…
  althing card get did:key:z6Mk… --raw > card.json
  althing card get did:key:z6Mk… --json | jq -r .envelope")]
    Get {
        /// The agent
        #[arg(value_name = "DID")]
        agent: AgentId,
        /// Print the exact JSON that was signed and nothing else
        #[arg(long, conflicts_with = "json")]
        raw: bool,
    },
    /// Take a card back and end the agent's leases
    #[command(after_help = "\
Examples:
  althing card retract
  althing card retract did:key:z6Mk…

Signs a record that stands against the card until nobody could take it in any more. Publishing again undoes it.")]
    Retract {
        /// The hosted agent [default: the node's default agent]
        #[arg(value_name = "DID")]
        agent: Option<AgentId>,
    },
    /// Show what happens to an agent's card and where it is served, as it happens
    #[command(after_help = "\
Examples:
  althing card watch did:key:z6Mk…
  althing card watch did:key:z6Mk… --json | jq .data

Prints revisions, retraction, and leases that begin, move or end. With --json every line is one CloudEvent. It goes on
after the node was away, without a gap. Ctrl-C ends it.")]
    Watch {
        /// The agent
        #[arg(value_name = "DID")]
        agent: AgentId,
    },
    /// Show what happened to an agent's card, as far back as the journal goes
    #[command(after_help = "\
Examples:
  althing card history did:key:z6Mk…
  althing card history did:key:z6Mk… --json | jq -r '.events[].type'")]
    History {
        /// The agent
        #[arg(value_name = "DID")]
        agent: AgentId,
    },
    /// Check the signatures of an A2A card
    #[command(after_help = "\
Examples:
  althing card verify card.json
  althing card verify did:key:z6Mk…
  curl -s https://example.org/.well-known/agent-card.json | althing card verify -

A signature is checked if its key is in it, as in those of althing (EdDSA, did:key). Of an agent its published card is
taken from the node, with the record that carries it and, if the agent answers, the owner's card that it stands for.
Exit code 6: a signature is not valid, or the card is not what the record or the agent says.")]
    Verify {
        /// The card's JSON, - for standard input, or an agent
        #[arg(value_name = "FILE|DID")]
        card: PathBuf,
    },
}
