//! Agent cards, leases and the skill index.
