//! What may be signed only once: the vote guard, and what becomes of it when the disk is full.

use althing_record::{AgentId, Incarnation, Record};
use althing_store::{CommitNo, Head, ReadError, Snapshot, Table};

use crate::admit::Admission;
use crate::engine::{Engine, NODE};
use crate::restored::INCARNATION;
use crate::rows::chain_prefix;
use crate::{Event, Note, Now, Source};

/// The row that remembers why this directory must not sign votes any more.
pub(crate) const SIGNING_STOPPED: &[u8] = b"signing_stopped";

impl<S: Snapshot> Engine<S> {
    /// Falls back to what the disk holds. What was signed stays signed: it is stored again, unchanged, before anything
    /// else is.
    pub(crate) fn on_disk_full(&mut self, no: CommitNo, cause: &str) -> Result<(), ReadError> {
        if !self.read_only {
            self.note(Note::DiskFull { cause: cause.to_owned() });
        }
        self.read_only = true;
        self.store.abandon();
        self.assigned = CommitNo(no.0.saturating_sub(1)).max(self.durable);
        self.take_rotations_back();
        self.proposals.clear();
        self.closings.clear();
        self.dockets.clear();
        self.groups.forget();
        self.sealed.clear();
        self.histories.borrow_mut().clear();
        // What peers told since the start may be among what is lost.
        self.reconciler.forget_all();
        self.resume_pruning()?;
        self.resume_cases()?;
        self.resume_checkpoints()?;
        self.resume_ratings()?;
        self.resume_proofs()?;
        self.journal_falls_back(cause)
    }

    pub(crate) fn on_writable(&mut self, now: Now) -> Result<(), ReadError> {
        if !self.read_only {
            return Ok(());
        }
        self.read_only = false;
        self.journal_resumes();
        for (_, records) in std::mem::take(&mut self.unacknowledged) {
            self.keep_signed(&records, now)?;
            self.signed.extend(records);
            // One commit for each that failed, so that no guard holds more than one did before.
            self.finish(now);
        }
        for hosted in self.agents.clone() {
            self.ensure_inception(&hosted, now)?;
        }
        // Rows whose commit may have failed.
        self.put(Table::Meta, INCARNATION.to_vec(), self.incarnation.0.to_vec());
        self.put(Table::Meta, NODE.to_vec(), self.node().0.to_vec());
        if let Some(cause) = self.signing_stopped.clone() {
            self.put(Table::Meta, SIGNING_STOPPED.to_vec(), cause.into_bytes());
        }
        self.resume_groups()?;
        self.resume_sealed()?;
        self.resume_closings(now)
    }

    /// Stores links that were signed before and may not be in the database; they are never signed again differently.
    pub(crate) fn keep_signed(&mut self, links: &[Vec<u8>], now: Now) -> Result<(), ReadError> {
        for bytes in links {
            match Record::verify(bytes, &self.network) {
                Ok(record) => {
                    if self.admit(&record, Source::Guard, now)? == Admission::New {
                        // The next guard no longer holds it.
                        self.require_sync();
                    }
                }
                Err(error) => self.stop_signing(format!("the vote guard holds an invalid record: {error}")),
            }
        }
        Ok(())
    }

    pub(crate) fn stop_signing(&mut self, cause: String) {
        if self.signing_stopped.is_none() {
            self.note(Note::SigningStopped { cause: cause.clone() });
            // What proved it once may not come again.
            self.put(Table::Meta, SIGNING_STOPPED.to_vec(), cause.clone().into_bytes());
            self.tell(&Event::SigningStopped { cause: cause.clone() });
            self.signing_stopped = Some(cause);
        }
    }

    /// Remembers, in the vote guard of this input's commit, that one of this node's chains was extended.
    pub(crate) fn guard_link(&mut self, chain: Vec<u8>, seq: u64, record: &Record) {
        self.heads.insert(chain.clone(), Head { chain, seq, id: record.id().0 });
        self.signed.push(record.bytes().to_vec());
    }

    pub(crate) fn head(&self, chain: &[u8]) -> Option<&Head> {
        self.heads.get(chain)
    }

    /// Whether a chain is one of this node's own: of a hosted agent, in this data directory's incarnation.
    pub(crate) fn is_own_chain(&self, agent: AgentId, incarnation: Option<Incarnation>) -> bool {
        incarnation == Some(self.incarnation) && self.hosted(agent).is_some()
    }

    pub(crate) fn own_chain(&self, agent: AgentId, stream: &str) -> Vec<u8> {
        chain_prefix(agent, stream, Some(self.incarnation))
    }
}
