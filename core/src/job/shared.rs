//! What the handles of a job share with the thread that supervises it, over all its runs.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use frazil_io::runtime::Bell;

use crate::checkpoint::{Notice, RecoveryReport, Watch, WriteBudget, WriterCommand};
use crate::error::Error;
use crate::lock::locked;
use crate::shard::ShardProbe;
use crate::statistics::{ShardStatistics, Statistics};

/// How long a request for statistics waits for a shard that is busy with something else.
const STATISTICS_PATIENCE: Duration = Duration::from_millis(50);

/// How the threads of one run are reached.
#[derive(Clone)]
pub(super) struct RunLinks {
    pub(super) notices: Sender<Notice>,
    pub(super) commands: Sender<WriterCommand>,
    pub(super) budget: Arc<WriteBudget>,
    pub(super) shards: Vec<(Arc<ShardProbe>, Bell)>,
}

/// How the user wants the job to end; a later wish counts only if it is stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    Stop,
    Drain,
    Cancel,
}

impl Wish {
    fn notice(self) -> Notice {
        match self {
            Self::Stop => Notice::Stop,
            Self::Drain => Notice::Drain,
            Self::Cancel => Notice::Cancel,
        }
    }
}

/// How often a job was started again after a failure, and why.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RestartReport {
    /// Restarts so far, also those that failed before all shards ran.
    pub count: u64,
    /// The failure before the last restart.
    pub last_reason: Option<String>,
    /// When that failure ended the run.
    pub failed_at: Option<Instant>,
    /// How the job came back by the last restart; `None` where there was no checkpoint yet, so that
    /// it began with its input, and while it is not back.
    pub recovery: Option<RecoveryReport>,
}

enum Connection {
    Running(RunLinks),
    /// Failed, and about to be started again.
    Down,
    Over,
}

struct State {
    connection: Connection,
    /// Numbers the runs.
    run: u64,
    wish: Option<Wish>,
    /// Of what shards have handed over.
    collected: Statistics,
    restarts: RestartReport,
}

/// Shared by handles and supervisor; clones of the `Arc` around it are the same job.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// What is told about checkpoints, over all runs.
    pub(super) watch: Watch,
}

impl Shared {
    /// Of a job that does not run yet.
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            state: Mutex::new(State {
                connection: Connection::Down,
                run: 0,
                wish: None,
                collected: Statistics::new(),
                restarts: RestartReport::default(),
            }),
            changed: Condvar::new(),
            watch,
        }
    }

    /// A run has begun; it learns at once how the job is to end.
    pub(super) fn up(&self, links: RunLinks, recovery: Option<&RecoveryReport>) {
        let mut state = self.lock();
        if let Some(wish) = state.wish {
            let _ = links.notices.send(wish.notice());
        }
        state.connection = Connection::Running(links);
        state.run += 1;
        if state.restarts.count > 0 {
            state.restarts.recovery = recovery.cloned();
        }
        self.changed.notify_all();
    }

    /// The run has ended, with all its threads.
    pub(super) fn down(&self) {
        let mut state = self.lock();
        let connection = std::mem::replace(&mut state.connection, Connection::Down);
        if let Connection::Running(links) = connection {
            for (probe, _) in &links.shards {
                collect(probe, &mut state.collected);
            }
        }
    }

    /// The job has ended for good.
    pub(super) fn over(&self) {
        self.down();
        self.lock().connection = Connection::Over;
        self.changed.notify_all();
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.lock().connection, Connection::Over)
    }

    /// Counts a restart that is about to come.
    pub(super) fn restarting(&self, failure: &Error) {
        let restarts = &mut self.lock().restarts;
        restarts.count += 1;
        restarts.last_reason = Some(failure.to_string());
        restarts.failed_at = Some(Instant::now());
        restarts.recovery = None;
    }

    pub(super) fn restarts(&self) -> RestartReport {
        self.lock().restarts.clone()
    }

    /// Tells the job how to end, now or when it is back.
    pub(super) fn want(&self, wish: Wish) {
        let mut state = self.lock();
        if state.wish >= Some(wish) {
            return;
        }
        state.wish = Some(wish);
        if let Connection::Running(links) = &state.connection {
            // A run that has just ended needs to know no more.
            let _ = links.notices.send(wish.notice());
        }
        self.changed.notify_all();
    }

    /// Tells the run that there is; one that begins later needs not know.
    pub(super) fn tell(&self, notice: Notice) {
        if let Connection::Running(links) = &self.lock().connection {
            let _ = links.notices.send(notice);
        }
    }

    pub(super) fn wish(&self) -> Option<Wish> {
        self.lock().wish
    }

    /// Waits before a restart; shorter if somebody wants the job to end.
    pub(super) fn pause(&self, delay: Duration) {
        let begun = Instant::now();
        let mut state = self.lock();
        while state.wish.is_none()
            && let Some(left) = delay.checked_sub(begun.elapsed())
            && !left.is_zero()
        {
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Asks the run that there is, or the next one if it fails before it has answered.
    ///
    /// # Errors
    /// [`Error::Ended`] if there will be none.
    pub(super) fn ask<T>(
        &self,
        send: impl Fn(&RunLinks, Sender<T>),
    ) -> Result<(RunLinks, T), Error> {
        let mut asked = None;
        loop {
            let (run, links) = self.run_after(asked)?;
            let (asker, answer) = channel();
            // A run that has ended drops the asker.
            send(&links, asker);
            if let Ok(answer) = answer.recv() {
                return Ok((links, answer));
            }
            asked = Some(run);
        }
    }

    /// The run that there is, but not the one that was `asked` in vain.
    fn run_after(&self, asked: Option<u64>) -> Result<(u64, RunLinks), Error> {
        let mut state = self.lock();
        loop {
            match &state.connection {
                Connection::Running(links) if asked != Some(state.run) => {
                    return Ok((state.run, links.clone()));
                }
                Connection::Over => return Err(Error::Ended),
                Connection::Running(_) | Connection::Down => {
                    let waited = self.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Everything measured so far, of all runs; what a busy shard does not hand over in time
    /// counts next time.
    pub(super) fn statistics(&self) -> Statistics {
        let shards = match &self.lock().connection {
            Connection::Running(links) => links.shards.clone(),
            Connection::Down | Connection::Over => Vec::new(),
        };
        for (probe, bell) in &shards {
            *locked(&probe.empty) = Some(Box::new(ShardStatistics::new()));
            bell.ring();
        }
        let begun = Instant::now();
        for (probe, _) in &shards {
            while locked(&probe.filled).is_empty() && begun.elapsed() < STATISTICS_PATIENCE {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        let mut state = self.lock();
        for (probe, _) in &shards {
            collect(probe, &mut state.collected);
        }
        let mut total = state.collected.clone();
        total.checkpoints = locked(&self.watch.statistics).clone();
        total
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

fn collect(probe: &ShardProbe, total: &mut Statistics) {
    for statistics in locked(&probe.filled).drain(..) {
        total.add_shard(&statistics);
    }
}
