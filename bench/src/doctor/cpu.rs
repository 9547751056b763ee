//! The processor: clock frequency, idle states, siblings, isolation, the clock.

use super::finding::Finding;
use super::system::System;
use crate::text::units::duration;
use std::collections::BTreeSet;
use std::time::Duration;

const CPU: &str = "sys/devices/system/cpu";

/// Waking from deeper idle states than this is felt in the tail.
const IDLE_EXIT_US_MAX: u64 = 50;
/// A clock that costs more is no clock in user space.
const CLOCK_READ_MAX: Duration = Duration::from_nanos(200);
/// From here on other programs or the host take the cores away for long.
const HICCUP_MAX: Duration = Duration::from_micros(50);
/// Part of all CPU time that the host took.
const STOLEN_PART_MAX: f64 = 0.01;

/// Whether there is a core for helpers beside one for a shard.
pub(super) fn cores(cpus: &[usize]) -> Finding {
    let found = format!("{} for this process", cpus.len());
    if cpus.len() > 1 {
        return Finding::ok("cores", found);
    }
    Finding::warn(
        "cores",
        format!("{found}: shard and helper threads share it"),
        "give it two or more, as `taskset -c 2,3 PROGRAM` or `docker run --cpuset-cpus 2,3`",
    )
}

/// Whether the cores run at their full clock all the time.
pub(super) fn governor(system: &System, cpus: &[usize]) -> Finding {
    let of = |cpu| system.text(&format!("{CPU}/cpu{cpu}/cpufreq/scaling_governor"));
    let governors: BTreeSet<String> = cpus.iter().filter_map(of).collect();
    let listed: Vec<_> = governors.iter().map(String::as_str).collect();
    match &listed[..] {
        [] => Finding::ok("governor", "not shown: the host or the firmware decides"),
        ["performance"] => Finding::ok("governor", "performance"),
        _ => Finding::warn(
            "governor",
            format!("{}: cores slow down between events", listed.join(", ")),
            "sudo cpupower frequency-set -g performance",
        ),
    }
}

/// How long a core that slept takes to come back.
pub(super) fn idle_states(system: &System, cpus: &[usize]) -> Finding {
    let mut deepest_us = None;
    for cpu in cpus {
        let folder = format!("{CPU}/cpu{cpu}/cpuidle");
        for state in system.names(&folder) {
            let number = |file| system.number(&format!("{folder}/{state}/{file}"));
            if number("disable") == Some(0) {
                deepest_us = deepest_us.max(number("latency"));
            }
        }
    }
    let Some(deepest_us) = deepest_us else {
        return Finding::ok("idle states", "not shown: the host decides");
    };
    let found = format!("the deepest takes {deepest_us} us to leave");
    if deepest_us <= IDLE_EXIT_US_MAX {
        return Finding::ok("idle states", found);
    }
    Finding::warn(
        "idle states",
        found,
        format!("sudo cpupower idle-set -D {IDLE_EXIT_US_MAX}"),
    )
}

/// Whether two of this process's CPUs are one core.
pub(super) fn smt(system: &System, cpus: &[usize]) -> Finding {
    let of = |cpu| system.text(&format!("{CPU}/cpu{cpu}/topology/thread_siblings_list"));
    let lists: Vec<String> = cpus.iter().filter_map(of).collect();
    let cores: BTreeSet<&String> = lists.iter().collect();
    if lists.is_empty() {
        return Finding::ok("SMT", "not shown");
    }
    if cores.len() == lists.len() {
        return Finding::ok("SMT", "every CPU of this process is a core of its own");
    }
    Finding::warn(
        "SMT",
        format!(
            "{} CPUs are {} cores: siblings slow each other",
            lists.len(),
            cores.len()
        ),
        "echo off | sudo tee /sys/devices/system/cpu/smt/control, or use one CPU of each pair with \
         `taskset -c`",
    )
}

/// Whether the scheduler keeps other programs off the cores.
pub(super) fn isolated(system: &System, cpus: &[usize]) -> Finding {
    let listed = system.text(&format!("{CPU}/isolated"));
    match listed.as_deref() {
        None => Finding::ok("isolated cores", "not shown"),
        Some("") => Finding::warn(
            "isolated cores",
            "none: other programs and the kernel's own work run on the shards' cores",
            isolation_fix(cpus),
        ),
        Some(listed) => Finding::ok("isolated cores", listed),
    }
}

/// All but the first, which keeps interrupts and the rest of the system.
fn isolation_fix(cpus: &[usize]) -> String {
    let rest = cpus.iter().skip(1).map(usize::to_string);
    let list = rest.collect::<Vec<_>>().join(",");
    if list.is_empty() {
        return "give this process more than one CPU first".to_owned();
    }
    format!(
        "add `isolcpus={list} nohz_full={list} rcu_nocbs={list}` to the kernel's command line, \
         reboot, and run programs with `taskset -c {list}`"
    )
}

/// Whether the clock can be read without asking the kernel; `read` is what a reading takes.
pub(super) fn clock(system: &System, read: Duration) -> Finding {
    let folder = "sys/devices/system/clocksource/clocksource0";
    let source = system.text(&format!("{folder}/current_clocksource"));
    let source = source.unwrap_or_else(|| "unknown".to_owned());
    let found = format!("{source}, {} a reading", duration(read));
    if read <= CLOCK_READ_MAX {
        return Finding::ok("clock source", found);
    }
    let available = system.text(&format!("{folder}/available_clocksource"));
    let has_tsc = available.is_some_and(|list| list.split_whitespace().any(|name| name == "tsc"));
    let fix = if has_tsc && source != "tsc" {
        format!("echo tsc | sudo tee /{folder}/current_clocksource")
    } else {
        "boot with `tsc=reliable`, or choose a machine type with an invariant TSC".to_owned()
    };
    Finding::warn(
        "clock source",
        format!("{found}: latency is measured with it, and timers read it"),
        fix,
    )
}

/// What the machine takes from a loop that does nothing: `delay` at p99.9 of all instants.
pub(super) fn hiccups(delay: Duration, stolen_part: f64) -> Finding {
    let found = format!(
        "work waits {} for a core at p99.9, {:.1} % stolen",
        duration(delay),
        stolen_part * 100.0
    );
    if stolen_part > STOLEN_PART_MAX {
        let fix = "stop the host's other guests, or rent a machine with dedicated cores";
        return Finding::warn("hiccups", found, fix);
    }
    if delay > HICCUP_MAX {
        let fix = "stop other programs (`top` names them), or isolate cores as above";
        return Finding::warn("hiccups", found, fix);
    }
    Finding::ok("hiccups", found)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    const GOVERNOR: &str = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    const SIBLINGS: [&str; 2] = [
        "sys/devices/system/cpu/cpu0/topology/thread_siblings_list",
        "sys/devices/system/cpu/cpu1/topology/thread_siblings_list",
    ];
    const ISOLATED: &str = "sys/devices/system/cpu/isolated";
    const CLOCK: &str = "sys/devices/system/clocksource/clocksource0/available_clocksource";
    const CURRENT: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";

    #[test]
    fn a_machine_that_shows_nothing_is_not_blamed() {
        let (_folder, system) = System::of(&[]);
        let findings = [
            governor(&system, &[0]),
            idle_states(&system, &[0]),
            smt(&system, &[0]),
            isolated(&system, &[0]),
            clock(&system, Duration::from_nanos(30)),
            cores(&[0, 1]),
            hiccups(Duration::from_micros(5), 0.0),
        ];
        for finding in findings {
            assert_eq!(finding.status, Status::Ok, "{finding:?}");
        }
    }

    #[test]
    fn slow_governor_and_deep_idle_states_are_named() {
        let state = |file: &str| format!("sys/devices/system/cpu/cpu0/cpuidle/state2/{file}");
        let files = [
            (GOVERNOR, "powersave\n"),
            (&state("latency"), "133\n"),
            (&state("disable"), "0\n"),
        ];
        let (_folder, system) = System::of(&files);
        let slow = governor(&system, &[0]);
        assert!(slow.found.contains("powersave") && slow.fix.is_some());
        let deep = idle_states(&system, &[0]);
        assert!(deep.status == Status::Warn && deep.found.contains("133 us"));
        let files = [(GOVERNOR, "performance\n"), (&state("disable"), "1\n")];
        let (_folder, system) = System::of(&files);
        assert_eq!(governor(&system, &[0]).status, Status::Ok);
        assert_eq!(idle_states(&system, &[0]).status, Status::Ok);
    }

    #[test]
    fn siblings_are_found_among_the_own_cpus_only() {
        let (_folder, system) = System::of(&[(SIBLINGS[0], "0-1\n"), (SIBLINGS[1], "0-1\n")]);
        assert_eq!(smt(&system, &[0, 1]).status, Status::Warn);
        assert_eq!(smt(&system, &[0]).status, Status::Ok);
    }

    #[test]
    fn isolation_names_a_core_of_this_process() {
        let (_folder, system) = System::of(&[(ISOLATED, "\n")]);
        let fix = isolated(&system, &[2, 3, 4]).fix.unwrap();
        assert!(fix.contains("isolcpus=3,4 "), "{fix}");
        assert!(isolated(&system, &[2]).fix.is_some());
        let (_folder, system) = System::of(&[(ISOLATED, "2-3\n")]);
        assert_eq!(isolated(&system, &[2, 3]).status, Status::Ok);
    }

    #[test]
    fn slow_clock_is_mended_by_the_tsc_where_there_is_one() {
        let slow = Duration::from_nanos(900);
        let (_folder, system) = System::of(&[(CURRENT, "hpet\n"), (CLOCK, "hpet tsc\n")]);
        let fix = clock(&system, slow).fix.unwrap();
        assert!(fix.starts_with("echo tsc | sudo tee"), "{fix}");
        let (_folder, system) = System::of(&[(CURRENT, "xen\n"), (CLOCK, "xen\n")]);
        let fix = clock(&system, slow).fix.unwrap();
        assert!(fix.contains("invariant TSC"), "{fix}");
    }

    #[test]
    fn stolen_time_and_hiccups_warn() {
        assert_eq!(hiccups(Duration::from_micros(5), 0.02).status, Status::Warn);
        assert_eq!(hiccups(Duration::from_millis(1), 0.0).status, Status::Warn);
        assert_eq!(cores(&[0]).status, Status::Warn);
    }
}
