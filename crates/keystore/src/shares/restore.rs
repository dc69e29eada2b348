use std::collections::BTreeMap;

use althing_record::{AgentId, AgentKey, Digest, recovery_key_hash};
use sharks::Sharks;
use zeroize::Zeroizing;

use super::share::{Part, Share};
use super::{Misfit, MisfitKind, RestoreError};

/// A key that came back from its shares.
#[derive(Debug)]
pub struct Restored {
    /// Which key.
    pub part: Part,
    /// Whose.
    pub agent: AgentId,
    /// What the agent's inception says of its recovery key.
    pub recovery_key_hash: Digest,
    /// The key itself: its public key is the agent's id, or has the hash above.
    pub key: AgentKey,
}

/// Puts a key together. The order of the shares does not matter, and more than enough of them are no harm.
///
/// # Errors
/// When a share is given twice or is not of the set that most are of (between equals: the first), when there are too
/// few, or when they give another key than the agent's.
pub fn restore(shares: &[Share]) -> Result<Restored, RestoreError> {
    let set = most(shares).ok_or(RestoreError::Nothing)?.set;
    let (threshold, agent) = (set.deal.threshold(), set.agent);
    let mut fits: BTreeMap<u8, (usize, &Share)> = BTreeMap::new();
    let mut misfits = Vec::new();
    for (position, share) in shares.iter().enumerate() {
        let kind = if share.set.agent != agent {
            MisfitKind::OtherAgent { found: share.set.agent, expected: agent }
        } else if share.set != set {
            MisfitKind::OtherSet { found: share.set.id, expected: set.id }
        } else if let Some((of, other)) = fits.get(&share.index) {
            let is_same = other.value == share.value;
            if is_same { MisfitKind::Repeated { of: *of } } else { MisfitKind::Contradicts { of: *of } }
        } else {
            fits.insert(share.index, (position, share));
            continue;
        };
        misfits.push(Misfit { position, index: share.index, kind });
    }
    let good: Vec<u8> = fits.keys().copied().collect();
    if !misfits.is_empty() {
        return Err(RestoreError::Misfits { misfits, good, threshold });
    }
    if good.len() < usize::from(threshold) {
        return Err(RestoreError::TooFew { good, threshold, agent });
    }
    // All of them: one that does not lie on the polynomial of the others shows.
    let key = combine(threshold, fits.values().map(|(_, share)| *share));
    let found = key.public();
    let is_whole = match set.part {
        Part::Signing => found == agent.0,
        Part::Recovery => recovery_key_hash(&found) == set.recovery_key_hash,
    };
    if is_whole {
        Ok(Restored { part: set.part, agent, recovery_key_hash: set.recovery_key_hash, key })
    } else {
        Err(RestoreError::OtherKey { good, agent })
    }
}

/// The first share of the set that has most of them.
fn most(shares: &[Share]) -> Option<&Share> {
    let count = |of: &Share| shares.iter().filter(|share| share.set == of.set).count();
    shares.iter().rev().max_by_key(|share| count(share))
}

/// The secret of shares whose numbers differ and are not 0, at least as many as the threshold.
fn combine<'a>(threshold: u8, shares: impl Iterator<Item = &'a Share>) -> AgentKey {
    let points: Vec<sharks::Share> = shares
        .map(|share| {
            let mut point = Zeroizing::new([0; 33]);
            point[0] = share.index;
            point[1..].copy_from_slice(&share.value[..]);
            sharks::Share::try_from(&point[..]).expect("a share of more than two bytes")
        })
        .collect();
    let secret = Sharks(threshold).recover(&points).expect("enough shares of one length");
    let secret = Zeroizing::new(secret);
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(&secret);
    AgentKey::from_seed(&seed)
}
