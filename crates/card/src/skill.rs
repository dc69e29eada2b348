use std::fmt;
use std::str::FromStr;

/// Longest skill path in bytes.
const BYTES_MAX: usize = 128;

/// Most segments in a skill path.
const SEGMENTS_MAX: usize = 8;

/// A skill as a path from the general to the special, such as `text/translate/fr`: segments of lower-case ASCII
/// letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SkillPath(String);

/// Why a text is not a skill path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkillError {
    /// Nothing is left of it.
    #[error("skill is empty")]
    Empty,
    /// Too long.
    #[error("skill \"{0}…\" is longer than {BYTES_MAX} bytes or {SEGMENTS_MAX} segments")]
    TooLong(String),
    /// A character that paths do not have.
    #[error(
        "skill \"{text}\" has '{found}' at character {at}; expected a-z, 0-9, '-', '_', '.' and '/' between"
    )]
    Character {
        /// The text.
        text: String,
        /// The character.
        found: char,
        /// Its position, from 1.
        at: usize,
    },
}

impl SkillPath {
    /// The path that an A2A skill id stands for: in lower case, everything that paths do not have turned into `-`,
    /// empty segments dropped.
    ///
    /// # Errors
    /// When nothing is left, or it is too long.
    pub fn derive(id: &str) -> Result<Self, SkillError> {
        if id.len() > 4 * BYTES_MAX {
            return Err(too_long(id));
        }
        let plain: String = id
            .to_lowercase()
            .chars()
            .map(|char| if is_plain(char) || char == '/' { char } else { '-' })
            .collect();
        plain.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/").parse()
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path itself and every path above it, the longest first.
    pub fn with_ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        let cuts = self.0.match_indices('/').map(|(at, _)| at).rev();
        std::iter::once(self.0.len()).chain(cuts).map(|end| Self(self.0[..end].to_owned()))
    }

    /// Whether an agent with `skill` has what this path asks for: the skill itself or a special case of it.
    #[must_use]
    pub fn covers(&self, skill: &Self) -> bool {
        skill.0.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for SkillPath {
    type Err = SkillError;

    fn from_str(text: &str) -> Result<Self, SkillError> {
        if text.is_empty() {
            return Err(SkillError::Empty);
        }
        if text.len() > BYTES_MAX || text.split('/').count() > SEGMENTS_MAX {
            return Err(too_long(text));
        }
        let mut last = '/';
        for (index, found) in text.chars().chain(['/']).enumerate() {
            let at = index + 1;
            if !(is_plain(found) || found == '/' && last != '/') {
                return Err(SkillError::Character { text: text.to_owned(), found, at });
            }
            last = found;
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SkillPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain(char: char) -> bool {
    char.is_ascii_lowercase() || char.is_ascii_digit() || matches!(char, '-' | '_' | '.')
}

fn too_long(text: &str) -> SkillError {
    SkillError::TooLong(text.chars().take(40).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> SkillPath {
        text.parse().unwrap()
    }

    #[test]
    fn ids_become_paths() {
        for (id, expected) in [
            ("text/translate", "text/translate"),
            ("Text/Translate FR", "text/translate-fr"),
            ("/a//b/", "a/b"),
            ("route:optimizer", "route-optimizer"),
            ("übersetzen", "-bersetzen"),
        ] {
            assert_eq!(SkillPath::derive(id).unwrap().as_str(), expected);
        }
        assert_eq!(SkillPath::derive("//"), Err(SkillError::Empty));
        assert!(matches!(SkillPath::derive(&"a/".repeat(9)), Err(SkillError::TooLong(_))));
        assert!(matches!(SkillPath::derive(&"a".repeat(129)), Err(SkillError::TooLong(_))));
    }

    #[test]
    fn a_wrong_query_points_at_the_character() {
        let error = "text/Translate".parse::<SkillPath>().unwrap_err();
        assert!(error.to_string().contains("'T' at character 6"), "{error}");
        assert!("a//b".parse::<SkillPath>().is_err());
        assert!("a/".parse::<SkillPath>().is_err());
    }

    #[test]
    fn a_path_covers_itself_and_its_special_cases_only() {
        assert!(path("text").covers(&path("text/translate/fr")));
        assert!(path("text/translate").covers(&path("text/translate")));
        assert!(!path("text/trans").covers(&path("text/translate")));
        assert!(!path("text/translate/fr").covers(&path("text/translate")));
        let all: Vec<_> = path("a/b/c").with_ancestors().map(|path| path.to_string()).collect();
        assert_eq!(all, ["a/b/c", "a/b", "a"]);
    }
}
