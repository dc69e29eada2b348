use std::fmt;
use std::str::FromStr;

/// Longest tag in bytes.
const BYTES_MAX: usize = 64;

/// Most tags of one card that count; further ones are for people only.
pub const TAGS_MAX: usize = 64;

/// A tag of an A2A skill, such as `lang:fr`: in lower case, without white space around it, 1 to 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

/// Why a text is not a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Nothing is left of it.
    #[error("tag is empty")]
    Empty,
    /// Too long.
    #[error("tag \"{0}…\" is longer than {BYTES_MAX} bytes")]
    TooLong(String),
    /// A control character.
    #[error("tag has a control character at character {0}")]
    Control(usize),
}

impl Tag {
    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        if text.len() > 4 * BYTES_MAX {
            return Err(too_long(text));
        }
        // One character at a time, so that what a tag begins with stays its beginning.
        let plain: String = text.trim().chars().flat_map(char::to_lowercase).collect();
        if plain.is_empty() {
            return Err(TagError::Empty);
        }
        if plain.len() > BYTES_MAX {
            return Err(too_long(&plain));
        }
        match text.chars().position(char::is_control) {
            Some(at) => Err(TagError::Control(at + 1)),
            None => Ok(Self(plain)),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn too_long(text: &str) -> TagError {
    TagError::TooLong(text.chars().take(40).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_normalised_or_refused() {
        assert_eq!(" Lang:FR ".parse::<Tag>().unwrap().as_str(), "lang:fr");
        assert_eq!("Machine Learning".parse::<Tag>().unwrap().as_str(), "machine learning");
        assert_eq!("x".repeat(64).parse::<Tag>().unwrap().as_str().len(), 64);
        assert!(matches!("x".repeat(65).parse::<Tag>(), Err(TagError::TooLong(_))));
        assert!(matches!(" ".repeat(257).parse::<Tag>(), Err(TagError::TooLong(_))));
        assert_eq!(" \t".parse::<Tag>(), Err(TagError::Empty));
        assert_eq!("a\0b".parse::<Tag>(), Err(TagError::Control(2)));
        // Lower case can be longer than what it was made of, and is never lowered further.
        let dotted = "İ".parse::<Tag>().unwrap();
        assert_eq!(dotted.as_str().parse(), Ok(dotted));
    }
}
