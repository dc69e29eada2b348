//! Exposing agents: finding the card, trying the agent, publishing, and coming back after a restart.

mod builtin;
mod find;
mod kept;
mod names;
mod probe;
mod site;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use althing_a2a::{MeshCard, OriginCard, Protocol, mesh_card, sign};
use althing_engine::{Answer, Ask, HostedAgent, Refusal, RefusalKind};
use althing_gateway::api::{ExposeRequest, Exposed, Unexposed};
use althing_gateway::{Asked, CallDesk, Doing};
use althing_keystore::Keystore;
use althing_record::{AgentId, NetworkId, recovery_key_hash};
use althing_tunnel::{Doors, Exposure, Exposures, HttpOrigin, Limits, Origin, Pace, Pin};
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use self::find::Found;
use self::kept::Kept;

/// Most agents that are exposed at once.
const EXPOSED_MAX: usize = 256;

/// How often exposed agents are asked for their cards.
const LOOK_EVERY: Duration = Duration::from_secs(30);

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
    asks: mpsc::Sender<Asked>,
    exposures: Exposures,
    tls: TlsConnector,
    limits: Limits,
    open: Mutex<BTreeMap<String, Open>>,
    /// What stays exposed and cannot be at the moment, by local name: its agent is not up yet.
    waiting: Mutex<BTreeMap<String, (kept::File, Exposed)>>,
}

/// What is exposed under a local name.
#[derive(Clone, Debug)]
struct Open {
    agent: AgentId,
    shown: Exposed,
    wish: ExposeRequest,
    /// The origin over HTTP and its pin, to look after.
    origin: Option<(HttpOrigin, Pin)>,
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

pub(super) fn refuse(kind: RefusalKind, cause: impl Into<String>, hint: Option<&str>) -> Refusal {
    Refusal { kind, cause: cause.into(), hint: hint.map(ToOwned::to_owned) }
}

impl ExposeDesk {
    pub(super) fn new(
        (network, home): (NetworkId, PathBuf),
        keystore: Keystore,
        asks: mpsc::Sender<Asked>,
        exposures: Exposures,
        tls: TlsConnector,
        limits: Limits,
    ) -> Self {
        let (open, waiting) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { network, home, keystore, asks, exposures, tls, limits, open, waiting }))
    }

    /// Exposes again what was to stay exposed, and looks after what is exposed from then on.
    pub(super) async fn run(self) {
        for file in kept::read_all(&self.0.home) {
            self.0.expose_again(file).await;
        }
        if let Err(refusal) = self.0.withdraw_leftovers().await {
            tracing::warn!(
                cause = refusal.cause,
                "cards of agents that are no longer exposed may still be published"
            );
        }
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            every.tick().await;
            let waiting = std::mem::take(&mut *self.0.waiting());
            for (file, _) in waiting.into_values() {
                self.0.expose_again(file).await;
            }
            self.0.look_after().await;
        }
    }
}

impl CallDesk for ExposeDesk {
    fn expose(&self, wish: ExposeRequest) -> Doing<Exposed> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.expose(Kept::first(wish)).await })
    }

    fn unexpose(&self, name: String) -> Doing<Unexposed> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.unexpose(&name).await })
    }

    fn exposed(&self) -> Vec<Exposed> {
        let mut all: Vec<Exposed> = self.0.open().values().map(|open| open.shown.clone()).collect();
        all.extend(self.0.waiting().values().map(|(_, shown)| shown.clone()));
        // The face first.
        all.sort_by_key(|exposed| !exposed.face);
        all
    }

    fn agent(&self, name: &str) -> Option<AgentId> {
        let open = self.0.open().get(name).map(|open| open.agent);
        open.or_else(|| self.0.waiting().get(name).and_then(|(_, shown)| shown.agent.parse().ok()))
    }
}

impl Shared {
    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (kept::File, Exposed)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exposes what was exposed before, or else keeps it waiting.
    async fn expose_again(&self, file: kept::File) {
        let name = file.name.clone().unwrap_or_default();
        let Err(refusal) = self.expose(Kept::again(file.clone())).await else { return };
        tracing::warn!(name, cause = refusal.cause, "not exposed again yet");
        let agent = self.keystore.agent_key(&name).map(|key| key.agent().to_string()).unwrap_or_default();
        let shown = Exposed {
            agent,
            name: name.clone(),
            origin: file.url.clone().or_else(|| file.exec.clone()).unwrap_or_else(|| "echo".to_owned()),
            pin: file.pin.clone(),
            kept: true,
            fault: Some(refusal.cause),
            ..Exposed::default()
        };
        self.waiting().insert(name, (file, shown));
    }

    /// Takes back the cards of agents that were exposed when this node ended and are not to be any more.
    async fn withdraw_leftovers(&self) -> Result<(), Refusal> {
        let Answer::Status(status) = self.ask(Ask::Status).await? else { return Ok(()) };
        let waiting: Vec<String> = self.waiting().values().map(|(_, shown)| shown.agent.clone()).collect();
        for agent in status.agents.into_iter().skip(1) {
            let is_exposed = self.open().values().any(|open| open.agent == agent);
            if is_exposed || waiting.contains(&agent.to_string()) {
                continue;
            }
            match self.ask(Ask::Card { agent }).await {
                Ok(Answer::Card(card)) if MeshCard::parse(&card.json).is_ok() => {
                    self.ask(Ask::RetractCard { agent }).await?;
                }
                // It has none, or one that was published by hand.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
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
        let wish = kept.wish.clone();
        let source = self.source(&wish).await?;
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
        let hosted = self.host(&name).await?;
        let agent = hosted.agent;
        let concurrency =
            wish.concurrency.map_or(self.limits.calls_per_agent_max, |most| most as usize).max(1);
        let mesh = mesh_card(&source.card, agent, self.network)
            .and_then(|card| sign(&card, &hosted.key))
            .map_err(|faults| {
                refuse(RefusalKind::Invalid, format!("no card can be made of the agent's: {faults}"), None)
            })?;
        self.exposures.insert(Exposure {
            agent,
            key: Arc::new(hosted.key.clone()),
            skills: skills(&mesh),
            doors: source.doors.clone(),
            card: Bytes::from(source.card.bytes().to_vec()),
            origin: Arc::clone(&source.origin),
            rate: wish.rate.map(Pace::per_second),
            calls: Arc::new(Semaphore::new(concurrency)),
            calls_max: concurrency,
        });
        // Calls are taken before anybody can know of it.
        let published = self.ask(Ask::PublishCard { agent, json: mesh.to_string().into_bytes() }).await;
        let published = published.inspect_err(|_| self.exposures.remove(agent))?;
        let Answer::Published(published) = published else {
            return Err(refuse(RefusalKind::Internal, "the node answered another question", None));
        };
        let shown = Exposed {
            schema: String::new(),
            agent: agent.to_string(),
            name: name.clone(),
            title: source.card.name().to_owned(),
            origin: source.shown.clone(),
            card: source.card_url.clone(),
            pin: source.card.digest().to_string(),
            skills: published.skills,
            protocols: source
                .card
                .protocols()
                .into_iter()
                .map(Protocol::version)
                .map(ToOwned::to_owned)
                .collect(),
            url: String::new(),
            kept: wish.keep,
            face: wish.face,
            fault: None,
            probe_ms,
            notes: source.notes.clone(),
            found_by: None,
            asked: None,
        };
        let shown = self.spread(agent, shown).await;
        let wish = ExposeRequest { name: Some(name.clone()), ..wish };
        if wish.keep {
            kept::write(&self.home, &name, &wish, &shown.pin)?;
        } else {
            kept::remove(&self.home, &name);
        }
        self.waiting().remove(&name);
        let mut open = self.open();
        if wish.face {
            open.values_mut().for_each(|other| other.shown.face = false);
        }
        open.insert(name, Open { agent, shown: shown.clone(), wish, origin: source.http });
        Ok(shown)
    }

    /// Asks connected nodes whether the card has reached them, until it has or the time is over.
    async fn spread(&self, agent: AgentId, shown: Exposed) -> Exposed {
        let until = Instant::now() + SPREAD_WITHIN;
        loop {
            let Ok(Answer::Spread { asked, found }) = self.ask(Ask::Spread { agent }).await else {
                return shown;
            };
            if found == asked || Instant::now() >= until {
                return Exposed { found_by: Some(found), asked: Some(asked), ..shown };
            }
            tokio::time::sleep(SPREAD_AGAIN).await;
        }
    }

    /// Whether one more may be exposed under this name.
    fn admit(&self, name: &str, source: &Source) -> Result<(), Refusal> {
        let open = self.open();
        match open.get(name) {
            Some(other) if other.shown.origin != source.shown => {
                let cause = format!("\"{name}\" exposes {} already", other.shown.origin);
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
        let key = if known.iter().any(|other| other == name) {
            self.keystore.agent_key(name)
        } else {
            self.keystore.create_agent(name)
        };
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
        let hosted = HostedAgent { agent: key.agent(), key, recovery_key_hash };
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

    async fn http_source(&self, url: &str) -> Result<Source, Refusal> {
        let Found { card, target, site, card_url } = find::find(url, &self.tls).await?;
        let mut notes = Vec::new();
        let is_there = |interface: &url::Url| site::is_at(interface, &site);
        for interface in card.interfaces() {
            match interface.http_url() {
                Some(url) if !is_there(&url) => {
                    notes.push(format!("{} is not at {} and is not exposed", interface.url, site.base))
                }
                None => {
                    notes.push(format!("{} ({}) is not carried", interface.url, interface.binding.name()))
                }
                Some(_) => {}
            }
        }
        let doors = Doors::of(&card, is_there);
        if doors.is_empty() {
            let urls: Vec<_> = card.interfaces().iter().map(|interface| interface.url.as_str()).collect();
            let cause =
                format!("the card at {card_url} has no interface at {}: {}", site.base, urls.join(", "));
            return Err(refuse(RefusalKind::Invalid, cause, Some("expose the address that its card names")));
        }
        let pin = Pin { target, sha256: card.digest() };
        let origin = HttpOrigin::new(site.clone(), self.tls.clone(), Some(pin.clone()));
        Ok(Source {
            card,
            doors,
            origin: Arc::new(origin.clone()),
            http: Some((origin, pin)),
            shown: site.base,
            card_url: Some(card_url),
            notes,
        })
    }

    async fn unexpose(&self, name: &str) -> Result<Unexposed, Refusal> {
        let found = {
            let mut open = self.open();
            let by_did = open.iter().find(|(_, open)| open.shown.agent == name).map(|(name, _)| name.clone());
            let name = by_did.unwrap_or_else(|| name.to_owned());
            open.remove(&name).map(|open| (name, open))
        };
        let Some((name, open)) = found else {
            let dropped = {
                let mut waiting = self.waiting();
                let by_did =
                    waiting.iter().find(|(_, (_, shown))| shown.agent == name).map(|(name, _)| name.clone());
                let name = by_did.unwrap_or_else(|| name.to_owned());
                waiting.remove(&name).map(|(_, shown)| (name, shown.agent))
            };
            if let Some((name, did)) = dropped {
                kept::remove(&self.home, &name);
                if let Ok(agent) = did.parse() {
                    // It may have expired meanwhile.
                    let _ = self.ask(Ask::RetractCard { agent }).await;
                }
                return Ok(Unexposed { schema: "althing.unexposed/v1".to_owned(), agent: did, name });
            }
            let shown: String = name.chars().take(80).collect();
            let hint = Some("`althing expose --list` shows what is exposed");
            return Err(refuse(RefusalKind::NotFound, format!("nothing is exposed as \"{shown}\""), hint));
        };
        self.exposures.remove(open.agent);
        kept::remove(&self.home, &name);
        match self.ask(Ask::RetractCard { agent: open.agent }).await {
            Ok(_) => {}
            Err(refusal) if refusal.kind == RefusalKind::NotFound => {}
            Err(refusal) => return Err(refusal),
        }
        Ok(Unexposed { schema: "althing.unexposed/v1".to_owned(), agent: open.agent.to_string(), name })
    }

    /// Asks every exposed agent for its card: one that changed is reported, and published if that was wished.
    async fn look_after(&self) {
        let open: Vec<_> = self.open().iter().map(|(name, open)| (name.clone(), open.clone())).collect();
        for (name, open) in open {
            let Some((origin, pin)) = &open.origin else { continue };
            let fault = match origin.fetch(&pin.target).await {
                Ok(card)
                    if althing_a2a::OriginCard::parse(&card)
                        .is_ok_and(|card| card.digest() == pin.sha256) =>
                {
                    None
                }
                Ok(_) if open.wish.follow => {
                    let kept = Kept::first(ExposeRequest { no_probe: true, ..open.wish.clone() });
                    match self.expose(kept).await {
                        Ok(_) => {
                            tracing::info!(name, "the agent's card changed and is published");
                            continue;
                        }
                        Err(refusal) => {
                            Some(format!("its card changed and is not published: {}", refusal.cause))
                        }
                    }
                }
                Ok(_) => {
                    Some("its card has changed; no calls are taken until it is exposed again".to_owned())
                }
                Err(error) => Some(error.to_string()),
            };
            let mut all = self.open();
            let Some(now) = all.get_mut(&name) else { continue };
            if now.shown.fault != fault {
                match &fault {
                    Some(fault) => tracing::warn!(name, fault, "an exposed agent takes no calls"),
                    None => tracing::info!(name, "an exposed agent takes calls again"),
                }
                now.shown.fault = fault;
            }
        }
    }
}

/// The skill paths of a card, as they are published.
fn skills(card: &serde_json::Value) -> Vec<String> {
    let card = althing_card::Card::new(card.to_string().into_bytes());
    card.map(|card| card.skills().iter().map(ToString::to_string).collect()).unwrap_or_default()
}
