//! What a job can fail with.

use std::time::Duration;

use frazil_io::IoError;
use frazil_state::StateError;
use frazil_state::format::FormatError;

use crate::checkpoint::Preflight;
use crate::flow::FlowError;
use crate::sink::SinkError;
use crate::source::SourceError;

/// A job cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The flow is not valid, or one of its operators, sources or sinks failed.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A setting is out of its range or contradicts another.
    #[error("invalid setting {setting}: expected {expected}, found {found}")]
    Setting {
        /// The builder method.
        setting: &'static str,
        /// The range.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The machine refused something that the engine needs.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A shard's state could not be made or restored.
    #[error("state of shard {shard}: {source}")]
    State {
        /// The shard.
        shard: usize,
        /// The reason.
        source: StateError,
    },
    /// A checkpoint file is damaged.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The checkpoint directory holds the checkpoints of another job.
    #[error(
        "{location} holds checkpoints of job {found:?}, this job is {expected:?}; \
         choose another checkpoint directory"
    )]
    OtherJob {
        /// The checkpoint directory.
        location: String,
        /// Name of this job.
        expected: String,
        /// Name in the manifest.
        found: String,
    },
    /// The flow has other sources, sinks or stages than the one that made the checkpoint.
    #[error(
        "checkpoint {checkpoint} was made by another flow: {what}: expected {expected}, found {found}; \
         run the flow that made it, or choose another checkpoint directory"
    )]
    OtherFlow {
        /// The checkpoint.
        checkpoint: u64,
        /// What differs.
        what: &'static str,
        /// In this flow.
        expected: String,
        /// In the checkpoint.
        found: String,
    },
    /// The flow cannot go on from the checkpoint as it is.
    #[error(
        "checkpoint {checkpoint} does not fit the flow:\n{}\ngive operators their ids back, or drop \
         what is gone with JobBuilder::allow_dropped_state; Job::check lists everything",
        refused_lines(preflight)
    )]
    Preflight {
        /// The checkpoint.
        checkpoint: u64,
        /// What becomes of each part.
        preflight: Box<Preflight>,
    },
    /// The checkpoint has tables that the flow does not have.
    #[error(
        "checkpoint {checkpoint} holds state of tables that the flow does not have: {}; \
         declare them again, or drop their state with JobBuilder::allow_dropped_state",
        tables.join(", ")
    )]
    DroppedState {
        /// The checkpoint.
        checkpoint: u64,
        /// Names of the tables.
        tables: Vec<String>,
    },
    /// The checkpoint has another number of key groups, which is fixed when a job first runs.
    #[error(
        "checkpoint {checkpoint} has {found} key groups, this job {expected}; \
         start with JobBuilder::key_groups({found}), which is also the most shards it can have"
    )]
    KeyGroupCount {
        /// The checkpoint.
        checkpoint: u64,
        /// Key groups of this job.
        expected: u32,
        /// Key groups in the manifest.
        found: u32,
    },
    /// The directory for a savepoint holds a checkpoint or savepoint already.
    #[error("{location} holds a checkpoint or savepoint; choose an empty directory")]
    SavepointExists {
        /// The directory.
        location: String,
    },
    /// There is nothing to start from where a savepoint was expected.
    #[error("{location} holds no savepoint: it has no manifest, which is written last")]
    NoSavepoint {
        /// The directory.
        location: String,
    },
    /// A start from a savepoint, but the job has made checkpoints since.
    #[error(
        "{location} holds checkpoint {checkpoint}: starting from savepoint {savepoint} would leave \
         it behind; start without restore_from to go on from it, or choose an empty checkpoint \
         directory"
    )]
    CheckpointsExist {
        /// The job's checkpoint directory.
        location: String,
        /// The newest checkpoint in it.
        checkpoint: u64,
        /// The savepoint.
        savepoint: String,
    },
    /// A checkpoint to be pinned that is not kept, or no more.
    #[error("checkpoint {checkpoint} is not kept, these are: {kept:?}")]
    UnknownCheckpoint {
        /// The checkpoint.
        checkpoint: u64,
        /// Those that are kept.
        kept: Vec<u64>,
    },
    /// There are checkpoints, and none of them is whole.
    #[error(
        "no checkpoint in {location} is whole ({}); move the directory aside to start over",
        reasons.join("; ")
    )]
    NoWholeCheckpoint {
        /// The checkpoint directory.
        location: String,
        /// A line for each checkpoint.
        reasons: Vec<String>,
    },
    /// The newest checkpoint is damaged, and a sink cannot take back what it has committed since
    /// the one before.
    #[error(
        "cannot fall back to checkpoint {checkpoint}: sink {sink} cannot take back what it committed \
         later ({reason}); repair the newer checkpoint, or choose at-least-once output"
    )]
    FallBack {
        /// The newest whole checkpoint.
        checkpoint: u64,
        /// The sink.
        sink: String,
        /// Why the newer checkpoint is of no use.
        reason: String,
    },
    /// A checkpoint that was restored by mapping turned out to be damaged, before anything new was
    /// published or committed.
    #[error(
        "checkpoint {checkpoint} was restored by mapping and is damaged: {source}; nothing was published \
         since; start the job again to fall back to an older checkpoint"
    )]
    DamagedRestore {
        /// The checkpoint.
        checkpoint: u64,
        /// File, place, expected and found.
        source: Box<Error>,
    },
    /// Code that runs on a shard panicked.
    #[error("shard {shard} panicked in {operator}: {message}")]
    ShardPanicked {
        /// The shard.
        shard: usize,
        /// The operators of the stage that ran.
        operator: String,
        /// The panic's message.
        message: String,
    },
    /// A shard stood still for longer than the `Watchdog` allows, and the settings say that the job
    /// then ends. Its thread was left behind.
    #[error(
        "shard {shard} has stood still in {operator} for {still:?}, {}; its thread is left behind: \
         end the process and start the job again, which goes on from its newest checkpoint",
        if *is_waiting { "waiting in a system call" } else { "using its CPU" }
    )]
    ShardStuck {
        /// The shard.
        shard: usize,
        /// The operators of the stage in which it stands.
        operator: String,
        /// Since it was last seen to go on.
        still: Duration,
        /// It waits in a system call; otherwise it uses its CPU.
        is_waiting: bool,
    },
    /// A helper thread panicked: an error in Frazil.
    #[error("the {thread} thread panicked: {message}")]
    HelperPanicked {
        /// Which.
        thread: &'static str,
        /// The panic's message.
        message: String,
    },
    /// A checkpoint that was asked for did not become durable.
    #[error("checkpoint {checkpoint} was dropped: {reason}")]
    CheckpointDropped {
        /// Its number.
        checkpoint: u64,
        /// Why.
        reason: String,
    },
    /// More checkpoints failed in a row than `CheckpointSettings::tolerable_failures` allows.
    #[error(
        "{failed_count} checkpoints failed in a row, {tolerable} are tolerable; the last: {reason}"
    )]
    TooManyFailedCheckpoints {
        /// How many.
        failed_count: u32,
        /// The setting.
        tolerable: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// The newest durable checkpoint became older than `CheckpointSettings::max_age`, and the
    /// settings say that the job then stops.
    #[error(
        "the newest durable checkpoint is {age:?} old, at most {max_age:?} is allowed; \
         the last that failed: {}", if reason.is_empty() { "none" } else { reason }
    )]
    CheckpointTooOld {
        /// Since it was requested.
        age: Duration,
        /// The setting.
        max_age: Duration,
        /// Why a checkpoint failed last; empty if none has.
        reason: String,
    },
    /// The last checkpoint could not be made, so that output since the one before is not committed.
    #[error(
        "the job ended without its final checkpoint after {attempts} attempts over {waited:?}: {reason}; \
         start it again to commit the rest"
    )]
    NoFinalCheckpoint {
        /// Attempts.
        attempts: u32,
        /// Time from the first attempt.
        waited: Duration,
        /// Why the last one failed.
        reason: String,
    },
    /// The job has no checkpoint directory.
    #[error("the job keeps no checkpoints: give its builder Checkpoints with a directory")]
    NoCheckpoints,
    /// The job has ended.
    #[error("the job has ended")]
    Ended,
}

fn refused_lines(preflight: &Preflight) -> String {
    let lines = preflight.refusals().map(|line| format!("  {line}"));
    lines.collect::<Vec<_>>().join("\n")
}

impl Error {
    /// A setting that is out of its range.
    pub(crate) fn setting(
        setting: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Setting {
            setting,
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// A source's failure outside a shard.
    pub(crate) fn of_source(name: &str, source: SourceError) -> Self {
        Self::Flow(FlowError::Source {
            name: name.to_owned(),
            source,
        })
    }

    /// A helper thread's panic.
    pub(crate) fn panicked(thread: &'static str, payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        Self::HelperPanicked {
            thread,
            message: text.unwrap_or("no message").to_owned(),
        }
    }

    /// A sink's failure outside a shard.
    pub(crate) fn of_sink(name: &str, source: SinkError) -> Self {
        Self::Flow(FlowError::Sink {
            name: name.to_owned(),
            source,
        })
    }
}
