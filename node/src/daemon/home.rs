//! What lies in a node's directory beside the store and the API's files: `genesis.cbor`, `join` and `keys/`.

mod settle;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use althing_engine::HostedAgent;
use althing_keystore::{DEFAULT_AGENT, Keystore, Unlock};
use althing_net::Multiaddr;
use althing_record::{AgentId, Digest, Network, Record, recovery_key_hash};
use althing_store::ReadError;
use althing_tunnel::Identity;
use zeroize::Zeroizing;

use super::RunError;
use settle::Settled;
pub(crate) use settle::{complete, signer};

/// Marks the keys that are kept to recover an agent, not to sign for it.
pub(crate) const RECOVERY_SUFFIX: &str = "-recovery";

/// Most addresses that are remembered to join by.
const JOIN_MAX: usize = 64;

pub(crate) fn make(home: &Path) -> Result<(), RunError> {
    if home.exists() && !home.is_dir() {
        return Err(RunError::NotADirectory { path: home.to_owned() });
    }
    DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(file_error(home))?;
    let mode = fs::metadata(home).map_err(file_error(home))?.mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(RunError::HomeOpen { path: home.to_owned(), mode }) }
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> RunError {
    let path = path.to_owned();
    move |cause| RunError::File { path: path.clone(), cause }
}

/// The network that the home is in; the first start decides.
pub(super) fn network(home: &Path, wanted: Option<&Network>) -> Result<Network, RunError> {
    let path = home.join("genesis.cbor");
    match fs::read(&path) {
        Ok(bytes) => {
            let network = Network::from_bytes(&bytes).map_err(|cause| RunError::Genesis { path, cause })?;
            match wanted {
                Some(wanted) if wanted.id() != network.id() => {
                    Err(RunError::OtherNetwork { found: network.id(), wanted: wanted.id() })
                }
                Some(_) | None => Ok(network),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let network = wanted.cloned().unwrap_or_else(Network::builtin);
            write_whole(&path, &network.to_bytes())?;
            Ok(network)
        }
        Err(cause) => Err(RunError::File { path, cause }),
    }
}

/// The addresses to join by: those given now, and those given at earlier starts.
pub(super) fn remember_join(home: &Path, given: &[Multiaddr]) -> Result<Vec<Multiaddr>, RunError> {
    let path = home.join("join");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(cause) => return Err(RunError::File { path, cause }),
    };
    let mut all = given.to_vec();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let address = line
            .parse()
            .map_err(|_| RunError::Join { path: path.clone(), line: line.chars().take(80).collect() })?;
        if !all.contains(&address) {
            all.push(address);
        }
    }
    all.truncate(JOIN_MAX);
    if !given.is_empty() {
        let lines: String = all.iter().map(|address| format!("{address}\n")).collect();
        write_whole(&path, lines.as_bytes())?;
    }
    Ok(all)
}

/// The agents hosted here.
pub(super) struct Agents {
    pub(super) keystore: Keystore,
    /// The default agent first.
    pub(super) hosted: Vec<HostedAgent>,
    /// Those whose keys were made just now.
    pub(super) made: Vec<AgentId>,
    /// The one that calls for local clients: the first.
    pub(super) caller: Option<Identity>,
    /// The identity records of those whose key was rotated.
    pub(super) identities: Vec<Record>,
}

/// The keys, and the agents hosted here, each with the hash of the recovery key that it was founded with. Made at
/// the first start; `unused` says that nothing was signed with these keys yet. A recovery key may be moved away; its
/// hash stays in the file `recovery`, and the agent's inception in the store says it too. `identity` gives the identity
/// records that the store has of an agent.
pub(super) fn keys(
    (home, network): (&Path, &Network),
    unlock: Unlock,
    unused: bool,
    founded_with: impl Fn(AgentId) -> Result<Option<Digest>, ReadError>,
    identity: impl Fn(AgentId) -> Result<Vec<Record>, ReadError>,
) -> Result<Agents, RunError> {
    let path = home.join("recovery");
    let was_here = Keystore::has_agent(&home.join("keys"), DEFAULT_AGENT);
    let keystore = Keystore::open_or_create(&home.join("keys"), unlock)?;
    let (recovery, mut names): (Vec<String>, Vec<String>) =
        keystore.agent_names()?.into_iter().partition(|name| name.ends_with(RECOVERY_SUFFIX));
    names.sort_by_key(|name| (name != DEFAULT_AGENT, name.clone()));
    let mut known = read_recovery(&path)?;
    let before = known.len();
    let (mut hosted, mut made, mut caller, mut identities) = (Vec::new(), Vec::new(), None, Vec::new());
    for name in names {
        let file = format!("{name}{RECOVERY_SUFFIX}");
        let Settled { agent, key, identity } = settle::settle(&keystore, &name, network, &identity)?;
        let hash =
            match known.get(&name).copied().map_or_else(|| founded_with(agent), |hash| Ok(Some(hash)))? {
                Some(hash) => hash,
                None if recovery.contains(&file) => recovery_key_hash(&keystore.agent_key(&file)?.public()),
                None if unused => recovery_key_hash(&keystore.create_agent(&file)?.public()),
                None => return Err(RunError::Recovery { path, agent: name }),
            };
        known.insert(name.clone(), hash);
        if caller.is_none() {
            let (signer, key) = (signer(&keystore, &name, &key)?, Arc::new(key.clone()));
            caller = Some(Identity::new(agent, key, Arc::new(signer)));
        }
        identities.extend(identity);
        made.extend((name == DEFAULT_AGENT && !was_here).then_some(agent));
        hosted.push(HostedAgent { agent, key, recovery_key_hash: hash });
    }
    if known.len() > before {
        // On disk before the first record that names it.
        write_recovery(&path, &known)?;
    }
    Ok(Agents { keystore, hosted, made, caller, identities })
}

/// The hash of an agent's recovery key: the one that the file `recovery` has, or else that of `key`, which is then noted
/// there before any record names it.
pub(crate) fn recovery_hash(
    home: &Path,
    name: &str,
    key: impl FnOnce() -> Result<Digest, String>,
) -> Result<Digest, String> {
    let path = home.join("recovery");
    let mut known = read_recovery(&path).map_err(|error| error.to_string())?;
    if let Some(hash) = known.get(name) {
        return Ok(*hash);
    }
    let hash = key()?;
    known.insert(name.to_owned(), hash);
    write_recovery(&path, &known).map_err(|error| error.to_string())?;
    Ok(hash)
}

/// The hash of an agent's recovery key, if the file `recovery` has it.
pub(crate) fn noted_recovery_hash(home: &Path, name: &str) -> Result<Option<Digest>, RunError> {
    Ok(read_recovery(&home.join("recovery"))?.get(name).copied())
}

fn write_recovery(path: &Path, known: &BTreeMap<String, Digest>) -> Result<(), RunError> {
    let lines: String = known.iter().map(|(name, hash)| format!("{name} {hash}\n")).collect();
    write_whole(path, lines.as_bytes())
}

/// The lines of the file `recovery`: an agent's name and the SHA-256 of its recovery key in hex.
fn read_recovery(path: &Path) -> Result<BTreeMap<String, Digest>, RunError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(cause) => return Err(RunError::File { path: path.to_owned(), cause }),
    };
    let line = |line: &str| {
        let parsed =
            line.split_once(' ').and_then(|(name, hash)| Some((name.to_owned(), hash.parse().ok()?)));
        parsed.ok_or_else(|| RunError::Line { path: path.to_owned(), line: line.chars().take(80).collect() })
    };
    text.lines().map(line).collect()
}

/// Without a passphrase the keys are as safe as the home's modes.
pub(crate) fn unlock(passphrase_file: Option<&Path>) -> Result<Unlock, RunError> {
    let Some(path) = passphrase_file else { return Ok(Unlock::Machine) };
    // Secrets that a container is given are often 0444, so this is no refusal.
    if let Ok(mode) = fs::metadata(path).map(|file| file.mode() & 0o7777)
        && mode & 0o044 != 0
    {
        tracing::warn!(path = %path.display(), mode = format!("{mode:04o}"), "others can read the passphrase");
    }
    let passphrase = fs::read_to_string(path).and_then(|text| {
        let text = Zeroizing::new(text);
        match text.lines().next() {
            Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
            _ => Err(std::io::Error::new(ErrorKind::InvalidData, "the first line is empty")),
        }
    });
    let failed = |cause| RunError::Passphrase { path: path.to_owned(), cause };
    passphrase.map(Unlock::Passphrase).map_err(failed)
}

pub(super) fn default_listen() -> Vec<Multiaddr> {
    ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"].iter().filter_map(|text| text.parse().ok()).collect()
}

/// Writes a file so that after a crash it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        fs::File::open(path.parent().unwrap_or(path))?.sync_all()
    };
    write().map_err(file_error(path))
}
