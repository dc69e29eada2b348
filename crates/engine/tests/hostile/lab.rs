//! One engine, and what is asked of its peers.

use std::cell::Cell;
use std::rc::Rc;

use althing_engine::{Config, Effect, GuardStatus, HostedAgent, Now, Request, RequestNo, Timing};
use althing_record::recovery_key_hash;
use althing_store::{CommitNo, Guard, Memory, ReadError, Row, Snapshot, Table};
use althing_testkit::{MADE, agent, network, node};

/// The time so many milliseconds after everything was made.
pub(crate) fn now(ticks: u64) -> Now {
    Now { wall: MADE.plus(ticks), ticks }
}

/// A node that hosts one agent and expects nobody.
pub(crate) fn config() -> Config {
    let key = agent(1);
    let recovery_key_hash = recovery_key_hash(&agent(2).public());
    Config {
        network: network(),
        node_key: node(1),
        agents: vec![HostedAgent { agent: key.agent(), key, recovery_key_hash }],
        guard: GuardStatus::Ready(Guard::default()),
        last_commit: CommitNo(0),
        expects_peers: false,
        keeps_ledger: true,
        timing: Timing::default(),
    }
}

/// The first request among these effects.
pub(crate) fn asked(effects: &[Effect]) -> Option<(RequestNo, Request)> {
    effects.iter().find_map(|effect| {
        let Effect::Request(no, _, request) = effect else { return None };
        Some((*no, request.clone()))
    })
}

/// A store that counts its reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) memory: Memory,
    pub(crate) reads: Rc<Cell<usize>>,
}

impl Snapshot for Counted {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.reads.set(self.reads.get() + 1);
        self.memory.get(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        self.reads.set(self.reads.get() + 1);
        self.memory.scan(table, from, to, limit)
    }
}
