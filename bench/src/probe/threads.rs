//! CPU time and page faults of this process's threads, by name.
//!
//! CPU time is `sum_exec_runtime` of `/proc/self/task/*/schedstat`; a thread that runs is up to one
//! timer tick (at most 10 ms) behind, so windows should last a second.

use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What a thread has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadUse {
    /// CPU time in ns.
    pub cpu_ns: u64,
    /// Page faults that needed no disk.
    pub minor_faults: u64,
}

impl ThreadUse {
    /// What was used since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            minor_faults: self.minor_faults.saturating_sub(earlier.minor_faults),
        }
    }
}

/// The sum over all live threads of this process for which `wanted` is true of the name.
#[must_use]
pub fn threads_use(wanted: impl Fn(&str) -> bool) -> ThreadUse {
    let mut sum = ThreadUse::default();
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return sum;
    };
    for task in tasks.flatten() {
        // A thread that ends meanwhile has no say.
        if let Some((name, used)) = read_task(&task.path())
            && wanted(&name)
        {
            sum.cpu_ns += used.cpu_ns;
            sum.minor_faults += used.minor_faults;
        }
    }
    sum
}

/// CPU time of each live thread of this process for which `wanted` is true of the name, in ns, by
/// name.
#[must_use]
pub fn cpu_ns_by_name(wanted: impl Fn(&str) -> bool) -> BTreeMap<String, u64> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return BTreeMap::new();
    };
    let mut by_name = BTreeMap::new();
    let read = tasks.flatten().filter_map(|task| read_task(&task.path()));
    // Threads of a pool have the name of the one that started them.
    for (name, used) in read.filter(|(name, _)| wanted(name)) {
        *by_name.entry(name).or_default() += used.cpu_ns;
    }
    by_name
}

/// Whether a thread of this name runs a shard.
#[must_use]
pub fn is_shard(name: &str) -> bool {
    name.starts_with("frazil-shard")
}

/// Whether a thread of this name is one of Frazil's helpers.
#[must_use]
pub fn is_helper(name: &str) -> bool {
    name.starts_with("frazil-") && !is_shard(name)
}

/// CPU time that the calling thread has used so far, in ns, to the ns.
#[must_use]
pub fn own_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let part = |field: i64| u64::try_from(field).expect("CPU time is never negative");
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

fn read_task(task: &Path) -> Option<(String, ThreadUse)> {
    let name = fs::read_to_string(task.join("comm")).ok()?;
    let schedule = fs::read_to_string(task.join("schedstat")).ok()?;
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    let used = ThreadUse {
        cpu_ns: schedule.split(' ').next()?.parse().ok()?,
        minor_faults: minor_faults(&stat)?,
    };
    Some((name.trim_end().to_owned(), used))
}

/// The tenth field; the second is the name in parentheses and may hold anything.
fn minor_faults(stat: &str) -> Option<u64> {
    let behind_name = stat.rsplit_once(')')?.1;
    behind_name.split_whitespace().nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn name_with_parentheses_and_blanks_does_not_shift_fields() {
        let stat = "17 (a (b) c) S 1 2 3 4 5 6 42 8 9";
        assert_eq!(minor_faults(stat), Some(42));
    }

    #[test]
    fn cpu_time_and_faults_of_a_named_thread_are_seen() {
        // Shards of other tests come and go meanwhile.
        let is_own = |name: &str| name == "frazil-shard-t";
        assert!(is_shard("frazil-shard-t"));
        let work = move || {
            let (own, before) = (own_cpu_ns(), threads_use(is_own));
            while own_cpu_ns() - own < 2_000_000 {}
            // Beyond what any allocator keeps touched for later: glibc maps 32 MiB and more anew.
            black_box(vec![1_u8; 64 << 20]);
            assert!(cpu_ns_by_name(is_shard).contains_key("frazil-shard-t"));
            (own_cpu_ns() - own, threads_use(is_own).since(before))
        };
        let thread = std::thread::Builder::new().name("frazil-shard-t".to_owned());
        let (own_ns, seen) = thread.spawn(work).unwrap().join().unwrap();
        assert!(own_ns >= 2_000_000 && seen.minor_faults > 0);
        assert!(seen.cpu_ns > 0);
        assert!(is_helper("frazil-writer") && !is_helper("frazil-shard-0"));
    }
}
