//! The form of an export: a CBOR sequence (RFC 8742) of a header, the records' carried bytes as byte strings, and a
//! trailer that tells a whole file from one that was cut. docs/spec/store.md has it for others.

use std::io::{self, Read};

use althing_record::NetworkId;
use althing_record::cbor::{Limits, Reader, Writer, scan};
use sha2::{Digest, Sha256};

/// The version that this program writes and reads.
pub(super) const VERSION: u64 = 1;

const NAME: &str = "althing.export";
const END: &str = "end";

/// Largest header or trailer that is read.
const FRAME_BYTES_MAX: usize = 256;

/// Longest carried bytes of a record: more than any kind may have.
const RECORD_BYTES_MAX: u64 = 1 << 20;

/// Writes an export piece by piece.
pub(super) struct Encoder {
    hash: Sha256,
    count: u64,
}

impl Encoder {
    /// An export of a network, and the bytes that it begins with.
    pub(super) fn new(network: NetworkId) -> (Self, Vec<u8>) {
        let mut to = Writer::default();
        to.array(3);
        to.text(NAME);
        to.uint(VERSION);
        to.bytes(&network.0);
        let bytes = to.into_bytes();
        (Self { hash: Sha256::new_with_prefix(&bytes), count: 0 }, bytes)
    }

    /// The bytes of a record in it.
    pub(super) fn record(&mut self, carried: &[u8]) -> Vec<u8> {
        let mut to = Writer::default();
        to.bytes(carried);
        let bytes = to.into_bytes();
        self.hash.update(&bytes);
        self.count += 1;
        bytes
    }

    /// How many records it has.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The bytes that it ends with.
    pub(super) fn end(self) -> Vec<u8> {
        let mut to = Writer::default();
        to.array(3);
        to.text(END);
        to.uint(self.count);
        to.bytes(&self.hash.finalize());
        to.into_bytes()
    }
}

/// Why a file is no whole export.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    /// It cannot be read.
    #[error("{0}")]
    Io(io::Error),
    /// It ends before its trailer.
    #[error("cut off after {0} whole records: the end is missing")]
    Truncated(u64),
    /// It is something else.
    #[error("not an export of records: {0}")]
    Malformed(String),
    /// A newer version wrote it.
    #[error("format: expected version {VERSION}, found {0}")]
    Newer(u64),
    /// A byte is not what was written.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// Reads an export from its beginning, one record at a time.
pub(super) struct Decoder<R> {
    from: R,
    hash: Sha256,
    position: u64,
    count: u64,
    network: NetworkId,
    is_over: bool,
}

/// A record in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where its bytes begin.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl<R: Read> Decoder<R> {
    /// Reads the header.
    pub(super) fn new(from: R) -> Result<Self, ExportError> {
        let network = NetworkId([0; 32]);
        let mut decoder = Self { from, hash: Sha256::new(), position: 0, count: 0, network, is_over: false };
        let malformed = |error: &dyn ToString| ExportError::Malformed(error.to_string());
        let (major, value, mut bytes) = match decoder.head() {
            Err(ExportError::Truncated(_)) => return Err(malformed(&"it is empty")),
            head => head?,
        };
        if major != 4 || value != 3 {
            return Err(malformed(&"it does not begin with the header of one"));
        }
        decoder.frame(&mut bytes)?;
        let mut header = Reader::new(&bytes);
        let mut read = || -> Result<(u64, Vec<u8>), String> {
            let text = |error: althing_record::cbor::DecodeError| error.to_string();
            header.array_of(3).map_err(text)?;
            let name = header.text().map_err(text)?;
            if name != NAME {
                return Err(format!("expected \"{NAME}\""));
            }
            let version = header.uint().map_err(text)?;
            Ok((version, header.bytes().map_err(text)?.to_vec()))
        };
        let (version, network) = read().map_err(ExportError::Malformed)?;
        if version != VERSION {
            return Err(ExportError::Newer(version));
        }
        let network = network.try_into().map_err(|_| malformed(&"the network's id has another length"))?;
        decoder.network = NetworkId(network);
        decoder.hash.update(&bytes);
        Ok(decoder)
    }

    pub(super) fn network(&self) -> NetworkId {
        self.network
    }

    /// The next record; none at the end of a whole file.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, ExportError> {
        if self.is_over {
            return Ok(None);
        }
        let (major, value, mut head) = self.head()?;
        match (major, value) {
            (2, length) if length <= RECORD_BYTES_MAX => {
                let offset = self.position;
                let bytes = self.exactly(length)?;
                self.hash.update(&head);
                self.hash.update(&bytes);
                self.count += 1;
                Ok(Some(Piece { offset, bytes }))
            }
            (4, 3) => {
                self.frame(&mut head)?;
                self.check_end(&head)?;
                self.is_over = true;
                Ok(None)
            }
            _ => Err(ExportError::Damaged(format!("record {} has no valid length", self.count + 1))),
        }
    }

    fn check_end(&mut self, trailer: &[u8]) -> Result<(), ExportError> {
        let mut from = Reader::new(trailer);
        let damaged = |what: &str| ExportError::Damaged(format!("the end {what}"));
        let parts = (|| {
            from.array_of(3).ok()?;
            (from.text().ok()? == END).then_some(())?;
            Some((from.uint().ok()?, from.bytes().ok()?.to_vec()))
        })();
        let (count, sum) = parts.ok_or_else(|| damaged("is not as expected"))?;
        if count != self.count {
            return Err(damaged(&format!("tells of {count} records, found {}", self.count)));
        }
        if sum != self.hash.clone().finalize().as_slice() {
            return Err(damaged("has another SHA-256 than what is before it"));
        }
        let mut more = [0];
        match self.from.read(&mut more) {
            Ok(0) => Ok(()),
            Ok(_) => Err(damaged("is followed by more bytes")),
            Err(error) => Err(ExportError::Io(error)),
        }
    }

    /// The head of a CBOR item: major type, argument, bytes. Shortest forms only.
    fn head(&mut self) -> Result<(u8, u64, Vec<u8>), ExportError> {
        let mut bytes = self.exactly(1)?;
        let (major, info) = (bytes[0] >> 5, bytes[0] & 0x1f);
        let more = match info {
            0..24 => return Ok((major, info.into(), bytes)),
            24..28 => 1_u64 << (info - 24),
            _ => return Err(self.unreadable()),
        };
        bytes.extend(self.exactly(more)?);
        let value = bytes[1..].iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        let least = if more == 1 { 24 } else { 1_u64 << (4 * more) };
        if value < least { Err(self.unreadable()) } else { Ok((major, value, bytes)) }
    }

    fn unreadable(&self) -> ExportError {
        match self.count {
            0 => ExportError::Malformed("it does not begin with the header of one".to_owned()),
            count => ExportError::Damaged(format!("record {} has no valid length", count + 1)),
        }
    }

    /// The rest of an array of a text, a number and a byte string whose head was read.
    fn frame(&mut self, bytes: &mut Vec<u8>) -> Result<(), ExportError> {
        for _ in 0..3 {
            let (major, value, head) = self.head()?;
            bytes.extend(head);
            if major == 2 || major == 3 {
                let fits = usize::try_from(value)
                    .is_ok_and(|value| bytes.len().saturating_add(value) <= FRAME_BYTES_MAX);
                if !fits {
                    return Err(self.unreadable());
                }
                bytes.extend(self.exactly(value)?);
            }
        }
        scan(bytes, Limits { depth: 2, items: 8 }).map_err(|error| ExportError::Malformed(error.to_string()))
    }

    fn exactly(&mut self, length: u64) -> Result<Vec<u8>, ExportError> {
        let mut bytes = Vec::new();
        self.from.by_ref().take(length).read_to_end(&mut bytes).map_err(ExportError::Io)?;
        if bytes.len() as u64 != length {
            return Err(ExportError::Truncated(self.count));
        }
        self.position += length;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: NetworkId = NetworkId([9; 32]);

    fn file(records: &[&[u8]]) -> Vec<u8> {
        let (mut encoder, mut bytes) = Encoder::new(NETWORK);
        records.iter().for_each(|record| bytes.extend(encoder.record(record)));
        bytes.extend(encoder.end());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Piece>, ExportError> {
        let mut decoder = Decoder::new(bytes)?;
        let mut all = Vec::new();
        while let Some(piece) = decoder.next()? {
            all.push(piece);
        }
        Ok(all)
    }

    fn sample() -> Vec<u8> {
        file(&[b"", b"one", &[7; 300], &[8; 70_000]])
    }

    #[test]
    fn what_is_written_is_read_and_stands_where_it_says() {
        let bytes = sample();
        let pieces = read(&bytes).unwrap();
        assert_eq!(Decoder::new(&bytes[..]).unwrap().network(), NETWORK);
        assert_eq!(pieces.len(), 4);
        for piece in &pieces {
            let at = usize::try_from(piece.offset).unwrap();
            assert_eq!(bytes[at..at + piece.bytes.len()], piece.bytes);
        }
        assert!(read(&file(&[])).unwrap().is_empty());
    }

    #[test]
    fn the_bytes_of_the_format_are_fixed() {
        let expected = concat!(
            "83",
            "6e",
            "616c7468696e672e6578706f7274",
            "01",
            "5820",
            "0909090909090909090909090909090909090909090909090909090909090909",
            "43",
            "6f6e65",
            "83",
            "63",
            "656e64",
            "01",
            "5820",
        );
        let bytes = file(&[b"one"]);
        let sum = Sha256::digest(&bytes[..bytes.len() - 40]);
        assert_eq!(hex::encode(&bytes), format!("{expected}{}", hex::encode(sum)));
    }

    #[test]
    fn every_cut_is_found() {
        let bytes = file(&[b"one", b"two"]);
        for length in 1..bytes.len() {
            let error = read(&bytes[..length]).unwrap_err();
            assert!(matches!(error, ExportError::Truncated(_)), "{length} bytes: {error}");
        }
        assert!(matches!(read(b""), Err(ExportError::Malformed(_))));
    }

    #[test]
    fn no_byte_can_change_unseen() {
        let good = file(&[b"one", b"two"]);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert!(read(&bad).is_err(), "byte {at}, bit {bit}");
            }
        }
        assert!(read(&[&good[..], b"\x00"].concat()).is_err());
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut bytes = file(&[]);
        assert_eq!(bytes[16], 1);
        bytes[16] = 2;
        assert!(matches!(Decoder::new(&bytes[..]).err(), Some(ExportError::Newer(2))));
    }

    #[test]
    fn a_hostile_length_takes_no_memory() {
        let (_, mut bytes) = Encoder::new(NETWORK);
        bytes.extend([0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert!(matches!(read(&bytes), Err(ExportError::Damaged(_) | ExportError::Malformed(_))));
        // As the header's text: added to what was read before, it would be a small number.
        let longest = [0x83, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(read(&longest), Err(ExportError::Malformed(_))));
        let whole = [&file(&[b"one"])[..51 + 4], &longest].concat();
        assert!(matches!(read(&whole), Err(ExportError::Damaged(_))));
    }
}
