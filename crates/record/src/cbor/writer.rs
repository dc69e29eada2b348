use ciborium_ll::{Encoder, Header};

use super::Encode;

/// Appends deterministic CBOR to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A writer with room for so many bytes, and more when they come.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends an unsigned integer.
    pub fn uint(&mut self, value: u64) {
        self.header(Header::Positive(value));
    }

    /// Appends an integer.
    pub fn int(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.uint(value),
            Err(_) => self.header(Header::Negative(!value as u64)),
        }
    }

    /// Appends a byte string.
    pub fn bytes(&mut self, value: &[u8]) {
        self.header(Header::Bytes(Some(value.len())));
        self.bytes.extend_from_slice(value);
    }

    /// Appends a text string.
    pub fn text(&mut self, value: &str) {
        self.header(Header::Text(Some(value.len())));
        self.bytes.extend_from_slice(value.as_bytes());
    }

    /// Begins an array of `len` items; the caller appends them.
    pub fn array(&mut self, len: usize) {
        self.header(Header::Array(Some(len)));
    }

    /// Begins a map of `len` entries; the caller appends keys, in ascending order of their encodings, and values.
    pub fn map(&mut self, len: usize) {
        self.header(Header::Map(Some(len)));
    }

    /// Appends one entry of a map, unless its value is absent.
    pub fn entry(&mut self, key: i64, value: &impl Encode) {
        if value.is_present() {
            self.int(key);
            value.encode(self);
        }
    }

    /// Appends bytes that are deterministic CBOR already.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.bytes.extend_from_slice(encoded);
    }

    fn header(&mut self, header: Header) {
        // Writing to a Vec cannot fail.
        let _ = Encoder::from(&mut self.bytes).push(header);
    }
}
