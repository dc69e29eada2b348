//! Frames on the wire, whole, in pieces and wrong.

#![allow(clippy::unwrap_used, reason = "tests")]

use althing_trust::{
    Answer, CallFrame, FrameError, LINEAGE_BYTES_MAX, Progress, Reason, Refusal, SIGNED_BYTES_MAX,
};
use proptest::prelude::*;

fn answers() -> Vec<Answer> {
    let refused = |refusal, words| Answer::Refused { refusal, reason: Reason::new(words) };
    vec![
        Answer::Accepted(vec![7; SIGNED_BYTES_MAX]),
        Answer::Ahead(Reason::new("no key")),
        Answer::Ahead(Reason::default()),
        refused(Refusal::Stopping, &"x".repeat(256)),
        refused(Refusal::Other(200), ""),
        Answer::Lineage(vec![9; LINEAGE_BYTES_MAX]),
        Answer::Busy,
    ]
}

/// Reads exactly what is needed, again and again, as a shell would.
fn read_exactly<T>(
    stream: &[u8],
    decode: impl Fn(&[u8]) -> Result<Progress<T>, FrameError>,
) -> Result<(T, usize), FrameError> {
    let mut have = 0;
    loop {
        match decode(&stream[..have])? {
            Progress::Needs(more) => {
                assert!(more > 0);
                have += more;
            }
            Progress::Done { frame, used } => {
                assert_eq!(used, have, "nothing behind the frame was read");
                return Ok((frame, used));
            }
        }
    }
}

#[test]
fn frames_read_back_and_leave_what_follows() {
    for answer in answers() {
        let bytes = answer.encode();
        let stream = [&bytes[..], b"HTTP/1.1 200 OK\r\n"].concat();
        assert_eq!(read_exactly(&stream, Answer::decode), Ok((answer.clone(), bytes.len())));
        let frame = answer;
        assert_eq!(Answer::decode(&stream), Ok(Progress::Done { frame, used: bytes.len() }));
    }
    let frame = CallFrame(vec![1, 2, 3]);
    let stream = [&frame.encode()[..], b"GET /"].concat();
    assert_eq!(read_exactly(&stream, CallFrame::decode), Ok((frame, 5)));
}

#[test]
fn every_beginning_of_a_frame_asks_for_more_and_never_for_too_much() {
    let whole = answers().into_iter().map(|answer| answer.encode());
    for bytes in whole {
        for len in 0..bytes.len() {
            let Ok(Progress::Needs(more)) = Answer::decode(&bytes[..len]) else { panic!("{len}") };
            assert!(len + more <= bytes.len());
        }
    }
}

#[test]
fn lengths_out_of_bounds_are_refused_before_the_content_comes() {
    let too_long = |bytes: &[u8]| matches!(Answer::decode(bytes), Err(FrameError::Length { .. }));
    assert!(too_long(&[1, 0x04, 0x01]) && too_long(&[1, 0, 0]));
    assert!(too_long(&[2, 0x01, 0x01]) && !too_long(&[2, 0x01, 0x00]));
    assert!(too_long(&[3, 0x01, 0x02]) && too_long(&[3, 0, 0]));
    let error = CallFrame::decode(&[0x04, 0x01]).unwrap_err();
    assert_eq!(error.to_string(), "call frame has 1025 bytes, expected 1 to 1024");
    assert!(CallFrame::decode(&[0, 0]).is_err());
    assert_eq!(Answer::decode(&[9]), Err(FrameError::UnknownKind(9)));
    assert_eq!(Answer::decode(b"\x02\x00\x01\n"), Err(FrameError::Reason("no-accept")));
    assert_eq!(Answer::decode(b"\x03\x00\x02\x01\xff"), Err(FrameError::Reason("refusal")));
}

proptest! {
    #[test]
    fn any_bytes_are_a_frame_or_not_and_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(Progress::Done { frame, used }) = Answer::decode(&bytes) {
            prop_assert_eq!(frame.encode(), &bytes[..used], "one encoding");
        }
        if let Ok(Progress::Done { frame, used }) = CallFrame::decode(&bytes) {
            prop_assert_eq!(frame.encode(), &bytes[..used]);
        }
        let network = althing_testkit::network().id();
        prop_assert!(althing_trust::Call::verify(&bytes, network).is_err());
    }
}
