//! The text that a sealed key is written as.
//!
//! ```text
//! althing-key 1
//! what: agent
//! name: default
//! kdf: argon2id m=65536 t=3 p=1 salt=<16 bytes>
//! nonce: <24 bytes>
//! public: <32 bytes>
//! sealed: <48 bytes>
//! check: <8 bytes>
//! ```
//! Bytes are in lower-case hex. `sealed` is XChaCha20-Poly1305 over the 32-byte seed; its associated data is everything
//! above its line, so no field can be exchanged. `check` is the start of SHA-256 over everything above its line: it tells
//! damage from a wrong passphrase and protects against nothing else. Every version ends in it.

use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::KeystoreError;
use crate::files;
use crate::kdf::Kdf;

const MAGIC: &str = "althing-key ";
const VERSION: u32 = 1;
const CHECK: &str = "check: ";
const CHECK_LEN: usize = 8;

/// Whose key a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Node,
    Agent(String),
}

impl Owner {
    fn lines(&self) -> (&'static str, &str) {
        match self {
            Self::Node => ("node", "node"),
            Self::Agent(name) => ("agent", name),
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node => f.write_str("the node"),
            Self::Agent(name) => write!(f, "agent {name:?}"),
        }
    }
}

/// A sealed key, read from a file.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) owner: Owner,
    pub(crate) kdf: Kdf,
    pub(crate) public: [u8; 32],
    header: String,
    nonce: [u8; 24],
    sealed: [u8; 48],
}

impl Envelope {
    /// Seals a seed; gives the text of the file.
    pub(crate) fn seal(
        owner: &Owner,
        kdf: &Kdf,
        key: &[u8; 32],
        seed: &[u8; 32],
        public: &[u8; 32],
    ) -> Result<String, KeystoreError> {
        let nonce = *files::random::<24>()?;
        let header = header(owner, kdf, &nonce, public);
        let sealed = XChaCha20Poly1305::new(&Key::from(*key))
            .encrypt(&XNonce::from(nonce), Payload { msg: seed, aad: header.as_bytes() })
            .map_err(|cause| KeystoreError::Internal { step: "sealing", cause: cause.to_string() })?;
        Ok(with_check(format!("{header}sealed: {}\n", hex::encode(sealed))))
    }

    /// Reads the text of a file.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, KeystoreError> {
        let malformed = |expected| KeystoreError::Malformed { path: path.to_owned(), expected };
        let body = without_check(path, bytes)?;
        let mut lines = body.lines();
        let version =
            lines.next().and_then(|line| line.strip_prefix(MAGIC)).and_then(|text| text.parse().ok());
        match version {
            Some(VERSION) => {}
            Some(found) if found > VERSION => {
                return Err(KeystoreError::NewerVersion { path: path.to_owned(), found, newest: VERSION });
            }
            _ => return Err(malformed("a first line \"althing-key 1\"")),
        }
        let mut field = |prefix: &str| lines.next()?.strip_prefix(prefix);
        let what = field("what: ").ok_or_else(|| malformed("a line \"what\""))?;
        let name = field("name: ").ok_or_else(|| malformed("a line \"name\""))?;
        let owner = match what {
            "node" if name == "node" => Owner::Node,
            "agent" => Owner::Agent(name.to_owned()),
            _ => return Err(malformed("\"what\" to be node or agent")),
        };
        let kdf = field("kdf: ").and_then(Kdf::parse).ok_or_else(|| malformed("a line \"kdf\""))?;
        let nonce = field("nonce: ").and_then(from_hex).ok_or_else(|| malformed("a nonce of 24 bytes"))?;
        let public =
            field("public: ").and_then(from_hex).ok_or_else(|| malformed("a public key of 32 bytes"))?;
        let sealed =
            field("sealed: ").and_then(from_hex).ok_or_else(|| malformed("a sealed seed of 48 bytes"))?;
        if lines.next().is_some() {
            return Err(malformed("nothing between \"sealed\" and \"check\""));
        }
        let header = header(&owner, &kdf, &nonce, &public);
        Ok(Self { owner, kdf, public, header, nonce, sealed })
    }

    /// The seed, or `None` when the key is not the one that sealed it.
    pub(crate) fn open(&self, key: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let payload = Payload { msg: &self.sealed, aad: self.header.as_bytes() };
        let opened =
            XChaCha20Poly1305::new(&Key::from(*key)).decrypt(&XNonce::from(self.nonce), payload).ok()?;
        let opened = Zeroizing::new(opened);
        let mut seed = Zeroizing::new([0; 32]);
        seed.copy_from_slice(opened.get(..32)?);
        Some(seed)
    }
}

fn header(owner: &Owner, kdf: &Kdf, nonce: &[u8; 24], public: &[u8; 32]) -> String {
    let (what, name) = owner.lines();
    let (nonce, public) = (hex::encode(nonce), hex::encode(public));
    format!("{MAGIC}{VERSION}\nwhat: {what}\nname: {name}\nkdf: {kdf}\nnonce: {nonce}\npublic: {public}\n")
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

fn check(body: &str) -> String {
    hex::encode(&Sha256::digest(body.as_bytes())[..CHECK_LEN])
}

/// Adds the last line.
pub(crate) fn with_check(body: String) -> String {
    let check = check(&body);
    body + CHECK + &check + "\n"
}

/// Checks the last line and takes it off.
pub(crate) fn without_check<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, KeystoreError> {
    let damaged = || KeystoreError::Damaged { path: path.to_owned() };
    // A flipped byte in the last line must not pass for a cut-off file, so only the length of that line decides.
    let last_len = CHECK.len() + 2 * CHECK_LEN + 1;
    let cut = bytes.len().checked_sub(last_len).filter(|cut| *cut == 0 || bytes[cut - 1] == b'\n');
    let Some(cut) = cut else {
        return Err(KeystoreError::Truncated { path: path.to_owned(), bytes: bytes.len() });
    };
    let body = std::str::from_utf8(&bytes[..cut]).map_err(|_| damaged())?;
    let expected = format!("{CHECK}{}\n", check(body));
    if bytes[cut..] == *expected.as_bytes() { Ok(body) } else { Err(damaged()) }
}
