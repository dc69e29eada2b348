use std::fmt;
use std::path::Path;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{KeystoreError, files};

/// Length of a token in hex digits: 256 bits.
const TOKEN_DIGITS: usize = 64;

/// The token that opens the local API: 256 random bits in hex, in a file of mode 0600.
#[derive(Clone)]
pub struct ApiToken(Zeroizing<String>);

impl ApiToken {
    /// Reads the token at `path`, or makes a fresh one there. The directory must exist.
    ///
    /// # Errors
    /// When the file is open to others, a link, not a token, or cannot be read or made.
    pub fn open_or_create(path: &Path) -> Result<Self, KeystoreError> {
        if let Some(token) = Self::open(path)? {
            return Ok(token);
        }
        let token = Zeroizing::new(hex::encode(files::random::<32>()?.as_slice()));
        let line = Zeroizing::new(format!("{}\n", *token));
        match files::create(path, line.as_bytes()) {
            Ok(()) => Ok(Self(token)),
            // Another process was faster; its token counts.
            Err(KeystoreError::Exists { .. }) => {
                Self::open(path)?.ok_or_else(|| KeystoreError::NotAToken { path: path.to_owned(), found: 0 })
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the token at `path`; `None` when there is no such file.
    ///
    /// # Errors
    /// When the file is open to others, a link, not a token, or cannot be read.
    pub fn open(path: &Path) -> Result<Option<Self>, KeystoreError> {
        let Some(bytes) = files::read(path)? else { return Ok(None) };
        let digits = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let is_token = digits.len() == TOKEN_DIGITS && digits.iter().all(u8::is_ascii_hexdigit);
        match std::str::from_utf8(digits) {
            Ok(text) if is_token => Ok(Some(Self(Zeroizing::new(text.to_owned())))),
            _ => Err(KeystoreError::NotAToken { path: path.to_owned(), found: digits.len() }),
        }
    }

    /// Whether a presented text is this token; takes the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// The token in hex, for a client on this machine. Never for a log.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(secret)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn token_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.token");
        let token = ApiToken::open_or_create(&path).unwrap();
        assert_eq!(token.reveal().len(), TOKEN_DIGITS);
        assert!(ApiToken::open_or_create(&path).unwrap().matches(token.reveal()));
        assert!(!token.matches(""));
        assert!(!token.matches(&token.reveal()[1..]));
        assert!(!token.matches(&"0".repeat(TOKEN_DIGITS)));
        assert_eq!(format!("{token:?}"), "ApiToken(secret)");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn other_text_is_not_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.token");
        files::create(&path, b"secret\n").unwrap();
        assert!(matches!(ApiToken::open_or_create(&path), Err(KeystoreError::NotAToken { found: 6, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(ApiToken::open(&path), Err(KeystoreError::TooOpen { found: 0o640, .. })));
    }
}
