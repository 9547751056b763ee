//! The thread that sees a job through all its runs.
//!
//! It is the coordinator of each run; when a run has failed and all its threads have ended, it
//! decides about a restart and starts the next run, with the flow's closure called anew.
//!
//! ```text
//!   running --failed--> pause --> running        no more restarts, or a failure that every
//!      |                  |                      restart would meet: the job ends with it
//!      ended              wanted to end: one more run, at once, to end well
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::restart::{RestartPolicy, RestartStrategy, is_worth_a_restart, random};
use super::shared::{Shared, Wish};
use super::start::{Beginning, Lasting, Run};
use crate::checkpoint::Ended;
use crate::error::Error;
use crate::flow::Flow;

/// The thread's state.
pub(super) struct Supervisor {
    lasting: Lasting,
    policy: RestartPolicy,
    run: Run,
}

impl Supervisor {
    pub(super) fn new(lasting: Lasting, strategy: RestartStrategy, run: Run) -> Self {
        lasting.shared.up(run.links.clone(), None);
        Self {
            lasting,
            policy: RestartPolicy::new(strategy),
            run,
        }
    }

    /// Runs the job until it is over.
    ///
    /// # Errors
    /// The failure after which it was not started again.
    pub(super) fn supervise(self) -> Result<Ended, Error> {
        let Self {
            lasting,
            mut policy,
            mut run,
        } = self;
        let _over = Over(Arc::clone(&lasting.shared));
        // The run began when somebody wanted the job to end already.
        let mut is_last_run = false;
        loop {
            drop(run.links);
            let failure = match run.coordinator.run() {
                Ok(ended) => return Ok(ended),
                Err(failure) => failure,
            };
            lasting.shared.down();
            if is_last_run {
                return Err(failure);
            }
            run = match restart(&lasting, &mut policy, failure)? {
                Some(run) => run,
                None => return Ok(Ended::Canceled),
            };
            is_last_run = lasting.shared.wish().is_some();
            let checkpoint = run.recovery.as_ref().map(|recovery| recovery.checkpoint);
            tracing::info!(job = lasting.job.name, checkpoint, "restarted");
            lasting.shared.up(run.links.clone(), run.recovery.as_ref());
        }
    }
}

/// Starts the job anew, with pauses, until it runs or the policy has had enough; `None` if it was
/// canceled meanwhile.
fn restart(
    lasting: &Lasting,
    policy: &mut RestartPolicy,
    mut failure: Error,
) -> Result<Option<Run>, Error> {
    let shared = &lasting.shared;
    loop {
        // Whoever cancels has to know of a thread that was left behind.
        let is_stuck = matches!(failure, Error::ShardStuck { .. });
        if shared.wish() == Some(Wish::Cancel) && !is_stuck {
            tracing::warn!(job = lasting.job.name, %failure, "canceled after a failure");
            return Ok(None);
        }
        let delay = match is_worth_a_restart(&failure) {
            true => policy.after_failure(Instant::now(), random()),
            false => None,
        };
        let Some(delay) = delay else {
            tracing::error!(job = lasting.job.name, %failure, "the job ends");
            return Err(failure);
        };
        let wanted = shared.wish().is_some();
        tracing::warn!(job = lasting.job.name, %failure, ?delay, "the job is started again");
        shared.restarting(&failure);
        shared.pause(delay);
        if shared.wish() == Some(Wish::Cancel) {
            return Ok(None);
        }
        match start_anew(lasting) {
            Ok(run) => return Ok(Some(run)),
            Err(error) if wanted => return Err(error),
            Err(error) => failure = error,
        }
    }
}

fn start_anew(lasting: &Lasting) -> Result<Run, Error> {
    // The flow's closure, its sources and its sinks are user code.
    let started = catch_unwind(AssertUnwindSafe(|| {
        let plan = Flow::plan(&*lasting.build, lasting.job.cpus.len())?;
        Run::start(lasting, plan, Beginning::Restart)
    }));
    started.unwrap_or_else(|payload| Err(Error::panicked("coordinator", &*payload)))
}

/// Lets go of everybody who waits for a run, also if the thread unwinds.
struct Over(Arc<Shared>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over();
    }
}
