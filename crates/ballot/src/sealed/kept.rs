use althing_record::{AgentId, AgentKey, NetworkId, RecordId};
use zeroize::Zeroizing;

use super::derive;
use super::seal::{cipher, decrypt, encrypt};
use crate::TrusteeSecret;

/// A trustee's secret for one proposal, sealed under another key of the trustee's agent.
///
/// A secret follows from the key that its agent has when the vote begins. When that key is replaced, what it was used for has
/// to outlive it; on disk it is worth no more than with it.
#[derive(Clone, Copy, Debug)]
pub struct Keeping<'a> {
    /// The key that speaks for the agent now.
    pub key: &'a AgentKey,
    /// The trustee.
    pub trustee: AgentId,
    /// In which network.
    pub network: NetworkId,
    /// For which proposal.
    pub proposal: RecordId,
}

impl Keeping<'_> {
    /// Seals a secret. The same secret gives the same bytes, and a key keeps one secret of a proposal.
    #[must_use]
    pub fn seal(&self, secret: &TrusteeSecret) -> Vec<u8> {
        encrypt(&cipher(&self.derive()), secret.bytes(), &self.bound())
    }

    /// Reads what was sealed; `None` if it was not, or under another key.
    #[must_use]
    pub fn open(&self, sealed: &[u8]) -> Option<TrusteeSecret> {
        let secret = decrypt(&cipher(&self.derive()), sealed, &self.bound())?;
        Some(TrusteeSecret::from_bytes(Zeroizing::new(<[u8; 32]>::try_from(&secret[..]).ok()?)))
    }

    fn derive(&self) -> Zeroizing<[u8; 32]> {
        derive(&self.key.seed()[..], &[b"althing/sealed/1/kept", &self.bound()])
    }

    fn bound(&self) -> [u8; 96] {
        let mut bound = [0; 96];
        bound[..32].copy_from_slice(&self.network.0);
        bound[32..64].copy_from_slice(&self.proposal.0);
        bound[64..].copy_from_slice(&self.trustee.0);
        bound
    }
}

#[cfg(test)]
mod tests {
    use althing_testkit::{agent, network};

    use super::*;

    #[test]
    fn a_secret_is_read_with_the_key_and_the_proposal_that_it_was_kept_under_alone() {
        let (former, key, other) = (agent(1), agent(2), agent(3));
        let (network, proposal) = (network().id(), RecordId([7; 32]));
        let secret = TrusteeSecret::of(&former, network, proposal);
        let keeping = Keeping { key: &key, trustee: former.agent(), network, proposal };
        let mut sealed = keeping.seal(&secret);
        assert_eq!(keeping.open(&sealed).map(|secret| secret.public()), Some(secret.public()));
        assert!(!sealed.windows(32).any(|part| part == secret.bytes()));
        assert!(Keeping { key: &other, ..keeping }.open(&sealed).is_none());
        assert!(Keeping { proposal: RecordId([8; 32]), ..keeping }.open(&sealed).is_none());
        assert!(Keeping { trustee: key.agent(), ..keeping }.open(&sealed).is_none());
        sealed[3] ^= 1;
        assert!(keeping.open(&sealed).is_none());
    }
}
