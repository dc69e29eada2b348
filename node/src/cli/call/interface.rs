use althing_a2a::{Binding, Protocol};
use serde_json::Value;

use super::Envelope;
use crate::cli::failure::{Exit, Failure};

/// Most interfaces of a card that are looked at.
const INTERFACES_MAX: usize = 64;

/// How an agent is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    /// JSON-RPC, or HTTP+JSON of 1.0.
    pub(crate) binding: Binding,
    pub(crate) protocol: Protocol,
    /// What every request must name.
    pub(crate) tenant: Option<String>,
    /// Where it is, as the card says; a door stands in for it.
    pub(crate) url: String,
}

/// What the caller wants of an interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'w> {
    pub(crate) protocol: Option<Protocol>,
    /// The preferred first.
    pub(crate) bindings: &'w [Binding],
}

impl Interface {
    /// Chooses among a card's interfaces: the newest version that both sides speak, then what the caller prefers, then what
    /// the agent does.
    ///
    /// # Errors
    /// When none is left: the error of A2A for a version that the agent does not speak, or the card is of no use here.
    pub(crate) fn choose(card: &Value, wanted: Wanted<'_>) -> Result<Self, Failure> {
        let spoken = interfaces(card).into_iter().filter(Self::is_spoken);
        let fits = |interface: &Self| wanted.protocol.is_none_or(|protocol| protocol == interface.protocol);
        let rank = |interface: &Self| {
            let preferred = wanted.bindings.iter().position(|binding| *binding == interface.binding);
            (interface.protocol, preferred.unwrap_or(wanted.bindings.len()))
        };
        if let Some(chosen) = spoken.filter(fits).min_by_key(rank) {
            return Ok(chosen);
        }
        if let Some(protocol) = wanted.protocol {
            let cause = format!("the agent does not speak A2A {protocol} in a way that this command does");
            let hint = "without --a2a-version the newest version is chosen that both speak".to_owned();
            let envelope = Envelope::of_protocol(i64::from(a2a::error_code::VERSION_NOT_SUPPORTED));
            return Err(Failure::new(Exit::Failed, cause).hint(hint).envelope(envelope));
        }
        let cause = "the agent's card names no interface of JSONRPC, or of HTTP+JSON of A2A 1.0";
        Err(Failure::new(Exit::Failed, cause).envelope(Envelope::own("A2ACLI_ERR_CARD_INVALID")))
    }

    fn is_spoken(&self) -> bool {
        match self.binding {
            Binding::JsonRpc => true,
            Binding::HttpJson => self.protocol == Protocol::V1,
            Binding::Grpc | Binding::Other(_) => false,
        }
    }
}

/// The interfaces of a card of 1.0 or 0.3, or of both, in the card's order.
fn interfaces(card: &Value) -> Vec<Interface> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let list =
        |name: &str| card.get(name).and_then(Value::as_array).into_iter().flatten().take(INTERFACES_MAX);
    let interface = |entry: &Value, binding: Option<String>, version: Option<String>, usual: Protocol| {
        let protocol = version.map_or(Some(usual), |version| Protocol::of(&version))?;
        let tenant = text(entry, "tenant").filter(|tenant| usual == Protocol::V1 && !tenant.is_empty());
        let url = text(entry, "url").unwrap_or_default();
        Some(Interface { binding: Binding::of(&binding?), protocol, tenant, url })
    };
    let mut found: Vec<_> = list("supportedInterfaces")
        .filter_map(|entry| {
            let version = text(entry, "protocolVersion").filter(|version| !version.is_empty());
            interface(entry, text(entry, "protocolBinding"), version, Protocol::V1)
        })
        .collect();
    if text(card, "url").is_some() {
        let version = text(card, "protocolVersion").filter(|version| !version.is_empty());
        let preferred =
            text(card, "preferredTransport").unwrap_or_else(|| Binding::JsonRpc.name().to_owned());
        let others = list("additionalInterfaces").map(|entry| (entry, text(entry, "transport")));
        let all = std::iter::once((card, Some(preferred))).chain(others);
        found.extend(
            all.filter_map(|(entry, binding)| interface(entry, binding, version.clone(), Protocol::V0)),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ANY: Wanted<'_> = Wanted { protocol: None, bindings: &[] };

    fn chosen(card: &Value, wanted: Wanted<'_>) -> (Binding, Protocol) {
        let interface = Interface::choose(card, wanted).unwrap();
        (interface.binding, interface.protocol)
    }

    fn card() -> Value {
        json!({"supportedInterfaces": [
            {"url": "x", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
            {"url": "x", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
            {"url": "x", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0", "tenant": "t"},
            {"url": "x", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
        ]})
    }

    #[test]
    fn the_newest_version_wins_and_then_the_order_of_the_card() {
        assert_eq!(chosen(&card(), ANY), (Binding::HttpJson, Protocol::V1));
        assert_eq!(Interface::choose(&card(), ANY).unwrap().tenant.as_deref(), Some("t"));
    }

    #[test]
    fn the_caller_may_prefer_another_one() {
        let bindings = [Binding::JsonRpc, Binding::HttpJson];
        assert_eq!(chosen(&card(), Wanted { bindings: &bindings, ..ANY }), (Binding::JsonRpc, Protocol::V1));
        let old = Wanted { protocol: Some(Protocol::V0), ..ANY };
        assert_eq!(chosen(&card(), old), (Binding::JsonRpc, Protocol::V0));
    }

    #[test]
    fn older_cards_have_older_interfaces() {
        let oldest = json!({"name": "x", "url": "http://a/"});
        assert_eq!(chosen(&oldest, ANY), (Binding::JsonRpc, Protocol::V0));
        let other = json!({"url": "x", "protocolVersion": "0.3.0", "preferredTransport": "GRPC",
            "additionalInterfaces": [{"url": "y", "transport": "JSONRPC"}]});
        assert_eq!(chosen(&other, ANY), (Binding::JsonRpc, Protocol::V0));
        assert_eq!(Interface::choose(&other, ANY).unwrap().url, "y");
    }

    #[test]
    fn what_cannot_be_spoken_is_named() {
        let grpc = json!({"supportedInterfaces": [{"protocolBinding": "GRPC", "protocolVersion": "1.0"}]});
        let failure = Interface::choose(&grpc, ANY).unwrap_err();
        assert_eq!(failure.json()["error"]["code"], "A2ACLI_ERR_CARD_INVALID");
        let old = json!({"url": "x"});
        let failure = Interface::choose(&old, Wanted { protocol: Some(Protocol::V1), ..ANY }).unwrap_err();
        assert_eq!(failure.json()["error"]["code"], "VersionNotSupportedError");
    }
}
