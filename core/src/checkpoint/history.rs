//! When each phase of the last checkpoints began and ended.
//!
//! All times are of the process's monotonic clock, so that those of shards, of the writer and of
//! the program itself can be laid side by side.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::settings::CheckpointSettings;
use crate::lock::locked;

/// Checkpoints that are remembered: half a minute of them at ten a second.
const CHECKPOINTS_MAX: usize = 300;

/// When something began and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseTime {
    /// The first moment.
    pub start: Instant,
    /// The last moment, never before the first.
    pub end: Instant,
}

impl PhaseTime {
    /// What began at `start` and ends now.
    pub(crate) fn since(start: Instant) -> Self {
        Self {
            start,
            end: Instant::now(),
        }
    }

    /// How long it took.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.end.saturating_duration_since(self.start)
    }
}

/// What became of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointOutcome {
    /// It is being made.
    InFlight,
    /// Its manifest is published.
    Durable,
    /// The same, and all sinks have committed.
    Committed,
    /// It was given up; the job went on.
    Dropped {
        /// Why.
        reason: String,
    },
    /// The job failed, was canceled or ended before it was decided.
    Aborted {
        /// How the job ended, or why it was started again.
        reason: String,
    },
}

/// One checkpoint's way; a phase that was not reached, or is not over, is `None`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckpointTrace {
    /// Its number.
    pub checkpoint: u64,
    /// The job was to end with it.
    pub last: bool,
    /// When it was requested.
    pub requested: Instant,
    /// What became of it.
    pub outcome: CheckpointOutcome,
    /// Each shard's part, by shard.
    pub shards: Vec<ShardTrace>,
    /// Syncing the segment and the sinks' staged output.
    pub sync: Option<PhaseTime>,
    /// Publishing the manifest.
    pub publish: Option<PhaseTime>,
    /// Committing the output of sinks, with all tries.
    pub commit: Option<PhaseTime>,
    /// Bytes written: frames, and the manifest once it is published.
    pub bytes: u64,
    /// The settings in force: when it was requested, then those that its manifest records.
    pub settings: CheckpointSettings,
}

/// One shard's part of a checkpoint.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ShardTrace {
    /// From the barrier at the shard's sources until it was seen on every input, or overtook what
    /// was in front of it.
    pub align: Option<PhaseTime>,
    /// All time without record processing, from aligned to the next record.
    pub freeze: Option<PhaseTime>,
    /// From the freeze until every frozen line was staged.
    pub capture: Option<PhaseTime>,
    /// From the first to the last of its chunks on their way to the segment; the writer takes the
    /// chunks of all shards in turn.
    pub write: Option<PhaseTime>,
    /// Bytes of its frames.
    pub bytes: u64,
    /// Bytes among them for records that the barrier overtook.
    pub in_flight_bytes: u64,
    /// Records that the barrier overtook.
    pub in_flight_records: u64,
}

impl CheckpointTrace {
    pub(crate) fn new(
        checkpoint: u64,
        last: bool,
        requested: Instant,
        shard_count: usize,
        settings: CheckpointSettings,
    ) -> Self {
        Self {
            checkpoint,
            last,
            requested,
            outcome: CheckpointOutcome::InFlight,
            shards: vec![ShardTrace::default(); shard_count],
            sync: None,
            publish: None,
            commit: None,
            bytes: 0,
            settings,
        }
    }
}

impl ShardTrace {
    /// Notes a frame that was written from `start` until now.
    pub(crate) fn wrote(&mut self, start: Instant, bytes: u64) {
        let start = self.write.map_or(start, |write| write.start);
        self.write = Some(PhaseTime::since(start));
        self.bytes += bytes;
    }
}

/// The last checkpoints of a job, shared by the writer and whoever looks.
#[derive(Clone, Default)]
pub(crate) struct CheckpointHistory(Arc<Mutex<VecDeque<CheckpointTrace>>>);

impl CheckpointHistory {
    /// Notes how a checkpoint stands; replaces what was noted of it before.
    pub(crate) fn note(&self, trace: &CheckpointTrace) {
        let mut traces = locked(&self.0);
        if let Some(known) = traces
            .back_mut()
            .filter(|known| known.checkpoint == trace.checkpoint)
        {
            known.clone_from(trace);
            return;
        }
        if traces.len() == CHECKPOINTS_MAX {
            traces.pop_front();
        }
        traces.push_back(trace.clone());
    }

    /// The run is over: a checkpoint in flight will never be decided. Gives its number.
    pub(crate) fn abort_in_flight(&self, reason: &str) -> Option<u64> {
        let mut traces = locked(&self.0);
        // One at a time: the newest.
        let newest = traces.back_mut()?;
        if newest.outcome != CheckpointOutcome::InFlight {
            return None;
        }
        newest.outcome = CheckpointOutcome::Aborted {
            reason: reason.to_owned(),
        };
        Some(newest.checkpoint)
    }

    /// What is remembered, oldest first.
    pub(crate) fn traces(&self) -> Vec<CheckpointTrace> {
        let traces = locked(&self.0);
        traces.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(checkpoint: u64) -> CheckpointTrace {
        let settings = CheckpointSettings::manual();
        CheckpointTrace::new(checkpoint, false, Instant::now(), 1, settings)
    }

    #[test]
    fn history_holds_each_checkpoint_once_and_forgets_the_oldest() {
        let history = CheckpointHistory::default();
        let count = CHECKPOINTS_MAX as u64 + 2;
        for checkpoint in 1..=count {
            let mut made = trace(checkpoint);
            history.note(&made);
            made.outcome = CheckpointOutcome::Durable;
            history.note(&made);
        }
        let traces = history.traces();
        let numbers: Vec<u64> = traces.iter().map(|trace| trace.checkpoint).collect();
        assert_eq!(numbers, (3..=count).collect::<Vec<_>>());
        let durable = |trace: &CheckpointTrace| trace.outcome == CheckpointOutcome::Durable;
        assert!(traces.iter().all(durable));
    }

    #[test]
    fn only_what_is_in_flight_is_aborted() {
        let history = CheckpointHistory::default();
        assert_eq!(history.abort_in_flight("nothing there"), None);
        let mut made = trace(1);
        made.outcome = CheckpointOutcome::Durable;
        history.note(&made);
        assert_eq!(history.abort_in_flight("it is durable"), None);
        history.note(&trace(2));
        assert_eq!(history.abort_in_flight("canceled"), Some(2));
        assert_eq!(history.abort_in_flight("again"), None);
        let outcomes: Vec<_> = history.traces().into_iter().map(|t| t.outcome).collect();
        let reason = "canceled".to_owned();
        let expected = [
            CheckpointOutcome::Durable,
            CheckpointOutcome::Aborted { reason },
        ];
        assert_eq!(outcomes, expected);
    }

    #[test]
    fn writing_lasts_from_the_first_frame_to_the_last() {
        let mut shard = ShardTrace::default();
        let first = Instant::now();
        shard.wrote(first, 10);
        shard.wrote(Instant::now(), 20);
        let write = shard.write.expect("something was written");
        assert_eq!((write.start, shard.bytes), (first, 30));
        assert!(write.end >= first);
    }
}
