mod card;
mod find;
mod store;
mod testnet;
mod vote;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use althing_engine::EventId;
use althing_gateway::api::MAX_LAST;
use althing_net::Multiaddr;
use althing_record::AgentId;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::card::Card;
pub(crate) use self::find::Find;
pub(crate) use self::store::Store;
pub(crate) use self::testnet::{Testnet, TestnetDir};
pub(crate) use self::vote::Vote;
use super::{completions, duration, events, logs, ping, wait};
use crate::bench::Benchmark;
use crate::settings::Key;

/// A peer-to-peer node for AI agents: signed cards, discovery by skill, votes with offline certificates.
#[derive(Debug, Parser)]
#[command(
    name = "althing",
    version,
    after_help = "\
Examples:
  althing up                                     start a node, print how others join it
  althing up --home /tmp/b --join /ip4/…/p2p/…   start a second one
  althing card publish card.json                 sign and publish an agent card
  althing find --skill text/translate            who can translate?
  althing testnet demo                           see all of it happen

Exit codes: 0 done, 1 failed, 2 usage, 3 node down or unreachable, 4 not allowed,
5 timeout, 6 signature or certificate invalid"
)]
pub(crate) struct Cli {
    /// The node's directory [default: $XDG_DATA_HOME/althing or ~/.local/share/althing]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) home: Option<PathBuf>,
    /// The configuration file, in place of those of project, user and system; "" reads none
    #[arg(long, global = true, value_name = "FILE", value_parser = maybe_empty(), help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON document on stdout and everything else on stderr
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// How long to wait for the node's answer, such as 500ms, 10s or 2m [default: 30s]
    #[arg(long, global = true, value_name = "TIME", value_parser = duration::parse, help_heading = "Global options")]
    pub(crate) timeout: Option<Duration>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node; makes its keys and directory if they are not there
    Up(Up),
    /// Stop the node and wait until it has ended
    #[command(after_help = "\
Examples:
  althing down
  althing down --home /tmp/b --timeout 5s

Exit code 3: no node runs there. Exit code 5: it did not end in time.")]
    Down,
    /// Wait until the node is ready, has peers, or has stopped
    Wait(wait::Args),
    /// What the node holds and how it is doing
    #[command(after_help = "\
Examples:
  althing status
  althing status --json | jq .peers")]
    Status,
    /// Show the node's log, whether it runs or not
    Logs(logs::Args),
    /// Who the node is connected to
    #[command(after_help = "\
Examples:
  althing peers
  althing peers --json | jq -r '.peers[].node'")]
    Peers,
    /// Check the node and its surroundings, and say what to do about each problem
    #[command(after_help = "\
Examples:
  althing doctor
  althing doctor --json | jq '.checks[] | select(.state != \"ok\")'

Works without a running node, too, as far as that goes. Exit code 1: something failed; warnings alone are 0.")]
    Doctor,
    /// Ping a node, and show which way the answers come
    Ping(Ping),
    /// The agents that the node hosts
    Agent {
        #[command(subcommand)]
        command: Agent,
    },
    /// Publish, read, follow and retract agent cards
    Card {
        #[command(subcommand)]
        command: Card,
    },
    /// Find agents by skill, tag and what their cards say
    Find(Find),
    /// Put questions, vote, and get or verify certificates
    Vote {
        #[command(subcommand)]
        command: Vote,
    },
    /// What happened at the node, and what happens
    Events(Events),
    /// Proven misbehaviour
    Evidence {
        #[command(subcommand)]
        command: Evidence,
    },
    /// How the node is set up
    Config {
        #[command(subcommand)]
        command: Config,
    },
    /// Make and read genesis files: which network a node is in
    Network {
        #[command(subcommand)]
        command: Network,
    },
    /// Look after the node's database
    Store {
        #[command(subcommand)]
        command: Store,
    },
    /// Measure this build on this machine, with real nodes
    Bench(Bench),
    /// Local networks of real nodes
    Testnet {
        #[command(subcommand)]
        command: Testnet,
    },
    /// Print a shell's completions for this program
    Completions(completions::Completions),
    /// Print this program's man page, or write the pages of all commands
    Man(completions::Man),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing up
  althing up --detach
  althing up --join /ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3KooW…
  althing up --home /tmp/b --listen /ip4/127.0.0.1/tcp/0 --api 127.0.0.1:0

The settings among these can stand in a file or a variable instead: `althing config show --origin`.

Keys are sealed with the passphrase in the file that ALTHING_PASSPHRASE_FILE names; without one they are as safe as the
modes of the home.

Ctrl-C, SIGTERM or `althing down` stops it; a second Ctrl-C kills it. The log goes to node.log in the home, and to
stderr unless --detach is given; `althing logs` shows it.")]
pub(crate) struct Up {
    /// Run in the background; returns when the node is up. Does nothing if it runs already
    #[arg(short, long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Run without voting on a store that is older than its vote guard
    #[arg(long)]
    pub(crate) accept_rollback: bool,
}

/// The settings that flags can make; the others are made in files and variables.
#[derive(Debug, Default, Args)]
pub(crate) struct Settings {
    /// A node to join the network by; may be given several times
    #[arg(long, value_name = "MULTIADDR")]
    join: Vec<Multiaddr>,
    /// Where to listen for peers; may be given several times [default: every address, TCP and QUIC]
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<Multiaddr>,
    /// Where to serve the local API; port 0 lets the system choose [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDR:PORT")]
    api: Option<SocketAddr>,
    /// The network's genesis file [default: the network this home is in already, or else the built-in one]
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// The open internet, or many nodes on one machine [default: default]
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// Find neighbours in the local network by mDNS [default: true, and false with --profile testnet]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    mdns: Option<bool>,
    /// Whether peers can dial this node: find out, or say so [default: auto]
    #[arg(long, value_enum)]
    reachability: Option<Reachability>,
    /// Relay for nodes behind NAT, once peers can dial this one [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    relay: Option<bool>,
    /// Ask the router for a way in, by UPnP [default: true; false on loopback and with --profile testnet]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    upnp: Option<bool>,
    /// Log lines for people or one JSON object each [default: text]
    #[arg(long, value_name = "FORMAT", value_enum)]
    log_format: Option<LogFormat>,
    /// What is logged, such as debug or info,althing_net=trace
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl Settings {
    /// Those that were given, as texts.
    pub(crate) fn given(&self) -> BTreeMap<Key, Vec<String>> {
        fn many<T: ToString>(values: &[T]) -> Vec<String> {
            values.iter().map(ToString::to_string).collect()
        }
        fn name<T: ValueEnum>(value: &T) -> Option<String> {
            value.to_possible_value().map(|value| value.get_name().to_owned())
        }
        let one = |text: Option<String>| text.into_iter().collect::<Vec<_>>();
        [
            (Key::Join, many(&self.join)),
            (Key::Listen, many(&self.listen)),
            (Key::ApiListen, one(self.api.map(|address| address.to_string()))),
            (Key::Genesis, one(self.genesis.as_ref().map(|path| path.display().to_string()))),
            (Key::Profile, one(self.profile.as_ref().and_then(name))),
            (Key::Mdns, one(self.mdns.map(|on| on.to_string()))),
            (Key::Reachability, one(self.reachability.as_ref().and_then(name))),
            (Key::Relay, one(self.relay.map(|on| on.to_string()))),
            (Key::Upnp, one(self.upnp.map(|on| on.to_string()))),
            (Key::LogFormat, one(self.log_format.as_ref().and_then(name))),
            (Key::LogFilter, one(self.log.clone())),
        ]
        .into_iter()
        .filter(|(_, texts)| !texts.is_empty())
        .collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    Default,
    Testnet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reachability {
    Auto,
    Server,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing ping 12D3KooW…
  althing ping did:key:z6Mk…
  althing ping 12D3KooW… --count 3 --json | jq .round_trip_us

Stops at the first answer that came directly, after 10 pings at most, one a second. With --json every line is one
document. Exit code 1: no answer came.")]
pub(crate) struct Ping {
    /// The node, or an agent whose nodes are pinged
    #[arg(value_name = "NODE|DID")]
    pub(crate) target: ping::Target,
    /// How many pings, whichever way they go
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print the settings that are in effect, as a configuration file
    #[command(after_help = "\
Examples:
  althing config show
  althing config show --origin
  althing config show --api 127.0.0.1:7575 > node.toml

Flags win over variables (ALTHING_API_LISTEN for api.listen), these over althing.toml in the working directory, this
over ~/.config/althing/althing.toml, this over /etc/althing/althing.toml.")]
    Show {
        /// Say of every setting where it comes from
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        settings: Settings,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// List them, the default one first
    #[command(after_help = "\
Examples:
  althing agent ls
  althing agent ls --json | jq -r '.agents[0].agent'")]
    Ls,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing events                                the newest 20
  althing events --follow --types vote          how votes go
  althing events --follow --json | jq .data     CloudEvents, one a line
  althing events --after 5f0c9a1122334455-000000029a11ffee-57

With --json every line is one CloudEvent; its id is what --after takes. --follow goes on after the node was away,
without a gap; with --timeout it gives up when the node was away for so long. Ctrl-C ends it.")]
pub(crate) struct Events {
    /// Go on with what happens next
    #[arg(long)]
    pub(crate) follow: bool,
    /// Begin after this event
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<EventId>,
    /// Only these types, whole or up to a dot, such as vote,card.published
    #[arg(long, value_name = "TYPE,TYPE,…", value_parser = events::types)]
    pub(crate) types: Option<String>,
    /// How many of the newest to begin with, up to 100000 [default: 20]; with --after: end after so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_LAST)))]
    pub(crate) limit: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Evidence {
    /// List the cases, by agent
    #[command(after_help = "\
Examples:
  althing evidence ls
  althing evidence ls --json")]
    Ls,
}

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

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing bench
  althing bench vote --runs 10
  althing bench find --nodes 20 --json > figures.json

Every figure has one number a run; shown are the median of the runs and the smallest and largest. Close other programs:
the figures are of the whole machine.")]
pub(crate) struct Bench {
    /// What to measure [default: all]
    #[arg(value_enum)]
    pub(crate) benchmarks: Vec<Benchmark>,
    /// How often each
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) runs: u16,
    /// How many nodes the network of `find` has
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(2..=60))]
    pub(crate) nodes: u16,
}

/// A path that may be the empty one.
fn maybe_empty() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        let cli = Cli::try_parse_from(["althing", "vote", "ls", "--json", "--timeout", "2m"]).unwrap();
        assert!(cli.json);
        assert_eq!(cli.timeout, Some(Duration::from_secs(120)));
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        for words in [
            vec!["find", "--skill", "//"],
            vec!["find", "--tag", " "],
            vec!["find", "--skill", "a", "--watch", "--explain"],
            vec!["find", "--skill", "a", "--limit", "0"],
            vec!["card", "get", "did:web:example.org"],
            vec!["vote", "propose", "?", "--voters", did, "--method", "majority"],
            vec!["vote", "propose", "?"],
            vec!["vote", "verify", "x", "--timeout", "soon"],
            vec!["card", "get", did, "--raw", "--json"],
            vec!["store", "export", "x", "--kind", "curd"],
            vec!["events", "--after", "57"],
            vec!["events", "--types", "vot"],
            vec!["events", "--limit", "100001"],
            vec![],
        ] {
            let error = Cli::try_parse_from(std::iter::once("althing").chain(words.clone())).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
        }
    }
}
