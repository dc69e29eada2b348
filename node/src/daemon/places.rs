//! Which Accept this node's agents were given at which place, so that a callee that gives one place twice is found out.

use std::collections::BTreeMap;

use althing_record::Network;
use althing_record::cbor::{self, Limits};
use althing_rocks::Aside;
use althing_store::{ReadError, Snapshot, Table};
use althing_trust::{Accept, AcceptBody, KeptCall, RatingEpoch};

use super::receipts::call_key;

/// What the keys of the rows begin with; callee, caller, rating epoch and index follow, and the value is a call's number.
const PLACE: u8 = b'i';

fn key(accept: &AcceptBody, network: &Network) -> Vec<u8> {
    let epoch = RatingEpoch::of(accept.made, network.genesis());
    [&[PLACE][..], &accept.callee.0, &accept.caller.0, &epoch.0.to_be_bytes(), &accept.index.to_be_bytes()]
        .concat()
}

/// The places of calls that are about to be written.
pub(super) struct Places<'s, S> {
    store: &'s S,
    network: &'s Network,
    taken: BTreeMap<Vec<u8>, (u64, Accept)>,
    /// Pairs of Accepts that contradict each other.
    pub(super) conflicts: Vec<[Accept; 2]>,
}

impl<'s, S: Snapshot> Places<'s, S> {
    pub(super) fn new(store: &'s S, network: &'s Network) -> Self {
        Self { store, network, taken: BTreeMap::new(), conflicts: Vec::new() }
    }

    /// An Accept that a call with this number was given here.
    pub(super) fn take(&mut self, accept: &Accept, number: u64) -> Result<(), ReadError> {
        let key = key(accept, self.network);
        let before = match self.taken.get(&key) {
            Some((_, before)) => Some(before.clone()),
            None => self.kept(&key)?,
        };
        match before {
            Some(before) if before.conflicts_with(accept, self.network.genesis()) => {
                self.conflicts.push([before, accept.clone()]);
            }
            Some(_) => {}
            None => {
                self.taken.insert(key, (number, accept.clone()));
            }
        }
        Ok(())
    }

    /// The Accept at a place, if the call that it was given to is still kept.
    fn kept(&self, key: &[u8]) -> Result<Option<Accept>, ReadError> {
        let Some(number) = self.store.get(Table::CallIndex, key)?.and_then(|row| row.try_into().ok()) else {
            return Ok(None);
        };
        let row = self.store.get(Table::Calls, &call_key(u64::from_be_bytes(number)))?;
        Ok(row.and_then(|row| accept_of(&row, self.network)))
    }

    /// The rows to write.
    pub(super) fn rows(self) -> impl Iterator<Item = Aside> {
        let row = |(key, (number, _)): (_, (u64, Accept))| {
            (Table::CallIndex, key, Some(number.to_be_bytes().to_vec()))
        };
        self.taken.into_iter().map(row)
    }
}

/// The row that goes with a call that is no longer kept. Its Accept is read as it was verified when it came: at full speed each
/// call forgets another one.
pub(super) fn forgotten(row: &[u8], network: &Network) -> Option<Vec<u8>> {
    Some(key(&Accept::said(&own_call(row)?.accept).ok()?, network))
}

/// The Accept of a kept call that an agent of this node made.
fn accept_of(row: &[u8], network: &Network) -> Option<Accept> {
    Accept::verify(&own_call(row)?.accept, network.id()).ok()
}

/// A kept call that an agent of this node made.
fn own_call(row: &[u8]) -> Option<KeptCall> {
    cbor::from_slice::<KeptCall>(row, Limits::RECORD).ok().filter(|kept| kept.side == 0)
}
