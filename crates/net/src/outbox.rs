use std::collections::VecDeque;

use tokio::sync::mpsc::{OwnedPermit, Sender};

use crate::Event;
use crate::counters::Counters;

/// The way to the node: a bounded channel that the swarm task never waits for.
///
/// Gossip and requests use what the channel has to spare and are refused otherwise; the caller answers them. Everything
/// else goes through, in order: into the channel, else into a bounded backlog, else it is dropped and counted.
pub(crate) struct Outbox {
    events: Sender<Event>,
    reserve: usize,
    backlog: VecDeque<Event>,
    backlog_bytes: usize,
    backlog_max: usize,
    backlog_bytes_max: usize,
    counters: Counters,
}

impl Outbox {
    pub(crate) fn new(
        events: Sender<Event>,
        backlog_max: usize,
        backlog_bytes_max: usize,
        counters: Counters,
    ) -> Self {
        let reserve = events.max_capacity() / 4;
        Self {
            events,
            reserve,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            backlog_max,
            backlog_bytes_max,
            counters,
        }
    }

    /// Offers what may be dropped. Returns whether it was taken.
    pub(crate) fn offer(&mut self, event: Event) -> bool {
        self.backlog.is_empty()
            && self.events.capacity() > self.reserve
            && self.events.try_send(event).is_ok()
    }

    /// Sends what the node waits for.
    pub(crate) fn push(&mut self, event: Event) {
        let event = match self.backlog.is_empty() {
            true => match self.events.try_send(event) {
                Ok(()) => return,
                Err(refused) => refused.into_inner(),
            },
            false => event,
        };
        let weight = event.weight();
        if self.backlog.len() >= self.backlog_max || self.backlog_bytes + weight > self.backlog_bytes_max {
            tracing::warn!("an event was dropped: the node does not keep up");
            self.counters.dropped("events");
            return;
        }
        self.backlog_bytes += weight;
        self.backlog.push_back(event);
    }

    /// Whether [`Self::flush`] has something to send.
    pub(crate) fn waits(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// A sender to reserve room with, apart from `self`, so that the swarm goes on meanwhile.
    pub(crate) fn sender(&self) -> Sender<Event> {
        self.events.clone()
    }

    /// Sends from the backlog into the room that there is.
    pub(crate) fn flush(&mut self, room: OwnedPermit<Event>) {
        let mut room = Some(room);
        while let Some(permit) = room.take() {
            let Some(event) = self.backlog.pop_front() else { return };
            self.backlog_bytes -= event.weight();
            room = permit.send(event).try_reserve_owned().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn provided(key: u8) -> Event {
        Event::Provided { key: [key; 32], result: Ok(()) }
    }

    fn key(event: Option<Event>) -> Option<u8> {
        match event {
            Some(Event::Provided { key, .. }) => Some(key[0]),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_full_channel_keeps_order_bounds_the_backlog_and_refuses_what_may_be_dropped() {
        let (events, mut received) = mpsc::channel(4);
        let counters = Counters::default();
        let mut outbox = Outbox::new(events, 3, 1 << 20, counters.clone());
        assert!(outbox.offer(provided(0)));
        assert!(outbox.offer(provided(1)));
        assert!(outbox.offer(provided(2)));
        assert!(!outbox.offer(provided(99)), "the last quarter is for what the node waits for");
        for number in 3..9 {
            outbox.push(provided(number));
        }
        assert_eq!(counters.drops("events"), 2, "one fits the channel, three the backlog");
        assert!(!outbox.offer(provided(99)));
        let mut seen = Vec::new();
        while outbox.waits() {
            seen.push(key(received.recv().await));
            let room = outbox.sender().reserve_owned().await.expect("the receiver lives");
            outbox.flush(room);
        }
        while let Ok(event) = received.try_recv() {
            seen.push(key(Some(event)));
        }
        assert_eq!(seen, (0..7).map(Some).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_backlog_is_bounded_in_bytes() {
        let (events, _received) = mpsc::channel(1);
        let counters = Counters::default();
        let mut outbox = Outbox::new(events, 100, 1000, counters.clone());
        let from = althing_record::NodeId([1; 32]);
        for request in 0..4 {
            outbox.push(Event::Response { request, from, bytes: vec![0; 400] });
        }
        assert_eq!((outbox.backlog.len(), counters.drops("events")), (2, 1));
    }
}
