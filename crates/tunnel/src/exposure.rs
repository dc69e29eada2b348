use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use althing_a2a::{BasePath, Binding, OriginCard, Protocol, TargetError, join_queries};
use althing_record::AgentId;
use althing_route::{Bucket, Rate, Ticks};
use bytes::Bytes;
use tokio::sync::Semaphore;
use url::Url;

use crate::operation::Operation;
use crate::{Origin, Signer};

/// An agent that other nodes may call, and what is behind it.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// The agent.
    pub agent: AgentId,
    /// What signs its Accepts.
    pub signer: Arc<Signer>,
    /// Its skill paths; an Accept names the one that was asked for, if it is one of them.
    pub skills: Vec<String>,
    /// What it is reached at.
    pub doors: Doors,
    /// The owner's card, byte for byte.
    pub card: Bytes,
    /// What answers.
    pub origin: Arc<dyn Origin>,
    /// How often it may be called, if that is bounded.
    pub rate: Option<Pace>,
    /// A place for each call under way.
    pub calls: Arc<Semaphore>,
    /// How many places there are.
    pub calls_max: usize,
}

/// How often an agent may be called, by all nodes together. Clones share the count.
#[derive(Clone, Debug)]
pub struct Pace(Arc<Mutex<Bucket>>, Rate);

impl Pace {
    /// So many calls a second, and twice as many at once.
    #[must_use]
    pub fn per_second(calls: u32) -> Self {
        let rate = Rate { per_second: calls, burst: calls.saturating_mul(2) };
        Self(Arc::new(Mutex::new(Bucket::full(rate, Ticks::default()))), rate)
    }

    /// Takes one call.
    ///
    /// # Errors
    /// With the milliseconds after which there is room for one.
    pub(crate) fn take(&self, now: Ticks) -> Result<(), u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(1, self.1, now)
    }
}

/// Which targets of an origin may be asked for: nothing else of it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doors(BTreeMap<Protocol, Door>);

/// The interfaces of one version of A2A.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Door {
    /// Where JSON-RPC goes.
    rpc: Option<Interface>,
    /// Below what the paths of HTTP+JSON are.
    rest: Option<Interface>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    path: BasePath,
    query: Option<String>,
    /// The first segment of its paths may name this.
    tenant: Option<String>,
}

impl Interface {
    fn of(url: &Url, tenant: Option<String>) -> Self {
        Self { path: BasePath::of(url), query: url.query().map(ToOwned::to_owned), tenant }
    }

    fn target(&self, method: &str, target: &str) -> Result<String, TargetError> {
        let on_origin = self.path.on_origin(method, target)?;
        let (path, asked) =
            on_origin.split_once('?').map_or((&*on_origin, None), |(path, asked)| (path, Some(asked)));
        let query = join_queries(self.query.as_deref(), asked)?;
        Ok(query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))
    }
}

/// Where a request goes, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Path and query on the origin.
    pub(crate) target: String,
    pub(crate) operation: Operation,
}

impl Doors {
    /// The interfaces of a card whose URLs are at the exposed place.
    #[must_use]
    pub fn of(card: &OriginCard, is_there: impl Fn(&Url) -> bool) -> Self {
        let mut doors = BTreeMap::new();
        for interface in card.interfaces() {
            let url = interface.http_url().filter(|url| is_there(url));
            let Some((url, protocol)) = url.zip(interface.protocol()) else { continue };
            let door: &mut Door = doors.entry(protocol).or_default();
            let place = match interface.binding {
                Binding::JsonRpc => &mut door.rpc,
                Binding::HttpJson => &mut door.rest,
                Binding::Grpc | Binding::Other(_) => continue,
            };
            place.get_or_insert_with(|| Interface::of(&url, interface.tenant.clone()));
        }
        Self(doors)
    }

    /// Whether nothing can be asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How to try whether anybody answers: the method, version and target of a JSON-RPC request for a task. None where there
    /// is no JSON-RPC.
    #[must_use]
    pub fn probe(&self) -> Option<(&'static str, &'static str, String)> {
        let (protocol, door) = self.0.iter().find(|(_, door)| door.rpc.is_some())?;
        let method = match protocol {
            Protocol::V1 => "GetTask",
            Protocol::V0 => "tasks/get",
        };
        let target = door.rpc.as_ref()?.target("POST", "/").ok()?;
        Some((method, protocol.version(), target))
    }

    /// Where a request goes on the origin, if there is an interface for it and it is an operation of A2A. `version`: what
    /// `A2A-Version` says; without it a request is one of 0.3.
    ///
    /// # Errors
    /// When the target is none that may be asked for.
    pub(crate) fn way(
        &self,
        version: Option<&str>,
        method: &str,
        target: &str,
    ) -> Result<Option<Way>, TargetError> {
        let wanted = version.map_or(Some(Protocol::V0), Protocol::of);
        let door = wanted.and_then(|wanted| self.0.get(&wanted)).or_else(|| self.0.values().next());
        let Some(door) = door else { return Ok(None) };
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let interface = if path == "/" { &door.rpc } else { &door.rest };
        // Whatever it is for, a target has to be one that stays below what is exposed.
        let checked = interface.as_ref().or(door.rpc.as_ref()).or(door.rest.as_ref());
        let target = checked.map(|interface| interface.target(method, target)).transpose()?;
        let operation = interface.as_ref().and_then(|found| Operation::of(path, found.tenant.as_deref()));
        Ok(target.zip(operation).map(|(target, operation)| Way { target, operation }))
    }
}

/// The agents that are exposed here.
#[derive(Clone, Debug, Default)]
pub struct Exposures(Arc<RwLock<BTreeMap<AgentId, Arc<Exposure>>>>);

impl Exposures {
    /// Exposes an agent, in place of what was exposed as that agent before.
    pub fn insert(&self, exposure: Exposure) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(exposure.agent, Arc::new(exposure));
    }

    /// No longer exposes an agent. Calls under way go on.
    pub fn remove(&self, agent: AgentId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&agent);
    }

    /// What is exposed as an agent.
    #[must_use]
    pub fn of(&self, agent: AgentId) -> Option<Arc<Exposure>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&agent).cloned()
    }

    /// All that is exposed, by agent.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Exposure>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
