use std::path::PathBuf;

use althing_record::Kind;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Read every block of the database and check it; the node must not run
    #[command(after_help = "\
Examples:
  althing store check
  althing store check --json | jq .sound")]
    Check,
    /// Copy the store into a directory, whether or not the node runs
    #[command(after_help = "\
Examples:
  althing store snapshot backup-1 && (cd backup-1 && sha256sum -c SHA256SUMS)
  althing store restore backup-1 --home /srv/althing

It holds the records, the genesis file and the addresses to join by, and a
checksum of every file. It never holds keys, tokens or the vote guard.")]
    Snapshot {
        /// The directory, which must not exist
        #[arg(value_name = "OUT")]
        out: PathBuf,
    },
    /// Make a home's store from a snapshot; the home must not have one
    #[command(after_help = "\
Examples:
  althing store restore backup-1 --home /srv/althing
  cp -a /old/home/keys /srv/althing/ && althing up --home /srv/althing

Without the old keys the node that starts there is a new node with a new agent.
With them it is the old agent, in a directory that asks the nodes of the other
voters before it votes, because it does not know what was signed since.")]
    Restore {
        /// A directory that `althing store snapshot` wrote
        snapshot: PathBuf,
    },
    /// Write all live records to a file that any node of the network can import
    #[command(after_help = "\
Examples:
  althing store export records.cbor
  althing store export - | zstd > records.cbor.zst
  althing store export cards.cbor --kind card")]
    Export {
        /// The file, which must not exist; - is standard output
        #[arg(value_name = "OUT")]
        out: PathBuf,
        /// Only records of one kind, such as card or proposal
        #[arg(long, value_name = "KIND", value_parser = kind)]
        kind: Option<Kind>,
    },
    /// Have the node take in the records of an export as if a peer had sent them
    #[command(after_help = "\
Examples:
  althing store import records.cbor
  zstd -dc records.cbor.zst | althing store import -

Every record is verified. Nothing is taken from a file that is cut, damaged or
of another network. Exit code 6: it is damaged, or some records are wrong.")]
    Import {
        /// The file; - is standard input
        file: PathBuf,
    },
    /// Give back the space of what was replaced or removed, whether or not the node runs
    #[command(after_help = "\
Examples:
  althing store compact
  althing store compact --json | jq .bytes_after")]
    Compact,
}

/// A kind of record by its name, in whatever case.
fn kind(text: &str) -> Result<Kind, String> {
    let found = Kind::ALL.iter().copied().find(|kind| kind.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name().to_lowercase()).collect();
        format!("expected one of {}", names.join(", "))
    })
}
