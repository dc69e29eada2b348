use althing_record::AgentId;
use clap::Args;

/// Whether ballots are sealed, and who opens them.
#[derive(Debug, Args)]
pub(crate) struct Sealed {
    /// Seal the ballots: nobody sees a tally before the trustees open them, after the vote is closed
    #[arg(long, requires = "trustees")]
    pub(crate) sealed: bool,
    /// Whose nodes open sealed ballots, at most 16
    #[arg(long, value_name = "DID,DID,…", value_delimiter = ',', requires = "sealed")]
    pub(crate) trustees: Vec<AgentId>,
    /// How many trustees open a ballot: of n, f + 1 to n - f with f = (n - 1)/3 rounded down [default: f + 1]
    #[arg(long, value_name = "N", requires = "sealed")]
    pub(crate) trustee_threshold: Option<u64>,
}
