use std::fmt;

use althing_record::{AgentId, AgentKey, Digest, Millis, verify_signature};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::ShareError;
use super::deal::Deal;

/// What every share begins with, before its version.
pub(crate) const MAGIC: &str = "althing-share-v";
/// The version of the format.
pub(crate) const VERSION: u32 = 1;
/// What stands between the version and the bytes: base58btc, in the word of multibase.
const ENCODING: &str = ":z";
/// Most characters of a share that are looked at.
const TEXT_CHARS_MAX: usize = 1_024;
/// What the signature covers comes after this, so that it is no signature of anything else.
const SIGNED_AS: &[u8] = b"althing-share-v1";

const SIGNED_LEN: usize = 124;
const SIGNATURE_LEN: usize = 64;
const CHECK_LEN: usize = 8;
/// A share in bytes.
pub(crate) const SHARE_LEN: usize = SIGNED_LEN + SIGNATURE_LEN + CHECK_LEN;

/// Which of an agent's keys was shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The key that signs for the agent.
    Signing,
    /// The key that may rotate it.
    Recovery,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signing => "signing key",
            Self::Recovery => "recovery key",
        })
    }
}

/// The random name of one split. Shares of two splits do not mix, even of one key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetId(pub(crate) [u8; 16]);

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetId({self})")
    }
}

/// What the shares of one set have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) id: SetId,
    pub(crate) part: Part,
    pub(crate) agent: AgentId,
    pub(crate) recovery_key_hash: Digest,
    pub(crate) made: Millis,
    pub(crate) deal: Deal,
}

/// One share of an agent's key, as the agent signed it.
#[derive(Clone)]
pub struct Share {
    pub(crate) set: Set,
    pub(crate) index: u8,
    pub(crate) value: Zeroizing<[u8; 32]>,
    signature: [u8; SIGNATURE_LEN],
}

impl Share {
    /// Signs a share. The key is that of the set's agent.
    pub(super) fn sign(key: &AgentKey, set: Set, index: u8, value: Zeroizing<[u8; 32]>) -> Self {
        let mut share = Self { set, index, value, signature: [0; SIGNATURE_LEN] };
        share.signature = key.sign(&share.message()[..]);
        share
    }

    /// Reads a share: one line or several, without anything before or after it.
    ///
    /// # Errors
    /// When it is no share, of a newer version, damaged, contradicts itself, or was not signed by its agent.
    pub fn parse(text: &str) -> Result<Self, ShareError> {
        let chars = text.chars().filter(|char| !char.is_whitespace());
        // One allocation of the full size: a growing string would leave copies of a secret behind.
        let mut line = Zeroizing::new(String::with_capacity(4 * (TEXT_CHARS_MAX + 1)));
        line.extend(chars.take(TEXT_CHARS_MAX + 1));
        let (version, encoded) = line
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.split_once(ENCODING))
            .ok_or(ShareError::NotAShare)?;
        match version.parse() {
            Ok(VERSION) => {}
            Ok(found) if found > VERSION => return Err(ShareError::Newer { found, newest: VERSION }),
            _ => return Err(ShareError::NotAShare),
        }
        let bytes = decode(encoded)?;
        let (body, check) = bytes.split_at(SHARE_LEN - CHECK_LEN);
        if Sha256::digest(body)[..CHECK_LEN] != *check {
            return Err(ShareError::Damaged);
        }
        Self::read(body)
    }

    /// The share as one line. Whoever has enough of them has the key.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; SHARE_LEN]);
        let message = self.message();
        bytes[..SIGNED_LEN].copy_from_slice(&message[SIGNED_AS.len()..]);
        bytes[SIGNED_LEN..SIGNED_LEN + SIGNATURE_LEN].copy_from_slice(&self.signature);
        let check = Sha256::digest(&bytes[..SHARE_LEN - CHECK_LEN]);
        bytes[SHARE_LEN - CHECK_LEN..].copy_from_slice(&check[..CHECK_LEN]);
        let encoded = Zeroizing::new(bs58::encode(&bytes[..]).into_string());
        let mut text = Zeroizing::new(String::with_capacity(TEXT_CHARS_MAX));
        text.push_str(MAGIC);
        text.push_str(&VERSION.to_string());
        text.push_str(ENCODING);
        text.push_str(&encoded);
        text
    }

    /// Which key it is a share of.
    #[must_use]
    pub fn part(&self) -> Part {
        self.set.part
    }

    /// Whose key.
    #[must_use]
    pub fn agent(&self) -> AgentId {
        self.set.agent
    }

    /// Which split it is of.
    #[must_use]
    pub fn set(&self) -> SetId {
        self.set.id
    }

    /// When the key was split, by the clock of whoever did.
    #[must_use]
    pub fn made(&self) -> Millis {
        self.set.made
    }

    /// How many shares there are, and how many restore the key.
    #[must_use]
    pub fn deal(&self) -> Deal {
        self.set.deal
    }

    /// Its number in the set, from 1 on.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    fn read(body: &[u8]) -> Result<Self, ShareError> {
        let part = match body[0] {
            1 => Part::Signing,
            2 => Part::Recovery,
            found => return Err(ShareError::Kind { found }),
        };
        let (threshold, count, index) = (body[1], body[2], body[3]);
        let deal = Deal::new(threshold, count)?;
        match index {
            0 => return Err(ShareError::IndexZero),
            found if found > count => return Err(ShareError::Index { found, count }),
            _ => {}
        }
        let set = Set {
            id: SetId(array(body, 12)),
            part,
            agent: AgentId(array(body, 28)),
            recovery_key_hash: Digest(array(body, 60)),
            made: Millis(u64::from_be_bytes(array(body, 4))),
            deal,
        };
        let value = Zeroizing::new(array(body, 92));
        let share = Self { set, index, value, signature: array(body, SIGNED_LEN) };
        verify_signature(&set.agent.0, &share.message()[..], &share.signature)
            .map_err(|cause| ShareError::Altered { index, agent: set.agent, cause })?;
        Ok(share)
    }

    /// What is signed.
    fn message(&self) -> Zeroizing<[u8; SIGNED_AS.len() + SIGNED_LEN]> {
        let mut message = Zeroizing::new([0; SIGNED_AS.len() + SIGNED_LEN]);
        message[..SIGNED_AS.len()].copy_from_slice(SIGNED_AS);
        let body = &mut message[SIGNED_AS.len()..];
        let part = match self.set.part {
            Part::Signing => 1,
            Part::Recovery => 2,
        };
        let deal = self.set.deal;
        body[..4].copy_from_slice(&[part, deal.threshold(), deal.shares(), self.index]);
        body[4..12].copy_from_slice(&self.set.made.0.to_be_bytes());
        body[12..28].copy_from_slice(&self.set.id.0);
        body[28..60].copy_from_slice(&self.set.agent.0);
        body[60..92].copy_from_slice(&self.set.recovery_key_hash.0);
        body[92..].copy_from_slice(&self.value[..]);
        message
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("set", &self.set).field("index", &self.index).finish_non_exhaustive()
    }
}

fn decode(encoded: &str) -> Result<Zeroizing<[u8; SHARE_LEN]>, ShareError> {
    let mut bytes = Zeroizing::new([0; SHARE_LEN]);
    let length = |found| ShareError::Length { found, expected: SHARE_LEN };
    match bs58::decode(encoded).onto(&mut bytes[..]) {
        Ok(SHARE_LEN) => Ok(bytes),
        Ok(found) => Err(length(found)),
        Err(bs58::decode::Error::BufferTooSmall) => Err(ShareError::TooLong { expected: SHARE_LEN }),
        Err(_) => Err(ShareError::Character),
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
