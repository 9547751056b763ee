//! The stage behind local edges, or behind an exchange without a key.

use super::chain::Operator;
use super::in_hand::InHand;
use super::record::{Record, RecordBatch};
use super::stage::{Progress, SplitPosition, Stage};
use super::stage_input::StageInput;
use crate::exchange::InputState;
use crate::in_flight::FlightStep;
use crate::shard::Context;

/// Records that one slice takes at most, give or take one run.
const SLICE_RECORDS: usize = 1024;
/// Records between two looks at the tail's room.
const RUN_RECORDS: usize = 64;

/// Inputs and what follows them. A barrier is passed on once every input delivered it; from then to
/// `release` the stage takes no input.
pub(super) struct PlainStage<R: Record + ?Sized, I: StageInput<R>, N> {
    index: u32,
    input: I,
    in_hand: InHand<I::Batch>,
    /// The barrier passed on and not yet released.
    barrier: Option<u64>,
    /// Whether the end was passed on.
    is_ended: bool,
    is_published: bool,
    next: N,
}

impl<R: Record + ?Sized, I: StageInput<R>, N: Operator<R>> PlainStage<R, I, N> {
    pub(super) fn new(index: u32, input: I, next: N) -> Self {
        Self {
            index,
            input,
            in_hand: InHand::default(),
            barrier: None,
            is_ended: false,
            is_published: true,
            next,
        }
    }

    fn publish(&mut self, cx: &mut Context<'_>) -> bool {
        let had_leftovers = !self.is_published;
        self.is_published = self.next.publish(cx);
        had_leftovers && self.is_published
    }

    /// Takes steps until the slice is full, the tail is, or nothing is left to do.
    fn take_input(&mut self, cx: &mut Context<'_>) -> Progress {
        let mut left = SLICE_RECORDS;
        let mut progress = Progress::Waiting;
        while left > 0 && cx.failure.is_none() && self.next.has_room(cx) {
            let Some(record_count) = self.step(cx) else {
                break;
            };
            left = left.saturating_sub(record_count);
            progress = Progress::of_input(left);
        }
        progress
    }

    /// One step, with the number of records that it took; none if there is nothing to do.
    fn step(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        if !self.in_hand.may_go_on() {
            return None;
        }
        if self.in_hand.batch.is_some() {
            return self.apply_run(cx);
        }
        if self.barrier.is_some() || self.is_ended {
            return None;
        }
        if let Some(batch) = self.input.poll() {
            self.in_hand.batch = Some((batch, 0));
            return Some(0);
        }
        match self.input.state() {
            InputState::Open => return None,
            InputState::Held(epoch) => {
                self.next.barrier(epoch, cx);
                self.barrier = Some(epoch);
            }
            InputState::Ended => {
                self.next.end(cx);
                self.is_ended = true;
            }
        }
        Some(0)
    }

    fn apply_run(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        let (batch, at) = self.in_hand.batch.as_mut()?;
        let records = I::records(batch);
        let (begin, batch_end) = (*at, records.len());
        let end = batch_end.min(begin + RUN_RECORDS);
        cx.stamp_ns = I::stamp_ns(batch);
        for index in begin..end {
            self.next.record(records.get(index), cx);
        }
        *at = end;
        if end == batch_end
            && let Some((spent, _)) = self.in_hand.batch.take()
        {
            self.input.recycle(spent);
        }
        Some(end - begin)
    }
}

impl<R: Record + ?Sized, I: StageInput<R>, N: Operator<R>> Stage for PlainStage<R, I, N> {
    fn run(&mut self, cx: &mut Context<'_>) -> Progress {
        let handed_on = Progress::of(self.publish(cx));
        let taken = self.take_input(cx);
        if taken != Progress::Waiting {
            self.is_published = self.next.publish(cx);
        }
        handed_on.max(taken)
    }

    fn inject(&mut self, _epoch: u64, _last: bool, _cx: &mut Context<'_>) {}

    fn is_aligned(&self, epoch: u64) -> bool {
        // Not with the end still in hand, see the stage behind an exchange.
        self.is_finished() || self.barrier == Some(epoch)
    }

    fn release(&mut self) {
        self.barrier = None;
        self.input.release();
    }

    fn may_cut(&self) -> bool {
        self.input.may_cut()
    }

    fn cut(&mut self, epoch: u64, cx: &mut Context<'_>) {
        if self.barrier != Some(epoch) && !self.is_ended {
            self.next.barrier(epoch, cx);
            self.barrier = Some(epoch);
            self.is_published = false;
        }
        self.in_hand.cut();
        self.input.cut(epoch);
        self.next.in_flight(&mut FlightStep::Cut(epoch));
    }

    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool {
        let is_input_recorded = self.in_hand.in_flight(&mut self.input, step);
        self.next.in_flight(step) && is_input_recorded
    }

    fn is_done(&self) -> bool {
        self.is_ended
    }

    fn has_emitted_finals(&self) -> bool {
        false
    }

    fn is_finished(&self) -> bool {
        self.is_ended && self.is_published
    }

    fn positions(&self) -> &[SplitPosition] {
        &[]
    }

    fn index(&self) -> u32 {
        self.index
    }
}
