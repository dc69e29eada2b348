//! A node without the ledger, among peers that hold more of what raters publish than one reconciliation can name.

use std::sync::Arc;

use althing_ballot::{Electorate, ProposalBody, Rule};
use althing_engine::{Answer, Ask, AskNo, Config, Effect, Engine, Input, Output, Request, Response, Said};
use althing_record::{Domain, Kind, NodeId, Record, RecordId, cbor};
use althing_store::Memory;
use althing_sync::{Elements, NEED_MAX};
use althing_testkit::{MADE, agent, chain, sign};

use crate::lab::{asked, config, now};

/// A peer that holds a proposal, and names so many attestations.
struct Peer {
    proposal: Record,
    ledger: Arc<Elements>,
    ratings: Arc<Elements>,
    empty: Arc<Elements>,
    /// Domains in which it was asked to reconcile.
    asked: Vec<Domain>,
}

impl Peer {
    fn new() -> Self {
        let (voter, other) = (agent(1), agent(3));
        let electorate = Electorate::equal(vec![voter.agent(), other.agent()]).unwrap();
        let body = ProposalBody::direct("q?", &[], Rule::Unanimous, &electorate, 60_000, [0; 8]).unwrap();
        let proposal = sign(chain(&other, Kind::Proposal, None, cbor::to_vec(&body)), &other);
        let name = |n: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(n as u64).to_be_bytes());
            (MADE, RecordId(id))
        };
        Self {
            ledger: Arc::new(Elements::new([(MADE, proposal.id())])),
            ratings: Arc::new(Elements::new((0..=NEED_MAX).map(name))),
            empty: Arc::new(Elements::new([])),
            proposal,
            asked: Vec::new(),
        }
    }

    fn answer(&mut self, request: &Request) -> Response {
        if let Request::Reconcile { domain, message, .. } = request {
            self.asked.push(*domain);
            let held = match domain {
                Domain::Directory => &self.empty,
                Domain::Ledger => &self.ledger,
                Domain::Ratings => &self.ratings,
            };
            return Response::Reconcile {
                message: althing_sync::answer(held, message).unwrap(),
                clock: MADE,
            };
        }
        let Request::Fetch { ids } = request else { panic!("{request:?}") };
        let records = ids.contains(&self.proposal.id()).then(|| self.proposal.clone());
        Response::Records {
            served: ids.len() as u64,
            records: records.into_iter().collect(),
            invalid: Vec::new(),
        }
    }
}

fn drain(engine: &mut Engine<Memory>) -> Vec<Effect> {
    std::iter::from_fn(|| engine.poll()).map(|Output { effect, .. }| effect).collect()
}

#[test]
fn it_reconciles_wholly_and_votes_however_many_attestations_peers_hold() {
    let config = Config { keeps_ledger: false, ..config() };
    let mut engine = Engine::new(config, Memory::default(), [7; 32], now(0)).unwrap();
    drain(&mut engine);
    let mut peer = Peer::new();
    engine.handle(now(1), Input::Connected(NodeId([9; 32])));
    while let Some((no, request)) = asked(&drain(&mut engine)) {
        let response = peer.answer(&request);
        engine.handle(now(2), Input::Response { request: no, response });
    }
    assert!(peer.asked.contains(&Domain::Ledger) && peer.asked.contains(&Domain::Directory));
    assert!(!peer.asked.contains(&Domain::Ratings), "{:?}", peer.asked);
    let ask = Ask::Cast {
        agent: agent(1).agent(),
        proposal: peer.proposal.id(),
        choice: Said::Option("yes".into()),
    };
    engine.handle(now(3), Input::Ask { no: AskNo(1), ask });
    let effects = drain(&mut engine);
    let cast = |effect: &Effect| matches!(effect, Effect::Reply(_, Answer::Cast { .. }));
    assert!(effects.iter().any(cast), "{effects:?}");
}
