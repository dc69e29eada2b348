use std::time::Instant;

use althing_card::{Card, Query, find, index, serve};
use althing_record::{AgentId, Millis, NodeId};
use althing_rocks::{Opened, Options, Rocks};
use althing_store::{Batch, CommitNo, Memory, Overlay, Snapshot, Table, prefix_end};

use super::cards::CARDS;
use super::figure::Runs;
use super::lab::{Lab, card};
use super::store::durable;
use super::{BenchError, Benchmark, Figure, ms};

/// How often each query is asked in one run.
const SAMPLES: usize = 200;
/// Most agents of one answer.
const LIMIT: usize = 100;

/// What is asked, and how many of [`CARDS`] agents match; the worst that merging lists can meet among it.
const QUERIES: [(&str, &str, u32); 8] = [
    ("one skill", "skill:bench/even/7", CARDS / 200),
    ("skill AND tag", "skill:bench/even AND tag:third", CARDS / 6 + 1),
    ("OR of two skills, all agents", "skill:bench/even OR skill:bench/odd", CARDS),
    ("AND of two halves that share nobody", "skill:bench/even AND skill:bench/odd", 0),
    ("NOT of what nearly all have", "NOT tag:popular", CARDS / 1_000),
    ("attribute that all have", "input:text/plain", CARDS),
    ("two attributes that share nobody", "provider:even AND provider:odd", 0),
    ("beginning of as many names", "name:\"agent *\"", CARDS),
];

/// Queries to the index of as many cards, in RocksDB, without a node around it.
pub(crate) async fn queries(lab: &Lab, say: &mut dyn FnMut(String)) -> Result<Vec<Figure>, BenchError> {
    let mut runs = Runs::new(Benchmark::Index);
    let rows = filled()?;
    for run in 1..=lab.runs {
        say(format!("index: run {run} of {}, {CARDS} cards", lab.runs));
        let dir = lab.dir().join(format!("index-{run}"));
        let opened = Rocks::open(&dir, Options::default()).map_err(|error| BenchError::unexpected(&error))?;
        let Opened { rocks, committer, .. } = opened;
        for (no, batch) in (1..).zip(&rows) {
            let submitted = committer.submit(CommitNo(no), batch.clone()).await;
            submitted.map_err(|error| BenchError::unexpected(&error))?;
        }
        durable(&committer, rows.len() as u64).await?;
        let store = Overlay::new(rocks);
        for (name, query, matching) in QUERIES {
            let query: Query = query.parse().map_err(|error| BenchError::unexpected(&error))?;
            let expected = LIMIT.min(matching as usize);
            let mut samples = Vec::with_capacity(SAMPLES);
            for _ in 0..SAMPLES {
                let start = Instant::now();
                let hits = find(&store, &query, Millis(0), None, LIMIT);
                samples.push(ms(start.elapsed()));
                let hits = hits.map_err(|error| BenchError::unexpected(&error))?;
                if hits.len() != expected {
                    let cause = format!("{query}: expected {expected} agents, found {}", hits.len());
                    return Err(BenchError::Unexpected(cause));
                }
            }
            runs.times(name, samples);
        }
    }
    Ok(runs.figures())
}

/// The index of [`CARDS`] cards, as commits of some rows each, the last one synced.
fn filled() -> Result<Vec<Batch>, BenchError> {
    let made = Memory::default();
    for number in 0..CARDS {
        let half = if number % 2 == 0 { "even" } else { "odd" };
        let json = card(&format!("agent {number}"), &format!("bench/{half}/{}", number / 2 % 100));
        let mut json: serde_json::Value =
            serde_json::from_slice(&json).map_err(|error| BenchError::unexpected(&error))?;
        let mut tags = Vec::new();
        tags.extend((number % 1_000 != 0).then_some("popular"));
        tags.extend((number % 3 == 0).then_some("third"));
        json["skills"][0]["tags"] = tags.into();
        json["provider"] = serde_json::json!({"organization": half});
        let card =
            Card::new(json.to_string().into_bytes()).map_err(|error| BenchError::unexpected(&error))?;
        // Scattered as public keys are.
        let mut id = [0; 32];
        for (place, chunk) in (1_u64..).zip(id.chunks_mut(8)) {
            let word =
                (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(place) | 1);
            chunk.copy_from_slice(&(word ^ word >> 29).to_be_bytes());
        }
        let agent = AgentId(id);
        for is_card in [true, false] {
            let mut batch = Batch::default();
            let done = if is_card {
                index(&made, agent, None, Some((&card, Millis(1))), &mut batch)
            } else {
                serve(&made, agent, NodeId([1; 32]), Millis(1), &mut batch)
            };
            done.map_err(|error| BenchError::unexpected(&error))?;
            made.apply(&batch);
        }
    }
    let (mut batches, mut from) = (Vec::new(), Vec::new());
    loop {
        let rows = made.scan(Table::CardView, &from, &prefix_end(&[]), 1_024);
        let rows = rows.map_err(|error| BenchError::unexpected(&error))?;
        let Some((last, _)) = rows.last() else { break };
        from = [last, &[0][..]].concat();
        let mut batch = Batch::default();
        rows.into_iter().for_each(|(key, row)| batch.put(Table::CardView, key, row));
        batch.require_sync();
        batches.push(batch);
    }
    Ok(batches)
}
