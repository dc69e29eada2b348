//! The fold law: one set of records, in whatever order, repeated, and with a crash anywhere, gives one set of views.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::OnceLock;

use althing_agree::FIRST_KEYS;
use althing_ballot::{
    BallotSeed, Choice, ClosedTerms, Electorate, GroupState, Occasion, Proposal, ProposalBody, Question,
    Rule, Sealed, Sealing, TrusteeKeys, TrusteeSecret, leaf,
};
use althing_card::Card;
use althing_engine::{Config, Effect, Engine, Gate, GuardStatus, HostedAgent, Input, MessageNo, Now, Timing};
use althing_record::{
    AgentKey, Change, Digest, Domain, Draft, GroupId, Kind, NodeId, Placement, Record, RecordId, cbor,
};
use althing_sim::{Sim, Views, agent_key, red_or_blue};
use althing_store::{Batch, CommitNo, Guard, Memory};
use althing_testkit::{
    MADE, agent, chain, founding, identity, joining, leaves, membership, network, node, rotation, sign, slot,
};
use proptest::prelude::*;

const NOW: Now = Now { wall: MADE, ticks: 0 };

/// An engine whose batches may be kept back, and then be lost.
struct Player {
    store: Memory,
    engine: Engine<Memory>,
    written: CommitNo,
    held: Vec<(CommitNo, Batch)>,
    gate: Gate,
    messages: u64,
}

impl Player {
    fn new() -> Self {
        let store = Memory::default();
        Self {
            engine: start(&store, CommitNo(0)),
            store,
            written: CommitNo(0),
            held: Vec::new(),
            gate: Gate::new(CommitNo(0)),
            messages: 0,
        }
    }

    fn deliver(&mut self, record: &Record) {
        self.messages += 1;
        let (message, from) = (MessageNo(self.messages), NodeId([1; 32]));
        self.engine.handle(NOW, Input::Gossip { message, from, record: record.clone() });
        while let Some(output) = self.engine.poll() {
            match self.gate.pass(output) {
                Some(Effect::Commit(no, batch)) => self.held.push((no, batch)),
                Some(Effect::Halt(cause)) => panic!("halted: {cause}"),
                _ => {}
            }
        }
    }

    fn write(&mut self) {
        for (no, batch) in std::mem::take(&mut self.held) {
            self.store.apply(&batch);
            self.written = no;
        }
        self.engine.handle(NOW, Input::Committed(self.written));
        while self.engine.poll().is_some() {}
    }

    fn crash(&mut self) {
        self.held.clear();
        self.engine = start(&self.store, self.written);
        self.gate = Gate::new(self.written);
        while let Some(output) = self.engine.poll() {
            if let Effect::Commit(no, batch) = output.effect {
                self.held.push((no, batch));
            }
        }
    }

    fn sees(&self) -> (Views, Vec<Digest>) {
        let digests = Domain::ALL.iter().map(|domain| self.engine.digest(*domain, NOW).unwrap());
        (Views::read(self.engine.store(), NOW.wall), digests.collect())
    }
}

fn start(store: &Memory, last_commit: CommitNo) -> Engine<Memory> {
    let config = config(Vec::new(), GuardStatus::Ready(Guard::default()), last_commit);
    Engine::new(config, store.clone(), [7; 32], NOW).unwrap()
}

fn config(agents: Vec<HostedAgent>, guard: GuardStatus, last_commit: CommitNo) -> Config {
    Config {
        network: network(),
        node_key: node(1),
        agents,
        guard,
        last_commit,
        expects_peers: false,
        keeps_ledger: true,
        timing: Timing::default(),
    }
}

fn card(key: &AgentKey, event: Option<RecordId>, by: &AgentKey, revision: u64, skill: &str) -> Record {
    let json = format!(r#"{{"name":"n{revision}","skills":[{{"id":"{skill}"}}]}}"#);
    let body = cbor::to_vec(&Card::new(json.into_bytes()).unwrap().body());
    let draft = slot(key, Kind::Card, "", body);
    let placement = Placement::Slot { name: "".try_into().unwrap(), revision };
    sign(Draft { key_event: event, placement, ..draft }, by)
}

fn ballots(key: &AgentKey, seq: u64, proposals: &[(RecordId, Choice)]) -> Record {
    link(key, seq, leaves(key, None, proposals.iter().map(|(id, choice)| leaf(*id, choice)).collect()))
}

/// The draft at another position of its chain.
fn link(key: &AgentKey, seq: u64, draft: Draft) -> Record {
    let Placement::Chain { stream, incarnation, .. } = draft.placement.clone() else { panic!("a chain") };
    let prev = (seq > 0).then_some(RecordId([9; 32]));
    sign(Draft { placement: Placement::Chain { stream, incarnation, seq, prev }, ..draft }, key)
}

/// Cards under keys that were replaced and stolen, forks, double and triple ballots, batches over several proposals.
fn records() -> Vec<Record> {
    let (alice, recovery, thief, second) = (agent(1), agent(2), agent(3), agent(4));
    let inception = sign(identity(&alice, &recovery), &alice);
    let theft = sign(rotation(&inception, None, &thief), &alice);
    let rescue =
        sign(Draft { key_event: Some(inception.id()), ..rotation(&inception, None, &second) }, &recovery);
    let mut all = vec![
        card(&alice, None, &alice, 10, "text/translate"),
        card(&alice, None, &alice, 11, "text/summarise"),
        card(&alice, Some(theft.id()), &thief, 99, "text/steal"),
        card(&alice, Some(rescue.id()), &second, 12, "text/translate/fr"),
        card(&agent(5), None, &agent(5), 7, "text/translate"),
        card(&agent(5), None, &agent(5), 7, "image/draw"),
    ];
    all.extend([inception, theft, rescue]);
    let voters = |count| Electorate::equal((5..5 + count).map(|n| agent(n).agent()).collect()).unwrap();
    let motion = |count: u8, by: u8| {
        let body = ProposalBody::direct("?", &[], Rule::Approvals(0), &voters(count), 1, [count; 8]).unwrap();
        sign(chain(&agent(by), Kind::Proposal, None, cbor::to_vec(&body)), &agent(by))
    };
    // The last two stand at one position of one chain.
    let motions = [motion(4, 20), motion(3, 21), motion(5, 21)];
    let [one, two, three] = [0, 1, 2].map(|n| motions[n].id());
    const YES: Choice = Choice::Option(0);
    const NO: Choice = Choice::Option(1);
    all.extend(motions);
    for seq in 0..3 {
        // Two batches say the same and one says otherwise, whichever has the lowest id.
        let choice = if seq == 2 { NO } else { YES };
        all.push(ballots(&agent(5), seq, &[(one, choice), (RecordId([seq as u8; 32]), YES)]));
        all.push(ballots(
            &agent(6),
            seq,
            &[(one, YES), (two, [YES, NO, Choice::Abstain][seq as usize].clone())],
        ));
    }
    all.push(ballots(&agent(7), 0, &[(one, YES), (three, NO)]));
    all.push(ballots(&agent(7), 0, &[(one, YES), (three, YES)]));
    all.extend(group());
    // Of nobody's electorate.
    all.push(ballots(&agent(30), 0, &[(one, YES)]));
    all
}

/// A group that forks, one side of it longer; joinings that answer and that do not; changes that nobody may make, that
/// change nothing, or under a key that lost; and proposals to states of it that are and that are not.
fn group() -> Vec<Record> {
    let (ann, did) = (agent(40), |n: u8| agent(n).agent());
    let begin = founding(&ann, "translators");
    let id = GroupId(begin.id().0);
    let by = |n: u8, prev: &Record, change| membership(&agent(n), id, prev.id(), change);
    let invite = by(40, &begin, Change::Invite(did(41)));
    let join = joining(&agent(41), id, invite.id(), false);
    let add = by(40, &invite, Change::Add(did(41)));
    let leave = joining(&agent(41), id, add.id(), true);
    let promote = by(40, &add, Change::Promote(did(41)));
    let here = by(40, &promote, Change::Invite(did(42)));
    let there = by(41, &promote, Change::Invite(did(43)));
    let longer = by(40, &there, Change::Add(did(43)));
    let refused = [
        by(41, &begin, Change::Add(did(41))),
        by(40, &add, Change::Add(did(41))),
        by(40, &begin, Change::Remove(did(40))),
        membership(&ann, GroupId([9; 32]), begin.id(), Change::Invite(did(42))),
        joining(&agent(42), id, invite.id(), false),
        joining(&agent(41), id, begin.id(), true),
    ];
    let propose = |head: &Record, members: &[u8], by: u8| {
        let state = GroupState { group: id, head: head.id() };
        let electorate = Electorate::of_group(state, members.iter().map(|n| did(*n)).collect()).unwrap();
        let body =
            ProposalBody::direct("?", &[], Rule::Approvals(0), &electorate, 1, [head.id().0[0]; 8]).unwrap();
        sign(chain(&agent(by), Kind::Proposal, None, cbor::to_vec(&body)), &agent(by))
    };
    let proposals = [
        propose(&begin, &[40], 40),
        propose(&longer, &[40, 41, 43], 41),
        propose(&add, &[40, 42], 40),
        propose(&invite, &[40], 41),
    ];
    let mut all = vec![begin, invite, join, add, leave, promote, here, there, longer];
    all.extend(refused);
    all.extend(proposals);
    all
}

/// A sealed vote of agents 5 to 8 with trustees 20 to 23, of whom the first publishes two keys and all open.
fn sealed_records() -> Vec<Record> {
    let electorate = Electorate::equal((5..9).map(|n| agent(n).agent()).collect()).unwrap();
    let (electorate, rule) = (&electorate, Rule::Majority);
    let question = Question { text: "?", options: &[], rule, electorate, window_ms: 1, nonce: [1; 8] };
    let sealing = Sealing::new((20..24).map(|n| agent(n).agent()).collect(), None).unwrap();
    let terms = ClosedTerms { sealing: Some(sealing.clone()), ..ClosedTerms::default() };
    let body = ProposalBody::closed(&question, &terms).unwrap();
    let proposal = sign(chain(&agent(20), Kind::Proposal, None, cbor::to_vec(&body)), &agent(20));
    let id = proposal.id();
    let parsed = Proposal::from_record(&proposal).unwrap();
    let mut all = vec![proposal];
    let mut keys = TrusteeKeys::new();
    for n in 20..24 {
        let (trustee, other) = (agent(n), agent(n + 100));
        let secrets = [&trustee, &other].map(|key| TrusteeSecret::of(key, network().id(), id));
        let count = if n == 20 { 2 } else { 1 };
        for (seq, secret) in (1..).zip(&secrets[..count]) {
            let body = cbor::to_vec(&secret.key_body(id));
            all.push(link(&trustee, seq, chain(&trustee, Kind::TrusteeKey, None, body)));
        }
        keys.insert(sealing.place(trustee.agent()).unwrap(), secrets[0].public());
        // The other key of three of them was never published, so that nothing opens it.
        for (seq, secret) in (3..).zip(&secrets) {
            let body = cbor::to_vec(&secret.opening_body(id));
            all.push(link(&trustee, seq, chain(&trustee, Kind::Opening, None, body)));
        }
    }
    for n in 5..9 {
        let voter = agent(n);
        let occasion = Occasion { network: network().id(), proposal: &parsed, voter: voter.agent() };
        for (seq, choice) in (0..).zip([Choice::Option(0), Choice::Option(u32::from(n % 2))]) {
            let seed = BallotSeed::of(&voter, &occasion, &keys, &choice).unwrap();
            let sealed = Sealed::seal(&occasion, &keys, &choice, &seed).unwrap();
            all.push(ballots(&voter, seq, &[(id, Choice::Sealed(sealed))]));
        }
    }
    all
}

/// All that was said in a vote of four closers, of whom three were given other keys meanwhile.
fn rotated_records() -> &'static [Record] {
    static RECORDS: OnceLock<Vec<Record>> = OnceLock::new();
    RECORDS.get_or_init(|| {
        let mut net = Sim::settled(77, 4);
        let voters = net.agents(0..4);
        let _ = net.rotate(1);
        net.run_for(1_000);
        let proposal = net.node(0).proposes(red_or_blue(&voters, 4_000));
        net.run_for(1_000);
        net.all_say(proposal, ["red", "red", "blue"]);
        net.run_for(2_500);
        let _ = net.rotate(2);
        let _ = net.rotate(0);
        net.run_for(20_000);
        assert!(net.is_decided(0, proposal, "red"));
        let kinds = [
            Kind::Inception,
            Kind::Rotation,
            Kind::Proposal,
            Kind::BallotBatch,
            Kind::BallotAck,
            Kind::CloseReport,
            Kind::Agreement,
        ];
        kinds.into_iter().flat_map(|kind| net.records(0, kind)).collect()
    })
}

#[derive(Clone, Debug)]
enum Step {
    Deliver(usize),
    Write,
    Crash,
}

fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..count).prop_map(Step::Deliver),
        2 => Just(Step::Write),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 0..60)
}

fn play(records: &[Record], steps: &[Step], rest: &[usize]) -> (Views, Vec<Digest>) {
    let mut player = Player::new();
    for step in steps {
        match step {
            Step::Deliver(at) => player.deliver(&records[*at]),
            Step::Write => player.write(),
            Step::Crash => player.crash(),
        }
    }
    // Reconciliation offers again what came before its time, until nothing is left to offer.
    for _ in 0..8 {
        rest.iter().for_each(|at| player.deliver(&records[*at]));
        player.write();
    }
    let seen = player.sees();
    player.crash();
    assert_eq!(player.sees(), seen, "a restart shows the same");
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_repetition_and_crashes_do_not_change_the_views(
        steps in steps(records().len()),
        rest in Just((0..records().len()).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let records = records();
        let plain: Vec<_> = (0..records.len()).collect();
        let expected = play(&records, &[], &plain);
        prop_assert_eq!(play(&records, &steps, &rest), expected);
    }

    #[test]
    fn nor_do_they_what_is_known_of_a_sealed_vote(
        steps in steps(sealed_records().len()),
        rest in Just((0..sealed_records().len()).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let records = sealed_records();
        let plain: Vec<_> = (0..records.len()).collect();
        let expected = play(&records, &[], &plain);
        prop_assert_eq!(play(&records, &steps, &rest), expected);
    }

    #[test]
    fn nor_do_they_what_closers_with_several_keys_decided(
        steps in steps(rotated_records().len()),
        rest in Just((0..rotated_records().len()).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let records = rotated_records();
        let plain: Vec<_> = (0..records.len()).collect();
        let expected = play(records, &[], &plain);
        prop_assert_eq!(play(records, &steps, &rest), expected);
    }
}

#[test]
fn a_vote_of_closers_with_several_keys_is_decided_whatever_came_first() {
    use althing_store::Table;
    let records = rotated_records();
    let is_later = |record: &&Record| record.kind() == Kind::Agreement && record.header().key.is_some();
    let speakers: std::collections::BTreeSet<_> =
        records.iter().filter(is_later).map(Record::agent).collect();
    assert!(speakers.len() > 1, "{} closers spoke with another key than their first", speakers.len());
    // The identity records come last, and then first.
    for order in [(0..records.len()).rev().collect::<Vec<_>>(), (0..records.len()).collect()] {
        let (views, _) = play(records, &[], &order);
        let tags = |tag: u8| {
            views.rows.keys().filter(|(of, key)| *of == Table::VoteView && key.first() == Some(&tag)).count()
        };
        assert_eq!((tags(b'd'), tags(b'o')), (1, 0), "one decision, and nothing that waits");
    }
}

#[test]
fn a_sealed_vote_shows_what_it_should() {
    use althing_store::Table;
    let records = sealed_records();
    let plain: Vec<_> = (0..records.len()).collect();
    let (views, _) = play(&records, &[], &plain);
    let count = |tag: u8| {
        let rows = views.rows.keys().filter(|(of, key)| *of == Table::VoteView && key.first() == Some(&tag));
        rows.count()
    };
    // Five keys, each opened, and all trustees have opened; of four voters two said two things.
    assert_eq!((count(b'k'), count(b'x'), count(b's'), count(b'b')), (5, 5, 0, 6));
    let evidence = views.rows.keys().filter(|(of, _)| *of == Table::EvidenceView);
    assert_eq!(evidence.count(), 3);
}

#[test]
fn a_statement_in_the_guard_waits_for_the_keys_that_it_shows() {
    use althing_ballot::{AgreementBody, BallotError, instance};
    use althing_store::Table;
    let records = rotated_records();
    let of = |kind: Kind| records.iter().filter(move |record| record.kind() == kind);
    let proposal = of(Kind::Proposal).next().unwrap();
    let instance = instance(&network(), &Proposal::from_record(proposal).unwrap()).unwrap();
    let waits = |record: &&Record| {
        let part = AgreementBody::from_record(record).unwrap();
        let said = part.entry(record, &instance, FIRST_KEYS);
        record.header().key.is_none() && matches!(said, Err(BallotError::UnknownKey(_)))
    };
    let kept = of(Kind::Agreement).find(waits).expect("a precommit that rests on prevotes by other keys");
    let (agents, pending) = (vec![kept.agent()], vec![kept.bytes().to_vec()]);
    let hosted = agents.iter().map(|agent| {
        let key = (0..4).map(agent_key).find(|key| key.agent() == *agent).unwrap();
        HostedAgent { agent: *agent, key, recovery_key_hash: Digest([7; 32]) }
    });
    let store = Memory::default();
    let guard = Guard { pending, ..Guard::default() };
    let config = config(hosted.collect(), GuardStatus::Ready(guard), CommitNo(0));
    let mut player = Player::new();
    player.engine = Engine::new(config, store.clone(), [7; 32], NOW).unwrap();
    player.store = store;
    let rows = |player: &Player, tag: u8| {
        let (views, _) = player.sees();
        views.rows.keys().filter(|(of, key)| *of == Table::VoteView && key.first() == Some(&tag)).count()
    };
    player.deliver(proposal);
    assert_eq!((rows(&player, b'o'), rows(&player, b'w')), (1, 0));
    of(Kind::Inception).chain(of(Kind::Rotation)).for_each(|record| player.deliver(record));
    assert_eq!((rows(&player, b'o'), rows(&player, b'w')), (0, 1));
}

/// The records of the group stand each at the beginning of a chain, which is a fork of its author's.
fn is_of_group(key: &[u8]) -> bool {
    (40..44).any(|n| key.starts_with(&agent(n).agent().0))
}

#[test]
fn views_show_what_they_should() {
    use althing_store::Table;
    let records = records();
    let plain: Vec<_> = (0..records.len()).collect();
    let (views, _) = play(&records, &[], &plain);
    let rows = |table| views.rows.iter().filter(move |((of, _), _)| *of == table);
    // The double ballots of agents 5, 6 and 7, the forks of the chains of 7 and 21, and Alice's fork of her identity.
    assert_eq!(rows(Table::EvidenceView).filter(|((_, key), _)| !is_of_group(key)).count(), 6);
    for (_, value) in rows(Table::EvidenceView) {
        assert_ne!(value[..32], value[32..]);
        let named = |at| records.iter().find(|record| record.id().0[..] == value[at..at + 32]).unwrap();
        let (first, second) = (named(0), named(32));
        let is_fork = althing_record::Fork::prove(first, second).is_some();
        assert!(is_fork || !althing_ballot::DoubleBallot::prove(first, second).is_empty());
    }
    // Of what was said in the group: the changes that follow, and the joinings that answer something.
    let begins = |first: u8| rows(Table::GroupView).filter(move |((_, key), _)| key[0] == first).count();
    assert_eq!([b'f', b'c', b'n', b'j'].map(begins), [1, 6, 6, 2]);
    let proposals = rows(Table::VoteView).filter(|((_, key), _)| key[0] == b'p').count();
    assert_eq!(proposals, 5, "three to lists, and two to states of the group that are");
    // Of Alice only the card under the key that her recovery key chose is left.
    assert_eq!(rows(Table::Slot).count(), 2);
    let alice = agent(1).agent().0;
    let labels = rows(Table::CardView).filter_map(|((_, key), _)| key.strip_suffix(&alice[..16]));
    let skills: Vec<_> = labels.filter(|label| label.starts_with(b"x")).collect();
    assert_eq!(skills, [b"xtext/translate/fr\0"]);
}
