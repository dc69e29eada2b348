use althing_record::{AgentKey, Kind, Record, cbor};
use althing_testkit::{agent, chain, foreign_network, network, sign};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharks::Sharks;
use x25519_dalek::StaticSecret;

use super::points::agree;
use super::seal::make;
use super::*;
use crate::{
    Choice, ClosedTerms, Electorate, Opening, Openings, ProposalBody, Question, Rule, Sealing, TrusteeSecret,
};

const YES: Choice = Choice::Option(0);

/// The trustees are agents 11 and on.
fn trustee(n: u8) -> AgentKey {
    agent(11 + n)
}

fn proposal(trustees: u8, threshold: Option<u64>, nonce: u8) -> Proposal {
    let electorate = Electorate::equal((1..=4).map(|n| agent(n).agent()).collect()).unwrap();
    let options = ["yes", "no"].map(str::to_owned);
    let (electorate, rule) = (&electorate, Rule::Majority);
    let question =
        Question { text: "?", options: &options, rule, electorate, window_ms: 60_000, nonce: [nonce; 8] };
    let named = (0..trustees).map(|n| trustee(n).agent()).collect();
    let sealing = Some(Sealing::new(named, threshold).unwrap());
    let body = ProposalBody::closed(&question, &ClosedTerms { sealing, ..ClosedTerms::default() }).unwrap();
    let record = sign(chain(&agent(1), Kind::Proposal, None, cbor::to_vec(&body)), &agent(1));
    Proposal::from_record(&record).unwrap()
}

fn of(proposal: &Proposal, voter: u8) -> Occasion<'_> {
    Occasion { network: network().id(), proposal, voter: agent(voter).agent() }
}

/// The secrets of the trustees, in the order of their places.
fn secrets(proposal: &Proposal) -> Vec<(AgentKey, TrusteeSecret)> {
    let all: Vec<AgentKey> = (0..16).map(trustee).collect();
    let named = proposal.sealing().unwrap().trustees().iter();
    named
        .map(|named| {
            let key = all.iter().find(|key| key.agent() == *named).unwrap().clone();
            let secret = TrusteeSecret::of(&key, network().id(), proposal.id);
            (key, secret)
        })
        .collect()
}

fn keys(proposal: &Proposal) -> TrusteeKeys {
    (0..).zip(secrets(proposal)).map(|(place, (_, secret))| (place, secret.public())).collect()
}

/// What the trustees at these places published.
fn openings(proposal: &Proposal, places: &[usize]) -> Openings {
    let secrets = secrets(proposal);
    let mut openings = Openings::default();
    for place in places {
        let (key, secret) = &secrets[*place];
        let body = cbor::to_vec(&secret.opening_body(proposal.id));
        let record: Record = sign(chain(key, Kind::Opening, None, body), key);
        openings.insert(proposal.sealing().unwrap(), &Opening::from_record(&record).unwrap());
    }
    openings
}

fn seal(proposal: &Proposal, voter: u8, choice: &Choice) -> Sealed {
    let (occasion, keys) = (of(proposal, voter), keys(proposal));
    let seed = BallotSeed::of(&agent(voter), &occasion, &keys, choice).unwrap();
    Sealed::seal(&occasion, &keys, choice, &seed).unwrap()
}

/// All sets of `size` places among `count`.
fn subsets(count: usize, size: u32) -> Vec<Vec<usize>> {
    let sets = (0..1_u32 << count).filter(|set| set.count_ones() == size);
    sets.map(|set| (0..count).filter(|place| set & (1 << place) != 0).collect()).collect()
}

/// What every smallest set of trustees finds in a ballot: all the same.
fn opened(proposal: &Proposal, voter: u8, sealed: &Sealed) -> bool {
    let sealing = proposal.sealing().unwrap();
    let found: Vec<Opened> = subsets(sealing.trustees().len(), u32::try_from(sealing.threshold()).unwrap())
        .iter()
        .map(|places| sealed.open(&of(proposal, voter), &openings(proposal, places)))
        .collect();
    let valid = |opened: &Opened| match opened {
        Opened::Choice(choice) => Some(choice.clone()),
        Opened::Invalid(_) => None,
        Opened::Waiting { .. } => panic!("enough trustees have opened"),
    };
    let first = valid(&found[0]);
    assert!(found.iter().all(|other| valid(other) == first), "{found:?}");
    first.is_some()
}

#[test]
fn every_choice_opens_to_itself_whichever_trustees_open_it_and_is_as_long_as_any_other() {
    for trustees in [1, 3, 4, 7] {
        let proposal = proposal(trustees, None, 1);
        let sealing = proposal.sealing().unwrap().clone();
        let (count, threshold) = (usize::from(trustees), sealing.threshold());
        let mut lengths = std::collections::BTreeSet::new();
        for choice in [YES, Choice::Option(1), Choice::Abstain] {
            let sealed = seal(&proposal, 1, &choice);
            lengths.insert(sealed.bytes().len());
            assert_eq!(Sealed::from_bytes(sealed.bytes()), Ok(sealed.clone()));
            assert!(Choice::Sealed(sealed.clone()).fits(&proposal));
            for places in subsets(count, u32::try_from(threshold).unwrap()) {
                let found = sealed.open(&of(&proposal, 1), &openings(&proposal, &places));
                assert_eq!(found, Opened::Choice(choice.clone()), "{places:?} of {count}");
            }
            let few: Vec<usize> = (0..threshold - 1).collect();
            let waiting = Opened::Waiting { found: few.len(), needed: threshold };
            assert_eq!(sealed.open(&of(&proposal, 1), &openings(&proposal, &few)), waiting);
        }
        assert_eq!(lengths.len(), 1, "the length says nothing");
    }
}

#[test]
fn the_same_ballot_is_the_same_bytes_and_another_one_shares_nothing_with_it() {
    let proposal = proposal(4, Some(2), 1);
    let (yes, again, no) =
        (seal(&proposal, 1, &YES), seal(&proposal, 1, &YES), seal(&proposal, 1, &Choice::Option(1)));
    assert_eq!(yes, again);
    let parts = |sealed: &Sealed| -> Vec<Vec<u8>> {
        let shares = sealed.shares().map(|share| share.encrypted.to_vec());
        shares.chain([sealed.core().to_vec(), sealed.ephemeral().to_vec()]).collect()
    };
    assert!(parts(&yes).iter().zip(parts(&no)).all(|(one, other)| *one != other));
    // With fewer keys it is another ballot, of other secrets.
    let occasion = of(&proposal, 1);
    let mut fewer = keys(&proposal);
    fewer.remove(&3);
    let seed = BallotSeed::of(&agent(1), &occasion, &fewer, &YES).unwrap();
    let sealed = Sealed::seal(&occasion, &fewer, &YES, &seed).unwrap();
    assert!(parts(&yes).iter().zip(parts(&sealed)).all(|(one, other)| *one != other));
    assert!(opened_by(&proposal, &sealed, &[0, 2]) && opened_by(&proposal, &sealed, &[1, 2, 3]));
    assert!(!opened_by(&proposal, &sealed, &[2, 3]), "trustee 3 has no share of it");
}

fn opened_by(proposal: &Proposal, sealed: &Sealed, places: &[usize]) -> bool {
    sealed.open(&of(proposal, 1), &openings(proposal, places)) == Opened::Choice(YES)
}

#[test]
fn a_ballot_that_is_copied_elsewhere_opens_to_nothing() {
    let (here, there) = (proposal(4, Some(2), 1), proposal(4, Some(2), 2));
    let sealed = seal(&here, 1, &YES);
    assert!(opened(&here, 1, &sealed));
    assert!(!opened(&here, 2, &sealed), "another voter's");
    // On another proposal its keys are not those that are opened; with the same keys it is invalid all the same.
    let both = openings(&here, &[0, 1, 2, 3]);
    let moved = Occasion { proposal: &there, ..of(&here, 1) };
    assert!(matches!(sealed.open(&moved, &both), Opened::Invalid(_)));
    assert!(matches!(sealed.open(&moved, &openings(&there, &[0, 1, 2])), Opened::Waiting { .. }));
    let elsewhere = Occasion { network: foreign_network().id(), ..of(&here, 1) };
    assert!(matches!(sealed.open(&elsewhere, &both), Opened::Invalid(_)));
}

#[test]
fn no_byte_of_a_ballot_can_be_changed() {
    let proposal = proposal(4, Some(2), 1);
    let sealed = seal(&proposal, 1, &YES);
    let all = openings(&proposal, &[0, 1, 2, 3]);
    for at in 0..sealed.bytes().len() {
        let mut altered = sealed.bytes().to_vec();
        altered[at] ^= 1;
        let Ok(altered) = Sealed::from_bytes(&altered) else { continue };
        let found = altered.open(&of(&proposal, 1), &all);
        assert!(!matches!(found, Opened::Choice(_)), "byte {at}: {found:?}");
    }
}

#[test]
fn a_malicious_ballot_is_invalid_whichever_trustees_open_it() {
    let proposal = proposal(4, Some(2), 1);
    let occasion = of(&proposal, 1);
    let keys = keys(&proposal);
    let seed = BallotSeed::new(zeroize::Zeroizing::new([5; 32]));
    let padded = |choice: &[u8]| {
        let mut padded = [0; PADDED_LEN];
        padded[0] = u8::try_from(choice.len()).unwrap();
        padded[1..=choice.len()].copy_from_slice(choice);
        padded
    };
    let plain = |_, secret: &StaticSecret, key: &[u8; 32]| agree(secret, key);
    let made = |threshold, padded: &[u8; PADDED_LEN], keys: &TrusteeKeys| {
        Sealed::from_bytes(&make(&occasion, threshold, keys, padded, &seed, plain).unwrap()).unwrap()
    };
    let yes = padded(&cbor::to_vec(&YES));
    let honest = made(2, &yes, &keys);
    assert!(opened(&proposal, 1, &honest));

    // A share of another polynomial, well encrypted to its trustee: taken from a ballot with the same keys and another
    // threshold, whose first shares are others.
    let line = made(3, &yes, &keys);
    for place in 0..4 {
        let at = HEAD_LEN + place * SHARE_LEN;
        let mut mixed = honest.bytes().to_vec();
        mixed[at..at + SHARE_LEN].copy_from_slice(&line.bytes()[at..at + SHARE_LEN]);
        assert!(!opened(&proposal, 1, &Sealed::from_bytes(&mixed).unwrap()), "share {place}");
    }
    assert!(!opened(&proposal, 1, &line), "a polynomial of another degree");

    // Garbage for one trustee or for all.
    for places in [0..1, 3..4, 0..4] {
        let mut garbage = honest.bytes().to_vec();
        for place in places {
            let at = HEAD_LEN + place * SHARE_LEN + 32;
            garbage[at..at + 48].fill(7);
        }
        assert!(!opened(&proposal, 1, &Sealed::from_bytes(&garbage).unwrap()));
    }

    // All follows from the seed, and what it says is no answer.
    let mut after = yes;
    after[PADDED_LEN - 1] = 1;
    let mut beyond = yes;
    beyond[0] = 255;
    let nested = cbor::to_vec(&Choice::Option(63));
    for said in [padded(&nested), padded(b""), padded(&[0xff]), after, beyond] {
        assert!(!opened(&proposal, 1, &made(2, &said, &keys)));
    }

    // The shares of two trustees are exchanged.
    let mut swapped = honest.bytes().to_vec();
    let (first, second) = (HEAD_LEN, HEAD_LEN + SHARE_LEN);
    for byte in 0..SHARE_LEN {
        swapped.swap(first + byte, second + byte);
    }
    let swapped = Sealed::from_bytes(&swapped).unwrap();
    let all = swapped.open(&occasion, &openings(&proposal, &[0, 1, 2, 3]));
    assert!(!matches!(all, Opened::Choice(_)), "{all:?}");
}

#[test]
fn ballots_are_sealed_for_enough_trustees_that_there_are() {
    let proposal = proposal(4, Some(2), 1);
    let occasion = of(&proposal, 1);
    let all = keys(&proposal);
    let seal = |keys: &TrusteeKeys| {
        let seed = BallotSeed::of(&agent(1), &occasion, keys, &YES)?;
        Sealed::seal(&occasion, keys, &YES, &seed).map(drop)
    };
    let few: TrusteeKeys = all.iter().take(2).map(|(place, key)| (*place, *key)).collect();
    assert!(seal(&few).unwrap_err().to_string().contains("sealed for 2 trustees, 3 are needed"));
    let mut stranger = all.clone();
    stranger.insert(4, all[&0]);
    assert!(seal(&stranger).unwrap_err().to_string().contains("no trustee 4"));
    let mut weak = all.clone();
    weak.insert(0, [0; 32]);
    assert!(seal(&weak).unwrap_err().to_string().contains("weak"));
    for length in [0, 33, 34, HEAD_LEN + CORE_LEN] {
        assert!(Sealed::from_bytes(&vec![1; length]).is_err(), "{length} bytes");
    }
    let mut nobody = vec![0; HEAD_LEN + CORE_LEN];
    nobody[0] = 1;
    assert!(Sealed::from_bytes(&nobody).is_err());
}

#[test]
fn sealed_and_open_ballots_answer_different_proposals() {
    let sealed = proposal(4, Some(2), 1);
    assert!(!YES.fits(&sealed) && YES.answers(&sealed));
    assert!(!Choice::Abstain.fits(&sealed));
    assert_eq!(Choice::parse("yes", &sealed), Ok(YES));
    let ballot = Choice::Sealed(seal(&sealed, 1, &YES));
    assert_eq!(ballot.text(&sealed), "sealed");
    let bytes = cbor::to_vec(&ballot);
    assert_eq!(cbor::from_slice::<Choice>(&bytes, cbor::Limits { depth: 4, items: 128 }), Ok(ballot.clone()));
    let mut open = sealed.clone();
    if let crate::Mode::Closed(closing) = &mut open.mode {
        closing.sealing = None;
    }
    assert!(!ballot.fits(&open));
    assert!(ballot.checked(&open).is_err());
}

/// x · y in GF(2⁸) as docs/spec/shares.md has it.
fn times(mut x: u8, mut y: u8) -> u8 {
    let mut product = 0;
    while y > 0 {
        product ^= if y & 1 == 1 { x } else { 0 };
        x = (x << 1) ^ if x & 0x80 == 0 { 0 } else { 0x1d };
        y >>= 1;
    }
    product
}

/// What docs/spec/voting.md says of the polynomials, without the share crate.
#[test]
fn shares_are_those_of_the_specification() {
    let (threshold, secret, seed) = (4_u8, [0x5a; 32], [3; 32]);
    let mut stream = [0; 32 * 3 * 4];
    ChaCha20Rng::from_seed(seed).fill_bytes(&mut stream);
    let coefficients: Vec<u8> = stream.iter().step_by(4).copied().collect();
    let dealt = Sharks(threshold).dealer_rng(&secret, &mut ChaCha20Rng::from_seed(seed)).take(16);
    for (x, share) in (1..).zip(dealt) {
        let polynomials = coefficients.chunks(3).zip(secret);
        let at_x = polynomials.map(|(coefficients, byte)| {
            coefficients.iter().chain([&byte]).fold(0, |value, next| times(value, x) ^ next)
        });
        let expected: Vec<u8> = [x].into_iter().chain(at_x).collect();
        assert_eq!(Vec::from(&share), expected, "share {x}");
    }
}

/// The bytes under fixtures/ are part of docs/spec/voting.md: a change of the share crate's output would show here.
#[test]
fn golden_bytes_of_a_sealed_ballot_have_not_changed() {
    let proposal = proposal(4, Some(2), 1);
    crate::certificate::golden("sealed-ballot", &cbor::to_vec(&Choice::Sealed(seal(&proposal, 1, &YES))));
    let keys: Vec<u8> = keys(&proposal).into_values().flatten().collect();
    crate::certificate::golden("trustee-keys", &keys);
}
