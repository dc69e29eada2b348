//! Directories that were restored from a copy, and those that the key of an agent came to from shares: what was signed
//! elsewhere is not in them, so before a ballot those are asked who may know.
//!
//! No clock decides any of it: a clock that is wrong makes leases look dead, and then the node stays silent.

use std::collections::BTreeSet;

use althing_ballot::Proposal;
use althing_card::Lease;
use althing_record::{AgentId, Digest, Domain, Inception, Kind, Network, NodeId, Record};
use althing_store::{Batch, CommitNo, ReadError, Snapshot, Table};

use crate::engine::Engine;
use crate::rows::{SlotHead, StoredRecord, slot_key};
use crate::signing::SIGNING_STOPPED;
use crate::{AskNo, Now, RefusalKind};

/// The row that draws a directory's chains apart from those of any other.
pub(crate) const INCARNATION: &[u8] = b"incarnation";

/// The row of a restored directory: the commit that the copy ended with, or after which a key came. It stays for the life of the directory.
const RESTORED: &[u8] = b"restored";

/// Most leases of one voter that are looked at: an agent may be served in several places.
const HOSTS_MAX: usize = 16;

/// Most voters that a refusal names.
const NAMED_MAX: usize = 5;

/// The rows that make a copied database, which ends with `commit`, a directory of its own.
///
/// It gets another incarnation at its first start, so that it never extends a chain of its former life. Why the former
/// directory had stopped signing was about that one's chains. The mark makes the node ask before it votes.
#[must_use]
pub fn restored(commit: CommitNo) -> Batch {
    let mut batch = Batch::default();
    batch.delete(Table::Meta, INCARNATION);
    batch.delete(Table::Meta, SIGNING_STOPPED);
    batch.put(Table::Meta, RESTORED, commit.0.to_be_bytes());
    batch
}

/// The row that makes a directory one whose past is not all in it, because the key of an agent came to it that lived
/// elsewhere before; `commit` is the last before that.
#[must_use]
pub fn joined_by_restored_key(commit: CommitNo) -> Batch {
    let mut batch = Batch::default();
    batch.put(Table::Meta, RESTORED, commit.0.to_be_bytes());
    batch.require_sync();
    batch
}

pub(crate) fn is_restored(store: &impl Snapshot) -> Result<bool, ReadError> {
    Ok(store.get(Table::Meta, RESTORED)?.is_some())
}

/// The hash of the recovery key that an agent was founded with, as its inception in a store says.
///
/// # Errors
/// When the store cannot be read.
pub fn recovery_key_hash_of(
    store: &impl Snapshot,
    network: &Network,
    agent: AgentId,
) -> Result<Option<Digest>, ReadError> {
    for (key, _) in store.scan_prefix(Table::IdentityView, &agent.0, usize::MAX)? {
        let Some(row) = store.get(Table::Records, key.get(32..).unwrap_or(&[]))? else { continue };
        let record = StoredRecord::read(&row).and_then(|stored| Record::verify(stored.bytes, network).ok());
        let inception = record.filter(|record| record.kind() == Kind::Inception);
        if let Some(Ok(body)) = inception.map(|record| record.body::<Inception>()) {
            return Ok(Some(body.recovery_key_hash));
        }
    }
    Ok(None)
}

/// How far a restored node has asked before a ballot.
struct Inquiry {
    /// Weight of the voters whose nodes answered.
    told: u64,
    needed: u64,
    /// The voters whose nodes did not, and these nodes.
    missing: Vec<(AgentId, BTreeSet<NodeId>)>,
}

impl<S: Snapshot> Engine<S> {
    /// Whether this directory was restored from a copy, or a key in it from shares.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// Whether a ballot on the proposal may be signed as far as this directory's past goes. If not, the client is told,
    /// and those who are missing are asked.
    ///
    /// All nodes: what was said before this start, from here or from a copy, is asked of some peer first. Restored ones:
    /// of the nodes of n − f voters, so that no ballot stays unknown that nodes of more than f voters hold.
    pub(crate) fn has_asked_before_ballot(
        &mut self,
        no: AskNo,
        agent: AgentId,
        proposal: &Proposal,
        now: Now,
    ) -> Result<bool, ReadError> {
        let id = proposal.id;
        let voters = proposal.electorate.voters();
        let alone = voters.iter().all(|voter| self.hosted(voter.agent).is_some());
        // Alone a restored node has nobody to ask who votes; another peer may still have heard it.
        if (!alone || self.restored) && !self.reconciler.has_synced(Domain::Ledger) {
            let cause =
                format!("no peer has told this node since its start how {agent} voted on {id} before");
            let hint = Some("wait until a peer is connected: `althing peers`");
            self.refuse(no, RefusalKind::NotReady, cause, hint);
            return Ok(false);
        }
        if !self.restored {
            return Ok(true);
        }
        let inquiry = self.inquiry(proposal, now)?;
        if inquiry.told >= inquiry.needed {
            return Ok(true);
        }
        for (_, nodes) in &inquiry.missing {
            nodes.iter().for_each(|node| self.reconciler.seek(*node));
        }
        self.pump_sync(now)?;
        let cause = format!(
            "this store was restored from a copy or a key from shares, so before {agent} votes on {id} the nodes of voters with {} of {} votes \
             have to say what it cast before; those of {} did. Missing: {}",
            inquiry.needed,
            proposal.electorate.total(),
            inquiry.told,
            self.names(&inquiry.missing),
        );
        let hint = "wait until they are connected (`althing peers`); a voter without a lease publishes its card again";
        self.refuse(no, RefusalKind::NotReady, cause, Some(hint));
        Ok(false)
    }

    /// The same for a ballot that nobody asked for, without words.
    pub(crate) fn may_vote_unasked(&mut self, proposal: &Proposal, now: Now) -> Result<bool, ReadError> {
        let alone = proposal.electorate.voters().iter().all(|voter| self.hosted(voter.agent).is_some());
        if (!alone || self.restored) && !self.reconciler.has_synced(Domain::Ledger) {
            return Ok(false);
        }
        if !self.restored {
            return Ok(true);
        }
        let inquiry = self.inquiry(proposal, now)?;
        Ok(inquiry.told >= inquiry.needed)
    }

    fn inquiry(&self, proposal: &Proposal, now: Now) -> Result<Inquiry, ReadError> {
        let electorate = &proposal.electorate;
        let needed = electorate.total() - electorate.tolerates();
        let (mut told, mut missing) = (0_u64, Vec::new());
        for voter in electorate.voters() {
            let nodes = self.hosts(voter.agent, now)?;
            // All of them: what one holds another may not have heard of yet.
            let is_told = !nodes.is_empty() && nodes.iter().all(|node| self.reconciler.was_told_by(*node));
            if is_told || self.hosted(voter.agent).is_some() {
                told = told.saturating_add(voter.weight);
            } else {
                missing.push((voter.agent, nodes));
            }
        }
        Ok(Inquiry { told, needed, missing })
    }

    /// The nodes where an agent is served, by its live leases.
    fn hosts(&self, agent: AgentId, now: Now) -> Result<BTreeSet<NodeId>, ReadError> {
        let mut nodes = BTreeSet::new();
        for (_, row) in self.store.scan_prefix(Table::Slot, &slot_key(agent, Kind::Lease, ""), HOSTS_MAX)? {
            if let Some(head) = SlotHead::read(&row)
                && head.deadline > now.wall
                && let Some(record) = self.record(head.id)?
                && let Ok(Some(lease)) = Lease::from_record(&record)
            {
                nodes.insert(lease.node);
            }
        }
        Ok(nodes)
    }

    fn names(&self, missing: &[(AgentId, BTreeSet<NodeId>)]) -> String {
        let name = |(agent, nodes): &(AgentId, BTreeSet<NodeId>)| match nodes.first() {
            None => format!("{agent} (no live lease)"),
            Some(node) if nodes.iter().any(|node| self.peers.contains(node)) => {
                format!("{agent} (at {node}, being asked)")
            }
            Some(node) => format!("{agent} (at {node}, not connected)"),
        };
        let mut names: Vec<_> = missing.iter().take(NAMED_MAX).map(name).collect();
        if missing.len() > NAMED_MAX {
            names.push(format!("{} more", missing.len() - NAMED_MAX));
        }
        names.join(", ")
    }
}
