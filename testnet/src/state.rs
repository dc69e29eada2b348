use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{ProcessId, TestnetError};

/// What `testnet.json` holds: which processes are this testnet's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Always `althing.testnet/v1`.
    pub(crate) schema: String,
    /// The binary that the nodes run.
    pub(crate) program: PathBuf,
    /// The genesis file.
    pub(crate) genesis: PathBuf,
    /// The nodes, by number.
    pub(crate) nodes: Vec<NodeState>,
}

/// A node of a testnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its number, from 1.
    pub number: usize,
    /// Its process.
    pub process: ProcessId,
    /// Its home.
    pub home: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
    /// The addresses by which it joins; none for the first.
    pub join: Vec<String>,
    /// Its PeerId, once it is up.
    pub node: Option<String>,
    /// The agents that it hosts, the default one first, once it is up.
    pub agents: Vec<String>,
    /// The addresses that peers can dial, once it is up.
    pub listen: Vec<String>,
    /// The address of its API, once it is up.
    pub api: Option<String>,
}

impl State {
    pub(crate) fn new(program: PathBuf, genesis: PathBuf) -> Self {
        Self { schema: "althing.testnet/v1".to_owned(), program, genesis, nodes: Vec::new() }
    }

    /// Reads the file; `None` if there is none.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, TestnetError> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| TestnetError::State { path: path.to_owned(), source }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(TestnetError::io("read", path)(error)),
        }
    }

    /// Writes the file, so that a reader finds all of it or the one before.
    pub(crate) fn save(&self, path: &Path) -> Result<(), TestnetError> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|source| TestnetError::State { path: path.to_owned(), source })?;
        text.push(b'\n');
        let aside = path.with_extension("json.tmp");
        let write = || {
            let mut file = fs::File::create(&aside)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&aside, path)
        };
        write().map_err(TestnetError::io("write", path))
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &NodeState> {
        self.nodes.iter().filter(|node| node.process.is_alive())
    }
}
