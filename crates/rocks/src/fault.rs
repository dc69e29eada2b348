use std::io;

/// What a failed read or write means for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No space, or a quota is used up. May pass.
    DiskFull(String),
    /// The disk did not take or give the bytes. Does not pass: after a failed sync nothing is known of what was written.
    Io(String),
    /// What is on disk is not what was written.
    Corrupt(String),
}

impl From<rocksdb::Error> for Fault {
    fn from(error: rocksdb::Error) -> Self {
        let cause = error.into_string();
        // The C interface gives texts only: the operating system's own words tell the two apart.
        let full = ["No space left", "Disk quota exceeded", "NoSpace", "Space limit reached"];
        if full.iter().any(|words| cause.contains(words)) {
            Self::DiskFull(cause)
        } else if cause.starts_with("Corruption") || cause.contains("orruption:") {
            Self::Corrupt(cause)
        } else {
            Self::Io(cause)
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if full { Self::DiskFull(error.to_string()) } else { Self::Io(error.to_string()) }
    }
}

/// The first database file that a message of RocksDB names.
pub(crate) fn named_file(message: &str) -> Option<String> {
    message
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-'))
        .map(|word| word.trim_matches('.'))
        .find(|word| {
            let numbered = word.rsplit_once('.').is_some_and(|(number, kind)| {
                number.len() >= 6
                    && number.bytes().all(|b| b.is_ascii_digit())
                    && matches!(kind, "sst" | "log" | "ldb")
            });
            numbered || *word == "CURRENT" || (word.starts_with("MANIFEST-") && word.len() > 9)
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_messages() {
        let cases = [
            (
                "Corruption: block checksum mismatch: stored = 1, in /tmp/db/000012.sst offset 0",
                Some("000012.sst"),
            ),
            (
                "IO error: No such file or directory: while open a file: /d/db/000007.log: x",
                Some("000007.log"),
            ),
            ("Corruption: MANIFEST-000005 is short", Some("MANIFEST-000005")),
            ("Corruption: checksum mismatch", None),
        ];
        for (message, file) in cases {
            assert_eq!(named_file(message).as_deref(), file, "{message}");
        }
    }

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        let full = io::Error::from_raw_os_error(28);
        assert!(matches!(Fault::from(full), Fault::DiskFull(_)));
        let broken = io::Error::from_raw_os_error(5);
        assert!(matches!(Fault::from(broken), Fault::Io(_)));
    }
}
