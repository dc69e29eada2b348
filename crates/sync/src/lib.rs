//! Range-based set reconciliation and bounded backfill.
