use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::{AgentId, Digest, Kind, Placement, Record, RecordId, admit_key, cbor_map};

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
        /// The key that signs from here on: the one before, to change the recovery key only, or any other but the
        /// inception key.
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

/// Which keys speak for an agent: the fold of its identity chain.
///
/// The result depends on the set of records only, not on their order. Where the chain forks, the branch signed by the
/// recovery key wins; between equals the lower record id. A rotation counts only right after the position of its `prev`,
/// and not if its new key is weak or leads back to the inception key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHistory {
    agent: AgentId,
    /// What every valid record led to, on any branch.
    states: BTreeMap<RecordId, KeyState>,
    /// The winning branch from the inception on.
    branch: Vec<RecordId>,
}

/// Who may speak after an identity record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KeyState {
    /// Its position in the chain.
    seq: u64,
    /// The signing key.
    key: [u8; 32],
    /// The record that introduced it; none for the inception key.
    event: Option<RecordId>,
    recovery: Digest,
}

impl KeyHistory {
    /// Folds the identity records of `agent`; others are passed over.
    #[must_use]
    pub fn fold<'a>(agent: AgentId, records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut children: BTreeMap<Option<RecordId>, Vec<&Record>> = BTreeMap::new();
        for record in records {
            if record.agent() == agent {
                children.entry(prev_of(record)).or_default().push(record);
            }
        }
        let mut history = Self { agent, states: BTreeMap::new(), branch: Vec::new() };
        let mut open = vec![None];
        // Records name the one before by its hash, so the walk meets each once and ends.
        while let Some(at) = open.pop() {
            for record in children.get(&at).into_iter().flatten() {
                if history.states.contains_key(&record.id()) {
                    continue;
                }
                if let Some(state) = history.state_after(record) {
                    history.states.insert(record.id(), state);
                    open.push(Some(record.id()));
                }
            }
        }
        let mut at = None;
        loop {
            let valid = children
                .get(&at)
                .into_iter()
                .flatten()
                .filter(|record| history.states.contains_key(&record.id()));
            let Some(winner) = valid.min_by_key(|record| (!history.is_by_recovery(record), record.id()))
            else {
                break;
            };
            history.branch.push(winner.id());
            at = Some(winner.id());
        }
        history
    }

    /// Whether a record is a valid link of the chain, on whichever branch. Once it is, no further record changes that.
    #[must_use]
    pub fn admits(&self, record: &Record) -> bool {
        record.agent() == self.agent && self.state_after(record).is_some()
    }

    /// Whether the key that signed `record` speaks, or once spoke, for the agent on whichever branch.
    #[must_use]
    pub fn knows(&self, record: &Record) -> bool {
        match (record.header().key, record.header().key_event) {
            _ if record.agent() != self.agent => false,
            (None, None) => true,
            (Some(key), Some(event)) => {
                self.states.get(&event).is_some_and(|state| state.key == key && state.event == Some(event))
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// The key that signs for the agent now.
    #[must_use]
    pub fn current_key(&self) -> [u8; 32] {
        self.current().map_or(self.agent.0, |state| state.key)
    }

    /// The event that a record signed by the current key names; none for the inception key.
    #[must_use]
    pub fn current_event(&self) -> Option<RecordId> {
        self.current().and_then(|state| state.event)
    }

    /// The position in the winning branch of the key that signed `record`: 0 for the inception key, higher for later
    /// ones. None if that key is not, or not yet, known to speak for the agent there.
    #[must_use]
    pub fn rank(&self, record: &Record) -> Option<u64> {
        match record.header().key_event {
            _ if !self.knows(record) => None,
            None => Some(0),
            Some(event) => self.branch.iter().position(|id| *id == event).map(|position| position as u64),
        }
    }

    /// Whether a valid link, on whichever branch, gave the agent this key. Once it is so, no further record changes that.
    #[must_use]
    pub fn has(&self, key: &[u8; 32]) -> bool {
        *key == self.agent.0 || self.states.values().any(|state| state.key == *key)
    }

    /// Whether a key speaks, or once spoke, for the agent on the winning branch.
    #[must_use]
    pub fn speaks(&self, key: &[u8; 32]) -> bool {
        *key == self.agent.0
            || self.branch.iter().filter_map(|id| self.states.get(id)).any(|state| state.key == *key)
    }

    /// The last record of the winning branch and its position; none before there is an inception.
    #[must_use]
    pub fn tip(&self) -> Option<(RecordId, u64)> {
        self.branch.last().copied().zip(self.current().map(|state| state.seq))
    }

    /// The hash of the recovery key that may rotate the agent's now; none before there is an inception.
    #[must_use]
    pub fn recovery_key_hash(&self) -> Option<Digest> {
        self.current().map(|state| state.recovery)
    }

    /// The records of the winning branch, the inception first.
    #[must_use]
    pub fn branch(&self) -> &[RecordId] {
        &self.branch
    }

    fn current(&self) -> Option<&KeyState> {
        self.branch.last().and_then(|last| self.states.get(last))
    }

    /// Who may speak after `record`, if it is a valid link after its predecessor.
    fn state_after(&self, record: &Record) -> Option<KeyState> {
        let Placement::Chain { seq, prev, .. } = record.header().placement else { return None };
        let before = prev.map(|prev| self.states.get(&prev));
        match (record.kind(), before) {
            (Kind::Inception, None) if record.header().key.is_none() => {
                let body: Inception = record.body().ok()?;
                Some(KeyState { seq, key: self.agent.0, event: None, recovery: body.recovery_key_hash })
            }
            (Kind::Rotation, Some(Some(before))) => {
                let body: Rotation = record.body().ok()?;
                let by_current =
                    *record.signing_key() == before.key && record.header().key_event == before.event;
                let recovery = body.new_recovery_key_hash.unwrap_or(before.recovery);
                // The inception key's records name no event, so nothing would tell those after its return from those before.
                let returns = body.new_key == self.agent.0 && before.key != self.agent.0;
                if returns || admit_key(&body.new_key).is_err() || before.seq.checked_add(1) != Some(seq) {
                    return None;
                }
                let event = (body.new_key != self.agent.0).then(|| record.id());
                (by_current || self.is_by_recovery(record)).then_some(KeyState {
                    seq,
                    key: body.new_key,
                    event,
                    recovery,
                })
            }
            _ => None,
        }
    }

    fn is_by_recovery(&self, record: &Record) -> bool {
        let before = prev_of(record).and_then(|prev| self.states.get(&prev));
        before.is_some_and(|before| recovery_key_hash(record.signing_key()) == before.recovery)
    }
}

fn prev_of(record: &Record) -> Option<RecordId> {
    match &record.header().placement {
        Placement::Chain { prev, .. } => *prev,
        Placement::Slot { .. } | Placement::Pair { .. } | Placement::Round { .. } => None,
    }
}

#[cfg(test)]
mod tests;
