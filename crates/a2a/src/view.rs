use serde_json::{Map, Value};
use url::Url;

use crate::{Binding, Form, OriginCard};

/// The owner's card for a client on this machine: every interface that the tunnel carries leads to `base`, and the others
/// are gone. All else stays as the owner wrote it, in the form in which it was written.
///
/// The owner's signatures are taken out, because they fit no other card than the owner's. A card in both forms is served in
/// both. An older card stays an older card: clients of 1.0 that can speak 0.3 read it themselves, and the others could not
/// call the agent in any case.
///
/// With `base` for both bindings, a client's requests tell them apart: JSON-RPC posts to `base` itself, HTTP+JSON to paths
/// below it. The version is in the header `A2A-Version`, or else it is 0.3.
#[must_use]
pub fn local_view(origin: &OriginCard, base: &Url) -> Value {
    let mut card = origin.value().as_object().cloned().unwrap_or_default();
    card.remove("signatures");
    if origin.form() == Form::V1 {
        local_interfaces(&mut card, "supportedInterfaces", "protocolBinding", base);
    }
    if card.get("url").is_some_and(Value::is_string) {
        local_old_interfaces(&mut card, base);
    }
    Value::Object(card)
}

/// Rewrites a list of interfaces; those that become the same are listed once.
fn local_interfaces(card: &mut Map<String, Value>, list: &str, binding: &str, base: &Url) {
    let Some(Value::Array(interfaces)) = card.get_mut(list) else { return };
    let mut local: Vec<Value> = Vec::new();
    for mut interface in std::mem::take(interfaces) {
        if binding_of(&interface, binding).is_some_and(|binding| binding.is_http())
            && let Some(members) = interface.as_object_mut()
        {
            members.insert("url".into(), base.as_str().into());
            if !local.contains(&interface) {
                local.push(interface);
            }
        }
    }
    *interfaces = local;
}

/// Rewrites what 0.3 has. Where the preferred transport is not carried, the first of the additional ones takes its place.
fn local_old_interfaces(card: &mut Map<String, Value>, base: &Url) {
    local_interfaces(card, "additionalInterfaces", "transport", base);
    card.insert("url".into(), base.as_str().into());
    let preferred = card.get("preferredTransport").and_then(Value::as_str).map(Binding::of);
    if preferred.is_none_or(|preferred| preferred.is_http()) {
        return;
    }
    let additional = card.get("additionalInterfaces").and_then(Value::as_array);
    let first = additional.and_then(|additional| additional.first()).and_then(|first| first.get("transport"));
    match first.cloned() {
        Some(transport) => {
            card.insert("preferredTransport".into(), transport);
        }
        // A card in both forms whose older one is only gRPC: nothing older is left.
        None => {
            for name in ["url", "preferredTransport", "additionalInterfaces"] {
                card.remove(name);
            }
        }
    }
}

fn binding_of(interface: &Value, member: &str) -> Option<Binding> {
    interface.get(member).and_then(Value::as_str).map(Binding::of)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(card: &Value) -> Value {
        let origin = OriginCard::parse(&serde_json::to_vec(card).unwrap()).unwrap();
        let view = local_view(&origin, &Url::parse("http://127.0.0.1:4500/a2a/agents/x/").unwrap());
        OriginCard::parse(&serde_json::to_vec(&view).unwrap()).expect("the view is a card");
        view
    }

    const BASE: &str = "http://127.0.0.1:4500/a2a/agents/x/";

    #[test]
    fn a_view_leads_here_and_says_all_else_as_the_owner_did() {
        let card = json!({
            "name": "x", "zeta": {"kept": [1, 2.5, null]}, "capabilities": {"streaming": false},
            "supportedInterfaces": [
                {"url": "grpc.example.com:443", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
                {"url": "http://a/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0", "tenant": "t"},
                {"url": "http://a/old", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
                {"url": "http://b/old", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
                {"url": "http://a/rest", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}
            ],
            "securitySchemes": {"key": {"apiKeySecurityScheme": {"location": "header", "name": "X-Key"}}},
            "signatures": [{"protected": "e30", "signature": "AA"}],
            "documentationUrl": "http://a/docs"
        });
        let mut expected = card.clone();
        expected.as_object_mut().unwrap().remove("signatures");
        expected["supportedInterfaces"] = json!([
            {"url": BASE, "protocolBinding": "JSONRPC", "protocolVersion": "1.0", "tenant": "t"},
            {"url": BASE, "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
            {"url": BASE, "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}
        ]);
        assert_eq!(view(&card), expected);
    }

    #[test]
    fn an_older_card_stays_one() {
        let card = json!({
            "name": "x", "url": "http://a/", "protocolVersion": "0.3.0", "preferredTransport": "GRPC",
            "additionalInterfaces": [
                {"url": "a:1", "transport": "GRPC"}, {"url": "http://a/rest", "transport": "HTTP+JSON"},
                {"url": "http://a/", "transport": "JSONRPC"}
            ],
            "security": [{"key": []}], "signatures": [{"protected": "e30", "signature": "AA"}]
        });
        assert_eq!(
            view(&card),
            json!({
                "name": "x", "url": BASE, "protocolVersion": "0.3.0", "preferredTransport": "HTTP+JSON",
                "additionalInterfaces": [
                    {"url": BASE, "transport": "HTTP+JSON"}, {"url": BASE, "transport": "JSONRPC"}
                ],
                "security": [{"key": []}]
            })
        );
        let oldest = json!({"name": "x", "url": "http://a/rpc?assistant_id=7"});
        assert_eq!(view(&oldest), json!({"name": "x", "url": BASE}));
    }

    #[test]
    fn a_card_in_both_forms_is_served_in_both() {
        let new = json!([{"url": "http://a/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]);
        let local = json!([{"url": BASE, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]);
        let both = json!({"name": "x", "url": "http://a/", "preferredTransport": "JSONRPC", "supportedInterfaces": new});
        let expected =
            json!({"name": "x", "url": BASE, "preferredTransport": "JSONRPC", "supportedInterfaces": local});
        assert_eq!(view(&both), expected);
        // Of an older part that is only gRPC nothing is left.
        let both =
            json!({"name": "x", "url": "a:1", "preferredTransport": "GRPC", "supportedInterfaces": new});
        assert_eq!(view(&both), json!({"name": "x", "supportedInterfaces": local}));
    }
}
