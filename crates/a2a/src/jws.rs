use althing_record::{AgentId, AgentKey, SIGNATURE_LEN, verify_signature};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::json::{list, text};
use crate::{Faults, Problem, Reading, check_portable, json};

/// Longest document whose signatures are checked, in bytes.
pub const SIGNED_CARD_BYTES_MAX: usize = 256 * 1_024;

/// Most signatures of one card.
pub const SIGNATURES_MAX: usize = 16;

/// What is known of one signature of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureReport {
    /// The algorithm that it names.
    pub algorithm: String,
    /// The key that it names, such as `did:key:z6Mk…#z6Mk…`.
    pub key_id: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// Whether a signature fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The key that the signature names signed this card. It is the agent with this id, or one that the agent rotated to:
    /// its identity chain says.
    Valid {
        /// The key.
        by: AgentId,
        /// How it took members at their defaults.
        reading: Reading,
    },
    /// The signature does not fit.
    Invalid(
        /// Why.
        String,
    ),
    /// The key is not in the signature, so nothing can be said.
    NotChecked {
        /// Where the key is, if the signature says: the URL of a JSON Web Key Set, as text that nobody checked.
        key_at: Option<String>,
    },
}

/// Signs a card (A2A 1.0, section 8.4): a detached JWS over RFC 8785, EdDSA, with the key in it as a `did:key`. The
/// signature is added behind those that are there.
///
/// # Errors
/// When the card is not portable ([`check_portable`]), or has as many signatures as may be.
pub fn sign(card: &Value, key: &AgentKey) -> Result<Value, Faults> {
    check_portable(card)?;
    let before = list(card, "signatures").len();
    if before >= SIGNATURES_MAX {
        return Err(Faults::one("signatures", Problem::TooMany { found: before + 1, max: SIGNATURES_MAX }));
    }
    let header = format!(r#"{{"alg":"EdDSA","typ":"JOSE","kid":"{}"}}"#, key_id(key.agent()));
    let protected = URL_SAFE_NO_PAD.encode(header);
    let payload = Reading::AsWritten.canonical(card).expect("a portable card is an object");
    let signature = key.sign(&signing_input(&protected, &payload));
    let signature = json!({"protected": protected, "signature": URL_SAFE_NO_PAD.encode(signature)});
    let mut signed = card.clone();
    let mut signatures = list(card, "signatures").to_vec();
    signatures.push(signature);
    signed
        .as_object_mut()
        .expect("a portable card is an object")
        .insert("signatures".into(), signatures.into());
    Ok(signed)
}

/// Checks every signature of a card, in their order; none if it has none.
///
/// # Errors
/// When the document is not a JSON object within [`SIGNED_CARD_BYTES_MAX`], or `signatures` is no list of up to
/// [`SIGNATURES_MAX`].
pub fn verify(bytes: &[u8]) -> Result<Vec<SignatureReport>, Faults> {
    let card = json::read(bytes, SIGNED_CARD_BYTES_MAX)?;
    let wrong = |expected, value: &Value| Problem::Type { expected, found: json::kind(value) };
    if !card.is_object() {
        return Err(Faults::one("", wrong("an object", &card)));
    }
    let signatures = match card.get("signatures") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(signatures)) => signatures,
        Some(other) => return Err(Faults::one("signatures", wrong("a list", other))),
    };
    if signatures.len() > SIGNATURES_MAX {
        let problem = Problem::TooMany { found: signatures.len(), max: SIGNATURES_MAX };
        return Err(Faults::one("signatures", problem));
    }
    Ok(signatures.iter().map(|signature| report(&card, signature)).collect())
}

fn report(card: &Value, signature: &Value) -> SignatureReport {
    let header = text(signature, "protected").and_then(header);
    let Some((protected, header)) = text(signature, "protected").zip(header) else {
        let outcome = Outcome::Invalid("its protected header is not an encoded JSON object".into());
        return SignatureReport { algorithm: String::new(), key_id: String::new(), outcome };
    };
    let named = |name| text(&header, name).unwrap_or_default().chars().take(256).collect::<String>();
    let (algorithm, key_id) = (named("alg"), named("kid"));
    let outcome = outcome(card, signature, protected, &header);
    SignatureReport { algorithm, key_id, outcome }
}

fn outcome(card: &Value, signature: &Value, protected: &str, header: &Value) -> Outcome {
    let invalid = |why: &str| Outcome::Invalid(why.to_owned());
    if header.get("crit").is_some() {
        return invalid("it demands what this version does not understand (\"crit\")");
    }
    if header.get("b64").is_some() {
        return invalid("its payload is not encoded (\"b64\")");
    }
    let algorithm = text(header, "alg").unwrap_or_default();
    if algorithm.is_empty() || algorithm.eq_ignore_ascii_case("none") {
        return invalid("it names no algorithm");
    }
    let key_at = text(header, "jku").map(|url| url.chars().take(2_048).collect());
    let Some(by) = text(header, "kid").and_then(key_in) else { return Outcome::NotChecked { key_at } };
    // A did:key of Ed25519 signs with nothing else; RFC 9864 has the second name for the same.
    if !matches!(algorithm, "EdDSA" | "Ed25519") {
        return invalid("its algorithm is not that of its key");
    }
    let encoded = text(signature, "signature").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let Some(bytes) = encoded.and_then(|bytes| <[u8; SIGNATURE_LEN]>::try_from(bytes).ok()) else {
        return invalid("it is not 64 encoded bytes");
    };
    let fits = |reading: &Reading| {
        let payload = reading.canonical(card);
        let input = payload.map(|payload| signing_input(protected, &payload));
        input.is_some_and(|input| verify_signature(&by.0, &input, &bytes).is_ok())
    };
    match Reading::ALL.into_iter().find(fits) {
        Some(reading) => Outcome::Valid { by, reading },
        None => invalid("it does not fit the card and the key"),
    }
}

/// The protected header, if it is an encoded JSON object.
fn header(protected: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(protected).ok()?;
    json::read(&bytes, 8 * 1_024).ok().filter(Value::is_object)
}

/// BASE64URL(header) . BASE64URL(payload)
fn signing_input(protected: &str, payload: &[u8]) -> Vec<u8> {
    format!("{protected}.{}", URL_SAFE_NO_PAD.encode(payload)).into_bytes()
}

/// The URL of a did:key's only key.
fn key_id(agent: AgentId) -> String {
    let did = agent.to_string();
    let fragment = did.rsplit(':').next().unwrap_or_default().to_owned();
    format!("{did}#{fragment}")
}

/// The key that is written in a key id: a did:key, or the URL of its key.
fn key_in(key_id: &str) -> Option<AgentId> {
    let did = key_id.split_once('#').map_or(key_id, |(did, _)| did);
    let agent: AgentId = did.parse().ok()?;
    (key_id == did || key_id == self::key_id(agent)).then_some(agent)
}
