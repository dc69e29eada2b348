//! Proposals, ballots, tallies and certificates.
//!
//! A [`Proposal`] commits to its electorate and its rule. A [`Ballot`] is one voter's signed choice, alone or with many
//! others under one Merkle root. When enough ballots name one option, anyone who holds them can write a
//! [`Certificate`], and anyone can check it with nothing but the file.
//!
//! A *Direct* decision has thresholds so high that two conflicting results would need more cheating voters than the rule
//! tolerates; a *Closed* one is made by agreement on the ballots that count ([`Manifest`]), which may be [`Sealed`] until
//! then. The crate deliberately signs nothing, keeps no state, draws no randomness and never looks at a clock.
//!
//! ```
//! use althing_ballot::{Electorate, Rule, direct_threshold};
//! use althing_record::AgentId;
//!
//! let electorate = Electorate::equal((1..=5).map(|n| AgentId([n; 32])).collect())?;
//! assert_eq!(electorate.tolerates(), 1);
//! assert_eq!(direct_threshold(&electorate, Rule::SuperMajority { num: 2, den: 3 })?, 4);
//! # Ok::<(), althing_ballot::BallotError>(())
//! ```

mod ballot;
mod certificate;
mod choice;
mod closing;
mod closing_view;
mod count;
mod docket;
mod docket_view;
mod electorate;
mod error;
mod evidence;
mod holders;
mod manifest;
mod pardon;
mod part;
mod proposal;
mod put_at;
mod report;
mod rule;
mod sealed;
mod sealed_view;
mod sealing;
mod subject;
mod tally;
mod trustee;
mod view;
mod voted;

pub use ballot::{BALLOTS_MAX, Ballot, ballots_of, leaf};
pub use certificate::{
    CERTIFICATE_BYTES_MAX, Certificate, CertificateError, ClosedCertificate, ClosedVerified, Verified,
    VerifiedFile, instance, verify_file,
};
pub use choice::Choice;
pub use closing::{CLOSERS_MAX, Closing, Quorum};
pub use closing_view::{
    acks_of, decision_of, early_decisions, early_statements, forget_early_statement, has_acked, index_acks,
    index_closing, index_decision, index_early_statement, index_report, index_statement, open_closings,
    precommit_records, precommits, reports_for, reports_of, statements_at, statements_in, statements_of,
};
pub use count::Count;
pub use docket::{Answers, DOCKET_QUESTIONS_MAX, Docket, DocketProof, DocketQuestion};
pub use docket_view::{
    AnsweredBy, answers_to, dockets, has_answered, has_docket, index_answers, index_docket, root_of,
};
pub use electorate::{Electorate, GroupState, Snapshot, Source, VOTERS_MAX, Voter};
pub use error::BallotError;
pub use evidence::DoubleBallot;
pub use holders::{
    HOLDERS_CAP, HOLDERS_MIN, HolderTerms, Holders, MASS_MAX, SETTLED_AFTER, SETTLED_BEFORE, cap_of,
};
pub use manifest::{Manifest, ReportSet, Unopened, reported};
pub use pardon::{PARDONED_MAX, Pardon, pardoners};
pub use part::AgreementBody;
pub use proposal::{
    ClosedTerms, Mode, OPTIONS_MAX, Proposal, ProposalBody, QUESTION_BYTES_MAX, Question, WINDOW_MS_MAX,
};
pub use put_at::PutAt;
pub use report::{ACKS_MAX, Ack, AckBody, CloseReport, ReportBody};
pub use rule::{Rule, direct_threshold};
pub use sealed::{BallotSeed, Keeping, Occasion, Opened, SEALED_BYTES_MAX, Sealed, SealedShare, TrusteeKeys};
pub use sealed_view::{
    has_key, has_opened, index_opening, index_trustee_key, keys_of, opening_of, settle_sealed, unopened,
};
pub use sealing::{Privacy, Sealing, TRUSTEES_MAX};
pub use subject::{SUBJECT_BYTES_MAX, Standing, Subject, index_subject, proposals_on, standings};
pub use tally::{Outcome, Rejection, Tally};
pub use trustee::{Opening, OpeningBody, Openings, TrusteeKey, TrusteeKeyBody, TrusteeSecret};
pub use view::{CastBallot, ballots_for, has_proposal, has_voted, index_ballots, index_proposal, proposals};
pub use voted::{VotedChange, VotedChangeError};
