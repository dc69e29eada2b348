use std::fmt;
use std::str::FromStr;

/// Names an event for good: which journal, in which start of the node, and its sequence number.
///
/// A power cut or a restored backup can take a journal back behind what a reader has seen; numbers are then given out
/// again, and only the start tells the new events from the old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// The journal: random, drawn once per data directory.
    pub journal: [u8; 8],
    /// The start of the node that wrote the event.
    pub start: Start,
    /// The event's number in the journal, from 1, without gaps.
    pub seq: u64,
}

/// A start of the node: its number in this data directory, and random bytes, since a number can come again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Start {
    /// Counts from 1.
    pub count: u32,
    /// Random.
    pub tag: [u8; 4],
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let journal = u64::from_be_bytes(self.journal);
        let tag = u32::from_be_bytes(self.start.tag);
        write!(f, "{journal:016x}-{:08x}{tag:08x}-{}", self.start.count, self.seq)
    }
}

/// The text is no [`EventId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an event's id such as 5f0c9a1122334455-000000029a11ffee-57")]
pub struct EventIdError;

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let mut parts = text.split('-');
        let (Some(journal), Some(start), Some(seq), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(EventIdError);
        };
        let hex = |text: &str| u64::from_str_radix(text, 16).map_err(|_| EventIdError);
        let (journal, start) = (hex(journal)?, hex(start)?.to_be_bytes());
        let [a, b, c, d, tag @ ..] = start;
        let id = Self {
            journal: journal.to_be_bytes(),
            start: Start { count: u32::from_be_bytes([a, b, c, d]), tag },
            seq: seq.parse().map_err(|_| EventIdError)?,
        };
        // One text for each id.
        if id.to_string() == text { Ok(id) } else { Err(EventIdError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_text() {
        let id = EventId { journal: [0xab; 8], start: Start { count: 2, tag: [0, 1, 2, 3] }, seq: 57 };
        let text = "abababababababab-0000000200010203-57";
        assert_eq!((id.to_string().as_str(), text.parse()), (text, Ok(id)));
        for wrong in [
            "",
            "57",
            "abababababababab-0000000200010203",
            "abababababababab-0000000200010203-57-1",
            "ABABABABABABABAB-0000000200010203-57",
            "abababababababab-200010203-57",
            "abababababababab-0000000200010203-057",
            "abababababababab-0000000200010203-+57",
            "abababababababab-0000000200010203-18446744073709551616",
            " abababababababab-0000000200010203-57",
        ] {
            assert_eq!(wrong.parse::<EventId>(), Err(EventIdError), "{wrong}");
        }
    }
}
