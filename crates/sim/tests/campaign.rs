//! Random lives of small networks. `ALTHING_SIM_SEEDS=N` sets how many, `ALTHING_SIM_SEED=S` runs exactly one.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_sim::campaign;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

fn play(seed: u64) -> campaign::Report {
    let played = std::panic::catch_unwind(|| campaign::run(seed));
    played.unwrap_or_else(|cause| {
        eprintln!("\nfailing seed: {seed}\nto run it again: ALTHING_SIM_SEED={seed} cargo nextest run -p althing-sim random_lives\n");
        std::panic::resume_unwind(cause)
    })
}

#[test]
fn random_lives_keep_every_promise() {
    let seeds = match number("ALTHING_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ALTHING_SIM_SEEDS").unwrap_or(50),
    };
    let (mut proposals, mut cast, mut crashes, mut certified) = (0, 0, 0, 0);
    for seed in seeds.clone() {
        let report = play(seed);
        proposals += report.proposals;
        cast += report.cast;
        crashes += report.crashes;
        certified += report.sim.certified().len();
    }
    println!(
        "{} seeds: {proposals} proposals, {cast} ballots acknowledged, {crashes} crashes, {certified} certified",
        seeds.count()
    );
    assert!(number("ALTHING_SIM_SEED").is_some() || (certified > 0 && crashes > 0 && cast > 0));
}

#[test]
fn one_seed_gives_one_run() {
    let first = play(3).sim.trace();
    assert_eq!(first, play(3).sim.trace());
    assert_ne!(first, play(4).sim.trace());
}
