use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use althing_record::Verdict;
use libp2p::PeerId;
use libp2p::gossipsub::{Message, MessageAcceptance, MessageId};

use crate::behaviour::Gossip;
use crate::bucket::Buckets;
use crate::counters::Counters;
use crate::names::Names;
use crate::outbox::Outbox;
use crate::peers::node_of;
use crate::{Event, Limits, Membership, MessageRef, Topic};

/// How long a message waits for its verdict; a little less than gossip keeps it.
const UNDECIDED: Duration = Duration::from_secs(18);

/// Hands gossip messages to the node and verdicts back. Every message gets exactly one verdict: the node's, or *ignore*.
pub(crate) struct GossipDesk {
    undecided: BTreeMap<MessageId, (Instant, PeerId, Topic)>,
    undecided_max: usize,
    buckets: Buckets,
    counters: Counters,
}

impl GossipDesk {
    pub(crate) fn new(limits: &Limits, counters: Counters) -> Self {
        Self {
            undecided: BTreeMap::new(),
            undecided_max: limits.undecided_max,
            buckets: Buckets::new(limits.gossip_rate, limits.gossip_burst),
            counters,
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "three borrows of one task and the four fields of a message"
    )]
    pub(crate) fn received(
        &mut self,
        gossip: &mut Gossip,
        outbox: &mut Outbox,
        names: &Names,
        membership: Membership,
        source: PeerId,
        (id, received): (MessageId, Message),
        now: Instant,
    ) {
        let topic = names.topic_of(&received.topic);
        let mut ignore = |why| {
            gossip.report_message_validation_result(&id, &source, MessageAcceptance::Ignore);
            self.counters.gossip(topic, why);
        };
        let (Some(topic), Some(from)) = (topic, node_of(&source)) else {
            return ignore("ignored_undecodable");
        };
        if membership == Membership::Plain {
            return ignore("ignored_stranger");
        }
        if !self.buckets.take(source, now) {
            return ignore("ignored_rate");
        }
        if self.undecided.len() >= self.undecided_max {
            return ignore("ignored_undecided_full");
        }
        let message = MessageRef { id: id.clone(), source };
        if !outbox.offer(Event::Gossip { message, from, topic, bytes: received.data }) {
            return ignore("ignored_events_full");
        }
        self.undecided.insert(id, (now, source, topic));
    }

    pub(crate) fn decide(&mut self, gossip: &mut Gossip, message: &MessageRef, verdict: Verdict) {
        let Some((_, source, topic)) = self.undecided.remove(&message.id) else {
            return self.counters.gossip(None, "late");
        };
        let (acceptance, word) = match verdict {
            Verdict::Accept => (MessageAcceptance::Accept, "accepted"),
            Verdict::Ignore => (MessageAcceptance::Ignore, "ignored"),
            Verdict::Reject => (MessageAcceptance::Reject, "rejected"),
        };
        gossip.report_message_validation_result(&message.id, &source, acceptance);
        self.counters.gossip(Some(topic), word);
    }

    /// Ignores what the node did not decide in time.
    pub(crate) fn sweep(&mut self, gossip: &mut Gossip, now: Instant) {
        self.buckets.sweep(now);
        let over = |at: &Instant| now.saturating_duration_since(*at) >= UNDECIDED;
        let late: Vec<_> =
            self.undecided.iter().filter(|(_, (at, ..))| over(at)).map(|(id, _)| id.clone()).collect();
        for id in late {
            if let Some((_, source, topic)) = self.undecided.remove(&id) {
                gossip.report_message_validation_result(&id, &source, MessageAcceptance::Ignore);
                self.counters.gossip(Some(topic), "ignored_late");
            }
        }
    }
}
