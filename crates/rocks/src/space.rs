use std::io;
use std::path::Path;

/// Bytes that stay free beside what is about to be written.
const HEADROOM_BYTES: u64 = 16 << 20;

/// Why something large is not begun.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// There is too little space.
    #[error("disk full: expected {needed} bytes free, found {free}")]
    TooLittle {
        /// Bytes that it takes, with some to spare.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The file system does not say.
    #[error("free space: {0}")]
    Unknown(#[from] io::Error),
}

/// Requires space for so many bytes, and some to spare, on the file system of a directory.
///
/// # Errors
/// When there is less, or the file system does not say.
pub fn require_space(dir: &Path, bytes: u64) -> Result<(), SpaceError> {
    let free = fs4::available_space(dir)?;
    let needed = bytes.saturating_add(HEADROOM_BYTES);
    if free >= needed { Ok(()) } else { Err(SpaceError::TooLittle { needed, free }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_both_figures() {
        let dir = tempfile::tempdir().unwrap();
        require_space(dir.path(), 0).unwrap();
        let refused = require_space(dir.path(), u64::MAX / 2).unwrap_err();
        assert!(
            matches!(refused, SpaceError::TooLittle { needed, .. } if needed > u64::MAX / 2),
            "{refused}"
        );
    }
}
