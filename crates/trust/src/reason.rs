use std::fmt;

/// Longest reason in bytes.
pub const REASON_BYTES_MAX: usize = 256;

/// A few words for people about an answer: UTF-8 without control characters, at most 256 bytes, maybe none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// The beginning of a text, as far as whole characters fit, with a space for each control character.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut reason = String::new();
        for char in text.chars() {
            let char = if char.is_control() { ' ' } else { char };
            if reason.len() + char.len_utf8() > REASON_BYTES_MAX {
                break;
            }
            reason.push(char);
        }
        Self(reason)
    }

    /// Reads a reason that travelled; none if it is not one.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        (text.len() <= REASON_BYTES_MAX && !text.contains(char::is_control)).then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_cut_between_characters_and_have_no_control_characters() {
        let long = Reason::new(&"ä".repeat(200));
        assert_eq!((long.as_str().len(), long.as_str().chars().count()), (256, 128));
        assert_eq!(Reason::new("x".repeat(255).as_str().to_owned().as_str()).as_str().len(), 255);
        assert_eq!(Reason::new(&format!("{}ä", "x".repeat(255))).as_str().len(), 255);
        assert_eq!(Reason::new("a\n\u{1b}[31mb").as_str(), "a  [31mb");
    }

    #[test]
    fn what_travels_otherwise_is_no_reason() {
        assert_eq!(Reason::read(b"fine"), Some(Reason::new("fine")));
        assert_eq!(Reason::read(b""), Some(Reason::default()));
        assert_eq!(Reason::read(b"a\nb"), None);
        assert_eq!(Reason::read(b"\xff"), None);
        assert_eq!(Reason::read(&[b'x'; REASON_BYTES_MAX + 1]), None);
    }
}
