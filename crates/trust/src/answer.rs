use crate::frame::{content, with_length};
use crate::{FrameError, LINEAGE_BYTES_MAX, Progress, REASON_BYTES_MAX, Reason, Refusal, SIGNED_BYTES_MAX};

const ACCEPTED: u8 = 1;
const AHEAD: u8 = 2;
const REFUSED: u8 = 3;
const LINEAGE: u8 = 4;
const BUSY: u8 = 0xff;

/// What the callee says before anything else: one byte for the kind, then the length of the content as uint16,
/// big-endian, and the content. [`Answer::Busy`] is its one byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The call is taken.
    Accepted(
        /// The bytes of an [`crate::Accept`], not verified yet.
        Vec<u8>,
    ),
    /// The call is taken without an Accept: nothing of it can be counted.
    Ahead(Reason),
    /// The call is not taken, and nothing of the request was delivered.
    Refused {
        /// Why, for programs.
        refusal: Refusal,
        /// Why, for people.
        reason: Reason,
    },
    /// How the key came to speak that the Accept is signed with. The Accept follows.
    Lineage(
        /// The bytes of a [`crate::Lineage`], not verified yet.
        Vec<u8>,
    ),
    /// The node has no room for the stream. Nobody looked at the call.
    Busy,
}

impl Answer {
    /// A refusal in its usual words.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        Self::Refused { refusal, reason: Reason::new(&refusal.to_string()) }
    }

    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Accepted(accept) => with_length(&[ACCEPTED], accept),
            Self::Ahead(reason) => with_length(&[AHEAD], reason.as_str().as_bytes()),
            Self::Refused { refusal, reason } => {
                let mut content = vec![refusal.code()];
                content.extend_from_slice(reason.as_str().as_bytes());
                with_length(&[REFUSED], &content)
            }
            Self::Lineage(lineage) => with_length(&[LINEAGE], lineage),
            Self::Busy => vec![BUSY],
        }
    }

    /// Reads the beginning of a stream. The bytes may come in any pieces: call it again with more in front of it.
    ///
    /// # Errors
    /// When no more bytes can make an answer of it.
    pub fn decode(bytes: &[u8]) -> Result<Progress<Self>, FrameError> {
        let Some((kind, rest)) = bytes.split_first() else { return Ok(Progress::Needs(1)) };
        let (name, min, max) = match *kind {
            ACCEPTED => ("accept", 1, SIGNED_BYTES_MAX),
            AHEAD => ("no-accept", 0, REASON_BYTES_MAX),
            REFUSED => ("refusal", 1, 1 + REASON_BYTES_MAX),
            LINEAGE => ("lineage", 1, LINEAGE_BYTES_MAX),
            BUSY => return Ok(Progress::Done { frame: Self::Busy, used: 1 }),
            other => return Err(FrameError::UnknownKind(other)),
        };
        let (content, used) = match content(rest, name, min, max)? {
            Progress::Needs(more) => return Ok(Progress::Needs(more)),
            Progress::Done { frame, used } => (frame, 1 + used),
        };
        let reason = |bytes| Reason::read(bytes).ok_or(FrameError::Reason(name));
        let frame = match (*kind, content) {
            (ACCEPTED, accept) => Self::Accepted(accept.to_vec()),
            (LINEAGE, lineage) => Self::Lineage(lineage.to_vec()),
            (REFUSED, [code, words @ ..]) => {
                Self::Refused { refusal: Refusal::from_code(*code), reason: reason(words)? }
            }
            (_, words) => Self::Ahead(reason(words)?),
        };
        Ok(Progress::Done { frame, used })
    }
}
