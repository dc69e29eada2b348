mod bench;
mod call;
mod card;
mod docket;
mod find;
mod group;
mod key;
mod network;
mod parts;
mod rep;
mod sealed;
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
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::bench::Bench;
pub(crate) use self::call::{How, Output, Secret, Send, Task, TaskWords, one_of};
pub(crate) use self::card::Card;
pub(crate) use self::docket::Docket;
pub(crate) use self::find::Find;
pub(crate) use self::group::{Change as GroupChange, Group, Join as GroupJoin, Resolve as GroupResolve};
pub(crate) use self::key::Key as KeyCommand;
pub(crate) use self::network::Network;
pub(crate) use self::parts::{Content, Part, Parts};
pub(crate) use self::rep::Rep;
pub(crate) use self::sealed::Sealed;
pub(crate) use self::store::Store;
pub(crate) use self::testnet::{Testnet, TestnetDir};
pub(crate) use self::vote::{Audit, Propose, Vote};
use super::{completions, duration, events, logs, ping, wait};
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
  althing send did:key:z6Mk… --text \"hello\"     call an agent
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
    /// Tell each request on stderr, and how it went and how long it took
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) verbose: bool,
    /// The same with lengths, addresses and types
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) debug: bool,
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
    /// Split an agent's key into shares for other hands, and restore it from them
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Publish, read, follow and retract agent cards
    Card {
        #[command(subcommand)]
        command: Card,
    },
    /// Expose an A2A agent, so that other agents can call it
    Expose(Expose),
    /// No longer expose an agent
    #[command(after_help = "\
Examples:
  althing unexpose babel
  althing unexpose did:key:z6Mk…

Its card is taken back; its key and its local name stay. Calls under way go on.")]
    Unexpose {
        /// Its local name, or its did
        #[arg(value_name = "NAME|DID")]
        name: String,
    },
    /// What this node's agents know of others by their own calls
    Rep {
        #[command(subcommand)]
        command: Rep,
    },
    /// Find agents by skill, tag and what their cards say
    Find(Find),
    /// Send a message to an agent, and show what it answers
    Send(Send),
    /// Get, list, cancel and follow the tasks of agents
    Task {
        #[command(subcommand)]
        command: Task,
    },
    /// Groups of agents, which vote by name
    Group {
        #[command(subcommand)]
        command: Group,
    },
    /// Put questions, vote, and get or verify certificates
    Vote {
        #[command(subcommand)]
        command: Vote,
    },
    /// Put and answer many questions at once
    Docket {
        #[command(subcommand)]
        command: Docket,
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
    /// The agent that `bench call` calls; ends with its standard input
    #[command(hide = true)]
    BenchAgent,
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

impl Command {
    /// Whether the command's own options ask for JSON.
    pub(crate) fn wants_json(&self) -> bool {
        let how = if let Self::Send(send) = self {
            &send.how
        } else if let Self::Task { command } = self {
            command.how()
        } else {
            return false;
        };
        how.output == Some(Output::Json)
    }
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
    /// Most clients of the local API over TCP at once [default: 128]
    #[arg(long, value_name = "N")]
    api_connections: Option<u32>,
    /// Most calls of one node to agents here under way at once [default: 2048]
    #[arg(long, value_name = "N")]
    calls_per_peer: Option<u32>,
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
            (Key::ApiConnections, one(self.api_connections.map(|number| number.to_string()))),
            (Key::CallsPerPeer, one(self.calls_per_peer.map(|number| number.to_string()))),
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

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing expose http://localhost:9999
  althing expose 'http://localhost:8123/.well-known/agent-card.json?assistant_id=7' --name helper
  althing expose http://localhost:9999 --bg     stays exposed, also after the node starts again
  althing expose --exec 'tr a-z A-Z' --skill text/upper
  althing expose --echo
  althing expose --list

The agent's card is looked for at the address, then below it; the agent is tried with a real call; the hash of its card is
pinned, and a card of this network that names it is signed and published. Until Ctrl-C, calls are shown as they end. Where
the card changes, no calls are taken until it is exposed again.")]
#[command(group(clap::ArgGroup::new("what").required(true).args(["url", "exec", "echo", "list"])))]
pub(crate) struct Expose {
    /// Where the agent is, or its card
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Run a command for each message: its text is the command's input, and the answer its output
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: Option<String>,
    /// Answer each message with itself
    #[arg(long)]
    pub(crate) echo: bool,
    /// Show what is exposed
    #[arg(long)]
    pub(crate) list: bool,
    /// The command may run again for a message of which nobody knows whether it came
    #[arg(long, requires = "exec")]
    pub(crate) idempotent: bool,
    /// A skill of an agent without a card of its own
    #[arg(long = "skill", value_name = "SKILL", conflicts_with = "url")]
    pub(crate) skills: Vec<althing_card::SkillPath>,
    /// Its local name; without it, one made of the card's name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Return at once, and keep it exposed over restarts
    #[arg(long)]
    pub(crate) bg: bool,
    /// Publish what its card changes to, instead of taking no more calls
    #[arg(long)]
    pub(crate) follow: bool,
    /// Do not try the agent first
    #[arg(long)]
    pub(crate) no_probe: bool,
    /// Calls under way at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub(crate) concurrency: Option<u32>,
    /// Calls a second, by all nodes together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    /// Make its card the one at /.well-known/agent-card.json of this node
    #[arg(long)]
    pub(crate) face: bool,
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
        let cli = Cli::try_parse_from(["althing", "--debug", "status", "--verbose"]).unwrap();
        assert!(cli.debug && cli.verbose && !cli.json);
    }

    #[test]
    fn agents_are_named_in_one_of_three_ways() {
        let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let target = |words: &[&str]| {
            let command = Cli::try_parse_from([&["althing"], words].concat()).unwrap().command;
            if let Command::Send(send) = command {
                return send.target().map(|target| target.to_string());
            }
            let Command::Task { command: Task::Get { task, .. } } = command else { panic!("{command:?}") };
            task.read().map(|(target, task)| format!("{target} {task}"))
        };
        assert_eq!(target(&["send", did, "--text", "x"]).unwrap(), did);
        assert_eq!(target(&["send", "--agent-card", "babel", "--text", "x"]).unwrap(), "babel");
        for (given, shown) in [
            ("https://agent.example/card?key=1", "--agent-card 'https://agent.example/card?key=1'"),
            ("babel.json", "--agent-card babel.json"),
            ("./babel", "--agent-card ./babel"),
            (did, did),
        ] {
            assert_eq!(target(&["send", "--agent-card", given, "--text", "x"]).unwrap(), shown);
        }
        let insecure = |card: &str| target(&["send", "--agent-card", card, "--insecure", "--text", "x"]);
        assert_eq!(insecure("https://localhost/").unwrap(), "--agent-card https://localhost/ --insecure");
        for other in ["http://localhost/", "babel.json", "babel"] {
            assert!(insecure(other).is_err(), "{other}");
        }
        assert!(target(&["send", "--skill", "text", "--insecure", "--text", "x"]).is_err());
        assert_eq!(
            target(&["send", "--skill", "Text/Translate", "--text", "x"]).unwrap(),
            "--skill text/translate"
        );
        assert!(target(&["send", did, "--skill", "text", "--text", "x"]).is_err());
        assert_eq!(target(&["task", "get", "babel", "7"]).unwrap(), "babel 7");
        assert_eq!(target(&["task", "get", "7", "-a", "babel"]).unwrap(), "babel 7");
        assert_eq!(target(&["task", "get", "--skill", "text", "7"]).unwrap(), "--skill text 7");
        for words in [
            &["task", "get", "7"][..],
            &["task", "get", "a", "7", "--skill", "text"],
            &["task", "get", "a/", "7"],
        ] {
            assert!(target(words).is_err(), "{words:?}");
        }
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
            vec!["vote", "propose", "?", "--voters", did, "--method", "plurality"],
            vec!["vote", "cast", "5f0c9a11"],
            vec!["vote", "cast", "5f0c9a11", "yes", "--rank", "yes,no"],
            vec!["vote", "cast", "5f0c9a11", "--score", "yes=6"],
            vec!["vote", "propose", "?"],
            vec!["vote", "propose", "?", "--group", "5f0c9a11", "--voters", did],
            vec!["group", "invite", "5f0c9a11"],
            vec!["group", "create"],
            vec!["vote", "verify", "x", "--timeout", "soon"],
            vec!["card", "get", did, "--raw", "--json"],
            vec!["store", "export", "x", "--kind", "curd"],
            vec!["events", "--after", "57"],
            vec!["events", "--types", "vot"],
            vec!["events", "--limit", "100001"],
            vec!["send", did],
            vec!["send", "--text", "x"],
            vec!["send", "http://127.0.0.1:9999", "--text", "x"],
            vec!["send", did, "--text", "x", "--async", "--stream"],
            vec!["send", did, "--text", "x", "--metadata", "[1]"],
            vec!["send", did, "--text", "x", "--task-id", ""],
            vec!["send", did, "--text", "x", "--svc-param", "althing-caller:me"],
            vec!["send", did, "--text", "x", "--transport", "GRPC"],
            vec!["send", did, "--text", "x", "-o", "yaml"],
            vec!["send", did, "--text", "x", "--insecure"],
            vec!["send", "-a", "ftp://agent.example/", "--text", "x"],
            vec!["send", "-a", "http://anna:sesame@agent.example/", "--text", "x"],
            vec!["send", "-a", "babel", "--skill", "text", "--text", "x"],
            vec!["send", "babel", "--route", "best", "--text", "x"],
            vec!["send", "--skill", "text", "--route", "nearest", "--text", "x"],
            vec!["task", "get"],
            vec!["task", "get", did, "7", "8"],
            vec!["task", "list", did, "--status", "done"],
            vec![],
        ] {
            let error = Cli::try_parse_from(std::iter::once("althing").chain(words.clone())).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
        }
    }
}
