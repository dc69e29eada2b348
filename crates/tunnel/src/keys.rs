//! Which keys speak for agents: what this node's records say, and what is shown along with a signature.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use althing_record::{AgentId, KeyHistory, Network, Record};
use althing_trust::{Lineage, LineageError};
use http::HeaderValue;
use tokio::time::Instant;

use crate::peer::name_of;

/// How long is believed what the records said: that long a replaced key signs on.
const REMEMBERED_FOR: Duration = Duration::from_secs(2);

/// Agents that are remembered, and identity records of them all together.
const AGENTS_MAX: usize = 4_096;
const RECORDS_MAX: usize = 16_384;

/// Reads the identity records of an agent in this node's store, or says why it cannot; none for an agent that never
/// rotated its key. It may wait for the disk.
pub type ReadIdentity = Arc<dyn Fn(AgentId) -> Result<Vec<Record>, String> + Send + Sync>;

/// Gets the identity records that the node of a called agent showed and that made its Accept count, so that they are this node's
/// own from now on: what an agent proved by once it cannot keep from others. It must not wait. It is called once for an agent
/// while what this node knew of it is remembered. What callers show is not told of: anybody could have a node keep records
/// of as many new agents as it makes calls.
pub type Learn = Arc<dyn Fn(Vec<Record>) + Send + Sync>;

/// The keys of agents, as this node knows them. Clones share what is remembered.
#[derive(Clone)]
pub struct KeyBook(Arc<Shared>);

struct Shared {
    network: Network,
    read: ReadIdentity,
    learn: Learn,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    agents: BTreeMap<AgentId, (Instant, Arc<Keys>)>,
    records: usize,
}

impl fmt::Debug for KeyBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBook").field("network", &self.0.network.id()).finish_non_exhaustive()
    }
}

impl KeyBook {
    /// A book of what `read` gives, which tells `learn` what others show.
    #[must_use]
    pub fn new(network: Network, read: ReadIdentity, learn: Learn) -> Self {
        Self(Arc::new(Shared { network, read, learn, remembered: Mutex::default() }))
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// The keys of an agent, by this node's own records.
    pub(crate) async fn of(&self, agent: AgentId) -> Result<Arc<Keys>, String> {
        if let Some(keys) = self.remembered(agent) {
            return Ok(keys);
        }
        let read = Arc::clone(&self.0.read);
        let records =
            tokio::task::spawn_blocking(move || read(agent)).await.map_err(|error| error.to_string());
        let keys = Arc::new(Keys::of(agent, records??, Arc::clone(&self.0.learn)));
        self.remember(Arc::clone(&keys));
        Ok(keys)
    }

    fn remembered(&self, agent: AgentId) -> Option<Arc<Keys>> {
        let remembered = self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, keys) = remembered.agents.get(&agent)?;
        (since.elapsed() < REMEMBERED_FOR).then(|| Arc::clone(keys))
    }

    fn remember(&self, keys: Arc<Keys>) {
        let mut remembered = self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.agents.len() >= AGENTS_MAX || remembered.records + keys.records.len() > RECORDS_MAX {
            // They are read again by and by.
            *remembered = Remembered::default();
        }
        remembered.records += keys.records.len();
        let before = remembered.agents.insert(keys.agent, (Instant::now(), keys));
        remembered.records -= before.map_or(0, |(_, before)| before.records.len());
    }
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyFault {
    #[error("{} is no longer the key of {agent}: it was replaced", AgentId(*.key))]
    Replaced { key: [u8; 32], agent: AgentId },
    #[error("{} is not known to be the key of {agent}", AgentId(*.key))]
    Unknown { key: [u8; 32], agent: AgentId },
    #[error(transparent)]
    Lineage(#[from] LineageError),
}

/// The keys of one agent.
pub(crate) struct Keys {
    agent: AgentId,
    name: HeaderValue,
    records: Vec<Record>,
    history: KeyHistory,
    learn: Learn,
    has_told: AtomicBool,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("agent", &self.agent).finish_non_exhaustive()
    }
}

impl Keys {
    fn of(agent: AgentId, records: Vec<Record>, learn: Learn) -> Self {
        let history = KeyHistory::fold(agent, &records);
        Self { agent, name: name_of(&agent), history, records, learn, has_told: AtomicBool::new(false) }
    }

    /// The agent's id as other agents read it.
    pub(crate) fn name(&self) -> &HeaderValue {
        &self.name
    }

    /// Whether a key speaks for the agent now, by this node's records and those of the lineage that was shown. Gives those that
    /// were needed for that.
    pub(crate) fn admit(
        &self,
        key: [u8; 32],
        lineage: Option<&[u8]>,
        network: &Network,
    ) -> Result<Vec<Record>, KeyFault> {
        if key == self.history.current_key() {
            return Ok(Vec::new());
        }
        let agent = self.agent;
        // A former key comes back only by records that come here too.
        if self.history.speaks(&key) && self.history.branch().len() > 1 {
            return Err(KeyFault::Replaced { key, agent });
        }
        let Some(lineage) = lineage else { return Err(KeyFault::Unknown { key, agent }) };
        let shown = Lineage::read(lineage, agent, network)?;
        let history = KeyHistory::fold(agent, self.records.iter().chain(&shown));
        match (history.current_key() == key, history.speaks(&key)) {
            (true, _) => Ok(shown),
            (false, true) => Err(KeyFault::Replaced { key, agent }),
            (false, false) => Err(KeyFault::Unknown { key, agent }),
        }
    }

    /// Tells of records that [`Keys::admit`] needed.
    pub(crate) fn learn(&self, shown: Vec<Record>) {
        if !shown.is_empty() && !self.has_told.swap(true, Ordering::Relaxed) {
            (self.learn)(shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use althing_testkit::{agent, identity, network, rotation, sign};

    use super::*;

    /// The identity of agent 1, whose keys are 1, 2, 3 and so on.
    fn records(rotations: u8) -> Vec<Record> {
        let mut records = vec![sign(identity(&agent(1), &agent(99)), &agent(1))];
        for number in 0..rotations {
            let last = records.last().unwrap();
            records.push(sign(rotation(last, Some(last.id()), &agent(2 + number)), &agent(99)));
        }
        records
    }

    fn lineage(rotations: u8) -> Vec<u8> {
        Lineage::encode(records(rotations).iter().map(Record::bytes)).unwrap()
    }

    fn admit(own: u8, key: u8, shown: Option<u8>) -> Result<(), KeyFault> {
        let own = if own == 0 { Vec::new() } else { records(own) };
        let lineage = shown.map(lineage);
        let keys = Keys::of(agent(1).agent(), own, Arc::new(|_| {}));
        keys.admit(agent(key).public(), lineage.as_deref(), &network()).map(drop)
    }

    #[test]
    fn the_newest_key_of_what_is_known_and_shown_speaks() {
        let replaced =
            |key: u8| Err(KeyFault::Replaced { key: agent(key).public(), agent: agent(1).agent() });
        let unknown = |key: u8| Err(KeyFault::Unknown { key: agent(key).public(), agent: agent(1).agent() });
        for (own, key, shown, expected) in [
            (0, 1, None, Ok(())),
            (0, 2, None, unknown(2)),
            (0, 2, Some(1), Ok(())),
            // Whoever shows a rotation is believed against its own former key.
            (0, 2, Some(2), replaced(2)),
            (1, 2, None, Ok(())),
            (1, 1, None, replaced(1)),
            // Showing less than what is known here brings no key back.
            (1, 1, Some(0), replaced(1)),
            (2, 2, Some(1), replaced(2)),
            (1, 3, Some(2), Ok(())),
            (1, 4, Some(2), unknown(4)),
            (1, 66, None, unknown(66)),
        ] {
            assert_eq!(admit(own, key, shown), expected, "{own} {key} {shown:?}");
        }
        let fault = admit(1, 1, None).unwrap_err().to_string();
        assert_eq!(fault, format!("{0} is no longer the key of {0}: it was replaced", agent(1).agent()));
        let garbage = Keys::of(agent(1).agent(), Vec::new(), Arc::new(|_| {}));
        let garbage = garbage.admit(agent(2).public(), Some(b"x"), &network());
        assert!(matches!(garbage, Err(KeyFault::Lineage(_))), "{garbage:?}");
    }

    #[test]
    fn what_made_a_signature_count_is_learnt_once() {
        let learnt = Arc::<Mutex<Vec<usize>>>::default();
        let tell = Arc::clone(&learnt);
        let learn: Learn = Arc::new(move |records| tell.lock().unwrap().push(records.len()));
        let keys = Keys::of(agent(1).agent(), Vec::new(), learn);
        let admit = |key: u8, shown: u8| keys.admit(agent(key).public(), Some(&lineage(shown)), &network());
        assert!(admit(66, 2).is_err() && admit(2, 2).is_err());
        keys.learn(admit(1, 2).unwrap());
        assert!(learnt.lock().unwrap().is_empty(), "what was not needed is nobody's business");
        for _ in 0..3 {
            keys.learn(admit(3, 2).unwrap());
        }
        assert_eq!(*learnt.lock().unwrap(), [3]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_records_say_is_remembered_for_a_moment_and_in_bounds() {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let read = move |of: AgentId| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(if of == agent(1).agent() { records(1) } else { Vec::new() })
        };
        let book = KeyBook::new(network(), Arc::new(read), Arc::new(|_| {}));
        for _ in 0..3 {
            let keys = book.of(agent(1).agent()).await.unwrap();
            assert_eq!(keys.history.current_key(), agent(2).public());
        }
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        tokio::time::advance(REMEMBERED_FOR).await;
        let _ = book.of(agent(1).agent()).await.unwrap();
        assert_eq!(reads.load(Ordering::Relaxed), 2);
        for number in 0..AGENTS_MAX + 1 {
            let mut id = [7; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            book.remember(Arc::new(Keys::of(AgentId(id), Vec::new(), Arc::new(|_| {}))));
            let remembered = book.0.remembered.lock().unwrap();
            let held: usize = remembered.agents.values().map(|(_, keys)| keys.records.len()).sum();
            assert!(remembered.agents.len() <= AGENTS_MAX && remembered.records == held);
        }
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_read_vouches_for_nobody() {
        let book = KeyBook::new(network(), Arc::new(|_| Err("it is damaged".to_owned())), Arc::new(|_| {}));
        assert_eq!(book.of(agent(1).agent()).await.unwrap_err(), "it is damaged");
    }
}
