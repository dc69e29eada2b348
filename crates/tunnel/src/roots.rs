use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use althing_record::{SIGNATURE_LEN, SignatureError};
use althing_trust::Claim;

/// Batches that are remembered of one peer; of more, the oldest are forgotten.
const ROOTS_MAX: usize = 32;

/// The batches of one peer whose signatures were verified lately, so that each costs one verification and not one for each
/// of its statements. What is remembered is that this signature is that key's of this message, nothing less.
#[derive(Debug, Default)]
pub(crate) struct Roots(Mutex<VecDeque<Verified>>);

#[derive(Debug, PartialEq, Eq)]
struct Verified {
    key: [u8; 32],
    signature: [u8; SIGNATURE_LEN],
    message: Vec<u8>,
}

impl Verified {
    fn is(&self, claim: &Claim<'_>) -> bool {
        self.message == claim.message && self.signature == *claim.signature && self.key == *claim.key
    }
}

impl Roots {
    /// Checks a claim with `check`, unless it is one of a batch that passed before.
    pub(crate) fn check(
        &self,
        claim: &Claim<'_>,
        check: impl FnOnce(&Claim<'_>) -> Result<(), SignatureError>,
    ) -> Result<(), SignatureError> {
        if !claim.is_shared {
            return check(claim);
        }
        let is_known = self.locked().iter().any(|verified| verified.is(claim));
        if is_known {
            return Ok(());
        }
        check(claim)?;
        let mut known = self.locked();
        // Another call of the batch may have come in between.
        if !known.iter().any(|verified| verified.is(claim)) {
            if known.len() >= ROOTS_MAX {
                known.pop_back();
            }
            let (key, signature) = (*claim.key, *claim.signature);
            known.push_front(Verified { key, signature, message: claim.message.to_vec() });
        }
        Ok(())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, VecDeque<Verified>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a claim is checked anew, by a check that everything passes, or nothing.
    fn is_checked(roots: &Roots, claim: &Claim<'_>, passes: bool) -> bool {
        let mut is_checked = false;
        let checked = roots.check(claim, |_| {
            is_checked = true;
            if passes { Ok(()) } else { Err(SignatureError::Mismatch) }
        });
        assert_eq!(checked.is_ok(), passes || !is_checked);
        is_checked
    }

    #[test]
    fn only_what_passed_to_the_byte_is_not_checked_again() {
        let roots = Roots::default();
        let claim =
            Claim { key: &[1; 32], message: b"root", signature: &[2; SIGNATURE_LEN], is_shared: true };
        assert!(is_checked(&roots, &claim, false) && is_checked(&roots, &claim, false));
        assert!(is_checked(&roots, &claim, true) && !is_checked(&roots, &claim, true));
        for other in [
            Claim { key: &[3; 32], ..claim },
            Claim { message: b"toor", ..claim },
            Claim { signature: &[3; SIGNATURE_LEN], ..claim },
            Claim { is_shared: false, ..claim },
        ] {
            assert!(is_checked(&roots, &other, false), "{other:?}");
        }
        assert!(!is_checked(&roots, &claim, true));
        // One of a statement alone never comes again, and is not remembered.
        let alone = Claim { is_shared: false, ..claim };
        assert!(is_checked(&roots, &alone, true) && is_checked(&roots, &alone, true));
        assert_eq!(roots.locked().len(), 1);
    }

    #[test]
    fn of_too_many_the_oldest_are_forgotten() {
        let roots = Roots::default();
        let numbers: Vec<_> = (0..=ROOTS_MAX).map(|number| number.to_be_bytes()).collect();
        let claim = |number: usize| Claim {
            key: &[1; 32],
            message: &numbers[number],
            signature: &[2; SIGNATURE_LEN],
            is_shared: true,
        };
        for number in 0..=ROOTS_MAX {
            assert!(is_checked(&roots, &claim(number), true));
        }
        assert_eq!(roots.locked().len(), ROOTS_MAX);
        assert!(!is_checked(&roots, &claim(1), true));
        assert!(is_checked(&roots, &claim(0), true));
    }
}
