use std::collections::VecDeque;

use althing_store::CommitNo;

use crate::{Effect, Output};

/// Holds effects back until the commit that they wait for is durable. Effects that wait for one commit leave in the
/// order in which the engine gave them; effects that wait for none are not held.
#[derive(Debug, Default)]
pub struct Gate {
    durable: CommitNo,
    held: VecDeque<(CommitNo, Effect)>,
}

impl Gate {
    /// A gate in front of a database that holds everything up to `durable`.
    #[must_use]
    pub fn new(durable: CommitNo) -> Self {
        Self { durable, held: VecDeque::new() }
    }

    /// Lets an effect through, or holds it. An effect whose commit will never be durable leaves with the node.
    pub fn pass(&mut self, output: Output) -> Option<Effect> {
        match output.after {
            Some(no) if no > self.durable => {
                self.held.push_back((no, output.effect));
                None
            }
            Some(_) | None => Some(output.effect),
        }
    }

    /// Everything up to `no` is durable: the effects that waited for it.
    pub fn committed(&mut self, no: CommitNo) -> Vec<Effect> {
        self.durable = self.durable.max(no);
        let (free, held) = std::mem::take(&mut self.held).into_iter().partition(|(after, _)| *after <= no);
        self.held = held;
        let free: VecDeque<_> = free;
        free.into_iter().map(|(_, effect)| effect).collect()
    }

    /// A commit failed: what waited for it or a later one, which must not leave. Local clients are owed another answer.
    pub fn failed(&mut self, no: CommitNo) -> Vec<Effect> {
        let (dropped, kept) = std::mem::take(&mut self.held).into_iter().partition(|(after, _)| *after >= no);
        self.held = kept;
        let dropped: VecDeque<_> = dropped;
        dropped.into_iter().map(|(_, effect)| effect).collect()
    }

    /// How many effects are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}
