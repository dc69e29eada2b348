use althing_record::{AgentKey, Digest, Millis, recovery_key_hash};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharks::Sharks;
use zeroize::Zeroizing;

use super::DealError;
use super::share::{Part, Set, SetId, Share};
use crate::files;

/// Least shares that restore a key: a single one would be the key.
pub const THRESHOLD_MIN: u8 = 2;
/// Most shares of one set.
pub const SHARES_MAX: u8 = 32;

/// Into how many shares a key is split, and how many of them restore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deal {
    threshold: u8,
    shares: u8,
}

impl Deal {
    /// A deal of `shares` shares, any `threshold` of which restore the key.
    ///
    /// # Errors
    /// When the threshold is below [`THRESHOLD_MIN`] or above the shares, or these are more than [`SHARES_MAX`].
    pub fn new(threshold: u8, shares: u8) -> Result<Self, DealError> {
        if threshold < THRESHOLD_MIN {
            return Err(DealError::Threshold { found: threshold });
        }
        if shares > SHARES_MAX {
            return Err(DealError::Shares { found: shares });
        }
        if threshold > shares {
            Err(DealError::TooFew { threshold, shares })
        } else {
            Ok(Self { threshold, shares })
        }
    }

    /// How many shares restore the key.
    #[must_use]
    pub fn threshold(self) -> u8 {
        self.threshold
    }

    /// How many shares there are.
    #[must_use]
    pub fn shares(self) -> u8 {
        self.shares
    }
}

/// An agent that shares out its keys.
#[derive(Debug)]
pub struct Dealer<'a> {
    /// The key that founded the agent; it signs every share.
    pub key: &'a AgentKey,
    /// What the agent's inception says of its recovery key. A home that is made anew needs it: an inception with another
    /// one would be a fork of the first.
    pub recovery_key_hash: Digest,
    /// When it does so.
    pub made: Millis,
}

impl Dealer<'_> {
    /// Splits the key that signs for the agent.
    ///
    /// # Errors
    /// When the operating system gives no entropy.
    pub fn signing(&self, deal: Deal) -> Result<Vec<Share>, DealError> {
        Ok(self.split(Part::Signing, &self.key.seed(), deal, &*entropy()?))
    }

    /// Splits the agent's recovery key.
    ///
    /// # Errors
    /// When it is not the one that the agent was founded with, or the operating system gives no entropy.
    pub fn recovery(&self, key: &AgentKey, deal: Deal) -> Result<Vec<Share>, DealError> {
        if recovery_key_hash(&key.public()) != self.recovery_key_hash {
            return Err(DealError::OtherRecoveryKey { agent: self.key.agent() });
        }
        Ok(self.split(Part::Recovery, &key.seed(), deal, &*entropy()?))
    }

    pub(super) fn split(&self, part: Part, secret: &[u8; 32], deal: Deal, seed: &[u8; 32]) -> Vec<Share> {
        let mut random = ChaCha20Rng::from_seed(*seed);
        let mut id = [0; 16];
        random.fill_bytes(&mut id);
        let set = Set {
            id: SetId(id),
            part,
            agent: self.key.agent(),
            recovery_key_hash: self.recovery_key_hash,
            made: self.made,
            deal,
        };
        Sharks(deal.threshold)
            .dealer_rng(secret, &mut random)
            .take(usize::from(deal.shares))
            .map(|point| {
                let point = Zeroizing::new(Vec::from(&point));
                let mut value = Zeroizing::new([0; 32]);
                value.copy_from_slice(&point[1..]);
                Share::sign(self.key, set, point[0], value)
            })
            .collect()
    }
}

fn entropy() -> Result<Zeroizing<[u8; 32]>, DealError> {
    files::random().map_err(|cause| DealError::Entropy(cause.to_string()))
}
