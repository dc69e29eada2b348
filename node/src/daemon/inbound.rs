use std::sync::Arc;

use althing_engine::{Input, LookupEnd, MessageNo, ReplyNo, Request, RequestNo, Response};
use althing_net::{Event, MessageRef, Net, ReplyTo, Topic};
use althing_record::{Domain, Network, NodeId, Record, Verdict};
use tokio::sync::{Semaphore, mpsc};

use super::instruments::Instruments;

/// Messages that may be verified at once or wait for it; more are not taken up until there is room.
const VERIFYING_MAX: usize = 64;

/// An input, and what an answer to it has to name.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) input: Input,
    pub(super) answer_to: AnswerTo,
}

/// Where the answer to an input goes.
#[derive(Debug)]
pub(super) enum AnswerTo {
    Nobody,
    Gossip(MessageRef),
    Request(ReplyTo),
}

/// Turns what the swarm brings into inputs: parses and verifies everything off the event loop, so that the engine
/// never sees a byte that was not checked.
pub(super) struct Inbound {
    network: Arc<Network>,
    net: Net,
    inputs: mpsc::Sender<Arrival>,
    instruments: Arc<Instruments>,
    verifying: Arc<Semaphore>,
    numbers: u64,
}

impl Inbound {
    pub(super) fn new(
        network: Network,
        net: Net,
        inputs: mpsc::Sender<Arrival>,
        instruments: Arc<Instruments>,
    ) -> Self {
        let verifying = Arc::new(Semaphore::new(VERIFYING_MAX));
        Self { network: Arc::new(network), net, inputs, instruments, verifying, numbers: 0 }
    }

    pub(super) async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            self.take(event).await;
        }
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Connected { node, .. } => self.give(Input::Connected(node)).await,
            Event::Disconnected { node } => self.give(Input::Disconnected(node)).await,
            Event::Listening(_) | Event::Addresses => {
                let state = self.net.state();
                self.give(Input::Addresses(super::reaching::published(&state, self.net.id()))).await;
            }
            Event::Gossip { message, from, topic, bytes } => self.gossip(message, from, topic, bytes).await,
            Event::Request { reply, from, bytes } => match Request::parse(&bytes) {
                Ok(request) => {
                    self.numbers += 1;
                    let input = Input::Request { reply: ReplyNo(self.numbers), from, request };
                    self.send(Arrival { input, answer_to: AnswerTo::Request(reply) }).await;
                }
                Err(error) => {
                    tracing::debug!(%from, %error, "request not understood");
                    self.instruments.invalid("request");
                    blame(&self.net, from, !error.is_newer());
                    // The asker learns at once that it will get nothing.
                    let _ = self.net.respond(reply, Response::Busy.to_bytes());
                }
            },
            Event::Response { request, from, bytes } => self.response(request, from, bytes).await,
            Event::RequestFailed { request, node, cause } => {
                tracing::debug!(%node, %cause, "request failed");
                self.give(Input::RequestFailed(RequestNo(request))).await;
            }
            Event::Providers { query, providers, last, answered } => {
                let end = if answered { LookupEnd::Answered } else { LookupEnd::Unanswered };
                let end = last.then_some(end);
                self.give(Input::LookupFound { query: althing_engine::QueryNo(query), providers, end }).await;
            }
            Event::Provided { result, .. } => {
                if let Err(cause) = result {
                    tracing::debug!(cause, "announcement reached nobody yet");
                }
            }
        }
    }

    async fn gossip(&mut self, message: MessageRef, from: NodeId, topic: Topic, bytes: Vec<u8>) {
        let Ok(permit) = self.verifying.clone().acquire_owned().await else { return };
        self.numbers += 1;
        let no = MessageNo(self.numbers);
        let (network, net) = (self.network.clone(), self.net.clone());
        let (inputs, instruments) = (self.inputs.clone(), self.instruments.clone());
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let verdict = match Record::verify(&bytes, &network) {
                Ok(record) if record.kind().domain().map(topic_of) == Some(topic) => {
                    let input = Input::Gossip { message: no, from, record };
                    let arrival = Arrival { input, answer_to: AnswerTo::Gossip(message) };
                    // The permits bound how many wait here; a closed queue means that the node is stopping.
                    let _ = inputs.blocking_send(arrival);
                    return;
                }
                Ok(_) => {
                    instruments.invalid("wrong_topic");
                    Verdict::Reject
                }
                Err(error) => {
                    tracing::debug!(%from, %error, "gossip refused");
                    instruments.invalid(error.name());
                    error.verdict()
                }
            };
            let _ = net.verdict(message, verdict);
        });
    }

    async fn response(&mut self, request: u64, from: NodeId, bytes: Vec<u8>) {
        let Ok(permit) = self.verifying.clone().acquire_owned().await else { return };
        let (network, inputs, net) = (self.network.clone(), self.inputs.clone(), self.net.clone());
        let instruments = self.instruments.clone();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let request = RequestNo(request);
            let input = match Response::parse(&bytes, &network) {
                Ok(response) => {
                    if let Response::Records { invalid, .. } = &response {
                        invalid.iter().for_each(|error| instruments.invalid(error.name()));
                        // Who answers has verified what it holds.
                        blame(&net, from, invalid.iter().any(|error| error.verdict() == Verdict::Reject));
                    }
                    Input::Response { request, response }
                }
                Err(error) => {
                    tracing::debug!(%from, %error, "response not understood");
                    instruments.invalid("response");
                    blame(&net, from, !error.is_newer());
                    Input::RequestFailed(request)
                }
            };
            let _ = inputs.blocking_send(Arrival { input, answer_to: AnswerTo::Nobody });
        });
    }

    async fn give(&self, input: Input) {
        self.send(Arrival { input, answer_to: AnswerTo::Nobody }).await;
    }

    async fn send(&self, arrival: Arrival) {
        // A closed queue means that the node is stopping.
        let _ = self.inputs.send(arrival).await;
    }
}

/// Lets a peer pay for what it sent, if that is wrong from its bytes alone.
fn blame(net: &Net, node: NodeId, wrong: bool) {
    if wrong {
        // The swarm is too busy to hear of it: the next time, then.
        let _ = net.blame(node);
    }
}

pub(super) fn topic_of(domain: Domain) -> Topic {
    match domain {
        Domain::Directory => Topic::Directory,
        Domain::Ledger | Domain::Ratings => Topic::Ledger,
    }
}
