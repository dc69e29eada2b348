use std::collections::BTreeMap;

use althing_record::{Network, Record, VerifyError};
use sha2::{Digest as _, Sha256};

/// Most results that are remembered; beyond, all are forgotten.
const RESULTS_MAX: usize = 100_000;

/// Remembers what [`Record::verify`] said of bytes, so that a record that reaches a thousand engines is verified once.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    results: BTreeMap<[u8; 32], Result<Record, VerifyError>>,
}

impl Memo {
    pub(crate) fn verify(&mut self, bytes: &[u8], network: &Network) -> Result<Record, VerifyError> {
        if self.results.len() >= RESULTS_MAX {
            self.results.clear();
        }
        let key: [u8; 32] = Sha256::digest(bytes).into();
        self.results.entry(key).or_insert_with(|| Record::verify(bytes, network)).clone()
    }
}
