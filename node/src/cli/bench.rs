use std::io::Write;

use althing_testnet::TestnetError;
use futures::FutureExt;

use super::args;
use super::failure::{Exit, Failure};
use super::page::{Page, Text, clean, note};
use super::testnet::this_program;
use crate::bench::{BenchError, Benchmark, Plan, Results, bench as measure, serve_agent};

/// Measures and prints a table.
pub(crate) async fn bench(args: args::Bench) -> Result<Page, Failure> {
    let benchmarks = if args.benchmarks.is_empty() { Benchmark::ALL.to_vec() } else { args.benchmarks };
    let plan = Plan {
        program: this_program()?,
        benchmarks,
        runs: args.runs.into(),
        nodes: args.nodes.into(),
        streams: args.streams.into(),
        mib: args.mib.into(),
    };
    if cfg!(debug_assertions) {
        note("warning: this is a debug build; its figures say nothing about a release build");
    }
    let results = measure(&plan, &mut |line| note(&clean(&line))).await?;
    let text = table(&results);
    Page::new(&results, text)
}

/// Serves the agent that `bench call` calls, for as long as that runs.
pub(crate) async fn agent() -> Result<Page, Failure> {
    let ready = |address| writeln!(std::io::stdout(), "{address}");
    let (ends, ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        // Whatever comes, it is for nobody.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(ends);
    });
    serve_agent(ended.map(|_| ()), ready).await.map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(Page::nothing())
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Testnet(error @ TestnetError::Interrupted) => error.into(),
            BenchError::Testnet(_) | BenchError::Client { .. } | BenchError::Unexpected(_) => {
                Self::new(Exit::Failed, error)
            }
        }
    }
}

fn table(results: &Results) -> Text {
    let machine = &results.machine;
    let mut text = Text::default();
    text.pairs(&[
        ("althing", format!("{} ({})", results.version, if results.optimized { "release" } else { "debug" })),
        ("cpu", format!("{}, {} threads", machine.cpu, machine.cores)),
        ("memory", format!("{} MiB", machine.memory_mib)),
        ("kernel", machine.kernel.clone()),
        ("disk", machine.file_system.clone()),
        ("runs", results.runs.to_string()),
    ]);
    text.line("");
    let rows: Vec<Vec<String>> = results
        .figures
        .iter()
        .map(|figure| {
            vec![
                format!("{:?}", figure.benchmark).to_lowercase(),
                figure.name.clone(),
                number(figure.median),
                format!("{} – {}", number(figure.min), number(figure.max)),
                figure.unit.to_owned(),
                figure.samples.to_string(),
            ]
        })
        .collect();
    text.table(&["BENCHMARK", "FIGURE", "MEDIAN", "SPREAD", "UNIT", "SAMPLES A RUN"], &rows);
    text
}

/// Three significant digits are more than the machine gives.
fn number(number: f64) -> String {
    match number.abs() {
        large if large >= 100.0 => format!("{number:.0}"),
        middle if middle >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
