use crate::{Header, Millis};

/// Until when a record that arrives at `now` is kept, or why it is not taken at all.
///
/// The deadline of an expiring record is min(expires + 10 min, now + (expires − made)), fixed when the record is first
/// seen; so ten minutes of clock error neither unlist an agent nor revive a dead one, and neither do relays or replays.
/// `None` means that it is kept for good.
///
/// # Errors
/// When the record is more than 11 minutes ahead of `now`, or past its deadline.
pub fn deadline(header: &Header, now: Millis) -> Result<Option<Millis>, TimeError> {
    const EARLY: u64 = 11 * Millis::MINUTE;
    const LATE: u64 = 10 * Millis::MINUTE;
    if header.made > now.plus(EARLY) {
        return Err(TimeError::Early { by_ms: header.made.since(now) });
    }
    let Some(expires) = header.expires else { return Ok(None) };
    let last = expires.plus(LATE);
    if last <= now {
        return Err(TimeError::Expired { by_ms: now.since(expires) });
    }
    Ok(Some(last.min(now.plus(expires.since(header.made)))))
}

/// Why a record is not taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Made in the future.
    #[error("made {by_ms} ms in the future; at most 11 minutes of clock error are allowed")]
    Early {
        /// How far ahead.
        by_ms: u64,
    },
    /// No longer valid.
    #[error("expired {by_ms} ms ago")]
    Expired {
        /// How long ago.
        by_ms: u64,
    },
}
