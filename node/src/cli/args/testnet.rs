use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Testnet {
    /// Start nodes on loopback, each a process with a home of its own, and leave them running
    #[command(after_help = "\
Examples:
  althing testnet up --nodes 5
  althing testnet status
  althing testnet down")]
    Up {
        /// How many nodes
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=64))]
        nodes: u16,
        #[command(flatten)]
        dir: TestnetDir,
    },
    /// How its nodes are doing, and whether they agree
    #[command(after_help = "\
Examples:
  althing testnet status
  althing testnet status --dir /tmp/net --json")]
    Status {
        #[command(flatten)]
        dir: TestnetDir,
    },
    /// Stop its nodes; what they stored and logged stays until the next one starts
    #[command(after_help = "\
Examples:
  althing testnet down
  althing testnet down --dir /tmp/net")]
    Down {
        #[command(flatten)]
        dir: TestnetDir,
    },
    /// Play the main job of a mesh on six real nodes and check every step
    #[command(after_help = "\
Examples:
  althing testnet demo
  althing testnet demo --dir /tmp/demo")]
    Demo {
        /// Where logs and the certificate go [default: a fresh directory for temporary files]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TestnetDir {
    /// The testnet's directory [default: $XDG_DATA_HOME/althing-testnet or ~/.local/share/althing-testnet]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
