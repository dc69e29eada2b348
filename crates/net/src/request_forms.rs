/// One request as the versions of the engine protocol write it. Which of them the peer gets is known only when the stream
/// is open and both have agreed on a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestForms {
    /// In the newest version.
    pub newest: Vec<u8>,
    /// In the version before; none if that has no such request.
    pub before: Option<Vec<u8>>,
}

/// A request that every version writes alike.
impl From<Vec<u8>> for RequestForms {
    fn from(bytes: Vec<u8>) -> Self {
        Self { before: Some(bytes.clone()), newest: bytes }
    }
}

impl RequestForms {
    /// The size of the longest form.
    pub(crate) fn size_max(&self) -> usize {
        self.newest.len().max(self.before.as_ref().map_or(0, Vec::len))
    }

    /// What it takes to keep it.
    pub(crate) fn weight(&self) -> usize {
        self.newest.len() + self.before.as_ref().map_or(0, Vec::len)
    }
}
