use proptest::prelude::*;

use super::*;

crate::cbor_map! {
    /// A body for tests.
    pub(super) struct Sample: version 1 {
        /// A number.
        1 => pub number: u16,
        /// A text.
        2 => pub text: Option<Text<8>>,
        /// A list.
        3 => pub list: List<Blob<4>, 3>,
    }
}

fn decode(hex: &str) -> Result<Sample, DecodeError> {
    from_slice(&hex::decode(hex).unwrap(), Limits::RECORD)
}

#[test]
fn a_map_encodes_in_key_order_without_absent_entries() {
    let sample = Sample { number: 300, text: None, list: vec![].try_into().unwrap() };
    assert_eq!(hex::encode(to_vec(&sample)), "a300010119012c0380");
    assert_eq!(decode("a300010119012c0380"), Ok(sample));
}

#[test]
fn versions_and_keys_grow_without_fault() {
    assert!(decode("a300020119012c0380").unwrap_err().is_newer());
    assert!(decode("a400010119012c0380188000").unwrap_err().is_newer());
    assert_eq!(decode("a400010119012c03800400"), Err(DecodeError::UnknownKey { of: "Sample", key: 4 }));
    assert_eq!(decode("a400010119012c03802000"), Err(DecodeError::UnknownKey { of: "Sample", key: -1 }));
}

#[test]
fn everything_but_the_one_encoding_is_refused() {
    let cases = [
        ("a300010119012c038000", "trailing"),
        ("a300010119012c03", "ends early"),
        ("a3000101190001", "non-minimal"),
        ("a30001011a0000012c0380", "non-minimal"),
        ("b90003000101190012c0", "non-minimal"),
        ("a30001019f000380", "indefinite"),
        ("bf000101190101ff", "indefinite"),
        ("a3000101010102", "ascending"),
        ("a301000001", "ascending"),
        ("a3000101f90000", "float"),
        ("a3000101c100", "tag"),
        ("a3000101f6", "simple"),
        ("a300010161610380", "expected an unsigned integer"),
        ("a3000101190100026261", "ends early"),
        ("a400010119010002696161616161616161610380", "out of bounds"),
        ("a2000101190100", "missing"),
        ("1c", "reserved"),
        ("a361610000", "ascending"),
        ("a30001011903e8039bffffffffffffffff", "ends early"),
        ("", "ends early"),
    ];
    for (hex, cause) in cases {
        let error = decode(hex).unwrap_err().to_string();
        assert!(error.contains(cause), "{hex}: \"{error}\" does not name \"{cause}\"");
    }
}

#[test]
fn bounds_are_reached_and_held() {
    let deep = |depth: usize| [vec![0x81; depth], vec![0x00]].concat();
    assert_eq!(scan(&deep(16), Limits::RECORD), Ok(()));
    assert!(matches!(scan(&deep(17), Limits::RECORD), Err(DecodeError::TooDeep { max: 16, .. })));
    let wide = |items: u16| [vec![0x99], items.to_be_bytes().to_vec(), vec![0; items.into()]].concat();
    assert_eq!(scan(&wide(1_023), Limits::RECORD), Ok(()));
    assert!(matches!(scan(&wide(1_024), Limits::RECORD), Err(DecodeError::TooManyItems { max: 1_024, .. })));
    assert!(matches!(decode("a300010101038440404040"), Err(DecodeError::OutOfBounds { .. })));
    assert!(matches!(decode("a30001011a000100000380"), Err(DecodeError::OutOfBounds { .. })));
    assert!(Text::<8>::try_from("123456789").is_err());
}

#[test]
fn a_sequence_has_as_many_items_as_asked() {
    assert_eq!(scan_sequence(&[0x00, 0x41, 0x07], 1, 2, Limits::RECORD), Ok(vec![1, 3]));
    assert!(matches!(scan_sequence(&[0, 0, 0], 1, 2, Limits::RECORD), Err(DecodeError::Trailing { at: 2 })));
    assert!(matches!(scan_sequence(&[], 1, 2, Limits::RECORD), Err(DecodeError::Truncated { .. })));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_only_their_own_encoding_passes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(sample) = from_slice::<Sample>(&bytes, Limits::RECORD) {
            prop_assert_eq!(to_vec(&sample), bytes);
        }
    }

    #[test]
    fn samples_round_trip(number in any::<u16>(), text in proptest::option::of("[a-zé]{0,4}"), list in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..3)) {
        let sample = Sample {
            number,
            text: text.map(|text| Text::try_from(text).unwrap()),
            list: list.into_iter().map(|blob| Blob::try_from(blob).unwrap()).collect::<Vec<_>>().try_into().unwrap(),
        };
        prop_assert_eq!(from_slice::<Sample>(&to_vec(&sample), Limits::RECORD), Ok(sample));
    }

    #[test]
    fn what_ciborium_writes_for_the_same_integers_is_the_same(value in any::<i64>()) {
        let mut ours = Writer::default();
        ours.int(value);
        let mut theirs = Vec::new();
        ciborium::into_writer(&value, &mut theirs).unwrap();
        prop_assert_eq!(ours.into_bytes(), theirs);
    }
}
