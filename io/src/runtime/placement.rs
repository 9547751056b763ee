//! The CPUs that this process may use.

use std::fmt;
use std::sync::OnceLock;

use core_affinity::CoreId;

/// A CPU that a thread can be pinned to; taken from [`available_cpus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CpuId(Option<usize>);

impl CpuId {
    /// The system's number of this CPU; `None` stands for "any", where the system names none.
    #[must_use]
    pub fn index(self) -> Option<usize> {
        self.0
    }

    /// False if the system refuses.
    pub(super) fn pin_current_thread(self) -> bool {
        self.0
            .is_none_or(|id| core_affinity::set_for_current(CoreId { id }))
    }

    /// A CPU that no machine has.
    #[cfg(test)]
    pub(super) fn nonexistent() -> Self {
        Self(Some(1023))
    }
}

impl fmt::Display for CpuId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(index) => write!(formatter, "cpu {index}"),
            None => formatter.write_str("any cpu"),
        }
    }
}

/// The CPUs in this process's affinity mask, at least one.
///
/// The first call takes the list from the calling thread and keeps it, because a pinned thread (and
/// every thread that it starts) sees its own CPU only: make that call early, from a thread that is
/// not pinned. If the system refuses, the list is one [`CpuId`] to which pinning does nothing.
///
/// # Examples
/// ```
/// assert!(!frazil_io::runtime::available_cpus().is_empty());
/// ```
#[must_use]
pub fn available_cpus() -> &'static [CpuId] {
    static CPUS: OnceLock<Vec<CpuId>> = OnceLock::new();
    CPUS.get_or_init(|| {
        let found = core_affinity::get_core_ids().unwrap_or_default();
        if found.is_empty() {
            return vec![CpuId(None)];
        }
        found.into_iter().map(|core| CpuId(Some(core.id))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn the_list_is_the_same_from_a_pinned_thread() {
        let cpus = available_cpus();
        let seen = thread::spawn(|| {
            assert!(available_cpus()[0].pin_current_thread());
            available_cpus()
        });
        assert_eq!(seen.join().unwrap(), cpus);
    }

    #[test]
    fn a_cpu_without_a_number_needs_no_pinning() {
        assert!(CpuId(None).pin_current_thread());
        assert_eq!(CpuId(None).to_string(), "any cpu");
    }
}
