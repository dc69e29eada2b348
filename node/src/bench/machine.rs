use std::fs;
use std::path::Path;

use serde::Serialize;

/// What figures depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Machine {
    /// The processor.
    pub(crate) cpu: String,
    /// How many of its threads this process may use.
    pub(crate) cores: usize,
    /// Memory in MiB.
    pub(crate) memory_mib: u64,
    /// The kernel.
    pub(crate) kernel: String,
    /// The file system under the nodes' homes.
    pub(crate) file_system: String,
}

impl Machine {
    /// This one, with the file system that holds `dir`. What the system does not tell is `unknown`.
    pub(crate) fn this(dir: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, label: &str| {
            let line = text.lines().find(|line| line.starts_with(label))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let unknown = || "unknown".to_owned();
        let memory = after(&read("/proc/meminfo"), "MemTotal");
        let kib = memory.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Self {
            cpu: after(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: kib.unwrap_or_default() / 1_024,
            kernel: Some(read("/proc/sys/kernel/osrelease").trim().to_owned())
                .filter(|release| !release.is_empty())
                .unwrap_or_else(unknown),
            file_system: file_system(&read("/proc/self/mounts"), dir).unwrap_or_else(unknown),
        }
    }
}

/// The type of the file system whose mount point is the longest prefix of a path.
fn file_system(mounts: &str, dir: &Path) -> Option<String> {
    let mounted = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        dir.starts_with(point).then_some((point.len(), kind))
    });
    mounted.max_by_key(|(length, _)| *length).map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_system_is_that_of_the_longest_mount_point() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\ntmpfs /tmp2 ramfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/tmp/x/y")).as_deref(), Some("tmpfs"));
        assert_eq!(file_system(mounts, Path::new("/home/x")).as_deref(), Some("ext4"));
        assert_eq!(file_system("", Path::new("/home/x")), None);
    }
}
