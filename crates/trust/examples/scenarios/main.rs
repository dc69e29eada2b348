//! Plays the scenarios of docs/spec/reputation.md and writes docs/reputation/: a table, and a plot for each scenario.
//!
//! `cargo run --release -p althing-trust --example scenarios`. It fails if TrustFlow leaves more bad interactions than its
//! gate allows, or if EigenTrust does not come out where its authors' model puts it: then the simulation is wrong.

mod draw;
mod plot;
mod policy;
mod result;
mod scenario;
mod society;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use result::Cell;
use society::FULL;

const SEEDS: u64 = 3;

fn main() -> ExitCode {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reputation");
    std::fs::create_dir_all(&folder).expect("the folder of the documentation can be made");
    let mut page = include_str!("page.md").to_owned();
    let (mut plots, mut faults) = (String::new(), Vec::new());
    for scenario in scenario::all() {
        let cell = Cell::of(scenario, FULL, SEEDS);
        println!("{}", cell.row());
        writeln!(page, "{}", cell.row()).expect("writing to a string");
        if let Some(name) = cell.scenario.plot {
            std::fs::write(folder.join(format!("{name}.svg")), cell.plot()).expect("the plot can be written");
            writeln!(plots, "\n![{}]({name}.svg)", cell.scenario.title).expect("writing to a string");
        }
        faults.extend(cell.faults());
    }
    page.push_str(&plots);
    std::fs::write(folder.join("scenarios.md"), page).expect("the page can be written");
    for fault in &faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use society::{Means, Size, play};

    const SMALL: Size = Size { peers: 50, cycles: 15, queries: 15, candidates: 10, anchors: 3, measured: 5 };

    #[test]
    fn trustflow_leaves_the_fewest_bad_calls_in_every_scenario() {
        for scenario in scenario::all() {
            let cell = Cell::of(scenario, SMALL, 1);
            let [nothing, eigentrust, trustflow] =
                [&cell.nothing, &cell.eigentrust, &cell.trustflow].map(|runs| cell.mean(runs));
            // One seed and few peers: a gate has some room.
            assert!(trustflow <= cell.scenario.gate + 0.04, "{}", cell.row());
            assert!(trustflow < nothing.min(eigentrust) + 0.02, "{}", cell.row());
        }
    }

    #[test]
    fn a_run_follows_from_its_seed() {
        let scenario = &scenario::all()[3];
        for means in [Means::Nothing, Means::EigenTrust, Means::TrustFlow] {
            let run = |seed| play(scenario, means, Size { cycles: 4, ..SMALL }, seed);
            assert_eq!(run(1), run(1));
            assert_ne!(run(1), run(2));
        }
    }
}
