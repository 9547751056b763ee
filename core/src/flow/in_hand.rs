//! The batch that a stage works on.

use super::record::Record;
use super::stage_input::StageInput;
use crate::in_flight::FlightStep;

/// A batch and the place in it to go on at. Behind a cut it waits until its rest is recorded.
pub(super) struct InHand<B> {
    pub(super) batch: Option<(B, usize)>,
    is_recorded: bool,
}

impl<B> Default for InHand<B> {
    fn default() -> Self {
        Self {
            batch: None,
            is_recorded: true,
        }
    }
}

impl<B> InHand<B> {
    /// Whether the batch may be gone on with, or the next one taken.
    #[inline]
    pub(super) fn may_go_on(&self) -> bool {
        self.is_recorded
    }

    /// The shard cuts: the rest of the batch lies in front of its barrier.
    pub(super) fn cut(&mut self) {
        self.is_recorded = self.batch.is_none();
    }

    /// Does a step for the batch and then for the input that it came from; true = nothing is left
    /// to record.
    pub(super) fn in_flight<R, I>(&mut self, input: &mut I, step: &mut FlightStep<'_, '_>) -> bool
    where
        R: Record + ?Sized,
        I: StageInput<R, Batch = B>,
    {
        match step {
            FlightStep::Cut(_) => true,
            FlightStep::Stop => {
                self.is_recorded = true;
                input.stop_recording();
                true
            }
            FlightStep::Record(recording) => {
                if let Some((batch, at)) = &self.batch
                    && !self.is_recorded
                    && !input.record_in_hand(batch, *at, recording)
                {
                    return false;
                }
                self.is_recorded = true;
                input.record(recording)
            }
        }
    }
}
