use althing_record::Digest;
use sha2::{Digest as _, Sha256};

/// Longest head of an HTTP request in the tunnel, in bytes.
pub const HEAD_BYTES_MAX: usize = 64 * 1_024;

/// Where the head of an HTTP/1.1 message ends: behind the first empty line. None if it is not all there.
#[must_use]
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// What a [`crate::Call`] says of its request: SHA-256 of the head, from the method to the empty line, as it travels.
#[must_use]
pub fn request_head_hash(head: &[u8]) -> Digest {
    Digest(Sha256::digest(head).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_ends_behind_the_first_empty_line() {
        assert_eq!(head_end(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\r\n\r\n"), Some(27));
        assert_eq!(head_end(b"GET / HTTP/1.1\r\nHost: a\r\n\r"), None);
        assert_eq!(head_end(b"GET / HTTP/1.1\n\n"), None, "bare line feeds end nothing");
        assert_eq!(head_end(b""), None);
    }
}
