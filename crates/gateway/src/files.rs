//! The files by which clients find the gateway.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use crate::StartError;

/// Longest path of a Unix socket on Linux: 108 bytes with the final NUL (unix(7)).
pub(crate) const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The API token.
pub(crate) fn token(home: &Path) -> PathBuf {
    home.join("api.token")
}

/// The Unix socket.
pub(crate) fn socket(home: &Path) -> PathBuf {
    home.join("api.sock")
}

/// The TCP address.
pub(crate) fn address(home: &Path) -> PathBuf {
    home.join("api.addr")
}

/// Makes the home if it is absent, or checks that nobody else can look into it.
pub(crate) fn private_home(home: &Path) -> Result<(), StartError> {
    let unusable = |source| StartError::Home { path: home.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(unusable)?;
    let mode = fs::metadata(home).map_err(unusable)?.mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(StartError::HomeOpen { path: home.to_owned(), mode }) }
}

/// Checks that the socket's path is one that a socket can have.
pub(crate) fn admit_socket_path(path: &Path) -> Result<(), StartError> {
    let bytes = path.as_os_str().as_bytes().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        return Err(StartError::SocketPath { path: path.to_owned(), bytes });
    }
    Ok(())
}

/// Binds the socket with mode 0600. A socket file on which nobody answers is replaced.
pub(crate) async fn bind_socket(path: &Path) -> Result<(UnixListener, Owned), StartError> {
    admit_socket_path(path)?;
    let failed = |source| StartError::Socket { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(StartError::NotASocket { path: path.to_owned() });
        }
        Ok(_) if answers(path).await => return Err(StartError::SocketInUse { path: path.to_owned() }),
        Ok(_) => fs::remove_file(path).map_err(failed)?,
    }
    let listener = UnixListener::bind(path).map_err(|source| {
        if source.kind() == io::ErrorKind::AddrInUse {
            StartError::SocketInUse { path: path.to_owned() }
        } else {
            failed(source)
        }
    })?;
    let owned = Owned::of(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok((listener, owned))
}

/// Writes the TCP address, so that a reader finds all of it or nothing.
pub(crate) fn write_address(path: &Path, address: SocketAddr) -> Result<Owned, StartError> {
    let aside = path.with_extension(format!("addr.{}.tmp", std::process::id()));
    let write = || {
        let _ = fs::remove_file(&aside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        writeln!(file, "{address}")?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        Owned::of(path)
    };
    write().map_err(|source| StartError::AddressFile { path: path.to_owned(), source })
}

/// A file of this gateway, removed when dropped unless another has taken its name.
#[derive(Debug)]
pub(crate) struct Owned {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Owned {
    fn of(path: &Path) -> io::Result<Self> {
        let meta = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), device: meta.dev(), inode: meta.ino() })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == (self.device, self.inode));
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a file of the local API");
        }
    }
}

/// Whether somebody listens on the socket. When in doubt, yes: it is not ours to remove.
async fn answers(path: &Path) -> bool {
    match tokio::time::timeout(Duration::from_secs(1), UnixStream::connect(path)).await {
        Ok(Err(error)) => !matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound),
        Ok(Ok(_)) | Err(_) => true,
    }
}
