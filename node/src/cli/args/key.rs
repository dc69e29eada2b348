use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a new key for an agent and have it speak from now on
    #[command(after_help = "\
Examples:
  althing key rotate default
  althing key rotate babel --json | jq -r .key

The agent stays the same: its did, ratings, groups and votes. Its recovery key
signs the record that names the new key, so it has to be in the home, and is
used up: a new one is made. Card and lease are signed anew at once, and calls
go on. Cards and calls under the former key are refused from then on; the node
forgets both former keys. Interrupted, it is finished by running it again.

The node has to run. Other hosts of the agent need the new key files too. The
agent goes on closing votes, and opens here what was sealed for it. Whoever has
the former key can still speak in votes beside it, as one voter or closer: what
it says otherwise than the agent is proved, `althing evidence ls` shows it.

Exit code 1: the recovery key is not here, or is not the one that the agent's
identity names.")]
    Rotate {
        /// The agent, by its local name or its did
        #[arg(value_name = "NAME|DID")]
        agent: String,
    },
    /// Split an agent's key into shares, some of which restore it
    #[command(after_help = "\
Examples:
  althing key split                                      any 3 of 5 shares, in this directory
  althing key split --threshold 2 --shares 3 --out shares
  althing key split --agent babel --recovery --out recovery-shares
  althing key split --out - | gpg -er alice > shares.gpg

Give each share to another person or machine and keep no two in one place:
whoever has enough of them is the agent. Fewer say nothing about the key. A
share is one line of text and can be printed. The key itself stays where it is.

The agent's recovery key is not in them. It is split with --recovery, best
among others.")]
    Split {
        /// The agent, by its local name or its did [default: the default agent]
        #[arg(long, value_name = "NAME|DID")]
        agent: Option<String>,
        /// How many shares restore the key, from 2 on
        #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=32))]
        threshold: u8,
        /// How many shares there are, up to 32
        #[arg(long, value_name = "M", default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=32))]
        shares: u8,
        /// Split the agent's recovery key instead
        #[arg(long)]
        recovery: bool,
        /// The directory for the files share-1-of-5.txt and so on; - is standard output
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// Restore a key from its shares into a home whose node does not run
    #[command(after_help = "\
Examples:
  althing key restore share-1-of-5.txt share-2-of-5.txt share-4-of-5.txt
  althing key restore usb/share-*.txt --home /srv/althing
  gpg -d shares.gpg | althing key restore - --name babel

Shares that are damaged, altered, given twice or of another key are named, and
nothing is restored then. A file may hold several shares. Exit code 6: some
shares cannot be used.

The agent must not run anywhere else: two live copies of an agent count as one
that cheats. Before a ballot the node asks those of the other voters what it cast.")]
    Restore {
        /// Files with shares; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The agent's local name [default: default]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
}
