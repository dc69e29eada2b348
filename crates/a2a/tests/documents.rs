//! Cards from one form to the next, and their signatures, against fixtures of others. `fixtures/README.md` says where
//! they come from.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_a2a::{
    BINDING_URI, CARD_BYTES_MAX, Form, MeshCard, ORIGIN_EXTENSION_URI, OriginCard, Outcome, Problem,
    Protocol, Reading, SIGNATURES_MAX, check_portable, mesh_card, sign, verify,
};
use althing_record::AgentKey;
use althing_testkit::{agent, network};
use proptest::prelude::*;
use serde_json::{Value, json};

fn fixture(name: &str) -> String {
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    std::fs::read_to_string(path).unwrap_or_default()
}

fn bytes(card: &Value) -> Vec<u8> {
    serde_json::to_vec(card).unwrap()
}

fn outcomes(card: &Value) -> Vec<Outcome> {
    verify(&bytes(card)).unwrap().into_iter().map(|report| report.outcome).collect()
}

fn valid(key: &AgentKey) -> Outcome {
    Outcome::Valid { by: key.agent(), reading: Reading::AsWritten }
}

fn origin() -> OriginCard {
    let card = json!({
        "name": "Babel", "description": "Translates", "version": "1.0.0",
        "supportedInterfaces": [
            {"url": "http://localhost:9999/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            {"url": "http://localhost:9999/", "protocolBinding": "JSONRPC", "protocolVersion": "0.3.0"}
        ],
        "provider": {"organization": "Example", "url": "https://example.com"},
        "capabilities": {
            "streaming": true, "pushNotifications": false, "extendedAgentCard": null,
            "extensions": [
                {"uri": "https://example.com/a", "required": true, "params": {"rate": 2, "unit": "s"}},
                {"uri": "https://example.com/b", "required": false, "params": {"on": false}},
                {"uri": "", "description": "nothing"}
            ]
        },
        "securitySchemes": {"key": {"apiKeySecurityScheme": {"location": "header", "name": "X-Key"}}},
        "securityRequirements": [{"schemes": {"key": {"list": []}}}],
        "defaultInputModes": ["text/plain", ""], "defaultOutputModes": [],
        "skills": [
            {"tags": [], "examples": ["a", ""], "id": "text/translate/fr", "securityRequirements": [{"schemes": {}}]},
            {"id": "b", "name": "B", "description": "", "tags": ["x"], "inputModes": [], "vendor": 1}
        ],
        "iconUrl": "", "vendor": {"left": "out"}
    });
    OriginCard::parse(&bytes(&card)).unwrap()
}

fn mesh() -> Value {
    mesh_card(&origin(), agent(7).agent(), network().id()).unwrap()
}

#[test]
fn the_mesh_card_is_portable_and_carries_over_what_says_something() {
    let did = "did:key:z6MkvLrkgkeeWeRwktZGShYPiB5YuPkhN2yi3MqMKZMFMgWr";
    let url = format!("althing:{}", agent(7).agent());
    let mesh = mesh();
    assert!(url.starts_with("althing:did:key:z6Mk") && url.len() == "althing:".len() + did.len());
    assert_eq!(check_portable(&mesh), Ok(()));
    assert_eq!(
        mesh,
        json!({
            "name": "Babel", "description": "Translates",
            "supportedInterfaces": [
                {"url": url, "protocolBinding": BINDING_URI, "protocolVersion": "1.0"},
                {"url": url, "protocolBinding": BINDING_URI, "protocolVersion": "0.3"}
            ],
            "provider": {"organization": "Example", "url": "https://example.com"},
            "version": "1.0.0",
            "capabilities": {
                "streaming": true,
                "extensions": [
                    {
                        "uri": ORIGIN_EXTENSION_URI,
                        "description": "The owner's card, as the called node serves it, has this SHA-256.",
                        "params": {"cardSha256": origin().digest().to_string(), "network": network().id().to_string()}
                    },
                    {"uri": "https://example.com/a", "required": true, "params": {"rate": 2, "unit": "s"}},
                    {"uri": "https://example.com/b"}
                ]
            },
            "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
            "skills": [
                {
                    "id": "text/translate/fr", "name": "text/translate/fr", "description": "text/translate/fr",
                    "tags": ["fr"], "examples": ["a"]
                },
                {"id": "b", "name": "B", "description": "B", "tags": ["x"]}
            ]
        })
    );
}

#[test]
fn the_mesh_card_of_an_older_agent_says_which_version_it_speaks() {
    let card = br#"{"name":"Old","url":"http://localhost:9999/?assistant_id=1","supportsAuthenticatedExtendedCard":true,
        "capabilities":{"streaming":true,"stateTransitionHistory":true,
            "extensions":[{"uri":"https://althing.dev/a2a/extension/idempotent-messages/1"}]},"skills":[{"id":"a"}]}"#;
    let origin = OriginCard::parse(card).unwrap();
    let mesh = mesh_card(&origin, agent(7).agent(), network().id()).unwrap();
    assert_eq!(mesh["capabilities"]["extendedAgentCard"], true);
    assert_eq!((&mesh["description"], &mesh["version"]), (&json!("Old"), &json!("0")));
    let read = MeshCard::parse(&bytes(&sign(&mesh, &agent(7)).unwrap())).unwrap();
    let expected = MeshCard {
        agent: agent(7).agent(),
        network: network().id(),
        origin: origin.digest(),
        protocols: vec![Protocol::V0],
        is_idempotent: true,
    };
    assert_eq!(read, expected);
}

#[test]
fn what_cannot_be_carried_over_is_named() {
    let derive = |card: &str| {
        let origin = OriginCard::parse(card.as_bytes()).unwrap();
        mesh_card(&origin, agent(7).agent(), network().id()).unwrap_err().to_string()
    };
    let none = derive(r#"{"name":"x","url":"http://a/"}"#);
    assert_eq!(none, "skills stands at its default value, which signers and verifiers may drop or keep");
    let skills = vec![format!(r#"{{"id":"{}"}}"#, "x".repeat(200)); 64].join(",");
    let long = derive(&format!(r#"{{"name":"x","url":"http://a/","skills":[{skills}]}}"#));
    assert!(long.contains(&format!("at most {CARD_BYTES_MAX} are allowed")), "{long}");
}

#[test]
fn other_cards_are_no_mesh_cards() {
    let parse = |card: &Value| MeshCard::parse(&bytes(card)).unwrap_err().to_string();
    assert_eq!(parse(&json!({"name": "x"})), "supportedInterfaces is missing");
    let altered = |change: &dyn Fn(&mut Value)| {
        let mut card = mesh();
        change(&mut card);
        parse(&card)
    };
    let other = format!("althing:{}", agent(8).agent());
    assert!(altered(&|card| card["supportedInterfaces"][0]["url"] = "http://a/".into()).contains("missing"));
    assert!(
        altered(&|card| card["supportedInterfaces"][1]["url"] = other.clone().into())
            .contains("alternatives")
    );
    let gone = altered(&|card| card["capabilities"]["extensions"] = json!([]));
    assert_eq!(gone, "capabilities.extensions is missing");
    let params =
        |card: &mut Value| card["capabilities"]["extensions"][0]["params"]["cardSha256"] = "00".into();
    assert_eq!(altered(&params), "capabilities.extensions is missing");
}

#[test]
fn golden_mesh_card_has_not_changed() {
    let built = serde_json::to_string_pretty(&sign(&mesh(), &agent(7)).unwrap()).unwrap() + "\n";
    if std::env::var("ALTHING_BLESS").is_ok_and(|bless| bless == "1") {
        let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/mesh-signed.json");
        std::fs::write(path, &built).unwrap();
    }
    assert_eq!(fixture("mesh-signed.json"), built);
    assert_eq!(outcomes(&serde_json::from_str(&built).unwrap()), [valid(&agent(7))]);
}

#[test]
fn signatures_of_the_python_sdk_are_valid_here() {
    let reports = verify(fixture("sdk-signed.json").as_bytes()).unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].algorithm.as_str(), &reports[0].outcome), ("EdDSA", &valid(&agent(5))));
    assert!(reports[0].key_id.starts_with("did:key:z6Mk"));
    let sparse = verify(fixture("sdk-signed-sparse.json").as_bytes()).unwrap();
    let expected = Outcome::Valid { by: agent(5).agent(), reading: Reading::WithoutEmpty };
    assert_eq!(sparse[0].outcome, expected);
}

#[test]
fn every_change_of_what_was_signed_is_seen() {
    for name in ["sdk-signed.json", "sdk-signed-sparse.json", "mesh-signed.json"] {
        let card: Value = serde_json::from_str(&fixture(name)).unwrap();
        let seen = |card: &Value, what: &str| {
            assert!(matches!(outcomes(card)[..], [Outcome::Invalid(_)]), "{name}: {what}");
        };
        for member in card.as_object().unwrap().keys().filter(|member| *member != "signatures") {
            let mut altered = card.clone();
            altered[member] = "other".into();
            seen(&altered, member);
        }
        let mut added = card.clone();
        added["unknown"] = "x".into();
        seen(&added, "an unknown member");
        let mut added = card.clone();
        added["skills"][0]["unknown"] = true.into();
        seen(&added, "an unknown member of a skill");
        let mut moved = card.clone();
        moved["signatures"][0]["signature"] = "AA".into();
        seen(&moved, "the signature");
    }
}

#[test]
fn signatures_whose_key_is_elsewhere_are_not_checked() {
    // The protected header of the example in the specification's section 8.4.2, over a card with every kind of member.
    let protected = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpPU0UiLCJraWQiOiJrZXktMSIsImprdSI6Imh0dHBzOi8vZXhhbXBsZS5jb20vYWdlbnQvandrcy5qc29uIn0";
    let scopes = json!({"read": "reads"});
    let card = json!({
        "name": "Full", "description": "Has everything", "version": "1.2.0",
        "supportedInterfaces": [
            {"url": "https://a.example/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0", "tenant": "t"},
            {"url": "a.example:443", "protocolBinding": "GRPC", "protocolVersion": "1.0"}
        ],
        "provider": {"organization": "Example", "url": "https://a.example"},
        "iconUrl": "https://a.example/icon.png", "documentationUrl": "https://a.example/docs",
        "capabilities": {"streaming": true, "pushNotifications": true, "extendedAgentCard": true},
        "securitySchemes": {
            "key": {"apiKeySecurityScheme": {"description": "d", "location": "header", "name": "X-Key"}},
            "http": {"httpAuthSecurityScheme": {"scheme": "bearer", "bearerFormat": "JWT"}},
            "oauth": {"oauth2SecurityScheme": {"flows": {"authorizationCode": {
                "authorizationUrl": "https://a.example/a", "tokenUrl": "https://a.example/t", "scopes": scopes,
                "pkceRequired": true
            }}, "oauth2MetadataUrl": "https://a.example/m"}},
            "device": {"oauth2SecurityScheme": {"flows": {"deviceCode": {
                "deviceAuthorizationUrl": "https://a.example/d", "tokenUrl": "https://a.example/t", "scopes": scopes
            }}}},
            "client": {"oauth2SecurityScheme": {"flows": {"clientCredentials": {
                "tokenUrl": "https://a.example/t", "scopes": scopes, "refreshUrl": "https://a.example/r"
            }}}},
            "oidc": {"openIdConnectSecurityScheme": {"openIdConnectUrl": "https://a.example/.well-known/o"}},
            "tls": {"mtlsSecurityScheme": {"description": "certificates"}}
        },
        "securityRequirements": [{"schemes": {"oidc": {"list": ["openid"]}}}],
        "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
        "skills": [{
            "id": "a", "name": "A", "description": "Does a", "tags": ["a"], "examples": ["do a"],
            "inputModes": ["text/plain"], "outputModes": ["text/html"],
            "securityRequirements": [{"schemes": {"oauth": {"list": ["read"]}}}]
        }],
        "signatures": [{"protected": protected, "signature": "AA"}]
    });
    let origin = OriginCard::parse(&bytes(&card)).unwrap();
    assert!(origin.form() == Form::V1 && origin.is_signed() && origin.streams());
    let reports = verify(&bytes(&card)).unwrap();
    let key_at = Some("https://example.com/agent/jwks.json".to_owned());
    assert_eq!((reports[0].algorithm.as_str(), reports[0].key_id.as_str()), ("ES256", "key-1"));
    assert_eq!(reports[0].outcome, Outcome::NotChecked { key_at });
    assert_eq!(check_portable(&card), Ok(()));
    let [one, other, third] = Reading::ALL.map(|reading| reading.canonical(&card));
    assert!(one == other && other == third, "portable: all readings agree");
}

/// A card whose only signature has this protected header, over the right bytes by the right key.
fn with_header(header: &str) -> Outcome {
    use base64::Engine as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let payload = Reading::AsWritten.canonical(&mesh()).unwrap();
    let protected = encode(header.as_bytes());
    let signature = encode(&agent(7).sign(format!("{protected}.{}", encode(&payload)).as_bytes()));
    let mut card = mesh();
    card["signatures"] = json!([{"protected": protected, "signature": signature}]);
    outcomes(&card).remove(0)
}

#[test]
fn headers_decide_what_is_checked_and_how() {
    let did = agent(7).agent().to_string();
    let fragment = did.rsplit(':').next().unwrap();
    let kid = |kid: &str| with_header(&format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#));
    assert_eq!(kid(&format!("{did}#{fragment}")), valid(&agent(7)));
    assert_eq!(kid(&did), valid(&agent(7)));
    assert_eq!(
        kid(&format!("{did}#{}x", &fragment[..fragment.len() - 1])),
        Outcome::NotChecked { key_at: None }
    );
    assert_eq!(kid("key-1"), Outcome::NotChecked { key_at: None });
    assert_eq!(kid("did:web:example.com#k"), Outcome::NotChecked { key_at: None });
    assert!(matches!(kid(&agent(8).agent().to_string()), Outcome::Invalid(_)), "somebody else's key");
    let invalid = |header: String| {
        let outcome = with_header(&header);
        let Outcome::Invalid(why) = outcome else { panic!("{outcome:?}") };
        why
    };
    assert!(invalid(format!(r#"{{"alg":"none","kid":"{did}"}}"#)).contains("no algorithm"));
    assert!(invalid(format!(r#"{{"kid":"{did}"}}"#)).contains("no algorithm"));
    assert!(invalid(format!(r#"{{"alg":"HS256","kid":"{did}"}}"#)).contains("not that of its key"));
    assert!(invalid(format!(r#"{{"alg":"EdDSA","kid":"{did}","crit":["x"],"x":1}}"#)).contains("crit"));
    assert!(invalid(format!(r#"{{"alg":"EdDSA","kid":"{did}","b64":false}}"#)).contains("b64"));
    assert!(invalid(format!(r#"{{"alg":"EdDSA","kid":"{did}","alg":"EdDSA"}}"#)).contains("header"));
    assert!(invalid("[]".into()).contains("header"));
    // A key elsewhere is never fetched, and never stands in for the one that is named.
    let elsewhere = with_header(r#"{"alg":"EdDSA","kid":"k","jku":"http://127.0.0.1/keys"}"#);
    assert_eq!(elsewhere, Outcome::NotChecked { key_at: Some("http://127.0.0.1/keys".into()) });
}

#[test]
fn only_portable_cards_are_signed() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut card = mesh();
        change(&mut card);
        let faults = sign(&card, &agent(7)).unwrap_err();
        faults.iter().map(|fault| (fault.path.clone(), fault.problem.clone())).collect::<Vec<_>>()
    };
    let one = |path: &str, problem| vec![(path.to_owned(), problem)];
    for value in [json!(null), json!(""), json!([]), json!({}), json!(0), json!(false)] {
        let found = refused(&|card| card["description"] = value.clone());
        assert_eq!(found, one("description", Problem::Default), "{value}");
    }
    assert_eq!(refused(&|card| card["vendor"] = "x".into()), one("vendor", Problem::Unknown));
    assert_eq!(
        refused(&|card| card["skills"][1]["vendor"] = "x".into()),
        one("skills[1].vendor", Problem::Unknown)
    );
    let gone = refused(&|card| {
        card.as_object_mut().unwrap().remove("version");
    });
    assert_eq!(gone, one("version", Problem::Missing));
    assert_eq!(
        refused(&|card| card["capabilities"]["streaming"] = false.into()),
        one("capabilities.streaming", Problem::Default)
    );
    assert_eq!(
        refused(&|card| card["skills"][0]["tags"] = json!(["x", ""])),
        one("skills[0].tags[1]", Problem::Default)
    );
    let params = "capabilities.extensions[0].params";
    let param = |value: Value| {
        refused(&|card| {
            card["capabilities"]["extensions"][0]["params"] = json!({"a": [{"b": value.clone()}]})
        })
    };
    assert_eq!(param(json!(false)), one(&format!("{params}.a[0].b"), Problem::Default));
    assert_eq!(param(json!(9_007_199_254_740_993_u64)), one(&format!("{params}.a[0].b"), Problem::Number));
    let both = json!({"k": {"apiKeySecurityScheme": {"location": "header", "name": "x"}, "mtlsSecurityScheme": {"description": "m"}}});
    assert_eq!(
        refused(&|card| card["securitySchemes"] = both.clone()),
        one("securitySchemes.k", Problem::Alternatives)
    );
    let type_error = Problem::Type { expected: "a list", found: "a string" };
    assert_eq!(refused(&|card| card["skills"] = "x".into()), one("skills", type_error));
    let several = refused(&|card| {
        card["version"] = 1.into();
        card["name"] = "".into();
    });
    assert_eq!(several.len(), 2, "all of them are named");
}

#[test]
fn more_signatures_are_added_behind_up_to_a_bound() {
    let mut card = sign(&mesh(), &agent(7)).unwrap();
    card = sign(&card, &agent(8)).unwrap();
    assert_eq!(outcomes(&card), [valid(&agent(7)), valid(&agent(8))]);
    while card["signatures"].as_array().unwrap().len() < SIGNATURES_MAX {
        card = sign(&card, &agent(9)).unwrap();
    }
    assert!(sign(&card, &agent(9)).unwrap_err().to_string().contains("at most 16"));
    assert_eq!(outcomes(&card).len(), SIGNATURES_MAX);
    let first = card["signatures"][0].clone();
    card["signatures"].as_array_mut().unwrap().push(first);
    assert!(verify(&bytes(&card)).is_err());
}

#[test]
fn documents_without_signatures_have_nothing_to_report() {
    assert_eq!(verify(b"{}"), Ok(Vec::new()));
    assert_eq!(verify(b"{\"signatures\":null}"), Ok(Vec::new()));
    assert!(verify(b"[]").is_err() && verify(b"{\"signatures\":{}}").is_err() && verify(b"x").is_err());
    let odd =
        verify(br#"{"signatures":[1,{},{"protected":"%%","signature":"x"},{"protected":"e30"}]}"#).unwrap();
    assert!(odd.iter().all(|report| matches!(report.outcome, Outcome::Invalid(_))));
    assert_eq!(odd.len(), 4);
}

proptest! {
    /// Whatever happens to the bytes of a signed card: it stays valid only while it says the same.
    #[test]
    fn altered_bytes_are_valid_only_if_they_say_the_same(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let text = fixture("mesh-signed.json").into_bytes();
        let original: Value = serde_json::from_slice(&text).unwrap();
        let mut altered = text.clone();
        altered[at.index(text.len())] = to;
        let _ = MeshCard::parse(&altered);
        if let Ok(origin) = OriginCard::parse(&altered) {
            let _ = mesh_card(&origin, agent(7).agent(), network().id());
        }
        for report in verify(&altered).unwrap_or_default() {
            if matches!(report.outcome, Outcome::Valid { .. }) {
                let card: Value = serde_json::from_slice(&altered).unwrap();
                let same = Reading::AsWritten.canonical(&card) == Reading::AsWritten.canonical(&original);
                prop_assert!(same);
            }
        }
    }

    #[test]
    fn no_document_makes_anything_panic(text in "[\\[\\]{}\",:a0.e-]{0,60}") {
        let _ = OriginCard::parse(text.as_bytes());
        let _ = verify(text.as_bytes());
        let card = format!(r#"{{"name":"x","url":"http://a/","skills":[{{"id":"a"}}],"capabilities":{text}}}"#);
        if let Ok(origin) = OriginCard::parse(card.as_bytes()) {
            let base = url::Url::parse("http://127.0.0.1:1/").unwrap();
            let view = althing_a2a::local_view(&origin, &base);
            prop_assert!(OriginCard::parse(&bytes(&view)).is_ok());
            if let Ok(mesh) = mesh_card(&origin, agent(7).agent(), network().id()) {
                prop_assert!(MeshCard::parse(&bytes(&mesh)).is_ok());
                prop_assert!(sign(&mesh, &agent(7)).is_ok());
            }
        }
    }
}
