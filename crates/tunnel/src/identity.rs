use std::sync::{Arc, PoisonError, RwLock};

use althing_record::{AgentId, AgentKey};
use althing_trust::{Signed, Statement};

use crate::Signer;

/// Who calls: an agent whose key is here. Clones share the key, which may be replaced.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The agent.
    pub agent: AgentId,
    speaks: Arc<RwLock<Speaks>>,
}

#[derive(Debug)]
struct Speaks {
    key: Arc<AgentKey>,
    signer: Arc<Signer>,
}

impl Identity {
    /// An agent, and a key that signs for it. `signer` is of the same key.
    #[must_use]
    pub fn new(agent: AgentId, key: Arc<AgentKey>, signer: Arc<Signer>) -> Self {
        Self { agent, speaks: Arc::new(RwLock::new(Speaks { key, signer })) }
    }

    /// The key that signs for it now.
    #[must_use]
    pub fn key(&self) -> Arc<AgentKey> {
        Arc::clone(&self.speaks.read().unwrap_or_else(PoisonError::into_inner).key)
    }

    /// Has another key sign for it, here and in all clones. `signer` is of the same key.
    pub fn replace(&self, key: Arc<AgentKey>, signer: Arc<Signer>) {
        *self.speaks.write().unwrap_or_else(PoisonError::into_inner) = Speaks { key, signer };
    }

    /// Signs what the agent says, in order, with as few signatures as that takes. What breaks a rule is not signed.
    #[must_use]
    pub fn sign_all<S: Statement>(&self, statements: Vec<S>) -> Vec<Option<Signed<S>>> {
        self.signer().sign_all(statements)
    }

    pub(crate) fn signer(&self) -> Arc<Signer> {
        Arc::clone(&self.speaks.read().unwrap_or_else(PoisonError::into_inner).signer)
    }
}
