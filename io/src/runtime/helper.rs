//! Threads that work beside pinned loops, and stay off their CPUs where others are left.
//!
//! A helper that the scheduler puts on a shard's CPU takes it away for some milliseconds at a time,
//! and every record behind waits. Where the loops leave a CPU free, helpers run on those only;
//! where they take all, helpers go wherever there is time.

use std::thread::{self, JoinHandle};

use rustix::process::nice;
use rustix::thread::{CpuSet, sched_setaffinity};

use super::placement::{CpuId, available_cpus};
use crate::IoError;

/// Starts a thread that keeps off the CPUs of pinned loops, as far as there are others.
///
/// # Errors
/// [`IoError::Thread`] if the system refuses another thread.
///
/// # Examples
/// ```
/// use frazil_io::runtime::{available_cpus, spawn_helper};
///
/// let pinned = &available_cpus()[..1];
/// let sum = spawn_helper("sum", pinned, || 1 + 2)?;
/// assert_eq!(sum.join().expect("does not panic"), 3);
/// # Ok::<(), frazil_io::IoError>(())
/// ```
pub fn spawn_helper<T: Send + 'static>(
    name: &str,
    pinned: &[CpuId],
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, IoError> {
    let others = others_than(pinned);
    let placed = move || {
        if let Some(others) = others
            && let Err(error) = sched_setaffinity(None, &others)
        {
            tracing::debug!(%error, "a helper thread may run on the CPU of a shard");
        }
        body()
    };
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(placed).map_err(|error| IoError::Thread {
        name: name.to_owned(),
        reason: format!("{error}; raise the limit on threads"),
    })
}

/// Makes the calling thread give way to other helpers: for work that nobody waits for.
///
/// It keeps a quarter of a CPU that it shares with a thread that never sleeps, so what it does gets
/// done on a machine where shards spin on all CPUs.
pub fn work_in_the_background() {
    const NICENESS: i32 = 5;
    if let Err(error) = nice(NICENESS) {
        tracing::debug!(%error, "work in the background competes with other helpers");
    }
}

/// The available CPUs without `pinned`; `None` where nothing is left.
fn others_than(pinned: &[CpuId]) -> Option<CpuSet> {
    let mut others = CpuSet::new();
    let left = available_cpus().iter().filter(|cpu| !pinned.contains(cpu));
    for index in left.filter_map(|cpu| cpu.index()) {
        if index < CpuSet::MAX_CPU {
            others.set(index);
        }
    }
    (others.count() > 0).then_some(others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::sched_getaffinity;

    #[test]
    fn a_helper_runs_on_the_cpus_that_loops_leave() {
        let all = available_cpus();
        let pinned = &all[..1];
        let own = spawn_helper("helper", pinned, || sched_getaffinity(None)).unwrap();
        let own = own.join().unwrap().unwrap();
        let index = pinned[0].index();
        let is_on_a_loops_cpu = index.is_some_and(|index| own.is_set(index));
        assert_eq!(is_on_a_loops_cpu, index.is_some() && all.len() == 1);
    }

    #[test]
    fn work_in_the_background_lowers_the_priority_of_its_thread_alone() {
        use rustix::process::getpriority_process;
        let own = spawn_helper("helper", &[], || {
            work_in_the_background();
            getpriority_process(None)
        });
        let lowered = own.unwrap().join().unwrap().unwrap();
        let before = getpriority_process(None).unwrap();
        assert_eq!(lowered, (before + 5).min(19));
    }

    #[test]
    fn loops_on_all_cpus_leave_helpers_where_they_are() {
        assert_eq!(others_than(available_cpus()), None);
    }
}
