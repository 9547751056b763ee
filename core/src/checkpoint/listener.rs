//! What a job tells an embedding program about its checkpoints and shards while it runs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::history::PhaseTime;
use super::report::CheckpointReport;
use crate::shard::StuckShard;

/// Something that happened to a checkpoint, or to what makes checkpoints.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CheckpointEvent {
    /// It was requested: barriers are on their way.
    Requested {
        /// Its number.
        checkpoint: u64,
        /// The job is to end with it.
        last: bool,
    },
    /// A shard has seen the barrier on every input and frozen its state.
    Frozen {
        /// The checkpoint.
        checkpoint: u64,
        /// The shard.
        shard: usize,
        /// From the barrier at its sources until it was seen on every input.
        align: PhaseTime,
    },
    /// Its manifest is published: it survives a crash.
    Durable {
        /// Its number.
        checkpoint: u64,
    },
    /// All sinks have committed what belongs to it.
    Committed(CheckpointReport),
    /// It was given up; the job goes on.
    Dropped {
        /// Its number.
        checkpoint: u64,
        /// Why.
        reason: String,
    },
    /// The job failed, was canceled or ended before it was decided.
    Aborted {
        /// Its number.
        checkpoint: u64,
        /// How the job ended, or why it is started again.
        reason: String,
    },
    /// The newest durable checkpoint is older than `CheckpointSettings::max_age`.
    TooOld {
        /// Since it was requested.
        age: Duration,
        /// Records that sources have emitted since.
        record_count: u64,
    },
    /// Sources give no records until a checkpoint is durable, or give them again.
    SourcesHeld {
        /// Whether they are held.
        held: bool,
    },
    /// A shard stands still for longer than the [`Watchdog`](crate::Watchdog) allows.
    ShardStuck(StuckShard),
    /// A shard that was stuck goes on.
    ShardGoesOn {
        /// The shard.
        shard: usize,
    },
}

/// Is told what happens to checkpoints, in order, on the thread that coordinates them: one that
/// takes long delays the next checkpoint, and no record. One that panics is told nothing more.
///
/// Closures are listeners:
///
/// ```
/// use frazil::{CheckpointEvent, Checkpoints};
///
/// let checkpoints = Checkpoints::manual().listener(|event: &CheckpointEvent| {
///     if let CheckpointEvent::Dropped { checkpoint, reason } = event {
///         eprintln!("checkpoint {checkpoint} was dropped: {reason}");
///     }
/// });
/// # let _ = checkpoints;
/// ```
pub trait CheckpointListener: Send + Sync + 'static {
    /// Something has happened.
    fn on_event(&self, event: &CheckpointEvent);
}

impl<F: Fn(&CheckpointEvent) + Send + Sync + 'static> CheckpointListener for F {
    fn on_event(&self, event: &CheckpointEvent) {
        self(event);
    }
}

/// A listener that is user code, or none.
#[derive(Clone, Default)]
pub(crate) struct Listening(Option<Arc<dyn CheckpointListener>>);

impl Listening {
    pub(crate) fn to(listener: Arc<dyn CheckpointListener>) -> Self {
        Self(Some(listener))
    }

    pub(crate) fn tell(&mut self, event: &CheckpointEvent) {
        let Some(listener) = &self.0 else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| listener.on_event(event))).is_err() {
            tracing::error!(?event, "the checkpoint listener panicked");
            self.0 = None;
        }
    }
}
