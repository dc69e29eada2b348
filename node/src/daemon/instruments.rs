use std::sync::atomic::AtomicU64;
use std::time::Duration;

use althing_engine::Note;
use althing_record::{Kind, Verdict};
use althing_store::CommitNo;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// The queues that drop what finds them full.
const DROPPING: [&str; 6] = ["request", "response", "verdict", "publish", "provide", "lookup"];

/// What attacks on reputation are refused for.
const REFUSALS: [&str; 8] =
    ["forged", "replayed", "self_call", "future", "merkle_path", "epoch", "quality", "no_accept"];

/// The node's own metrics. No label carries a peer, an agent or a record.
pub(super) struct Instruments {
    records: Family<RecordLabels, Counter>,
    invalid: Family<CauseLabels, Counter>,
    gossip: Family<VerdictLabels, Counter>,
    sync_rounds: Family<SyncLabels, Counter>,
    sync_records: Counter,
    commits: Histogram,
    commit_failures: Counter,
    durable: Gauge<u64, AtomicU64>,
    decided: Counter,
    not_closed: Counter,
    misbehaviour: Counter,
    refused: Family<CauseLabels, Counter>,
    pruned: Counter,
    signing_stopped: Gauge,
    clock_offset: Gauge<f64, AtomicU64>,
    queues: Family<QueueLabels, Gauge>,
    dropped: Family<QueueLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordLabels {
    kind: String,
    source: &'static str,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SyncLabels {
    domain: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    queue: &'static str,
}

impl Instruments {
    /// Registers every metric.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let own = Self {
            records: Family::default(),
            invalid: Family::default(),
            gossip: Family::default(),
            sync_rounds: Family::default(),
            sync_records: Counter::default(),
            commits: Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
            commit_failures: Counter::default(),
            durable: Gauge::default(),
            decided: Counter::default(),
            not_closed: Counter::default(),
            misbehaviour: Counter::default(),
            refused: Family::default(),
            pruned: Counter::default(),
            signing_stopped: Gauge::default(),
            clock_offset: Gauge::default(),
            queues: Family::default(),
            dropped: Family::default(),
        };
        // What has not happened is 0, not absent.
        for queue in DROPPING {
            own.dropped.get_or_create(&QueueLabels { queue }).inc_by(0);
        }
        for cause in REFUSALS {
            own.refused.get_or_create(&CauseLabels { cause }).inc_by(0);
        }
        let registry = registry.sub_registry_with_prefix("althing");
        registry.register("records", "Verified records offered to the store", own.records.clone());
        registry.register(
            "invalid_messages",
            "Messages refused before the engine saw them",
            own.invalid.clone(),
        );
        registry.register("gossip_verdicts", "Verdicts on verified gossip messages", own.gossip.clone());
        registry.register("sync_rounds", "Rounds of set reconciliation", own.sync_rounds.clone());
        registry.register("sync_records", "Records that reconciliation brought", own.sync_records.clone());
        registry.register_with_unit(
            "commit_duration",
            "From submitting a commit to its being durable",
            Unit::Seconds,
            own.commits.clone(),
        );
        registry.register(
            "commit_failures",
            "Commits that could not be written",
            own.commit_failures.clone(),
        );
        registry.register("commit_number", "The last durable commit", own.durable.clone());
        registry.register("votes_decided", "Proposals that got an outcome", own.decided.clone());
        registry.register(
            "closings_put_off",
            "Times that an agent here could not say its part in closing a vote, and will try again",
            own.not_closed.clone(),
        );
        registry.register("misbehaviour_proofs", "Proofs of misbehaviour found", own.misbehaviour.clone());
        registry.register(
            "ratings_refused",
            "Receipts, attestations and evidence about Accepts that were refused",
            own.refused.clone(),
        );
        registry.register(
            "ratings_pruned",
            "Attestations that were dropped because they count nothing any more",
            own.pruned.clone(),
        );
        registry.register("signing_stopped", "1 while this node signs no votes", own.signing_stopped.clone());
        registry.register_with_unit(
            "clock_offset",
            "Median of the peers' clocks minus this one's",
            Unit::Seconds,
            own.clock_offset.clone(),
        );
        registry.register("queue_depth", "Entries that wait in a queue", own.queues.clone());
        registry.register("queue_drops", "Entries that found a queue full", own.dropped.clone());
        own
    }

    pub(super) fn invalid(&self, cause: &'static str) {
        self.invalid.get_or_create(&CauseLabels { cause }).inc();
    }

    pub(super) fn gossip(&self, verdict: Verdict) {
        self.gossip.get_or_create(&VerdictLabels { verdict: verdict_name(verdict) }).inc();
    }

    pub(super) fn dropped(&self, queue: &'static str) {
        self.dropped.get_or_create(&QueueLabels { queue }).inc();
    }

    pub(super) fn queues(&self, depths: [(&'static str, usize); 5]) {
        for (queue, depth) in depths {
            self.queues.get_or_create(&QueueLabels { queue }).set(i64::try_from(depth).unwrap_or(i64::MAX));
        }
    }

    pub(super) fn committed(&self, latency: Duration) {
        self.commits.observe(latency.as_secs_f64());
    }

    pub(super) fn commit_failed(&self) {
        self.commit_failures.inc();
    }

    pub(super) fn durable(&self, no: CommitNo) {
        self.durable.set(no.0);
    }

    pub(super) fn note(&self, note: &Note) {
        match note {
            Note::Admitted { kind, source } => self.record(*kind, source.name(), Verdict::Accept),
            Note::NotAdmitted { kind, source, verdict, .. } => {
                self.record(*kind, source.name(), *verdict);
            }
            Note::Synced { domain, admitted, .. } => {
                self.sync_rounds
                    .get_or_create(&SyncLabels { domain: domain.name(), outcome: "finished" })
                    .inc();
                self.sync_records.inc_by(*admitted);
            }
            Note::SyncFailed { domain, .. } => {
                self.sync_rounds
                    .get_or_create(&SyncLabels { domain: domain.name(), outcome: "failed" })
                    .inc();
            }
            Note::Decided { .. } => {
                self.decided.inc();
            }
            Note::Misbehaviour { .. } => {
                self.misbehaviour.inc();
            }
            Note::RatingRefused { reason } => {
                self.refused.get_or_create(&CauseLabels { cause: reason }).inc();
            }
            Note::RatingsPruned { records, .. } => {
                self.pruned.inc_by(*records);
            }
            Note::SigningStopped { .. } => {
                self.signing_stopped.set(1);
            }
            Note::NotClosed { .. } => {
                self.not_closed.inc();
            }
            Note::CheckpointDoubted { .. } | Note::ServedElsewhere { .. } | Note::DiskFull { .. } => {}
            Note::ScoreRefused { .. } => self.invalid("score"),
            Note::Clock { offset_ms, .. } => {
                #[expect(clippy::cast_precision_loss, reason = "a clock offset in seconds, for a graph")]
                self.clock_offset.set(*offset_ms as f64 / 1_000.0);
            }
        }
    }

    fn record(&self, kind: Kind, source: &'static str, verdict: Verdict) {
        let labels = RecordLabels { kind: snake_case(kind.name()), source, verdict: verdict_name(verdict) };
        self.records.get_or_create(&labels).inc();
    }
}

/// `BallotBatch` as `ballot_batch`: label values are in the same case as names.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 2);
    for char in name.chars() {
        if char.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Ignore => "ignore",
        Verdict::Reject => "reject",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_closing_that_is_put_off_is_counted_and_none_is_zero() {
        let mut registry = Registry::default();
        let own = Instruments::register(&mut registry);
        let shown = |registry: &Registry| {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
            text.lines().find(|line| line.starts_with("althing_closings_put_off_total")).map(str::to_owned)
        };
        assert_eq!(shown(&registry).as_deref(), Some("althing_closings_put_off_total 0"));
        for cause in ["the guard cannot be read", "the disk is full"] {
            own.note(&Note::NotClosed { cause: cause.to_owned() });
        }
        assert_eq!(shown(&registry).as_deref(), Some("althing_closings_put_off_total 2"));
    }

    #[test]
    fn what_is_refused_is_counted_by_name_and_0_before() {
        let mut registry = Registry::default();
        let instruments = Instruments::register(&mut registry);
        let counted = |registry: &Registry, cause: &str| {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
            let name = format!("althing_ratings_refused_total{{cause=\"{cause}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&name)).map(|count| count.parse::<u64>().unwrap())
        };
        assert_eq!(REFUSALS.map(|cause| counted(&registry, cause)), [Some(0); REFUSALS.len()]);
        for cause in REFUSALS {
            instruments.note(&Note::RatingRefused { reason: cause });
            instruments.note(&Note::RatingRefused { reason: cause });
        }
        assert_eq!(REFUSALS.map(|cause| counted(&registry, cause)), [Some(2); REFUSALS.len()]);
    }
}
