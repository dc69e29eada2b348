use std::fmt;

/// Most faults that are listed of one document.
pub const FAULTS_MAX: usize = 64;

/// One thing that is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The member, such as `skills[2].tags`; empty for the document itself.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a member of a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The document is too long.
    #[error("has {found} bytes, at most {max} are allowed")]
    TooLong {
        /// How long it is.
        found: usize,
        /// How long it may be.
        max: usize,
    },
    /// The document is not JSON, or not all readers would read the same.
    #[error("is not JSON: {0}")]
    NotJson(String),
    /// A required member is not there.
    #[error("is missing")]
    Missing,
    /// A member is there and says nothing.
    #[error("is empty")]
    Empty,
    /// A member is of another type.
    #[error("is {found}, expected {expected}")]
    Type {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A text is not an absolute http or https URL with a host.
    #[error("is not an http or https URL: \"{0}\"")]
    NotAUrl(String),
    /// No interface can be called over HTTP.
    #[error("names no interface that is JSONRPC or HTTP+JSON, of A2A 1.0 or 0.x")]
    NoUsableInterface,
    /// A2A 1.0 does not have the member.
    #[error("is no member of A2A 1.0")]
    Unknown,
    /// A member stands at its default. Some leave it out before they check a signature, and some do not.
    #[error("stands at its default value, which signers and verifiers may drop or keep")]
    Default,
    /// Of several alternatives there is more than one.
    #[error("has more than one of its alternatives")]
    Alternatives,
    /// An integer is too large for the numbers of JSON.
    #[error("is a number that JSON readers may round")]
    Number,
    /// A list is too long.
    #[error("has {found} entries, at most {max} are allowed")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
}

/// All that is wrong with a document, at least one thing; the first [`FAULTS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The only fault.
    #[must_use]
    pub fn one(path: &str, problem: Problem) -> Self {
        Self(vec![Fault { path: path.to_owned(), problem }])
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the document" } else { &self.path };
        write!(f, "{path} {}", self.problem)
    }
}

/// Collects faults while a document is looked through.
#[derive(Debug, Default)]
pub(crate) struct Found(Vec<Fault>);

impl Found {
    pub(crate) fn add(&mut self, path: impl Into<String>, problem: Problem) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(Fault { path: path.into(), problem });
        }
    }

    /// The value, unless something is wrong.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Faults> {
        if self.0.is_empty() { Ok(value) } else { Err(Faults(self.0)) }
    }

    /// What was found so far, if anything.
    pub(crate) fn check(&self) -> Result<(), Faults> {
        if self.0.is_empty() { Ok(()) } else { Err(Faults(self.0.clone())) }
    }
}
