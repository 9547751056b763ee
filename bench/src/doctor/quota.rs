//! What a control group takes away: a share of CPU time, a part of the memory.

use super::finding::Finding;
use super::system::System;

const ROOT: &str = "sys/fs/cgroup";

/// Whether a quota stops all threads for the rest of each period once it is used up.
pub(super) fn cpu_quota(system: &System) -> Finding {
    match quota_cores(system) {
        None => Finding::ok("CPU quota", "none"),
        Some(cores) => Finding::warn(
            "CPU quota",
            format!(
                "{cores:.1} cores: once used up, all threads stand still until the next period"
            ),
            "run the container without `--cpus` (Kubernetes: without `limits.cpu`, or with the \
             static CPU manager policy), with `--cpuset-cpus` instead",
        ),
    }
}

/// Cores that the quota is worth; version 2 of control groups first.
fn quota_cores(system: &System) -> Option<f64> {
    let unified = folders(system).find_map(|folder| {
        let text = system.text(&format!("{folder}/cpu.max"))?;
        let (quota, period) = text.split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    });
    unified.or_else(|| {
        let quota: f64 = system
            .text(&format!("{ROOT}/cpu/cpu.cfs_quota_us"))?
            .parse()
            .ok()?;
        let period = system.number(&format!("{ROOT}/cpu/cpu.cfs_period_us"))? as f64;
        (quota > 0.0).then_some(quota / period)
    })
}

/// Most memory that this process may have by its control groups, in bytes.
pub(super) fn memory_limit_bytes(system: &System) -> Option<u64> {
    let unified =
        folders(system).filter_map(|folder| system.number(&format!("{folder}/memory.max")));
    unified
        .min()
        .or_else(|| system.number(&format!("{ROOT}/memory/memory.limit_in_bytes")))
}

/// The own group and those that hold it, as far as they can be seen from here.
fn folders(system: &System) -> impl Iterator<Item = String> {
    let own = system.field("proc/self/cgroup", "0::").unwrap_or_default();
    let mut folders = vec![ROOT.to_owned()];
    for part in own.split('/').filter(|part| !part.is_empty()) {
        let inner = format!("{}/{part}", folders[folders.len() - 1]);
        folders.push(inner);
    }
    folders.into_iter().rev()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn quota_of_an_outer_group_counts() {
        let files = [
            ("proc/self/cgroup", "0::/pod/app\n"),
            ("sys/fs/cgroup/pod/app/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/pod/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/pod/memory.max", "1000000\n"),
        ];
        let (_folder, system) = System::of(&files);
        let finding = cpu_quota(&system);
        assert!(finding.status == Status::Warn && finding.found.starts_with("1.5 cores"));
        assert_eq!(memory_limit_bytes(&system), Some(1_000_000));
    }

    #[test]
    fn version_one_is_read_where_there_is_no_other() {
        let files = [
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ];
        let (_folder, system) = System::of(&files);
        assert_eq!(quota_cores(&system), Some(0.5));
        let (_folder, system) = System::of(&[("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")]);
        assert_eq!(cpu_quota(&system).status, Status::Ok);
        assert_eq!(memory_limit_bytes(&system), None);
    }
}
