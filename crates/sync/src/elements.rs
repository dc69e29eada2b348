use althing_record::{Millis, RecordId};
use negentropy::{Id, NegentropyStorageBase, NegentropyStorageVector};

/// A set of (made, id), frozen for reconciliation.
#[derive(Debug)]
pub struct Elements(pub(crate) NegentropyStorageVector);

impl Elements {
    /// Freezes a set; order and repetitions do not matter.
    pub fn new(elements: impl IntoIterator<Item = (Millis, RecordId)>) -> Self {
        let mut storage = NegentropyStorageVector::new();
        for (made, id) in elements {
            // The only errors are about inserting after sealing and sealing twice. The last timestamp is reserved.
            let _ = storage.insert(made.0.min(u64::MAX - 1), Id::from_byte_array(id.0));
        }
        let _ = storage.seal();
        Self(storage)
    }

    /// When the earliest was made.
    #[must_use]
    pub fn first(&self) -> Option<Millis> {
        let first = NegentropyStorageBase::get_item(&self.0, 0).ok().flatten();
        first.map(|item| Millis(item.timestamp))
    }
}
