//! A key that takes another's place: it is on disk before anybody hears of it, and in place once that is settled.
//!
//! ```text
//! <name>.key        signs for the agent
//! <name>.key.next   will, once the identity record that says so is committed
//! <name>.identity   whose key it is, from the first rotation on: the agent's identity records
//! ```

use std::path::{Path, PathBuf};

use althing_record::{AgentId, AgentKey};

use super::{Keystore, Owner, agent_path, seal_fresh};
use crate::envelope::{with_check, without_check};
use crate::{KeystoreError, files};

/// Most bytes of the file with an agent's identity records: 256 of them, which is as many as there can be.
const IDENTITY_BYTES_MAX: usize = 640 * 1_024;

const MAGIC: &str = "althing-identity 1";
const AGENT: &str = "agent: ";
const RECORD: &str = "record: ";

/// What is kept beside the key of an agent whose first key it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptIdentity {
    /// The agent.
    pub agent: AgentId,
    /// Its identity records as they travel, the inception first.
    pub records: Vec<Vec<u8>>,
}

impl Keystore {
    /// The agent of a local name. It keeps the id of its first key.
    ///
    /// # Errors
    /// As [`Keystore::agent_key`].
    pub fn agent_of(&self, name: &str) -> Result<AgentId, KeystoreError> {
        match self.identity(name)? {
            Some(identity) => Ok(identity.agent),
            None => Ok(self.agent_key(name)?.agent()),
        }
    }

    /// The identity records of an agent, if its key was rotated.
    ///
    /// # Errors
    /// When the file is refused as in [`Keystore::open_or_create`], or is none.
    pub fn identity(&self, name: &str) -> Result<Option<KeptIdentity>, KeystoreError> {
        let path = self.beside(name, "identity")?;
        let bytes = files::read_up_to(&path, IDENTITY_BYTES_MAX, "at most 655360 bytes")?;
        bytes.map(|bytes| parse(&path, &bytes)).transpose()
    }

    /// Keeps the identity records of an agent, in place of those that were kept before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_identity(&self, name: &str, identity: &KeptIdentity) -> Result<(), KeystoreError> {
        let mut text = format!("{MAGIC}\n{AGENT}{}\n", identity.agent);
        for record in &identity.records {
            text.push_str(&format!("{RECORD}{}\n", hex::encode(record)));
        }
        files::replace(&self.beside(name, "identity")?, with_check(text).as_bytes())
    }

    /// The key that is to take the place of an agent's: the one that was made for that before, or a new one.
    ///
    /// # Errors
    /// As [`Keystore::create_agent`].
    pub fn make_successor(&self, name: &str) -> Result<AgentKey, KeystoreError> {
        if let Some(key) = self.successor(name)? {
            return Ok(key);
        }
        let (path, owner) = self.successor_file(name)?;
        Ok(AgentKey::from_seed(&*seal_fresh(&path, &owner, &self.kdf, &self.key)?))
    }

    /// The key that is to take the place of an agent's, if one was made.
    ///
    /// # Errors
    /// As [`Keystore::agent_key`].
    pub fn successor(&self, name: &str) -> Result<Option<AgentKey>, KeystoreError> {
        let (path, owner) = self.successor_file(name)?;
        self.unseal(&path, &owner)
    }

    /// Puts the successor of an agent's key in its place. The former key is gone then.
    ///
    /// # Errors
    /// When there is no successor, or the file cannot be renamed.
    pub fn succeed(&self, name: &str) -> Result<(), KeystoreError> {
        files::rename(&self.successor_file(name)?.0, &agent_path(&self.dir, name))
    }

    fn successor_file(&self, name: &str) -> Result<(PathBuf, Owner), KeystoreError> {
        Ok((self.beside(name, "key.next")?, Owner::Agent(name.to_owned())))
    }

    fn beside(&self, name: &str, suffix: &str) -> Result<PathBuf, KeystoreError> {
        let (path, _) = self.agent(name)?;
        Ok(path.with_file_name(format!("{name}.{suffix}")))
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<KeptIdentity, KeystoreError> {
    let malformed = |expected| KeystoreError::Malformed { path: path.to_owned(), expected };
    let body = without_check(path, bytes)?;
    let mut lines = body.lines();
    if lines.next() != Some(MAGIC) {
        return Err(malformed("a first line \"althing-identity 1\""));
    }
    let agent = lines.next().and_then(|line| line.strip_prefix(AGENT)?.parse().ok());
    let agent = agent.ok_or_else(|| malformed("a line \"agent\" with a did"))?;
    let records = lines.map(|line| hex::decode(line.strip_prefix(RECORD)?).ok()).collect::<Option<Vec<_>>>();
    let records = records.ok_or_else(|| malformed("lines \"record\" in hex"))?;
    Ok(KeptIdentity { agent, records })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::{DEFAULT_AGENT, Unlock};

    fn open(dir: &Path) -> Keystore {
        Keystore::open_or_create(dir, Unlock::Machine).unwrap()
    }

    #[test]
    fn a_successor_stays_the_same_until_it_takes_its_place() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("keys");
        let first = open(&dir).agent_key(DEFAULT_AGENT).unwrap();
        assert!(open(&dir).successor(DEFAULT_AGENT).unwrap().is_none());
        assert!(open(&dir).succeed(DEFAULT_AGENT).is_err());
        let next = open(&dir).make_successor(DEFAULT_AGENT).unwrap();
        // As after a crash.
        assert_eq!(open(&dir).make_successor(DEFAULT_AGENT).unwrap().public(), next.public());
        assert_eq!(open(&dir).agent_names().unwrap(), [DEFAULT_AGENT]);
        assert_eq!(open(&dir).agent_key(DEFAULT_AGENT).unwrap().public(), first.public());
        open(&dir).succeed(DEFAULT_AGENT).unwrap();
        assert_eq!(open(&dir).agent_key(DEFAULT_AGENT).unwrap().public(), next.public());
        assert!(open(&dir).successor(DEFAULT_AGENT).unwrap().is_none());
        let third = open(&dir).make_successor(DEFAULT_AGENT).unwrap();
        assert_ne!(third.public(), next.public());
    }

    #[test]
    fn the_agent_of_a_rotated_key_is_the_one_that_its_identity_names() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("keys");
        let keystore = open(&dir);
        let agent = keystore.agent_of(DEFAULT_AGENT).unwrap();
        assert_eq!(
            (agent, keystore.identity(DEFAULT_AGENT).unwrap()),
            (keystore.agent_key(DEFAULT_AGENT).unwrap().agent(), None)
        );
        for records in [vec![vec![1; 300], vec![2; 400]], vec![vec![7; 1_024]; 256]] {
            let identity = KeptIdentity { agent, records };
            keystore.keep_identity(DEFAULT_AGENT, &identity).unwrap();
            assert_eq!(open(&dir).identity(DEFAULT_AGENT).unwrap(), Some(identity));
        }
        let _ = keystore.make_successor(DEFAULT_AGENT).unwrap();
        keystore.succeed(DEFAULT_AGENT).unwrap();
        assert_eq!(open(&dir).agent_of(DEFAULT_AGENT).unwrap(), agent);
        let path = dir.join("agents/default.identity");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(open(&dir).agent_of(DEFAULT_AGENT), Err(KeystoreError::Damaged { .. })));
    }
}
