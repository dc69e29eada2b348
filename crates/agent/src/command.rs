use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{Access, access};

/// Longest command line, in bytes.
const LINE_BYTES_MAX: usize = 64 * 1_024;

/// A program and its arguments. The line is split as a shell splits words, with quotes and backslashes; there is no shell,
/// so nothing is expanded, piped or redirected. The program is looked for in `PATH` once, when the line is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    line: String,
    program: PathBuf,
    arguments: Vec<String>,
}

impl Command {
    /// The line as it was given.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The program's file.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }
}

impl FromStr for Command {
    type Err = CommandError;

    fn from_str(line: &str) -> Result<Self, CommandError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(CommandError::TooLong);
        }
        if line.contains('\0') {
            return Err(CommandError::Nul);
        }
        let mut words = shlex::split(line).ok_or(CommandError::Unclosed)?.into_iter();
        let name = words.next().filter(|name| !name.is_empty()).ok_or(CommandError::Empty)?;
        Ok(Self { line: line.to_owned(), program: find(&name)?, arguments: words.collect() })
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// The file that a program's name stands for.
fn find(name: &str) -> Result<PathBuf, CommandError> {
    if name.contains('/') {
        let path = std::path::absolute(name).map_err(|_| CommandError::NoFile { path: name.into() })?;
        return match (path.is_file(), is_executable(&path)) {
            (true, true) => Ok(path),
            (true, false) => Err(CommandError::NotExecutable { path }),
            (false, _) => Err(CommandError::NoFile { path }),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let candidates = std::env::split_paths(&folders).filter(|folder| folder.is_absolute());
    let found = candidates.map(|folder| folder.join(name)).find(|path| path.is_file() && is_executable(path));
    found.ok_or_else(|| CommandError::NotInPath { program: name.to_owned() })
}

fn is_executable(path: &Path) -> bool {
    access(path, Access::EXEC_OK).is_ok()
}

/// Why a line is no command. Nothing was run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is nothing to run.
    #[error("the command is empty")]
    Empty,
    /// The line is too long.
    #[error("the command has more than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// No argument can hold a NUL.
    #[error("the command has a NUL in it")]
    Nul,
    /// A quote has no other end, or a backslash nothing after it.
    #[error("the command has a quote that is not closed")]
    Unclosed,
    /// No folder in `PATH` has it.
    #[error("there is no program {program:?} in PATH")]
    NotInPath {
        /// Its name.
        program: String,
    },
    /// It is not there.
    #[error("there is no file {path:?}")]
    NoFile {
        /// Its path.
        path: PathBuf,
    },
    /// It may not be run.
    #[error("{path:?} may not be executed")]
    NotExecutable {
        /// Its path.
        path: PathBuf,
    },
}

impl CommandError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Empty => "such as: --exec 'tr a-z A-Z'".to_owned(),
            Self::TooLong => "put it into a script, and give the script's path".to_owned(),
            Self::Nul => "leave the NUL out".to_owned(),
            Self::Unclosed => "a word with spaces is quoted on both sides: --exec 'grep \"a b\"'".to_owned(),
            Self::NotInPath { .. } => {
                "install it, or give its whole path; what the shell itself does, such as a pipe, needs a script"
                    .to_owned()
            }
            Self::NoFile { .. } => "a path with a slash is taken from the present folder".to_owned(),
            Self::NotExecutable { path } => format!("chmod +x {}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn error(line: &str) -> CommandError {
        line.parse::<Command>().unwrap_err()
    }

    #[test]
    fn a_line_is_split_as_a_shell_splits_it_and_expands_nothing() {
        let command: Command = r#"  tr "a b" 'c"d' e\ f $HOME * "" "#.parse().unwrap();
        assert_eq!(command.arguments(), ["a b", "c\"d", "e f", "$HOME", "*", ""]);
        assert!(command.program().is_absolute());
        assert_eq!(command.program().file_name().unwrap(), "tr");
        assert_eq!(command.line().parse::<Command>().unwrap(), command);
    }

    #[test]
    fn a_line_that_cannot_be_run_is_refused_with_a_hint() {
        assert_eq!(error("  "), CommandError::Empty);
        assert_eq!(error("''"), CommandError::Empty);
        assert_eq!(error("tr 'a"), CommandError::Unclosed);
        assert_eq!(error("tr a\0"), CommandError::Nul);
        assert_eq!(error(&"a".repeat(LINE_BYTES_MAX + 1)), CommandError::TooLong);
        let missing = error("althing-no-such-program --version");
        assert_eq!(missing.to_string(), "there is no program \"althing-no-such-program\" in PATH");
        assert!(missing.hint().contains("whole path"));
        assert!(matches!(error("./no/such/file"), CommandError::NoFile { path } if path.is_absolute()));
        assert!(matches!(error("/"), CommandError::NoFile { .. }));
    }

    #[test]
    fn a_file_that_may_not_be_executed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent");
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        let line = path.to_str().unwrap();
        let refused = error(line);
        assert_eq!(refused, CommandError::NotExecutable { path: path.clone() });
        assert_eq!(refused.hint(), format!("chmod +x {line}"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(line.parse::<Command>().unwrap().program(), path);
    }
}
