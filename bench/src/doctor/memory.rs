//! Memory: room, huge pages, swap, overcommit, and how much may be locked.

use super::finding::Finding;
use super::quota::memory_limit_bytes;
use super::system::System;
use crate::text::units::Unit;

const HUGE: &str = "sys/kernel/mm/transparent_hugepage";

/// Below this not even a small state has room.
const MEMORY_BYTES_FAIL: u64 = 256 << 20;
const MEMORY_BYTES_WARN: u64 = 2 << 30;
/// What glommio demands for each shard where locked memory is counted, once where it is not.
const MEMLOCK_BYTES_PER_SHARD: u64 = 512 << 10;
const CAP_IPC_LOCK: u64 = 1 << 14;
/// Pages are swapped out only when nothing else is left.
const SWAPPINESS_MAX: u64 = 1;

/// Whether there is room for state.
pub(super) fn room(system: &System) -> Finding {
    let available = kibibytes(system, "proc/meminfo", "MemAvailable:");
    let limit = memory_limit_bytes(system);
    let Some(bytes) = available.into_iter().chain(limit).min() else {
        return Finding::ok("memory", "not shown");
    };
    let found = format!("{} can be had", Unit::Bytes.text(bytes));
    let fix = "stop other programs, or give the container more (`docker run --memory 4g`)";
    if bytes < MEMORY_BYTES_FAIL {
        Finding::fail("memory", found, fix)
    } else if bytes < MEMORY_BYTES_WARN {
        Finding::warn("memory", format!("{found}: small states only"), fix)
    } else {
        Finding::ok("memory", found)
    }
}

/// Whether state that asks for huge pages gets them.
pub(super) fn huge_pages(system: &System) -> Finding {
    let Some(enabled) = system.text(&format!("{HUGE}/enabled")) else {
        return Finding::warn(
            "huge pages",
            "this kernel has none: random access to large states is about twice as slow",
            "boot a kernel with CONFIG_TRANSPARENT_HUGEPAGE=y",
        );
    };
    match chosen(&enabled) {
        Some("never") => Finding::warn(
            "huge pages",
            "never: random access to large states is about twice as slow",
            format!("echo madvise | sudo tee /{HUGE}/enabled"),
        ),
        Some(word) => Finding::ok(
            "huge pages",
            format!("{word}: given to state, which asks for them"),
        ),
        None => Finding::ok("huge pages", "not shown"),
    }
}

/// The word in brackets.
fn chosen(text: &str) -> Option<&str> {
    Some(text.split_once('[')?.1.split_once(']')?.0)
}

/// Whether state may be written to a swap file in the middle of the work.
pub(super) fn swap(system: &System) -> Finding {
    let total = kibibytes(system, "proc/meminfo", "SwapTotal:").unwrap_or(0);
    if total == 0 {
        return Finding::ok("swap", "none");
    }
    let swappiness = system.number("proc/sys/vm/swappiness").unwrap_or(60);
    let found = format!(
        "{} with vm.swappiness={swappiness}",
        Unit::Bytes.text(total)
    );
    if swappiness <= SWAPPINESS_MAX {
        return Finding::ok("swap", format!("{found}: used only in need"));
    }
    Finding::warn(
        "swap",
        format!(
            "{found}: state that is not used for a while is read back from disk, record by record"
        ),
        "sudo swapoff -a, or `sudo sysctl -w vm.swappiness=1`",
    )
}

/// Whether memory may be reserved ahead of its use.
pub(super) fn overcommit(system: &System) -> Finding {
    match system.number("proc/sys/vm/overcommit_memory") {
        Some(2) => Finding::warn(
            "overcommit",
            "vm.overcommit_memory=2: a shard's whole budget counts as used when it starts",
            "sudo sysctl -w vm.overcommit_memory=0, or smaller state budgets",
        ),
        Some(other) => Finding::ok("overcommit", format!("vm.overcommit_memory={other}")),
        None => Finding::ok("overcommit", "not shown"),
    }
}

/// Whether all shards may lock what their io_uring needs; `limit_bytes` is none where unlimited.
pub(super) fn memlock(system: &System, limit_bytes: Option<u64>, cpu_count: usize) -> Finding {
    let Some(limit_bytes) = limit_bytes else {
        return Finding::ok("memlock", "unlimited");
    };
    let capabilities = system.field("proc/self/status", "CapEff:");
    let capabilities = capabilities.and_then(|text| u64::from_str_radix(&text, 16).ok());
    let is_uncounted = capabilities.is_some_and(|set| set & CAP_IPC_LOCK != 0);
    let shard_count = if is_uncounted { 1 } else { cpu_count as u64 };
    let needed_bytes = shard_count * MEMLOCK_BYTES_PER_SHARD;
    let found = format!(
        "{} may be locked, io_uring on all cores needs {}",
        Unit::Bytes.text(limit_bytes),
        Unit::Bytes.text(needed_bytes)
    );
    if limit_bytes >= needed_bytes {
        return Finding::ok("memlock", found);
    }
    Finding::warn(
        "memlock",
        format!("{found}: plain threads are used instead"),
        "ulimit -l unlimited (systemd: LimitMEMLOCK=infinity; docker run --ulimit memlock=-1)",
    )
}

fn kibibytes(system: &System, path: &str, name: &str) -> Option<u64> {
    let text = system.field(path, name)?;
    text.strip_suffix(" kB")?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    const ENABLED: &str = "sys/kernel/mm/transparent_hugepage/enabled";

    #[test]
    fn room_is_the_least_of_machine_and_container() {
        let meminfo = (
            "proc/meminfo",
            "MemAvailable: 8388608 kB\nSwapTotal: 0 kB\n",
        );
        let limit = "sys/fs/cgroup/memory.max";
        let of = |files: &[(&str, &str)]| {
            let (_folder, system) = System::of(files);
            room(&system).status
        };
        assert_eq!(of(&[meminfo]), Status::Ok);
        assert_eq!(of(&[meminfo, (limit, "1073741824\n")]), Status::Warn);
        assert_eq!(of(&[meminfo, (limit, "1000000\n")]), Status::Fail);
        assert_eq!(of(&[meminfo, (limit, "max\n")]), Status::Ok);
        assert_eq!(of(&[]), Status::Ok);
    }

    #[test]
    fn huge_pages_are_wanted_always_or_on_request() {
        let of = |text: &str| {
            let (_folder, system) = System::of(&[(ENABLED, text)]);
            huge_pages(&system).status
        };
        assert_eq!(of("always [madvise] never\n"), Status::Ok);
        assert_eq!(of("[always] madvise never\n"), Status::Ok);
        assert_eq!(of("always madvise [never]\n"), Status::Warn);
        let (_folder, system) = System::of(&[]);
        assert_eq!(huge_pages(&system).status, Status::Warn);
    }

    #[test]
    fn swap_counts_where_it_is_used_freely() {
        let meminfo = ("proc/meminfo", "SwapTotal: 2097152 kB\n");
        let of = |files: &[(&str, &str)]| {
            let (_folder, system) = System::of(files);
            swap(&system)
        };
        assert_eq!(of(&[]).found, "none");
        let free = of(&[meminfo, ("proc/sys/vm/swappiness", "60\n")]);
        assert!(free.status == Status::Warn && free.found.contains("2.00 GiB"));
        let bound = of(&[meminfo, ("proc/sys/vm/swappiness", "1\n")]);
        assert_eq!(bound.status, Status::Ok);
    }

    #[test]
    fn locked_memory_must_do_for_every_core_unless_it_is_not_counted() {
        let plain = [("proc/self/status", "CapEff:\t0000000000000000\n")];
        let privileged = [("proc/self/status", "CapEff:\t000001ffffffffff\n")];
        let of = |files: &[(&str, &str)], limit| {
            let (_folder, system) = System::of(files);
            memlock(&system, limit, 4).status
        };
        assert_eq!(of(&plain, None), Status::Ok);
        assert_eq!(of(&plain, Some(2 << 20)), Status::Ok);
        assert_eq!(of(&plain, Some(1 << 20)), Status::Warn);
        assert_eq!(of(&privileged, Some(1 << 20)), Status::Ok);
    }

    #[test]
    fn strict_overcommit_is_named() {
        let (_folder, system) = System::of(&[("proc/sys/vm/overcommit_memory", "2\n")]);
        assert_eq!(overcommit(&system).status, Status::Warn);
    }
}
