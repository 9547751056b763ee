//! The file system and the disk that checkpoints go to.

use super::finding::Finding;
use crate::limits::RawDisk;
use crate::machine::Machine;
use crate::measure_error::MeasureError;
use crate::text::units::{Unit, duration};
use std::path::Path;
use std::time::Duration;

const SYNC_MAX: Duration = Duration::from_millis(5);
const BYTES_PER_SECOND_MIN: f64 = (100 << 20) as f64;
const FREE_BYTES_MIN: u64 = 4 << 30;

/// Whether what is synced there survives a power loss, and quickly.
pub(super) fn file_system(machine: &Machine, directory: &Path) -> Finding {
    let shown = directory.display();
    let Some(name) = machine.file_system.as_deref() else {
        return Finding::ok("file system", "not shown");
    };
    let found = format!("{name} at {shown}");
    let warn = |why: &str| {
        let fix = "name a folder on a local disk (ext4 or xfs) with `--dir DIR`";
        Finding::warn("file system", format!("{found}: {why}"), fix)
    };
    match name {
        "tmpfs" | "ramfs" => warn("memory, not a disk; checkpoints do not survive a restart"),
        "overlay" | "aufs" => warn("a container's own layer, gone with it; mount a volume"),
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "virtiofs" | "ceph" => {
            warn("over a network or from a host; syncs are slow and promise less")
        }
        _ if name.starts_with("fuse") => warn("in user space; syncs are slow"),
        "btrfs" | "zfs" | "bcachefs" => {
            warn("copies on write; syncs take longer than on ext4 or xfs")
        }
        _ => Finding::ok("file system", found),
    }
}

/// Whether there is room for a base, a chain and the next base.
pub(super) fn free_space(free_bytes: Option<u64>) -> Finding {
    let Some(free_bytes) = free_bytes else {
        return Finding::ok("disk space", "not shown");
    };
    let found = format!("{} free", Unit::Bytes.text(free_bytes));
    if free_bytes >= FREE_BYTES_MIN {
        return Finding::ok("disk space", found);
    }
    Finding::warn(
        "disk space",
        format!("{found}: checkpoints take several times the state"),
        "free some space, or name another disk with `--dir DIR`",
    )
}

/// Whether writing and syncing work, and how fast.
pub(super) fn speed(measured: &Result<RawDisk, MeasureError>) -> Finding {
    let raw = match measured {
        Ok(raw) => raw,
        Err(error) => {
            let fix = "name a folder that can be written with `--dir DIR`";
            return Finding::fail("disk", error.to_string(), fix);
        }
    };
    let sync = Duration::from_secs_f64(raw.sync_seconds);
    let found = format!(
        "{}/s written and synced, {} for a small sync",
        Unit::Bytes.text(whole(raw.bytes_per_second)),
        duration(sync)
    );
    if sync > SYNC_MAX || raw.bytes_per_second < BYTES_PER_SECOND_MIN {
        let fix = "use a local NVMe disk with `--dir DIR`, or a longer checkpoint interval";
        return Finding::warn(
            "disk",
            format!("{found}: checkpoints take that long to be durable"),
            fix,
        );
    }
    Finding::ok("disk", found)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from f64 ends at the largest u64"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn only_local_disks_are_trusted() {
        let mut machine = Machine::read(Path::new("."));
        let mut of = |name: &str| {
            machine.file_system = Some(name.to_owned());
            file_system(&machine, Path::new("/data")).status
        };
        for name in ["ext4", "xfs", "ext3"] {
            assert_eq!(of(name), Status::Ok, "{name}");
        }
        for name in ["tmpfs", "overlay", "nfs4", "fuse.sshfs", "zfs"] {
            assert_eq!(of(name), Status::Warn, "{name}");
        }
    }

    #[test]
    fn slow_disks_warn_and_refusing_ones_fail() {
        let raw = |bytes_per_second, sync_seconds| {
            Ok(RawDisk {
                bytes_per_second,
                sync_seconds,
            })
        };
        assert_eq!(speed(&raw(1e9, 0.0003)).status, Status::Ok);
        assert_eq!(speed(&raw(1e9, 0.02)).status, Status::Warn);
        assert_eq!(speed(&raw(1e7, 0.0003)).status, Status::Warn);
        let refused = MeasureError::file("create", "/proc/no")(std::io::ErrorKind::NotFound.into());
        let failed = speed(&Err(refused));
        assert!(failed.status == Status::Fail && failed.found.contains("/proc/no"));
    }

    #[test]
    fn little_room_warns() {
        assert_eq!(free_space(Some(1 << 30)).status, Status::Warn);
        assert_eq!(free_space(Some(1 << 40)).status, Status::Ok);
        assert_eq!(free_space(None).status, Status::Ok);
    }
}
