use std::str::FromStr;

use althing_record::cbor::Text;

/// Most bytes of a comment.
pub const COMMENT_BYTES_MAX: usize = 512;

/// What a user notes about a call: text that no terminal is confused by. It is kept with the call and sent to nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment(Text<COMMENT_BYTES_MAX>);

/// Why a text is no comment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommentError {
    /// It is too long.
    #[error("expected at most {COMMENT_BYTES_MAX} bytes, found {0}")]
    TooLong(usize),
    /// It has a control character, or one that changes the direction of what follows.
    #[error("expected no control characters, found {0:?}")]
    Control(char),
}

impl Comment {
    /// The text as it is kept.
    #[must_use]
    pub fn into_text(self) -> Text<COMMENT_BYTES_MAX> {
        self.0
    }
}

impl FromStr for Comment {
    type Err = CommentError;

    fn from_str(text: &str) -> Result<Self, CommentError> {
        let turns = |char: char| matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if let Some(char) = text.chars().find(|char| char.is_control() || turns(*char)) {
            return Err(CommentError::Control(char));
        }
        Text::try_from(text).map(Self).map_err(|_| CommentError::TooLong(text.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_bounded_and_plain() {
        let read = |text: &str| text.parse::<Comment>().map(|comment| comment.into_text().to_string());
        assert_eq!(read("gott, en hægt: \"90\""), Ok("gott, en hægt: \"90\"".to_owned()));
        let longest = "x".repeat(COMMENT_BYTES_MAX);
        assert_eq!(read(&longest), Ok(longest.clone()));
        assert_eq!(read(&(longest + "x")), Err(CommentError::TooLong(COMMENT_BYTES_MAX + 1)));
        for char in ['\n', '\u{1b}', '\u{7f}', '\u{85}', '\u{202e}', '\u{2066}'] {
            assert_eq!(read(&format!("a{char}b")), Err(CommentError::Control(char)));
        }
    }
}
