use clap::Args;

use crate::bench::Benchmark;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing bench
  althing bench vote --runs 10
  althing bench find --nodes 20 --json > figures.json

Every figure has one number a run; shown are the median of the runs and the smallest and largest. Close other programs:
the figures are of the whole machine.")]
pub(crate) struct Bench {
    /// What to measure [default: all]
    #[arg(value_enum)]
    pub(crate) benchmarks: Vec<Benchmark>,
    /// How often each
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) runs: u16,
    /// How many nodes the network of `find` has
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(2..=60))]
    pub(crate) nodes: u16,
    /// How many streams of events `call` keeps open
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=16_000))]
    pub(crate) streams: u16,
    /// How long the long bodies of `call` are, in MiB
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) mib: u16,
}
