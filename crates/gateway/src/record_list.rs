//! Records in requests and answers: a CBOR array of byte strings, each a record's carried bytes.

use althing_record::cbor::{DecodeError, Reader, Writer};

/// A page of records' carried bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordBytes {
    /// The records.
    pub records: Vec<Vec<u8>>,
    /// Where the next page begins; none when this was the last.
    pub next: Option<Vec<u8>>,
}

/// A list as bytes.
pub(crate) fn encode<B: AsRef<[u8]>>(records: &[B]) -> Vec<u8> {
    let mut to = Writer::default();
    write(&mut to, records);
    to.into_bytes()
}

/// A page as bytes: an array of where the next one begins (no bytes: this is the last) and the list.
pub(crate) fn encode_page<B: AsRef<[u8]>>(next: Option<&[u8]>, records: &[B]) -> Vec<u8> {
    let mut to = Writer::default();
    to.array(2);
    to.bytes(next.unwrap_or_default());
    write(&mut to, records);
    to.into_bytes()
}

/// Reads a list of at most `max` records.
pub(crate) fn decode(bytes: &[u8], max: usize) -> Result<Vec<Vec<u8>>, DecodeError> {
    let mut from = Reader::new(bytes);
    let records = read(&mut from, max)?;
    from.end()?;
    Ok(records)
}

/// Reads a page.
pub(crate) fn decode_page(bytes: &[u8]) -> Result<RecordBytes, DecodeError> {
    let mut from = Reader::new(bytes);
    from.array_of(2)?;
    let next = from.bytes()?.to_vec();
    let records = read(&mut from, usize::MAX)?;
    from.end()?;
    Ok(RecordBytes { records, next: (!next.is_empty()).then_some(next) })
}

fn write<B: AsRef<[u8]>>(to: &mut Writer, records: &[B]) {
    to.array(records.len());
    records.iter().for_each(|record| to.bytes(record.as_ref()));
}

fn read(from: &mut Reader<'_>, max: usize) -> Result<Vec<Vec<u8>>, DecodeError> {
    let count = from.array()?;
    if count > max {
        return Err(DecodeError::Invalid(format!("expected at most {max} records, found {count}")));
    }
    (0..count).map(|_| from.bytes().map(<[u8]>::to_vec)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_pages_round_trip() {
        let records = [&b"one"[..], b"", b"three"];
        assert_eq!(decode(&encode(&records), 3).unwrap(), records);
        assert!(decode(&encode(&records), 2).is_err(), "more than allowed");
        let page = decode_page(&encode_page(Some(b"k"), &records)).unwrap();
        assert_eq!((page.next.as_deref(), page.records.len()), (Some(&b"k"[..]), 3));
        assert_eq!(decode_page(&encode_page::<&[u8]>(None, &[])).unwrap(), RecordBytes::default());
        for bad in [&b""[..], b"{", b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x81\x43ab", b"\x80\x00"] {
            assert!(decode(bad, 9).is_err(), "{bad:x?}");
        }
    }
}
