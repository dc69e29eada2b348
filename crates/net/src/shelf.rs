use std::time::{Duration, SystemTime, UNIX_EPOCH};

use althing_record::{NetworkId, NodeId};
use libp2p::Multiaddr;
use libp2p::kad::ProviderRecord;
use tokio::sync::mpsc;

use crate::counters::Counters;
use crate::peers::{node_of, peer_of};
use crate::providers::{Changed, ProviderStore, record_key};
use crate::range::{Range, dialable};
use crate::{Limits, clock};

/// The version of a row's value.
const VERSION: u8 = 1;
/// Rows in one batch of changes.
const BATCH_MAX: usize = 1024;

/// A row's key, and its value or nothing if the row goes.
pub type ShelfRow = (Vec<u8>, Option<Vec<u8>>);

/// Where provider records are kept over a restart. This crate writes nothing to disk: it reads `rows` once and says what
/// changes; whoever started it does the rest. When `changes` is full, changes wait and are joined.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// What was kept.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Batches of at most 1,024 changed rows.
    pub changes: mpsc::Sender<Vec<ShelfRow>>,
}

/// The swarm task's side of a [`Shelf`].
#[derive(Debug)]
pub(crate) struct Keeper {
    network: NetworkId,
    changes: mpsc::Sender<Vec<ShelfRow>>,
    /// Rows that were not taken in at the start.
    garbage: Vec<Vec<u8>>,
}

impl Keeper {
    /// Takes in what was kept, under the same rules as announcements.
    pub(crate) fn load(
        shelf: Shelf,
        network: NetworkId,
        limits: &Limits,
        (store, counters): (&mut ProviderStore, &Counters),
    ) -> Self {
        let (now, wall) = (clock::now(), clock::wall());
        let mut garbage = Vec::new();
        for (key, value) in shelf.rows {
            let outcome = match read(&key, &value, &network) {
                Err(cause) => cause,
                Ok((record, deadline, range)) => match remaining(deadline, wall, limits.provider_ttl) {
                    None => "expired",
                    Some(left) => {
                        let record = ProviderRecord { expires: Some(now + left), ..record };
                        store.admit(record, range, now).map_or_else(|refusal| refusal.name(), |()| "kept")
                    }
                },
            };
            counters.kept(outcome);
            if outcome != "kept" {
                garbage.push(key);
            }
        }
        // What was just read is on disk.
        while !store.changed(BATCH_MAX).is_empty() {}
        Self { network, changes: shelf.changes, garbage }
    }

    /// Hands over what has changed, as far as there is room.
    pub(crate) fn flush(&mut self, store: &mut ProviderStore) {
        while let Ok(room) = self.changes.try_reserve() {
            let mut rows: Vec<ShelfRow> = Vec::new();
            while rows.len() < BATCH_MAX
                && let Some(key) = self.garbage.pop()
            {
                rows.push((key, None));
            }
            for Changed { key, provider, entry } in store.changed(BATCH_MAX - rows.len()) {
                let Some(node) = node_of(&provider) else { continue };
                let value = entry.and_then(|(record, range)| self.value(&record, range));
                rows.push(([&key[..], node.as_bytes()].concat(), value));
            }
            if rows.is_empty() {
                return;
            }
            room.send(rows);
        }
    }

    /// Version, network, deadline, range, addresses.
    fn value(&self, record: &ProviderRecord, range: Option<Range>) -> Option<Vec<u8>> {
        let left = record.expires?.checked_duration_since(clock::now())?;
        let deadline = (clock::wall() + left).duration_since(UNIX_EPOCH).ok()?;
        let mut value = vec![VERSION];
        value.extend(&self.network.0);
        value.extend(u64::try_from(deadline.as_millis()).ok()?.to_be_bytes());
        match range {
            None => value.push(0),
            Some(Range::V4(bytes)) => {
                value.push(4);
                value.extend(bytes);
            }
            Some(Range::V6(bytes)) => {
                value.push(6);
                value.extend(bytes);
            }
        }
        for address in &record.addresses {
            let bytes = address.to_vec();
            value.extend(u16::try_from(bytes.len()).ok()?.to_be_bytes());
            value.extend(bytes);
        }
        Some(value)
    }
}

/// How long a kept record still lives. It is an hour at most, whatever the clock did since.
fn remaining(deadline: SystemTime, wall: SystemTime, ttl: Duration) -> Option<Duration> {
    deadline.duration_since(wall).ok().filter(|left| !left.is_zero()).map(|left| left.min(ttl))
}

type Kept = (ProviderRecord, SystemTime, Option<Range>);

fn read(key: &[u8], value: &[u8], network: &NetworkId) -> Result<Kept, &'static str> {
    let (digest, node) = key.split_first_chunk::<32>().ok_or("corrupt")?;
    let node = NodeId(node.try_into().map_err(|_| "corrupt")?);
    if althing_record::admit_key(node.as_bytes()).is_err() {
        return Err("corrupt");
    }
    let (version, rest) = value.split_first().ok_or("corrupt")?;
    if *version != VERSION {
        return Err("other_version");
    }
    let (found, rest) = rest.split_first_chunk::<32>().ok_or("corrupt")?;
    if found != &network.0 {
        return Err("other_network");
    }
    let (deadline, rest) = rest.split_first_chunk::<8>().ok_or("corrupt")?;
    let deadline = UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_be_bytes(*deadline)));
    let (range, mut rest) = match rest.split_first().ok_or("corrupt")? {
        (0, rest) => (None, rest),
        (4, rest) => {
            rest.split_first_chunk().map(|(ip, rest)| (Some(Range::V4(*ip)), rest)).ok_or("corrupt")?
        }
        (6, rest) => {
            rest.split_first_chunk().map(|(ip, rest)| (Some(Range::V6(*ip)), rest)).ok_or("corrupt")?
        }
        _ => return Err("corrupt"),
    };
    let mut addresses: Vec<Multiaddr> = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let (bytes, tail) =
            tail.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or("corrupt")?;
        addresses.push(bytes.to_vec().try_into().map_err(|_| "corrupt")?);
        rest = tail;
    }
    let usable = dialable(&addresses, None);
    if !rest.is_empty() || usable.is_empty() || usable.len() != addresses.len() {
        return Err("corrupt");
    }
    let record = ProviderRecord {
        key: record_key(digest),
        provider: peer_of(&node),
        expires: None,
        addresses: usable,
    };
    Ok((record, deadline.ok_or("corrupt")?, range))
}

#[cfg(test)]
mod tests;
