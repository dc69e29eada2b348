//! Another key for an agent that is hosted here: the identity record that says so, and what the new key has to sign anew.

use althing_card::{CARD_LIFETIME_MS, Card};
use althing_record::cbor::{self, Text};
use althing_record::{
    AgentId, AgentKey, Content, Digest, Draft, KeyHistory, Kind, Network, Placement, Record, RecordId,
    Rotation, recovery_key_hash,
};
use althing_store::{ReadError, Snapshot, Table};

use crate::admit::Admission;
use crate::engine::Engine;
use crate::publish::SignError;
use crate::rows::{StoredRecord, slot_key};
use crate::{Answer, AskNo, HostedAgent, Now, RefusalKind};

/// What [`crate::Ask::Rotate`] wants.
#[derive(Clone, Debug)]
pub struct Rotate {
    /// A hosted agent.
    pub agent: AgentId,
    /// The key that its identity names as the one that may do this. It signs once, and has no right any more then.
    pub recovery: AgentKey,
    /// The key that is to sign from now on. It has to be on disk.
    pub key: AgentKey,
    /// The hash of the next recovery key. That has to be on disk too.
    pub recovery_key_hash: Digest,
    /// The agent's card for its new key; none: the card stays as it is.
    pub card: Option<Vec<u8>>,
}

impl PartialEq for Rotate {
    fn eq(&self, other: &Self) -> bool {
        let keys = |of: &Self| (of.recovery.public(), of.key.public(), of.recovery_key_hash);
        (self.agent, keys(self), &self.card) == (other.agent, keys(other), &other.card)
    }
}

impl Eq for Rotate {}

/// An agent for which another key speaks now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The agent.
    pub agent: AgentId,
    /// The key that speaks for it.
    pub key: [u8; 32],
    /// The rotation.
    pub record: RecordId,
    /// How many there were, with this one.
    pub rotations: u64,
    /// The agent's identity records, the inception first.
    pub identity: Vec<Record>,
    /// Whether the agent's card was signed anew; not if there is none.
    pub has_card: bool,
}

/// The identity records of an agent that a store holds; none if it holds no rotation.
///
/// # Errors
/// When the store cannot be read.
pub fn identity_records(
    store: &impl Snapshot,
    network: &Network,
    agent: AgentId,
) -> Result<Vec<Record>, ReadError> {
    let rows = store.scan_prefix(Table::IdentityView, &agent.0, usize::MAX)?;
    // Who rotated has an inception too.
    if rows.len() < 2 {
        return Ok(Vec::new());
    }
    let mut records = Vec::with_capacity(rows.len());
    for (key, _) in rows {
        let Some(row) = store.get(Table::Records, key.get(32..).unwrap_or(&[]))? else { continue };
        records
            .extend(StoredRecord::read(&row).and_then(|stored| Record::verify(stored.bytes, network).ok()));
    }
    Ok(records)
}

impl<S: Snapshot> Engine<S> {
    /// Does it again without harm: if the key speaks for the agent already, only the rest is done.
    pub(crate) fn on_rotate(&mut self, no: AskNo, rotate: Rotate, now: Now) -> Result<(), ReadError> {
        let agent = rotate.agent;
        if self.hosted(agent).is_none() {
            self.refuse_unhosted(no, agent);
            return Ok(());
        }
        let card = self.own_card(agent, now)?.map(|card| card.body());
        let last = self.slot_head(&slot_key(agent, Kind::Card, ""))?.map_or(0, |head| head.revision);
        let history = self.key_history(agent)?;
        if history.current_key() != rotate.key.public() {
            match self.sign_rotation(&history, &rotate, now) {
                Ok(()) => {}
                Err(SignError::Read(error)) => return Err(error),
                Err(SignError::Refused(kind, cause)) => {
                    let hint = Some("`althing key rotate --help` says what it takes");
                    self.refuse(no, kind, cause, hint);
                    return Ok(());
                }
            }
        }
        let hosted = self.agents.iter_mut().find(|hosted| hosted.agent == agent).expect("it is hosted");
        let former = std::mem::replace(&mut hosted.key, rotate.key);
        let hosted = hosted.clone();
        let former = HostedAgent { key: former, ..hosted.clone() };
        if former.key.public() != hosted.key.public() {
            self.keep_secrets(&former, &hosted)?;
        }
        self.rotating.push((self.assigned.next(), former));
        let card = match (card, rotate.card.map(Card::new)) {
            (Some(_), Some(Ok(anew))) => Some(anew.body()),
            (before, Some(Err(_)) | None) => before,
            (None, Some(Ok(_))) => None,
        };
        let has_card = card.is_some();
        if let Some(card) = card {
            self.publish_anew(&hosted, cbor::to_vec(&card), last, now)?;
        }
        let history = self.key_history(agent)?;
        let mut identity = Vec::new();
        for id in history.branch() {
            identity.extend(self.record(*id)?);
        }
        let (record, rotations) = history.tip().expect("a key that was rotated has a history");
        let key = hosted.key.public();
        let rotated = Rotated { agent, key, record, rotations, identity, has_card };
        self.answer(no, Answer::Rotated(Box::new(rotated)));
        Ok(())
    }

    fn sign_rotation(&mut self, history: &KeyHistory, rotate: &Rotate, now: Now) -> Result<(), SignError> {
        let conflict = |cause: String| SignError::Refused(RefusalKind::Conflict, cause);
        let agent = rotate.agent;
        let (Some((tip, seq)), Some(committed)) = (history.tip(), history.recovery_key_hash()) else {
            return Err(conflict(format!("the first record of the identity of {agent} is not here")));
        };
        if recovery_key_hash(&rotate.recovery.public()) != committed {
            let cause =
                format!("the identity of {agent} names another recovery key than the one that is here");
            return Err(conflict(cause));
        }
        let body =
            Rotation { new_key: rotate.key.public(), new_recovery_key_hash: Some(rotate.recovery_key_hash) };
        let draft = Draft {
            agent,
            key_event: Some(tip),
            group: None,
            kind: Kind::Rotation,
            placement: Placement::Chain {
                stream: Text::try_from("identity").unwrap_or_default(),
                incarnation: None,
                seq: seq.saturating_add(1),
                prev: Some(tip),
            },
            made: self.signing_time(now),
            expires: None,
            content: Content::Body(cbor::to_vec(&body)),
        };
        let record = draft.sign(&rotate.recovery, &self.network)?;
        match self.keep_own(&record, now)? {
            Admission::New => Ok(()),
            other @ (Admission::Known
            | Admission::Early(_)
            | Admission::Unwanted(_)
            | Admission::Wrong(_)) => {
                let cause = format!("the rotation was not kept: {other:?}");
                Err(SignError::Refused(RefusalKind::Internal, cause))
            }
        }
    }

    /// The disk did not take the last commits: agents go on with the keys that spoke before.
    pub(crate) fn take_rotations_back(&mut self) {
        for (no, former) in std::mem::take(&mut self.rotating).into_iter().rev() {
            if no > self.durable
                && let Some(hosted) = self.agents.iter_mut().find(|hosted| hosted.agent == former.agent)
            {
                *hosted = former;
            }
        }
    }

    /// What the former key signed is gone with it: the agent is found and called on as soon as this is known.
    /// The card's revision goes on from the `last` one, whatever the clock says.
    fn publish_anew(
        &mut self,
        hosted: &HostedAgent,
        body: Vec<u8>,
        last: u64,
        now: Now,
    ) -> Result<(), ReadError> {
        let slot = (Kind::Card, "", CARD_LIFETIME_MS);
        // A failure leaves the agent without a card; the answer to the next wish for one says why.
        match self.sign_slot_after(last, hosted, slot, |_, _| body, now) {
            Ok(_) | Err(SignError::Refused(..)) => {}
            Err(SignError::Read(error)) => return Err(error),
        }
        self.renew_lease(hosted, now)?;
        self.announce(now)
    }
}
