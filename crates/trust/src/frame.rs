use crate::SIGNED_BYTES_MAX;

/// How far the beginning of a stream goes towards a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// At least so many bytes are missing. Whoever reads exactly these reads nothing of what follows the frame.
    Needs(usize),
    /// The frame is there.
    Done {
        /// What it says.
        frame: T,
        /// How many bytes it took; what follows is not part of it.
        used: usize,
    },
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is not among those allowed for this frame.
    #[error("{frame} frame has {found} bytes, expected {min} to {max}")]
    Length {
        /// Which frame.
        frame: &'static str,
        /// How long it says to be.
        found: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// An answer of a kind that this version does not know.
    #[error("answer of kind {0} is unknown to this version")]
    UnknownKind(u8),
    /// A reason is not a short line of UTF-8.
    #[error("{0} frame has a reason that is not a line of UTF-8")]
    Reason(&'static str),
}

/// The first bytes of the caller: the length of the signed call as uint16, big-endian, and the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFrame(
    /// The bytes of a [`crate::Call`], not verified yet.
    pub Vec<u8>,
);

impl CallFrame {
    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        with_length(&[], &self.0)
    }

    /// Reads the beginning of a stream. The bytes may come in any pieces: call it again with more in front of it.
    ///
    /// # Errors
    /// When no more bytes can make a frame of it.
    pub fn decode(bytes: &[u8]) -> Result<Progress<Self>, FrameError> {
        let read = content(bytes, "call", 1, SIGNED_BYTES_MAX)?;
        Ok(match read {
            Progress::Needs(more) => Progress::Needs(more),
            Progress::Done { frame, used } => Progress::Done { frame: Self(frame.to_vec()), used },
        })
    }
}

/// `before`, the length of `content`, `content`.
pub(crate) fn with_length(before: &[u8], content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).expect("statements and reasons are short");
    let mut bytes = Vec::with_capacity(before.len() + 2 + content.len());
    bytes.extend_from_slice(before);
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(content);
    bytes
}

/// What a length announces. The length is judged before anything waits for so many bytes.
pub(crate) fn content<'a>(
    bytes: &'a [u8],
    frame: &'static str,
    min: usize,
    max: usize,
) -> Result<Progress<&'a [u8]>, FrameError> {
    let Some((len, rest)) = bytes.split_first_chunk::<2>() else {
        return Ok(Progress::Needs(2 - bytes.len()));
    };
    let len = usize::from(u16::from_be_bytes(*len));
    if !(min..=max).contains(&len) {
        return Err(FrameError::Length { frame, found: len, min, max });
    }
    Ok(match rest.get(..len) {
        Some(frame) => Progress::Done { frame, used: 2 + len },
        None => Progress::Needs(len - rest.len()),
    })
}
