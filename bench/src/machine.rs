//! Facts about the machine and the build, for the result file.
//!
//! They are read from `/proc`; what cannot be read is left out, because no measurement fails for
//! want of a label.

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::SystemTime;

/// Where and with what a result was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Processor model.
    pub cpu_model: Option<String>,
    /// Cores that this process may use.
    pub core_count: Option<usize>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Main memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Type of the file system that holds the work folder, as `ext4`.
    pub file_system: Option<String>,
    /// Whether that is memory and no disk.
    pub is_tmpfs: bool,
    /// Version of this program.
    pub version: String,
    /// The commit that it was built from, where `FRAZIL_COMMIT` said so at build time.
    pub commit: Option<String>,
    /// When the facts were read, in UTC.
    pub time: String,
}

impl Machine {
    /// Reads the facts; `directory` is where checkpoints go.
    #[must_use]
    pub fn read(directory: &Path) -> Self {
        let file_system = file_system_of(directory);
        Self {
            cpu_model: field("/proc/cpuinfo", "model name"),
            core_count: thread::available_parallelism().ok().map(usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .ok()
                .map(|release| release.trim().to_owned()),
            memory_bytes: field("/proc/meminfo", "MemTotal").and_then(|text| kibibytes(&text)),
            is_tmpfs: matches!(file_system.as_deref(), Some("tmpfs" | "ramfs")),
            file_system,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("FRAZIL_COMMIT").map(str::to_owned),
            time: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        }
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{} cores, {}, kernel {}, checkpoints on {}{}",
            self.core_count.unwrap_or(0),
            self.cpu_model.as_deref().unwrap_or("unknown processor"),
            self.kernel.as_deref().unwrap_or("unknown"),
            self.file_system
                .as_deref()
                .unwrap_or("an unknown file system"),
            if self.is_tmpfs {
                " (memory, no disk)"
            } else {
                ""
            },
        )
    }
}

/// The value of the first line `name : value`.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
}

fn kibibytes(text: &str) -> Option<u64> {
    text.strip_suffix(" kB")?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

/// The type of the file system that `directory` lies on, or will lie on once it is made.
fn file_system_of(directory: &Path) -> Option<String> {
    let absolute = std::path::absolute(directory).ok()?;
    let existing = absolute
        .ancestors()
        .find_map(|ancestor| ancestor.canonicalize().ok())?;
    file_system_in(&fs::read_to_string("/proc/self/mountinfo").ok()?, &existing)
}

/// Looks `path` up in the text of `mountinfo`: the deepest mount that holds it, the latest of
/// those that cover each other.
fn file_system_in(mounts: &str, path: &Path) -> Option<String> {
    mounts
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mount_point = PathBuf::from(unescaped(left.split(' ').nth(4)?));
            let depth = mount_point.components().count();
            path.starts_with(&mount_point)
                .then_some((depth, right.split(' ').next()?))
        })
        .max_by_key(|(depth, _)| *depth)
        .map(|(_, file_system)| file_system.to_owned())
}

/// The kernel writes the bytes that would break a line into words as three octal digits.
fn unescaped(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escape, plain)| {
        text.replace(escape, plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /tmp rw - tmpfs tmpfs rw
23 21 8:2 / /my\\040disk rw - ext3 /dev/sdb rw
24 21 8:3 / /my\\040disk rw - xfs /dev/sdc rw
";

    #[test]
    fn finds_the_deepest_and_latest_mount() {
        let of = |path: &str| file_system_in(MOUNTS, Path::new(path)).unwrap();
        assert_eq!(of("/home/me"), "ext4");
        assert_eq!(of("/tmp/a"), "tmpfs");
        assert_eq!(of("/tmpfoo"), "ext4");
        assert_eq!(of("/my disk/b"), "xfs");
        assert_eq!(file_system_in("", Path::new("/")), None);
    }

    #[test]
    fn folder_that_does_not_exist_yet_counts_as_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        let future = folder.path().join("not/yet");
        assert_eq!(file_system_of(&future), file_system_of(folder.path()));
    }

    #[test]
    fn reads_this_machine() {
        let machine = Machine::read(Path::new("."));
        assert!(machine.core_count.unwrap() > 0);
        assert!(machine.memory_bytes.unwrap() > 1 << 20);
        assert!(!machine.kernel.unwrap().is_empty());
        assert!(machine.time.ends_with('Z'), "{}", machine.time);
        assert_eq!(kibibytes("16 kB"), Some(16_384));
    }
}
