use std::fmt;

use url::Url;

/// Longest request target in bytes.
pub const TARGET_BYTES_MAX: usize = 8 * 1_024;

/// How often a target may be encoded on top of its encoding; more is refused.
const ENCODINGS_MAX: usize = 4;

/// The path of an exposed origin, below which requests stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasePath(String);

/// Why a request is not passed on to an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Longer than 8 KiB.
    #[error("target has {found} bytes, at most {TARGET_BYTES_MAX} are allowed")]
    TooLong {
        /// How long it is.
        found: usize,
    },
    /// There is none.
    #[error("target is empty")]
    Empty,
    /// CONNECT, which asks for a tunnel to anywhere.
    #[error("method CONNECT asks for another host")]
    Connect,
    /// A whole URL.
    #[error("target is in absolute form and names a host")]
    AbsoluteForm,
    /// A host and a port, or anything else that is no path.
    #[error("target is not a path")]
    AuthorityForm,
    /// `*`.
    #[error("target is \"*\", the server as a whole")]
    Asterisk,
    /// `.` or `..`, plain or encoded.
    #[error("target contains a dot segment")]
    DotSegment,
    /// `//`, plain or encoded.
    #[error("target contains an empty segment")]
    EmptySegment,
    /// `\`, plain or encoded.
    #[error("target contains a backslash")]
    Backslash,
    /// A control character, a space or a byte beyond ASCII; in the path also if encoded.
    #[error("target contains a character that targets do not have")]
    Character,
    /// `%` without two hex digits.
    #[error("target contains a broken percent-encoding")]
    Encoding,
    /// `#`, which is for the client alone.
    #[error("target contains a fragment")]
    Fragment,
    /// A parameter that the exposed URL has too: servers differ in which of the two counts.
    #[error("target sets a parameter of the exposed URL anew")]
    Parameter,
}

/// The query of a request on the origin: that of the exposed URL stays, and that of the request follows it.
///
/// # Errors
/// When the request names a parameter that the exposed URL has, in whatever spelling.
pub fn join_queries(own: Option<&str>, asked: Option<&str>) -> Result<Option<String>, TargetError> {
    let (Some(own), Some(asked)) = (own, asked) else {
        return Ok(own.or(asked).map(ToOwned::to_owned));
    };
    let fixed = parameters(own)?;
    if parameters(asked)?.iter().any(|name| fixed.contains(name)) {
        return Err(TargetError::Parameter);
    }
    Ok(Some(format!("{own}&{asked}")))
}

/// The names of a query's parameters as the most lenient of servers reads them: in any case, decoded to the end, without
/// what marks them as parts of a list or a map.
fn parameters(query: &str) -> Result<Vec<Vec<u8>>, TargetError> {
    let mut names = Vec::new();
    for parameter in query.split(['&', ';', '?']) {
        let mut name = parameter.split('=').next().unwrap_or_default().as_bytes().to_vec();
        for round in 0.. {
            let decoded = decode(&name)?;
            if decoded == name {
                break;
            }
            if round == ENCODINGS_MAX {
                return Err(TargetError::Encoding);
            }
            name = decoded;
        }
        let end = name.iter().position(|byte| matches!(byte, b'[' | b'.')).unwrap_or(name.len());
        names.push(name[..end].trim_ascii().to_ascii_lowercase());
    }
    Ok(names)
}

impl BasePath {
    /// The path that a URL has. Its query is not part of it.
    #[must_use]
    pub fn of(url: &Url) -> Self {
        Self(url.path().to_owned())
    }

    /// The target on the origin of a request for `target`: the base itself for `/`, and what is below it for anything else.
    /// The query goes along.
    ///
    /// Nothing is decoded and passed on: a target that a server could take for one outside of the base is refused, however
    /// often it is encoded.
    ///
    /// # Errors
    /// By the form, or the first part, that is not let through.
    pub fn on_origin(&self, method: &str, target: &str) -> Result<String, TargetError> {
        if method.eq_ignore_ascii_case("CONNECT") {
            return Err(TargetError::Connect);
        }
        if target.len() > TARGET_BYTES_MAX {
            return Err(TargetError::TooLong { found: target.len() });
        }
        check_form(target)?;
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TargetError::Character);
        }
        if target.contains('#') {
            return Err(TargetError::Fragment);
        }
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        check_path(path.as_bytes())?;
        decode(query.unwrap_or_default().as_bytes())?;
        let below =
            if path == "/" { self.0.clone() } else { format!("{}{path}", self.0.trim_end_matches('/')) };
        Ok(match query {
            Some(query) => format!("{below}?{query}"),
            None => below,
        })
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Origin-form is the only one (RFC 9112, section 3.2).
fn check_form(target: &str) -> Result<(), TargetError> {
    if target.is_empty() {
        Err(TargetError::Empty)
    } else if target == "*" {
        Err(TargetError::Asterisk)
    } else if target.starts_with('/') {
        Ok(())
    } else if target.contains("://") {
        Err(TargetError::AbsoluteForm)
    } else {
        Err(TargetError::AuthorityForm)
    }
}

/// Looks at a path as it is, and decoded, until nothing is left to decode.
fn check_path(path: &[u8]) -> Result<(), TargetError> {
    let mut path = path.to_vec();
    for _ in 0..=ENCODINGS_MAX {
        check_decoded(&path)?;
        let decoded = decode(&path)?;
        if decoded == path {
            return Ok(());
        }
        path = decoded;
    }
    Err(TargetError::Encoding)
}

fn check_decoded(path: &[u8]) -> Result<(), TargetError> {
    if path.iter().any(u8::is_ascii_control) {
        return Err(TargetError::Character);
    }
    if path.contains(&b'\\') {
        return Err(TargetError::Backslash);
    }
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(TargetError::EmptySegment);
        }
        // Some servers drop what follows a semicolon before they look for dots.
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        if matches!(name, b"." | b"..") {
            return Err(TargetError::DotSegment);
        }
    }
    Ok(())
}

/// Takes one layer of percent-encoding off. Behind the first layer a `%` may stand for itself.
fn decode(bytes: &[u8]) -> Result<Vec<u8>, TargetError> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).expect("two hex digits"));
                at += 3;
            }
            (b'%', _, _) => return Err(TargetError::Encoding),
            (other, _, _) => {
                decoded.push(*other);
                at += 1;
            }
        }
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests;
