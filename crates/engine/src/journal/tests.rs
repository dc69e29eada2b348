#![allow(clippy::wildcard_enum_match_arm, reason = "tests look for one case")]

use std::collections::VecDeque;

use althing_ballot::{Choice, Electorate, ProposalBody, Rule, Voter, leaf};
use althing_card::Card;
use althing_record::{
    AgentKey, Digest, Domain, Draft, Kind, Placement, Record, RecordId, cbor, recovery_key_hash,
};
use althing_store::{Batch, CommitNo, Guard, Memory, Op};
use althing_testkit::{MADE, agent, chain, identity, leaves, network, node, rotation, sign, slot};

use super::*;
use crate::{
    Ask, Config, Gate, GuardStatus, HostedAgent, Input, MessageNo, Now, Output, ProposalDraft, RefusalKind,
    Said, Timing,
};

/// An engine over a store in memory; commits wait in a queue until they are written.
struct Player {
    store: Memory,
    engine: Engine<Memory>,
    gate: Gate,
    written: CommitNo,
    queue: VecDeque<(CommitNo, Batch)>,
    answers: Vec<Answer>,
    journaled: u64,
    now: Now,
    numbered: u64,
}

impl Player {
    fn new(seed: u8) -> Self {
        Self::start(Memory::default(), CommitNo(0), seed)
    }

    fn start(store: Memory, written: CommitNo, seed: u8) -> Self {
        let key = agent(1);
        let recovery_key_hash = recovery_key_hash(&agent(101).public());
        let config = Config {
            network: network(),
            node_key: node(1),
            agents: vec![HostedAgent { agent: key.agent(), key, recovery_key_hash }],
            guard: GuardStatus::Ready(Guard::default()),
            last_commit: written,
            expects_peers: false,
            keeps_ledger: true,
            timing: Timing::default(),
        };
        let now = Now { wall: MADE, ticks: 0 };
        let mut player = Self {
            engine: Engine::new(config, store.clone(), [seed; 32], now).unwrap(),
            store,
            gate: Gate::new(written),
            written,
            queue: VecDeque::new(),
            answers: Vec::new(),
            journaled: 0,
            now,
            numbered: 0,
        };
        player.drain();
        player
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll() {
            if let Some(effect) = self.gate.pass(output) {
                self.perform(effect);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Commit(no, batch) => self.queue.push_back((no, batch)),
            Effect::Reply(_, answer) => self.answers.push(answer),
            Effect::Journaled(next) => self.journaled = next,
            Effect::Halt(cause) => panic!("halted: {cause}"),
            _ => {}
        }
    }

    fn tell(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        self.drain();
    }

    /// Writes what is queued.
    fn write(&mut self) {
        while let Some((no, batch)) = self.queue.pop_front() {
            self.store.apply(&batch);
            self.written = no;
        }
        self.tell(Input::Committed(self.written));
        for effect in self.gate.committed(self.written) {
            self.perform(effect);
        }
    }

    fn hear(&mut self, record: &Record) {
        self.numbered += 1;
        let (message, from) = (MessageNo(self.numbered), NodeId([9; 32]));
        self.tell(Input::Gossip { message, from, record: record.clone() });
    }

    fn ask(&mut self, ask: Ask) -> Answer {
        self.numbered += 1;
        self.tell(Input::Ask { no: AskNo(self.numbered), ask });
        self.write();
        self.answers.pop().expect("an answer")
    }

    fn page(&mut self, from: EventsFrom, kinds: &[EventKind], limit: usize) -> EventsPage {
        match self.ask(Ask::Events { from, kinds: kinds.to_vec(), limit }) {
            Answer::Events(page) => *page,
            other => panic!("{other:?}"),
        }
    }

    fn events(&mut self) -> Vec<JournalEvent> {
        self.page(EventsFrom::Seq(1), &[], EVENTS_PAGE_MAX).events
    }

    fn names(&mut self) -> Vec<&'static str> {
        self.events().iter().map(|told| told.event.kind().name()).collect()
    }

    /// Lets the clocks go on and the engine do what is due.
    fn pass(&mut self, ms: u64) {
        self.now = Now { wall: self.now.wall.plus(ms), ticks: self.now.ticks + ms };
        self.tell(Input::Wake);
        self.write();
    }

    fn digests(&self) -> Vec<Digest> {
        Domain::ALL.iter().map(|domain| self.engine.digest(*domain, self.now).unwrap()).collect()
    }
}

fn card(key: &AgentKey, name: &str, revision: u64) -> Record {
    let json = format!("{{\"name\":\"{name}\",\"skills\":[{{\"id\":\"a\"}}]}}");
    let body = cbor::to_vec(&Card::new(json.into_bytes()).unwrap().body());
    sign(revised(slot(key, Kind::Card, "", body), revision), key)
}

fn revised(draft: Draft, revision: u64) -> Draft {
    let Placement::Slot { name, .. } = draft.placement else { panic!("no slot") };
    Draft { placement: Placement::Slot { name, revision }, ..draft }
}

fn motion(by: &AgentKey, voters: &[&AgentKey], nonce: u8) -> Record {
    let electorate = Electorate::equal(voters.iter().map(|voter| voter.agent()).collect()).unwrap();
    let body = ProposalBody::direct("ship?", &[], Rule::Unanimous, &electorate, 60_000, [nonce; 8]).unwrap();
    sign(chain(by, Kind::Proposal, None, cbor::to_vec(&body)), by)
}

fn ballot(by: &AgentKey, prev: Option<&Record>, proposal: RecordId, choice: Choice) -> Record {
    sign(leaves(by, prev, vec![leaf(proposal, &choice)]), by)
}

fn events_in(batch: &Batch) -> usize {
    let is_event =
        |op: &&Op| matches!(op, Op::Put { table: Table::Journal, key, .. } if key.first() == Some(&EVENT));
    batch.ops().iter().filter(is_event).count()
}

#[test]
fn an_event_and_what_it_tells_of_are_one_commit() {
    let mut player = Player::new(1);
    let (_, first) = player.queue.front().expect("the start is told");
    assert_eq!(events_in(first), 2, "the start, and the agent's identity");
    player.write();
    let record = card(&agent(3), "Tolk", 1);
    player.engine.handle(
        player.now,
        Input::Gossip { message: MessageNo(1), from: NodeId([9; 32]), record: record.clone() },
    );
    let outputs: Vec<Output> = std::iter::from_fn(|| player.engine.poll()).collect();
    let committed = outputs.iter().find_map(|output| match &output.effect {
        Effect::Commit(no, batch) => Some((*no, batch)),
        _ => None,
    });
    let (no, batch) = committed.unwrap();
    let holds = |wanted: &[u8]| {
        batch.ops().iter().any(|op| matches!(op, Op::Put { table: Table::Records, key, .. } if key == wanted))
    };
    assert!(holds(&record.id().0) && events_in(batch) == 1);
    let heard = outputs.iter().find(|output| matches!(output.effect, Effect::Journaled(4))).unwrap();
    assert_eq!(heard.after, Some(no), "readers hear of it when it is durable");
}

#[test]
fn events_are_shown_only_when_they_are_durable() {
    let mut player = Player::new(1);
    player.write();
    assert_eq!(player.journaled, 3);
    player.hear(&card(&agent(3), "Tolk", 1));
    let ask = Ask::Events { from: EventsFrom::Newest(9), kinds: Vec::new(), limit: 9 };
    player.tell(Input::Ask { no: AskNo(7), ask });
    assert!(player.answers.is_empty() && player.journaled == 3);
    player.write();
    let Some(Answer::Events(page)) = player.answers.pop() else { panic!() };
    assert_eq!((page.events.len(), page.next, page.end, player.journaled), (3, 4, 4, 4));
}

#[test]
fn each_change_is_told_once() {
    let mut player = Player::new(1);
    let (alice, bob) = (agent(3), agent(4));
    let proposal = motion(&agent(6), &[&alice, &bob], 1);
    player.hear(&proposal);
    const YES: Choice = Choice::Option(0);
    let first = ballot(&alice, None, proposal.id(), YES);
    player.hear(&first);
    player.hear(&first);
    // The same again in another link, a stranger's, and an unknown proposal's.
    let again = ballot(&alice, Some(&first), proposal.id(), YES);
    player.hear(&again);
    player.hear(&ballot(&agent(5), None, proposal.id(), YES));
    player.hear(&ballot(&bob, None, RecordId([7; 32]), YES));
    let second = ballot(&bob, None, proposal.id(), YES);
    player.hear(&second);
    player.hear(&ballot(&bob, Some(&second), proposal.id(), YES));
    // The second voter contradicts itself.
    let third = ballot(&bob, Some(&second), proposal.id(), Choice::Abstain);
    player.hear(&third);
    let told: Vec<_> = player.events().into_iter().skip(2).map(|told| told.event).collect();
    let cast = |voter: &AgentKey, ballot: &Record, choice: &str| Event::VoteCast {
        proposal: proposal.id(),
        voter: voter.agent(),
        ballot: ballot.id(),
        choice: choice.into(),
    };
    assert_eq!(
        told[0],
        Event::VoteProposed { proposal: proposal.id(), proposer: agent(6).agent(), question: "ship?".into() }
    );
    assert_eq!(told[1], cast(&alice, &first, "yes"));
    assert_eq!(told[2], cast(&bob, &second, "yes"));
    assert_eq!(told[3], Event::VoteDecided { proposal: proposal.id(), option: "yes".into() });
    let names: Vec<_> = told[4..].iter().map(|event| event.kind().name()).collect();
    // Bob's third and fourth links stand at one position.
    assert_eq!(names, ["evidence.found", "vote.cast", "evidence.found"]);
    assert_eq!(told[5], cast(&bob, &third, "abstain"));
}

#[test]
fn a_ballot_that_was_here_before_its_proposal_is_told_with_it() {
    let mut player = Player::new(1);
    let (alice, bob) = (agent(3), agent(4));
    let (known, later) = (motion(&alice, &[&bob], 1), motion(&agent(5), &[&bob], 2));
    player.hear(&known);
    const YES: Choice = Choice::Option(0);
    player.hear(&sign(leaves(&bob, None, vec![leaf(known.id(), &YES), leaf(later.id(), &YES)]), &bob));
    player.hear(&later);
    let names = player.names();
    assert_eq!(
        names[2..],
        ["vote.proposed", "vote.cast", "vote.decided", "vote.proposed", "vote.cast", "vote.decided"]
    );
}

#[test]
fn the_life_of_a_card_is_told() {
    let mut player = Player::new(1);
    let alice = agent(3);
    player.hear(&card(&alice, "Tolk", 1));
    let renewed = Draft {
        made: MADE.plus(1),
        ..slot(&alice, Kind::Card, "", card(&alice, "Tolk", 1).payload().to_vec())
    };
    player.hear(&sign(revised(renewed, 2), &alice));
    player.hear(&card(&alice, "Dolmetscher", 3));
    player.hear(&sign(slot(&alice, Kind::Lease, &node(3).node().to_string(), vec![0xa0]), &alice));
    // A body of version 1 that says nothing.
    let none = vec![0xa1, 0x00, 0x01];
    player.hear(&sign(revised(slot(&alice, Kind::Card, "", none), 4), &alice));
    player.hear(&card(&alice, "Tolk", 5));
    player.pass(366 * 24 * 60 * Millis::MINUTE);
    assert_eq!(
        player.names()[2..],
        ["card.published", "card.updated", "card.retracted", "card.published", "card.expired"]
    );
    let Event::CardUpdated(news) = &player.events()[3].event else { panic!() };
    assert_eq!((news.name.as_str(), news.revision), ("Dolmetscher", 3));
}

#[test]
fn an_agents_keys_are_told_and_what_goes_with_them() {
    let mut player = Player::new(1);
    let (alice, new) = (agent(3), agent(13));
    let inception = sign(identity(&alice, &agent(103)), &alice);
    player.hear(&inception);
    player.hear(&card(&alice, "Tolk", 1));
    player.hear(&sign(rotation(&inception, None, &new), &alice));
    assert_eq!(player.names()[2..], ["agent.known", "card.published", "agent.key-changed", "card.withdrawn"]);
    let Event::AgentKeyChanged { key, .. } = player.events()[4].event else { panic!() };
    assert_eq!(key, new.public());
}

#[test]
fn journals_differ_and_digests_do_not() {
    let (mut one, mut two) = (Player::new(1), Player::new(2));
    let records = [card(&agent(3), "a", 1), card(&agent(4), "b", 1), motion(&agent(5), &[&agent(5)], 1)];
    records.iter().for_each(|record| one.hear(record));
    records.iter().rev().for_each(|record| two.hear(record));
    assert_eq!(one.digests(), two.digests());
    let (one, two) = (one.events(), two.events());
    assert_ne!(
        one.iter().map(|told| &told.event).collect::<Vec<_>>(),
        two.iter().map(|told| &told.event).collect::<Vec<_>>()
    );
    assert_ne!(one[0].id.journal, two[0].id.journal);
}

#[test]
fn pages_join_without_gap_or_repetition() {
    let mut player = Player::new(1);
    for n in 3..40 {
        player.hear(&card(&agent(n), "x", 1));
    }
    let all = player.events();
    assert_eq!(all.len(), 39);
    assert!(all.iter().zip(1..).all(|(told, seq)| told.id.seq == seq));
    let (mut read, mut from) = (Vec::new(), EventsFrom::Seq(1));
    loop {
        let page = player.page(from, &[], 7);
        assert!(page.events.len() <= 7 && page.lost.is_none());
        if page.events.is_empty() {
            break;
        }
        assert_eq!(page.resume, page.events.last().unwrap().id);
        from = if read.len() % 2 == 0 { EventsFrom::Seq(page.next) } else { EventsFrom::After(page.resume) };
        read.extend(page.events);
    }
    assert_eq!(read, all);
    for told in &all {
        let rest = player.page(EventsFrom::After(told.id), &[], EVENTS_PAGE_MAX);
        assert_eq!((rest.lost, rest.events.len()), (None, all.len() - told.id.seq as usize));
    }
}

#[test]
fn kinds_are_filtered_and_the_place_moves_on() {
    let mut player = Player::new(1);
    let proposal = motion(&agent(3), &[&agent(3)], 1);
    player.hear(&proposal);
    for n in 3..30 {
        player.hear(&card(&agent(n), "x", 1));
    }
    let kinds = [EventKind::VoteProposed, EventKind::NodeStarted];
    let page = player.page(EventsFrom::Seq(1), &kinds, 9);
    assert_eq!(page.events.iter().map(|told| told.id.seq).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((page.next, page.resume.seq), (31, 30), "what was filtered out need not be read again");
    let newest = player.page(EventsFrom::Newest(1), &kinds, 9);
    assert_eq!(newest.events.iter().map(|told| told.id.seq).collect::<Vec<_>>(), [3]);
    assert_eq!(player.page(EventsFrom::Newest(4), &[], 9).events[0].id.seq, 27);
    let none = player.page(EventsFrom::Newest(0), &[], 9);
    assert_eq!((none.events.len(), none.next), (0, 31));
    assert_eq!(player.page(EventsFrom::Newest(9), &[EventKind::DiskWritable], 9).events, []);
}

/// A store whose journal has these many events already.
fn filled(events: u64) -> (Memory, EventId) {
    let store = Memory::default();
    let mut player = Player::start(store.clone(), CommitNo(0), 1);
    player.write();
    let told = player.events().remove(0);
    let row = store.get(Table::Journal, &event_key(1)).unwrap().unwrap();
    let mut batch = Batch::default();
    (3..=events).for_each(|seq| batch.put(Table::Journal, event_key(seq), row.clone()));
    player.engine.journal.next = events + 1;
    batch.put(Table::Meta, JOURNAL, player.engine.journal.head());
    store.apply(&batch);
    (store, told.id)
}

fn rows(store: &Memory) -> u64 {
    let (mut from, to, mut count) = (event_key(0), event_key(u64::MAX), 0);
    loop {
        let page = store.scan(Table::Journal, &from, &to, 50_000).unwrap();
        let Some((last, _)) = page.last() else { return count };
        count += page.len() as u64;
        from = [last, &[0][..]].concat();
    }
}

#[test]
fn the_journal_is_trimmed_at_its_bound_and_says_what_is_gone() {
    let (store, first) = filled(JOURNAL_EVENTS_MAX);
    let mut player = Player::start(store.clone(), CommitNo(1), 2);
    for n in 3..13 {
        player.hear(&card(&agent(n), "x", 1));
    }
    player.write();
    assert_eq!(rows(&store), JOURNAL_EVENTS_MAX);
    // The second start and ten cards pushed eleven out.
    let page = player.page(EventsFrom::After(first), &[], 1);
    assert_eq!((page.lost, page.events[0].id.seq), (Some(Lost::Trimmed(10)), 12));
    let page = player.page(EventsFrom::Seq(1), &[], 1);
    assert_eq!((page.lost, page.events[0].id.seq), (Some(Lost::Trimmed(11)), 12));
    // Nothing is lost after the last one that is gone.
    let last_gone = EventId { seq: 11, ..first };
    assert_eq!(player.page(EventsFrom::After(last_gone), &[], 1).lost, None);
}

#[test]
fn a_journal_that_is_too_long_shrinks_in_small_steps() {
    let (store, _) = filled(JOURNAL_EVENTS_MAX + 30);
    let mut player = Player::start(store.clone(), CommitNo(1), 2);
    let deleted = |batch: &Batch| {
        let is = |op: &&Op| matches!(op, Op::Delete { table: Table::Journal, .. });
        batch.ops().iter().filter(is).count()
    };
    assert_eq!(deleted(&player.queue[0].1), TRIM_ROWS_MAX);
    for n in 3..50 {
        player.hear(&card(&agent(n), "x", 1));
        assert!(deleted(&player.queue.back().unwrap().1) <= TRIM_ROWS_MAX);
    }
    player.write();
    assert_eq!(rows(&store), JOURNAL_EVENTS_MAX);
}

#[test]
fn a_restart_goes_on_where_the_journal_ended() {
    let mut player = Player::new(1);
    player.hear(&card(&agent(3), "x", 1));
    let before = player.events();
    let mut player = Player::start(player.store.clone(), player.written, 2);
    let page = player.page(EventsFrom::After(before[1].id), &[], 9);
    assert_eq!(page.lost, None);
    assert_eq!(page.events[0], before[2]);
    assert_eq!(page.events[1].event, Event::NodeStarted { start: 2, signing_stopped: None });
    assert_eq!(page.events[1].id.seq, 4);
}

#[test]
fn an_id_of_another_journal_is_told_and_everything_is_shown() {
    let mut stranger = Player::new(9);
    let id = stranger.events()[0].id;
    let mut player = Player::new(1);
    let page = player.page(EventsFrom::After(id), &[], 9);
    assert_eq!((page.lost, page.events.len()), (Some(Lost::OtherJournal), 2));
}

#[test]
fn a_journal_that_went_back_shows_what_is_new_since() {
    let mut player = Player::new(1);
    player.hear(&card(&agent(3), "x", 1));
    player.write();
    let (kept, written) = (copy(&player.store), player.written);
    for n in 4..9 {
        player.hear(&card(&agent(n), "x", 1));
    }
    let seen = player.events();
    // The copy goes on by itself, past the number that was seen last, and is started again.
    let mut back = Player::start(copy(&kept), written, 2);
    for n in 20..30 {
        back.hear(&card(&agent(n), "y", 1));
    }
    back.write();
    let mut back = Player::start(back.store.clone(), back.written, 3);
    let after = |back: &mut Player, id| {
        let page = back.page(EventsFrom::After(id), &[], EVENTS_PAGE_MAX);
        (page.lost, page.events.first().map(|told| told.id.seq), page.events.len())
    };
    // What both have in common is common; what the reader saw beyond that is not to be had any more.
    assert_eq!(after(&mut back, seen[2].id), (None, Some(4), 12));
    for gone in &seen[3..] {
        assert_eq!(after(&mut back, gone.id), (Some(Lost::RolledBack), Some(4), 12), "{}", gone.id);
    }
    // The same when the copy has fewer events than were seen.
    let mut short = Player::start(copy(&kept), written, 4);
    assert_eq!(after(&mut short, seen[7].id), (Some(Lost::RolledBack), Some(4), 1));
}

fn copy(from: &Memory) -> Memory {
    let to = Memory::default();
    for table in Table::ALL {
        let mut batch = Batch::default();
        let rows = from.scan_prefix(table, &[], usize::MAX).unwrap();
        rows.into_iter().for_each(|(key, value)| batch.put(table, key, value));
        to.apply(&batch);
    }
    to
}

#[test]
fn a_full_disk_is_told_when_it_is_not_full_any_more() {
    let mut player = Player::new(1);
    player.write();
    player.hear(&card(&agent(3), "lost", 1));
    let (no, _) = player.queue.pop_front().unwrap();
    player.tell(Input::CommitFailed { no, cause: "no space left".into() });
    player.gate.failed(no);
    let full_since = player.now.wall;
    assert_eq!(player.names().len(), 2, "what was not written is not told");
    player.pass(5_000);
    player.tell(Input::Writable);
    player.hear(&card(&agent(4), "kept", 1));
    let told: Vec<_> = player.events().into_iter().skip(2).collect();
    assert_eq!(told[0].event, Event::DiskWritable { full_since, cause: "no space left".into() });
    assert!(matches!(&told[1].event, Event::CardPublished(news) if news.name == "kept"));
    assert_eq!(told[1].id.seq, 4, "numbers have no gap");
}

#[test]
fn a_start_on_a_full_disk_is_told_later() {
    let mut player = Player::new(1);
    player.queue.clear();
    player.tell(Input::CommitFailed { no: CommitNo(1), cause: "no space left".into() });
    player.gate.failed(CommitNo(1));
    player.tell(Input::Writable);
    assert_eq!(player.names(), ["node.started", "disk.writable", "agent.known"]);
    let mut again = Player::start(player.store.clone(), player.written, 2);
    assert_eq!(again.events()[0].id.journal, player.events()[0].id.journal);
    assert_eq!(again.names().last(), Some(&"node.started"));
}

#[test]
fn own_acts_are_told_like_others() {
    let mut player = Player::new(1);
    let me = agent(1).agent();
    let json = br#"{"name":"x","skills":[{"id":"a"}]}"#.to_vec();
    let Answer::Published(published) = player.ask(Ask::PublishCard { agent: me, json }) else { panic!() };
    let draft = ProposalDraft {
        subject: None,
        pardon: None,
        group: None,
        holders: None,
        question: "q?".into(),
        options: Vec::new(),
        voters: vec![Voter { agent: me, weight: 1 }],
        rule: Rule::Unanimous,
        closed: None,
        window_ms: 60_000,
    };
    let Answer::Proposed { proposal, .. } = player.ask(Ask::Propose { agent: me, draft }) else { panic!() };
    let cast = Ask::Cast { agent: me, proposal, choice: Said::Option("yes".into()) };
    assert!(matches!(player.ask(cast), Answer::Cast { repeated: false, .. }));
    let told = player.events();
    assert!(matches!(&told[2].event, Event::CardPublished(news) if news.card == published.card));
    let names = player.names();
    assert_eq!(names[3..], ["lease.began", "vote.proposed", "vote.cast", "vote.decided"]);
    let refused = player.ask(Ask::Cast { agent: me, proposal, choice: Said::Option("no".into()) });
    assert!(matches!(refused, Answer::Refused(refusal) if refusal.kind == RefusalKind::Conflict));
    assert_eq!(player.names().len(), 7, "what was refused is no event");
}

#[test]
fn the_life_of_a_card_is_told_with_what_changed() {
    let mut player = Player::new(1);
    let me = agent(1).agent();
    let publish = |json: &str| Ask::PublishCard { agent: me, json: json.as_bytes().to_vec() };
    let one = r#"{"name":"x","version":"1","skills":[{"id":"a"}]}"#;
    player.ask(publish(one));
    player.ask(publish(one));
    player.ask(publish(&one.replace("\"1\"", "\"2\"")));
    let Answer::Retracted(retracted) = player.ask(Ask::RetractCard { agent: me }) else { panic!() };
    let refused = player.ask(Ask::RetractCard { agent: me });
    assert!(matches!(refused, Answer::Refused(refusal) if refusal.kind == RefusalKind::NotFound));
    player.ask(publish(one));
    let expected = [
        "card.published",
        "lease.began",
        "card.updated",
        "card.retracted",
        "lease.ended",
        "card.published",
        "lease.began",
    ];
    assert_eq!(player.names()[2..], expected, "renewing is no news");
    let told = player.events();
    assert!(matches!(&told[4].event, Event::CardUpdated(news) if news.changed == ["version"]));
    let (card, revision) = (retracted.record, retracted.revision);
    assert_eq!(told[5].event, Event::CardRetracted { agent: me, card, revision });
}

#[test]
fn an_index_of_another_version_is_filled_anew() {
    let mut player = Player::new(1);
    let me = agent(1).agent();
    player.ask(Ask::PublishCard { agent: me, json: br#"{"name":"x","skills":[{"id":"a/b"}]}"#.to_vec() });
    let rows = |player: &Player| player.engine.store().scan_prefix(Table::CardView, &[], usize::MAX).unwrap();
    let before = rows(&player);
    assert!(!before.is_empty());
    let mut batch = Batch::default();
    before.iter().for_each(|(key, _)| batch.delete(Table::CardView, key.clone()));
    batch.put(Table::CardView, b"a/b\0of an older version".to_vec(), [0; 8]);
    batch.delete(Table::Meta, b"card_index".to_vec());
    player.store.apply(&batch);
    let again = Player::start(player.store.clone(), player.written, 2);
    assert_eq!(rows(&again), before);
}
