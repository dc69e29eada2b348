//! Authors named by what they do wrong.

use althing_record::{AgentId, AgentKey, Draft, Header, Kind, Network, Record, RecordId};

use curve25519_dalek::{EdwardsPoint, Scalar, scalar::clamp_integer};
use sha2::{Digest as _, Sha512};

use crate::build::named_network;
use crate::{Raw, agent, body, chain, network, sign, slot};

/// Every encoding, in hex, of a point of small order that Ed25519 libraries decode: the eight canonical ones, then those with a
/// sign on x = 0 or a y that is not reduced.
pub const WEAK_KEYS: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

/// The order of Ed25519's base point, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Says it in another's name: the record, unchanged, with a signature by `forger`.
#[must_use]
pub fn forger(record: &Record, forger: &AgentKey) -> Vec<u8> {
    Raw::of(record).signed_by(forger).bytes()
}

/// Says two things at one position: two valid records after `prev`, or at the start of the vote chain.
#[must_use]
pub fn equivocator(key: &AgentKey, prev: Option<&Record>) -> [Record; 2] {
    [1, 2].map(|n| sign(chain(key, Kind::Proposal, prev, body(n)), key))
}

/// Frames another: two conflicting records in `victim`'s name, signed with a key that nothing authorises. Each passes
/// [`Record::verify`], because that knows no key history; only a [`althing_record::KeyHistory`] tells.
#[must_use]
pub fn impostor(victim: AgentId) -> [Record; 2] {
    let key = agent(0xee);
    [1, 2].map(|n| {
        let draft = chain(&key, Kind::Proposal, None, body(n));
        sign(Draft { agent: victim, key_event: Some(RecordId([0xee; 32])), ..draft }, &key)
    })
}

/// A network that is not the test network, and differs from it in its name only.
#[must_use]
pub fn foreign_network() -> Network {
    named_network("foreign")
}

/// Brings a record, valid there, from the foreign network.
///
/// # Panics
/// Never: the draft is valid.
#[must_use]
pub fn foreigner(key: &AgentKey) -> Record {
    slot(key, Kind::Card, "card", body(0)).sign(key, &foreign_network()).expect("a valid draft")
}

/// Is an agent whose key, in hex as in [`WEAK_KEYS`], has small order. The signature has R = identity and s = 0, for which the equation of RFC 8032
/// holds whenever the key times the challenge is the identity: for every message if the key is itself the identity.
///
/// # Panics
/// When `key` is not 32 bytes in hex.
#[must_use]
pub fn weak_author(key: &str) -> Vec<u8> {
    let key = hex::decode(key).ok().and_then(|key| key.try_into().ok()).expect("32 bytes in hex");
    let valid = sign(slot(&agent(1), Kind::Card, "card", body(0)), &agent(1));
    let header = Header { agent: AgentId(key), ..valid.header().clone() };
    let mut raw = Raw::new(&header, body(0));
    raw.signature[0] = 1;
    raw.bytes()
}

/// Signs once more with the scalar s + L: an equation that still holds, and that strict verification refuses.
///
/// # Panics
/// Never: s and L together fit in 32 bytes.
#[must_use]
pub fn unreduced(record: &Record) -> Vec<u8> {
    let mut raw = Raw::of(record);
    let mut carry = 0;
    for (byte, order) in raw.signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "s + L fits");
    raw.bytes()
}

/// Signs once more with another nonce: a valid record with the same id and other bytes.
///
/// # Panics
/// When `key` did not sign the record.
#[must_use]
pub fn second_signature(record: &Record, key: &AgentKey) -> Record {
    let signature = &Raw::of(record).signature;
    let nonce = Scalar::from_hash(Sha512::new().chain_update(b"another nonce").chain_update(signature));
    Record::verify(&signed_with(record, key, nonce), &network())
        .expect("a valid signature of the test network")
}

/// Signs once more with a nonce of zero, so that R is the identity: an equation that holds, that only strict
/// verification refuses, and that gives the key away.
#[must_use]
pub fn weak_nonce(record: &Record, key: &AgentKey) -> Vec<u8> {
    signed_with(record, key, Scalar::ZERO)
}

fn signed_with(record: &Record, key: &AgentKey, nonce: Scalar) -> Vec<u8> {
    let mut raw = Raw::of(record);
    let secret: [u8; 64] = Sha512::digest(*key.seed()).into();
    let mut scalar = [0; 32];
    scalar.copy_from_slice(&secret[..32]);
    let scalar = Scalar::from_bytes_mod_order(clamp_integer(scalar));
    let commitment = EdwardsPoint::mul_base(&nonce).compress().to_bytes();
    let challenge = Scalar::from_hash(
        Sha512::new().chain_update(commitment).chain_update(key.public()).chain_update(raw.message()),
    );
    raw.signature = [commitment, (nonce + challenge * scalar).to_bytes()].concat();
    raw.bytes()
}
