use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::file::{self, Named};
use super::key::nearest;
use super::{Chosen, Key, Origin, SettingsError};

/// The name of a configuration file.
const FILE: &str = "althing.toml";

/// The variable that names the configuration file.
const CONFIG: &str = "ALTHING_CONFIG";

/// Everything that settings are read from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// What flags say.
    pub(crate) flags: BTreeMap<Key, Vec<String>>,
    /// The file that `--config` names; an empty name: none is read.
    pub(crate) config: Option<PathBuf>,
    /// The environment.
    pub(crate) variables: BTreeMap<OsString, OsString>,
    /// Where the system's configuration is.
    pub(crate) system: PathBuf,
}

impl Sources {
    /// This process' environment, with these flags.
    pub(crate) fn new(flags: BTreeMap<Key, Vec<String>>, config: Option<PathBuf>) -> Self {
        Self { flags, config, variables: std::env::vars_os().collect(), system: "/etc/althing".into() }
    }

    /// The files that are read, those that win first.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Named)> {
        match self.config.clone().or_else(|| self.variables.get(&OsString::from(CONFIG)).map(PathBuf::from)) {
            Some(file) if file.as_os_str().is_empty() => Vec::new(),
            Some(file) => vec![(file, Named::Given)],
            None => {
                let user = self
                    .directory("XDG_CONFIG_HOME")
                    .or_else(|| self.directory("HOME").map(|home| home.join(".config")))
                    .map(|dir| dir.join("althing").join(FILE));
                [Some(FILE.into()), user, Some(self.system.join(FILE))]
                    .into_iter()
                    .flatten()
                    .map(|path| (path, Named::Found))
                    .collect()
            }
        }
    }

    /// Where the home is if nothing says so, by the XDG Base Directory specification.
    pub(crate) fn default_home(&self) -> Option<PathBuf> {
        self.directory("XDG_DATA_HOME")
            .or_else(|| self.directory("HOME").map(|home| home.join(".local/share")))
            .map(|data| data.join("althing"))
    }

    /// The settings that were made anywhere, each from the place that wins.
    pub(super) fn lay(&self) -> Result<BTreeMap<Key, Chosen>, SettingsError> {
        let mut laid = BTreeMap::new();
        // All are read, so that a mistake shows before it matters.
        for (path, named) in self.files().into_iter().rev() {
            laid.extend(file::read(&path, named)?);
        }
        laid.extend(self.read_variables()?);
        for (key, texts) in &self.flags {
            laid.insert(*key, Chosen { texts: texts.clone(), origin: Origin::Flag });
        }
        Ok(laid)
    }

    fn read_variables(&self) -> Result<BTreeMap<Key, Chosen>, SettingsError> {
        let mut found = BTreeMap::new();
        for (name, value) in &self.variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with("ALTHING_") && *name != CONFIG)
            else {
                continue;
            };
            let origin = Origin::Variable(name.to_owned());
            let Some(key) = Key::ALL.into_iter().find(|key| key.variable() == name) else {
                // Scripts have variables of their own; one that is nearly a setting is a slip.
                let rest = |name: &str| name.trim_start_matches("ALTHING_").to_owned();
                let known = Key::ALL.into_iter().map(|key| (key, rest(&key.variable())));
                if let Some(key) = nearest(&rest(name), known) {
                    return Err(SettingsError::Unknown { origin, name: name.to_owned(), nearest: Some(key) });
                }
                continue;
            };
            let Some(value) = value.to_str() else {
                let value = value.to_string_lossy().into_owned();
                return Err(SettingsError::Value { origin, key, value, cause: "expected UTF-8".to_owned() });
            };
            if value.is_empty() {
                continue;
            }
            let texts = if key.is_list() {
                value.split(',').map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
            } else {
                vec![value.to_owned()]
            };
            found.insert(key, Chosen { texts, origin });
        }
        Ok(found)
    }

    fn directory(&self, variable: &str) -> Option<PathBuf> {
        let value = self.variables.get(&OsString::from(variable))?;
        Some(Path::new(value).to_owned()).filter(|dir| dir.is_absolute())
    }
}
