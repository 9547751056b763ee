//! What a checkpoint promises, and what its barriers wait for.

use std::time::Duration;

/// How a stage with several inputs passes a barrier that has not come on all of them.
///
/// ```
/// use frazil::{CheckpointMode, Checkpoints};
/// use std::time::Duration;
/// let checkpoints = Checkpoints::every(Duration::from_secs(1))
///     .dir("checkpoints")
///     .mode(CheckpointMode::AtLeastOnce);
/// # let _ = checkpoints;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointMode {
    /// Exactly once: an input whose barrier came stands still until the barrier has come on all
    /// inputs. Under backpressure barriers queue behind records, so a checkpoint takes as long as
    /// these records do.
    #[default]
    Aligned,
    /// Exactly once, without waiting: a barrier overtakes the records that are queued in front of
    /// it, and these become part of the checkpoint, as state does. So a checkpoint takes no longer
    /// under backpressure, for the price of bytes: all rings, outboxes and queues at most. After a
    /// recovery they come first.
    ///
    /// Savepoints, the last checkpoint of a job, and one that would find a stage amid its final
    /// records are aligned also in this mode.
    Unaligned,
    /// At least once: no input stands still for the barriers of others. A checkpoint may hold the
    /// effects of records behind its source positions: after a recovery these are read again, so
    /// state may count them twice and sinks may write their results twice. Nothing is lost. Newer
    /// checkpoints that are damaged are passed over also where a sink cannot take back what it
    /// committed with them.
    AtLeastOnce,
}

impl CheckpointMode {
    /// How long barriers wait for alignment before they overtake; `None` = for ever.
    pub(crate) fn overtake_after(self, alignment_timeout: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Aligned => alignment_timeout,
            Self::Unaligned => Some(Duration::ZERO),
            Self::AtLeastOnce => None,
        }
    }
}
