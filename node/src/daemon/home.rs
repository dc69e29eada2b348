//! What lies in a node's directory beside the store and the API's files: `genesis.cbor`, `join` and `keys/`.

use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use althing_keystore::{DEFAULT_AGENT, Keystore, Unlock};
use althing_net::Multiaddr;
use althing_record::{AgentKey, Network, NodeKey};
use zeroize::Zeroizing;

use super::RunError;

/// Names a file whose first line is the keystore's passphrase. Without it the keys are as safe as the home's modes.
const PASSPHRASE_FILE: &str = "ALTHING_PASSPHRASE_FILE";

/// Marks the keys that are kept to recover an agent, not to sign for it.
const RECOVERY_SUFFIX: &str = "-recovery";

/// Most addresses that are remembered to join by.
const JOIN_MAX: usize = 64;

pub(super) fn make(home: &Path) -> Result<(), RunError> {
    DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(file_error(home))
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

/// The node's key, and the agents hosted here with their recovery keys, the default agent first. Made at the first
/// start.
pub(super) fn keys(home: &Path) -> Result<(NodeKey, Vec<(AgentKey, AgentKey)>), RunError> {
    let keystore = Keystore::open_or_create(&home.join("keys"), unlock()?)?;
    let mut names: Vec<String> =
        keystore.agent_names()?.into_iter().filter(|name| !name.ends_with(RECOVERY_SUFFIX)).collect();
    names.sort_by_key(|name| (name != DEFAULT_AGENT, name.clone()));
    let present = keystore.agent_names()?;
    let mut agents = Vec::new();
    for name in names {
        let recovery = format!("{name}{RECOVERY_SUFFIX}");
        let recovery = if present.contains(&recovery) {
            keystore.agent_key(&recovery)?
        } else {
            keystore.create_agent(&recovery)?
        };
        agents.push((keystore.agent_key(&name)?, recovery));
    }
    Ok((keystore.node_key(), agents))
}

fn unlock() -> Result<Unlock, RunError> {
    let Some(path) = std::env::var_os(PASSPHRASE_FILE).map(PathBuf::from) else { return Ok(Unlock::Machine) };
    let text = Zeroizing::new(fs::read_to_string(&path).map_err(file_error(&path))?);
    let passphrase = text.lines().next().unwrap_or_default().to_owned();
    Ok(Unlock::Passphrase(Zeroizing::new(passphrase)))
}

pub(super) fn default_listen() -> Vec<Multiaddr> {
    ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"].iter().filter_map(|text| text.parse().ok()).collect()
}

/// Writes a file so that after a crash it is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        fs::File::open(path.parent().unwrap_or(path))?.sync_all()
    };
    write().map_err(file_error(path))
}
