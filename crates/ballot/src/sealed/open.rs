use std::collections::BTreeMap;

use althing_record::cbor::{self, Limits};
use sharks::{Share, Sharks};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::points::{Point, Points};
use super::seal::{BallotSeed, TrusteeKeys, cipher, decrypt, ephemeral_of, make, share_cipher};
use super::{Occasion, PADDED_LEN, Sealed};
use crate::{Choice, Openings, Proposal};

/// What a sealed ballot is, as far as the published secrets tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Too few of its trustees have opened.
    Waiting {
        /// How many have.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// It is not what an honest voter makes; it counts for nothing.
    Invalid(&'static str),
    /// This is what the voter says.
    Choice(Choice),
}

impl Sealed {
    /// How many trustees for whom it is sealed have opened, and how many are needed, while these are too few.
    pub(crate) fn waits(&self, proposal: &Proposal, openings: &Openings) -> Option<(usize, usize)> {
        let needed = proposal.sealing()?.threshold();
        let found = self.shares().filter(|share| openings.secret(share.place, &share.key).is_some()).count();
        (found < needed).then_some((found, needed))
    }

    /// Opens a ballot with the secrets that there are. With enough of them, which ones does not matter.
    #[must_use]
    pub fn open(&self, occasion: &Occasion<'_>, openings: &Openings) -> Opened {
        self.open_among(occasion, openings, &Points::default())
    }

    /// The same for one of many ballots, with tables of the keys that they are sealed with.
    pub(crate) fn open_among(&self, occasion: &Occasion<'_>, openings: &Openings, points: &Points) -> Opened {
        let Some(sealing) = occasion.proposal.sealing() else {
            return Opened::Invalid("the proposal takes no sealed ballots");
        };
        if let Some((found, needed)) = self.waits(occasion.proposal, openings) {
            return Opened::Waiting { found, needed };
        }
        let threshold = sealing.threshold();
        let secrets: Vec<_> = self
            .shares()
            .filter_map(|share| Some((share, openings.secret(share.place, &share.key)?)))
            .take(threshold)
            .collect();
        let bound = occasion.bytes();
        let ephemeral = self.ephemeral();
        let point = Point::new(ephemeral);
        let mut agreed: BTreeMap<u8, Zeroizing<[u8; 32]>> = BTreeMap::new();
        let mut values: Vec<Share> = Vec::with_capacity(threshold);
        for (share, secret) in secrets {
            let shared = point.agree(&secret.x25519());
            let value = share_cipher(&shared, occasion, share.place, &ephemeral, &share.key)
                .and_then(|cipher| decrypt(&cipher, share.encrypted, &bound));
            let Some(value) = value else { return Opened::Invalid("a share is not for its trustee") };
            agreed.insert(share.place, shared);
            let value = Zeroizing::new([&[share.place + 1][..], &value].concat());
            match Share::try_from(&value[..]) {
                Ok(value) => values.push(value),
                Err(_) => return Opened::Invalid("a share is not for its trustee"),
            }
        }
        let Ok(threshold) = u8::try_from(threshold) else { return Opened::Invalid("too many trustees") };
        let key = Sharks(threshold).recover(&values).ok().map(Zeroizing::new);
        let key: Option<Zeroizing<[u8; 32]>> =
            key.and_then(|key| Some(Zeroizing::new(<[u8; 32]>::try_from(&key[..]).ok()?)));
        let core = key.and_then(|key| decrypt(&cipher(&key), self.core(), &bound));
        let Some(core) = core else { return Opened::Invalid("its shares give no key that opens it") };
        let Some((seed, padded)) = core.split_first_chunk::<32>() else {
            return Opened::Invalid("there is no seed in it");
        };
        let Ok(padded) = <&[u8; PADDED_LEN]>::try_from(padded) else {
            return Opened::Invalid("there is no choice in it");
        };
        let keys: TrusteeKeys = self.shares().map(|share| (share.place, share.key)).collect();
        let seed = BallotSeed::from_slice(seed);
        if PublicKey::from(&ephemeral_of(occasion, &seed)).to_bytes() != ephemeral {
            return Opened::Invalid("it does not follow from its seed");
        }
        // With both sides' secrets known, what the trustee agreed on with the voter is what the voter did with the trustee.
        let agree = |place: u8, secret: &StaticSecret, key: &[u8; 32]| {
            agreed.get(&place).cloned().unwrap_or_else(|| points.agree(secret, key))
        };
        let again = make(occasion, usize::from(threshold), &keys, padded, &seed, agree);
        if again.ok().as_deref() != Some(self.bytes()) {
            return Opened::Invalid("it does not follow from its seed");
        }
        match unpad(padded).filter(|choice| choice.answers(occasion.proposal)) {
            Some(choice) => Opened::Choice(choice),
            None => Opened::Invalid("what it says does not answer the proposal"),
        }
    }
}

fn unpad(padded: &[u8; PADDED_LEN]) -> Option<Choice> {
    let (len, rest) = padded.split_first()?;
    let (choice, zeros) = rest.split_at_checked(usize::from(*len))?;
    let is_padding = zeros.iter().all(|byte| *byte == 0);
    cbor::from_slice(choice, Limits { depth: 4, items: 128 }).ok().filter(|_| is_padding)
}
