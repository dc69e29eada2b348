use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use althing_record::NodeId;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::channel::{Channel, Ends};
use crate::counters::{Counters, Direction};
use crate::peers::node_of;
use crate::places::{Full, Place, Places};
use crate::streams::Streams;
use crate::{Config, Membership, OpenError, Path, StreamKind};

/// Inbound streams that wait until Identify has said who opens them; of one peer, as many as it may have.
const EARLY_MAX: usize = 128;
/// How long they wait.
const EARLY_TIME: Duration = Duration::from_secs(5);
/// Connections that one stream is tried on, dials included.
const TRIES_MAX: u8 = 3;

/// Where the outcome of an open goes.
pub(crate) type ChannelSender = oneshot::Sender<Result<Channel, OpenError>>;

/// A stream that a handle asks for.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) node: NodeId,
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) kind: StreamKind,
    pub(crate) answer: ChannelSender,
}

/// Who may open streams, and what became of those that this node opens. Everything it holds is bounded in number and time.
pub(crate) struct StreamDesk {
    counters: Counters,
    opens_max: usize,
    open_timeout: Duration,
    opens: BTreeMap<u64, Open>,
    numbers: u64,
    taker: Option<mpsc::Sender<Channel>>,
    outbound: Places,
    inbound: Places,
    early: Vec<Early>,
    early_per_peer_max: usize,
}

/// A stream on its way out.
struct Open {
    wish: Wish,
    peer: PeerId,
    place: Place,
    deadline: Instant,
    /// Where it is being negotiated; without, it waits for a connection.
    at: Option<ConnectionId>,
    /// The dial that it waits for; without, it is somebody else's.
    dial: Option<ConnectionId>,
    tries: u8,
}

impl Open {
    fn waits_for(&self, peer: &PeerId) -> bool {
        self.peer == *peer && self.at.is_none()
    }
}

/// What to do next about a stream on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) number: u64,
    pub(crate) peer: PeerId,
    pub(crate) kind: StreamKind,
    pub(crate) addresses: Vec<Multiaddr>,
}

/// An inbound stream, and where it came in.
pub(crate) struct Arrival {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) path: Path,
    pub(crate) kind: StreamKind,
    pub(crate) ends: Ends,
}

struct Early {
    arrival: Arrival,
    until: Instant,
}

impl StreamDesk {
    pub(crate) fn new(config: &Config, counters: Counters) -> Self {
        let limits = &config.limits;
        let places = |direction| Places::new(limits, counters.channels(direction));
        Self {
            outbound: places(Direction::Outbound),
            inbound: places(Direction::Inbound),
            counters,
            opens_max: limits.opens_max,
            open_timeout: limits.open_timeout,
            opens: BTreeMap::new(),
            numbers: 0,
            taker: config.streams.clone(),
            early: Vec::new(),
            early_per_peer_max: limits.sessions_per_peer_max + limits.calls_per_peer_max,
        }
    }

    /// Takes a wish in, if there is room.
    pub(crate) fn wish(&mut self, peer: PeerId, wish: Wish, now: Instant) -> Option<Step> {
        let place = self.outbound.take(peer, wish.kind).ok().filter(|_| self.opens.len() < self.opens_max);
        let Some(place) = place else {
            self.answer(wish, Err(OpenError::Busy));
            return None;
        };
        self.numbers += 1;
        let deadline = now + self.open_timeout;
        self.opens.insert(self.numbers, Open { wish, peer, place, deadline, at: None, dial: None, tries: 1 });
        self.step(self.numbers)
    }

    /// The stream is being negotiated on this connection.
    pub(crate) fn is_at(&mut self, number: u64, connection: ConnectionId) {
        if let Some(open) = self.opens.get_mut(&number) {
            open.at = Some(connection);
        }
    }

    /// The peer is being dialed for this stream; without a dial, because it was being dialed already.
    pub(crate) fn is_dialed(&mut self, number: u64, dial: Option<ConnectionId>) {
        let Some(open) = self.opens.get(&number) else { return };
        // At the same addresses, another stream's dial is as good.
        let same = |other: &&Open| {
            other.waits_for(&open.peer) && other.dial.is_some() && other.wish.addresses == open.wish.addresses
        };
        let dial = dial.or_else(|| self.opens.values().find(same).and_then(|other| other.dial));
        if let Some(open) = self.opens.get_mut(&number) {
            open.dial = dial;
        }
    }

    /// There is a connection to the peer: what waits for one can go on.
    pub(crate) fn connected(&self, peer: &PeerId) -> Vec<Step> {
        let waiting = self.opens.iter().filter(|(_, open)| open.waits_for(peer));
        waiting.filter_map(|(number, _)| self.step(*number)).collect()
    }

    /// A connection closed: what was being negotiated on it can go on elsewhere.
    pub(crate) fn closed(&mut self, connection: ConnectionId) -> Vec<Step> {
        let gone = |early: &mut Early| early.arrival.connection == connection;
        let gone: Vec<_> = self.early.extract_if(.., gone).collect();
        for early in gone {
            self.too_late(early.arrival.kind);
        }
        let lost = self.opens.iter().filter(|(_, open)| open.at == Some(connection));
        let lost: Vec<_> = lost.map(|(number, _)| *number).collect();
        lost.into_iter().filter_map(|number| self.again(number, OpenError::Broken)).collect()
    }

    /// No connection came of a dial. Streams that waited for it fail; but not if it was cut short, or was somebody else's,
    /// at other addresses.
    pub(crate) fn undialed(&mut self, peer: &PeerId, dial: ConnectionId, is_final: bool) -> Vec<Step> {
        let waiting = self.opens.iter().filter(|(_, open)| open.waits_for(peer));
        let concerned = waiting.filter(|(_, open)| open.dial.is_none_or(|own| own == dial));
        let concerned: Vec<_> = concerned.map(|(number, open)| (*number, open.dial.is_some())).collect();
        let mut steps = Vec::new();
        for (number, is_own) in concerned {
            let cause = OpenError::Unreachable;
            let step =
                if is_final && is_own { self.failed(number, cause) } else { self.again(number, cause) };
            steps.extend(step);
        }
        steps
    }

    /// Nobody answered at any address in the time that there is for that.
    pub(crate) fn unanswered(&mut self, peer: &PeerId) {
        let waiting = self.opens.iter().filter(|(_, open)| open.waits_for(peer));
        let waiting: Vec<_> = waiting.map(|(number, _)| *number).collect();
        for number in waiting {
            self.failed(number, OpenError::Unreachable);
        }
    }

    /// A stream on its way out failed.
    pub(crate) fn failed(&mut self, number: u64, cause: OpenError) -> Option<Step> {
        if cause == OpenError::Broken {
            return self.again(number, cause);
        }
        if let Some(open) = self.opens.remove(&number) {
            self.answer(open.wish, Err(cause));
        }
        None
    }

    /// A stream is open. Who asked may have given up.
    pub(crate) fn opened(&mut self, number: u64, ends: Ends, path: Option<Path>) {
        let Some(open) = self.opens.remove(&number) else { return };
        let about = |path| (open.wish.node, open.wish.kind, path);
        let channel = path.map(|path| Channel::new(ends, about(path), open.place));
        self.answer(open.wish, channel.ok_or(OpenError::Broken));
    }

    /// A peer opened a stream. Returns whether it has too many.
    pub(crate) fn arrived(
        &mut self,
        streams: &mut Streams,
        membership: Membership,
        arrival: Arrival,
        now: Instant,
    ) -> bool {
        let of_peer = self.early.iter().filter(|early| early.arrival.peer == arrival.peer).count();
        match (membership, node_of(&arrival.peer)) {
            (Membership::Member, Some(node)) => return self.deliver(streams, node, arrival),
            (Membership::Unknown, Some(_)) if of_peer >= self.early_per_peer_max => {
                self.refuse(streams, arrival, "busy_early");
                return true;
            }
            (Membership::Unknown, Some(_)) if self.early.len() >= EARLY_MAX => {
                self.refuse(streams, arrival, "busy_early");
            }
            (Membership::Unknown, Some(_)) => self.early.push(Early { arrival, until: now + EARLY_TIME }),
            (Membership::Plain, _) | (_, None) => self.inbound_outcome(arrival.kind, "refused_stranger"),
        }
        false
    }

    /// A peer opened a stream on a connection that has closed since.
    pub(crate) fn too_late(&self, kind: StreamKind) {
        self.inbound_outcome(kind, "broken");
    }

    /// Identify has said who a peer is. Returns how many streams it had too many.
    pub(crate) fn identified(
        &mut self,
        streams: &mut Streams,
        peer: &PeerId,
        membership: Membership,
    ) -> usize {
        let theirs = |early: &mut Early| early.arrival.peer == *peer;
        let theirs: Vec<_> = self.early.extract_if(.., theirs).collect();
        let arrivals = theirs.into_iter().map(|early| early.arrival);
        match node_of(peer).filter(|_| membership == Membership::Member) {
            Some(node) => arrivals.map(|arrival| usize::from(self.deliver(streams, node, arrival))).sum(),
            None => {
                arrivals.for_each(|arrival| self.inbound_outcome(arrival.kind, "refused_stranger"));
                0
            }
        }
    }

    /// Fails what is over its time.
    pub(crate) fn sweep(&mut self, streams: &mut Streams, now: Instant) {
        let late = self.opens.iter().filter(|(_, open)| open.deadline <= now);
        let late: Vec<_> = late.map(|(number, _)| *number).collect();
        for number in late {
            self.failed(number, OpenError::Timeout);
        }
        let over = |early: &mut Early| early.until <= now;
        let over: Vec<_> = self.early.extract_if(.., over).collect();
        for early in over {
            self.refuse(streams, early.arrival, "busy_early");
        }
    }

    fn step(&self, number: u64) -> Option<Step> {
        let open = self.opens.get(&number)?;
        let addresses = open.wish.addresses.clone();
        Some(Step { number, peer: open.peer, kind: open.wish.kind, addresses })
    }

    /// Tries once more, or fails.
    fn again(&mut self, number: u64, cause: OpenError) -> Option<Step> {
        let open = self.opens.get_mut(&number)?;
        if open.tries >= TRIES_MAX {
            let open = self.opens.remove(&number)?;
            self.answer(open.wish, Err(cause));
            return None;
        }
        open.tries += 1;
        (open.at, open.dial) = (None, None);
        self.step(number)
    }

    fn deliver(&mut self, streams: &mut Streams, node: NodeId, arrival: Arrival) -> bool {
        let Some(taker) = &self.taker else { return false };
        let (peer, kind) = (arrival.peer, arrival.kind);
        let place = match self.inbound.take(peer, kind) {
            Ok(place) => place,
            Err(Full::Peer) => {
                self.refuse(streams, arrival, "busy_peer");
                return true;
            }
            Err(Full::All) => {
                self.refuse(streams, arrival, "busy_full");
                return false;
            }
        };
        let Arrival { path, ends, .. } = arrival;
        match taker.try_send(Channel::new(ends, (node, kind, path), place)) {
            Ok(()) => self.inbound_outcome(kind, "delivered"),
            Err(TrySendError::Full(channel) | TrySendError::Closed(channel)) => {
                self.say_busy(streams, channel.into_stream(), kind, "busy_queue");
            }
        }
        false
    }

    fn refuse(&self, streams: &mut Streams, arrival: Arrival, outcome: &'static str) {
        self.say_busy(streams, arrival.ends.stream, arrival.kind, outcome);
    }

    fn say_busy(
        &self,
        streams: &mut Streams,
        stream: libp2p::Stream,
        kind: StreamKind,
        outcome: &'static str,
    ) {
        self.inbound_outcome(kind, outcome);
        if !streams.refuse(stream, kind) {
            self.counters.dropped("busy_replies");
        }
    }

    fn inbound_outcome(&self, kind: StreamKind, outcome: &'static str) {
        self.counters.stream(Direction::Inbound, kind, outcome);
    }

    fn answer(&self, wish: Wish, result: Result<Channel, OpenError>) {
        let outcome = result.as_ref().map_or_else(|cause| cause.name(), |_| "opened");
        self.counters.stream(Direction::Outbound, wish.kind, outcome);
        // Who asked may have given up; then the stream closes.
        let _ = wish.answer.send(result);
    }
}
