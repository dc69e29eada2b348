use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Length of the token in hex digits: 256 bits.
const TOKEN_DIGITS: usize = 64;
/// Separates proofs from any other hash over the token.
const PROOF_CONTEXT: &[u8] = b"althing/api-proof/1";

/// The secret that opens the local API: 256 random bits, as 64 hex digits in a file of mode 0600.
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    /// Reads the token, or makes a fresh one if the file does not exist. The directory must exist.
    pub(crate) fn open_or_create(path: &Path) -> Result<Self, TokenError> {
        match Self::create(path) {
            Err(TokenError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                Self::open(path)
            }
            other => other,
        }
    }

    /// Reads the token.
    pub(crate) fn open(path: &Path) -> Result<Self, TokenError> {
        let io = |source| TokenError::Io { path: path.to_owned(), source };
        let link = fs::symlink_metadata(path).map_err(io)?;
        if !link.is_file() {
            return Err(TokenError::NotAFile { path: path.to_owned() });
        }
        let file = File::open(path).map_err(io)?;
        let meta = file.metadata().map_err(io)?;
        // The name may have been given to another file between the look and the open.
        if (meta.dev(), meta.ino()) != (link.dev(), link.ino()) {
            return Err(TokenError::NotAFile { path: path.to_owned() });
        }
        if meta.mode() & 0o077 != 0 {
            return Err(TokenError::TooOpen { path: path.to_owned(), mode: meta.mode() & 0o7777 });
        }
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_DIGITS + 2));
        let malformed = || TokenError::Malformed { path: path.to_owned() };
        file.take(TOKEN_DIGITS as u64 + 2).read_to_string(&mut text).map_err(|error| {
            if error.kind() == io::ErrorKind::InvalidData { malformed() } else { io(error) }
        })?;
        let digits = text.strip_suffix('\n').unwrap_or(&text);
        if digits.len() != TOKEN_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        Ok(Self(Zeroizing::new(digits.to_owned())))
    }

    /// Whether a presented text is this token; takes the same time wherever they differ.
    pub(crate) fn matches(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }

    /// The `Authorization` header that presents the token.
    pub(crate) fn bearer(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", *self.0))
    }

    /// Shows knowledge of the token without showing the token: a hash over both. All inputs have fixed lengths.
    pub(crate) fn proof(&self, challenge: &Challenge) -> String {
        let mut hash = Sha256::new();
        hash.update(PROOF_CONTEXT);
        hash.update(self.0.as_bytes());
        hash.update(challenge.0);
        hex::encode(hash.finalize())
    }

    /// Whether `proof` answers `challenge`.
    pub(crate) fn proves(&self, challenge: &Challenge, proof: &[u8]) -> bool {
        self.proof(challenge).as_bytes().ct_eq(proof).into()
    }

    fn create(path: &Path) -> Result<Self, TokenError> {
        let io = |source| TokenError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        let token = Self(Zeroizing::new(hex::encode(random::<32>()?.as_slice())));
        file.write_all(token.0.as_bytes()).map_err(io)?;
        file.write_all(b"\n").map_err(io)?;
        file.sync_all().map_err(io)?;
        Ok(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// What a client sends to find out whether it has the right server before it sends the token.
pub(crate) struct Challenge([u8; 32]);

impl Challenge {
    /// The header that carries a challenge in a request to `/livez`.
    pub(crate) const HEADER: &str = "althing-challenge";
    /// The header that carries the answer.
    pub(crate) const PROOF_HEADER: &str = "althing-proof";

    /// A fresh one.
    pub(crate) fn random() -> Result<Self, TokenError> {
        random().map(|bytes| Self(*bytes))
    }

    /// Reads one from hex; `None` when it is not 32 bytes.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The challenge in hex.
    pub(crate) fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

/// Why there is no usable API token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or made.
    #[error("cannot open the token file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is a directory, a link or something else.
    #[error("expected a regular file for the token at {}, found something else", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Others may read or write the file, so the token may be known to them.
    #[error("expected mode 0600 for the token file {}, found {mode:04o}", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file does not hold a token.
    #[error("expected 64 hex digits in the token file {}, found something else", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("cannot get random bytes for a token: {cause}")]
    Entropy {
        /// What the system said.
        cause: String,
    },
}

impl TokenError {
    /// Whether there is no token file at all.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } | Self::Entropy { .. } => None,
            Self::NotAFile { path } | Self::Malformed { path } => {
                Some(format!("stop the node, remove {}, and start it: it makes a new token", path.display()))
            }
            Self::TooOpen { path, .. } => Some(format!(
                "others may know this token: remove {} for a new one, or `chmod 600` it if nobody else was here",
                path.display()
            )),
        }
    }
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, TokenError> {
    let mut bytes = Zeroizing::new([0; N]);
    #[allow(
        clippy::disallowed_methods,
        reason = "the shell: a token and a challenge are secrets of this machine"
    )]
    getrandom::fill(&mut *bytes).map_err(|cause| TokenError::Entropy { cause: cause.to_string() })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn token_is_made_once_with_mode_0600() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.token");
        let made = Token::open_or_create(&path).unwrap();
        let read = Token::open_or_create(&path).unwrap();
        assert_eq!(*made.0, *read.0);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert!(made.matches(read.0.as_bytes()));
        assert!(!made.matches(b"") && !made.matches(&read.0.as_bytes()[1..]) && !made.matches(&[b'0'; 64]));
        assert_eq!(format!("{made:?}"), "Token(secret)");
    }

    #[test]
    fn unfit_token_files_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.token");
        Token::open_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(
                matches!(Token::open_or_create(&path), Err(TokenError::TooOpen { mode: found, .. }) if found == mode)
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for text in ["", "secret\n", &"g".repeat(64), &"a".repeat(65)] {
            fs::write(&path, text).unwrap();
            assert!(matches!(Token::open_or_create(&path), Err(TokenError::Malformed { .. })), "{text}");
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(Token::open_or_create(&link), Err(TokenError::NotAFile { .. })));
    }

    #[test]
    fn proofs_need_the_token_and_the_challenge() {
        let (one, other) = (Token(Zeroizing::new("a".repeat(64))), Token(Zeroizing::new("b".repeat(64))));
        let challenge = Challenge::random().unwrap();
        let proof = one.proof(&Challenge::parse(challenge.to_hex().as_bytes()).unwrap());
        assert!(one.proves(&challenge, proof.as_bytes()));
        assert!(!other.proves(&challenge, proof.as_bytes()));
        assert!(!one.proves(&Challenge::random().unwrap(), proof.as_bytes()));
        assert!(Challenge::parse(b"00").is_none());
    }
}
