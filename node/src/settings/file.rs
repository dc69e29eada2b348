use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::{fs, io};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Chosen, Key, Origin, SettingsError};

/// The newest version of the file's format; a file that names none is of this one.
pub(crate) const VERSION: i64 = 1;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1_024;

/// Whether a file is read because it lies there or because somebody named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// It may be missing, and must not be what another user could have written.
    Found,
    /// It must be there.
    Given,
}

/// Reads a file's settings; none if there is no file.
pub(crate) fn read(path: &Path, named: Named) -> Result<BTreeMap<Key, Chosen>, SettingsError> {
    let unreadable = |cause| SettingsError::Unreadable { path: path.to_owned(), cause };
    let mut file = match fs::metadata(path).and_then(|found| open(path, named, &found)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && named == Named::Found => {
            return Ok(BTreeMap::new());
        }
        Err(error) => return Err(unreadable(error)),
    };
    if named == Named::Found {
        // Of what was opened, whatever lies at the path by now; and of a link that leads there.
        trust(path, &file.metadata().map_err(unreadable)?)?;
        trust_owner(path, &fs::symlink_metadata(path).map_err(unreadable)?)?;
    }
    let mut text = String::new();
    file.by_ref().take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let cause = format!("more than {FILE_BYTES_MAX} bytes");
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, cause)));
    }
    parse(path, &text)
}

/// Opens a file; what only lies there must be a plain one, which need not be waited for.
fn open(path: &Path, named: Named, found: &fs::Metadata) -> io::Result<fs::File> {
    if named == Named::Found && !found.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    fs::File::open(path)
}

/// A file in the working directory decides where keys are and whom the node joins, so nobody else may have written it.
fn trust(path: &Path, metadata: &fs::Metadata) -> Result<(), SettingsError> {
    trust_owner(path, metadata)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o002 != 0 {
        let cause = format!("has mode {mode:04o}: every user can write it");
        return Err(SettingsError::Untrusted { path: path.to_owned(), cause });
    }
    Ok(())
}

fn trust_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), SettingsError> {
    let own = fs::metadata("/proc/self").map(|process| process.uid()).unwrap_or(0);
    if metadata.uid() != own && metadata.uid() != 0 {
        let cause = format!("belongs to user {}, not to {own}", metadata.uid());
        return Err(SettingsError::Untrusted { path: path.to_owned(), cause });
    }
    Ok(())
}

/// Reads the text of a file.
pub(crate) fn parse(path: &Path, text: &str) -> Result<BTreeMap<Key, Chosen>, SettingsError> {
    let at = |span: Range<usize>| {
        let before = text.get(..span.start).unwrap_or(text);
        Origin::File { path: path.to_owned(), line: before.matches('\n').count() + 1 }
    };
    let table = DeTable::parse(text).map_err(|error| SettingsError::Syntax {
        origin: at(error.span().unwrap_or(0..0)),
        cause: error.message().trim().to_owned(),
    })?;
    // What a later version knows is no mistake of this one's user.
    if let Some(version) = table.get_ref().get("version") {
        let found = version.get_ref();
        let number = found.as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        match number {
            Some(1..=VERSION) => {}
            Some(_) | None => {
                let found =
                    found.as_integer().map_or_else(|| "unknown".to_owned(), |n| n.as_str().to_owned());
                return Err(SettingsError::Newer { origin: at(version.span()), found });
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(table.get_ref(), "", &at, &mut found)?;
    Ok(found)
}

fn collect(
    table: &DeTable<'_>,
    prefix: &str,
    at: &impl Fn(Range<usize>) -> Origin,
    found: &mut BTreeMap<Key, Chosen>,
) -> Result<(), SettingsError> {
    for (word, value) in table {
        let name = format!("{prefix}{}", word.get_ref());
        let origin = at(word.span());
        if let Some(key) = Key::named(&name) {
            found.insert(key, Chosen { texts: texts(key, value, &origin)?, origin });
        } else if let DeValue::Table(inner) = value.get_ref()
            && (is_table(&name) || !inner.is_empty())
        {
            collect(inner, &format!("{name}."), at, found)?;
        } else if name != "version" {
            let nearest = Key::nearest(&name);
            return Err(SettingsError::Unknown { origin, name, nearest });
        }
    }
    Ok(())
}

/// Whether settings have names below this one.
fn is_table(name: &str) -> bool {
    Key::ALL.iter().any(|key| key.name().strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn texts(key: Key, value: &Spanned<DeValue<'_>>, origin: &Origin) -> Result<Vec<String>, SettingsError> {
    let wrong = |found: &DeValue<'_>| SettingsError::Shape {
        origin: origin.clone(),
        key,
        found: found.type_str(),
        expected: match key {
            key if key.is_list() => "an array of strings",
            key if key.is_switch() => "true or false",
            key if key.is_number() => "a whole number",
            _ => "a string",
        },
    };
    match value.get_ref() {
        DeValue::String(text) if !key.is_list() && !key.is_switch() && !key.is_number() => {
            Ok(vec![text.to_string()])
        }
        DeValue::Integer(number) if key.is_number() && number.radix() == 10 => {
            Ok(vec![number.as_str().to_owned()])
        }
        DeValue::Boolean(on) if key.is_switch() => Ok(vec![on.to_string()]),
        DeValue::Array(items) if key.is_list() => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned).ok_or_else(|| wrong(item.get_ref())))
            .collect(),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Array(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => Err(wrong(value.get_ref())),
    }
}
