//! Scores of the newest checkpoint: proved to nodes that hold no ledger, and asked for by one.

use std::collections::BTreeSet;
use std::sync::Arc;

use althing_record::merkle::Tree;
use althing_record::{AgentId, NodeId, RecordId};
use althing_store::{ReadError, Snapshot};
use althing_trust::{Checkpoint, ScoreProof, ScoreProofError, Scores, Standing};

use crate::engine::Engine;
use crate::frame::SCORES_ASKED_MAX;
use crate::{Answer, AskNo, Checkpointed, Effect, Note, Now, RefusalKind, Request, Response};

/// Most clients that wait for scores at once.
const ASKS_MAX: usize = 256;

/// Most peers that are asked for one agent's scores.
const PEERS_MAX: usize = 3;

/// Most agents whose scores at the newest checkpoint are remembered.
const FETCHED_MAX: usize = 4_096;

/// A client's question that waits for a peer.
#[derive(Debug)]
pub(crate) struct ScoreAsk {
    no: AskNo,
    agent: AgentId,
    checkpoint: RecordId,
    tried: BTreeSet<NodeId>,
    /// The peer that is asked now.
    peer: NodeId,
    /// From then on no other is asked.
    deadline: u64,
}

impl<S: Snapshot> Engine<S> {
    /// Proofs of scores at a checkpoint, if this node computed those that were decided.
    pub(crate) fn serve_scores(&self, checkpoint: RecordId, agents: &[AgentId]) -> Response {
        let Some(Some(computed)) = self.checkpoints.judged.get(&checkpoint) else { return Response::Busy };
        let proofs = agents.iter().take(SCORES_ASKED_MAX);
        let proofs = proofs.filter_map(|agent| computed.scores.proof_in(&computed.tree, *agent)).collect();
        Response::Scores { checkpoint, proofs }
    }

    /// Tells a client what is known of an agent; a node without the ledger asks others for its scores.
    pub(crate) fn on_show_agent(&mut self, no: AskNo, agent: AgentId, now: Now) -> Result<(), ReadError> {
        let tip = self.checkpoints.chain.last().map(|link| link.checkpoint);
        let Some(checkpoint) = tip.filter(|_| !self.keeps_ledger) else {
            let known = tip.and_then(|tip| self.checkpoints.judged.get(&tip)?.clone());
            let of_tip = known.and_then(|computed| {
                let standing = computed.scores.of(agent);
                Some((tip?, standing))
            });
            return self.tell_agent(no, agent, of_tip, None);
        };
        if let Some((standing, peer)) = self.checkpoints.fetched.get(&agent).copied() {
            return self.tell_agent(no, agent, Some((checkpoint, Some(standing))), Some(peer));
        }
        if self.scores_asked.len() >= ASKS_MAX {
            self.refuse(no, RefusalKind::Busy, "too many scores are being asked for", None);
            return Ok(());
        }
        let deadline = now.ticks + self.timing.search_ms;
        let (tried, peer) = (BTreeSet::new(), self.node());
        self.ask_next(ScoreAsk { no, agent, checkpoint, tried, peer, deadline }, now)
    }

    fn tell_agent(
        &mut self,
        no: AskNo,
        agent: AgentId,
        at: Option<(RecordId, Option<Standing>)>,
        told_by: Option<NodeId>,
    ) -> Result<(), ReadError> {
        let mut found = self.reputation(agent)?;
        if let Some((checkpoint, standing)) = at
            && let Some(link) = self.checkpoints.chain.iter().rev().find(|link| link.checkpoint == checkpoint)
        {
            found.checkpointed = Some(Checkpointed { checkpoint, epoch: link.epoch, standing, told_by });
        }
        self.answer(no, Answer::Reputation(Box::new(found)));
        Ok(())
    }

    /// Asks one more peer, or tells the client that nobody knew.
    fn ask_next(&mut self, mut asked: ScoreAsk, now: Now) -> Result<(), ReadError> {
        let free: Vec<_> = self.peers.iter().filter(|peer| !asked.tried.contains(*peer)).copied().collect();
        let is_over = asked.tried.len() >= PEERS_MAX || now.ticks >= asked.deadline;
        let chosen = free.get(self.random_below(free.len())).copied().filter(|_| !is_over);
        let Some(peer) = chosen else {
            return self.tell_agent(asked.no, asked.agent, Some((asked.checkpoint, None)), None);
        };
        asked.tried.insert(peer);
        asked.peer = peer;
        let no = self.request_no();
        let request = Request::Scores { checkpoint: asked.checkpoint, agents: vec![asked.agent] };
        self.effect(Effect::Request(no, peer, request));
        self.scores_asked.insert(no, asked);
        Ok(())
    }

    /// A peer answered, or did not.
    pub(crate) fn on_scores(
        &mut self,
        asked: ScoreAsk,
        response: Option<Response>,
        now: Now,
    ) -> Result<(), ReadError> {
        let read = match response {
            Some(Response::Scores { checkpoint, proofs }) => match self.checkpoint(asked.checkpoint)? {
                Some(of) => read_scores(asked.agent, &of, checkpoint, &proofs),
                None => Ok(None),
            },
            Some(Response::Busy) | None => Ok(None),
            Some(
                Response::Reconcile { .. }
                | Response::Records { .. }
                | Response::Cards { .. }
                | Response::Proofs { .. },
            ) => {
                let cause = "the peer answered something else".to_owned();
                self.note(Note::ScoreRefused { peer: asked.peer, cause });
                return self.ask_next(asked, now);
            }
        };
        match read {
            Ok(Some(standing)) => {
                let tip = self.checkpoints.chain.last().map(|link| link.checkpoint);
                let fetched = &mut self.checkpoints.fetched;
                if tip == Some(asked.checkpoint) && fetched.len() < FETCHED_MAX {
                    fetched.insert(asked.agent, (standing, asked.peer));
                }
                let at = Some((asked.checkpoint, Some(standing)));
                self.tell_agent(asked.no, asked.agent, at, Some(asked.peer))
            }
            // That somebody has no score is not proved, so another is asked.
            Ok(None) => self.ask_next(asked, now),
            // Nobody who computed the scores that were decided says so.
            Err(lie) => {
                self.note(Note::RatingRefused { reason: lie.name });
                self.note(Note::ScoreRefused { peer: asked.peer, cause: lie.cause });
                self.effect(Effect::Blame(asked.peer));
                self.ask_next(asked, now)
            }
        }
    }
}

/// An answer that is wrong from its bytes alone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lie {
    /// For what it is refused, in metrics.
    name: &'static str,
    cause: String,
}

/// The scores of an agent that an answer proves, if it is to what was asked; none if it has none.
fn read_scores(
    agent: AgentId,
    of: &Checkpoint,
    checkpoint: RecordId,
    proofs: &[ScoreProof],
) -> Result<Option<Standing>, Lie> {
    let other = |cause: String| Err(Lie { name: "other_scores", cause });
    if checkpoint != of.id {
        return other(format!("scores of checkpoint {checkpoint}, expected {}", of.id));
    }
    match proofs {
        [] => Ok(None),
        [proof] => {
            let read = proof.read(agent, of.score_root, of.agents.into());
            read.map(Some).map_err(|error| Lie { name: name_of(&error), cause: error.to_string() })
        }
        [_, _, ..] => other(format!("scores of {} agents, expected those of 1", proofs.len())),
    }
}

fn name_of(error: &ScoreProofError) -> &'static str {
    match error {
        ScoreProofError::Leaf => "malformed",
        ScoreProofError::OtherAgent(_) | ScoreProofError::Count { .. } => "other_scores",
        ScoreProofError::Path => "merkle_path",
    }
}

/// Scores of a checkpoint that were computed here.
#[derive(Debug)]
pub(super) struct Computed {
    pub(super) scores: Scores,
    pub(super) tree: Tree,
}

impl Computed {
    pub(super) fn new(scores: Scores, tree: Tree) -> Arc<Self> {
        Arc::new(Self { scores, tree })
    }
}

#[cfg(test)]
mod tests {
    use althing_record::{Digest, Millis};
    use althing_trust::{CheckpointChanges, Counts, Ledger, Params, Rating, RatingEpoch};

    use super::*;

    #[test]
    fn an_answer_to_something_else_is_refused_by_name() {
        let (epoch, counts) = (RatingEpoch(3), Counts::new(9, 9, 900, 9).unwrap());
        let agent = |n: u8| AgentId([n; 32]);
        let mut ledger = Ledger::default();
        for n in 2..9 {
            ledger.apply(RecordId([n; 32]), agent(1), epoch, &[Rating { target: agent(n), counts }]);
        }
        let params = Params { anchors: [agent(1)].into(), ..Params::default() };
        let scores = ledger.view(epoch).scores(&params).unwrap();
        let of = Checkpoint {
            id: RecordId([7; 32]),
            author: agent(1),
            made: Millis(0),
            epoch,
            prev: None,
            changes: CheckpointChanges::default(),
            score_root: scores.root(),
            agents: 8,
            params_hash: Digest([0; 32]),
        };
        let proof = scores.proof(agent(4)).unwrap();
        let read = |checkpoint, proofs: &[ScoreProof]| read_scores(agent(4), &of, checkpoint, proofs);
        assert_eq!(read(of.id, std::slice::from_ref(&proof)), Ok(scores.of(agent(4))));
        assert_eq!(read(of.id, &[]), Ok(None));
        let wrong_path = ScoreProof { path: vec![Digest([1; 32]); proof.path.len()], ..proof.clone() };
        let other_agent = scores.proof(agent(5)).unwrap();
        let no_leaf = ScoreProof { leaf: vec![0x80], ..proof.clone() };
        for (checkpoint, proofs, name, cause) in [
            (RecordId([8; 32]), vec![proof.clone()], "other_scores", "scores of checkpoint 0808"),
            (of.id, vec![wrong_path], "merkle_path", "wrong merkle path"),
            (of.id, vec![no_leaf], "malformed", "leaf is malformed"),
            (of.id, vec![other_agent], "other_scores", "scores are those of did:key:"),
            (
                of.id,
                vec![ScoreProof { count: 9, ..proof.clone() }],
                "other_scores",
                "9 agents, the checkpoint has 8",
            ),
            (of.id, vec![proof.clone(), proof], "other_scores", "scores of 2 agents"),
        ] {
            let lie = read(checkpoint, &proofs).unwrap_err();
            assert!(lie.name == name && lie.cause.contains(cause), "{lie:?}");
        }
    }
}
