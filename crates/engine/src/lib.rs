//! The whole node as one state machine, without IO, clock, entropy or threads.
//!
//! The shell tells the [`Engine`] what happened ([`Input`]) and does what it asks ([`Effect`]); an effect that must not
//! outrun the disk says after which commit it may leave ([`Output`], [`Gate`]). That seam makes a network of engines
//! run on one thread in the simulator exactly as it runs on real machines.
//!
//! This crate composes the feature crates (cards, ballots, groups, reconciliation) and is the only one that does. It
//! deliberately knows no libp2p, no RocksDB, no HTTP and no JSON of the API.
//!
//! The way of a record: [`althing_record::Record::verify`] (in the shell, off the event loop) → admission (`admit.rs`) →
//! rows (`rows.rs`) → answers (`serve_clients.rs`, `search.rs`, `vote.rs`). What clients are told of as it
//! happens is in `event.rs`, `tell.rs` and `journal.rs`.

mod accusation;
mod admit;
mod announce;
mod ask;
mod body;
mod bulk;
mod card_index;
mod cases;
mod checkpoint;
mod closing;
mod config;
mod docket;
mod elsewhere;
mod engine;
mod event;
mod event_id;
mod evidence;
mod expiry;
mod fork;
mod found;
mod frame;
mod gate;
mod grounds;
mod group;
mod group_ask;
mod group_asks;
mod io;
mod journal;
mod keys;
mod lists;
mod masses;
mod pardon;
mod proofs;
mod pruning;
mod publish;
mod quota;
mod reconcile;
mod reputation;
mod restored;
mod retract;
mod rotate;
mod rows;
mod sealed;
mod search;
mod serve_cards;
mod serve_clients;
mod signing;
mod subject;
mod surplus;
mod tell;
mod vote;
mod voted;

pub use accusation::DOUBLE_ACCEPTS_MAX;
pub use althing_card::{Query, QueryError};
pub use althing_group::Role;
pub use althing_trust::{
    AttestationsBody, Contribution, Counts, Factor, Q32, RatingEpoch, Scores, Standing, Unproved,
};
pub use announce::{ANNOUNCED_MAX, BURST_MAX, PLACING_MAX, PROVIDED_MAX};
pub use ask::*;
pub use bulk::{IMPORT_MAX, RecordPage, Taken, live_records};
pub use checkpoint::CHECKPOINTS_MAX;
pub use config::{AGENTS_MAX, Config, GuardStatus, HostedAgent, Timing};
pub use engine::{Engine, NODE, PEERS_MAX};
pub use event::{CardNews, EVENT_TEXT_BYTES_MAX, Event, EventKind};
pub use event_id::{EventId, EventIdError, Start};
pub use found::{Explain, Find, Found, FoundAgent, MAX_FOUND, PageAsked, PeerAsked, PeerOutcome, Reached};
pub use frame::{
    FrameError, RECORDS_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, ROWS_ASKED_MAX, Request, Response,
    SCORES_ASKED_MAX,
};
pub use gate::Gate;
pub use group_ask::{ForkSettled, Group, GroupAsk, GroupInvite, GroupMember};
pub use group_asks::GROUPS_MAX;
pub use io::{
    AskNo, Deadline, Effect, Input, JobNo, Key, LookupEnd, MessageNo, Note, Now, Output, QueryNo, ReplyNo,
    RequestNo, Source,
};
pub use journal::{
    EVENTS_PAGE_MAX, EventsFrom, EventsPage, JOURNAL_EVENTS_MAX, JournalEvent, Lost, NEWEST_ROWS_MAX,
};
pub use lists::{DOCKETS_MAX, VOTES_MAX};
pub use proofs::{
    CheckedRow, PROOF_TRIES_MAX, PROOFS_RUNNING_MAX, PROOFS_WAITING_MAX, ProofCheck, ReceiptsDemanded,
};
pub use quota::{
    ATTESTATION_BURST, AUTHOR_BURST, AUTHOR_PERIOD_MS, AUTHORS_MAX, EVIDENCE_BURST, EVIDENCE_PERIOD_MS,
    PROPOSAL_BURST, PROPOSAL_PERIOD_MS,
};
pub use reconcile::{ROUNDS_MAX, UNWANTED_MAX, WANTED_MAX};
pub use reputation::{RELATIONS_MAX, ScoreJob, ScoreTable, is_attested};
pub use restored::{joined_by_restored_key, recovery_key_hash_of, restored};
pub use rotate::{Rotate, Rotated, identity_records};
pub use sealed::{SealedTerms, Trustee};
pub use search::{
    AGENT_PROVIDERS_MAX, AGENTS_FOUND_MAX, EXPLAINED_MAX, LOOKUPS_MAX, PAGES_MAX, PROVIDERS_MAX,
    READINGS_MAX, REQUESTS_MAX, SEARCHES_MAX, SPREAD_PEERS_MAX, TERMS_REMEMBERED_MAX,
};
pub use surplus::{
    FAR_BURST, FAR_PERIOD_MS, KEYS_BURST, KEYS_PERIOD_MS, ROUNDS_FREE, SURPLUS_BURST, SURPLUS_PERIOD_MS,
};
