use std::collections::BTreeMap;

use althing_record::{AgentKey, cbor};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};
use sharks::Sharks;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::points::agree;
use super::{Occasion, PADDED_LEN, SEALED_BYTES_MAX, Sealed, derive};
use crate::{BallotError, Choice};

/// Every key encrypts one message.
const NONCE: [u8; 12] = [0; 12];

/// The keys of trustees by their place.
pub type TrusteeKeys = BTreeMap<u8, [u8; 32]>;

/// What everything in a sealed ballot follows from.
#[derive(Clone)]
pub struct BallotSeed(Zeroizing<[u8; 32]>);

/// A choice with its length before it and zeros behind it.
pub(super) type Padded = Zeroizing<[u8; PADDED_LEN]>;

impl BallotSeed {
    /// Any 32 bytes that nobody else can know.
    #[must_use]
    pub fn new(seed: Zeroizing<[u8; 32]>) -> Self {
        Self(seed)
    }

    /// The seed of a voter's ballot that says this. It needs no memory: the same ballot made again is the same bytes, and
    /// one that says something else, or is for other keys, shares nothing with it.
    ///
    /// # Errors
    /// When the choice is too long to be sealed.
    pub fn of(
        key: &AgentKey,
        occasion: &Occasion<'_>,
        keys: &TrusteeKeys,
        choice: &Choice,
    ) -> Result<Self, BallotError> {
        let mut said = Sha256::new();
        for (place, key) in keys {
            said.update([*place]);
            said.update(key);
        }
        said.update(&pad(choice)?[..]);
        let said: [u8; 32] = said.finalize().into();
        Ok(Self(derive(&key.seed()[..], &[b"althing/sealed/1/seed", &occasion.bytes(), &said])))
    }

    pub(super) fn from_slice(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    fn derive(&self, label: &[u8], occasion: &[u8; 96]) -> Zeroizing<[u8; 32]> {
        derive(&self.0[..], &[label, occasion])
    }
}

impl std::fmt::Debug for BallotSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BallotSeed(secret)")
    }
}

impl Sealed {
    /// Seals a choice for the trustees whose keys are given.
    ///
    /// # Errors
    /// When the proposal takes no sealed ballots, there are too few keys, a key is weak, or the choice is too long.
    pub fn seal(
        occasion: &Occasion<'_>,
        keys: &TrusteeKeys,
        choice: &Choice,
        seed: &BallotSeed,
    ) -> Result<Self, BallotError> {
        let sealing = occasion.proposal.sealing();
        let threshold = sealing.map_or(0, |sealing| sealing.threshold());
        let agree = |_, secret: &StaticSecret, key: &[u8; 32]| agree(secret, key);
        let sealed = Self(make(occasion, threshold, keys, &*pad(choice)?, seed, agree)?.into());
        match sealed.misfit(occasion.proposal) {
            None => Ok(sealed),
            Some(cause) => Err(BallotError::Choice(cause)),
        }
    }
}

/// The ephemeral secret of a ballot.
pub(super) fn ephemeral_of(occasion: &Occasion<'_>, seed: &BallotSeed) -> StaticSecret {
    StaticSecret::from(*seed.derive(b"althing/sealed/1/ephemeral", &occasion.bytes()))
}

/// The bytes of a sealed ballot. The same arguments always give the same bytes. `agree`: X25519 of the ephemeral secret and
/// the key of the trustee at a place.
pub(super) fn make(
    occasion: &Occasion<'_>,
    threshold: usize,
    keys: &TrusteeKeys,
    padded: &[u8; PADDED_LEN],
    seed: &BallotSeed,
    agree: impl Fn(u8, &StaticSecret, &[u8; 32]) -> Zeroizing<[u8; 32]>,
) -> Result<Vec<u8>, BallotError> {
    let bound = occasion.bytes();
    let key = seed.derive(b"althing/sealed/1/key", &bound);
    let ephemeral = ephemeral_of(occasion, seed);
    let public = PublicKey::from(&ephemeral).to_bytes();
    let mut random = ChaCha20Rng::from_seed(*seed.derive(b"althing/sealed/1/polynomial", &bound));
    let threshold =
        u8::try_from(threshold).map_err(|_| BallotError::Choice("too many trustees".to_owned()))?;
    let mut bytes = Vec::with_capacity(SEALED_BYTES_MAX);
    bytes.extend(public);
    bytes.extend(keys.keys().fold(0_u16, |places, place| places | 1 << place).to_be_bytes());
    // Share x is that of the trustee at place x − 1.
    for (place, share) in (0..16_u8).zip(Sharks(threshold).dealer_rng(&key[..], &mut random)) {
        let Some(trustee) = keys.get(&place) else { continue };
        let share = Zeroizing::new(Vec::from(&share));
        let shared = agree(place, &ephemeral, trustee);
        if *shared == [0; 32] {
            return Err(BallotError::Choice("a trustee's key is weak (small order)".to_owned()));
        }
        let cipher = share_cipher(&shared, occasion, place, &public, trustee)
            .ok_or_else(|| BallotError::Choice(format!("there is no trustee {place}")))?;
        bytes.extend(trustee);
        bytes.extend(encrypt(&cipher, &share[1..], &bound));
    }
    let mut core = Zeroizing::new([0; 32 + PADDED_LEN]);
    core[..32].copy_from_slice(&seed.0[..]);
    core[32..].copy_from_slice(padded);
    bytes.extend(encrypt(&cipher(&key), &core[..], &bound));
    Ok(bytes)
}

/// What encrypts the share for one trustee; `None` if there is no such trustee.
pub(super) fn share_cipher(
    shared: &[u8; 32],
    occasion: &Occasion<'_>,
    place: u8,
    ephemeral: &[u8; 32],
    trustee_key: &[u8; 32],
) -> Option<ChaCha20Poly1305> {
    let trustee = occasion.proposal.sealing()?.trustees().get(usize::from(place))?;
    let info: [&[u8]; 5] = [b"althing/sealed/1/share", &occasion.bytes(), &trustee.0, ephemeral, trustee_key];
    Some(cipher(&derive(shared, &info)))
}

pub(super) fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(*key))
}

pub(super) fn encrypt(cipher: &ChaCha20Poly1305, message: &[u8], bound: &[u8; 96]) -> Vec<u8> {
    cipher
        .encrypt(&Nonce::from(NONCE), Payload { msg: message, aad: bound })
        .expect("a message of some bytes is not too long for the cipher")
}

pub(super) fn decrypt(
    cipher: &ChaCha20Poly1305,
    message: &[u8],
    bound: &[u8; 96],
) -> Option<Zeroizing<Vec<u8>>> {
    cipher.decrypt(&Nonce::from(NONCE), Payload { msg: message, aad: bound }).ok().map(Zeroizing::new)
}

fn pad(choice: &Choice) -> Result<Padded, BallotError> {
    let said = Zeroizing::new(cbor::to_vec(choice));
    let mut padded = Zeroizing::new([0; PADDED_LEN]);
    match u8::try_from(said.len()) {
        Ok(len) if said.len() < PADDED_LEN => {
            padded[0] = len;
            padded[1..=said.len()].copy_from_slice(&said);
            Ok(padded)
        }
        Ok(_) | Err(_) => Err(BallotError::Choice("it is too long to be sealed".to_owned())),
    }
}
