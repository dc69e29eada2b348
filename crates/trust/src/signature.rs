//! What stands behind a statement: a signature of its own, or one that it shares with others.

use althing_record::cbor::DecodeError;
use althing_record::{Digest, SIGNATURE_LEN, merkle};
use sha2::{Digest as _, Sha256};

/// Most statements that share one signature.
pub const BATCH_MAX: usize = 256;

/// What the root of a batch is signed under, so that it is no statement, and no statement is one.
const DOMAIN: &str = "althing/batch/1";

/// Index and last index of a statement in its batch.
const PLACE_LEN: usize = 2;

const HASH_LEN: usize = 32;

/// Hashes of a path: log₂ [`BATCH_MAX`].
const PATH_LEN_MAX: usize = 8;

/// The signature of a statement in its carried form: 64 bytes over the statement, or 64 bytes over the Merkle root of a
/// batch of 2 to [`BATCH_MAX`] statements, and the way from this one to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

/// What a verifier is asked: whether `key` signed `message` so.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The key that is said to have signed.
    pub key: &'a [u8; 32],
    /// What is said to be signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8; SIGNATURE_LEN],
    /// Whether it is over a batch, so that the same claim may come again with other statements.
    pub is_shared: bool,
}

/// A signature that was taken apart.
pub(crate) struct Parts<'a> {
    pub(crate) signature: &'a [u8; SIGNATURE_LEN],
    place: Option<Place>,
}

/// Where in its batch a statement is.
struct Place {
    index: u8,
    last: u8,
    path: Vec<Digest>,
}

impl Signature {
    /// One over the statement itself.
    #[must_use]
    pub fn alone(signature: [u8; SIGNATURE_LEN]) -> Self {
        Self(signature.to_vec())
    }

    /// Those of the statements of one key that have these messages, in order. One alone is signed itself; of more, up to
    /// [`BATCH_MAX`] share what `sign` gives.
    pub fn of_all<M: AsRef<[u8]>>(
        messages: &[M],
        mut sign: impl FnMut(&[u8]) -> [u8; SIGNATURE_LEN],
    ) -> Vec<Self> {
        let of_batch = |batch: &[M]| match batch {
            [alone] => vec![Self::alone(sign(alone.as_ref()))],
            _ => {
                let leaves: Vec<_> = batch.iter().map(|message| Sha256::digest(message.as_ref())).collect();
                let tree = merkle::Tree::of(&leaves);
                let last = u8::try_from(batch.len() - 1).expect("a batch is within its bound");
                let signature = sign(&batch_message(last, tree.root()));
                let with_place = |index: u8| {
                    let path = tree.path(index.into()).expect("each place of a tree has a path");
                    let mut bytes = Vec::with_capacity(SIGNATURE_LEN + PLACE_LEN + HASH_LEN * path.len());
                    bytes.extend_from_slice(&signature);
                    bytes.extend_from_slice(&[index, last]);
                    path.iter().for_each(|hash| bytes.extend_from_slice(&hash.0));
                    Self(bytes)
                };
                (0..=last).map(with_place).collect()
            }
        };
        messages.chunks(BATCH_MAX).flat_map(of_batch).collect()
    }

    /// The bytes, as they travel.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> Parts<'a> {
    /// Takes a carried signature apart.
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let length = || DecodeError::OutOfBounds {
            what: "signature length",
            value: bytes.len() as u64,
            expected: "64, or 66 and 1 to 8 times 32".to_owned(),
        };
        let (signature, rest) = bytes.split_first_chunk::<SIGNATURE_LEN>().ok_or_else(length)?;
        if rest.is_empty() {
            return Ok(Self { signature, place: None });
        }
        let ([index, last], rest) = rest.split_first_chunk::<PLACE_LEN>().ok_or_else(length)?;
        let (path, rest) = rest.as_chunks::<HASH_LEN>();
        if !rest.is_empty() || !(1..=PATH_LEN_MAX).contains(&path.len()) {
            return Err(length());
        }
        let path = path.iter().copied().map(Digest).collect();
        Ok(Self { signature, place: Some(Place { index: *index, last: *last, path }) })
    }

    /// What was signed instead of the statement with this id, if the signature is shared.
    pub(crate) fn shared(&self, id: Digest) -> Result<Option<Vec<u8>>, &'static str> {
        let Some(Place { index, last, path }) = &self.place else { return Ok(None) };
        if index > last {
            return Err("its place is not in its batch");
        }
        let root = merkle::root_above(&id.0, (*index).into(), u64::from(*last) + 1, path);
        root.map(|root| Some(batch_message(*last, root))).ok_or("its path does not fit its place")
    }
}

/// What is signed for a batch. The number of statements is part of it, so that a place has one path.
fn batch_message(last: u8, root: Digest) -> Vec<u8> {
    with_domain(DOMAIN, &[&[last], &root.0])
}

/// Everything that is signed here: the length of the domain string as uint16, big-endian, the string, and these parts. The
/// first byte is zero, as in nothing else that agents sign.
pub(crate) fn with_domain(domain: &str, parts: &[&[u8]]) -> Vec<u8> {
    let len = u16::try_from(domain.len()).expect("domain strings are short");
    let parts_len: usize = parts.iter().map(|part| part.len()).sum();
    let mut message = Vec::with_capacity(2 + domain.len() + parts_len);
    message.extend_from_slice(&len.to_be_bytes());
    message.extend_from_slice(domain.as_bytes());
    parts.iter().for_each(|part| message.extend_from_slice(part));
    message
}
