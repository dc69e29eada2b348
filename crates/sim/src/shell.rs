//! What a shell does around each engine: it plays events into it and does what it asks.

use althing_engine::{
    Answer, Effect, Input, LookupEnd, MessageNo, Note, Output, QueryNo, RatingEpoch, Refusal, RefusalKind,
    ReplyNo, Request, RequestNo, Response,
};
use althing_record::{Domain, Kind, NodeId, Record, RecordId, Verdict};
use althing_store::{Op, Snapshot, Table};
use althing_trust::Attestations;
use sha2::{Digest as _, Sha256};

use crate::Sim;
use crate::disk::Reach;
use crate::event::{Event, Message};
use crate::node::Promise;

/// For so long, in milliseconds, gossip takes a message that it has seen for a duplicate.
const DUPLICATE_MS: u64 = 300_000;

/// Most batches that the disk commits as one group.
const GROUP_MAX: usize = 4;

impl Sim {
    pub(crate) fn play(&mut self, event: Event) {
        match event {
            Event::Gossip { to, from, message } => self.hear(to, from, &message),
            Event::Request { to, from, from_run, no, bytes } => {
                if self.reaches(from, to) {
                    self.take_request(to, from, from_run, no, &bytes);
                }
            }
            Event::Response { to, run, no, bytes } => {
                if self.is_waiting(to, run, no) {
                    let memo = &mut self.memo;
                    let network = &self.network;
                    let parsed = Response::parse_with(&bytes, |bytes| memo.verify(bytes, network));
                    let input = match parsed {
                        Ok(response) => Input::Response { request: no, response },
                        Err(_) => Input::RequestFailed(no),
                    };
                    self.handle(to, input);
                }
            }
            Event::Timeout { node, run, no } => {
                if self.is_waiting(node, run, no) {
                    self.handle(node, Input::RequestFailed(no));
                }
            }
            Event::Found { node, run, query, providers, end } => {
                if self.lives(node, run) {
                    self.handle(node, Input::LookupFound { query, providers, end: Some(end) });
                }
            }
            Event::Commit { node, run } => {
                if self.lives(node, run) {
                    self.commit(node);
                }
            }
            Event::Job { node, run, no, job } => {
                if self.lives(node, run) {
                    self.handle(node, Input::JobDone(no, job.run()));
                }
            }
            Event::Checked { node, run, no, check } => {
                if self.lives(node, run) {
                    self.handle(node, Input::Checked(no, check.run()));
                }
            }
            Event::Wake { node, run, at } => {
                let is_next = self.nodes[node].life.as_ref().is_some_and(|life| life.wake_at == at);
                if self.lives(node, run) && is_next {
                    self.handle(node, Input::Wake);
                }
            }
        }
    }

    /// Tells an engine something and does what it asks.
    pub(crate) fn handle(&mut self, node: usize, input: Input) {
        let now = self.now(node);
        let Some(life) = &mut self.nodes[node].life else { return };
        life.engine.handle(now, input);
        self.drain(node);
    }

    pub(crate) fn drain(&mut self, node: usize) {
        while let Some(life) = &mut self.nodes[node].life {
            let Some(output) = life.engine.poll() else { return };
            self.record(node, &output);
            let Some(life) = &mut self.nodes[node].life else { return };
            if let Some(effect) = life.gate.pass(output) {
                self.perform(node, effect);
            }
        }
    }

    fn perform(&mut self, node: usize, effect: Effect) {
        let run = self.nodes[node].run;
        match effect {
            Effect::Commit(no, batch) => {
                self.nodes[node].disk.submit(no, batch);
                self.plan_commit(node);
            }
            Effect::Request(no, peer, request) => self.send_request(node, peer, no, &request),
            Effect::Respond(reply, bytes) => self.respond(node, reply, bytes),
            Effect::Publish(domain, record) => {
                self.honest.insert(record.id());
                let message = message(domain, record.bytes());
                let time = self.time;
                if let Some(life) = &mut self.nodes[node].life {
                    life.seen.insert(message.id, time);
                }
                self.flood(node, &message, None);
            }
            // Verdicts are taken where the message is heard.
            Effect::Verdict(no, verdict) => self.verdicts.push((no, verdict)),
            Effect::Provide(key) => {
                let provider = self.nodes[node].id();
                self.kademlia.provide(node, key, provider, self.time);
                if let Some(life) = &mut self.nodes[node].life {
                    life.provided.insert(key);
                }
            }
            // What others hold of it stays until its time is over.
            Effect::StopProviding(key) => {
                if let Some(life) = &mut self.nodes[node].life {
                    life.provided.remove(&key);
                }
            }
            Effect::Lookup(query, key) => self.look_up(node, query, key),
            Effect::Reply(no, answer) => {
                self.promise(node, &answer);
                let is_first = self.answers.insert(no, answer).is_none();
                let was_asked = self.nodes[node].life.as_mut().is_some_and(|life| life.asks.remove(&no));
                if !is_first || !was_asked {
                    self.violations.push(format!("node {node} answered ask {} out of turn", no.0));
                }
            }
            Effect::Wake(deadline) => {
                if let Some(life) = &mut self.nodes[node].life {
                    life.wake_at = deadline.0;
                }
                let after = deadline.0.saturating_sub(self.time);
                self.schedule(after, Event::Wake { node, run, at: deadline.0 });
            }
            Effect::Job(no, job) => {
                let after = self.between(self.links.commit_ms);
                self.schedule(after, Event::Job { node, run, no, job });
            }
            Effect::Prove(reply, demanded) => self.show_receipts(node, reply, &demanded),
            Effect::Check(no, check) => {
                let after = self.between(self.links.commit_ms);
                self.schedule(after, Event::Checked { node, run, no, check });
            }
            Effect::Blame(peer) => self.blame(node, peer),
            Effect::Journaled(_) => {}
            Effect::Note(note) => self.take_note(node, &note),
            Effect::Halt(cause) => self.violations.push(format!("node {node} halted: {cause}")),
        }
    }

    fn plan_commit(&mut self, node: usize) {
        let (run, bounds) = (self.nodes[node].run, self.links.commit_ms);
        let after = self.between(bounds);
        let Some(life) = &mut self.nodes[node].life else { return };
        if !std::mem::replace(&mut life.commit_is_due, true) {
            self.schedule(after, Event::Commit { node, run });
        }
    }

    fn commit(&mut self, number: usize) {
        let count = 1 + usize::try_from(self.below(GROUP_MAX as u64)).unwrap_or(0);
        let node = &mut self.nodes[number];
        if node.crashes_after_guard && node.disk.guards_next(count) {
            node.disk.commit(count, Reach::GuardOnly);
            return self.stop_in_commit(number);
        }
        if node.disk_is_full {
            return self.fail_commit(number, count);
        }
        let no = node.disk.commit(count, Reach::All);
        let Some(life) = &mut node.life else { return };
        life.commit_is_due = false;
        if !node.disk.is_idle() {
            self.plan_commit(number);
        }
        self.handle(number, Input::Committed(no));
        let Some(life) = &mut self.nodes[number].life else { return };
        life.gate.committed(no).into_iter().for_each(|effect| self.perform(number, effect));
    }

    /// There was no space for the rows, and sometimes just enough for the guard.
    fn fail_commit(&mut self, number: usize, count: usize) {
        let has_guard = self.below(2) == 0;
        let node = &mut self.nodes[number];
        let (no, Some(life)) = (node.disk.written().next(), &mut node.life) else { return };
        if has_guard {
            node.disk.commit(count, Reach::GuardOnly);
        }
        node.disk.crash();
        life.commit_is_due = false;
        for effect in life.gate.failed(no) {
            if let Effect::Reply(ask, _) = effect {
                let (cause, kind) = ("the disk is full".to_owned(), RefusalKind::Internal);
                life.asks.remove(&ask);
                self.answers.insert(ask, Answer::Refused(Refusal { kind, cause, hint: None }));
            }
        }
        self.handle(number, Input::CommitFailed { no, cause: "no space left".into() });
    }

    fn send_request(&mut self, node: usize, peer: NodeId, no: RequestNo, request: &Request) {
        let (run, links) = (self.nodes[node].run, self.links);
        if let Some(life) = &mut self.nodes[node].life {
            life.waiting.insert(no);
        }
        self.schedule(links.request_ms_max, Event::Timeout { node, run, no });
        let Some(to) = self.index.get(&peer).copied() else { return };
        if !self.is_lost() && self.reaches(node, to) {
            let after = self.between(links.delay_ms);
            let bytes = request.to_bytes();
            self.traffic.requests += bytes.len() as u64;
            self.schedule(after, Event::Request { to, from: node, from_run: run, no, bytes });
        }
    }

    fn take_request(&mut self, to: usize, from: usize, from_run: u64, no: RequestNo, bytes: &[u8]) {
        let request = match Request::parse(bytes) {
            Ok(request) => request,
            Err(error) => {
                return self.violations.push(format!("node {from} sent an invalid request: {error}"));
            }
        };
        self.numbered += 1;
        let reply = ReplyNo(self.numbered);
        self.replies.insert(reply, (from, from_run, no));
        let from = self.nodes[from].id();
        self.handle(to, Input::Request { reply, from, request });
    }

    pub(crate) fn respond(&mut self, node: usize, reply: ReplyNo, mut bytes: Vec<u8>) {
        let Some((to, run, no)) = self.replies.remove(&reply) else {
            return self.violations.push(format!("node {node} answered a request twice"));
        };
        if let Some(life) = &mut self.nodes[node].life {
            life.served += 1;
        }
        if bytes.len() > althing_engine::RESPONSE_BYTES_MAX {
            self.violations.push(format!("node {node} sent a response of {} bytes", bytes.len()));
        }
        if self.nodes[node].falsifies_scores
            && let Ok(Response::Scores { checkpoint, mut proofs }) = Response::parse(&bytes, &self.network)
        {
            proofs.iter_mut().flat_map(|proof| &mut proof.path).for_each(|hash| hash.0[0] ^= 1);
            bytes = Response::Scores { checkpoint, proofs }.to_bytes();
        }
        if self.nodes[node].garbles && !bytes.is_empty() {
            let at = usize::try_from(self.below(bytes.len() as u64)).unwrap_or(0);
            bytes[at] ^= 1 << self.below(8);
        }
        if !self.is_lost() && self.reaches(node, to) {
            let after = self.between(self.links.delay_ms);
            self.traffic.requests += bytes.len() as u64;
            self.schedule(after, Event::Response { to, run, no, bytes });
        }
    }

    fn look_up(&mut self, node: usize, query: QueryNo, key: althing_engine::Key) {
        let run = self.nodes[node].run;
        let after = 2 * self.between(self.links.delay_ms);
        let found = self.kademlia.lookup(node, key, self.time);
        let (mut providers, end) = match found {
            Some(providers) => (providers, LookupEnd::Answered),
            None => (Vec::new(), LookupEnd::Unanswered),
        };
        // A node is not told about itself, and knows what it announces.
        let (own, life) = (self.nodes[node].id(), &self.nodes[node].life);
        providers.retain(|provider| *provider != own);
        if life.as_ref().is_some_and(|life| life.provided.contains(&key)) {
            providers.push(own);
        }
        self.schedule(after, Event::Found { node, run, query, providers, end });
    }

    /// Passes a message on to the connected peers, except to the one that it came from.
    pub(crate) fn flood(&mut self, node: usize, message: &Message, except: Option<NodeId>) {
        let Some(life) = &self.nodes[node].life else { return };
        let from = self.nodes[node].id();
        for to in life.connected.clone() {
            if Some(self.nodes[to].id()) == except {
                continue;
            }
            let copies = 1 + u64::from(self.below(1_000) < self.links.duplicate_permille);
            for _ in 0..copies {
                let bytes = message.bytes.len() as u64;
                match message.domain {
                    Domain::Directory => self.traffic.directory += bytes,
                    Domain::Ledger | Domain::Ratings => self.traffic.ledger += bytes,
                }
                if !self.is_lost() {
                    let after = self.between(self.links.delay_ms);
                    self.schedule(after, Event::Gossip { to, from, message: message.clone() });
                }
            }
        }
    }

    fn hear(&mut self, to: usize, from: NodeId, message: &Message) {
        let time = self.time;
        if let Some(sender) = self.index.get(&from)
            && !self.reaches(*sender, to)
        {
            return;
        }
        let Some(life) = &mut self.nodes[to].life else { return };
        if life.seen.get(&message.id).is_some_and(|at| at + DUPLICATE_MS > time) {
            return;
        }
        life.seen.insert(message.id, time);
        let verdict = match self.memo.verify(&message.bytes, &self.network) {
            Err(error) => error.verdict(),
            Ok(record) if record.kind().domain() != Some(message.domain) => Verdict::Reject,
            Ok(record) => self.weigh(to, from, record),
        };
        let relay = self.index.get(&from);
        if verdict == Verdict::Reject && relay.is_some() {
            self.violations.push(format!("node {to} rejects what honest node {relay:?} passed on"));
        }
        if verdict == Verdict::Accept {
            self.flood(to, message, Some(from));
        }
    }

    fn weigh(&mut self, to: usize, from: NodeId, record: Record) -> Verdict {
        let (id, is_honest) = (record.id(), self.honest.contains(&record.id()));
        self.numbered += 1;
        let no = MessageNo(self.numbered);
        self.verdicts.clear();
        self.handle(to, Input::Gossip { message: no, from, record });
        let verdict = match self.verdicts.as_slice() {
            [(of, verdict)] if *of == no => *verdict,
            other => {
                let line = format!("node {to} gave {} verdicts on one message", other.len());
                self.violations.push(line);
                Verdict::Ignore
            }
        };
        if verdict == Verdict::Reject && is_honest {
            self.violations.push(format!("node {to} rejects {id}, which an honest node made"));
        }
        verdict
    }

    fn take_note(&mut self, node: usize, note: &Note) {
        if let Note::Admitted { kind, .. } = note
            && *kind != Kind::Lease
        {
            self.news_at = self.time;
        }
        if let Note::RatingRefused { reason } = note {
            *self.refusals.entry((node, *reason)).or_default() += 1;
        }
        let is_shown = matches!(
            note,
            Note::Misbehaviour { .. }
                | Note::SigningStopped { .. }
                | Note::Decided { .. }
                | Note::CheckpointDoubted { .. }
                | Note::ScoreRefused { .. }
                | Note::RatingsPruned { .. }
                | Note::DiskFull { .. }
                | Note::SyncFailed { .. }
        );
        if is_shown {
            self.say(format!("node {node}: {note:?}"));
        }
    }

    /// What rating epoch an attestation that a node holds is on.
    fn attested_epoch(&self, node: usize, id: RecordId) -> RatingEpoch {
        let life = self.nodes[node].life.as_ref().expect("a node that runs");
        let row = life.engine.store().get(Table::Records, &id.0).expect("memory can be read");
        let bytes = row.as_deref().and_then(|row| row.get(8..)).expect("it was kept");
        let record = Record::verify(bytes, &self.network).expect("a record");
        Attestations::from_record(&record, self.network.genesis()).expect("an attestation").epoch
    }

    fn promise(&mut self, node: usize, answer: &Answer) {
        let promise = match answer {
            Answer::Published(card) => Promise::Card { agent: card.agent, revision: card.revision },
            Answer::Retracted(card) => {
                // From now on nothing older is promised of this slot.
                let is_of = |promise: &Promise| matches!(promise, Promise::Card { agent, .. } if *agent == card.agent);
                self.nodes[node].promises.retain(|promise| !is_of(promise));
                Promise::Retracted { agent: card.agent, revision: card.revision, until: card.expires }
            }
            Answer::Proposed { proposal, .. }
            | Answer::Resolving { proposal, .. }
            | Answer::ChangeVote { proposal, .. } => Promise::Record(*proposal),
            Answer::Attested(record) => Promise::Attestation(*record, self.attested_epoch(node, *record)),
            Answer::Rotated(rotated) => Promise::Record(rotated.record),
            Answer::Cast { ballot, .. } => Promise::Record(*ballot),
            Answer::Group { record: Some(record), .. } => Promise::Record(*record),
            Answer::Certificate(bytes) => return self.certify(node, bytes),
            Answer::Hosted(_)
            | Answer::Spread { .. }
            | Answer::Status(_)
            | Answer::Hosts(_)
            | Answer::Experienced
            | Answer::Card(_)
            | Answer::Found(_)
            | Answer::Vote(_)
            | Answer::Votes(_)
            | Answer::Decisions(_)
            | Answer::Group { record: None, .. }
            | Answer::Groups(_)
            | Answer::Reputation(_)
            | Answer::Ranking { .. }
            | Answer::Grounds(_)
            | Answer::Ratings { .. }
            | Answer::Checkpoints(_)
            | Answer::Evidence(_)
            | Answer::Accused(_)
            | Answer::Imported(_)
            | Answer::Events(_)
            | Answer::Docket(_)
            | Answer::Dockets(_)
            | Answer::Refused(_) => return,
        };
        self.nodes[node].promises.push(promise);
    }

    /// Adds what an engine did to the trace.
    fn record(&mut self, node: usize, output: &Output) {
        let after = output.after.map_or(0, |no| no.0);
        let (tag, detail): (u8, Vec<u8>) = match &output.effect {
            Effect::Commit(no, batch) => {
                let mut detail = no.0.to_be_bytes().to_vec();
                for op in batch.ops() {
                    let (table, key, value) = match op {
                        Op::Put { table, key, value } => (table, key, &value[..]),
                        Op::Delete { table, key } => (table, key, &b"deleted"[..]),
                    };
                    detail.extend([table.name().as_bytes(), key, value].concat());
                }
                (0, detail)
            }
            Effect::Request(no, peer, request) => {
                (1, [&no.0.to_be_bytes()[..], &peer.0, &request.to_bytes()].concat())
            }
            Effect::Respond(no, bytes) => (2, [&no.0.to_be_bytes()[..], bytes].concat()),
            Effect::Publish(_, record) => (3, record.bytes().to_vec()),
            Effect::Verdict(no, verdict) => (4, format!("{no:?} {verdict:?}").into_bytes()),
            Effect::Provide(key) => (5, key.0.to_vec()),
            Effect::StopProviding(key) => (6, key.0.to_vec()),
            Effect::Lookup(no, key) => (7, [&no.0.to_be_bytes()[..], &key.0].concat()),
            Effect::Reply(no, answer) => (8, format!("{no:?} {answer:?}").into_bytes()),
            Effect::Wake(deadline) => (9, deadline.0.to_be_bytes().to_vec()),
            // Ids print slowly, and there are very many of these.
            Effect::Note(Note::Admitted { kind, source }) => {
                (10, format!("{kind:?} {source:?}").into_bytes())
            }
            Effect::Note(Note::NotAdmitted { cause, .. }) => (12, cause.clone().into_bytes()),
            Effect::Note(note) => (10, format!("{note:?}").into_bytes()),
            Effect::Journaled(next) => (13, next.to_be_bytes().to_vec()),
            Effect::Job(no, job) => (14, format!("{no:?} {job:?}").into_bytes()),
            Effect::Prove(no, demanded) => (15, format!("{no:?} {:?}", demanded.demands).into_bytes()),
            Effect::Check(no, check) => (16, format!("{no:?} {check:?}").into_bytes()),
            Effect::Blame(peer) => (17, peer.0.to_vec()),
            Effect::Halt(cause) => (11, cause.clone().into_bytes()),
        };
        self.trace.update(self.time.to_be_bytes());
        self.trace.update((node as u64).to_be_bytes());
        self.trace.update(after.to_be_bytes());
        self.trace.update([tag]);
        self.trace.update((detail.len() as u64).to_be_bytes());
        self.trace.update(detail);
    }

    fn lives(&self, node: usize, run: u64) -> bool {
        self.nodes[node].run == run && self.nodes[node].life.is_some()
    }

    /// Whether a node waits for the answer to a request; afterwards it no longer does.
    fn is_waiting(&mut self, node: usize, run: u64, no: RequestNo) -> bool {
        self.lives(node, run) && self.nodes[node].life.as_mut().is_some_and(|life| life.waiting.remove(&no))
    }

    fn is_lost(&mut self) -> bool {
        self.below(1_000) < self.links.loss_permille
    }
}

/// A gossip message: its id is SHA-256(topic ‖ data).
pub(crate) fn message(domain: Domain, bytes: &[u8]) -> Message {
    let id = Sha256::new().chain_update(domain.name()).chain_update(bytes).finalize().into();
    Message { id, domain, bytes: bytes.into() }
}
