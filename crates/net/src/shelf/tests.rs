use althing_record::NodeKey;
use libp2p::PeerId;

use super::*;

const NETWORK: NetworkId = NetworkId([7; 32]);

fn node(seed: u8) -> PeerId {
    peer_of(&NodeKey::from_seed(&[seed; 32]).node())
}

fn record(key: u8, seed: u8, left: Duration) -> ProviderRecord {
    ProviderRecord {
        key: record_key(&[key; 32]),
        provider: node(seed),
        expires: Some(clock::now() + left),
        addresses: vec!["/ip4/198.51.100.7/tcp/4001".parse().expect("an address")],
    }
}

fn store(limits: &Limits) -> ProviderStore {
    ProviderStore::new(node(99), limits.clone())
}

fn load(
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    limits: &Limits,
) -> (Keeper, ProviderStore, mpsc::Receiver<Vec<ShelfRow>>) {
    let (changes, received) = mpsc::channel(2);
    let mut store = store(limits);
    let shelf = Shelf { rows, changes };
    let keeper = Keeper::load(shelf, NETWORK, limits, (&mut store, &Counters::default()));
    (keeper, store, received)
}

/// The rows of a store with these records.
fn rows_of(records: Vec<(ProviderRecord, Option<Range>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut keeper, mut store, mut received) = load(Vec::new(), &Limits::default());
    for (record, range) in records {
        store.admit(record, range, clock::now()).expect("room");
    }
    keeper.flush(&mut store);
    let mut rows = Vec::new();
    while let Ok(batch) = received.try_recv() {
        rows.extend(batch.into_iter().map(|(key, value)| (key, value.expect("a value"))));
    }
    rows
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

#[test]
fn what_was_kept_is_there_again_and_goes_when_its_time_is_over() {
    let range = Some(Range::V4([198, 51, 100]));
    let mut records = vec![(record(1, 1, minutes(30)), range), (record(1, 2, minutes(30)), None)];
    records.push((record(2, 1, minutes(1)), Some(Range::V6([1; 6]))));
    let rows = rows_of(records);
    assert_eq!(rows.len(), 3);
    let (mut keeper, mut store, mut received) = load(rows, &Limits::default());
    assert_eq!(store.len(), 3);
    keeper.flush(&mut store);
    assert!(received.try_recv().is_err(), "nothing has changed");
    store.expire(clock::now() + minutes(2));
    keeper.flush(&mut store);
    let gone = received.try_recv().expect("a change");
    let key = [&[2; 32][..], node_of(&node(1)).expect("a node").as_bytes()].concat();
    assert_eq!((gone, store.len()), (vec![(key, None)], 2));
}

#[test]
fn a_clock_that_jumped_neither_keeps_records_for_long_nor_brings_them_back() {
    let ttl = minutes(60);
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    assert_eq!(remaining(now + minutes(10), now, ttl), Some(minutes(10)));
    assert_eq!(remaining(now + minutes(10), now - minutes(600), ttl), Some(ttl), "it went back");
    assert_eq!(remaining(now + minutes(10), now + minutes(600), ttl), None, "it went ahead");
    assert_eq!(remaining(now, now, ttl), None);
}

#[test]
fn rows_that_are_corrupt_or_foreign_or_over_are_skipped_counted_and_removed() {
    let good = rows_of(vec![(record(1, 1, minutes(30)), None)]).remove(0);
    let changed = |change: &dyn Fn(&mut Vec<u8>, &mut Vec<u8>)| {
        let (mut key, mut value) = good.clone();
        change(&mut key, &mut value);
        (key, value)
    };
    let bad = [
        ("corrupt", changed(&|key, _| key.truncate(63))),
        ("corrupt", changed(&|key, _| key[32..].fill(0))),
        ("corrupt", changed(&|_, value| value.clear())),
        ("other_version", changed(&|_, value| value[0] = 9)),
        ("other_network", changed(&|_, value| value[1] ^= 1)),
        ("expired", changed(&|_, value| value[33..41].fill(0))),
        ("corrupt", changed(&|_, value| value[41] = 5)),
        ("corrupt", changed(&|_, value| value.truncate(42))),
        ("corrupt", changed(&|_, value| value.truncate(value.len() - 1))),
        ("corrupt", changed(&|_, value| value.push(0))),
        ("corrupt", changed(&|_, value| value[43] = 0xff)),
    ];
    for (number, (outcome, row)) in bad.into_iter().enumerate() {
        let counters = Counters::default();
        let (changes, mut received) = mpsc::channel(2);
        let mut store = store(&Limits::default());
        let shelf = Shelf { rows: vec![row.clone()], changes };
        let mut keeper = Keeper::load(shelf, NETWORK, &Limits::default(), (&mut store, &counters));
        assert_eq!((store.len(), counters.kept_as(outcome)), (0, 1), "row {number}");
        keeper.flush(&mut store);
        assert_eq!(received.try_recv().ok(), Some(vec![(row.0, None)]), "row {number}");
    }
}

#[test]
fn quotas_hold_for_what_was_kept() {
    let range = Some(Range::V4([198, 51, 100]));
    let rows = rows_of((0..10).map(|seed| (record(1, seed, minutes(30)), range)).collect());
    let limits = Limits { providers_per_range_max: 3, ..Limits::default() };
    assert_eq!(load(rows, &limits).1.len(), 3);
}

#[test]
fn a_slow_disk_makes_changes_wait_and_join() {
    let (mut keeper, mut store, mut received) = load(Vec::new(), &Limits::default());
    let admit = |store: &mut ProviderStore, key: u16| {
        let mut digest = [0; 32];
        digest[..2].copy_from_slice(&key.to_be_bytes());
        let key = record_key(&digest);
        store.admit(ProviderRecord { key, ..record(1, digest[0] % 7, minutes(30)) }, None, clock::now())
    };
    for round in 0..3 {
        for key in 0..3000 {
            admit(&mut store, key).expect("room");
        }
        keeper.flush(&mut store);
        assert_eq!(received.len(), 2, "two batches fit, in round {round}");
    }
    let mut seen = std::collections::BTreeSet::new();
    while let Ok(batch) = received.try_recv() {
        assert!(batch.len() <= BATCH_MAX);
        seen.extend(batch.into_iter().map(|(key, _)| key));
        keeper.flush(&mut store);
    }
    assert_eq!(seen.len(), 3000);
}
