use super::reader::Item;
use super::{DecodeError, Reader};

/// Bounds for [`scan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting of arrays and maps.
    pub depth: usize,
    /// Most items, counting every key, value and element.
    pub items: usize,
}

impl Limits {
    /// The bounds of a record: depth 16, 1,024 items.
    pub const RECORD: Self = Self { depth: 16, items: 1_024 };
}

/// Checks that `bytes` are exactly one deterministic item within `limits`, before anything knows its type.
///
/// # Errors
/// When they are not; the error names the first byte at fault.
pub fn scan(bytes: &[u8], limits: Limits) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut items = 0;
    item(&mut reader, limits, 0, &mut items)?;
    reader.end()
}

/// Checks that `bytes` are a sequence (RFC 8742) of `min` to `max` deterministic items and returns where each ends.
///
/// # Errors
/// When they are not.
pub fn scan_sequence(
    bytes: &[u8],
    min: usize,
    max: usize,
    limits: Limits,
) -> Result<Vec<usize>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut items = 0;
    let mut ends = Vec::with_capacity(max);
    while reader.remaining() > 0 || ends.len() < min {
        if ends.len() == max {
            return Err(DecodeError::Trailing { at: reader.position() });
        }
        item(&mut reader, limits, 0, &mut items)?;
        ends.push(reader.position());
    }
    Ok(ends)
}

fn item(reader: &mut Reader<'_>, limits: Limits, depth: usize, items: &mut usize) -> Result<(), DecodeError> {
    let at = reader.position();
    *items += 1;
    if *items > limits.items {
        return Err(DecodeError::TooManyItems { max: limits.items, at });
    }
    let nested = |len: usize| {
        if depth == limits.depth {
            return Err(DecodeError::TooDeep { max: limits.depth, at });
        }
        Ok(len)
    };
    match reader.item()? {
        Item::Unsigned(_) | Item::Negative(_) => {}
        Item::Bytes(len) => {
            reader.take(len)?;
        }
        Item::Text(len) => {
            std::str::from_utf8(reader.take(len)?).map_err(|_| DecodeError::NotUtf8 { at })?;
        }
        Item::Array(len) => {
            for _ in 0..nested(len)? {
                item(reader, limits, depth + 1, items)?;
            }
        }
        Item::Map(len) => {
            let mut last = None;
            for _ in 0..nested(len)? {
                let at = reader.position();
                let key = match reader.item()? {
                    Item::Unsigned(value) => (0_u8, value),
                    Item::Negative(value) => (1, value),
                    Item::Bytes(_) | Item::Text(_) | Item::Array(_) | Item::Map(_) => {
                        return Err(DecodeError::KeyOrder { at });
                    }
                };
                *items += 1;
                if last.is_some_and(|last| last >= key) {
                    return Err(DecodeError::KeyOrder { at });
                }
                last = Some(key);
                item(reader, limits, depth + 1, items)?;
            }
        }
    }
    Ok(())
}
