use std::fmt;

use url::Url;

use crate::OperatorUrl;

/// How an interface of an agent is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Binding {
    /// JSON-RPC over HTTP.
    JsonRpc,
    /// HTTP methods and paths with JSON.
    HttpJson,
    /// gRPC, which the tunnel does not carry.
    Grpc,
    /// A custom one.
    Other(String),
}

impl Binding {
    /// The binding of this name, in any case.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let known = [Self::JsonRpc, Self::HttpJson, Self::Grpc];
        let found = known.into_iter().find(|known| known.name().eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| Self::Other(name.to_owned()))
    }

    /// Its name in cards.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::JsonRpc => "JSONRPC",
            Self::HttpJson => "HTTP+JSON",
            Self::Grpc => "GRPC",
            Self::Other(name) => name,
        }
    }

    /// Whether it is plain HTTP, which the tunnel carries.
    #[must_use]
    pub fn is_http(&self) -> bool {
        matches!(self, Self::JsonRpc | Self::HttpJson)
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A line of versions of A2A whose members understand each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// 1.x.
    V1,
    /// 0.3, and what came before it.
    V0,
}

impl Protocol {
    /// The line that a version such as `1.0` or `0.3.0` belongs to.
    #[must_use]
    pub fn of(version: &str) -> Option<Self> {
        let (major, _) = version.split_once('.').unwrap_or((version, ""));
        match major {
            "1" => Some(Self::V1),
            "0" => Some(Self::V0),
            _ => None,
        }
    }

    /// The version that stands for it in cards.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V0 => "0.3",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version())
    }
}

/// One place where an agent is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Where, as the card says it.
    pub url: String,
    /// How.
    pub binding: Binding,
    /// In which version of A2A, as the card says it; of a card that does not say, `1.0` or `0.3` by its form.
    pub version: String,
    /// The tenant that requests must name.
    pub tenant: Option<String>,
}

impl Interface {
    /// The line of versions.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        Protocol::of(&self.version)
    }

    /// Where it is, if the tunnel can carry it: HTTP, and a version that is known.
    #[must_use]
    pub fn http_url(&self) -> Option<Url> {
        let known = self.binding.is_http() && self.protocol().is_some();
        known.then(|| OperatorUrl::parse(&self.url).ok()).flatten().map(OperatorUrl::into_url)
    }
}
