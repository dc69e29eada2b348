//! What a large ledger costs on one core: `cargo run --release -p althing-trust --example ledger`.
//!
//! Times are of the processor. A million rows over 100,000 agents: each rates ten others, in one of thirty rating epochs;
//! then every tenth of them again in each of 24 more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use althing_record::{AgentId, RecordId};
use althing_trust::{Counts, Ledger, Params, Rating, RatingEpoch};

const AGENTS: u64 = 100_000;
const ROWS_EACH: u64 = 10;
const EPOCHS: u64 = 30;
const ANCHORS: u64 = 10;

/// A small generator: the figures are of the same ledger each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn id(number: u64) -> [u8; 32] {
    // As random as a key, so that ids do not come in order.
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    id
}

fn rows(draw: &mut Draw) -> Vec<Rating> {
    let row = |_| {
        let count = 1 + draw.below(20);
        let is_good = draw.below(100) < 80;
        let ok = if is_good { count - draw.below(20) / 19 } else { draw.below(count + 1) };
        let counts = Counts::new(count, ok, ok * 90, ok).expect("counts in bounds");
        Rating { target: AgentId(id(draw.below(AGENTS))), counts }
    };
    (0..ROWS_EACH).map(row).collect()
}

/// How long this thread has run on a processor: what others do at the same time is not in it. Where the system does not
/// say (it is Linux that does), the time since `began`.
fn spent(began: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok());
    spent.map_or_else(|| began.elapsed(), Duration::from_nanos)
}

#[expect(clippy::disallowed_methods, reason = "an example that measures")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let before = spent(began);
    let result = work();
    (result, spent(began).saturating_sub(before))
}

fn main() {
    let mut draw = Draw(7);
    let attested: Vec<_> = (0..AGENTS).map(|rater| (rater, draw.below(EPOCHS), rows(&mut draw))).collect();
    let anchors: BTreeSet<_> = (0..ANCHORS).map(|anchor| AgentId(id(anchor))).collect();
    let params = Params { anchors, slash: BTreeMap::new() };
    let mut ledger = Ledger::default();
    let apply = |ledger: &mut Ledger, (rater, epoch, rows): &(u64, u64, Vec<Rating>), round: u64| {
        let record = RecordId(id(round * AGENTS + rater));
        assert!(ledger.apply(record, AgentId(id(*rater)), RatingEpoch(*epoch), rows));
    };
    let ((), took) = timed(|| attested.iter().for_each(|one| apply(&mut ledger, one, 0)));
    let rows = AGENTS * ROWS_EACH;
    println!("rows applied              {:>9.0} a second", rows as f64 / took.as_secs_f64());
    println!("relations                 {:>9}", ledger.relations());

    let (scores, took) = timed(|| ledger.view(RatingEpoch(EPOCHS)).scores(&params).expect("anchors"));
    println!("first scores, all fresh   {:>9.0} ms", took.as_secs_f64() * 1e3);
    let weighty = scores.iter().filter(|(_, standing)| standing.weight.0 > 0).count();
    println!("agents that count         {weighty:>9} of {}", scores.iter().len());

    let mut epochs = Vec::new();
    for epoch in EPOCHS + 1..EPOCHS + 25 {
        let again = attested.iter().skip(epoch as usize).step_by(10);
        let again: Vec<_> = again.map(|(rater, _, rows)| (*rater, epoch, rows.clone())).collect();
        again.iter().for_each(|one| apply(&mut ledger, one, epoch));
        let (view, opinions) = timed(|| ledger.view(RatingEpoch(epoch)));
        let (_, scores) = timed(|| view.scores(&params).expect("anchors"));
        epochs.push((opinions + scores, opinions));
    }
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    let last = epochs[epochs.len() - 1];
    println!("the last of 24 epochs     {:>9.0} ms, {:.0} of them for opinions", ms(last.0), ms(last.1));
    epochs.sort_unstable();
    let (least, middle, most) = (epochs[0].0, epochs[epochs.len() / 2].0, epochs[epochs.len() - 1].0);
    println!("next rating epoch         {:>9.0} ms, from {:.0} to {:.0}", ms(middle), ms(least), ms(most));
    let (root, took) = timed(|| scores.root());
    println!("root over all scores      {:>9.0} ms: {}", took.as_secs_f64() * 1e3, root);
}
