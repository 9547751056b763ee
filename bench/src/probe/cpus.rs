//! The CPUs of this process, in the order in which Frazil gives them to shards.

use core_affinity::CoreId;
use std::sync::OnceLock;
use std::thread;

/// Numbers of the CPUs that this process may use; empty where the system names none.
///
/// The first call must come from a thread that is not pinned, because a pinned thread sees its own
/// CPU only.
#[must_use]
pub fn cpus() -> &'static [usize] {
    static CPUS: OnceLock<Vec<usize>> = OnceLock::new();
    CPUS.get_or_init(|| {
        let found = core_affinity::get_core_ids().unwrap_or_default();
        found.into_iter().map(|core| core.id).collect()
    })
}

/// Runs `work` on a thread of its own that is pinned to the CPU at `index` of [`cpus`], or to none
/// where there is no such CPU, and waits for it.
///
/// # Panics
///
/// With the panic of `work`.
pub fn on_cpu<T: Send>(index: usize, work: impl FnOnce() -> T + Send) -> T {
    let cpu = cpus().get(index).copied();
    thread::scope(|scope| {
        let pinned = scope.spawn(move || {
            if let Some(id) = cpu {
                // Where pinning is refused the measurement still runs, on whichever CPU.
                let _ = core_affinity::set_for_current(CoreId { id });
            }
            work()
        });
        match pinned.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_where_it_is_pinned_and_the_list_stays_whole() {
        let all = cpus().len();
        let inner = on_cpu(0, || cpus().len());
        assert_eq!(inner, all);
        assert_eq!(on_cpu(10_000, || 7), 7);
    }
}
