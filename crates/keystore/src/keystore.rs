use std::fmt;
use std::path::{Path, PathBuf};

use althing_record::{AgentKey, NodeKey};
use zeroize::Zeroizing;

use crate::envelope::{Envelope, Owner, with_check, without_check};
use crate::kdf::{Kdf, stretch};
use crate::{KeystoreError, Stretch, Unlock, files};

mod succession;

pub use succession::KeptIdentity;

/// The agent that a fresh directory starts with.
pub const DEFAULT_AGENT: &str = "default";

const NODE_FILE: &str = "node.key";
const AGENTS_DIR: &str = "agents";
const KEY_SUFFIX: &str = ".key";
const SECRET_FILE: &str = "machine.secret";
const SECRET_MAGIC: &str = "althing-machine-secret 1\n";
const NAME_LEN_MAX: usize = 64;

/// An unlocked directory of keys.
pub struct Keystore {
    dir: PathBuf,
    secret: Secret,
    /// How the node's key is sealed; new keys are sealed the same way, so that one stretch opens them all.
    kdf: Kdf,
    key: Zeroizing<[u8; 32]>,
    node: NodeKey,
}

/// What was given to unlock the directory.
enum Secret {
    Passphrase(Zeroizing<String>),
    Machine(Zeroizing<[u8; 32]>),
}

impl Keystore {
    /// Opens the keys in `dir`. What is missing in a fresh directory is made: the directory itself (mode 0700), the
    /// node's key, and the key of [`DEFAULT_AGENT`] when there is no agent at all.
    ///
    /// # Errors
    /// When a file or directory is open to others, a link, damaged, of a newer version, or sealed with another secret.
    pub fn open_or_create(dir: &Path, unlock: Unlock) -> Result<Self, KeystoreError> {
        Self::open_or_create_stretched(dir, unlock, Stretch::default())
    }

    /// As [`Keystore::open_or_create`], with another cost for passphrases of keys that are made here.
    ///
    /// # Errors
    /// As [`Keystore::open_or_create`], and when the cost is not one that this program would read back.
    pub fn open_or_create_stretched(
        dir: &Path,
        unlock: Unlock,
        cost: Stretch,
    ) -> Result<Self, KeystoreError> {
        let keystore = Self::open_with(dir, unlock, cost)?;
        if keystore.agent_names()?.is_empty() {
            keystore.create_agent(DEFAULT_AGENT)?;
        }
        Ok(keystore)
    }

    /// Opens the keys in `dir` as they are, and makes nothing; `None` when there are none.
    ///
    /// # Errors
    /// As [`Keystore::open_or_create`].
    pub fn open(dir: &Path, unlock: Unlock) -> Result<Option<Self>, KeystoreError> {
        let node_path = dir.join(NODE_FILE);
        let Some(envelope) = read_envelope(&node_path, &Owner::Node)? else { return Ok(None) };
        let secret = Secret::open_or_create(dir, unlock, Some(&node_path))?;
        let key = secret.key(&node_path, &envelope.kdf)?;
        let node = open_envelope(&node_path, &envelope, &secret, &key)?;
        Ok(Some(Self {
            dir: dir.to_owned(),
            secret,
            kdf: envelope.kdf,
            key,
            node: NodeKey::from_seed(&node),
        }))
    }

    /// Opens the keys in `dir` and does [`Keystore::adopt`]. A fresh directory gets a node's key, but no other agent.
    ///
    /// # Errors
    /// As [`Keystore::open_or_create`] and [`Keystore::adopt`].
    pub fn adopt_agent(
        dir: &Path,
        unlock: Unlock,
        name: &str,
        key: &AgentKey,
    ) -> Result<bool, KeystoreError> {
        Self::admit_name(name)?;
        Self::open_with(dir, unlock, Stretch::default())?.adopt(name, key)
    }

    fn open_with(dir: &Path, unlock: Unlock, cost: Stretch) -> Result<Self, KeystoreError> {
        let agents = dir.join(AGENTS_DIR);
        for dir in [dir, &agents] {
            files::private_dir(dir)?;
            files::sweep(dir)?;
        }
        let sealed = first_sealed(dir)?;
        let secret = Secret::open_or_create(dir, unlock, sealed.as_ref().map(|(path, _)| path.as_path()))?;
        // Whatever is sealed already decides the key: a mistyped passphrase must not start a second one beside it.
        let (kdf, key) = match &sealed {
            Some((path, envelope)) => {
                let key = secret.key(path, &envelope.kdf)?;
                open_envelope(path, envelope, &secret, &key)?;
                (envelope.kdf, key)
            }
            None => secret.fresh_key(dir, cost)?,
        };
        let node_path = dir.join(NODE_FILE);
        let node = match read_envelope(&node_path, &Owner::Node)? {
            Some(envelope) => {
                let key =
                    if envelope.kdf == kdf { key.clone() } else { secret.key(&node_path, &envelope.kdf)? };
                open_envelope(&node_path, &envelope, &secret, &key)?
            }
            None => seal_fresh(&node_path, &Owner::Node, &kdf, &key)?,
        };
        Ok(Self { dir: dir.to_owned(), secret, kdf, key, node: NodeKey::from_seed(&node) })
    }

    /// Whether `dir` has the key of an agent of this name, whatever it is sealed with.
    #[must_use]
    pub fn has_agent(dir: &Path, name: &str) -> bool {
        agent_path(dir, name).exists()
    }

    /// The node's network key.
    #[must_use]
    pub fn node_key(&self) -> NodeKey {
        self.node.clone()
    }

    /// The names of the agents that have a key here, in order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn agent_names(&self) -> Result<Vec<String>, KeystoreError> {
        agent_names(&self.dir)
    }

    /// The key of an agent.
    ///
    /// # Errors
    /// When there is none of that name, or its file is refused as in [`Keystore::open_or_create`].
    pub fn agent_key(&self, name: &str) -> Result<AgentKey, KeystoreError> {
        let (path, owner) = self.agent(name)?;
        self.unseal(&path, &owner)?.ok_or_else(|| KeystoreError::NoSuchAgent {
            name: name.to_owned(),
            dir: self.dir.join(AGENTS_DIR),
        })
    }

    /// The key in a file, if there is one.
    fn unseal(&self, path: &Path, owner: &Owner) -> Result<Option<AgentKey>, KeystoreError> {
        let Some(envelope) = read_envelope(path, owner)? else { return Ok(None) };
        let key =
            if envelope.kdf == self.kdf { self.key.clone() } else { self.secret.key(path, &envelope.kdf)? };
        Ok(Some(AgentKey::from_seed(&*open_envelope(path, &envelope, &self.secret, &key)?)))
    }

    /// Makes the key of a new agent.
    ///
    /// # Errors
    /// When the name cannot be an agent's or is taken, or the file cannot be written.
    pub fn create_agent(&self, name: &str) -> Result<AgentKey, KeystoreError> {
        let (path, owner) = self.agent(name)?;
        Ok(AgentKey::from_seed(&*seal_fresh(&path, &owner, &self.kdf, &self.key)?))
    }

    /// Whether a name can be an agent's here.
    ///
    /// # Errors
    /// When it cannot.
    pub fn admit_name(name: &str) -> Result<(), KeystoreError> {
        if is_name(name) {
            Ok(())
        } else {
            Err(KeystoreError::Name { found: name.chars().take(80).collect() })
        }
    }

    /// Adds the key of an agent that exists already. Gives whether it was not there before.
    ///
    /// # Errors
    /// When the name cannot be an agent's, or is another one's here.
    pub fn adopt(&self, name: &str, key: &AgentKey) -> Result<bool, KeystoreError> {
        let (path, owner) = self.agent(name)?;
        match seal(&path, &owner, &self.kdf, &self.key, &key.seed()) {
            Ok(()) => Ok(true),
            Err(KeystoreError::Exists { .. }) => match self.agent_key(name)?.agent() {
                found if found == key.agent() => Ok(false),
                found => {
                    Err(KeystoreError::OtherAgent { name: name.to_owned(), expected: key.agent(), found })
                }
            },
            Err(error) => Err(error),
        }
    }

    fn agent(&self, name: &str) -> Result<(PathBuf, Owner), KeystoreError> {
        Self::admit_name(name)?;
        Ok((agent_path(&self.dir, name), Owner::Agent(name.to_owned())))
    }
}

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystore")
            .field("dir", &self.dir)
            .field("node", &self.node.node())
            .finish_non_exhaustive()
    }
}

impl Secret {
    fn open_or_create(dir: &Path, unlock: Unlock, sealed: Option<&Path>) -> Result<Self, KeystoreError> {
        match unlock {
            Unlock::Passphrase(passphrase) if passphrase.is_empty() => Err(KeystoreError::PassphraseEmpty),
            Unlock::Passphrase(passphrase) => Ok(Self::Passphrase(passphrase)),
            Unlock::Machine => {
                let path = dir.join(SECRET_FILE);
                if let Some(bytes) = files::read(&path)? {
                    return read_secret(&path, &bytes).map(Self::Machine);
                }
                if let Some(sealed) = sealed {
                    let (path, sealed) = (path, sealed.to_owned());
                    // A key sealed with a passphrase never had a machine secret.
                    return match read_any(&sealed)?.map(|envelope| envelope.kdf) {
                        Some(Kdf::Argon2id { .. }) => Err(KeystoreError::PassphraseNeeded { path: sealed }),
                        Some(Kdf::Machine) | None => {
                            Err(KeystoreError::MachineSecretMissing { path, sealed })
                        }
                    };
                }
                let secret = files::random::<32>()?;
                // Sized up front: a string that grows would leave copies of the secret behind.
                let digits = Zeroizing::new(hex::encode(secret.as_slice()));
                let mut body = String::with_capacity(256);
                body.push_str(SECRET_MAGIC);
                body.push_str(&digits);
                body.push('\n');
                let text = Zeroizing::new(with_check(body));
                files::create(&path, text.as_bytes())?;
                Ok(Self::Machine(secret))
            }
        }
    }

    /// The key that seals what the file at `path` says it is sealed with.
    fn key(&self, path: &Path, kdf: &Kdf) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
        let path = || path.to_owned();
        match (self, kdf) {
            (Self::Machine(secret), Kdf::Machine) => Ok(secret.clone()),
            (Self::Passphrase(passphrase), Kdf::Argon2id { stretch: cost, salt }) => match cost.excess() {
                Some((found, bound)) => Err(KeystoreError::TooCostly { path: path(), found, bound }),
                None => stretch(passphrase, salt, *cost),
            },
            (Self::Machine(_), Kdf::Argon2id { .. }) => Err(KeystoreError::PassphraseNeeded { path: path() }),
            (Self::Passphrase(_), Kdf::Machine) => Err(KeystoreError::PassphraseUnexpected { path: path() }),
        }
    }

    fn fresh_key(&self, dir: &Path, cost: Stretch) -> Result<(Kdf, Zeroizing<[u8; 32]>), KeystoreError> {
        let kdf = match self {
            Self::Machine(_) => Kdf::Machine,
            Self::Passphrase(_) => Kdf::Argon2id { stretch: cost, salt: *files::random()? },
        };
        let key = self.key(&dir.join(NODE_FILE), &kdf)?;
        Ok((kdf, key))
    }
}

fn read_secret(path: &Path, bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let body = without_check(path, bytes)?;
    let mut secret = Zeroizing::new([0; 32]);
    let digits = body.strip_prefix(SECRET_MAGIC).and_then(|rest| rest.strip_suffix('\n'));
    match digits.map(|digits| hex::decode_to_slice(digits, &mut secret[..])) {
        Some(Ok(())) => Ok(secret),
        _ => Err(KeystoreError::Malformed { path: path.to_owned(), expected: "a machine secret, version 1" }),
    }
}

/// The node's key file, or else the first agent's.
fn first_sealed(dir: &Path) -> Result<Option<(PathBuf, Envelope)>, KeystoreError> {
    let agents = agent_names(dir)?.into_iter().map(|name| agent_path(dir, &name));
    for path in std::iter::once(dir.join(NODE_FILE)).chain(agents) {
        if let Some(envelope) = read_any(&path)? {
            return Ok(Some((path, envelope)));
        }
    }
    Ok(None)
}

fn read_any(path: &Path) -> Result<Option<Envelope>, KeystoreError> {
    files::read(path)?.map(|bytes| Envelope::parse(path, &bytes)).transpose()
}

fn read_envelope(path: &Path, owner: &Owner) -> Result<Option<Envelope>, KeystoreError> {
    match read_any(path)? {
        Some(envelope) if envelope.owner != *owner => Err(KeystoreError::OtherKey {
            path: path.to_owned(),
            expected: owner.to_string(),
            found: envelope.owner.to_string(),
        }),
        envelope => Ok(envelope),
    }
}

fn open_envelope(
    path: &Path,
    envelope: &Envelope,
    secret: &Secret,
    key: &[u8; 32],
) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let path = || path.to_owned();
    let seed = envelope.open(key).ok_or_else(|| match secret {
        Secret::Passphrase(_) => KeystoreError::WrongPassphrase { path: path() },
        Secret::Machine(_) => KeystoreError::WrongMachineSecret { path: path() },
    })?;
    if NodeKey::from_seed(&seed).public() == envelope.public {
        Ok(seed)
    } else {
        Err(KeystoreError::PublicKeyMismatch { path: path(), public: hex::encode(envelope.public) })
    }
}

fn seal_fresh(
    path: &Path,
    owner: &Owner,
    kdf: &Kdf,
    key: &[u8; 32],
) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let seed = files::random::<32>()?;
    seal(path, owner, kdf, key, &seed)?;
    Ok(seed)
}

fn seal(path: &Path, owner: &Owner, kdf: &Kdf, key: &[u8; 32], seed: &[u8; 32]) -> Result<(), KeystoreError> {
    let public = NodeKey::from_seed(seed).public();
    files::create(path, Envelope::seal(owner, kdf, key, seed, &public)?.as_bytes())
}

fn agent_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(AGENTS_DIR).join(format!("{name}{KEY_SUFFIX}"))
}

fn agent_names(dir: &Path) -> Result<Vec<String>, KeystoreError> {
    let files = files::names(&dir.join(AGENTS_DIR))?;
    Ok(files
        .iter()
        .filter_map(|file| file.strip_suffix(KEY_SUFFIX))
        .filter(|name| is_name(name))
        .map(str::to_owned)
        .collect())
}

fn is_name(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= NAME_LEN_MAX
        && name.bytes().next().is_some_and(alphanumeric)
        && name.bytes().all(|byte| alphanumeric(byte) || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests;
