use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system in memory, unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one, with options such as `size=96m`, or says why that is not possible here.
    ///
    /// # Errors
    /// When this user, or this system, cannot mount.
    ///
    /// # Panics
    /// When the directory cannot be made.
    pub fn mount(at: &Path, options: &str) -> Result<Self, String> {
        std::fs::create_dir_all(at).expect("a directory can be made");
        let options = format!("mode=700,{options}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        let output = mounted.map_err(|error| format!("mount: {error}"))?;
        if output.status.success() {
            return Ok(Self(at.to_owned()));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let refused = ["superuser", "permission denied", "not permitted"];
        if refused.iter().any(|words| said.contains(words)) {
            return Err("mounting a small tmpfs needs root".to_owned());
        }
        Err(said.trim().to_owned())
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
