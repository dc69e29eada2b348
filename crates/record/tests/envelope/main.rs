//! What a hostile author of bytes can do to the envelope, and what the envelope looks like on the wire.

#![allow(clippy::unwrap_used, reason = "tests")]

mod companions;
mod evidence;
mod golden;
mod growth;
mod hostile;
mod oracle;
mod properties;
mod rules;

use althing_record::{Record, Verdict, VerifyError};
use althing_testkit::network;

/// Verifies bytes that the sender is to blame for.
fn rejected(bytes: &[u8]) -> VerifyError {
    let error = Record::verify(bytes, &network()).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Reject, "{error}");
    error
}

/// Verifies bytes that a newer node may have made.
fn ignored(bytes: &[u8]) -> VerifyError {
    let error = Record::verify(bytes, &network()).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Ignore, "{error}");
    error
}
