//! What the signatures of a card are worth.

use std::path::Path;

use althing_a2a::{MeshCard, Outcome, SIGNED_CARD_BYTES_MAX, SignatureReport};
use althing_card::Card;
use althing_gateway::DoorRequest;
use althing_record::{AgentId, Digest, Network, Record};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::failure::{Exit, Failure};
use super::super::network;
use super::super::page::{Page, Text};
use super::super::session::Session;
use super::read;

/// How a door says that what it gives is the owner's card, byte for byte.
const CARD_HEADER: &str = "althing-card";

/// What was found of one thing that a card says.
#[derive(Debug)]
struct Finding {
    /// `signature`, `record` or `origin`.
    what: &'static str,
    state: State,
    /// For people.
    line: String,
    /// What a program may want to know of it.
    more: Value,
}

/// Whether it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Valid,
    Invalid,
    NotChecked,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::NotChecked => "not-checked",
        }
    }
}

pub(super) async fn verify(card: &Path, session: &Session) -> Result<Page, Failure> {
    match card.to_str().filter(|text| text.starts_with("did:")) {
        Some(did) => {
            let agent = did.parse::<AgentId>().map_err(|error| {
                Failure::new(
                    Exit::Usage,
                    format!("expected a file, - or did:key:…, found \"{did}\": {error}"),
                )
            })?;
            of_agent(agent, session).await
        }
        None => page(None, signatures(&read(card, SIGNED_CARD_BYTES_MAX as u64)?, None)?),
    }
}

/// The published card of an agent, the record that carries it, and the owner's card that it stands for.
async fn of_agent(agent: AgentId, session: &Session) -> Result<Page, Failure> {
    let client = session.client().await?;
    let network = network::read(&session.home()?.join("genesis.cbor"))?;
    let published = client.card(&agent.to_string()).await?;
    let carried = carried(&published.envelope, &network, agent, published.json.as_bytes());
    let record = match carried {
        Ok(record) => record,
        Err(cause) => {
            let line = format!("the record that carries the card: {cause}");
            let finding =
                Finding { what: "record", state: State::Invalid, line, more: json!({"problem": cause}) };
            return page(Some(agent), vec![finding]);
        }
    };
    let id = record.id().to_string();
    let line = format!("{id} of the network {}", network.id());
    let mut findings =
        vec![Finding { what: "record", state: State::Valid, line, more: json!({"record": id}) }];
    let json = published.json.as_bytes();
    findings.extend(signatures(json, Some((agent, AgentId(*record.signing_key()))))?);
    if let Ok(mesh) = MeshCard::parse(json) {
        let home = mesh.agent == agent && mesh.network == network.id();
        findings.push(if home {
            let target = format!("/a2a/agents/{agent}/.well-known/agent-card.json?card=origin");
            let answer = async {
                let answer = client.door(DoorRequest::get(target)).await?;
                let is_origin = answer.header(CARD_HEADER) == Some("origin");
                let status = answer.status();
                Ok::<_, Failure>((status, is_origin, answer.bytes().await?))
            };
            origin(mesh.origin, answer.await)
        } else {
            let line = "the card is made for another agent or another network".to_owned();
            Finding { what: "origin", state: State::Invalid, line, more: json!({}) }
        });
    }
    page(Some(agent), findings)
}

/// The record, if it is genuine, of this agent, and carries this very card.
fn carried(envelope: &str, network: &Network, agent: AgentId, json: &[u8]) -> Result<Record, String> {
    let bytes = hex::decode(envelope).map_err(|error| format!("is not hex: {error}"))?;
    let record = Record::verify(&bytes, network).map_err(|error| error.to_string())?;
    let card = Card::from_record(&record).map_err(|error| error.to_string())?;
    if record.agent() != agent {
        return Err(format!("is of {}, not of {agent}", record.agent()));
    }
    match card {
        Some(card) if card.json() == json => Ok(record),
        Some(_) => Err("carries another card than the node says".to_owned()),
        None => Err("takes the card back".to_owned()),
    }
}

/// A finding for each signature; `signer` is the agent whose card it is, and the key that it signs with now.
fn signatures(bytes: &[u8], signer: Option<(AgentId, AgentId)>) -> Result<Vec<Finding>, Failure> {
    let reports = althing_a2a::verify(bytes).map_err(|faults| {
        Failure::new(Exit::Failed, format!("the card cannot be read: {faults}"))
            .hint("expected the JSON of an A2A card".to_owned())
    })?;
    Ok(reports.iter().map(|report| signature(report, signer)).collect())
}

fn signature(report: &SignatureReport, signer: Option<(AgentId, AgentId)>) -> Finding {
    let SignatureReport { algorithm, key_id, outcome } = report;
    let mut more = json!({"algorithm": algorithm, "key_id": key_id});
    let (state, said) = match outcome {
        Outcome::Valid { by, reading } => {
            more["by"] = by.to_string().into();
            more["reading"] = reading.to_string().into();
            let whose = match signer {
                Some((agent, key)) if *by == agent || *by == key => ", the card's agent".to_owned(),
                Some(_) => ", not the card's agent".to_owned(),
                None => String::new(),
            };
            (State::Valid, format!("signed by {by}{whose}"))
        }
        Outcome::Invalid(why) => {
            more["problem"] = why.as_str().into();
            (State::Invalid, format!("{why} ({algorithm}, {key_id})"))
        }
        Outcome::NotChecked { key_at } => {
            more["key_at"] = key_at.as_deref().into();
            let place = key_at.as_ref().map(|url| format!(", which is at {url}")).unwrap_or_default();
            (State::NotChecked, format!("the key is not in the signature{place} ({algorithm}, {key_id})"))
        }
    };
    Finding { what: "signature", state, line: said, more }
}

/// Whether the owner's card has the hash that the mesh card names.
fn origin(expected: Digest, answer: Result<(u16, bool, Vec<u8>), Failure>) -> Finding {
    let mut more = json!({"sha256": expected.to_string()});
    let (state, line) = match answer {
        Ok((200, _, bytes)) if Sha256::digest(&bytes)[..] == expected.0 => {
            (State::Valid, format!("the owner's card has the SHA-256 {expected}"))
        }
        Ok((200, true, bytes)) => {
            let found = Digest(Sha256::digest(&bytes).into());
            more["found"] = found.to_string().into();
            (State::Invalid, format!("the owner's card has the SHA-256 {found}, the card says {expected}"))
        }
        Ok(_) => (State::NotChecked, "the node does not give the owner's card".to_owned()),
        Err(failure) => (State::NotChecked, format!("the owner's card cannot be had: {}", failure.cause())),
    };
    Finding { what: "origin", state, line, more }
}

fn page(agent: Option<AgentId>, findings: Vec<Finding>) -> Result<Page, Failure> {
    let mut text = Text::default();
    for finding in &findings {
        text.line(&format!("{:11}  {:9}  {}", finding.state.name(), finding.what, finding.line));
    }
    if !findings.iter().any(|finding| finding.what == "signature") {
        text.line("no signatures");
    }
    let valid = findings.iter().all(|finding| finding.state != State::Invalid);
    let documents: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let mut document = json!({"what": finding.what, "state": finding.state.name()});
            for (name, value) in finding.more.as_object().into_iter().flatten() {
                document[name] = value.clone();
            }
            document
        })
        .collect();
    let document = json!({
        "schema": "althing.card-verification/v1",
        "valid": valid,
        "agent": agent.map(|agent| agent.to_string()),
        "findings": documents,
    });
    let page = Page::new(&document, text)?;
    Ok(if valid { page } else { page.exit(Exit::Invalid) })
}

#[cfg(test)]
mod tests {
    use althing_a2a::{OriginCard, mesh_card, sign};
    use althing_record::AgentKey;

    use super::*;

    const ORIGIN: &[u8] =
        br#"{"name":"Babel","url":"http://localhost:9999/","skills":[{"id":"text/translate"}]}"#;

    fn mesh() -> (AgentKey, Value, Digest) {
        let origin = OriginCard::parse(ORIGIN).unwrap();
        let key = AgentKey::from_seed(&[7; 32]);
        let mesh = mesh_card(&origin, key.agent(), Network::builtin().id()).unwrap();
        let signed = sign(&mesh, &key).unwrap();
        (key, signed, origin.digest())
    }

    fn states(findings: &[Finding]) -> Vec<State> {
        findings.iter().map(|finding| finding.state).collect()
    }

    #[test]
    fn signatures_are_valid_until_the_card_is_changed() {
        let (key, mut card, _) = mesh();
        let bytes = serde_json::to_vec(&card).unwrap();
        let findings = signatures(&bytes, Some((key.agent(), key.agent()))).unwrap();
        assert_eq!(states(&findings), [State::Valid]);
        assert!(findings[0].line.ends_with("the card's agent"), "{findings:?}");
        assert!(signature_line(&bytes, AgentId([1; 32])).ends_with("not the card's agent"));
        card["name"] = "Eve".into();
        let findings = signatures(&serde_json::to_vec(&card).unwrap(), None).unwrap();
        assert_eq!(states(&findings), [State::Invalid]);
    }

    fn signature_line(bytes: &[u8], other: AgentId) -> String {
        signatures(bytes, Some((other, other))).unwrap().remove(0).line
    }

    #[test]
    fn keys_that_are_elsewhere_are_named_as_not_checked() {
        // {"alg":"ES256","kid":"k","jku":"https://x/jwks"}
        let protected = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsiLCJqa3UiOiJodHRwczovL3gvandrcyJ9";
        let card = json!({"name": "x", "signatures": [{"protected": protected, "signature": "AA"}]});
        let findings = signatures(&serde_json::to_vec(&card).unwrap(), None).unwrap();
        assert_eq!(states(&findings), [State::NotChecked]);
        assert!(findings[0].line.contains("https://x/jwks"), "{findings:?}");
        assert_eq!(states(&signatures(b"{\"name\":\"x\"}", None).unwrap()), []);
        assert_eq!(signatures(b"[]", None).unwrap_err().exit, Exit::Failed);
    }

    #[test]
    fn the_owners_card_fits_only_by_its_hash() {
        let (_, _, digest) = mesh();
        let answer = |status, is_origin, bytes: &[u8]| Ok((status, is_origin, bytes.to_vec()));
        assert_eq!(origin(digest, answer(200, false, ORIGIN)).state, State::Valid);
        assert_eq!(origin(digest, answer(200, true, b"{}")).state, State::Invalid);
        assert_eq!(origin(digest, answer(200, false, b"{}")).state, State::NotChecked);
        assert_eq!(origin(digest, answer(404, false, ORIGIN)).state, State::NotChecked);
        assert_eq!(origin(digest, Err(Failure::new(Exit::Down, "gone"))).state, State::NotChecked);
    }

    #[test]
    fn a_record_that_is_none_is_no_proof() {
        let network = Network::builtin();
        let agent = AgentId([9; 32]);
        assert!(carried("zz", &network, agent, b"{}").is_err_and(|cause| cause.contains("hex")));
        assert!(carried("00", &network, agent, b"{}").is_err());
    }
}
