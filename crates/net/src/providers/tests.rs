use super::*;
use crate::clock;

const KEY: [u8; 32] = [7; 32];

fn store(change: impl FnOnce(&mut Limits)) -> ProviderStore {
    let mut limits = Limits::default();
    change(&mut limits);
    ProviderStore::new(PeerId::random(), limits)
}

fn record(key: [u8; 32], provider: PeerId, expires: Option<Instant>) -> ProviderRecord {
    ProviderRecord { key: record_key(&key), provider, expires, addresses: Vec::new() }
}

fn offer(store: &mut ProviderStore, key: [u8; 32], range: Option<Range>) -> Result<(), StoreRefusal> {
    let now = clock::now();
    store.admit(record(key, PeerId::random(), Some(now + Duration::from_secs(60))), range, now)
}

#[test]
fn forty_providers_of_one_key_are_all_returned() {
    let mut store = store(|_| ());
    let mut expected = BTreeSet::new();
    for _ in 0..40 {
        let provider = PeerId::random();
        store.admit(record(KEY, provider, None), None, clock::now()).expect("room for forty");
        expected.insert(provider);
    }
    let found: BTreeSet<_> =
        store.providers(&record_key(&KEY)).into_iter().map(|found| found.provider).collect();
    assert_eq!(found, expected);
}

#[test]
fn two_answers_cut_off_at_twenty_have_all_forty() {
    let mut store = store(|_| ());
    for _ in 0..40 {
        offer(&mut store, KEY, None).expect("room for forty");
    }
    let mut found = BTreeSet::new();
    for _ in 0..2 {
        found.extend(
            store.providers(&record_key(&KEY)).into_iter().take(ANSWER_MAX).map(|found| found.provider),
        );
    }
    assert_eq!(found.len(), 40);
}

#[test]
fn a_provider_that_is_seen_elsewhere_is_no_longer_named_where_it_was() {
    let mut store = store(|_| ());
    let (provider, other) = (PeerId::random(), PeerId::random());
    let address =
        |port: u16| vec![format!("/ip4/192.0.2.1/tcp/{port}").parse::<Multiaddr>().expect("an address")];
    for (key, provider) in [(KEY, provider), ([8; 32], provider), (KEY, other)] {
        let record = ProviderRecord { addresses: address(1), ..record(key, provider, None) };
        store.admit(record, None, clock::now()).expect("room");
    }
    assert_eq!(store.changed(10).len(), 3);
    store.moved(&provider, &address(2));
    for (key, expected) in [(KEY, 2), ([8; 32], 2)] {
        let found = store.providers(&record_key(&key));
        assert!(found.iter().all(|found| {
            found.addresses == address(if found.provider == provider { expected } else { 1 })
        }));
    }
    assert_eq!(store.changed(10).len(), 2, "the disk is told");
    store.moved(&provider, &address(2));
    assert_eq!(store.changed(10).len(), 0);
}

#[test]
fn providers_of_one_key_are_capped_and_renewals_are_not() {
    let mut store = store(|limits| limits.providers_per_key_max = 3);
    let (provider, now) = (PeerId::random(), clock::now());
    store.admit(record(KEY, provider, None), None, now).expect("the first of three");
    assert_eq!(offer(&mut store, KEY, None), Ok(()));
    assert_eq!(offer(&mut store, KEY, None), Ok(()));
    assert_eq!(offer(&mut store, KEY, None), Err(StoreRefusal::ProvidersOfKey));
    assert_eq!(store.admit(record(KEY, provider, None), None, now), Ok(()), "a renewal");
    assert_eq!(
        (offer(&mut store, [8; 32], None), store.records),
        (Ok(()), 4),
        "another key has its own count"
    );
}

#[test]
fn keys_and_records_are_capped() {
    let mut few_keys = store(|limits| limits.provider_keys_max = 1);
    assert_eq!(offer(&mut few_keys, KEY, None), Ok(()));
    assert_eq!(offer(&mut few_keys, [8; 32], None), Err(StoreRefusal::Keys));
    assert_eq!(offer(&mut few_keys, KEY, None), Ok(()));

    let mut few_records = store(|limits| limits.provider_records_max = 2);
    assert_eq!(offer(&mut few_records, KEY, None), Ok(()));
    assert_eq!(offer(&mut few_records, KEY, None), Ok(()));
    assert_eq!(offer(&mut few_records, KEY, None), Err(StoreRefusal::Records));
    assert_eq!(
        offer(&mut few_records, [8; 32], None),
        Err(StoreRefusal::Records),
        "a new key is a record too"
    );
}

#[test]
fn keys_of_one_provider_are_capped() {
    let mut store = store(|limits| limits.keys_per_provider_max = 2);
    let (provider, now) = (PeerId::random(), clock::now());
    let mut offer = |key| store.admit(record([key; 32], provider, None), None, now);
    assert_eq!([offer(1), offer(2), offer(3)], [Ok(()), Ok(()), Err(StoreRefusal::KeysOfProvider)]);
    store.remove_provider(&record_key(&[1; 32]), &provider);
    assert_eq!(store.admit(record([3; 32], provider, None), None, now), Ok(()));
}

#[test]
fn providers_from_one_range_are_capped_per_key() {
    let mut store = store(|limits| limits.providers_per_range_max = 2);
    let range = Some(Range::V4([198, 51, 100]));
    assert_eq!(offer(&mut store, KEY, range), Ok(()));
    assert_eq!(offer(&mut store, KEY, range), Ok(()));
    assert_eq!(offer(&mut store, KEY, range), Err(StoreRefusal::Range));
    assert_eq!(offer(&mut store, KEY, Some(Range::V4([198, 51, 101]))), Ok(()));
    assert_eq!(offer(&mut store, [8; 32], range), Ok(()));
    assert_eq!(offer(&mut store, KEY, None), Ok(()), "where the range does not count");
}

#[test]
fn own_keys_have_their_own_cap_and_ignore_that_of_others() {
    let mut store = store(|limits| {
        limits.own_keys_max = 1;
        limits.providers_per_key_max = 1;
    });
    let local = store.local;
    assert_eq!(offer(&mut store, KEY, None), Ok(()));
    assert!(store.add_provider(record(KEY, local, None)).is_ok());
    assert!(store.add_provider(record([8; 32], local, None)).is_ok());
    assert!(store.add_provider(record([9; 32], local, None)).is_err());
    assert_eq!(store.provided().count(), 2);
}

#[test]
fn only_expired_records_make_room() {
    let mut store = store(|limits| limits.providers_per_key_max = 1);
    let (now, minute) = (clock::now(), Duration::from_secs(60));
    store.admit(record(KEY, PeerId::random(), Some(now + minute)), None, now).expect("an empty store");
    let late = |store: &mut ProviderStore, at| store.admit(record(KEY, PeerId::random(), None), None, at);
    assert_eq!(late(&mut store, now + minute / 2), Err(StoreRefusal::ProvidersOfKey));
    assert_eq!(late(&mut store, now + minute), Ok(()));
    assert_eq!((store.records, store.by_provider.len()), (1, 1));
}

#[test]
fn other_keys_and_other_records_are_refused() {
    let mut store = store(|_| ());
    let other = ProviderRecord::new(RecordKey::from(vec![1, 2, 3]), PeerId::random(), Vec::new());
    assert_eq!(store.admit(other, None, clock::now()), Err(StoreRefusal::NotAKey));
    assert!(store.put(Record::new(record_key(&KEY), vec![1])).is_err());
    assert!(store.get(&record_key(&KEY)).is_none());
}
