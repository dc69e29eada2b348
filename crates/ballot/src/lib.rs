//! Proposals, ballots, tallies and certificates.
