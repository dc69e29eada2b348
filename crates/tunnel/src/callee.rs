use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use althing_record::{AgentId, Millis, NodeId};
use althing_route::{Buckets, Ticks};
use althing_trust::{
    Accept, AcceptBody, Answer, Call, CallFrame, HEAD_BYTES_MAX, Progress, RatingEpoch, Reason, Refusal,
    head_end, request_head_hash,
};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use crate::accept_book::{AcceptBook, KeysHere, Pair};
use crate::dial::BoxIo;
use crate::evidence::{Evidence, Side};
use crate::exposure::{Exposure, Exposures};
use crate::keys::KeyFault;
use crate::lingering::{LINGERING_MAX, Lingering, Places};
use crate::log::CallLog;
use crate::meter::{Ending, Meter};
use crate::peer::{Peer, name_of};
use crate::prefixed::Prefixed;
use crate::roots::Roots;
use crate::serve::{Asking, Signed, respond};
use crate::signer::{LINEAGE_HEADER, shown_in};
use crate::taken::Taken;
use crate::verify::verify;
use crate::webhooks::Webhooks;
use crate::{KeyBook, Limits, mux};

/// How long a caller may take for its call and the request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// Calls of one session under way at once.
const CALLS_PER_SESSION_MAX: u32 = 16_384;

/// The head of a request that any call may have, and calls at once that may have a longer one.
const USUAL_HEAD_BYTES: usize = 8 * 1_024;
pub(crate) const LONG_HEADS_MAX: usize = 256;

/// Bytes of a call's HTTP that are read ahead of whoever takes them; its head fits.
const READ_AHEAD_BYTES_MAX: usize = 2 * HEAD_BYTES_MAX;

/// Nodes whose rates are remembered.
const PEERS_MAX: usize = 4_096;

/// The header that names the skill a call is for.
pub(crate) const SKILL_HEADER: &str = "althing-skill";

/// The serving side of the tunnel. Clones share everything.
#[derive(Clone)]
pub struct Callee(Arc<Shared>);

struct Shared {
    keys: KeyBook,
    now: Arc<dyn Fn() -> Millis + Send + Sync>,
    book: AcceptBook,
    exposures: Exposures,
    limits: Limits,
    calls: Arc<Semaphore>,
    long_heads: Arc<Semaphore>,
    /// Places for answered calls whose callers have not ended them.
    lingering: Arc<Semaphore>,
    peers: Arc<Mutex<Peers>>,
    taken: Mutex<Taken>,
    webhooks: Webhooks,
    /// When its clock for rates began.
    began: Instant,
    log: CallLog,
    evidence: mpsc::Sender<Evidence>,
    meter: Meter,
}

/// What other nodes do here.
#[derive(Debug)]
struct Peers {
    under_way: BTreeMap<NodeId, usize>,
    rates: Buckets<NodeId>,
}

impl Shared {
    fn ticks(&self) -> Ticks {
        Ticks(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callee").field("exposures", &self.0.exposures).finish_non_exhaustive()
    }
}

/// A call's place among those of its node and of all. Given back when dropped.
pub(crate) struct Seat {
    peers: Arc<Mutex<Peers>>,
    node: NodeId,
    _all: OwnedSemaphorePermit,
    /// The place among the agent's, once it is known who is called.
    agent: Option<OwnedSemaphorePermit>,
}

impl Seat {
    /// Takes a place among the calls to an agent.
    fn take_agent(&mut self, exposure: &Exposure, now: Ticks) -> Result<(), NotTaken> {
        if let Some(Err(wait_ms)) = exposure.rate.as_ref().map(|rate| rate.take(now)) {
            return Err(busy(format!("this agent is called too often; again in {wait_ms} ms")));
        }
        let agent = Arc::clone(&exposure.calls).try_acquire_owned();
        let limit = exposure.calls_max;
        self.agent = Some(agent.map_err(|_| busy(format!("{limit} calls to this agent are under way")))?);
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = peers.under_way.get_mut(&self.node) {
            *under_way -= 1;
            if *under_way == 0 {
                peers.under_way.remove(&self.node);
            }
        }
    }
}

/// What a caller sent ahead: its call, the request's head, and what came behind that already.
struct Ahead {
    call: Call,
    bytes: Vec<u8>,
    skill: String,
    /// What it showed of its key, if it did.
    lineage: Option<Vec<u8>>,
}

impl Callee {
    /// A callee at this node. `book` is where the indices of its Accepts are kept.
    ///
    /// # Errors
    /// When the book cannot be read or written.
    pub fn open(
        keys: KeyBook,
        book: &Path,
        agents: KeysHere<'_>,
        now: Arc<dyn Fn() -> Millis + Send + Sync>,
        exposures: Exposures,
        limits: Limits,
        (log, meter, evidence): (CallLog, Meter, mpsc::Sender<Evidence>),
    ) -> io::Result<Self> {
        let epoch = RatingEpoch::of(now(), keys.network().genesis());
        Ok(Self(Arc::new(Shared {
            book: AcceptBook::open(book, epoch, agents)?,
            keys,
            now,
            exposures,
            calls: Arc::new(Semaphore::new(limits.calls_in_max)),
            long_heads: Arc::new(Semaphore::new(LONG_HEADS_MAX)),
            lingering: Arc::new(Semaphore::new(LINGERING_MAX)),
            peers: Arc::new(Mutex::new(Peers {
                under_way: BTreeMap::new(),
                rates: Buckets::new(limits.rate_per_peer, PEERS_MAX),
            })),
            taken: Mutex::default(),
            webhooks: Webhooks::new(&limits),
            began: Instant::now(),
            limits,
            log,
            evidence,
            meter,
        })))
    }

    /// The key of an agent was made at this node just now: it is served with Accepts from the first call on. Another one
    /// that comes here is only from the next rating epoch on.
    pub fn made_here(&self, agent: AgentId) {
        self.0.book.made(agent);
    }

    /// Another node served an agent of this one at some time: in that rating epoch nothing is accepted here any more.
    pub fn served_elsewhere(&self, agent: AgentId, at: Millis) {
        self.0.book.served_elsewhere(agent, RatingEpoch::of(at, self.0.keys.network().genesis()));
    }

    /// Serves a session with a node until it ends.
    pub async fn serve_session(&self, io: BoxIo, from: NodeId) {
        let peer = Arc::new(Peer::new(from));
        mux::serve(io, CALLS_PER_SESSION_MAX, |call| {
            let (callee, peer) = (self.clone(), Arc::clone(&peer));
            tokio::spawn(async move { callee.serve(Box::new(call), &peer).await });
        })
        .await;
    }

    /// Serves one call on a stream of its own.
    pub async fn serve_call(&self, io: BoxIo, from: NodeId) {
        self.serve(io, &Peer::new(from)).await;
    }

    async fn serve(&self, mut io: BoxIo, peer: &Peer) {
        let from = peer.node;
        let metered = self.0.meter.begin(Side::Callee);
        match timeout(HEAD_WITHIN, self.take(&mut io, peer)).await {
            Ok(Ok((mut asking, front))) => {
                asking.metered = Some(metered);
                self.pass_on(Prefixed::new(front, io), self.places(peer), asking).await;
            }
            Ok(Err(NotTaken::Refused(answer))) => {
                metered.ends(Ending::Refused);
                tracing::debug!(?answer, node = %from, "a call was not taken");
                let mut io = Lingering::new(Prefixed::new(Bytes::new(), io), self.places(peer), ());
                let farewell = async {
                    io.write_all(&answer.encode()).await?;
                    io.shutdown().await
                };
                // The caller may not read it.
                let _ = timeout(HEAD_WITHIN, farewell).await;
            }
            Ok(Err(NotTaken::Gone(error))) => tracing::debug!(%error, node = %from, "a call was gone"),
            Err(_) => tracing::debug!(node = %from, "a call took too long to begin"),
        }
    }

    /// Reads a call and its request's head, and answers with an Accept if all is well.
    async fn take(&self, io: &mut BoxIo, peer: &Peer) -> Result<(Asking, Vec<u8>), NotTaken> {
        let shared = &self.0;
        let mut seat = self.seat(peer.node)?;
        let ahead = self.read(io, &peer.roots).await?;
        let call = &ahead.call;
        call.admit(peer.node, (shared.now)())?;
        let keys = shared.keys.of(call.caller).await;
        let keys = keys.map_err(|cause| busy(format!("this node's store cannot be read: {cause}")))?;
        let admitted = keys.admit(call.signing_key(), ahead.lineage.as_deref(), shared.keys.network());
        admitted.map_err(|fault| refused_for(&fault))?;
        let exposure = shared.exposures.of(call.callee).ok_or(Refusal::NotExposed)?;
        seat.take_agent(&exposure, shared.ticks())?;
        let is_new = {
            let mut taken = shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.note(call.caller, call.task, shared.ticks())
        };
        if !is_new {
            return Err(Refusal::Repeated.into());
        }
        let skill = if exposure.skills.contains(&ahead.skill) { ahead.skill.as_str() } else { "" };
        let (answer, accept) = self.accept(call, skill, &exposure).await;
        let lineage = exposure.signer.lineage().filter(|_| accept.is_some());
        let lineage = lineage.map(|bytes| Answer::Lineage(bytes.to_vec()).encode()).unwrap_or_default();
        io.write_all(&[lineage, answer.encode()].concat()).await?;
        io.flush().await?;
        let caller = call.caller;
        let asking = Asking {
            caller: Some(caller),
            node: peer.node,
            names: (Some(keys.name().clone()), peer.name.clone()),
            exposure,
            _seat: seat,
            signed: Mutex::new(accept.map(|accept| Signed {
                call: Box::new(ahead.call),
                accept: Box::new(accept),
                evidence: shared.evidence.clone(),
            })),
            metered: None,
            log: shared.log.clone(),
            now: Arc::clone(&shared.now),
            body_max: shared.limits.request_bytes_max,
            webhooks: shared.webhooks.clone(),
        };
        Ok((asking, ahead.bytes))
    }

    async fn read(&self, io: &mut BoxIo, roots: &Roots) -> Result<Ahead, NotTaken> {
        let malformed = |cause: String| {
            let reason = Reason::new(&cause);
            NotTaken::Refused(Answer::Refused { refusal: Refusal::Malformed, reason })
        };
        let mut bytes = Vec::with_capacity(2_048);
        let call = loop {
            match CallFrame::decode(&bytes).map_err(|error| malformed(error.to_string()))? {
                Progress::Done { frame, used } => {
                    bytes.drain(..used);
                    break frame;
                }
                Progress::Needs(_) => more(io, &mut bytes).await?,
            }
        };
        let call: Call = verify(&call.0, self.0.keys.network().id(), roots)
            .map_err(|error| malformed(error.to_string()))?;
        let mut looked = 0_usize;
        let mut long = None;
        let end = loop {
            // The head would end there, and what is read as one after it would have been signed by nobody.
            if matches!(bytes.first(), Some(b'\r' | b'\n')) {
                return Err(malformed("the request's head begins with an empty line".to_owned()));
            }
            let from = looked.saturating_sub(3);
            let end = head_end(&bytes[from..]).map(|end| from + end);
            looked = end.unwrap_or(bytes.len());
            if looked > HEAD_BYTES_MAX {
                return Err(malformed(format!("the request's head has more than {HEAD_BYTES_MAX} bytes")));
            }
            if let Some(end) = end {
                break end;
            }
            if looked > USUAL_HEAD_BYTES && long.is_none() {
                let permit = self.0.long_heads.try_acquire();
                long = Some(permit.map_err(|_| busy(format!("{LONG_HEADS_MAX} long heads are being read")))?);
            }
            more(io, &mut bytes).await?;
        };
        if request_head_hash(&bytes[..end]) != call.request_head_hash {
            return Err(malformed("the request's head is not the one that the call names".to_owned()));
        }
        let length = header(&bytes[..end], CONTENT_LENGTH.as_str());
        if length.is_some() && header(&bytes[..end], TRANSFER_ENCODING.as_str()).is_some() {
            return Err(malformed("the request says twice how long it is".to_owned()));
        }
        let skill = header(&bytes[..end], SKILL_HEADER).unwrap_or_default();
        let lineage = header(&bytes[..end], LINEAGE_HEADER.as_str()).and_then(|value| shown_in(&value));
        Ok(Ahead { call, bytes, skill, lineage })
    }

    /// The Accept of a call, or why it goes ahead without one.
    async fn accept(&self, call: &Call, skill: &str, exposure: &Exposure) -> (Answer, Option<Accept>) {
        let shared = &self.0;
        if call.caller == call.callee {
            return (Answer::Ahead(Reason::new("an agent's calls to itself are not counted")), None);
        }
        let made = (shared.now)();
        let epoch = RatingEpoch::of(made, shared.keys.network().genesis());
        let pair = Pair { epoch, callee: exposure.agent, caller: call.caller };
        let index = match shared.book.next(pair).await {
            Ok(index) => index,
            Err(error) => return (Answer::Ahead(Reason::new(&error.to_string())), None),
        };
        let skill = skill.try_into().unwrap_or_default();
        let body = AcceptBody { skill, ..AcceptBody::to(call, index, made) };
        let is_alone = shared.meter.under_way(Side::Callee) <= 1;
        match exposure.signer.sign(body, is_alone).await {
            Ok(accept) => (Answer::Accepted(accept.bytes().to_vec()), Some(accept)),
            Err(error) => (Answer::Ahead(Reason::new(&error.to_string())), None),
        }
    }

    /// A place for one more call of a node.
    fn seat(&self, node: NodeId) -> Result<Seat, NotTaken> {
        let shared = &self.0;
        let all = Arc::clone(&shared.calls).try_acquire_owned();
        let all = all.map_err(|_| busy(format!("{} calls are under way", shared.limits.calls_in_max)))?;
        let mut peers = shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.rates.take(&node, 1, shared.ticks()).is_err() {
            let rate = shared.limits.rate_per_peer.per_second;
            return Err(busy(format!("more than {rate} calls a second from one node")));
        }
        let under_way = peers.under_way.entry(node).or_insert(0);
        if *under_way >= shared.limits.calls_per_peer_max {
            let limit = shared.limits.calls_per_peer_max;
            return Err(busy(format!("{limit} calls from one node are under way")));
        }
        *under_way += 1;
        Ok(Seat { peers: Arc::clone(&shared.peers), node, _all: all, agent: None })
    }

    /// Where a call of this peer waits for its end.
    fn places(&self, peer: &Peer) -> Places {
        [Arc::clone(&peer.lingering), Arc::clone(&self.0.lingering)]
    }

    async fn pass_on(&self, io: Prefixed, places: Places, asking: Asking) {
        // A call is one request. Its seat is free when all of the response is written, however long the caller takes to see that.
        let asking = Arc::new(asking);
        let io = Lingering::new(io, places, Arc::clone(&asking));
        let asking = Mutex::new(Some(asking));
        let service = service_fn(move |request| {
            let asking = asking.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                let asking = asking.ok_or(io::ErrorKind::InvalidInput)?;
                respond(asking, request).await.map_err(|never| -> io::Error { match never {} })
            }
        });
        let served = Builder::new()
            .keep_alive(false)
            .max_buf_size(READ_AHEAD_BYTES_MAX)
            .preserve_header_case(true)
            .serve_connection(TokioIo::new(io), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a call ended early");
        }
    }

    /// Serves plain HTTP of a node: requests for `/agents/<did>/…`, without call and Accept.
    pub async fn serve_http(&self, io: BoxIo, from: NodeId) {
        let callee = self.clone();
        let service = service_fn(move |request| {
            let callee = callee.clone();
            async move { crate::plain::respond(&callee, from, request).await }
        });
        let served = Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(READ_AHEAD_BYTES_MAX)
            .preserve_header_case(true)
            .serve_connection(TokioIo::new(io), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a plain HTTP stream ended early");
        }
    }

    /// What a plain request needs to be passed on to an agent that is exposed here.
    pub(crate) fn asking(&self, from: NodeId, exposure: Arc<Exposure>) -> Result<Asking, Answer> {
        let seat =
            self.seat(from).and_then(|mut seat| seat.take_agent(&exposure, self.0.ticks()).map(|()| seat));
        let seat = seat.map_err(|not_taken| match not_taken {
            NotTaken::Refused(answer) => answer,
            NotTaken::Gone(_) => Answer::Busy,
        })?;
        Ok(Asking {
            caller: None,
            node: from,
            names: (None, name_of(&from)),
            exposure,
            _seat: seat,
            signed: Mutex::default(),
            metered: Some(self.0.meter.begin(Side::Callee)),
            log: self.0.log.clone(),
            now: Arc::clone(&self.0.now),
            body_max: self.0.limits.request_bytes_max,
            webhooks: self.0.webhooks.clone(),
        })
    }

    pub(crate) fn exposures(&self) -> &Exposures {
        &self.0.exposures
    }
}

enum NotTaken {
    /// The caller is told.
    Refused(Answer),
    /// There is nobody to tell.
    Gone(io::Error),
}

fn refused_for(fault: &KeyFault) -> NotTaken {
    let refusal = match fault {
        KeyFault::Replaced { .. } => Refusal::ReplacedKey,
        KeyFault::Unknown { .. } | KeyFault::Lineage(_) => Refusal::WrongAgent,
    };
    NotTaken::Refused(Answer::Refused { refusal, reason: Reason::new(&fault.to_string()) })
}

fn busy(cause: String) -> NotTaken {
    NotTaken::Refused(Answer::Refused { refusal: Refusal::Busy, reason: Reason::new(&cause) })
}

impl From<Refusal> for NotTaken {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Answer::refused(refusal))
    }
}

impl From<io::Error> for NotTaken {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

async fn more(io: &mut BoxIo, bytes: &mut Vec<u8>) -> io::Result<()> {
    if io.read_buf(bytes).await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// The value of a header in a request's head; the first, if there are several.
fn header(head: &[u8], name: &str) -> Option<String> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let mut values = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (found, value) = line.split_at(colon);
        found.eq_ignore_ascii_case(name.as_bytes()).then(|| value[1..].trim_ascii())
    });
    values.next().and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned)
}
