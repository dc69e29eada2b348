//! A node's settings, and where each of them comes from.
//!
//! | wins over all below | where |
//! | --- | --- |
//! | flag | the command line |
//! | variable | `ALTHING_` and the key in capitals, `_` for `.`: `ALTHING_API_LISTEN`; lists with commas |
//! | project | `althing.toml` in the working directory |
//! | user | `$XDG_CONFIG_HOME/althing/althing.toml`, else `~/.config/althing/althing.toml` |
//! | system | `/etc/althing/althing.toml` |
//! | default | |
//!
//! `--config FILE` or `ALTHING_CONFIG` names one file in place of the three; an empty name reads none. A setting comes
//! whole from one place: lists are not joined.

mod error;
mod file;
mod key;
mod origin;
mod sources;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use althing_gateway::Tls;
use althing_net::{Multiaddr, Profile, ReachMode};
use althing_telemetry::LogFormat;

pub(crate) use self::error::SettingsError;
pub(crate) use self::key::{Key, nearest};
pub(crate) use self::origin::Origin;
pub(crate) use self::sources::Sources;

/// Clients of the API over TCP at once, unless a setting says otherwise; and the most that one may say.
const API_CONNECTIONS: u32 = 128;
const API_CONNECTIONS_MAX: u32 = 65_536;

/// Calls of one node under way at once, unless a setting says otherwise; and the most that one may say, which is what
/// a session carries.
const CALLS_PER_PEER: u32 = 2_048;
const CALLS_PER_PEER_MAX: u32 = 16_384;

/// Seconds between checkpoints of the ratings, unless a setting says otherwise; and the most that one may say: a year.
const CHECKPOINT_SECONDS: u32 = 3_600;
const CHECKPOINT_SECONDS_MAX: u32 = 366 * 24 * 3_600;

/// What a node is run with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The node's directory.
    pub(crate) home: PathBuf,
    /// Nodes to join the network by.
    pub(crate) join: Vec<Multiaddr>,
    /// Where to listen for peers; empty: everywhere.
    pub(crate) listen: Vec<Multiaddr>,
    /// The network's genesis file; `None`: the home's, or the built-in one.
    pub(crate) genesis: Option<PathBuf>,
    /// Where the node runs.
    pub(crate) profile: Profile,
    /// Whether to find neighbours in the local network.
    pub(crate) mdns: bool,
    /// Whether peers can dial this node, if the operator knows.
    pub(crate) reachability: ReachMode,
    /// Whether to relay for nodes that peers cannot dial.
    pub(crate) relay: bool,
    /// Whether to ask the router for a way in.
    pub(crate) upnp: bool,
    /// The file whose first line seals the keys.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Where to serve the local API over TCP.
    pub(crate) api_listen: SocketAddr,
    /// The API's certificate chain and private key, both PEM; with them it may listen beyond loopback.
    pub(crate) api_tls: Option<Tls>,
    /// Names, with ports, under which clients may ask the API, besides its own address.
    pub(crate) api_hosts: Vec<String>,
    /// Most clients of the API over TCP at once.
    pub(crate) api_connections: u32,
    /// Most calls of one node under way here at once.
    pub(crate) calls_per_peer: u32,
    /// Whether to publish how calls to other agents went.
    pub(crate) publish_ratings: bool,
    /// Whether to hold what raters publish.
    pub(crate) keeps_ledger: bool,
    /// Seconds between checkpoints that committee members here propose, at least; 0: none.
    pub(crate) checkpoint_seconds: u32,
    /// What is logged.
    pub(crate) log_filter: String,
    /// How it is written.
    pub(crate) log_format: LogFormat,
    chosen: BTreeMap<Key, Chosen>,
}

/// A setting as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// One text, or those of a list.
    pub(crate) texts: Vec<String>,
    /// Where it was found.
    pub(crate) origin: Origin,
}

impl Chosen {
    /// A path; one in a file starts at that file's directory.
    fn path(&self, text: &str) -> PathBuf {
        match &self.origin {
            Origin::File { path, .. } => path.parent().map_or_else(|| text.into(), |dir| dir.join(text)),
            Origin::Flag | Origin::Variable(_) | Origin::Default => text.into(),
        }
    }

    /// The texts as they are in effect.
    fn shown(&self, key: Key) -> Vec<String> {
        if key.is_path() {
            self.texts.iter().map(|text| self.path(text).display().to_string()).collect()
        } else {
            self.texts.clone()
        }
    }
}

impl Settings {
    /// Lays the sources over each other and reads the values.
    ///
    /// # Errors
    /// See [`SettingsError`]; the first thing that is wrong, with its place.
    pub(crate) fn read(sources: &Sources) -> Result<Self, SettingsError> {
        let chosen = sources.lay()?;
        let found = Found(&chosen);
        let profile = found.one(Key::Profile, profile)?.unwrap_or(Profile::Default);
        let listen: Vec<Multiaddr> = found.many(Key::Listen)?;
        let listens_on_loopback_only = !listen.is_empty() && listen.iter().all(is_loopback);
        let certificate = found.path(Key::ApiCertificate)?;
        let private_key = found.path(Key::ApiPrivate)?;
        let api_tls = match (certificate, private_key) {
            (Some(certificate), Some(private_key)) => Some(Tls { certificate, private_key }),
            (None, None) => None,
            (Some(_), None) => return Err(found.lonely(Key::ApiCertificate, Key::ApiPrivate)),
            (None, Some(_)) => return Err(found.lonely(Key::ApiPrivate, Key::ApiCertificate)),
        };
        Ok(Self {
            home: match found.path(Key::Home)? {
                Some(home) => home,
                None => sources.default_home().ok_or(SettingsError::NoHome)?,
            },
            join: found.many(Key::Join)?,
            listen,
            genesis: found.path(Key::Genesis)?,
            profile,
            mdns: found.switch(Key::Mdns)?.unwrap_or(match profile {
                Profile::Default => true,
                Profile::Testnet => false,
            }),
            reachability: found.one(Key::Reachability, reachability)?.unwrap_or_default(),
            relay: found.switch(Key::Relay)?.unwrap_or(true),
            upnp: found.switch(Key::Upnp)?.unwrap_or(match profile {
                // Without an address the node listens on all of them.
                Profile::Default => !listens_on_loopback_only,
                Profile::Testnet => false,
            }),
            passphrase_file: found.path(Key::PassphraseFile)?,
            api_listen: found
                .one(Key::ApiListen, |text| text.parse().map_err(|_| "expected ADDRESS:PORT"))?
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
            api_tls,
            api_hosts: found.many(Key::ApiHosts)?,
            api_connections: found
                .number(Key::ApiConnections, API_CONNECTIONS_MAX)?
                .unwrap_or(API_CONNECTIONS),
            calls_per_peer: found.number(Key::CallsPerPeer, CALLS_PER_PEER_MAX)?.unwrap_or(CALLS_PER_PEER),
            publish_ratings: found.switch(Key::ReputationPublish)?.unwrap_or(true),
            keeps_ledger: found.switch(Key::ReputationLedger)?.unwrap_or(true),
            checkpoint_seconds: found
                .number_from(Key::ReputationCheckpointSeconds, 0..=CHECKPOINT_SECONDS_MAX)?
                .unwrap_or(CHECKPOINT_SECONDS),
            log_filter: found
                .one(Key::LogFilter, |text| Ok::<_, &str>(text.to_owned()))?
                .unwrap_or_else(|| althing_telemetry::DEFAULT_FILTER.to_owned()),
            log_format: found.one(Key::LogFormat, log_format)?.unwrap_or(LogFormat::Text),
            chosen,
        })
    }

    /// The node's directory alone, which is all that most commands need.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub(crate) fn home(sources: &Sources) -> Result<PathBuf, SettingsError> {
        let chosen = sources.lay()?;
        match Found(&chosen).path(Key::Home)? {
            Some(home) => Ok(home),
            None => sources.default_home().ok_or(SettingsError::NoHome),
        }
    }

    /// Every setting: what it is, and where that comes from.
    pub(crate) fn listing(&self) -> Vec<(Key, Vec<String>, Origin)> {
        Key::ALL
            .into_iter()
            .map(|key| {
                let default = || (self.default_texts(key), Origin::Default);
                let (texts, origin) = self
                    .chosen
                    .get(&key)
                    .map_or_else(default, |found| (found.shown(key), found.origin.clone()));
                (key, texts, origin)
            })
            .collect()
    }

    /// A setting that nobody made, as it is in effect.
    fn default_texts(&self, key: Key) -> Vec<String> {
        match key {
            Key::Home => vec![self.home.display().to_string()],
            Key::Profile => vec!["default".to_owned()],
            Key::Mdns => vec![self.mdns.to_string()],
            Key::Reachability => vec!["auto".to_owned()],
            Key::Relay => vec![self.relay.to_string()],
            Key::Upnp => vec![self.upnp.to_string()],
            Key::ApiListen => vec![self.api_listen.to_string()],
            Key::ApiConnections => vec![self.api_connections.to_string()],
            Key::CallsPerPeer => vec![self.calls_per_peer.to_string()],
            Key::ReputationPublish => vec![self.publish_ratings.to_string()],
            Key::ReputationLedger => vec![self.keeps_ledger.to_string()],
            Key::ReputationCheckpointSeconds => vec![self.checkpoint_seconds.to_string()],
            Key::LogFilter => vec![self.log_filter.clone()],
            Key::LogFormat => vec!["text".to_owned()],
            Key::Join
            | Key::Listen
            | Key::Genesis
            | Key::PassphraseFile
            | Key::ApiCertificate
            | Key::ApiPrivate
            | Key::ApiHosts => Vec::new(),
        }
    }
}

/// What was found, to be read.
struct Found<'a>(&'a BTreeMap<Key, Chosen>);

impl Found<'_> {
    fn one<T, E: ToString>(
        &self,
        key: Key,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, SettingsError> {
        let Some(found) = self.0.get(&key) else { return Ok(None) };
        let text = found.texts.first().map_or("", String::as_str);
        read(text).map(Some).map_err(|cause| wrong(key, found, text, &cause))
    }

    fn switch(&self, key: Key) -> Result<Option<bool>, SettingsError> {
        self.one(key, |text| text.parse().map_err(|_| "expected true or false"))
    }

    /// A whole number from 1 to `most`.
    fn number(&self, key: Key, most: u32) -> Result<Option<u32>, SettingsError> {
        self.number_from(key, 1..=most)
    }

    fn number_from(&self, key: Key, bounds: RangeInclusive<u32>) -> Result<Option<u32>, SettingsError> {
        self.one(key, |text| {
            let number = text.parse().ok().filter(|number| bounds.contains(number));
            number
                .ok_or_else(|| format!("expected a whole number from {} to {}", bounds.start(), bounds.end()))
        })
    }

    fn many<T: std::str::FromStr<Err: ToString>>(&self, key: Key) -> Result<Vec<T>, SettingsError> {
        let Some(found) = self.0.get(&key) else { return Ok(Vec::new()) };
        let read = |text: &String| {
            // The empty text is a multiaddr, of nothing.
            if text.trim().is_empty() {
                return Err(wrong(key, found, text, &"expected a value"));
            }
            text.parse().map_err(|cause| wrong(key, found, text, &cause))
        };
        found.texts.iter().map(read).collect()
    }

    fn path(&self, key: Key) -> Result<Option<PathBuf>, SettingsError> {
        let Some(found) = self.0.get(&key) else { return Ok(None) };
        let text = found.texts.first().map_or("", String::as_str);
        if text.is_empty() {
            return Err(wrong(key, found, text, &"expected a path"));
        }
        Ok(Some(found.path(text)))
    }

    fn lonely(&self, given: Key, missing: Key) -> SettingsError {
        let origin = self.0.get(&given).map_or(Origin::Default, |found| found.origin.clone());
        SettingsError::Lonely { origin, given, missing }
    }
}

fn wrong(key: Key, found: &Chosen, text: &str, cause: &impl ToString) -> SettingsError {
    let (origin, value) = (found.origin.clone(), text.to_owned());
    SettingsError::Value { origin, key, value, cause: cause.to_string() }
}

fn profile(text: &str) -> Result<Profile, &'static str> {
    match text {
        "default" => Ok(Profile::Default),
        "testnet" => Ok(Profile::Testnet),
        _ => Err("expected default or testnet"),
    }
}

fn reachability(text: &str) -> Result<ReachMode, &'static str> {
    match text {
        "auto" => Ok(ReachMode::Auto),
        "server" => Ok(ReachMode::Server),
        "client" => Ok(ReachMode::Client),
        _ => Err("expected auto, server or client"),
    }
}

fn is_loopback(address: &Multiaddr) -> bool {
    let text = address.to_string();
    text.starts_with("/ip4/127.") || text.starts_with("/ip6/::1/")
}

fn log_format(text: &str) -> Result<LogFormat, &'static str> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("expected text or json"),
    }
}

#[cfg(test)]
mod tests;
