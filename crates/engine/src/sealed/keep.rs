//! Trustees' secrets that outlive the keys that they followed from.

use althing_ballot::{Keeping, Proposal, TrusteeSecret, has_key};
use althing_record::{AgentId, RecordId};
use althing_store::{ReadError, Snapshot, Table};

use crate::HostedAgent;
use crate::engine::Engine;

/// Where the rows of kept secrets begin in [`Table::Journal`].
const KEPT: u8 = b'k';

impl<S: Snapshot> Engine<S> {
    /// The secret of a hosted trustee: the one that was kept when a key was replaced, or else that which follows from the key.
    pub(super) fn trustee_secret(
        &self,
        hosted: &HostedAgent,
        proposal: RecordId,
    ) -> Result<TrusteeSecret, ReadError> {
        let row = self.store.get(Table::Journal, &kept_key(hosted.agent, proposal))?;
        let kept = row.and_then(|row| self.keeping(hosted, proposal).open(&row));
        Ok(kept.unwrap_or_else(|| TrusteeSecret::of(&hosted.key, self.network.id(), proposal)))
    }

    /// A trustee gets another key: the secrets of keys that it published and has not opened are kept, in the commit of the
    /// rotation, sealed under the new key.
    pub(crate) fn keep_secrets(
        &mut self,
        former: &HostedAgent,
        hosted: &HostedAgent,
    ) -> Result<(), ReadError> {
        let open: Vec<RecordId> = self.sealed.open.keys().copied().collect();
        for id in open {
            let Some(proposal) = self.proposal(id)? else { continue };
            if is_trustee(&proposal, hosted.agent) {
                let secret = self.trustee_secret(former, id)?;
                if has_key(&self.store, id, hosted.agent, &secret.public())? {
                    let sealed = self.keeping(hosted, id).seal(&secret);
                    self.put(Table::Journal, kept_key(hosted.agent, id), sealed);
                }
            }
        }
        Ok(())
    }

    /// What was kept has been published.
    pub(super) fn drop_secret(&mut self, trustee: AgentId, proposal: RecordId) -> Result<(), ReadError> {
        let key = kept_key(trustee, proposal);
        if self.store.get(Table::Journal, &key)?.is_some() {
            self.delete(Table::Journal, key);
        }
        Ok(())
    }

    fn keeping<'h>(&self, hosted: &'h HostedAgent, proposal: RecordId) -> Keeping<'h> {
        Keeping { key: &hosted.key, trustee: hosted.agent, network: self.network.id(), proposal }
    }
}

fn is_trustee(proposal: &Proposal, agent: AgentId) -> bool {
    proposal.sealing().is_some_and(|sealing| sealing.place(agent).is_some())
}

fn kept_key(trustee: AgentId, proposal: RecordId) -> Vec<u8> {
    [&[KEPT][..], &trustee.0, &proposal.0].concat()
}
