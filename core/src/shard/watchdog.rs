//! When a shard counts as stuck, and what happens then.

use std::time::{Duration, Instant};

use crate::error::Error;

/// Turns take well under a millisecond; a shorter bound would take a busy page fault for a hang.
const AFTER_MIN: Duration = Duration::from_millis(10);

/// Looks after shards that stand still in one piece of user code: an endless loop, or a call that
/// does not come back.
///
/// A shard is judged by what it did, not by the clock: only time in which it used its CPU or waited
/// in a system call counts. One that gets no CPU because the machine is busy is not stuck, nor is
/// one that waits for input.
///
/// A thread that stands still cannot be restarted from inside its process. So a stuck shard is
/// reported (by `tracing`, to the [listener](crate::CheckpointListener), by
/// [`JobHandle::stuck_shards`](crate::JobHandle::stuck_shards)), and what happens beyond that is
/// chosen here.
///
/// ```
/// use std::time::Duration;
/// use frazil::{Job, StuckAction, Watchdog};
///
/// let watchdog = Watchdog::after(Duration::from_secs(30)).then(StuckAction::EndJob);
/// let job = Job::builder("supervised").watchdog(watchdog).build()?;
/// # let _ = job;
/// # Ok::<(), frazil::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watchdog {
    /// How long a shard may stand still; `None` looks after none.
    pub after: Option<Duration>,
    /// What happens to the job of one that stands still for longer.
    pub action: StuckAction,
}

/// What happens, beyond a report, when a shard is stuck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StuckAction {
    /// Nothing: the shard may come back.
    #[default]
    Report,
    /// The job ends with [`Error::ShardStuck`](crate::Error::ShardStuck) and is not started again.
    /// The thread and the shard's memory stay behind until its code comes back; nothing that it
    /// does from then on reaches a checkpoint or a committing sink. For programs that end then, or
    /// can go on without the job.
    EndJob,
    /// The process ends at once, as by [`std::process::abort`], for whatever supervises it to start
    /// it again; the job then goes on from its newest checkpoint.
    AbortProcess,
}

impl Default for Watchdog {
    /// Reports a shard that stood still for 10 s.
    fn default() -> Self {
        Self::after(Duration::from_secs(10))
    }
}

impl Watchdog {
    /// No watchdog.
    #[must_use]
    pub fn off() -> Self {
        Self {
            after: None,
            action: StuckAction::Report,
        }
    }

    /// Reports a shard that stood still for longer than `bound`, within a quarter of it.
    #[must_use]
    pub fn after(bound: Duration) -> Self {
        Self {
            after: Some(bound),
            action: StuckAction::Report,
        }
    }

    /// Sets [`action`](Self::action).
    #[must_use]
    pub fn then(mut self, action: StuckAction) -> Self {
        self.action = action;
        self
    }

    /// # Errors
    /// [`Error::Setting`].
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.after {
            Some(after) if after < AFTER_MIN => {
                let expected = format!("at least {AFTER_MIN:?}");
                Err(Error::setting(
                    "Watchdog::after",
                    expected,
                    format!("{after:?}"),
                ))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A shard that stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckShard {
    /// The shard.
    pub shard: usize,
    /// The operators of the stage in which it stands.
    pub operator: String,
    /// When it was last seen to go on.
    pub since: Instant,
    /// It waits in a system call; otherwise it uses its CPU.
    pub is_waiting: bool,
}

impl StuckShard {
    /// The same as the error that ends a job.
    pub(crate) fn error(&self) -> Error {
        Error::ShardStuck {
            shard: self.shard,
            operator: self.operator.clone(),
            still: self.since.elapsed(),
            is_waiting: self.is_waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_a_healthy_turn_may_exceed_is_refused() {
        let refused = Watchdog::after(Duration::from_millis(1)).check();
        assert!(matches!(
            refused,
            Err(Error::Setting {
                setting: "Watchdog::after",
                ..
            })
        ));
        for fine in [
            Watchdog::default(),
            Watchdog::off(),
            Watchdog::after(AFTER_MIN),
        ] {
            fine.check().expect("valid");
        }
    }
}
