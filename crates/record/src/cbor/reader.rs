use ciborium_ll::{Decoder, Encoder, Error, Header};

use super::{Decode, DecodeError, FIRST_OPTIONAL_KEY, FIRST_OPTIONAL_LABEL};

/// Reads deterministic CBOR from a slice, item by item. Lengths are checked against what is left before anything is
/// allocated.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Checks that everything was read.
    ///
    /// # Errors
    /// When bytes are left.
    pub fn end(&self) -> Result<(), DecodeError> {
        if self.remaining() == 0 { Ok(()) } else { Err(DecodeError::Trailing { at: self.at }) }
    }

    /// Reads an unsigned integer.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        let at = self.at;
        let item = self.item()?;
        let Item::Unsigned(value) = item else { return Err(mismatch("an unsigned integer", item, at)) };
        Ok(value)
    }

    /// Reads an integer.
    ///
    /// # Errors
    /// When something else stands there, or it does not fit.
    pub fn int(&mut self) -> Result<i64, DecodeError> {
        let at = self.at;
        let out = |value| DecodeError::OutOfBounds { what: "integer", value, expected: "64 bits".into() };
        match self.item()? {
            Item::Unsigned(value) => i64::try_from(value).map_err(|_| out(value)),
            Item::Negative(value) => i64::try_from(value).map(|value| !value).map_err(|_| out(value)),
            item @ (Item::Bytes(_) | Item::Text(_) | Item::Array(_) | Item::Map(_)) => {
                Err(mismatch("an integer", item, at))
            }
        }
    }

    /// Reads a byte string.
    ///
    /// # Errors
    /// When something else stands there, or the bytes end early.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let at = self.at;
        let item = self.item()?;
        let Item::Bytes(len) = item else { return Err(mismatch("a byte string", item, at)) };
        self.take(len)
    }

    /// Reads a text string.
    ///
    /// # Errors
    /// When something else stands there, the bytes end early or are not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let at = self.at;
        let item = self.item()?;
        let Item::Text(len) = item else { return Err(mismatch("a text string", item, at)) };
        std::str::from_utf8(self.take(len)?).map_err(|_| DecodeError::NotUtf8 { at })
    }

    /// Reads the start of an array and returns how many items follow.
    ///
    /// # Errors
    /// When something else stands there, or fewer bytes are left than items.
    pub fn array(&mut self) -> Result<usize, DecodeError> {
        let at = self.at;
        let item = self.item()?;
        let Item::Array(len) = item else { return Err(mismatch("an array", item, at)) };
        self.count(len)
    }

    /// Reads the start of an array that has exactly `len` items.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn array_of(&mut self, len: usize) -> Result<(), DecodeError> {
        let found = self.array()?;
        if found == len {
            return Ok(());
        }
        Err(DecodeError::OutOfBounds { what: "array length", value: found as u64, expected: len.to_string() })
    }

    /// Reads the start of a map and returns how many entries follow.
    ///
    /// # Errors
    /// When something else stands there, or fewer bytes are left than entries.
    pub fn map(&mut self) -> Result<usize, DecodeError> {
        let at = self.at;
        let item = self.item()?;
        let Item::Map(len) = item else { return Err(mismatch("a map", item, at)) };
        self.count(len)
    }

    /// Reads the start of a map whose entries are then taken in key order; `of` names it in errors.
    ///
    /// # Errors
    /// When something else stands there.
    pub fn entries(&mut self, of: &'static str) -> Result<Entries<'_, 'a>, DecodeError> {
        let left = self.map()?;
        Ok(Entries { reader: self, of, left, key: None })
    }

    /// Reads the start of the next item. Anything that records do not use is refused here.
    pub(super) fn item(&mut self) -> Result<Item, DecodeError> {
        let at = self.at;
        let mut decoder = Decoder::from(&self.bytes[at..]);
        let header = decoder.pull().map_err(|error| match error {
            Error::Io(_) => DecodeError::Truncated { at: self.bytes.len() },
            Error::Syntax(_) => DecodeError::Forbidden { what: "a reserved byte", at },
        })?;
        let used = decoder.offset();
        let forbidden = |what| Err(DecodeError::Forbidden { what, at });
        let item = match header {
            Header::Positive(value) => Item::Unsigned(value),
            Header::Negative(value) => Item::Negative(value),
            Header::Bytes(Some(len)) => Item::Bytes(len),
            Header::Text(Some(len)) => Item::Text(len),
            Header::Array(Some(len)) => Item::Array(len),
            Header::Map(Some(len)) => Item::Map(len),
            Header::Float(_) => return forbidden("a float"),
            Header::Simple(_) => return forbidden("a simple value"),
            Header::Tag(_) => return forbidden("a tag"),
            Header::Break
            | Header::Bytes(None)
            | Header::Text(None)
            | Header::Array(None)
            | Header::Map(None) => return forbidden("an indefinite length"),
        };
        let mut minimal = [0_u8; 9];
        let mut left = &mut minimal[..];
        let fits = Encoder::from(&mut left).push(header).is_ok();
        if !fits || 9 - left.len() != used {
            return Err(DecodeError::NonMinimal { at });
        }
        self.at += used;
        Ok(item)
    }

    /// Takes `len` raw bytes.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        if len > self.remaining() {
            return Err(DecodeError::Truncated { at: self.bytes.len() });
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    /// Every item takes at least a byte, so a count above what is left is a lie.
    fn count(&self, len: usize) -> Result<usize, DecodeError> {
        if len > self.remaining() { Err(DecodeError::Truncated { at: self.bytes.len() }) } else { Ok(len) }
    }
}

/// The entries of a map, taken one by one in key order.
#[derive(Debug)]
pub struct Entries<'r, 'a> {
    reader: &'r mut Reader<'a>,
    of: &'static str,
    left: usize,
    /// The key of the next entry, once read.
    key: Option<i64>,
}

impl Entries<'_, '_> {
    /// Takes the entry `key`, which `name` names in errors.
    ///
    /// # Errors
    /// When it is not next and may not be absent, or does not decode.
    pub fn take<T: Decode>(&mut self, key: i64, name: &'static str) -> Result<T, DecodeError> {
        if self.peek()? == Some(key) {
            self.key = None;
            self.left -= 1;
            return T::decode(self.reader);
        }
        T::absent().ok_or(DecodeError::Missing { of: self.of, key, name })
    }

    /// Checks that every entry was taken. An entry from [`FIRST_OPTIONAL_KEY`] on, or a label from
    /// [`FIRST_OPTIONAL_LABEL`] down, belongs to a newer node; any other is a fault.
    ///
    /// # Errors
    /// When entries are left.
    pub fn end(mut self) -> Result<(), DecodeError> {
        let of = self.of;
        match self.peek()? {
            None => Ok(()),
            Some(key) if key >= FIRST_OPTIONAL_KEY || key <= FIRST_OPTIONAL_LABEL => {
                Err(DecodeError::Newer { of, what: "entry", value: key.unsigned_abs() })
            }
            Some(key) => Err(DecodeError::UnknownKey { of, key }),
        }
    }

    fn peek(&mut self) -> Result<Option<i64>, DecodeError> {
        if self.key.is_none() && self.left > 0 {
            let at = self.reader.position();
            // No known key is near the ends of 64 bits, so a key beyond them is as unknown as the last within.
            self.key = Some(match self.reader.item()? {
                Item::Unsigned(value) => i64::try_from(value).unwrap_or(i64::MAX),
                Item::Negative(value) => i64::try_from(value).map_or(i64::MIN, |value| !value),
                item @ (Item::Bytes(_) | Item::Text(_) | Item::Array(_) | Item::Map(_)) => {
                    return Err(mismatch("an integer", item, at));
                }
            });
        }
        Ok(self.key)
    }
}

/// The start of an item, among those that records use. A negative integer is −1 − its value; lengths count bytes of
/// strings, items of arrays, entries of maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Unsigned(u64),
    Negative(u64),
    Bytes(usize),
    Text(usize),
    Array(usize),
    Map(usize),
}

fn mismatch(expected: &'static str, found: Item, at: usize) -> DecodeError {
    let found = match found {
        Item::Unsigned(_) => "an unsigned integer",
        Item::Negative(_) => "a negative integer",
        Item::Bytes(_) => "a byte string",
        Item::Text(_) => "a text string",
        Item::Array(_) => "an array",
        Item::Map(_) => "a map",
    };
    DecodeError::Type { expected, found, at }
}
