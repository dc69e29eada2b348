use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libp2p::kad::store::{Error, RecordStore, Result as StoreResult};
use libp2p::kad::{ProviderRecord, Record, RecordKey};
use libp2p::{Multiaddr, PeerId};
use sha2::{Digest, Sha256};

use crate::Limits;
use crate::range::Range;

/// How a Kademlia key of ours begins: the multihash of a SHA-256 digest.
const MULTIHASH: [u8; 2] = [0x12, 0x20];

/// Kademlia puts at most this many providers into one answer.
const ANSWER_MAX: usize = 20;

/// How often expired records are looked for at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The Kademlia key of a digest.
pub(crate) fn record_key(key: &[u8; 32]) -> RecordKey {
    RecordKey::from([MULTIHASH.as_slice(), key].concat())
}

/// The second key under which a node announces itself and is looked up: SHA-256 over ("althing/second/1", key), each
/// part preceded by its length in two bytes, big-endian. Who wants to surround a key in Kademlia has to surround both.
#[must_use]
pub fn second_key(key: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [b"althing/second/1".as_slice(), key] {
        hash.update(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The digest in a Kademlia key, if it is one of ours.
pub(crate) fn digest_of(key: &RecordKey) -> Option<[u8; 32]> {
    key.as_ref().strip_prefix(&MULTIHASH)?.try_into().ok()
}

/// Provider records in memory, bounded in every direction. It keeps no other records.
///
/// libp2p's own `MemoryStore` drops the 21st provider of a key and says that all is well. Here every refusal has a name,
/// a live record is never displaced by a newer one (or a flood would choose who stays), and expired ones make room.
#[derive(Debug)]
pub(crate) struct ProviderStore {
    local: PeerId,
    limits: Limits,
    keys: BTreeMap<[u8; 32], BTreeMap<PeerId, Entry>>,
    by_provider: BTreeMap<PeerId, BTreeSet<[u8; 32]>>,
    records: usize,
    swept: Option<Instant>,
    turn: AtomicUsize,
    /// Rows that differ from those on disk.
    dirty: BTreeSet<([u8; 32], PeerId)>,
}

#[derive(Debug)]
struct Entry {
    record: ProviderRecord,
    range: Option<Range>,
}

/// A record that is new, renewed, or gone.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) key: [u8; 32],
    pub(crate) provider: PeerId,
    /// The record and where its provider was seen.
    pub(crate) entry: Option<(ProviderRecord, Option<Range>)>,
}

/// Why a provider record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreRefusal {
    #[error("expected the multihash of a SHA-256 digest")]
    NotAKey,
    #[error("this node provides too many keys")]
    OwnKeys,
    #[error("too many keys")]
    Keys,
    #[error("too many provider records")]
    Records,
    #[error("too many providers of this key")]
    ProvidersOfKey,
    #[error("too many keys of this provider")]
    KeysOfProvider,
    #[error("too many providers of this key from one address range")]
    Range,
}

impl StoreRefusal {
    /// The word in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NotAKey => "not_a_key",
            Self::OwnKeys => "own_keys",
            Self::Keys => "keys",
            Self::Records => "records",
            Self::ProvidersOfKey => "providers_of_key",
            Self::KeysOfProvider => "keys_of_provider",
            Self::Range => "range",
        }
    }
}

impl ProviderStore {
    pub(crate) fn new(local: PeerId, limits: Limits) -> Self {
        // Nodes start at different places, so that a key's storing nodes answer with different windows.
        let turn = local.to_bytes().iter().rev().take(4).fold(0, |sum, byte| sum * 256 + usize::from(*byte));
        Self {
            local,
            limits,
            keys: BTreeMap::new(),
            by_provider: BTreeMap::new(),
            records: 0,
            swept: None,
            turn: AtomicUsize::new(turn),
            dirty: BTreeSet::new(),
        }
    }

    /// Records in all.
    pub(crate) fn len(&self) -> usize {
        self.records
    }

    /// Takes a record in, or renews it. `range` is where the provider was seen, if it counts.
    pub(crate) fn admit(
        &mut self,
        record: ProviderRecord,
        range: Option<Range>,
        now: Instant,
    ) -> Result<(), StoreRefusal> {
        let key = digest_of(&record.key).ok_or(StoreRefusal::NotAKey)?;
        let renewal = self.keys.get(&key).is_some_and(|entries| entries.contains_key(&record.provider));
        if !renewal {
            let refusal = self.refusal(&key, &record.provider, range);
            if refusal.is_some() {
                self.expire(now);
            }
            match refusal.and_then(|_| self.refusal(&key, &record.provider, range)) {
                Some(refusal) => return Err(refusal),
                None => self.records += 1,
            }
        }
        let provider = record.provider;
        self.touch(key, provider);
        self.by_provider.entry(provider).or_default().insert(key);
        self.keys.entry(key).or_default().insert(provider, Entry { record, range });
        Ok(())
    }

    /// A provider was seen at other addresses: what is kept of it is out of date. Nobody would find it by its records
    /// until it renews them, after it has come back with other ports.
    pub(crate) fn moved(&mut self, provider: &PeerId, addresses: &[Multiaddr]) {
        for key in self.by_provider.get(provider).cloned().unwrap_or_default() {
            let entry = self.keys.get_mut(&key).and_then(|entries| entries.get_mut(provider));
            let Some(entry) = entry.filter(|entry| entry.record.addresses != addresses) else { continue };
            entry.record.addresses = addresses.to_vec();
            self.touch(key, *provider);
        }
    }

    fn refusal(&self, key: &[u8; 32], provider: &PeerId, range: Option<Range>) -> Option<StoreRefusal> {
        let keys_of_provider = self.by_provider.get(provider).map_or(0, BTreeSet::len);
        if *provider == self.local {
            return (keys_of_provider >= 2 * self.limits.own_keys_max).then_some(StoreRefusal::OwnKeys);
        }
        if keys_of_provider >= self.limits.keys_per_provider_max {
            return Some(StoreRefusal::KeysOfProvider);
        }
        if self.records >= self.limits.provider_records_max {
            return Some(StoreRefusal::Records);
        }
        let Some(entries) = self.keys.get(key) else {
            let full = self.keys.len() >= self.limits.provider_keys_max;
            return full.then_some(StoreRefusal::Keys);
        };
        let neighbours = entries.values().filter(|entry| range.is_some() && entry.range == range).count();
        if neighbours >= self.limits.providers_per_range_max {
            Some(StoreRefusal::Range)
        } else if entries.len() >= self.limits.providers_per_key_max {
            Some(StoreRefusal::ProvidersOfKey)
        } else {
            None
        }
    }

    /// Notes that a row on disk is out of date. When too many are, it stays so: it expires by itself.
    fn touch(&mut self, key: [u8; 32], provider: PeerId) {
        if provider != self.local && self.dirty.len() < self.limits.provider_records_max {
            self.dirty.insert((key, provider));
        }
    }

    /// Takes up to so many of the rows that differ from those on disk.
    pub(crate) fn changed(&mut self, rows_max: usize) -> Vec<Changed> {
        let mut rows = Vec::new();
        while rows.len() < rows_max
            && let Some((key, provider)) = self.dirty.pop_first()
        {
            let entry = self.keys.get(&key).and_then(|entries| entries.get(&provider));
            let entry = entry.map(|entry| (entry.record.clone(), entry.range));
            rows.push(Changed { key, provider, entry });
        }
        rows
    }

    /// Drops every record whose time is over, at most once per second: a flood of refused records must stay cheap.
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < SWEEP_INTERVAL) {
            return;
        }
        self.swept = Some(now);
        let expired: Vec<_> = self
            .keys
            .iter()
            .flat_map(|(key, entries)| entries.values().map(move |entry| (key, &entry.record)))
            .filter(|(_, record)| record.is_expired(now))
            .map(|(key, record)| (*key, record.provider))
            .collect();
        for (key, provider) in expired {
            self.remove_entry(&key, &provider);
        }
    }

    fn remove_entry(&mut self, key: &[u8; 32], provider: &PeerId) {
        let Some(entries) = self.keys.get_mut(key) else { return };
        if entries.remove(provider).is_none() {
            return;
        }
        self.records -= 1;
        if entries.is_empty() {
            self.keys.remove(key);
        }
        self.touch(*key, *provider);
        if let Some(keys) = self.by_provider.get_mut(provider) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_provider.remove(provider);
            }
        }
    }
}

impl RecordStore for ProviderStore {
    type RecordsIter<'a> = std::iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = std::vec::IntoIter<Cow<'a, ProviderRecord>>;

    fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
        None
    }

    fn put(&mut self, _: Record) -> StoreResult<()> {
        Err(Error::MaxRecords)
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        std::iter::empty()
    }

    /// Kademlia calls this for this node's own records only; those of others come in through [`Self::admit`].
    fn add_provider(&mut self, record: ProviderRecord) -> StoreResult<()> {
        self.admit(record, None, crate::clock::now()).map_err(|_| Error::MaxProvidedKeys)
    }

    /// Every provider of the key. Kademlia cuts an answer off after twenty, so each call begins where the last one was
    /// cut off, and the union over a key's storing nodes has them all.
    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        let Some(entries) = digest_of(key).and_then(|key| self.keys.get(&key)) else { return Vec::new() };
        let mut records: Vec<_> = entries.values().map(|entry| entry.record.clone()).collect();
        if records.len() > ANSWER_MAX {
            let start = self.turn.fetch_add(ANSWER_MAX, Ordering::Relaxed) % records.len();
            records.rotate_left(start);
        }
        records
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        let own = self.by_provider.get(&self.local).into_iter().flatten();
        let records: Vec<_> = own
            .filter_map(|key| self.keys.get(key)?.get(&self.local))
            .map(|entry| Cow::Borrowed(&entry.record))
            .collect();
        records.into_iter()
    }

    fn remove_provider(&mut self, key: &RecordKey, provider: &PeerId) {
        if let Some(key) = digest_of(key) {
            self.remove_entry(&key, provider);
        }
    }
}

#[cfg(test)]
mod tests;
