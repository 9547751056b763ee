//! The stage behind a local edge.

use super::build_context::BuildContext;
use super::chain::{Chain, Operator};
use super::error::FlowError;
use super::local_edge::{LocalBatch, LocalMessage, SharedEdge};
use super::record::{Record, RecordBatch};
use super::stage::{Progress, SplitPosition, Stage};
use crate::shard::Context;

/// Records that one slice takes at most, give or take one run.
const SLICE_RECORDS: usize = 1024;
/// Records between two looks at the tail's room.
const RUN_RECORDS: usize = 64;

/// The front of a chain that begins with a local edge.
pub struct LocalHead<R: Record + ?Sized> {
    edge: SharedEdge<R>,
}

impl<R: Record + ?Sized> LocalHead<R> {
    pub(super) fn new(edge: SharedEdge<R>) -> Self {
        Self { edge }
    }
}

impl<R: Record + ?Sized> Chain for LocalHead<R> {
    type Out = R;

    fn build<N: Operator<R>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        Ok(Box::new(LocalStage {
            index: context.stage,
            edge: self.edge,
            in_hand: None,
            barrier: None,
            is_ended: false,
            is_published: true,
            next,
        }))
    }
}

/// A local edge and what follows it. From a barrier to `release` it takes no input.
struct LocalStage<R: Record + ?Sized, N> {
    index: u32,
    edge: SharedEdge<R>,
    /// A batch and the place in it to go on at.
    in_hand: Option<(LocalBatch<R>, usize)>,
    /// The barrier passed on and not yet released.
    barrier: Option<u64>,
    /// Whether the end was passed on.
    is_ended: bool,
    is_published: bool,
    next: N,
}

impl<R: Record + ?Sized, N: Operator<R>> LocalStage<R, N> {
    fn publish(&mut self, cx: &mut Context<'_>) -> bool {
        let had_leftovers = !self.is_published;
        self.is_published = self.next.publish(cx);
        had_leftovers && self.is_published
    }

    /// Takes steps until the slice is full, the tail is, or nothing is left to do.
    fn take_input(&mut self, cx: &mut Context<'_>) -> bool {
        let mut left = SLICE_RECORDS;
        let mut worked = false;
        while left > 0 && cx.failure.is_none() && self.next.has_room(cx) {
            let Some(record_count) = self.step(cx) else {
                break;
            };
            worked = true;
            left = left.saturating_sub(record_count);
        }
        worked
    }

    /// One step, with the number of records that it took; none if there is nothing to do.
    fn step(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        if self.in_hand.is_some() {
            return self.apply_run(cx);
        }
        if self.barrier.is_some() || self.is_ended {
            return None;
        }
        let message = self.edge.borrow_mut().pop()?;
        match message {
            LocalMessage::Batch(batch) => self.in_hand = Some((batch, 0)),
            LocalMessage::Barrier(epoch) => {
                self.next.barrier(epoch, cx);
                self.barrier = Some(epoch);
            }
            LocalMessage::End => {
                self.next.end(cx);
                self.is_ended = true;
            }
        }
        Some(0)
    }

    fn apply_run(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        let (batch, at) = self.in_hand.as_mut()?;
        let (begin, batch_end) = (*at, batch.records.len());
        let end = batch_end.min(begin + RUN_RECORDS);
        cx.stamp_ns = batch.stamp_ns;
        for index in begin..end {
            self.next.record(batch.records.get(index), cx);
        }
        *at = end;
        if end == batch_end
            && let Some((spent, _)) = self.in_hand.take()
        {
            self.edge.borrow_mut().recycle(spent);
        }
        Some(end - begin)
    }
}

impl<R: Record + ?Sized, N: Operator<R>> Stage for LocalStage<R, N> {
    fn run(&mut self, cx: &mut Context<'_>) -> Progress {
        let mut worked = self.publish(cx);
        if self.take_input(cx) {
            worked = true;
            self.is_published = self.next.publish(cx);
        }
        Progress::of(worked)
    }

    fn inject(&mut self, _epoch: u64, _last: bool, _cx: &mut Context<'_>) {}

    fn is_aligned(&self, epoch: u64) -> bool {
        // Not with the end still in hand, see the stage behind an exchange.
        self.is_finished() || self.barrier == Some(epoch)
    }

    fn release(&mut self) {
        self.barrier = None;
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
