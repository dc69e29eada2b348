use althing_record::RecordId;
use althing_store::{ReadError, Snapshot};

use super::Link;
use crate::engine::Engine;
use crate::{Answer, AskNo, CheckpointShown, RefusalKind};

/// Most checkpoints that one answer lists.
pub const CHECKPOINTS_MAX: usize = 1_000;

impl<S: Snapshot> Engine<S> {
    /// The newest checkpoints, the newest first.
    pub(crate) fn checkpoints_shown(&self, limit: usize) -> Result<Vec<CheckpointShown>, ReadError> {
        let links = self.checkpoints.chain.iter().rev().take(limit.min(CHECKPOINTS_MAX));
        links.filter_map(|link| self.checkpoint_shown(link).transpose()).collect()
    }

    /// One of the chain.
    pub(crate) fn on_show_checkpoint(&mut self, no: AskNo, id: RecordId) -> Result<(), ReadError> {
        let link = self.checkpoints.chain.iter().find(|link| link.checkpoint == id);
        let shown = match link {
            Some(link) => self.checkpoint_shown(link)?,
            None => None,
        };
        match shown {
            Some(shown) => self.answer(no, Answer::Checkpoints(vec![shown])),
            None => {
                let cause = format!("checkpoint {id} was not decided, as far as this node knows");
                self.refuse(
                    no,
                    RefusalKind::NotFound,
                    cause,
                    Some("`althing rep checkpoints` lists those that were"),
                );
            }
        }
        Ok(())
    }

    fn checkpoint_shown(&self, link: &Link) -> Result<Option<CheckpointShown>, ReadError> {
        let Some(checkpoint) = self.checkpoint(link.checkpoint)? else { return Ok(None) };
        let judged = self.checkpoints.judged.get(&checkpoint.id);
        Ok(Some(CheckpointShown {
            checkpoint: checkpoint.id,
            proposal: link.proposal,
            author: checkpoint.author,
            made: checkpoint.made,
            epoch: checkpoint.epoch,
            prev: checkpoint.prev,
            taken: checkpoint.changes.taken.len() as u64,
            score_root: checkpoint.score_root,
            agents: checkpoint.agents.into(),
            params_hash: checkpoint.params_hash,
            slashed: checkpoint.changes.slashed,
            cleared: checkpoint.changes.cleared,
            unproved: checkpoint.changes.unproved,
            agrees: judged.map(Option::is_some),
        }))
    }
}
