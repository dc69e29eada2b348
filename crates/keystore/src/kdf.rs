use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::KeystoreError;

/// Most memory that a key file may ask for, in KiB: 1 GiB.
const MEMORY_KIB_MAX: u32 = 1_048_576;
/// Most passes that a key file may ask for.
const PASSES_MAX: u32 = 16;
/// Most lanes that a key file may ask for.
const LANES_MAX: u32 = 4;

/// How much work argon2id (RFC 9106) puts between a passphrase and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for Stretch {
    /// 64 MiB, 3 passes, 1 lane (RFC 9106, section 4, second recommendation, with one lane).
    fn default() -> Self {
        Self { memory_kib: 65_536, passes: 3, lanes: 1 }
    }
}

impl Stretch {
    /// What is wrong with these figures coming from a file: (found, bound).
    pub(crate) fn excess(self) -> Option<(String, String)> {
        let over = |name: &str, found: u32, max: u32| {
            (found > max).then(|| (format!("{name} {found}"), format!("{name} at most {max}")))
        };
        over("memory in KiB", self.memory_kib, MEMORY_KIB_MAX)
            .or_else(|| over("passes", self.passes, PASSES_MAX))
            .or_else(|| over("lanes", self.lanes, LANES_MAX))
    }
}

/// Where the sealing key of one file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kdf {
    /// The machine secret is the key.
    Machine,
    /// argon2id over the passphrase.
    Argon2id { stretch: Stretch, salt: [u8; 16] },
}

impl fmt::Display for Kdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str("machine"),
            Self::Argon2id { stretch: Stretch { memory_kib, passes, lanes }, salt } => {
                write!(f, "argon2id m={memory_kib} t={passes} p={lanes} salt={}", hex::encode(salt))
            }
        }
    }
}

impl Kdf {
    /// Reads what [`fmt::Display`] writes; `None` when it is anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "machine" {
            return Some(Self::Machine);
        }
        let mut words = text.strip_prefix("argon2id ")?.split(' ');
        let mut word = |prefix: &str| words.next()?.strip_prefix(prefix);
        let stretch = Stretch {
            memory_kib: word("m=")?.parse().ok()?,
            passes: word("t=")?.parse().ok()?,
            lanes: word("p=")?.parse().ok()?,
        };
        let mut salt = [0; 16];
        hex::decode_to_slice(word("salt=")?, &mut salt).ok()?;
        words.next().is_none().then_some(Self::Argon2id { stretch, salt })
    }
}

/// Stretches a passphrase into a key.
pub(crate) fn stretch(
    passphrase: &str,
    salt: &[u8; 16],
    stretch: Stretch,
) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let internal =
        |cause: argon2::Error| KeystoreError::Internal { step: "argon2id", cause: cause.to_string() };
    let params =
        Params::new(stretch.memory_kib, stretch.passes, stretch.lanes, Some(32)).map_err(internal)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut key[..])
        .map_err(internal)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kdf_lines_round_trip_and_nothing_else_is_read() {
        let kdf = Kdf::Argon2id { stretch: Stretch::default(), salt: [7; 16] };
        assert_eq!(Kdf::parse(&kdf.to_string()), Some(kdf));
        assert_eq!(Kdf::parse("machine"), Some(Kdf::Machine));
        for text in
            ["", "none", "argon2id m=1 t=1 p=1", &format!("{kdf} more=1"), "argon2i m=1 t=1 p=1 salt="]
        {
            assert_eq!(Kdf::parse(text), None, "{text}");
        }
    }
}
