//! What the system accounts to a thread: whether it ran, and whether it waits for something.

use std::fs;
use std::time::Duration;

use rustix::thread::Pid;

/// What a loop's thread has used and what it is doing, for a watchdog.
///
/// A thread that wants to run and gets no CPU is neither using time nor waiting: a busy machine
/// makes no loop look stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// CPU time that the loop has used so far; time stolen by others does not count.
    pub cpu_time: Duration,
    /// The thread sleeps in a system call or a page fault.
    pub is_waiting: bool,
}

/// The vitals of a thread of this process; `None` if it has ended, and where the system does not
/// tell.
pub(super) fn vitals(thread_id: Pid) -> Option<Vitals> {
    Some(Vitals {
        cpu_time: run_time(thread_id)?,
        is_waiting: is_waiting(&read(thread_id, "stat")?)?,
    })
}

/// What the system accounts to a thread of this process.
pub(super) fn run_time(thread_id: Pid) -> Option<Duration> {
    let statistics = read(thread_id, "schedstat")?;
    let run_ns = statistics.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(run_ns))
}

fn read(thread_id: Pid, file: &str) -> Option<String> {
    let thread_id = thread_id.as_raw_nonzero();
    fs::read_to_string(format!("/proc/self/task/{thread_id}/{file}")).ok()
}

/// By the state behind the name, which may hold brackets: `S` and `D` sleep; running, stopped and
/// traced threads do not wait.
fn is_waiting(stat: &str) -> Option<bool> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    Some(behind_name.trim_start().starts_with(['S', 'D']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;

    use rustix::thread::gettid;

    #[test]
    fn the_state_is_read_behind_the_name() {
        assert_eq!(is_waiting("7 (a) R) S 1 7"), Some(true));
        assert_eq!(is_waiting("7 (io) D 1 7"), Some(true));
        assert_eq!(is_waiting("7 (S) R 1 7"), Some(false));
        assert_eq!(is_waiting("7 (S) T 1 7"), Some(false));
        assert_eq!(is_waiting(""), None);
    }

    #[test]
    fn a_running_thread_does_not_wait_and_a_blocked_one_does() {
        // The system accounts time at its own ticks.
        while vitals(gettid()).expect("Linux tells").cpu_time.is_zero() {}
        assert!(!vitals(gettid()).expect("Linux tells").is_waiting);
        let (tell, told) = channel();
        let (release, blocked) = channel::<()>();
        let thread = thread::spawn(move || {
            tell.send(gettid()).unwrap();
            let _ = blocked.recv();
        });
        let blocked = told.recv().unwrap();
        while !vitals(blocked).unwrap().is_waiting {
            thread::yield_now();
        }
        drop(release);
        thread.join().unwrap();
    }
}
