//! An agent's key: another one in its place, which the node makes, and its shares. Those commands open the keystore themselves,
//! and need no node.

mod files;
mod restore;
mod rotate;
mod split;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use althing_keystore::{Keystore, KeystoreError, Part, Unlock};

use self::rotate::rotate;
use super::args;
use super::failure::{Exit, Failure};
use super::page::{Page, Screen};
use super::session::Session;
use crate::daemon;
use crate::settings::{Settings, Sources};

pub(crate) fn key(
    command: args::KeyCommand,
    session: &Session,
    sources: &Sources,
    screen: Screen,
) -> Result<Page, Failure> {
    let place =
        Place { home: session.home()?.to_owned(), passphrase_file: Settings::read(sources)?.passphrase_file };
    match command {
        args::KeyCommand::Rotate { agent } => session.ask(rotate(&agent, session)),
        args::KeyCommand::Split { agent, threshold, shares, recovery, out } => {
            let wish = split::Wish { agent, threshold, shares, recovery, out };
            split::split(&wish, &place, session.home_flag(), screen)
        }
        args::KeyCommand::Restore { files, name } => {
            restore::restore(&files, name.as_deref(), &place, session.home_flag())
        }
    }
}

/// Where the keys are, and what opens them.
struct Place {
    home: PathBuf,
    passphrase_file: Option<PathBuf>,
}

impl Place {
    fn keys(&self) -> PathBuf {
        self.home.join("keys")
    }

    /// The keys, if there are any.
    fn open(&self) -> Result<Option<Keystore>, Failure> {
        Keystore::open(&self.keys(), self.unlock()?).map_err(|error| unopened(&error))
    }

    fn unlock(&self) -> Result<Unlock, Failure> {
        daemon::home::unlock(self.passphrase_file.as_deref())
            .map_err(|error| Failure::new(Exit::Failed, &error).hint(error.hint()))
    }
}

fn unopened(error: &KeystoreError) -> Failure {
    Failure::new(Exit::Failed, error).hint(error.hint())
}

/// A key as documents for programs name it.
fn word(part: Part) -> &'static str {
    match part {
        Part::Signing => "signing",
        Part::Recovery => "recovery",
    }
}
