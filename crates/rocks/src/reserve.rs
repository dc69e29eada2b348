use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt;

use crate::Options;

/// Space on the disk that is ours already, and the rule for when a commit may begin.
#[derive(Debug)]
pub(crate) struct Reserve {
    dir: PathBuf,
    path: PathBuf,
    bytes: u64,
    headroom: u64,
}

impl Reserve {
    pub(crate) fn new(dir: &Path, options: &Options) -> Self {
        let (bytes, headroom) = (options.reserve_bytes, options.headroom_bytes);
        Self { dir: dir.to_owned(), path: dir.join("reserve"), bytes, headroom }
    }

    /// Refuses a commit of so many bytes when fewer than those and the headroom are free.
    pub(crate) fn admit(&self, bytes: usize) -> Result<(), String> {
        if self.headroom == 0 {
            return Ok(());
        }
        let free = fs4::available_space(&self.dir).map_err(|cause| cause.to_string())?;
        let needed = self.headroom.saturating_add(bytes as u64);
        if free >= needed { Ok(()) } else { Err(format!("expected {needed} bytes free, found {free}")) }
    }

    /// Gives the space up, so that RocksDB can finish what it has begun.
    pub(crate) fn release(&self) {
        match fs::remove_file(&self.path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %cause, "reserve not given up");
            }
            _ => {}
        }
    }

    /// Takes the space back, if that leaves the headroom free. Says why not.
    pub(crate) fn restore(&self) -> Result<(), String> {
        let held = fs::metadata(&self.path).is_ok_and(|meta| meta.len() == self.bytes);
        if held || self.bytes == 0 {
            return self.admit(0);
        }
        self.admit(self.bytes as usize)?;
        self.allocate().map_err(|cause| {
            self.release();
            format!("{}: {cause}", self.path.display())
        })
    }

    fn allocate(&self) -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        match FileExt::allocate(&file, self.bytes) {
            Err(cause) if cause.kind() == io::ErrorKind::Unsupported => {
                let zeros = [0; 64 << 10];
                let mut left = self.bytes;
                while left > 0 {
                    let part = left.min(zeros.len() as u64);
                    file.write_all(&zeros[..part as usize])?;
                    left -= part;
                }
            }
            allocated => allocated?,
        }
        file.sync_all()
    }
}
