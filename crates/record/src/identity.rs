use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::{AgentId, Digest, Kind, Placement, Record, RecordId, cbor_map};

cbor_map! {
    /// The first record of an agent's identity chain, signed by the inception key.
    pub struct Inception: version 1 {
        /// SHA-256 of the recovery key's 32 bytes. Whoever shows that key may rotate the agent's.
        1 => pub recovery_key_hash: Digest,
    }
}

cbor_map! {
    /// A new signing key, signed by the one before it or by the recovery key.
    pub struct Rotation: version 1 {
        /// The key that signs from here on.
        1 => pub new_key: [u8; 32],
        /// SHA-256 of the next recovery key; absent: the recovery key stays.
        2 => pub new_recovery_key_hash: Option<Digest>,
    }
}

/// The hash that stands for a recovery key in [`Inception`].
#[must_use]
pub fn recovery_key_hash(public: &[u8; 32]) -> Digest {
    Digest(Sha256::digest(public).into())
}

/// Which keys have spoken for an agent: the fold of its identity chain.
///
/// The result depends on the set of records only, not on their order. Where the chain forks, the branch signed by the
/// recovery key wins; between equals the lower record id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHistory {
    agent: AgentId,
    /// The winning branch from the inception on: (record, signing key after it).
    events: Vec<(RecordId, [u8; 32])>,
    recovery: Option<Digest>,
}

impl KeyHistory {
    /// Folds the identity records of `agent`; others are passed over.
    #[must_use]
    pub fn fold<'a>(agent: AgentId, records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut children: BTreeMap<Option<RecordId>, Vec<&Record>> = BTreeMap::new();
        for record in records {
            if let Placement::Chain { prev, .. } = &record.header().placement
                && record.agent() == agent
                && matches!(record.kind(), Kind::Inception | Kind::Rotation)
            {
                children.entry(*prev).or_default().push(record);
            }
        }
        let mut history = Self { agent, events: Vec::new(), recovery: None };
        let mut at = None;
        while let Some((record, key, recovery)) =
            history.next_of(children.get(&at).map_or(&[][..], |next| next))
        {
            history.events.push((record.id(), key));
            history.recovery = Some(recovery);
            at = Some(record.id());
        }
        history
    }

    /// The key that signs for the agent now.
    #[must_use]
    pub fn current_key(&self) -> [u8; 32] {
        self.events.last().map_or(self.agent.0, |(_, key)| *key)
    }

    /// The event that a record signed by the current key names; none for the inception key.
    #[must_use]
    pub fn current_event(&self) -> Option<RecordId> {
        let current = self.current_key();
        let introduced = self.events.iter().find(|(_, key)| *key == current)?;
        (current != self.agent.0).then_some(introduced.0)
    }

    /// The position in the history of the key that signed `record`: 0 for the inception key, higher for later keys.
    /// None if that key is not, or not yet, known to speak for the agent.
    #[must_use]
    pub fn rank(&self, record: &Record) -> Option<u64> {
        let header = record.header();
        match (header.key, header.key_event) {
            (None, None) => Some(0),
            (Some(key), Some(event)) => {
                let position = self.events.iter().position(|(id, after)| *id == event && *after == key)?;
                (key != self.agent.0).then_some(position as u64)
            }
            (Some(_), None) | (None, Some(_)) => None,
        }
    }

    /// The valid successor that wins among the children of the last event.
    fn next_of<'a>(&self, children: &[&'a Record]) -> Option<(&'a Record, [u8; 32], Digest)> {
        let valid = children.iter().filter_map(|record| {
            let (key, recovery, by_recovery) = self.apply(record)?;
            Some((!by_recovery, record.id(), *record, key, recovery))
        });
        let (_, _, record, key, recovery) = valid.min_by_key(|(order, id, ..)| (*order, *id))?;
        Some((record, key, recovery))
    }

    /// What a record does to the history, if it may: (key, recovery key hash, whether the recovery key signed it).
    fn apply(&self, record: &Record) -> Option<([u8; 32], Digest, bool)> {
        match (record.kind(), self.recovery) {
            (Kind::Inception, None) if record.header().key.is_none() => {
                let body: Inception = record.body().ok()?;
                Some((self.agent.0, body.recovery_key_hash, false))
            }
            (Kind::Rotation, Some(recovery)) => {
                let body: Rotation = record.body().ok()?;
                let signer = record.signing_key();
                let by_recovery = recovery_key_hash(signer) == recovery;
                let by_current =
                    *signer == self.current_key() && record.header().key_event == self.current_event();
                (by_recovery || by_current)
                    .then(|| (body.new_key, body.new_recovery_key_hash.unwrap_or(recovery), by_recovery))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
