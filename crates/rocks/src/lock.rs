use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use fs4::fs_std::FileExt;

use crate::{Holder, OpenError};

pub(crate) const LOCK_FILE: &str = "lock";

/// The exclusive hold on a data directory; given back when dropped, or when the process ends in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(LOCK_FILE);
        let unusable = |cause| OpenError::Unusable { path: path.clone(), cause };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        if !FileExt::try_lock_exclusive(&file).map_err(unusable)? {
            let mut text = String::new();
            let read = file.take(20).read_to_string(&mut text).ok();
            let holder = read.and_then(|_| Holder::named(&path, text.trim()));
            return Err(OpenError::Locked { dir: dir.to_owned(), holder });
        }
        // The id only serves the message above, so a full disk must not keep the directory shut.
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        if let Err(cause) = written {
            tracing::warn!(path = %path.display(), %cause, "process id not noted in the lock file");
        }
        Ok(Self { _file: file })
    }
}
