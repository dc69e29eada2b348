//! What this node signs itself: identities, cards, leases, and links of its own chains.

use std::collections::BTreeSet;

use althing_card::{CARD_LIFETIME_MS, Card, LEASE_LIFETIME_MS, LEASE_RENEWAL_MS, Lease};
use althing_record::cbor::{self, Text};
use althing_record::{
    AgentId, Content, Draft, GroupId, Incarnation, Inception, Kind, Millis, Placement, PlacementRule, Record,
    RecordId, VerifyError,
};
use althing_store::{MAX_HEADS, ReadError, Snapshot, Table, prefix_end};

use crate::admit::Admission;
use crate::config::AGENTS_MAX;
use crate::engine::Engine;
use crate::rows::{chain_prefix, slot_key};
use crate::{Answer, AskNo, Effect, HostedAgent, Now, Published, RefusalKind, Source};

/// The streams of the chains that are kept under the vote guard.
const OWN_STREAMS: [&str; 3] = ["vote", "group", "trust"];

const _: () = assert!(AGENTS_MAX * OWN_STREAMS.len() <= MAX_HEADS);

/// Why this node did not sign something.
#[derive(Debug)]
pub(crate) enum SignError {
    Read(ReadError),
    Refused(RefusalKind, String),
}

impl From<ReadError> for SignError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<VerifyError> for SignError {
    fn from(error: VerifyError) -> Self {
        let too_large = matches!(error, VerifyError::TooLarge { .. } | VerifyError::TooLargeForKind { .. });
        let kind = if too_large { RefusalKind::Invalid } else { RefusalKind::Internal };
        Self::Refused(kind, error.to_string())
    }
}

impl<S: Snapshot> Engine<S> {
    /// Writes the first record of a hosted agent's identity chain, unless there is one.
    pub(crate) fn ensure_inception(&mut self, hosted: &HostedAgent, now: Now) -> Result<(), ReadError> {
        let prefix = chain_prefix(hosted.agent, "identity", None);
        if hosted.key.agent() != hosted.agent || !self.store.scan_prefix(Table::Chain, &prefix, 1)?.is_empty()
        {
            return Ok(());
        }
        let body = Inception { recovery_key_hash: hosted.recovery_key_hash };
        let draft = Draft {
            agent: hosted.agent,
            key_event: None,
            group: None,
            kind: Kind::Inception,
            placement: Placement::Chain {
                stream: Text::try_from("identity").unwrap_or_default(),
                incarnation: None,
                seq: 0,
                prev: None,
            },
            // The same bytes wherever and whenever the agent is founded, so that two hosts or a new directory do not fork
            // its identity.
            made: self.network.genesis().created,
            expires: None,
            content: Content::Body(cbor::to_vec(&body)),
        };
        if let Ok(record) = draft.sign(&hosted.key, &self.network) {
            self.keep_own(&record, now)?;
        }
        Ok(())
    }

    /// Stores a record that was just signed here and gossips it once it is durable.
    pub(crate) fn keep_own(&mut self, record: &Record, now: Now) -> Result<Admission, ReadError> {
        let admission = self.admit(record, Source::Own, now)?;
        if admission == Admission::New {
            self.require_sync();
            if let Some(domain) = record.kind().domain() {
                self.effect_when_durable(Effect::Publish(domain, record.clone()));
            }
        }
        Ok(admission)
    }

    /// Signs and keeps the next revision of a slot.
    pub(crate) fn sign_slot(
        &mut self,
        hosted: &HostedAgent,
        kind: Kind,
        name: &str,
        lifetime_ms: u64,
        body: impl FnOnce(&Self, u64) -> Vec<u8>,
        now: Now,
    ) -> Result<Record, SignError> {
        let last = self.slot_head(&slot_key(hosted.agent, kind, name))?.map_or(0, |head| head.revision);
        self.sign_slot_after(last, hosted, (kind, name, lifetime_ms), body, now)
    }

    /// The same after a revision that may be gone from here.
    pub(crate) fn sign_slot_after(
        &mut self,
        last: u64,
        hosted: &HostedAgent,
        (kind, name, lifetime_ms): (Kind, &str, u64),
        body: impl FnOnce(&Self, u64) -> Vec<u8>,
        now: Now,
    ) -> Result<Record, SignError> {
        let made = self.signing_time(now);
        let revision = last.saturating_add(1).max(made.0);
        let expires = made.plus(lifetime_ms);
        let history = self.key_history(hosted.agent)?;
        let draft = Draft {
            agent: hosted.agent,
            key_event: history.current_event(),
            group: None,
            kind,
            placement: Placement::Slot { name: Text::try_from(name).unwrap_or_default(), revision },
            made,
            expires: Some(expires),
            content: Content::Body(body(self, expires.0)),
        };
        let record = draft.sign(&hosted.key, &self.network)?;
        match self.keep_own(&record, now)? {
            Admission::New => Ok(record),
            Admission::Known => Err(SignError::Refused(RefusalKind::Internal, "it was signed before".into())),
            Admission::Early(cause) => Err(SignError::Refused(RefusalKind::Internal, cause.into())),
            Admission::Unwanted(cause) | Admission::Wrong(cause) => {
                Err(SignError::Refused(RefusalKind::Internal, cause))
            }
        }
    }

    /// Signs and keeps the next link of one of this node's own chains, under the vote guard.
    pub(crate) fn sign_link(
        &mut self,
        hosted: &HostedAgent,
        kind: Kind,
        content: Content,
        now: Now,
    ) -> Result<Record, SignError> {
        self.sign_link_in(hosted, None, kind, content, None, now)
    }

    /// The same inside a group, and made later than `after`.
    pub(crate) fn sign_link_in(
        &mut self,
        hosted: &HostedAgent,
        group: Option<GroupId>,
        kind: Kind,
        content: Content,
        after: Option<Millis>,
        now: Now,
    ) -> Result<Record, SignError> {
        if let Some(cause) = &self.signing_stopped {
            return Err(SignError::Refused(RefusalKind::SigningStopped, cause.clone()));
        }
        let PlacementRule::Chain { stream, .. } = kind.placement() else {
            return Err(SignError::Refused(RefusalKind::Internal, format!("{} has no chain", kind.name())));
        };
        let chain = self.own_chain(hosted.agent, stream);
        let (seq, prev) = match self.head(&chain) {
            Some(head) => (head.seq.saturating_add(1), Some(RecordId(head.id))),
            None => (0, None),
        };
        let history = self.key_history(hosted.agent)?;
        let draft = Draft {
            agent: hosted.agent,
            key_event: history.current_event(),
            group,
            kind,
            placement: Placement::Chain {
                stream: Text::try_from(stream).unwrap_or_default(),
                incarnation: Some(self.incarnation),
                seq,
                prev,
            },
            made: after.map_or(Millis(0), |after| after.plus(1)).max(self.signing_time(now)),
            expires: None,
            content,
        };
        let record = draft.sign(&hosted.key, &self.network)?;
        match self.keep_own(&record, now)? {
            Admission::New => {
                self.guard_link(chain, seq, &record);
                Ok(record)
            }
            other @ (Admission::Known
            | Admission::Early(_)
            | Admission::Unwanted(_)
            | Admission::Wrong(_)) => {
                Err(SignError::Refused(RefusalKind::Internal, format!("own record was not kept: {other:?}")))
            }
        }
    }

    /// Compares this node's own chains in the database with what the guard says was signed.
    pub(crate) fn check_own_chains(&mut self) -> Result<(), ReadError> {
        for (hosted, stream) in self
            .agents
            .clone()
            .into_iter()
            .flat_map(|hosted| OWN_STREAMS.map(|stream| (hosted.clone(), stream)))
        {
            let prefix = self.own_chain(hosted.agent, stream);
            let signed = self.head(&prefix).map(|head| head.seq);
            let next = signed.map_or(0, |seq| seq.saturating_add(1));
            let from = [&prefix[..], &next.to_be_bytes()].concat();
            let unknown = self.store.scan(Table::Chain, &from, &prefix_end(&prefix), 1)?.pop();
            let seq = unknown.and_then(|(key, _)| key.get(prefix.len()..)?.first_chunk::<8>().copied());
            if let Some(seq) = seq {
                self.stop_signing(format!(
                    "the database holds link {} of the {stream} chain of {}, but the vote guard knows of {}: this \
                     directory was copied or its guard is old",
                    u64::from_be_bytes(seq),
                    hosted.agent,
                    signed.map_or("none".into(), |seq| seq.to_string()),
                ));
            }
        }
        Ok(())
    }

    /// A link of an own chain that is not in the store came from outside: another copy of this directory is alive.
    pub(crate) fn watch_own_chain(&mut self, record: &Record, incarnation: Option<Incarnation>, seq: u64) {
        if self.is_own_chain(record.agent(), incarnation) {
            self.stop_signing(format!(
                "link {seq} of an own chain of this node's came from the network: another copy of this data directory is \
                 running, or this one was restored from a backup"
            ));
        }
    }

    pub(crate) fn on_host(&mut self, no: AskNo, hosted: HostedAgent, now: Now) -> Result<(), ReadError> {
        let agent = hosted.agent;
        if self.hosted(agent).is_none() {
            if self.agents.len() >= AGENTS_MAX {
                let cause = format!("this node hosts {AGENTS_MAX} agents already");
                self.refuse(no, RefusalKind::Conflict, cause, None);
                return Ok(());
            }
            self.ensure_inception(&hosted, now)?;
            self.agents.push(hosted);
            self.resume_groups()?;
            self.resume_sealed()?;
        }
        self.answer(no, Answer::Hosted(agent));
        Ok(())
    }

    pub(crate) fn on_publish_card(
        &mut self,
        no: AskNo,
        agent: AgentId,
        json: Vec<u8>,
        now: Now,
    ) -> Result<(), ReadError> {
        let Some(hosted) = self.hosted(agent).cloned() else {
            self.refuse_unhosted(no, agent);
            return Ok(());
        };
        let card = match Card::new(json) {
            Ok(card) => card,
            Err(error) => {
                self.refuse(
                    no,
                    RefusalKind::Invalid,
                    error.to_string(),
                    Some("see examples/ for a valid card"),
                );
                return Ok(());
            }
        };
        let before = self.own_card(agent, now)?.map(|card| card.terms()).unwrap_or_default();
        let body = cbor::to_vec(&card.body());
        let record = match self.sign_slot(&hosted, Kind::Card, "", CARD_LIFETIME_MS, |_, _| body, now) {
            Ok(record) => record,
            Err(error) => return self.refuse_unsigned(no, error),
        };
        self.renew_lease(&hosted, now)?;
        self.announce_card(agent, &card, now);
        if !before.is_subset(&card.terms()) {
            self.announce(now)?;
        }
        let Placement::Slot { revision, .. } = record.header().placement else { return Ok(()) };
        self.answer(
            no,
            Answer::Published(Published {
                agent,
                card: record.id(),
                revision,
                skills: card.skills().iter().map(ToString::to_string).collect(),
                expires: record.expires().unwrap_or_default(),
            }),
        );
        Ok(())
    }

    pub(crate) fn refuse_unhosted(&mut self, no: AskNo, agent: AgentId) {
        let hint = Some("`althing agent ls` shows the agents of this node");
        self.refuse(no, RefusalKind::NotFound, format!("agent {agent} is not hosted here"), hint);
    }

    pub(crate) fn refuse_unsigned(&mut self, no: AskNo, error: SignError) -> Result<(), ReadError> {
        match error {
            SignError::Read(error) => return Err(error),
            SignError::Refused(RefusalKind::SigningStopped, cause) => self.refuse(
                no,
                RefusalKind::SigningStopped,
                format!("this node signs no votes: {cause}"),
                Some("`althing store check` says what is wrong; SECURITY.md says why this is final for this directory"),
            ),
            SignError::Refused(kind, cause) => self.refuse(no, kind, cause, None),
        }
        Ok(())
    }

    /// The hosted agents that have a current card.
    fn carded(&self, now: Now) -> Result<Vec<(HostedAgent, Record)>, ReadError> {
        let mut carded = Vec::new();
        for hosted in &self.agents {
            let key = slot_key(hosted.agent, Kind::Card, "");
            if let Some(record) = self.slot_record(&key, now)?
                && matches!(Card::from_record(&record), Ok(Some(_)))
            {
                carded.push((hosted.clone(), record));
            }
        }
        Ok(carded)
    }

    /// Signs cards anew whose time is more than half over.
    pub(crate) fn renew_cards(&mut self, now: Now) -> Result<(), ReadError> {
        for (hosted, record) in self.carded(now)? {
            let half = record.made().plus(CARD_LIFETIME_MS / 2);
            if half <= now.wall {
                let body = record.payload().to_vec();
                // A failure leaves the old card standing; the next renewal tries again.
                if let Err(SignError::Read(error)) =
                    self.sign_slot(&hosted, Kind::Card, "", CARD_LIFETIME_MS, |_, _| body, now)
                {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn renew_leases(&mut self, now: Now) -> Result<(), ReadError> {
        self.due.lease = now.ticks + LEASE_RENEWAL_MS;
        let carded: BTreeSet<_> = self.carded(now)?.into_iter().map(|(hosted, _)| hosted.agent).collect();
        for hosted in self.agents.clone() {
            if carded.contains(&hosted.agent) || self.has_attested(hosted.agent)? {
                self.renew_lease(&hosted, now)?;
            }
        }
        Ok(())
    }

    /// Who tells of its calls has a lease, with or without a card: it is where receipts are demanded.
    pub(crate) fn serve_rater(&mut self, hosted: &HostedAgent, now: Now) -> Result<(), ReadError> {
        let lease = slot_key(hosted.agent, Kind::Lease, &self.node().to_string());
        if self.slot_record(&lease, now)?.is_none() { self.renew_lease(hosted, now) } else { Ok(()) }
    }

    /// An agent that is hosted here has a card that was not signed just now: it was moved here, or the store was lost. It
    /// is served from the moment that its card is known, and not only from the next renewal on.
    pub(crate) fn serve_carded(
        &mut self,
        record: &Record,
        source: Source,
        now: Now,
    ) -> Result<(), ReadError> {
        if record.kind() != Kind::Card || source == Source::Own {
            return Ok(());
        }
        let Some(hosted) = self.hosted(record.agent()).cloned() else { return Ok(()) };
        let lease = slot_key(hosted.agent, Kind::Lease, &self.node().to_string());
        if matches!(Card::from_record(record), Ok(Some(_))) && self.slot_record(&lease, now)?.is_none() {
            self.renew_lease(&hosted, now)?;
            self.due.provide = self.due.provide.min(now.ticks + 500);
        }
        Ok(())
    }

    pub(crate) fn renew_lease(&mut self, hosted: &HostedAgent, now: Now) -> Result<(), ReadError> {
        let node = self.node();
        let signed = self.sign_slot(
            hosted,
            Kind::Lease,
            &node.to_string(),
            LEASE_LIFETIME_MS,
            |engine, expires| {
                let lease = Lease {
                    agent: hosted.agent,
                    node,
                    addresses: engine.addresses.clone(),
                    expires: Millis(expires),
                };
                cbor::to_vec(&lease.body(engine.network.id(), &engine.node_key))
            },
            now,
        );
        match signed {
            Ok(_) | Err(SignError::Refused(..)) => Ok(()),
            Err(SignError::Read(error)) => Err(error),
        }
    }
}
