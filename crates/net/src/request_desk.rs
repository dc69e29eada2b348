use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use althing_record::NodeId;
use libp2p::request_response::{
    InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
};
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use crate::behaviour::Requests;
use crate::bucket::Buckets;
use crate::counters::{Counters, Direction};
use crate::outbox::Outbox;
use crate::peers::{node_of, peer_of};
use crate::{Event, Limits, Membership, ReplyTo, RequestFailure, RequestForms};

/// Requests of ours and of others that are on their way, each bounded in number and time.
pub(crate) struct RequestDesk {
    limits: Limits,
    counters: Counters,
    flying: BTreeMap<OutboundRequestId, Flying>,
    outbound: BTreeMap<PeerId, Outbound>,
    outbound_total: usize,
    waiting_bytes: usize,
    inbound: BTreeMap<InboundRequestId, Inbound>,
    response_bytes: usize,
    refused: VecDeque<ConnectionId>,
    buckets: Buckets,
}

/// What is under way to one peer.
#[derive(Default)]
struct Outbound {
    flying: usize,
    waiting: VecDeque<(u64, RequestForms)>,
    /// Sent to a peer without a connection or an address; Kademlia is asked for one.
    sought: Vec<(u64, RequestForms, Instant)>,
}

struct Flying {
    request: u64,
    peer: PeerId,
    deadline: Instant,
    /// Kept while it is unclear whether the peer can be dialed, and has admitted the connection.
    again: Option<RequestForms>,
    tries: u8,
}

/// How often a request is sent whose connection the peer refused: it cannot have been read.
const TRIES_MAX: u8 = 3;
/// Refused connections remembered until libp2p reports what was lost with them.
const REFUSED_MAX: usize = 64;

/// One request of ours on its way out.
struct Departure {
    request: u64,
    forms: RequestForms,
    addresses: Vec<Multiaddr>,
    settled: bool,
    tries: u8,
}

impl Departure {
    fn unsure(request: u64, forms: RequestForms) -> Self {
        Self { request, forms, addresses: Vec::new(), settled: false, tries: 1 }
    }
}

struct Inbound {
    peer: PeerId,
    channel: Option<ResponseChannel<Vec<u8>>>,
    bytes: usize,
}

impl RequestDesk {
    pub(crate) fn new(limits: &Limits, counters: Counters) -> Self {
        Self {
            limits: limits.clone(),
            counters,
            flying: BTreeMap::new(),
            outbound: BTreeMap::new(),
            outbound_total: 0,
            waiting_bytes: 0,
            inbound: BTreeMap::new(),
            response_bytes: 0,
            refused: VecDeque::new(),
            buckets: Buckets::new(limits.request_rate, limits.request_burst),
        }
    }

    pub(crate) fn request(
        &mut self,
        (requests, outbox): (&mut Requests, &mut Outbox),
        request: u64,
        (to, settled): (NodeId, bool),
        forms: RequestForms,
        now: Instant,
    ) {
        let peer = peer_of(&to);
        let refusal = if forms.size_max() > self.limits.request_bytes_max {
            Some(RequestFailure::TooLarge)
        } else if self.outbound_total >= self.limits.outbound_requests_max {
            Some(RequestFailure::Overloaded)
        } else {
            None
        };
        if let Some(cause) = refusal {
            return self.report(outbox, request, peer, Err(cause));
        }
        let per_peer_max = self.limits.outbound_requests_per_peer_max;
        let flying = self.outbound.get(&peer).map_or(0, |outbound| outbound.flying);
        if flying < per_peer_max {
            self.outbound_total += 1;
            self.send(requests, peer, Departure { settled, ..Departure::unsure(request, forms) }, now);
        } else if self.waiting_bytes + forms.weight() <= self.limits.outbound_waiting_bytes_max {
            self.outbound_total += 1;
            self.waiting_bytes += forms.weight();
            self.outbound.entry(peer).or_default().waiting.push_back((request, forms));
        } else {
            self.report(outbox, request, peer, Err(RequestFailure::Overloaded));
        }
    }

    fn send(&mut self, requests: &mut Requests, peer: PeerId, departure: Departure, now: Instant) {
        let Departure { request, forms, addresses, settled, tries } = departure;
        let again = (!settled).then(|| forms.clone());
        let id = requests.send_request_with_addresses(&peer, forms, addresses);
        self.outbound.entry(peer).or_default().flying += 1;
        let deadline = now + self.patience();
        self.flying.insert(id, Flying { request, peer, deadline, again, tries });
    }

    /// A connection closed on which the peer never answered Identify: it refused it, as one of two dialed at once.
    pub(crate) fn refused(&mut self, connection: ConnectionId) {
        self.refused.push_back(connection);
        if self.refused.len() > REFUSED_MAX {
            self.refused.pop_front();
        }
    }

    /// One dial and one exchange. libp2p has its own timeouts; this one also catches what it loses.
    fn patience(&self) -> Duration {
        self.limits.handshake_timeout + self.limits.request_timeout + Duration::from_secs(2)
    }

    /// Takes a request off the list, and sends the next one that waits for the same peer.
    fn land(&mut self, requests: &mut Requests, id: OutboundRequestId, now: Instant) -> Option<Flying> {
        let flown = self.flying.remove(&id)?;
        self.outbound_total -= 1;
        let outbound = self.outbound.entry(flown.peer).or_default();
        outbound.flying -= 1;
        if let Some((request, forms)) = outbound.waiting.pop_front() {
            self.waiting_bytes -= forms.weight();
            self.send(requests, flown.peer, Departure::unsure(request, forms), now);
        }
        self.tidy(&flown.peer);
        Some(flown)
    }

    fn tidy(&mut self, peer: &PeerId) {
        let idle = |outbound: &Outbound| {
            outbound.flying == 0 && outbound.waiting.is_empty() && outbound.sought.is_empty()
        };
        if self.outbound.get(peer).is_some_and(idle) {
            self.outbound.remove(peer);
        }
    }

    /// A request of ours failed. Returns the peer when Kademlia should be asked where it is.
    pub(crate) fn failed(
        &mut self,
        (requests, outbox): (&mut Requests, &mut Outbox),
        id: OutboundRequestId,
        (connection, error): (ConnectionId, &OutboundFailure),
        now: Instant,
    ) -> Option<PeerId> {
        let flown = self.land(requests, id, now)?;
        let cause = match error {
            OutboundFailure::DialFailure => RequestFailure::Unreachable,
            OutboundFailure::Timeout => RequestFailure::Timeout,
            OutboundFailure::Io(error) if error.kind() == ErrorKind::Unsupported => RequestFailure::TooOld,
            OutboundFailure::ConnectionClosed | OutboundFailure::Io(_) => RequestFailure::Closed,
            OutboundFailure::UnsupportedProtocols => RequestFailure::Unsupported,
        };
        match flown.again {
            Some(forms) if self.refused.contains(&connection) && flown.tries < TRIES_MAX => {
                self.outbound_total += 1;
                let departure =
                    Departure { tries: flown.tries + 1, ..Departure::unsure(flown.request, forms) };
                self.send(requests, flown.peer, departure, now);
                None
            }
            Some(forms) if cause == RequestFailure::Unreachable && flown.tries < TRIES_MAX => {
                let outbound = self.outbound.entry(flown.peer).or_default();
                outbound.sought.push((flown.request, forms, now + self.limits.lookup_timeout));
                self.outbound_total += 1;
                (outbound.sought.len() == 1).then_some(flown.peer)
            }
            _ => {
                self.report(outbox, flown.request, flown.peer, Err(cause));
                None
            }
        }
    }

    /// Kademlia's answer about where a peer is.
    pub(crate) fn found(
        &mut self,
        (requests, outbox): (&mut Requests, &mut Outbox),
        peer: PeerId,
        addresses: &[Multiaddr],
        now: Instant,
    ) {
        let Some(outbound) = self.outbound.get_mut(&peer) else { return };
        for (request, forms, _) in std::mem::take(&mut outbound.sought) {
            if addresses.is_empty() {
                self.outbound_total -= 1;
                self.report(outbox, request, peer, Err(RequestFailure::Unreachable));
            } else {
                let found = Departure { addresses: addresses.to_vec(), ..Departure::unsure(request, forms) };
                self.send(requests, peer, Departure { tries: TRIES_MAX, ..found }, now);
            }
        }
        self.tidy(&peer);
    }

    /// A request or a response came. Gives what became of a request.
    pub(crate) fn message(
        &mut self,
        (requests, outbox): (&mut Requests, &mut Outbox),
        peer: PeerId,
        membership: Membership,
        message: Message<RequestForms, Vec<u8>>,
        now: Instant,
    ) -> Option<&'static str> {
        match message {
            Message::Request { request_id, request, channel } => {
                let outcome = self.admit(outbox, peer, membership, request_id, request.newest, now);
                self.counters.request(Direction::Inbound, outcome);
                if outcome == "delivered" {
                    self.inbound.insert(request_id, Inbound { peer, channel: Some(channel), bytes: 0 });
                }
                Some(outcome)
            }
            Message::Response { request_id, response } => {
                if let Some(flown) = self.land(requests, request_id, now) {
                    self.report(outbox, flown.request, peer, Ok(response));
                }
                None
            }
        }
    }

    /// Whether an inbound request reaches the node. If not, its stream closes, which tells the peer enough.
    fn admit(
        &mut self,
        outbox: &mut Outbox,
        peer: PeerId,
        membership: Membership,
        id: InboundRequestId,
        bytes: Vec<u8>,
        now: Instant,
    ) -> &'static str {
        let Some(from) = node_of(&peer).filter(|_| membership != Membership::Plain) else {
            return "dropped_stranger";
        };
        if !self.buckets.take(peer, now) {
            return "dropped_rate";
        }
        let of_peer = self.inbound.values().filter(|inbound| inbound.peer == peer).count();
        if of_peer >= self.limits.inbound_requests_per_peer_max {
            return "dropped_peer_full";
        }
        if self.inbound.len() >= self.limits.inbound_requests_max {
            return "dropped_full";
        }
        if outbox.offer(Event::Request { reply: ReplyTo(id), from, bytes }) {
            "delivered"
        } else {
            "dropped_events_full"
        }
    }

    pub(crate) fn respond(&mut self, requests: &mut Requests, reply: &ReplyTo, bytes: Vec<u8>) {
        let Some(inbound) = self.inbound.get_mut(&reply.0) else {
            return self.counters.request(Direction::Inbound, "late");
        };
        let Some(channel) = inbound.channel.take() else { return };
        let size = bytes.len();
        let fits = size <= self.limits.response_bytes_max;
        if !fits || self.response_bytes + size > self.limits.responses_bytes_max {
            // Dropping the channel closes the stream; libp2p reports that as a failure, which removes the entry.
            tracing::warn!(size, "a response was dropped: too large, or too many at once");
            return self.counters.request(Direction::Inbound, "dropped_response");
        }
        if requests.send_response(channel, bytes).is_ok() {
            inbound.bytes = size;
            self.response_bytes += size;
        }
    }

    /// A response is out, or will never be.
    pub(crate) fn answered(&mut self, id: InboundRequestId, outcome: &'static str) {
        if let Some(inbound) = self.inbound.remove(&id) {
            self.response_bytes -= inbound.bytes;
            self.counters.request(Direction::Inbound, outcome);
        }
    }

    /// Fails what is over its time.
    pub(crate) fn sweep(&mut self, (requests, outbox): (&mut Requests, &mut Outbox), now: Instant) {
        self.buckets.sweep(now);
        let late: Vec<_> =
            self.flying.iter().filter(|(_, flying)| flying.deadline <= now).map(|(id, _)| *id).collect();
        for id in late {
            if let Some(flown) = self.land(requests, id, now) {
                self.report(outbox, flown.request, flown.peer, Err(RequestFailure::Timeout));
            }
        }
        let over = |outbound: &Outbound| outbound.sought.iter().any(|(.., deadline)| *deadline <= now);
        let lost: Vec<_> = self.outbound.iter().filter(|(_, o)| over(o)).map(|(peer, _)| *peer).collect();
        for peer in lost {
            self.found((requests, outbox), peer, &[], now);
        }
    }

    fn report(
        &self,
        outbox: &mut Outbox,
        request: u64,
        peer: PeerId,
        result: Result<Vec<u8>, RequestFailure>,
    ) {
        let outcome = result.as_ref().map_or_else(|cause| cause.name(), |_| "answered");
        self.counters.request(Direction::Outbound, outcome);
        let Some(node) = node_of(&peer) else { return };
        outbox.push(match result {
            Ok(bytes) => Event::Response { request, from: node, bytes },
            Err(cause) => Event::RequestFailed { request, node, cause },
        });
    }
}
