//! Builders and badly behaved authors for the tests of every crate.
//!
//! Everything is fixed: the same call gives the same bytes on every run and machine. Builders panic where a test would
//! unwrap. This crate deliberately holds no assertions, and nothing outside tests may depend on it.
//!
//! ```
//! use althing_record::{Kind, Record};
//! use althing_testkit::{Raw, agent, body, chain, equivocator, network, sign, slot};
//!
//! let alice = agent(1);
//! let card = sign(slot(&alice, Kind::Card, "card", body(0)), &alice);
//! let first = sign(chain(&alice, Kind::Proposal, None, body(0)), &alice);
//! let second = sign(chain(&alice, Kind::Proposal, Some(&first), body(1)), &alice);
//!
//! // The same record with other parts: `Raw` neither checks nor repairs.
//! let altered = Raw { payload: body(7), ..Raw::of(&card) };
//! assert!(Record::verify(&altered.bytes(), &network()).is_err());
//! assert!(Record::verify(&altered.signed_by(&alice).bytes(), &network()).is_ok());
//!
//! let [one, other] = equivocator(&alice, Some(&second));
//! assert!(althing_record::Fork::prove(&one, &other).is_some());
//! ```

mod bad;
mod build;
mod group;
mod raw;

pub use bad::{
    WEAK_KEYS, equivocator, foreign_network, foreigner, forger, impostor, second_signature, unreduced,
    weak_author, weak_nonce,
};
pub use build::{MADE, agent, body, chain, detached, identity, leaves, network, node, rotation, sign, slot};
pub use group::{founding, joining, membership};
pub use raw::Raw;
