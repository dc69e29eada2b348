//! Exposing agents: finding the card, trying the agent, publishing, and coming back after a restart.

mod builtin;
mod end;
mod http_source;
mod kept;
mod look;
mod names;
mod probe;
mod rotate;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use althing_a2a::{OriginCard, Protocol, mesh_card, sign};
use althing_engine::{Answer, Ask, HostedAgent, IMPORT_MAX, Refusal, RefusalKind};
use althing_gateway::api::{ExposeRequest, Exposed, KeyRotated, Unexposed};
use althing_gateway::{Asked, CallDesk, Doing, Hold};
use althing_keystore::Keystore;
use althing_record::{AgentId, NetworkId, Record, recovery_key_hash};
use althing_tunnel::{Callee, Doors, Exposure, Exposures, HttpOrigin, Identity, Limits, Origin, Pace, Pin};
use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio_rustls::TlsConnector;

use self::kept::{Instead, Kept};
use crate::site::refuse;

/// Most agents that are exposed at once.
const EXPOSED_MAX: usize = 256;

/// How long a card may take to reach the connected nodes before that is told as it is, and how often they are asked.
const SPREAD_WITHIN: Duration = Duration::from_secs(3);
const SPREAD_AGAIN: Duration = Duration::from_millis(100);

/// How long the engine may take.
const ASK_WITHIN: Duration = Duration::from_secs(30);

/// Exposes agents for local clients. Clones share everything.
#[derive(Clone)]
pub(super) struct ExposeDesk(Arc<Shared>);

struct Shared {
    network: NetworkId,
    home: PathBuf,
    keystore: Keystore,
    /// Who calls for local clients.
    identity: Option<Identity>,
    asks: mpsc::Sender<Asked>,
    exposures: Exposures,
    callee: Callee,
    tls: TlsConnector,
    limits: Limits,
    open: Mutex<BTreeMap<String, Open>>,
    /// What was to stay exposed and is not yet, by local name.
    waiting: Mutex<BTreeMap<String, Waiting>>,
    /// What is published, and what no longer, is decided by one task at a time.
    turn: tokio::sync::Mutex<()>,
    exposures_made: AtomicU64,
    /// An origin was not what it should be.
    trouble: Arc<Notify>,
}

/// What is exposed under a local name.
#[derive(Clone, Debug)]
struct Open {
    agent: AgentId,
    shown: Exposed,
    wish: ExposeRequest,
    /// The origin over HTTP and its pin, to look after.
    origin: Option<(HttpOrigin, Pin)>,
    /// Tells it from what is exposed under this name another time.
    number: u64,
    /// Clients for as long as which it stays exposed.
    holders: usize,
    since: Instant,
}

/// What is exposed again as soon as that is possible.
#[derive(Clone, Debug)]
struct Waiting {
    file: kept::File,
    /// Why it is not.
    cause: String,
}

/// Where an agent comes from and what answers for it.
struct Source {
    card: OriginCard,
    doors: Doors,
    origin: Arc<dyn Origin>,
    http: Option<(HttpOrigin, Pin)>,
    shown: String,
    card_url: Option<String>,
    notes: Vec<String>,
}

impl ExposeDesk {
    pub(super) fn new(
        (network, home): (NetworkId, PathBuf),
        (keystore, identity): (Keystore, Option<Identity>),
        asks: mpsc::Sender<Asked>,
        (exposures, callee): (Exposures, Callee),
        tls: TlsConnector,
        limits: Limits,
    ) -> Self {
        Self(Arc::new(Shared {
            network,
            home,
            keystore,
            identity,
            asks,
            exposures,
            callee,
            tls,
            limits,
            open: Mutex::default(),
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            exposures_made: AtomicU64::new(1),
            trouble: Arc::default(),
        }))
    }

    /// Exposes again what was to stay exposed, and looks after what is exposed from then on. `identities` are the identity
    /// records of agents here; without them a store that lost them would not let their keys speak.
    pub(super) async fn run(self, identities: Vec<Record>) {
        for records in identities.chunks(IMPORT_MAX) {
            if let Err(refusal) = self.0.ask(Ask::Import { records: records.to_vec() }).await {
                tracing::warn!(cause = refusal.cause, "identities are not taken in");
            }
        }
        self.0.look_on().await;
    }
}

impl CallDesk for ExposeDesk {
    fn expose(&self, wish: ExposeRequest) -> Doing<Exposed> {
        let shared = Arc::clone(&self.0);
        // A client that goes away in the middle leaves nothing half done.
        let doing = tokio::spawn(async move { shared.expose(Kept::first(wish)).await });
        Box::pin(async move {
            doing.await.unwrap_or_else(|error| Err(refuse(RefusalKind::Internal, error.to_string(), None)))
        })
    }

    fn unexpose(&self, name: String) -> Doing<Unexposed> {
        let shared = Arc::clone(&self.0);
        let doing = tokio::spawn(async move { shared.unexpose(&name).await });
        Box::pin(async move {
            doing.await.unwrap_or_else(|error| Err(refuse(RefusalKind::Internal, error.to_string(), None)))
        })
    }

    fn rotate(&self, name: String) -> Doing<KeyRotated> {
        let shared = Arc::clone(&self.0);
        let doing = tokio::spawn(async move { shared.rotate(&name).await });
        Box::pin(async move {
            doing.await.unwrap_or_else(|error| Err(refuse(RefusalKind::Internal, error.to_string(), None)))
        })
    }

    fn hold(&self, name: &str) -> Option<Hold> {
        let mut all = self.0.open();
        let name = name_of(&all, name);
        let open = all.get_mut(&name)?;
        open.holders += 1;
        Some(Hold { name, number: open.number })
    }

    fn release(&self, hold: Hold) {
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move { shared.release(hold).await });
    }

    fn exposed(&self) -> Vec<Exposed> {
        let mut all: Vec<_> = self.0.open().values().map(|open| open.shown.clone()).collect();
        all.extend(self.0.shown_waiting());
        // The face first.
        all.sort_by_key(|exposed| !exposed.face);
        all
    }

    fn agent(&self, name: &str) -> Option<AgentId> {
        let open = self.0.open().get(name).map(|open| open.agent);
        let waiting =
            || self.0.waiting().get(name).and_then(|waiting| waiting.file.agent.as_ref()?.parse().ok());
        open.or_else(waiting)
    }
}

impl Shared {
    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, Refusal> {
        let (reply, answer) = oneshot::channel();
        let gone = || refuse(RefusalKind::Internal, "the node is stopping", None);
        self.asks.send((ask, reply)).await.map_err(|_| gone())?;
        match tokio::time::timeout(ASK_WITHIN, answer).await {
            Ok(Ok(Answer::Refused(refusal))) => Err(refusal),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(refuse(
                RefusalKind::Timeout,
                format!("the node did not answer within {ASK_WITHIN:?}"),
                None,
            )),
        }
    }

    async fn expose(&self, kept: Kept) -> Result<Exposed, Refusal> {
        let wish = &kept.wish;
        let source = self.source(wish).await?;
        let name = names::choose(wish.name.as_deref(), source.card.name())?;
        self.admit(&name, &source)?;
        let pinned = kept.pin.as_ref().is_some_and(|pin| *pin != source.card.digest().to_string());
        if pinned && !wish.follow {
            let cause = format!("{} serves another card than the one that was exposed", source.shown);
            let hint = "expose it again to publish the new card, or use --follow";
            return Err(refuse(RefusalKind::Conflict, cause, Some(hint)));
        }
        let probe_ms = match (wish.no_probe || kept.is_again, &source.http) {
            (false, Some(_)) => Some(probe::probe(&source).await?),
            (true, _) | (false, None) => None,
        };
        let turn = self.turn.lock().await;
        self.admit(&name, &source)?;
        let is_there = match kept.instead_of {
            None => true,
            Some(Instead::Open(number)) => self.open().get(&name).is_some_and(|open| open.number == number),
            Some(Instead::Waiting) => self.waiting().contains_key(&name),
        };
        if !is_there {
            return Err(refuse(RefusalKind::Conflict, format!("\"{name}\" is no longer exposed"), None));
        }
        let shown = self.publish(name, source, kept.wish, probe_ms).await?;
        drop(turn);
        Ok(self.spread(shown).await)
    }

    /// Asks connected nodes whether the card has reached them, until it has or the time is over.
    async fn spread(&self, shown: Exposed) -> Exposed {
        let Ok(agent) = shown.agent.parse() else { return shown };
        let until = Instant::now() + SPREAD_WITHIN;
        loop {
            let Ok(Answer::Spread { asked, found }) = self.ask(Ask::Spread { agent }).await else {
                return shown;
            };
            if found == asked || Instant::now() >= until {
                let (found_by, asked) = (Some(found), Some(asked));
                if let Some(open) = self.open().get_mut(&shown.name).filter(|open| open.agent == agent) {
                    (open.shown.found_by, open.shown.asked) = (found_by, asked);
                }
                return Exposed { found_by, asked, ..shown };
            }
            tokio::time::sleep(SPREAD_AGAIN).await;
        }
    }

    /// Takes calls for an agent and says so to the network. What fails leaves all as it was.
    async fn publish(
        &self,
        name: String,
        source: Source,
        wish: ExposeRequest,
        probe_ms: Option<u64>,
    ) -> Result<Exposed, Refusal> {
        let hosted = self.host(&name).await?;
        let agent = hosted.agent;
        let signer = super::home::signer(&self.keystore, &name, &hosted.key);
        let signer = signer.map_err(|error| refuse(RefusalKind::Internal, error.to_string(), None))?;
        let concurrency =
            wish.concurrency.map_or(self.limits.calls_per_agent_max, |most| most as usize).max(1);
        let mesh = mesh_card(&source.card, agent, self.network)
            .and_then(|card| sign(&card, &hosted.key))
            .map_err(|faults| {
                refuse(RefusalKind::Invalid, format!("no card can be made of the agent's: {faults}"), None)
            })?;
        let before = self.open().get(&name).map(|open| (open.shown.kept, open.number, open.holders));
        // What was to stay exposed stays so until it is unexposed.
        let keep = wish.keep || before.is_some_and(|(kept, ..)| kept);
        let wish = ExposeRequest { name: Some(name.clone()), keep, ..wish };
        let pin = source.card.digest().to_string();
        if keep {
            let (agent, origin) = (Some(agent.to_string()), Some(source.shown.clone()));
            let file = kept::File { wish: wish.clone(), pin: pin.clone(), agent, origin };
            kept::write(&self.home, &name, &file)?;
        }
        let earlier = self.exposures.of(agent);
        self.exposures.insert(Exposure {
            agent,
            signer: Arc::new(signer),
            skills: skills(&mesh),
            doors: source.doors.clone(),
            card: Bytes::from(source.card.bytes().to_vec()),
            origin: Arc::clone(&source.origin),
            rate: wish.rate.map(Pace::per_second),
            calls: Arc::new(Semaphore::new(concurrency)),
            calls_max: concurrency,
        });
        // Calls are taken before anybody can know of it.
        let published = match self.ask(Ask::PublishCard { agent, json: mesh.to_string().into_bytes() }).await
        {
            Ok(Answer::Published(published)) => Ok(published),
            Ok(_) => Err(refuse(RefusalKind::Internal, "the node answered another question", None)),
            Err(refusal) => Err(refusal),
        };
        let published = published.inspect_err(|_| match earlier {
            Some(earlier) => self.exposures.insert(earlier.as_ref().clone()),
            None => self.exposures.remove(agent),
        });
        if published.is_err() && before.is_none() {
            kept::remove(&self.home, &name);
        }
        let shown = Exposed {
            schema: String::new(),
            agent: agent.to_string(),
            name: name.clone(),
            title: source.card.name().to_owned(),
            origin: source.shown.clone(),
            card: source.card_url.clone(),
            pin,
            skills: published?.skills,
            protocols: source
                .card
                .protocols()
                .into_iter()
                .map(Protocol::version)
                .map(ToOwned::to_owned)
                .collect(),
            url: String::new(),
            kept: keep,
            face: wish.face,
            fault: None,
            probe_ms,
            notes: source.notes.clone(),
            found_by: None,
            asked: None,
        };
        let made = self.exposures_made.fetch_add(1, Ordering::Relaxed);
        let (number, holders) = before.map_or((made, 0), |(_, number, holders)| (number, holders));
        let open = Open {
            agent,
            shown: shown.clone(),
            wish,
            origin: source.http,
            number,
            holders,
            since: Instant::now(),
        };
        self.waiting().remove(&name);
        let mut all = self.open();
        if shown.face {
            all.values_mut().for_each(|other| other.shown.face = false);
        }
        all.insert(name, open);
        Ok(shown)
    }

    /// Whether one more may be exposed under this name.
    fn admit(&self, name: &str, source: &Source) -> Result<(), Refusal> {
        let open = self.open();
        let waiting = self.waiting().get(name).and_then(|waiting| waiting.file.origin.clone());
        let other = open.get(name).map(|other| other.shown.origin.clone()).or(waiting);
        match other {
            Some(other) if other != source.shown => {
                let cause = format!("\"{name}\" exposes {other} already");
                Err(refuse(
                    RefusalKind::Conflict,
                    cause,
                    Some("choose another --name, or `althing unexpose` it first"),
                ))
            }
            None if open.len() >= EXPOSED_MAX => {
                Err(refuse(RefusalKind::Conflict, format!("{EXPOSED_MAX} agents are exposed already"), None))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The agent of a local name, made if there is none.
    async fn host(&self, name: &str) -> Result<HostedAgent, Refusal> {
        let keys = |error: &dyn std::fmt::Display| {
            refuse(RefusalKind::Internal, format!("the key of \"{name}\": {error}"), None)
        };
        let known = self.keystore.agent_names().map_err(|error| keys(&error))?;
        let is_known = known.iter().any(|other| other == name);
        let key = if is_known { self.keystore.agent_key(name) } else { self.keystore.create_agent(name) };
        let key = key.map_err(|error| keys(&error))?;
        let recovery = format!("{name}-recovery");
        let hash = super::home::recovery_hash(&self.home, name, || {
            let key = if known.contains(&recovery) {
                self.keystore.agent_key(&recovery)
            } else {
                self.keystore.create_agent(&recovery)
            };
            key.map(|key| recovery_key_hash(&key.public())).map_err(|error| error.to_string())
        });
        let recovery_key_hash = hash.map_err(|error| keys(&error))?;
        let agent = self.keystore.agent_of(name).map_err(|error| keys(&error))?;
        if !is_known {
            self.callee.made_here(agent);
        }
        let hosted = HostedAgent { agent, key, recovery_key_hash };
        self.ask(Ask::Host(Box::new(hosted.clone()))).await?;
        Ok(hosted)
    }

    async fn source(&self, wish: &ExposeRequest) -> Result<Source, Refusal> {
        match (&wish.url, &wish.exec, wish.echo) {
            (Some(url), None, false) => self.http_source(url).await,
            (None, Some(_), false) | (None, None, true) => builtin::source(wish),
            _ => Err(refuse(RefusalKind::Invalid, "expected one of a URL, a command and echo", None)),
        }
    }
}

/// The local name that is meant by it or by a did.
fn name_of(open: &BTreeMap<String, Open>, name: &str) -> String {
    let by_did = open.iter().find(|(_, open)| open.shown.agent == name).map(|(name, _)| name.clone());
    by_did.unwrap_or_else(|| name.to_owned())
}

fn unexposed(agent: String, name: String) -> Unexposed {
    Unexposed { schema: "althing.unexposed/v1".to_owned(), agent, name }
}

/// The skill paths of a card, as they are published.
fn skills(card: &serde_json::Value) -> Vec<String> {
    let card = althing_card::Card::new(card.to_string().into_bytes());
    card.map(|card| card.skills().iter().map(ToString::to_string).collect()).unwrap_or_default()
}
