use std::io;
use std::path::PathBuf;

use super::file::VERSION;
use super::{Key, Origin};

/// What is wrong with the settings, and where.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file that others could have written would be obeyed.
    #[error("{}: {cause}", path.display())]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Who could.
        cause: String,
    },
    /// A file is no TOML.
    #[error("{origin}: {cause}")]
    Syntax {
        /// The place.
        origin: Origin,
        /// What was expected.
        cause: String,
    },
    /// A file is of a later version of this program.
    #[error("{origin}: configuration version {found}, expected at most {VERSION}")]
    Newer {
        /// The place.
        origin: Origin,
        /// Its version.
        found: String,
    },
    /// There is no such setting.
    #[error("{origin}: unknown setting \"{name}\"")]
    Unknown {
        /// The place.
        origin: Origin,
        /// What was found.
        name: String,
        /// The known one that is most like it.
        nearest: Option<Key>,
    },
    /// A setting has another shape than it should.
    #[error("{origin}: {key} is {found}, expected {expected}")]
    Shape {
        /// The place.
        origin: Origin,
        /// The setting.
        key: Key,
        /// The shape that it has.
        found: &'static str,
        /// The shape that it should have.
        expected: &'static str,
    },
    /// A value makes no sense.
    #[error("{origin}: {key} = \"{value}\": {cause}")]
    Value {
        /// The place.
        origin: Origin,
        /// The setting.
        key: Key,
        /// The value.
        value: String,
        /// What was expected.
        cause: String,
    },
    /// One of a pair is missing.
    #[error("{origin}: {given} is set and {missing} is not")]
    Lonely {
        /// Where the one that is set is.
        origin: Origin,
        /// It.
        given: Key,
        /// The other.
        missing: Key,
    },
    /// Nothing says where the home is.
    #[error("neither HOME nor XDG_DATA_HOME names a directory")]
    NoHome,
}

impl SettingsError {
    /// The next step.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Unreadable { cause, .. } if cause.kind() == io::ErrorKind::NotFound => {
                "check --config and ALTHING_CONFIG".to_owned()
            }
            Self::Unreadable { .. } => "let this user read it, or name another with --config".to_owned(),
            Self::Untrusted { path, .. } => {
                format!("if it is meant, say so with --config {}", path.display())
            }
            Self::Syntax { .. } => {
                "`althing config show --config \"\"` prints a file that is right".to_owned()
            }
            Self::Newer { .. } => "use the version of althing that it was written for".to_owned(),
            Self::Unknown { nearest: Some(key), origin: Origin::Variable(_), .. } => {
                format!("did you mean {}?", key.variable())
            }
            Self::Unknown { nearest: Some(key), .. } => format!("did you mean {key}?"),
            Self::Unknown { nearest: None, .. } | Self::Shape { .. } | Self::Value { .. } => {
                "`althing config show --config \"\"` lists the settings".to_owned()
            }
            Self::Lonely { missing, .. } => format!("set {missing} too; TLS needs both"),
            Self::NoHome => "say where with --home DIR or ALTHING_HOME".to_owned(),
        }
    }
}
