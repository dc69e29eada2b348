use std::fmt;

use zeroize::Zeroizing;

/// What opens the sealed keys of a directory. The same kind that created them must open them.
pub enum Unlock {
    /// A passphrase, stretched with argon2id.
    Passphrase(Zeroizing<String>),
    /// The random secret in `machine.secret` beside the keys. As strong as the permissions of that file, no stronger:
    /// it keeps a copied single key file useless, not a copied directory.
    Machine,
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase(secret)",
            Self::Machine => "Machine",
        })
    }
}
