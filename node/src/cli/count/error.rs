use althing_tally::PileError;

/// What is wrong with a file of ballots, and where.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("line {line}, column \"{column}\": {cause}")]
    Cell { line: u64, column: String, cause: String, hint: String },
    #[error("line {line}: {cause}")]
    Row { line: u64, cause: String, hint: &'static str },
    #[error("line 1: {cause}")]
    Header { cause: String, hint: String },
    #[error("line {line}: {cause}")]
    Pile { line: u64, cause: PileError },
}

impl ReadError {
    /// What to do next.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Cell { hint, .. } | Self::Header { hint, .. } => hint.clone(),
            Self::Row { hint, .. } => (*hint).to_owned(),
            Self::Pile { cause: PileError::Weight, .. } => "are the counts of ballots right?".to_owned(),
            Self::Pile { cause: PileError::Kinds, .. } => {
                "name the first few columns with ballots.ranks in the rules: shorter ballots differ less"
                    .to_owned()
            }
        }
    }
}
