use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use althing_engine::{
    Answer, AskNo, Deadline, Effect, Engine, Gate, Input, LookupEnd, Note, Now, Refusal, RefusalKind,
    ReplyNo, Response,
};
use althing_gateway::Asked;
use althing_net::{Net, ReplyTo, RequestForms};
use althing_record::{NodeId, Verdict};
use althing_rocks::{CommitFailure, Committer, Durable, Rocks};
use althing_store::CommitNo;
use althing_tunnel::Callee;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::inbound::{AnswerTo, Arrival, topic_of};
use super::instruments::Instruments;
use super::leaves::Shower;
use super::service::Watchdog;
use super::{Clock, RunError};

/// The one task that runs the engine: takes inputs in, drains outputs, and releases each when its commit is durable.
pub(super) struct EventLoop {
    engine: Engine<Rocks>,
    committer: Committer,
    net: Net,
    clock: Clock,
    instruments: Arc<Instruments>,
    missing: watch::Sender<Vec<String>>,
    journaled: watch::Sender<u64>,
    gate: Gate,
    asks: BTreeMap<AskNo, oneshot::Sender<Answer>>,
    /// Peers' requests whose answers wait for a commit. The swarm bounds how many requests are open at once.
    requests: BTreeMap<ReplyNo, ReplyTo>,
    asked: u64,
    wake: Option<Deadline>,
    /// Inputs that the shell owes the engine because an effect could not be carried out.
    owed: VecDeque<Input>,
    submitted: VecDeque<(CommitNo, Instant)>,
    /// Failed commits that were dealt with.
    failures: u64,
    /// Jobs of the engine: one for scores, and some that check receipts.
    jobs: JoinSet<Input>,
    shower: Shower,
    callee: Callee,
}

impl EventLoop {
    pub(super) fn new(
        engine: Engine<Rocks>,
        committer: Committer,
        (net, shower, callee): (Net, Shower, Callee),
        clock: Clock,
        instruments: Arc<Instruments>,
        missing: watch::Sender<Vec<String>>,
        journaled: watch::Sender<u64>,
    ) -> Self {
        let durable = committer.durable().borrow().no;
        Self {
            engine,
            committer,
            net,
            clock,
            instruments,
            missing,
            journaled,
            gate: Gate::new(durable),
            asks: BTreeMap::new(),
            requests: BTreeMap::new(),
            asked: 0,
            wake: None,
            owed: VecDeque::new(),
            submitted: VecDeque::new(),
            failures: 0,
            jobs: JoinSet::new(),
            shower,
            callee,
        }
    }

    pub(super) async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Arrival>,
        mut asks: mpsc::Receiver<Asked>,
        stop: Arc<Notify>,
        mut watchdog: Watchdog,
    ) -> Result<(), RunError> {
        let mut durable = self.committer.durable();
        let mut outcome = self.drain(AnswerTo::Nobody).await;
        while outcome.is_ok() {
            let wake = self.wake.map_or_else(|| self.clock.at(u64::MAX >> 20), |wake| self.clock.at(wake.0));
            outcome = tokio::select! {
                biased;
                () = stop.notified() => break,
                () = watchdog.beat() => continue,
                changed = durable.changed() => match changed {
                    Ok(()) => {
                        let now = durable.borrow_and_update().clone();
                        self.on_durable(now).await
                    }
                    Err(_) => Err(RunError::Halted("the committing thread ended".into())),
                },
                () = tokio::time::sleep_until(wake) => {
                    self.wake = None;
                    self.step(Input::Wake, AnswerTo::Nobody).await
                }
                Some((ask, reply)) = asks.recv() => {
                    self.asked += 1;
                    let no = AskNo(self.asked);
                    self.asks.insert(no, reply);
                    self.step(Input::Ask { no, ask }, AnswerTo::Nobody).await
                }
                Some(done) = self.jobs.join_next() => match done {
                    Ok(done) => self.step(done, AnswerTo::Nobody).await,
                    Err(error) => Err(RunError::Halted(format!("a job of the engine failed: {error}"))),
                },
                Some(arrival) = inputs.recv() => self.step(arrival.input, arrival.answer_to).await,
            };
            self.instruments.queues([
                ("inputs", inputs.len()),
                ("asks", asks.len()),
                ("held_effects", self.gate.len()),
                ("unanswered", self.asks.len()),
                ("commits", self.submitted.len()),
            ]);
        }
        // What was acknowledged is synced before the directory is let go.
        let Self { committer, engine, .. } = self;
        let _ = tokio::task::spawn_blocking(move || {
            let _ = committer.close();
            drop(engine);
        })
        .await;
        outcome
    }

    async fn step(&mut self, input: Input, answer_to: AnswerTo) -> Result<(), RunError> {
        let answer_to = match (&input, answer_to) {
            (Input::Request { reply, .. }, AnswerTo::Request(to)) => {
                self.requests.insert(*reply, to);
                AnswerTo::Nobody
            }
            (_, answer_to) => answer_to,
        };
        let now = self.now();
        self.engine.handle(now, input);
        self.drain(answer_to).await?;
        while let Some(input) = self.owed.pop_front() {
            self.engine.handle(self.clock.now(), input);
            self.drain(AnswerTo::Nobody).await?;
        }
        Ok(())
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    async fn on_durable(&mut self, durable: Durable) -> Result<(), RunError> {
        while let Some((no, at)) = self.submitted.front().copied() {
            if no > durable.no {
                break;
            }
            self.submitted.pop_front();
            self.instruments.committed(at.elapsed());
        }
        self.instruments.durable(durable.no);
        self.step(Input::Committed(durable.no), AnswerTo::Nobody).await?;
        for effect in self.gate.committed(durable.no) {
            self.carry_out(effect, &mut AnswerTo::Nobody).await?;
        }
        if durable.failures > self.failures {
            self.failures = durable.failures;
            if let Some((no, failure)) = durable.failed {
                self.on_failure(no, &failure).await?;
            }
        }
        if durable.writable {
            self.step(Input::Writable, AnswerTo::Nobody).await?;
        }
        Ok(())
    }

    async fn on_failure(&mut self, no: CommitNo, failure: &CommitFailure) -> Result<(), RunError> {
        self.submitted.clear();
        self.instruments.commit_failed();
        for effect in self.gate.failed(no) {
            if let Effect::Respond(no, _) = &effect {
                self.carry_out(Effect::Respond(*no, Response::Busy.to_bytes()), &mut AnswerTo::Nobody)
                    .await?;
            }
            if let Effect::Reply(ask, _) = effect {
                let refusal = Refusal {
                    kind: RefusalKind::Internal,
                    cause: format!("it could not be written: {failure}"),
                    hint: Some("free some space; the node goes on by itself".into()),
                };
                self.reply(ask, Answer::Refused(refusal));
            }
        }
        match failure {
            CommitFailure::DiskFull { .. } => {
                self.step(Input::CommitFailed { no, cause: failure.to_string() }, AnswerTo::Nobody).await
            }
            CommitFailure::Io { .. } | CommitFailure::Corrupt { .. } | CommitFailure::Refused { .. } => {
                Err(RunError::Halted(failure.to_string()))
            }
        }
    }

    async fn drain(&mut self, mut answer_to: AnswerTo) -> Result<(), RunError> {
        while let Some(output) = self.engine.poll() {
            if let Some(effect) = self.gate.pass(output) {
                self.carry_out(effect, &mut answer_to).await?;
            }
        }
        let missing = self.engine.waiting_for();
        self.missing.send_if_modified(|before| {
            let changed = *before != missing;
            *before = missing;
            changed
        });
        Ok(())
    }

    async fn carry_out(&mut self, effect: Effect, answer_to: &mut AnswerTo) -> Result<(), RunError> {
        match effect {
            Effect::Commit(no, batch) => {
                self.submitted.push_back((no, Instant::now()));
                let submitted = self.committer.submit(no, batch).await;
                submitted.map_err(|error| RunError::Halted(error.to_string()))?;
            }
            Effect::Request(no, peer, request) => {
                let forms = RequestForms { newest: request.to_bytes(), before: request.to_bytes_v1() };
                if self.net.request(no.0, peer, forms).is_err() {
                    self.instruments.dropped("request");
                    self.owed.push_back(Input::RequestFailed(no));
                }
            }
            Effect::Respond(no, bytes) => {
                if let Some(reply) = self.requests.remove(&no) {
                    self.count_busy("response", self.net.respond(reply, bytes).is_err());
                }
            }
            Effect::Verdict(_, verdict) => {
                if let AnswerTo::Gossip(message) = std::mem::replace(answer_to, AnswerTo::Nobody) {
                    self.instruments.gossip(verdict);
                    self.count_busy("verdict", self.net.verdict(message, verdict).is_err());
                }
            }
            Effect::Publish(domain, record) => {
                let published = self.net.publish(topic_of(domain), record.bytes().to_vec());
                self.count_busy("publish", published.is_err());
            }
            Effect::Provide(key) => self.count_busy("provide", self.net.provide(key.0).is_err()),
            Effect::StopProviding(key) => self.count_busy("provide", self.net.stop_providing(key.0).is_err()),
            Effect::Lookup(query, key) => {
                if self.net.lookup(query.0, key.0).is_err() {
                    self.instruments.dropped("lookup");
                    let end = Some(LookupEnd::Unanswered);
                    self.owed.push_back(Input::LookupFound { query, providers: Vec::new(), end });
                }
            }
            Effect::Reply(no, answer) => self.reply(no, answer),
            Effect::Job(no, job) => {
                self.jobs.spawn_blocking(move || Input::JobDone(no, job.run()));
            }
            Effect::Check(no, check) => {
                self.jobs.spawn_blocking(move || Input::Checked(no, check.run()));
            }
            Effect::Prove(no, demanded) => {
                if let Some(reply) = self.requests.remove(&no) {
                    self.shower.show(reply, *demanded);
                }
            }
            Effect::Blame(peer) => {
                // The swarm is too busy to hear of it: the next time, then.
                let _ = self.net.blame(peer);
            }
            Effect::Wake(deadline) => self.wake = Some(deadline),
            Effect::Journaled(next) => {
                self.journaled.send_replace(next);
            }
            Effect::Note(note) => self.note(&note),
            Effect::Halt(cause) => return Err(RunError::Halted(cause)),
        }
        Ok(())
    }

    fn count_busy(&self, queue: &'static str, busy: bool) {
        if busy {
            self.instruments.dropped(queue);
        }
    }

    fn reply(&mut self, no: AskNo, answer: Answer) {
        if let Some(reply) = self.asks.remove(&no) {
            // The client may have gone away.
            let _ = reply.send(answer);
        }
    }

    fn note(&self, note: &Note) {
        self.instruments.note(note);
        match note {
            Note::Admitted { kind, source } => {
                tracing::trace!(kind = kind.name(), source = source.name(), "record taken in");
            }
            Note::NotAdmitted { kind, source, verdict, cause } => {
                let (kind, source) = (kind.name(), source.name());
                if *verdict == Verdict::Reject {
                    tracing::debug!(kind, source, cause, "wrong record refused");
                } else {
                    tracing::trace!(kind, source, cause, "record not taken in");
                }
            }
            Note::Synced { peer, domain, admitted } => {
                tracing::debug!(peer = %short(peer), domain = domain.name(), admitted, "reconciled");
            }
            Note::SyncFailed { peer, domain, cause } => {
                tracing::debug!(peer = %short(peer), domain = domain.name(), cause, "reconciliation given up");
            }
            Note::NotClosed { cause } => tracing::warn!(cause, "a vote could not be closed; tried again"),
            Note::CheckpointDoubted { checkpoint, cause } => {
                tracing::warn!(%checkpoint, cause, "a checkpoint says something else than this node");
            }
            Note::ScoreRefused { peer, cause } => {
                tracing::warn!(peer = %short(peer), cause, "a score was not proved");
            }
            Note::Decided { proposal, option } => tracing::info!(%proposal, option, "decided"),
            Note::Misbehaviour { offence } => tracing::warn!(offence, "misbehaviour proved"),
            Note::SigningStopped { cause } => tracing::warn!(cause, "this node signs no votes"),
            Note::DiskFull { cause } => tracing::warn!(cause, "disk full: read-only until there is space"),
            Note::Clock { offset_ms, off: true } => {
                tracing::warn!(offset_ms, "this clock differs from its peers' by more than a minute");
            }
            Note::ServedElsewhere { agent, node, made } => {
                self.callee.served_elsewhere(*agent, *made);
                tracing::warn!(
                    %agent,
                    node = %short(node),
                    "another node serves an agent of this one; two that do so at once make it a cheat"
                );
            }
            Note::RatingsPruned { records, before } => {
                tracing::info!(
                    records,
                    before = before.0,
                    "attestations dropped: they count nothing any more"
                );
            }
            Note::RatingRefused { reason } => tracing::debug!(reason, "refused"),
            Note::Clock { .. } => {}
        }
    }
}

fn short(peer: &NodeId) -> String {
    peer.to_string().chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect()
}
