//! Sealed ballots: what a voter says can be read only when enough trustees say so, and then by everybody.
//!
//! Everything in a sealed ballot follows from one 32-byte seed: the key that encrypts seed and choice, the shares of that
//! key, and the ephemeral key under which each share is encrypted to a trustee. So whoever opens it makes it again and
//! compares: a ballot is either whole, or invalid to everybody, whichever trustees' secrets are used. docs/spec/voting.md
//! has the bytes.

mod kept;
mod open;
mod points;
mod seal;

use althing_record::cbor::DecodeError;
use althing_record::{AgentId, NetworkId};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Proposal;
use crate::sealing::TRUSTEES_MAX;

pub use kept::Keeping;
pub use open::Opened;
pub(crate) use points::Points;
pub use seal::{BallotSeed, TrusteeKeys};

/// An ephemeral key and which trustees the ballot is sealed for.
const HEAD_LEN: usize = 32 + 2;

/// A trustee's key, and a share with its tag.
const SHARE_LEN: usize = 32 + 32 + TAG_LEN;

/// A choice is as long as the longest, so that its length says nothing.
const PADDED_LEN: usize = 72;

/// The seed and the choice, with their tag.
const CORE_LEN: usize = 32 + PADDED_LEN + TAG_LEN;

const TAG_LEN: usize = 16;

/// Longest sealed choice in bytes.
pub const SEALED_BYTES_MAX: usize = HEAD_LEN + TRUSTEES_MAX * SHARE_LEN + CORE_LEN;

/// A choice that only trustees can open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sealed(Box<[u8]>);

/// What a ballot is sealed for. One that was sealed for something else opens to nothing.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// In which network.
    pub network: NetworkId,
    /// The proposal.
    pub proposal: &'a Proposal,
    /// Whose ballot.
    pub voter: AgentId,
}

/// A share in a sealed ballot.
#[derive(Clone, Copy, Debug)]
pub struct SealedShare<'a> {
    /// The trustee's place.
    pub place: u8,
    /// The trustee's key under which it is encrypted.
    pub key: [u8; 32],
    encrypted: &'a [u8],
}

impl Sealed {
    /// Reads a sealed choice. Whether it opens shows when it is opened.
    ///
    /// # Errors
    /// When it is sealed for nobody, or has another length than those that it is sealed for need.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (_, rest) = bytes.split_first_chunk::<32>().ok_or(DecodeError::Truncated { at: bytes.len() })?;
        let (trustees, _) =
            rest.split_first_chunk::<2>().ok_or(DecodeError::Truncated { at: bytes.len() })?;
        let count = u16::from_be_bytes(*trustees).count_ones() as usize;
        let expected = HEAD_LEN + count * SHARE_LEN + CORE_LEN;
        if count == 0 || bytes.len() != expected {
            let cause = format!("a choice sealed for {count} trustees has {} bytes", bytes.len());
            return Err(DecodeError::Invalid(cause));
        }
        Ok(Self(bytes.into()))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The shares, ascending by trustee.
    pub fn shares(&self) -> impl Iterator<Item = SealedShare<'_>> {
        let trustees = u16::from_be_bytes([self.0[32], self.0[33]]);
        let places = (0..16).filter(move |place| trustees & (1 << place) != 0);
        places.zip(self.0[HEAD_LEN..].chunks(SHARE_LEN)).map(|(place, share)| {
            let (key, encrypted) = share.split_first_chunk().expect("a share begins with a key");
            SealedShare { place, key: *key, encrypted }
        })
    }

    /// Why it cannot answer a proposal with these terms.
    pub(crate) fn misfit(&self, proposal: &Proposal) -> Option<String> {
        let Some(sealing) = proposal.sealing() else {
            return Some("the proposal takes no sealed ballots".to_owned());
        };
        let (trustees, needed) = (sealing.trustees().len(), sealing.keys_needed());
        let (count, last) = self.shares().fold((0, 0), |(count, _), share| (count + 1, share.place));
        if usize::from(last) >= trustees {
            return Some(format!("it is sealed for a trustee beyond the {trustees} that there are"));
        }
        (count < needed).then(|| format!("it is sealed for {count} trustees, {needed} are needed"))
    }

    fn ephemeral(&self) -> [u8; 32] {
        self.0[..32].try_into().expect("it begins with an ephemeral key")
    }

    /// The encrypted seed and choice.
    fn core(&self) -> &[u8] {
        &self.0[self.0.len() - CORE_LEN..]
    }
}

impl Occasion<'_> {
    /// What every key and every tag in a ballot is bound to.
    fn bytes(&self) -> [u8; 96] {
        let mut bytes = [0; 96];
        bytes[..32].copy_from_slice(&self.network.0);
        bytes[32..64].copy_from_slice(&self.proposal.id.0);
        bytes[64..].copy_from_slice(&self.voter.0);
        bytes
    }
}

/// 32 bytes that follow from a secret and what they are for (RFC 5869, SHA-256, no salt).
pub(crate) fn derive(secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret)
        .expand_multi_info(info, &mut derived[..])
        .expect("32 bytes are fewer than HKDF gives");
    derived
}

#[cfg(test)]
mod tests;
