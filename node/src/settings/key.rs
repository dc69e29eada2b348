use std::fmt;

/// A setting's name: dotted in messages, tables in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// The node's directory.
    Home,
    /// Nodes to join by.
    Join,
    /// Where to listen for peers.
    Listen,
    /// The network's genesis file.
    Genesis,
    /// Where the node runs.
    Profile,
    /// Whether to find neighbours in the local network.
    Mdns,
    /// Whether peers can dial this node.
    Reachability,
    /// Whether to relay for others.
    Relay,
    /// Whether to ask the router for a way in.
    Upnp,
    /// The file whose first line seals the keys.
    PassphraseFile,
    /// Where to serve the API.
    ApiListen,
    /// The API's certificate chain.
    ApiCertificate,
    /// The API's private key.
    ApiPrivate,
    /// Names under which clients may ask the API.
    ApiHosts,
    /// How many clients of the API there may be at once.
    ApiConnections,
    /// How many calls of one node may be under way here.
    CallsPerPeer,
    /// Whether to publish how calls went.
    ReputationPublish,
    /// Whether to hold what raters publish.
    ReputationLedger,
    /// How often to propose a checkpoint.
    ReputationCheckpointSeconds,
    /// What is logged.
    LogFilter,
    /// How it is written.
    LogFormat,
}

impl Key {
    /// All, in the order in which they are shown: those of no table first.
    pub(crate) const ALL: [Self; 21] = [
        Self::Home,
        Self::Join,
        Self::Listen,
        Self::Genesis,
        Self::Profile,
        Self::Mdns,
        Self::Reachability,
        Self::Relay,
        Self::Upnp,
        Self::PassphraseFile,
        Self::ApiListen,
        Self::ApiCertificate,
        Self::ApiPrivate,
        Self::ApiHosts,
        Self::ApiConnections,
        Self::CallsPerPeer,
        Self::ReputationPublish,
        Self::ReputationLedger,
        Self::ReputationCheckpointSeconds,
        Self::LogFilter,
        Self::LogFormat,
    ];

    /// The dotted name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Join => "join",
            Self::Listen => "listen",
            Self::Genesis => "genesis",
            Self::Profile => "profile",
            Self::Mdns => "mdns",
            Self::Reachability => "reachability",
            Self::Relay => "relay",
            Self::Upnp => "upnp",
            Self::PassphraseFile => "passphrase_file",
            Self::ApiListen => "api.listen",
            Self::ApiCertificate => "api.certificate",
            Self::ApiPrivate => "api.private_key",
            Self::ApiHosts => "api.hosts",
            Self::ApiConnections => "api.connections",
            Self::CallsPerPeer => "calls.per_peer",
            Self::ReputationPublish => "reputation.publish",
            Self::ReputationLedger => "reputation.ledger",
            Self::ReputationCheckpointSeconds => "reputation.checkpoint_seconds",
            Self::LogFilter => "log.filter",
            Self::LogFormat => "log.format",
        }
    }

    /// The name of its variable.
    pub(crate) fn variable(self) -> String {
        format!("ALTHING_{}", self.name().replace('.', "_").to_uppercase())
    }

    /// Whether it is a list.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Join | Self::Listen | Self::ApiHosts)
    }

    /// Whether it names a file or directory.
    pub(crate) fn is_path(self) -> bool {
        matches!(
            self,
            Self::Home | Self::Genesis | Self::PassphraseFile | Self::ApiCertificate | Self::ApiPrivate
        )
    }

    /// Whether it is true or false.
    pub(crate) fn is_switch(self) -> bool {
        matches!(
            self,
            Self::Mdns | Self::Relay | Self::Upnp | Self::ReputationPublish | Self::ReputationLedger
        )
    }

    /// Whether it is a whole number.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::ApiConnections | Self::CallsPerPeer | Self::ReputationCheckpointSeconds)
    }

    /// The setting of this dotted name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// The setting whose name is most like this one, if any is.
    pub(crate) fn nearest(name: &str) -> Option<Self> {
        nearest(name, Self::ALL.into_iter().map(|key| (key, key.name().to_owned())))
    }
}

/// The candidate whose name is most like `name`, if it is like it at all.
pub(crate) fn nearest<T>(name: &str, candidates: impl Iterator<Item = (T, String)>) -> Option<T> {
    const LIKE: f64 = 0.8;
    candidates
        .map(|(candidate, known)| (candidate, strsim::jaro_winkler(name, &known)))
        .filter(|(_, likeness)| *likeness >= LIKE)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(candidate, _)| candidate)
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
