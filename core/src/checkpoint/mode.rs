//! What a checkpoint promises, and what its barriers wait for.

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
    /// At least once: no input stands still for the barriers of others. A checkpoint may hold the
    /// effects of records behind its source positions: after a recovery these are read again, so
    /// state may count them twice and sinks may write their results twice. Nothing is lost. Newer
    /// checkpoints that are damaged are passed over also where a sink cannot take back what it
    /// committed with them.
    AtLeastOnce,
}
