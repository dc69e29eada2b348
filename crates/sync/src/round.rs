use std::collections::BTreeSet;
use std::sync::Arc;

use althing_record::RecordId;
use negentropy::Negentropy;

use crate::Elements;

/// Longest message of a round in bytes.
pub const MESSAGE_BYTES_MAX: usize = 48 * 1_024;

/// Most messages that one round sends before it is given up.
pub const MESSAGES_MAX: u32 = 256;

/// Most ids that one round collects; what is beyond is left to the next.
pub const NEED_MAX: usize = 100_000;

/// Most ids that one page asks for.
pub const FETCH_MAX: usize = 128;

/// Why a round ended early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// The peer's message makes no sense.
    #[error("reconciliation message is malformed: {0}")]
    Malformed(String),
    /// The peer's message is too long.
    #[error("reconciliation message has {0} bytes, at most {MESSAGE_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// The peer keeps answering without coming to an end.
    #[error("reconciliation did not end within {MESSAGES_MAX} messages")]
    Endless,
}

/// The asking side of one reconciliation.
#[derive(Debug)]
pub struct Round {
    elements: Arc<Elements>,
    need: BTreeSet<RecordId>,
    messages: u32,
    whole: bool,
}

impl Round {
    /// Starts a round over what this node holds; returns its first message.
    ///
    /// # Errors
    /// Never for a frozen set; the type is shared with the other steps.
    pub fn open(elements: Arc<Elements>) -> Result<(Self, Vec<u8>), SyncError> {
        let mut protocol = Negentropy::borrowed(&elements.0, MESSAGE_BYTES_MAX as u64).map_err(malformed)?;
        let message = protocol.initiate().map_err(malformed)?;
        Ok((Self { elements, need: BTreeSet::new(), messages: 1, whole: true }, message))
    }

    /// Takes the peer's answer; returns the next message, or none when the differences are known.
    ///
    /// # Errors
    /// When the answer is malformed, too long, or the round does not end.
    pub fn advance(&mut self, reply: &[u8]) -> Result<Option<Vec<u8>>, SyncError> {
        check_length(reply)?;
        let mut protocol =
            Negentropy::borrowed(&self.elements.0, MESSAGE_BYTES_MAX as u64).map_err(malformed)?;
        protocol.set_initiator();
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let next = protocol.reconcile_with_ids(reply, &mut have, &mut need).map_err(malformed)?;
        self.need.extend(
            need.iter().map(|id| RecordId(*id.as_bytes())).take(NEED_MAX.saturating_sub(self.need.len())),
        );
        self.whole &= self.need.len() < NEED_MAX;
        if next.is_none() || !self.whole {
            return Ok(None);
        }
        self.messages += 1;
        if self.messages > MESSAGES_MAX { Err(SyncError::Endless) } else { Ok(next) }
    }

    /// Drops ids that need not be fetched.
    pub fn skip(&mut self, unwanted: impl Fn(&RecordId) -> bool) {
        self.need.retain(|id| !unwanted(id));
    }

    /// Whether nothing was left to a next round.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// How many ids are still to be fetched.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.need.len()
    }

    /// Takes the next ids to fetch, at most [`FETCH_MAX`]; empty when all were handed out.
    pub fn next_page(&mut self) -> Vec<RecordId> {
        let page: Vec<_> = self.need.iter().take(FETCH_MAX).copied().collect();
        self.need.retain(|id| page.last().is_none_or(|last| id > last));
        page
    }

    /// Puts ids back that a page asked for and that did not come.
    pub fn put_back(&mut self, ids: impl IntoIterator<Item = RecordId>) {
        self.need.extend(ids);
    }
}

/// The answering side: what a node that holds `elements` replies to `message`.
///
/// # Errors
/// When the message is malformed or too long.
pub fn answer(elements: &Elements, message: &[u8]) -> Result<Vec<u8>, SyncError> {
    check_length(message)?;
    let mut protocol = Negentropy::borrowed(&elements.0, MESSAGE_BYTES_MAX as u64).map_err(malformed)?;
    protocol.reconcile(message).map_err(malformed)
}

fn check_length(message: &[u8]) -> Result<(), SyncError> {
    if message.len() > MESSAGE_BYTES_MAX + 64 { Err(SyncError::TooLong(message.len())) } else { Ok(()) }
}

fn malformed(error: negentropy::Error) -> SyncError {
    SyncError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use althing_record::{Millis, merkle};
    use proptest::prelude::*;

    use super::*;

    fn reconcile(mine: &BTreeSet<(u64, u8)>, theirs: &BTreeSet<(u64, u8)>) -> BTreeSet<RecordId> {
        let freeze = |set: &BTreeSet<(u64, u8)>| {
            Elements::new(set.iter().map(|(at, id)| (Millis(*at), name(*at, *id))))
        };
        let theirs = freeze(theirs);
        let (mut round, mut message) = Round::open(freeze(mine).into()).unwrap();
        while let Some(next) = round.advance(&answer(&theirs, &message).unwrap()).unwrap() {
            message = next;
        }
        let mut needed = BTreeSet::new();
        loop {
            let page = round.next_page();
            if page.is_empty() {
                return needed;
            }
            assert!(page.len() <= FETCH_MAX);
            needed.extend(page);
        }
    }

    fn name(at: u64, id: u8) -> RecordId {
        // Fingerprints are sums, so ids must be as unrelated as hashes are.
        RecordId(merkle::leaf_hash(&[&at.to_be_bytes()[..], &[id]].concat()).0)
    }

    proptest! {
        #[test]
        fn a_round_finds_exactly_what_is_missing(
            mine in proptest::collection::btree_set((0_u64..500, 0_u8..3), 0..400),
            theirs in proptest::collection::btree_set((0_u64..500, 0_u8..3), 0..400),
        ) {
            let expected: BTreeSet<_> = theirs.difference(&mine).map(|(at, id)| name(*at, *id)).collect();
            prop_assert_eq!(reconcile(&mine, &theirs), expected);
        }

        #[test]
        fn arbitrary_messages_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let elements = || Elements::new((0..40).map(|n| (Millis(n), name(n, 1))));
            let _ = answer(&elements(), &bytes);
            let mut with_version = vec![0x61];
            with_version.extend(&bytes);
            let _ = answer(&elements(), &with_version);
            let (mut round, _) = Round::open(elements().into()).unwrap();
            let _ = round.advance(&with_version);
        }
    }

    #[test]
    fn equal_sets_of_ten_thousand_need_one_small_exchange() {
        let set = || Elements::new((0..10_000).map(|n| (Millis(n), name(n, 7))));
        let (mut round, message) = Round::open(set().into()).unwrap();
        let reply = answer(&set(), &message).unwrap();
        assert!(message.len() + reply.len() < 1_000, "{} bytes", message.len() + reply.len());
        assert_eq!(round.advance(&reply), Ok(None));
        assert_eq!(round.needed(), 0);
    }

    #[test]
    fn messages_over_the_bound_are_refused() {
        let long = vec![0x61; MESSAGE_BYTES_MAX + 65];
        assert_eq!(answer(&Elements::new([]), &long), Err(SyncError::TooLong(long.len())));
    }
}
