//! Deterministic CBOR (RFC 8949, section 4.2.1), the subset that records use: unsigned and negative integers, byte and
//! text strings, arrays, and maps with integer keys. No floats, tags, simple values or indefinite lengths.
//!
//! There is one encoding for each value, so [`from_slice`] accepts bytes only if encoding the decoded value gives them
//! back. Headers are read and written by `ciborium-ll`; this module adds the strictness and the bounds.

mod bounded;
mod map;
mod reader;
mod scan;
mod writer;

pub use bounded::{Blob, List, Text, TooLong};
pub use reader::{Entries, Reader};
pub use scan::{Limits, scan, scan_sequence};
pub use writer::Writer;

/// The first map key of a body that an older node may meet without fault: unknown keys from here on mean "newer than
/// me, ignore", unknown keys below mean "wrong".
pub const FIRST_OPTIONAL_KEY: i64 = 128;

/// The same boundary for protected-header labels: unknown labels from here down are ignored.
pub const FIRST_OPTIONAL_LABEL: i64 = -70_128;

/// A value with one deterministic encoding.
pub trait Encode {
    /// Appends the value.
    fn encode(&self, to: &mut Writer);

    /// Whether the value takes part in a map at all; `None` does not.
    fn is_present(&self) -> bool {
        true
    }
}

/// A value that can be read back.
pub trait Decode: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// When the bytes are not such a value.
    fn decode(from: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The value that an absent map entry stands for, if absence is allowed.
    fn absent() -> Option<Self> {
        None
    }
}

/// Why bytes were not accepted. Offsets count from the start of the decoded slice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside an item.
    #[error("ends early at byte {at}")]
    Truncated {
        /// Where.
        at: usize,
    },
    /// There are bytes after the item.
    #[error("trailing bytes after byte {at}")]
    Trailing {
        /// Where the item ended.
        at: usize,
    },
    /// An integer or a length is longer than it needs to be.
    #[error("non-minimal integer or length at byte {at}")]
    NonMinimal {
        /// Where.
        at: usize,
    },
    /// A float, tag, simple value, indefinite length or reserved byte.
    #[error("{what} at byte {at} is not used in records")]
    Forbidden {
        /// What it was.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// Map keys are not integers in ascending order of their encodings, or one occurs twice.
    #[error("map keys not unique, ascending integers at byte {at}")]
    KeyOrder {
        /// Where.
        at: usize,
    },
    /// Arrays and maps are nested too deeply.
    #[error("nested deeper than {max} at byte {at}")]
    TooDeep {
        /// The bound.
        max: usize,
        /// Where.
        at: usize,
    },
    /// There are too many items.
    #[error("more than {max} items at byte {at}")]
    TooManyItems {
        /// The bound.
        max: usize,
        /// Where.
        at: usize,
    },
    /// A text string is not UTF-8.
    #[error("text at byte {at} is not UTF-8")]
    NotUtf8 {
        /// Where.
        at: usize,
    },
    /// An item of another type.
    #[error("expected {expected} at byte {at}, found {found}")]
    Type {
        /// What should stand there.
        expected: &'static str,
        /// What does.
        found: &'static str,
        /// Where.
        at: usize,
    },
    /// A value outside its bounds.
    #[error("{what} is out of bounds: {value}, expected {expected}")]
    OutOfBounds {
        /// Which value.
        what: &'static str,
        /// What it was.
        value: u64,
        /// What it may be.
        expected: String,
    },
    /// A required map entry is absent.
    #[error("entry {key} ({name}) is missing in {of}")]
    Missing {
        /// The map.
        of: &'static str,
        /// The entry's key.
        key: i64,
        /// The entry's name.
        name: &'static str,
    },
    /// A map entry that this version does not have, and that may not be skipped.
    #[error("unknown entry {key} in {of}")]
    UnknownKey {
        /// The map.
        of: &'static str,
        /// The entry's key.
        key: i64,
    },
    /// The bytes follow a version that this node does not know yet.
    #[error("{of} is newer than this node understands ({what} {value})")]
    Newer {
        /// Which map or value.
        of: &'static str,
        /// What is newer.
        what: &'static str,
        /// The version or key.
        value: u64,
    },
    /// The bytes decode, but are not the encoding of what they decode to.
    #[error("not the deterministic encoding of its value")]
    NotDeterministic,
    /// The value contradicts itself.
    #[error("{0}")]
    Invalid(String),
}

impl DecodeError {
    /// Whether the bytes may be right for a newer node: then they are ignored, and nobody is at fault.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Newer { .. })
    }
}

/// The room that an encoding has from the beginning: most statements fit.
const USUAL_BYTES: usize = 256;

/// The deterministic encoding of a value.
#[must_use]
pub fn to_vec<T: Encode + ?Sized>(value: &T) -> Vec<u8> {
    to_vec_of(value, USUAL_BYTES)
}

fn to_vec_of<T: Encode + ?Sized>(value: &T, bytes: usize) -> Vec<u8> {
    let mut writer = Writer::with_capacity(bytes);
    value.encode(&mut writer);
    writer.into_bytes()
}

/// Decodes exactly one value from all of `bytes`, after a scan that knows nothing of its type.
///
/// # Errors
/// When the bytes are not the deterministic encoding of such a value within `limits`.
pub fn from_slice<T: Encode + Decode>(bytes: &[u8], limits: Limits) -> Result<T, DecodeError> {
    scan(bytes, limits)?;
    let mut reader = Reader::new(bytes);
    let value = T::decode(&mut reader)?;
    reader.end()?;
    if to_vec_of(&value, bytes.len()) == bytes { Ok(value) } else { Err(DecodeError::NotDeterministic) }
}

#[cfg(test)]
mod tests;
