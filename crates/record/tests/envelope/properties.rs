use std::sync::LazyLock;

use althing_record::{Fork, Kind, Network, Record};
use althing_testkit::{agent, body, chain, detached, equivocator, leaves, network, sign, slot};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

static SAMPLES: LazyLock<[Record; 4]> = LazyLock::new(|| {
    let key = agent(1);
    [
        sign(slot(&key, Kind::Card, "card", body(0)), &key),
        sign(chain(&key, Kind::Proposal, None, body(0)), &key),
        sign(detached(&key, agent(2).agent(), vec![7; 30]), &key),
        sign(leaves(&key, None, vec![vec![1; 9], vec![2; 9]]), &key),
    ]
});

static FORK: LazyLock<Fork> = LazyLock::new(|| {
    let [one, other] = equivocator(&agent(1), None);
    Fork::prove(&one, &other).unwrap()
});

/// A change to bytes: overwrite, insert, remove, or copy a range to elsewhere.
fn mutate(bytes: &mut Vec<u8>, (operation, at, other, value): (u8, Index, Index, u8)) {
    if bytes.is_empty() {
        return;
    }
    let (at, other) = (at.index(bytes.len()), other.index(bytes.len()));
    match operation % 4 {
        0 => bytes[at] = value,
        1 => bytes.insert(at, value),
        2 => drop(bytes.remove(at)),
        _ => {
            let part = bytes[at.min(other)..at.max(other)].to_vec();
            bytes.splice(at..at, part);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..512)) {
        prop_assert!(Record::verify(&bytes, &network()).is_err());
        prop_assert!(Network::from_bytes(&bytes).is_err());
        prop_assert!(Fork::verify(&bytes, &network()).is_err());
    }

    #[test]
    fn mutated_records_verify_to_the_same_id_or_not_at_all(
        sample in any::<Index>(),
        changes in vec(any::<(u8, Index, Index, u8)>(), 1..4),
    ) {
        let record = sample.get(&*SAMPLES);
        let mut bytes = record.bytes().to_vec();
        changes.into_iter().for_each(|change| mutate(&mut bytes, change));
        if let Ok(found) = Record::verify(&bytes, &network()) {
            prop_assert_eq!(found.id(), record.id());
            prop_assert!(bytes == record.bytes() || bytes == record.envelope());
        }
    }

    #[test]
    fn mutated_headers_never_panic_even_when_signed(changes in vec(any::<(u8, Index, Index, u8)>(), 1..4)) {
        let mut raw = althing_testkit::Raw::of(&SAMPLES[1]);
        changes.into_iter().for_each(|change| mutate(&mut raw.protected, change));
        let bytes = raw.signed_by(&agent(1)).bytes();
        if let Ok(found) = Record::verify(&bytes, &network()) {
            prop_assert_eq!(found.bytes(), &bytes[..]);
        }
    }

    #[test]
    fn mutated_genesis_files_never_name_the_same_network(changes in vec(any::<(u8, Index, Index, u8)>(), 1..4)) {
        let mut bytes = network().to_bytes();
        changes.into_iter().for_each(|change| mutate(&mut bytes, change));
        if let Ok(found) = Network::from_bytes(&bytes) {
            prop_assert_eq!(found.id() == network().id(), bytes == network().to_bytes());
            prop_assert_eq!(found.to_bytes(), bytes);
        }
    }

    #[test]
    fn mutated_proofs_never_prove_anything_else(changes in vec(any::<(u8, Index, Index, u8)>(), 1..4)) {
        let fork = &*FORK;
        let mut bytes = fork.to_bytes();
        changes.into_iter().for_each(|change| mutate(&mut bytes, change));
        if let Ok(found) = Fork::verify(&bytes, &network()) {
            prop_assert_eq!(&found, fork);
        }
    }

    #[test]
    fn whatever_is_signed_verifies_to_itself(
        name in "[!-~]{0,64}",
        revision in any::<u64>(),
        made in any::<u32>(),
        lifetime in 1..=900_000_u64,
        blob in vec(any::<u8>(), 0..200),
    ) {
        let key = agent(1);
        let made = althing_record::Millis(made.into());
        let mut to = althing_record::cbor::Writer::default();
        to.bytes(&blob);
        let draft = althing_record::Draft {
            placement: althing_record::Placement::Slot { name: name.try_into().unwrap(), revision },
            made,
            expires: Some(made.plus(lifetime)),
            ..slot(&key, Kind::Lease, "x", to.into_bytes())
        };
        let record = sign(draft, &key);
        prop_assert_eq!(Record::verify(record.bytes(), &network()), Ok(record));
    }
}
