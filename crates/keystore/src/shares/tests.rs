use std::path::PathBuf;

use althing_record::{AgentKey, Millis, recovery_key_hash};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::share::{MAGIC, SHARE_LEN, Set};
use super::*;

const MADE: Millis = Millis(1_795_185_518_557);

fn agent() -> AgentKey {
    AgentKey::from_seed(&[1; 32])
}

fn recovery() -> AgentKey {
    AgentKey::from_seed(&[2; 32])
}

fn dealer(key: &AgentKey) -> Dealer<'_> {
    Dealer { key, recovery_key_hash: recovery_key_hash(&recovery().public()), made: MADE }
}

fn deal(threshold: u8, shares: u8) -> Deal {
    Deal::new(threshold, shares).unwrap()
}

/// Shares of the agent's signing key; the entropy decides the set.
fn shares(threshold: u8, count: u8, entropy: u8) -> Vec<Share> {
    let key = agent();
    dealer(&key).split(Part::Signing, &key.seed(), deal(threshold, count), &[entropy; 32])
}

/// The bytes of a share, changed by somebody who can mend the checksum.
fn forge(share: &Share, change: impl FnOnce(&mut [u8])) -> String {
    let text = share.to_text();
    let mut bytes = bs58::decode(text.split_once(":z").unwrap().1).into_vec().unwrap();
    change(&mut bytes);
    let end = SHARE_LEN - 8;
    let check = Sha256::digest(&bytes[..end]);
    bytes[end..].copy_from_slice(&check[..8]);
    format!("{MAGIC}1:z{}", bs58::encode(bytes).into_string())
}

proptest! {
    #[test]
    fn any_threshold_of_the_shares_restores_the_key_and_one_less_does_not(
        threshold in 2_u8..=8,
        more in 0_u8..=8,
        seed: [u8; 32],
        entropy: [u8; 32],
        pick: Index,
        order in Just(()).prop_perturb(|(), random| random),
    ) {
        let key = AgentKey::from_seed(&seed);
        let all = dealer(&key).split(Part::Signing, &seed, deal(threshold, threshold + more), &entropy);
        let mut chosen = all.clone();
        let mut order = order;
        while chosen.len() > usize::from(threshold) {
            chosen.remove((order.next_u32() as usize + pick.index(chosen.len())) % chosen.len());
        }
        let restored = restore(&chosen).unwrap();
        prop_assert_eq!(restored.key.seed(), key.seed());
        prop_assert_eq!(restored.agent, key.agent());
        chosen.reverse();
        prop_assert_eq!(restore(&chosen).unwrap().key.public(), key.public());
        prop_assert!(restore(&all).is_ok());
        chosen.pop();
        let is_named = matches!(restore(&chosen), Err(RestoreError::TooFew { .. }));
        prop_assert!(is_named);
    }

    #[test]
    fn shares_fewer_than_the_threshold_say_nothing_about_the_key(
        chosen in subsequence((0..5_usize).collect::<Vec<_>>(), 2),
        other: [u8; 32],
    ) {
        // For any other secret there is a polynomial through the same two points: a third point exists that gives it.
        let all = shares(3, 5, 7);
        let mut points: Vec<sharks::Share> = chosen
            .iter()
            .map(|at| point(all[*at].index, &all[*at].value))
            .collect();
        points.push(point(0, &other));
        prop_assert_eq!(sharks::Sharks(3).recover(&points).unwrap(), other.to_vec());
    }

    #[test]
    fn text_that_is_no_share_is_refused(text in ".{0,400}") {
        prop_assert!(Share::parse(&text).is_err());
        let behind = format!("althing-share-v1:z{text}");
        prop_assert!(Share::parse(&behind).is_err());
    }
}

fn point(x: u8, y: &[u8; 32]) -> sharks::Share {
    let bytes: Vec<u8> = std::iter::once(x).chain(*y).collect();
    sharks::Share::try_from(&bytes[..]).unwrap()
}

#[test]
fn a_recovery_key_is_shared_out_apart_from_the_signing_key() {
    let key = agent();
    let split = dealer(&key).recovery(&recovery(), deal(2, 3)).unwrap();
    let restored = restore(&split[1..]).unwrap();
    assert_eq!((restored.part, restored.agent), (Part::Recovery, key.agent()));
    assert_eq!(restored.key.public(), recovery().public());
    let refused = dealer(&key).recovery(&agent(), deal(2, 3)).unwrap_err();
    assert_eq!(refused, DealError::OtherRecoveryKey { agent: key.agent() });
    // They do not mix.
    let signing = dealer(&key).signing(deal(2, 3)).unwrap();
    let mixed = [split[0].clone(), signing[1].clone()];
    assert!(matches!(restore(&mixed), Err(RestoreError::Misfits { .. })));
}

#[test]
fn deals_are_bounded() {
    assert_eq!(Deal::new(1, 3), Err(DealError::Threshold { found: 1 }));
    assert_eq!(Deal::new(0, 0), Err(DealError::Threshold { found: 0 }));
    assert_eq!(Deal::new(4, 3), Err(DealError::TooFew { threshold: 4, shares: 3 }));
    assert_eq!(Deal::new(2, SHARES_MAX + 1), Err(DealError::Shares { found: SHARES_MAX + 1 }));
    let most = shares(SHARES_MAX, SHARES_MAX, 1);
    assert_eq!(restore(&most).unwrap().key.public(), agent().public());
}

#[test]
fn every_changed_character_is_named() {
    let text = shares(2, 3, 1)[0].to_text().to_string();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'2' { b'3' } else { b'2' };
        let changed = String::from_utf8(bytes).unwrap();
        let refused = Share::parse(&changed).unwrap_err();
        let is_named = matches!(
            refused,
            ShareError::Damaged
                | ShareError::NotAShare
                | ShareError::Newer { .. }
                | ShareError::Length { .. }
                | ShareError::TooLong { .. }
        );
        assert!(is_named, "{at}: {refused}");
    }
    for at in 0..text.len() {
        assert!(Share::parse(&text[..at]).is_err(), "{at}");
    }
    assert_eq!(Share::parse(&text.replace(":z", ":z0")).unwrap_err(), ShareError::Character);
    assert!(Share::parse(&"1".repeat(1 << 20)).is_err());
}

#[test]
fn a_share_may_be_broken_over_lines() {
    let share = &shares(2, 3, 1)[1];
    let text = share.to_text();
    let broken: Vec<&str> =
        text.as_bytes().chunks(40).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let read = Share::parse(&format!("\n  {}\r\n", broken.join("\r\n  "))).unwrap();
    assert_eq!(read.to_text(), text);
}

#[test]
fn whoever_alters_a_share_and_mends_its_checksum_is_found_out() {
    let share = &shares(3, 5, 1)[1];
    let agent = agent().agent();
    // Time, set, recovery key hash, value, signature.
    for at in [5, 13, 61, 93, 125] {
        let refused = Share::parse(&forge(share, |bytes| bytes[at] ^= 1)).unwrap_err();
        assert!(
            matches!(refused, ShareError::Altered { index: 2, agent: named, .. } if named == agent),
            "{refused}"
        );
    }
    for (change, named) in [
        ((0, 3), ShareError::Kind { found: 3 }),
        ((1, 1), ShareError::Deal(DealError::Threshold { found: 1 })),
        ((1, 6), ShareError::Deal(DealError::TooFew { threshold: 6, shares: 5 })),
        ((2, 33), ShareError::Deal(DealError::Shares { found: 33 })),
        ((3, 0), ShareError::IndexZero),
        ((3, 6), ShareError::Index { found: 6, count: 5 }),
    ] {
        assert_eq!(Share::parse(&forge(share, |bytes| bytes[change.0] = change.1)).unwrap_err(), named);
    }
    // Another number or a lower threshold was not signed either.
    for change in [(3, 4), (1, 2)] {
        let refused = Share::parse(&forge(share, |bytes| bytes[change.0] = change.1)).unwrap_err();
        assert!(matches!(refused, ShareError::Altered { .. }), "{refused}");
    }
    let stranger = Share::parse(&forge(share, |bytes| bytes[28..60].fill(7))).unwrap_err();
    assert!(matches!(stranger, ShareError::Altered { .. }), "{stranger}");
}

#[test]
fn other_versions_are_named() {
    let text = shares(2, 3, 1)[0].to_text().replace("v1", "v2");
    assert_eq!(Share::parse(&text).unwrap_err(), ShareError::Newer { found: 2, newest: 1 });
    assert_eq!(Share::parse(&text.replace("v2", "v0")).unwrap_err(), ShareError::NotAShare);
}

#[test]
fn repeated_and_foreign_shares_are_named() {
    let ours = shares(3, 5, 1);
    let again = shares(3, 5, 2);
    let stranger = AgentKey::from_seed(&[9; 32]);
    let theirs = dealer(&stranger).signing(deal(3, 5)).unwrap();

    let twice = [ours[3].clone(), ours[0].clone(), ours[3].clone()];
    let Err(RestoreError::Misfits { misfits, good, threshold: 3 }) = restore(&twice) else { panic!() };
    assert_eq!(misfits, [Misfit { position: 2, index: 4, kind: MisfitKind::Repeated { of: 0 } }]);
    assert_eq!(good, [1, 4]);

    let mixed = [theirs[0].clone(), ours[0].clone(), again[2].clone(), ours[1].clone(), ours[4].clone()];
    let Err(RestoreError::Misfits { misfits, good, .. }) = restore(&mixed) else { panic!() };
    let kinds: Vec<_> = misfits.iter().map(|misfit| (misfit.position, misfit.kind)).collect();
    assert_eq!(
        kinds,
        [
            (0, MisfitKind::OtherAgent { found: stranger.agent(), expected: agent().agent() }),
            (2, MisfitKind::OtherSet { found: again[2].set(), expected: ours[0].set() }),
        ]
    );
    assert_eq!(good, [1, 2, 5], "those that are left restore the key");
    assert_eq!(restore(&[]).unwrap_err(), RestoreError::Nothing);
    let few = restore(&ours[1..3]).unwrap_err();
    assert_eq!(few.to_string(), format!("expected 3 shares of {}, found 2: 2, 3", agent().agent()));
}

/// The agent itself deals shares that do not fit together; nobody else can.
#[test]
fn signed_shares_that_give_another_key_restore_nothing() {
    let mut all = shares(2, 3, 1);
    let (set, key): (Set, AgentKey) = (all[0].set, agent());
    let wrong = Share::sign(&key, set, 2, Zeroizing::new([5; 32]));
    let contradicting = [all[0].clone(), all[1].clone(), wrong.clone()];
    let Err(RestoreError::Misfits { misfits, .. }) = restore(&contradicting) else { panic!() };
    assert_eq!(misfits[0].kind, MisfitKind::Contradicts { of: 1 });
    all[1] = wrong;
    let refused = restore(&all).unwrap_err();
    assert_eq!(refused, RestoreError::OtherKey { good: vec![1, 2, 3], agent: key.agent() });
}

#[test]
fn nothing_secret_shows_in_debug() {
    let share = &shares(2, 3, 1)[0];
    let shown = format!("{share:?}");
    assert!(!shown.contains("value") && !shown.contains(&format!("{:?}", &share.value[..4])), "{shown}");
    let restored = restore(&shares(2, 3, 1)).unwrap();
    assert!(format!("{restored:?}").contains("key: AgentKey(secret)"));
}

/// The format is fixed: shares that lie in drawers for years must be read.
#[test]
fn shares_of_old_are_read() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/shares-v1.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let read: Vec<Share> = text.lines().map(|line| Share::parse(line).unwrap()).collect();
    for (share, line) in read.iter().zip(text.lines()) {
        assert_eq!(*share.to_text(), line);
        assert_eq!((share.part(), share.agent(), share.made()), (Part::Signing, agent().agent(), MADE));
        assert_eq!((share.deal(), share.set().to_string()), (deal(2, 3), "a0".repeat(16)));
    }
    assert_eq!(read.iter().map(Share::index).collect::<Vec<_>>(), [1, 2, 3]);
    for pair in [[0, 1], [1, 2], [0, 2]] {
        let restored = restore(&pair.map(|at: usize| read[at].clone())).unwrap();
        assert_eq!(*restored.key.seed(), [1; 32]);
        assert_eq!(restored.recovery_key_hash, recovery_key_hash(&recovery().public()));
    }
}
