//! Who matches a query, in ascending order, by merging postings.

use althing_store::{ReadError, Snapshot};

use super::labels::{Label, SERVED};
use super::posting::{Posting, Short, beginning};
use crate::query::Node;

/// A part of a query that is being answered.
#[derive(Debug)]
pub(super) enum Cursor<'s, S> {
    Posting(Posting<'s, S>),
    Listed(Vec<Short>),
    All(All<'s, S>),
    /// In any, each with its next agent as far as that is known.
    Any(Vec<(Cursor<'s, S>, Next)>),
}

/// In all that are wanted and in none of the unwanted.
#[derive(Debug)]
pub(super) struct All<'s, S> {
    wanted: Vec<Cursor<'s, S>>,
    unwanted: Vec<Cursor<'s, S>>,
    /// Found by looking ahead: its parts stand there and cannot go back.
    next: Next,
}

/// What is known of the next agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Unread,
    At(Short),
    End,
}

impl Next {
    fn is_before(self, from: Short) -> bool {
        match self {
            Self::Unread => true,
            Self::At(at) => at < from,
            Self::End => false,
        }
    }

    fn agent(self) -> Option<Short> {
        match self {
            Self::At(at) => Some(at),
            Self::Unread | Self::End => None,
        }
    }
}

impl<'s, S: Snapshot> Cursor<'s, S> {
    /// Everyone who matches and is served.
    pub(super) fn of(store: &'s S, node: &Node) -> Result<Self, ReadError> {
        Ok(match Self::part(store, node)? {
            Self::All(All { mut wanted, unwanted, .. }) => {
                wanted.push(Self::served(store));
                Self::all(wanted, unwanted)
            }
            part @ (Self::Posting(_) | Self::Listed(_) | Self::Any(_)) => {
                Self::all(vec![part, Self::served(store)], Vec::new())
            }
        })
    }

    fn all(wanted: Vec<Self>, unwanted: Vec<Self>) -> Self {
        Self::All(All { wanted, unwanted, next: Next::Unread })
    }

    fn served(store: &'s S) -> Self {
        Self::Posting(Posting::new(store, SERVED.to_vec()))
    }

    fn part(store: &'s S, node: &Node) -> Result<Self, ReadError> {
        let parts = |nodes: &[&Node]| -> Result<Vec<Self>, ReadError> {
            nodes.iter().map(|node| Self::part(store, node)).collect()
        };
        Ok(match node {
            Node::Leaf(leaf) => match Label::of_leaf(leaf) {
                Label::Whole(label) => Self::Posting(Posting::new(store, label)),
                Label::Beginning(label) => Self::Listed(beginning(store, &label)?),
            },
            Node::Not(inner) => Self::all(vec![Self::served(store)], vec![Self::part(store, inner)?]),
            Node::All(nodes) => {
                let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
                for node in nodes {
                    match node {
                        Node::Not(inner) => unwanted.push(&**inner),
                        Node::Leaf(_) | Node::All(_) | Node::Any(_) => wanted.push(node),
                    }
                }
                let mut wanted = parts(&wanted)?;
                if wanted.is_empty() {
                    wanted.push(Self::served(store));
                }
                Self::all(wanted, parts(&unwanted)?)
            }
            Node::Any(nodes) => {
                let parts = parts(&nodes.iter().collect::<Vec<_>>())?;
                Self::Any(parts.into_iter().map(|part| (part, Next::Unread)).collect())
            }
        })
    }

    /// The first agent at or after `from`. Each call's `from` is at least the last one's.
    pub(super) fn seek(&mut self, from: Short) -> Result<Option<Short>, ReadError> {
        match self {
            Self::Posting(posting) => posting.seek(from),
            Self::Listed(agents) => Ok(agents.get(agents.partition_point(|agent| *agent < from)).copied()),
            Self::All(all) => {
                if all.next.is_before(from) {
                    all.next =
                        seek_all(&mut all.wanted, &mut all.unwanted, from)?.map_or(Next::End, Next::At);
                }
                Ok(all.next.agent())
            }
            Self::Any(parts) => {
                let mut first: Option<Short> = None;
                for (part, next) in parts {
                    if next.is_before(from) {
                        *next = part.seek(from)?.map_or(Next::End, Next::At);
                    }
                    first = [first, next.agent()].into_iter().flatten().min();
                }
                Ok(first)
            }
        }
    }
}

/// Each in turn jumps to where the others are, until all stand at one agent whom nothing excludes.
fn seek_all<S: Snapshot>(
    wanted: &mut [Cursor<'_, S>],
    unwanted: &mut [Cursor<'_, S>],
    from: Short,
) -> Result<Option<Short>, ReadError> {
    let (mut candidate, mut agreed, mut turn) = (from, 0, 0);
    loop {
        while agreed < wanted.len() {
            match wanted[turn].seek(candidate)? {
                None => return Ok(None),
                Some(found) if found == candidate => agreed += 1,
                Some(found) => (candidate, agreed) = (found, 1),
            }
            turn = (turn + 1) % wanted.len();
        }
        let mut excluded = false;
        for cursor in unwanted.iter_mut() {
            excluded = excluded || cursor.seek(candidate)? == Some(candidate);
        }
        match candidate.checked_add(1) {
            _ if !excluded => return Ok(Some(candidate)),
            Some(next) => (candidate, agreed) = (next, 0),
            None => return Ok(None),
        }
    }
}
