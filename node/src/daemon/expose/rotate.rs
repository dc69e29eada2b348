use std::sync::Arc;

use althing_a2a::{OriginCard, mesh_card, sign};
use althing_engine::{Answer, Ask, Refusal, RefusalKind, Rotate, Rotated};
use althing_gateway::api::KeyRotated;
use althing_keystore::KeystoreError;
use althing_record::{AgentId, AgentKey, KeyHistory, Record, recovery_key_hash};
use althing_tunnel::{Exposure, Signer};

use super::{Shared, refuse};
use crate::daemon::home::{RECOVERY_SUFFIX, complete};

impl Shared {
    /// Has a new key speak for an agent: by local name or did.
    pub(super) async fn rotate(&self, wanted: &str) -> Result<KeyRotated, Refusal> {
        let _turn = self.turn.lock().await;
        let name = self.local_name(wanted)?;
        let recovery_name = format!("{name}{RECOVERY_SUFFIX}");
        let recovery = match self.keystore.agent_key(&recovery_name) {
            Err(KeystoreError::NoSuchAgent { .. }) => return Err(self.no_recovery_key(&name)),
            key => key.map_err(|error| unusable(&name, &error))?,
        };
        let hosted = self.host(&name).await?;
        let agent = hosted.agent;
        // Both are on disk before anybody hears of them; those of an attempt that came to nothing are used.
        let key = self.keystore.make_successor(&name).map_err(|error| unusable(&name, &error))?;
        let next = self.keystore.make_successor(&recovery_name).map_err(|error| unusable(&name, &error))?;
        let rotate = Rotate {
            agent,
            recovery,
            key: key.clone(),
            recovery_key_hash: recovery_key_hash(&next.public()),
            card: self.card_of(agent, &key),
        };
        let Answer::Rotated(rotated) = self.ask(Ask::Rotate(Box::new(rotate))).await? else {
            return Err(refuse(RefusalKind::Internal, "the node answered another question", None));
        };
        self.sign_with(agent, key, &rotated.identity);
        let history = KeyHistory::fold(agent, &rotated.identity);
        complete(&self.keystore, &name, &history, &rotated.identity).map_err(|error| {
            let cause = format!("the new key of \"{name}\" speaks, but its files are not in place: {error}");
            let hint = "see to the keystore, then start the node again: it puts them in place";
            refuse(RefusalKind::Internal, cause, Some(hint))
        })?;
        tracing::info!(name, %agent, rotations = rotated.rotations, "another key speaks for the agent");
        Ok(shown(name, hosted.key.public(), &rotated))
    }

    /// The local name of an agent that has a key here.
    fn local_name(&self, wanted: &str) -> Result<String, Refusal> {
        let names = self.keystore.agent_names().map_err(|error| unusable(wanted, &error))?;
        let names: Vec<_> = names.into_iter().filter(|name| !name.ends_with(RECOVERY_SUFFIX)).collect();
        let is_it = |name: &&String| {
            let by_did = || wanted.parse::<AgentId>().ok() == self.keystore.agent_of(name).ok();
            *name == wanted || wanted.starts_with("did:") && by_did()
        };
        names.iter().find(is_it).cloned().ok_or_else(|| {
            let shown: String = wanted.chars().take(80).collect();
            let hint = format!("there are: {}", names.join(", "));
            refuse(RefusalKind::NotFound, format!("no agent \"{shown}\" has a key here"), Some(&hint))
        })
    }

    fn no_recovery_key(&self, name: &str) -> Refusal {
        let file = self.home.join("keys/agents").join(format!("{name}{RECOVERY_SUFFIX}.key"));
        let cause = format!("the key that may replace that of \"{name}\" is not here: {}", file.display());
        let hint = "put it back for as long as this takes, or restore it from its shares: `althing key restore FILE …`";
        refuse(RefusalKind::Conflict, cause, Some(hint))
    }

    /// The card of an agent that is exposed, signed with another key.
    fn card_of(&self, agent: AgentId, key: &AgentKey) -> Option<Vec<u8>> {
        let exposure = self.exposures.of(agent)?;
        let origin = OriginCard::parse(&exposure.card).ok()?;
        let card = mesh_card(&origin, agent, self.network).and_then(|card| sign(&card, key)).ok()?;
        Some(card.to_string().into_bytes())
    }

    /// Has calls and Accepts signed with another key from now on.
    fn sign_with(&self, agent: AgentId, key: AgentKey, identity: &[Record]) {
        let signer = Arc::new(Signer::rotated(&key, identity.iter().map(Record::bytes)));
        if let Some(caller) = self.identity.as_ref().filter(|caller| caller.agent == agent) {
            caller.replace(Arc::new(key), Arc::clone(&signer));
        }
        if let Some(exposure) = self.exposures.of(agent) {
            self.exposures.insert(Exposure { signer, ..exposure.as_ref().clone() });
        }
    }
}

fn unusable(name: &str, error: &KeystoreError) -> Refusal {
    let hint = error.hint();
    refuse(RefusalKind::Internal, format!("the key of \"{name}\": {error}"), hint.as_deref())
}

fn shown(name: String, former: [u8; 32], rotated: &Rotated) -> KeyRotated {
    KeyRotated {
        schema: "althing.key-rotated/v1".to_owned(),
        agent: rotated.agent.to_string(),
        name,
        key: AgentId(rotated.key).to_string(),
        former: AgentId(former).to_string(),
        record: rotated.record.to_string(),
        rotations: rotated.rotations,
        card: rotated.has_card,
    }
}
