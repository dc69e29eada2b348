//! What is said of each kind of bad record: Reject for what its bytes prove wrong, which costs whoever passed it on;
//! Ignore for what an honest relay could not know. Neither is stored, so neither is relayed or found.

use althing_card::{Card, LEASE_LIFETIME_MS, Lease};
use althing_engine::{
    AUTHOR_BURST, Answer, Ask, AskNo, Effect, Engine, Find, Found, Input, LookupEnd, MessageNo, Output,
    QueryNo, Request, RequestNo, Response, live_records,
};
use althing_record::cbor::{self, Writer};
use althing_record::{
    AgentId, AgentKey, Domain, Draft, Header, Kind, Millis, NodeId, Placement, Record, RecordId, Verdict,
};
use althing_store::{CommitNo, Memory};
use althing_testkit::{MADE, Raw, agent, body, chain, foreign_network, forger, network, node, sign, slot};

use crate::lab::{asked, config, now};

/// Who passes things on.
const RELAY: NodeId = NodeId([9; 32]);

/// Whose card is known to all, in this revision.
const REVISION: u64 = MADE.0 + 5;

struct Listener {
    engine: Engine<Memory>,
    asks: u64,
}

impl Listener {
    /// A node that knows one card in its newest revision, and that another agent is served somewhere, but no card of it.
    fn new() -> Self {
        let engine = Engine::new(config(), Memory::default(), [7; 32], now(0)).unwrap();
        let mut listener = Self { engine, asks: 0 };
        listener.drain();
        for record in [honest(REVISION), lease(&alice(), &node(5)), lease(&mallory(), &node(6))] {
            assert_eq!(listener.hears(record.bytes()), Verdict::Accept);
        }
        listener
    }

    fn drain(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.engine.poll()).map(|Output { effect, .. }| effect).collect()
    }

    fn tell(&mut self, input: Input) -> Vec<Effect> {
        self.engine.handle(now(1), input);
        self.drain()
    }

    /// What gossip does with these bytes: the envelope is verified first, and the engine has the last word.
    fn hears(&mut self, bytes: &[u8]) -> Verdict {
        let record = match Record::verify(bytes, &network()) {
            Ok(record) if record.kind().domain() == Some(Domain::Directory) => record,
            Ok(record) if record.kind() == Kind::BallotBatch => record,
            Ok(_) => return Verdict::Reject,
            Err(error) => return error.verdict(),
        };
        let effects = self.tell(Input::Gossip { message: MessageNo(1), from: RELAY, record });
        assert!(
            !effects.iter().any(|effect| matches!(effect, Effect::Publish(..))),
            "only the verdict relays"
        );
        let verdicts: Vec<_> = effects
            .iter()
            .filter_map(|effect| if let Effect::Verdict(_, verdict) = effect { Some(*verdict) } else { None })
            .collect();
        let [verdict] = verdicts[..] else { panic!("one verdict a message: {verdicts:?}") };
        verdict
    }

    /// What it would give others by reconciliation.
    fn held(&self) -> Vec<RecordId> {
        let page = live_records(self.engine.store(), &network(), None, &[], now(1).wall).unwrap();
        assert!(page.next.is_none(), "all of it fits one page");
        page.records.iter().map(Record::id).collect()
    }

    /// Searches, and lets the only provider that the directory names answer with these bytes, in this version.
    fn finds(&mut self, provider: NodeId, answer: &[Vec<u8>], version: u8) -> Found {
        self.asks += 1;
        let query = "skill:text".parse().unwrap();
        let find = Find { query, limit: 10, after: None, live: true };
        let effects = self.tell(Input::Ask { no: AskNo(self.asks), ask: Ask::Find(find) });
        let query = effects
            .iter()
            .find_map(|effect| if let Effect::Lookup(query, _) = effect { Some(*query) } else { None });
        let query: QueryNo = query.expect("a lookup");
        let end = Some(LookupEnd::Answered);
        let effects = self.tell(Input::LookupFound { query, providers: vec![provider], end });
        let (request, _): (RequestNo, Request) = asked(&effects).expect("the provider is asked");
        let (mut records, mut invalid) = (Vec::new(), Vec::new());
        for bytes in answer {
            match Record::verify(bytes, &network()) {
                Ok(record) => records.push(record),
                Err(error) => invalid.push(error),
            }
        }
        let response = match version {
            1 => Response::Records { served: answer.len() as u64, records, invalid },
            _ => Response::Cards { next: None, records, invalid },
        };
        let effects = self.tell(Input::Response { request, response });
        let found = effects.into_iter().find_map(|effect| {
            let Effect::Reply(_, Answer::Found(found)) = effect else { return None };
            Some(found)
        });
        found.expect("the search ends")
    }
}

/// Which agents an answer names, and in which revision of their cards.
fn named(found: &Found) -> Vec<(AgentId, u64)> {
    found.agents.iter().map(|found| (found.card.agent, found.card.revision)).collect()
}

fn alice() -> AgentKey {
    agent(3)
}

fn mallory() -> AgentKey {
    agent(4)
}

fn card_draft(key: &AgentKey, revision: u64, body: Vec<u8>) -> Draft {
    let mut draft = slot(key, Kind::Card, "", body);
    draft.placement = Placement::Slot { name: "".try_into().unwrap(), revision };
    draft
}

fn json(skill: &str) -> Vec<u8> {
    format!(r#"{{"name":"x","skills":[{{"id":"{skill}"}}]}}"#).into_bytes()
}

fn card_body(skill: &str) -> Vec<u8> {
    cbor::to_vec(&Card::new(json(skill)).unwrap().body())
}

fn honest(revision: u64) -> Record {
    sign(card_draft(&alice(), revision, card_body("text/translate")), &alice())
}

/// A card of Mallory's that would be found if it were taken.
fn tempting() -> Record {
    sign(card_draft(&mallory(), REVISION, card_body("text/translate")), &mallory())
}

fn lease(key: &AgentKey, of: &althing_record::NodeKey) -> Record {
    lease_draft(key, of.node(), of, &of.node().to_string())
}

/// A lease that names a node, with the signature of a node's key, in a slot.
fn lease_draft(key: &AgentKey, of: NodeId, by: &althing_record::NodeKey, name: &str) -> Record {
    let expires = MADE.plus(LEASE_LIFETIME_MS);
    let lease = Lease { agent: key.agent(), node: of, addresses: Vec::new(), expires };
    let mut draft = slot(key, Kind::Lease, name, cbor::to_vec(&lease.body(network().id(), by)));
    draft.expires = Some(expires);
    sign(draft, key)
}

/// Mallory's card with another body, validly signed.
fn with_body(body: Vec<u8>) -> Vec<u8> {
    Raw { payload: body, ..Raw::of(&tempting()) }.signed_by(&mallory()).bytes()
}

fn with_header(change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = tempting().header().clone();
    change(&mut header);
    Raw { protected: cbor::to_vec(&header), ..Raw::of(&tempting()) }.signed_by(&mallory()).bytes()
}

/// The body of a card of one skill, with labels of the author's choice and one more entry.
fn labelled(skill: &str, labels: &[&str], version: u64, more: Option<i64>) -> Vec<u8> {
    let mut to = Writer::default();
    to.map(3 + usize::from(more.is_some()));
    to.entry(0, &version);
    to.uint(1);
    to.bytes(&json(skill));
    to.uint(2);
    to.array(labels.len());
    labels.iter().for_each(|label| to.text(label));
    if let Some(key) = more {
        to.entry(key, &0_u64);
    }
    to.into_bytes()
}

/// What its bytes alone prove wrong. Whoever passes it on has not looked.
fn wrong() -> Vec<(&'static str, Vec<u8>)> {
    let foreign = card_draft(&mallory(), REVISION, card_body("text/x")).sign(&mallory(), &foreign_network());
    let other = node(7);
    vec![
        ("a newer card in another's name", forger(&honest(REVISION + 1), &mallory())),
        ("a card of a foreign network", foreign.unwrap().bytes().to_vec()),
        ("a label that the card does not have", with_body(labelled("other", &["text/x"], 1, None))),
        ("one label too many", with_body(labelled("other", &["other", "text/x"], 1, None))),
        ("a label withheld", with_body(labelled("text/x", &[], 1, None))),
        ("an entry below 128 that no version has", with_body(labelled("text/x", &["text/x"], 1, Some(7)))),
        ("a body that is no card", with_body(body(1))),
        (
            "a card in another slot",
            with_header(|header| {
                header.placement = Placement::Slot { name: "x".try_into().unwrap(), revision: REVISION };
            }),
        ),
        (
            "a node's claim that it did not sign",
            lease_draft(&mallory(), other.node(), &node(8), &other.node().to_string()).bytes().to_vec(),
        ),
        (
            "a lease in another node's slot",
            lease_draft(&mallory(), other.node(), &other, &node(8).node().to_string()).bytes().to_vec(),
        ),
    ]
}

/// What an honest relay can have passed on: its clock, its version, or what it had heard by then was another.
fn unknowable() -> Vec<(&'static str, Vec<u8>)> {
    let aged = |made: Millis, expires: Millis| {
        let draft = card_draft(&mallory(), REVISION, card_body("text/x"));
        sign(Draft { made, expires: Some(expires), ..draft }, &mallory()).bytes().to_vec()
    };
    let hour = 60 * Millis::MINUTE;
    let successor = agent(0xee);
    let rotated = Draft {
        agent: mallory().agent(),
        key_event: Some(RecordId([0xee; 32])),
        ..card_draft(&successor, REVISION, card_body("text/x"))
    };
    let electorate = althing_ballot::Electorate::equal(vec![mallory().agent()]).unwrap();
    let rule = althing_ballot::Rule::Unanimous;
    let question = althing_ballot::ProposalBody::direct("q?", &[], rule, &electorate, 60_000, [0; 8]);
    let question = sign(chain(&alice(), Kind::Proposal, None, cbor::to_vec(&question.unwrap())), &alice());
    let ballot = althing_ballot::leaf(question.id(), &althing_ballot::Choice::Option(0));
    let ballot = sign(althing_testkit::leaves(&mallory(), None, vec![ballot]), &mallory());
    vec![
        ("a stale revision", honest(REVISION - 1).bytes().to_vec()),
        ("a duplicate", honest(REVISION).bytes().to_vec()),
        ("an expired card", aged(MADE.minus(3 * hour), MADE.minus(2 * hour))),
        ("a card from the future", aged(MADE.plus(hour), MADE.plus(2 * hour))),
        ("an unknown kind", with_header(|header| header.kind = 999)),
        ("a newer version", with_body(labelled("text/x", &["text/x"], 2, None))),
        ("an entry from 128 on", with_body(labelled("text/x", &["text/x"], 1, Some(128)))),
        ("a key that is not known yet", sign(rotated, &successor).bytes().to_vec()),
        ("a ballot before its proposal", ballot.bytes().to_vec()),
    ]
}

#[test]
fn what_is_wrong_is_rejected_what_could_not_be_known_is_ignored_and_neither_is_kept() {
    let mut listener = Listener::new();
    let held = listener.held();
    let rejected = wrong().into_iter().map(|(what, bytes)| (what, bytes, Verdict::Reject));
    let ignored = unknowable().into_iter().map(|(what, bytes)| (what, bytes, Verdict::Ignore));
    for (what, bytes, verdict) in rejected.chain(ignored) {
        assert_eq!(listener.hears(&bytes), verdict, "{what}");
        assert_eq!(listener.held(), held, "{what} is kept");
    }
    // Each of Mallory's cards was one change away from this one.
    assert_eq!(listener.hears(tempting().bytes()), Verdict::Accept);
    assert_eq!(listener.held().len(), held.len() + 1);
}

#[test]
fn who_relays_too_much_or_to_a_full_disk_is_ignored() {
    let mut listener = Listener::new();
    for revision in REVISION..REVISION + AUTHOR_BURST - 1 {
        let card = sign(card_draft(&mallory(), revision, card_body("text/x")), &mallory());
        assert_eq!(listener.hears(card.bytes()), Verdict::Accept);
    }
    let one_more = sign(card_draft(&mallory(), REVISION + 100, card_body("text/x")), &mallory());
    assert_eq!(listener.hears(one_more.bytes()), Verdict::Ignore, "over its author's quota");
    listener.tell(Input::CommitFailed { no: CommitNo(1), cause: "full".into() });
    assert_eq!(listener.hears(honest(REVISION + 1).bytes()), Verdict::Ignore, "nothing can be written");
}

/// All that belongs into a provider's answer beside a card: that Mallory is served there, and Alice elsewhere.
fn with_leases(card: Vec<u8>) -> Vec<Vec<u8>> {
    let leases = [lease(&mallory(), &node(6)), lease(&alice(), &node(5))];
    std::iter::once(card).chain(leases.iter().map(|lease| lease.bytes().to_vec())).collect()
}

#[test]
fn no_search_returns_what_gossip_would_not_take() {
    for version in [1, 2] {
        let mut listener = Listener::new();
        let held = listener.held();
        let expected = vec![(alice().agent(), REVISION)];
        for (what, bytes) in wrong().into_iter().chain(unknowable()) {
            let found = listener.finds(node(6).node(), &with_leases(bytes), version);
            assert_eq!(named(&found), expected, "{what}");
            assert_eq!(listener.held(), held, "{what} is kept");
        }
        let found = listener.finds(node(6).node(), &with_leases(tempting().bytes().to_vec()), version);
        assert_eq!(named(&found).len(), 2, "the provider's true card is returned");
    }
}

/// Who is named in the directory is asked; the name alone, which nobody signs there, is worth nothing.
#[test]
fn provider_that_shows_no_card_is_not_in_the_answer() {
    for version in [1, 2] {
        let mut listener = Listener::new();
        let liar = node(6).node();
        let expected = vec![(alice().agent(), REVISION)];
        let nothing = listener.finds(liar, &[], version);
        assert_eq!((nothing.providers, named(&nothing)), (1, expected.clone()));
        // A true card of its own, of another skill.
        let other = sign(card_draft(&mallory(), REVISION, card_body("other")), &mallory());
        let other = with_leases(other.bytes().to_vec());
        assert_eq!(named(&listener.finds(liar, &other, version)), expected);
        // Somebody else's true card: no agent of the liar's appears, and Alice appears once.
        let alices = with_leases(honest(REVISION).bytes().to_vec());
        assert_eq!(named(&listener.finds(liar, &alices, version)), expected);
        // A true card without a lease at the provider, which anybody could hold.
        let bare = listener.finds(liar, &[tempting().bytes().to_vec()], version);
        assert_eq!(named(&bare), expected);
    }
}
