//! Benchmarks on real processes: what a user waits for, and what a node costs.
//!
//! Each benchmark is run several times. A figure has one number a run (a percentile of that run's samples, or a rate),
//! and is reported as the median of the runs with the smallest and largest beside it.

mod call;
mod cards;
mod docket;
mod figure;
mod find;
mod index;
mod lab;
mod machine;
mod node;
mod publish;
mod store;
mod vote;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use althing_gateway::ClientError;
use althing_testnet::TestnetError;
use serde::Serialize;

pub(crate) use self::call::origin::serve as serve_agent;
pub(crate) use self::figure::Figure;
use self::lab::Lab;
pub(crate) use self::machine::Machine;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Benchmark {
    /// A late joiner searches the network for agents
    Find,
    /// A card is published, until it is stored and until every node has it
    Publish,
    /// Five agents decide, from the proposal to the certificate, synced writes included
    Vote,
    /// Many questions, answered and decided at once.
    Docket,
    /// The database alone: synced commits and reads
    Store,
    /// Queries to the local index of 10,000 cards
    Index,
    /// Calls through two nodes beside direct ones: time, rate, long bodies, idle streams
    Call,
    /// A node: its start, its memory, and what a connection and a stored card add
    Node,
}

impl Benchmark {
    /// All, in the order in which they are run.
    pub(crate) const ALL: [Self; 8] = [
        Self::Find,
        Self::Publish,
        Self::Vote,
        Self::Docket,
        Self::Store,
        Self::Index,
        Self::Call,
        Self::Node,
    ];
}

/// What to measure, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The `althing` binary that nodes run.
    pub(crate) program: PathBuf,
    /// Which.
    pub(crate) benchmarks: Vec<Benchmark>,
    /// How often each.
    pub(crate) runs: usize,
    /// How many nodes the network of `find` has.
    pub(crate) nodes: usize,
    /// How many streams of events `call` keeps open.
    pub(crate) streams: usize,
    /// How long its long bodies are.
    pub(crate) mib: usize,
}

/// What was measured, and on what.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Results {
    /// Always `althing.bench/v1`.
    pub(crate) schema: &'static str,
    /// The version of althing.
    pub(crate) version: &'static str,
    /// Whether it was built for speed; other figures mean nothing.
    pub(crate) optimized: bool,
    /// The machine.
    pub(crate) machine: Machine,
    /// How often each was run.
    pub(crate) runs: usize,
    /// The figures.
    pub(crate) figures: Vec<Figure>,
    /// How long all of it took.
    pub(crate) took_ms: u64,
}

/// Why a benchmark stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A node of the network.
    #[error(transparent)]
    Testnet(#[from] TestnetError),
    /// A node's answer.
    #[error("{what}: {error}")]
    Client {
        /// What was asked.
        what: &'static str,
        /// Why not.
        error: ClientError,
    },
    /// It was not as it should be, so its time means nothing.
    #[error("{0}")]
    Unexpected(String),
}

impl BenchError {
    fn client(what: &'static str) -> impl Fn(ClientError) -> Self {
        move |error| Self::Client { what, error }
    }

    fn unexpected(cause: &impl ToString) -> Self {
        Self::Unexpected(cause.to_string())
    }
}

/// Measures. `say` hears what is being done.
///
/// # Errors
/// When something that is measured does not work.
pub(crate) async fn bench(plan: &Plan, say: &mut dyn FnMut(String)) -> Result<Results, BenchError> {
    let start = Instant::now();
    let lab = Lab::new(plan)?;
    let mut figures = Vec::new();
    for benchmark in &plan.benchmarks {
        figures.extend(match benchmark {
            Benchmark::Find => find::find(&lab, say).await?,
            Benchmark::Publish => publish::publish(&lab, say).await?,
            Benchmark::Vote => vote::vote(&lab, say).await?,
            Benchmark::Docket => docket::docket(&lab, say).await?,
            Benchmark::Store => store::store(&lab, say).await?,
            Benchmark::Index => index::queries(&lab, say).await?,
            Benchmark::Call => call::call(&lab, say).await?,
            Benchmark::Node => node::node(&lab, say).await?,
        });
    }
    Ok(Results {
        schema: "althing.bench/v1",
        version: env!("CARGO_PKG_VERSION"),
        optimized: !cfg!(debug_assertions),
        machine: Machine::this(lab.dir()),
        runs: plan.runs,
        figures,
        took_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// A time in milliseconds.
fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
