//! An agent's key and whose it is, also after rotations. What a rotation left undone when the node ended is finished here.

use std::collections::BTreeMap;

use althing_keystore::{KeptIdentity, Keystore, KeystoreError};
use althing_record::{AgentId, AgentKey, KeyHistory, Network, Record, RecordId, recovery_key_hash};
use althing_store::ReadError;
use althing_tunnel::Signer;

use super::RECOVERY_SUFFIX;
use crate::daemon::RunError;

/// An agent that is hosted here.
pub(super) struct Settled {
    pub(super) agent: AgentId,
    /// The key that speaks for it, if that is here; else the one that did.
    pub(super) key: AgentKey,
    /// Its identity records, the inception first; none if its key was never rotated.
    pub(super) identity: Vec<Record>,
}

/// Finds out which of an agent's keys speaks, by the records that the store has and those beside the key.
pub(super) fn settle(
    keystore: &Keystore,
    name: &str,
    network: &Network,
    stored: impl Fn(AgentId) -> Result<Vec<Record>, ReadError>,
) -> Result<Settled, RunError> {
    let agent = keystore.agent_of(name)?;
    let mut records = stored(agent)?;
    for bytes in keystore.identity(name)?.map(|kept| kept.records).unwrap_or_default() {
        let record = Record::verify(&bytes, network);
        records.push(record.map_err(|cause| RunError::Identity { agent: name.to_owned(), cause })?);
    }
    let history = KeyHistory::fold(agent, &records);
    if history.branch().len() < 2 {
        return Ok(Settled { agent, key: keystore.agent_key(name)?, identity: Vec::new() });
    }
    let by_id: BTreeMap<RecordId, Record> = records.into_iter().map(|record| (record.id(), record)).collect();
    let identity: Vec<_> = history.branch().iter().filter_map(|id| by_id.get(id).cloned()).collect();
    complete(keystore, name, &history, &identity)?;
    let key = keystore.agent_key(name)?;
    if key.public() != history.current_key() {
        tracing::warn!(name, %agent, "its key was replaced elsewhere; what this one signs does not count any more");
    }
    Ok(Settled { agent, key, identity })
}

/// Puts the keys of an agent's newest rotation in place, once that rotation is committed. Done again, it changes nothing.
pub(crate) fn complete(
    keystore: &Keystore,
    name: &str,
    history: &KeyHistory,
    identity: &[Record],
) -> Result<(), KeystoreError> {
    let Some(agent) = identity.first().map(Record::agent) else { return Ok(()) };
    let kept =
        KeptIdentity { agent, records: identity.iter().map(|record| record.bytes().to_vec()).collect() };
    // Before the key is no longer the agent's first.
    if keystore.identity(name)?.as_ref() != Some(&kept) {
        keystore.keep_identity(name, &kept)?;
    }
    let is_next = |key: Option<AgentKey>| key.is_some_and(|key| key.public() == history.current_key());
    if is_next(keystore.successor(name)?) {
        keystore.succeed(name)?;
    }
    let recovery = format!("{name}{RECOVERY_SUFFIX}");
    let hash = keystore.successor(&recovery)?.map(|key| recovery_key_hash(&key.public()));
    if hash.is_some() && hash == history.recovery_key_hash() {
        keystore.succeed(&recovery)?;
    }
    Ok(())
}

/// What signs calls and Accepts for an agent with its key.
pub(crate) fn signer(keystore: &Keystore, name: &str, key: &AgentKey) -> Result<Signer, KeystoreError> {
    Ok(match keystore.identity(name)? {
        Some(kept) => Signer::rotated(key, kept.records.iter().map(Vec::as_slice)),
        None => Signer::of(key),
    })
}

#[cfg(test)]
mod tests {
    use althing_keystore::{DEFAULT_AGENT, Unlock};
    use althing_record::cbor::{self, Text};
    use althing_record::{Content, Draft, Inception, Kind, Millis, Placement, Rotation};

    use super::*;

    const RECOVERY: &str = "default-recovery";

    struct Home {
        keystore: Keystore,
        network: Network,
        _dir: tempfile::TempDir,
    }

    impl Home {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let keystore = Keystore::open_or_create(&dir.path().join("keys"), Unlock::Machine).unwrap();
            keystore.create_agent(RECOVERY).unwrap();
            Self { keystore, network: Network::builtin(), _dir: dir }
        }

        fn key(&self) -> AgentKey {
            self.keystore.agent_key(DEFAULT_AGENT).unwrap()
        }

        fn settle(&self, stored: &[Record]) -> Settled {
            settle(&self.keystore, DEFAULT_AGENT, &self.network, |_| Ok(stored.to_vec())).unwrap()
        }

        fn link(
            &self,
            agent: AgentId,
            prev: Option<&Record>,
            kind: Kind,
            body: Vec<u8>,
            by: &AgentKey,
        ) -> Record {
            let seq = prev.map_or(0, |prev| match prev.header().placement {
                Placement::Chain { seq, .. } => seq + 1,
                Placement::Slot { .. } | Placement::Pair { .. } | Placement::Round { .. } => {
                    panic!("no chain")
                }
            });
            let stream = Text::try_from("identity").unwrap();
            let prev = prev.map(Record::id);
            let draft = Draft {
                agent,
                key_event: prev,
                group: None,
                kind,
                placement: Placement::Chain { stream, incarnation: None, seq, prev },
                made: Millis(1_795_132_800_000),
                expires: None,
                content: Content::Body(body),
            };
            draft.sign(by, &self.network).unwrap()
        }

        /// The records of the store after one more rotation, whose keys are made and not yet in place.
        fn rotate(&self, agent: AgentId, mut records: Vec<Record>) -> Vec<Record> {
            let recovery = self.keystore.agent_key(RECOVERY).unwrap();
            if records.is_empty() {
                let body = Inception { recovery_key_hash: recovery_key_hash(&recovery.public()) };
                records.push(self.link(agent, None, Kind::Inception, cbor::to_vec(&body), &self.key()));
            }
            let next = self.keystore.make_successor(DEFAULT_AGENT).unwrap();
            let next_recovery = self.keystore.make_successor(RECOVERY).unwrap();
            let hash = Some(recovery_key_hash(&next_recovery.public()));
            let body = Rotation { new_key: next.public(), new_recovery_key_hash: hash };
            let body = cbor::to_vec(&body);
            records.push(self.link(agent, records.last(), Kind::Rotation, body, &recovery));
            records
        }
    }

    #[test]
    fn keys_of_a_committed_rotation_come_into_place_at_the_start() {
        let home = Home::new();
        let agent = home.key().agent();
        let mut records = Vec::new();
        for rotations in 1..=3 {
            records = home.rotate(agent, records);
            let (next, recovery) = (
                home.keystore.successor(DEFAULT_AGENT).unwrap().unwrap().public(),
                home.keystore.successor(RECOVERY).unwrap().unwrap().public(),
            );
            for _ in 0..2 {
                let settled = home.settle(&records);
                assert_eq!((settled.agent, settled.key.public()), (agent, next));
                assert_eq!(settled.identity.len(), rotations + 1);
                assert_eq!(home.keystore.agent_key(RECOVERY).unwrap().public(), recovery);
                assert!(home.keystore.successor(DEFAULT_AGENT).unwrap().is_none());
            }
        }
        // The store is lost.
        let settled = home.settle(&[]);
        assert_eq!((settled.agent, settled.identity), (agent, records));
    }

    #[test]
    fn what_was_not_committed_changes_nothing_and_is_used_the_next_time() {
        let home = Home::new();
        let first = home.key();
        let records = home.rotate(first.agent(), Vec::new());
        let settled = home.settle(&records[..1]);
        assert_eq!((settled.agent, settled.key.public()), (first.agent(), first.public()));
        assert!(settled.identity.is_empty());
        assert_eq!(home.rotate(first.agent(), Vec::new()), records);
    }

    #[test]
    fn a_crash_between_the_two_keys_is_mended() {
        let home = Home::new();
        let agent = home.key().agent();
        let records = home.rotate(agent, Vec::new());
        let kept =
            KeptIdentity { agent, records: records.iter().map(|record| record.bytes().to_vec()).collect() };
        home.keystore.keep_identity(DEFAULT_AGENT, &kept).unwrap();
        home.keystore.succeed(DEFAULT_AGENT).unwrap();
        let recovery = home.keystore.successor(RECOVERY).unwrap().unwrap();
        assert_eq!(home.settle(&[]).agent, agent);
        assert_eq!(home.keystore.agent_key(RECOVERY).unwrap().public(), recovery.public());
    }

    #[test]
    fn a_key_that_was_replaced_elsewhere_stays_where_it_is() {
        let (home, other) = (Home::new(), Home::new());
        let first = home.key();
        let agent = first.agent();
        let recovery = home.keystore.agent_key(RECOVERY).unwrap();
        let body = Inception { recovery_key_hash: recovery_key_hash(&recovery.public()) };
        let inception = home.link(agent, None, Kind::Inception, cbor::to_vec(&body), &first);
        let body = Rotation { new_key: other.key().public(), new_recovery_key_hash: None };
        let rotation = home.link(agent, Some(&inception), Kind::Rotation, cbor::to_vec(&body), &recovery);
        let settled = home.settle(&[rotation, inception]);
        assert_eq!((settled.agent, settled.key.public()), (agent, first.public()));
    }
}
