use std::path::PathBuf;
use std::time::Duration;

use althing_record::AgentId;
use clap::Subcommand;

use crate::cli::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum Network {
    /// Write the genesis file of a new network
    #[command(after_help = "\
Examples:
  althing network init --name lab --out genesis.cbor
  althing up --genesis genesis.cbor

Every node of the network needs this very file: its hash is the network's id.")]
    Init {
        /// The network's name, for people
        #[arg(long)]
        name: String,
        /// An agent where trust starts; may be given several times
        #[arg(long = "anchor", value_name = "DID")]
        anchors: Vec<AgentId>,
        /// An agent who closes large votes and checkpoints; may be given several times
        #[arg(long = "committee", value_name = "DID")]
        committee: Vec<AgentId>,
        /// The reputation ledger's time unit
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = duration::parse)]
        rating_epoch: Duration,
        /// The file, which must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show what a genesis file says
    #[command(after_help = "\
Examples:
  althing network show
  althing network show genesis.cbor --json")]
    Show {
        /// The file [default: the built-in network]
        file: Option<PathBuf>,
    },
}
