use std::fmt;
use std::sync::Arc;

use althing_record::Digest;
use sha2::{Digest as _, Sha256};

/// Longest value in bytes.
pub const VALUE_BYTES_MAX: usize = 256 * 1_024;

/// What is agreed on: bytes that this crate does not read. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    id: Digest,
    bytes: Arc<[u8]>,
}

/// A value is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("value has {found} bytes, at most {VALUE_BYTES_MAX} are allowed")]
pub struct ValueTooLong {
    /// How long it is.
    pub found: usize,
}

impl Value {
    /// Takes the bytes.
    ///
    /// # Errors
    /// When there are more than [`VALUE_BYTES_MAX`].
    pub fn new(bytes: &[u8]) -> Result<Self, ValueTooLong> {
        if bytes.len() > VALUE_BYTES_MAX {
            return Err(ValueTooLong { found: bytes.len() });
        }
        Ok(Self { id: Digest(Sha256::digest(bytes).into()), bytes: bytes.into() })
    }

    /// SHA-256 of the bytes: what votes name.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.id
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({}, {} bytes)", self.id.short(), self.bytes.len())
    }
}
