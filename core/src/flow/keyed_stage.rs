//! The stage behind an exchange.

use frazil_state::{KeyHash, RUN_KEYS_MAX};

use super::chain::{KeyedOperator, Operator};
use super::in_hand::InHand;
use super::operators::SecondInput;
use super::record::{Record, RecordBatch};
use super::stage::{Progress, SplitPosition, Stage};
use crate::exchange::{InputState, Received, Receiver};
use crate::in_flight::FlightStep;
use crate::shard::Context;

/// Records that one slice takes at most, and timers that it fires, give or take one run.
const SLICE_RECORDS: usize = 1024;
/// Records between two looks at the tail's room and at the capture's need for a break; state is
/// prefetched two runs ahead.
const RUN_RECORDS: usize = 64;
const _: () = assert!(RUN_RECORDS <= RUN_KEYS_MAX);
/// Keys of walks that a slice visits at most: a few for each record of a busy shard, so that
/// records wait only some microseconds longer.
const SLICE_KEYS: usize = 256;
/// Pending walks from which on records wait.
const WALKS_MAX: usize = 16;

/// An exchange's receiver, the operator that owns state, and what follows it.
///
/// A barrier is passed on once every input delivered it and no record in front of it is in hand.
/// Until then the stage works on; from then to `release` it takes no input.
pub(super) struct KeyedStage<R: Record + ?Sized, S, O, N> {
    index: u32,
    receiver: Receiver<R>,
    /// An input beside the keyed one.
    second: S,
    in_hand: InHand<Received<R>>,
    phase: Phase,
    /// The barrier passed on and not yet released.
    barrier: Option<u64>,
    is_published: bool,
    operator: O,
    next: N,
}

/// Where a stage stands in its life; it only moves down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Inputs deliver.
    Running,
    /// All inputs ended; final records are being emitted.
    Finals,
    /// The end is to be passed on.
    Closing,
    /// The end was passed on.
    Ended,
}

impl<R, S, O, N> KeyedStage<R, S, O, N>
where
    R: Record + ?Sized,
    S: SecondInput<R, O>,
    O: KeyedOperator<R>,
    N: Operator<O::Out>,
{
    /// A stage that `is_finished` in the restored checkpoint emits no final records again.
    pub(super) fn new(
        index: u32,
        is_finished: bool,
        receiver: Receiver<R>,
        second: S,
        operator: O,
        next: N,
    ) -> Self {
        Self {
            index,
            receiver,
            second,
            in_hand: InHand::default(),
            phase: if is_finished {
                Phase::Closing
            } else {
                Phase::Running
            },
            barrier: None,
            is_published: true,
            operator,
            next,
        }
    }

    fn publish(&mut self, cx: &mut Context<'_>) -> bool {
        let had_leftovers = !self.is_published;
        self.is_published = self.next.publish(cx);
        had_leftovers && self.is_published
    }

    /// Fires due timers until the slice is full or the tail is. As it changes state, it stands
    /// still from a barrier to its release, like the input.
    fn fire_timers(&mut self, cx: &mut Context<'_>) -> bool {
        if self.phase != Phase::Running || self.barrier.is_some() {
            return false;
        }
        self.work_off(SLICE_RECORDS, O::fire_timers, cx)
    }

    /// Visits keys of pending walks, in the same places as timers fire.
    fn walk(&mut self, cx: &mut Context<'_>) -> bool {
        if self.phase != Phase::Running || self.barrier.is_some() {
            return false;
        }
        self.work_off(SLICE_KEYS, O::walk, cx)
    }

    /// Has `work` done in runs until the slice is full, the tail is, or nothing is left to do.
    fn work_off(
        &mut self,
        slice: usize,
        work: impl Fn(&mut O, usize, &mut N, &mut Context<'_>) -> usize,
        cx: &mut Context<'_>,
    ) -> bool {
        cx.stamp_ns = cx.now_ns;
        let mut done_count = 0;
        while done_count < slice
            && cx.failure.is_none()
            && !cx.store.must_wait()
            && self.next.has_room(cx)
        {
            let count = work(&mut self.operator, RUN_RECORDS, &mut self.next, cx);
            if count == 0 {
                break;
            }
            done_count += count;
        }
        done_count > 0
    }

    /// Whether so many walks are pending that they go first.
    fn is_crowded(&self) -> bool {
        self.operator.walks().pending_count > WALKS_MAX
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

    /// One step, with the number of records that it took or emitted; none if there is nothing to
    /// do.
    fn step(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        match self.phase {
            _ if !self.in_hand.may_go_on() => None,
            Phase::Running if self.in_hand.batch.is_some() => self.apply_run(cx),
            Phase::Running => self.receive(cx),
            Phase::Finals => {
                cx.stamp_ns = cx.now_ns;
                if self.operator.emit_finals(RUN_RECORDS, &mut self.next, cx) {
                    self.phase = Phase::Closing;
                }
                Some(RUN_RECORDS)
            }
            Phase::Closing => {
                self.next.end(cx);
                self.phase = Phase::Ended;
                Some(0)
            }
            Phase::Ended => None,
        }
    }

    /// Applies the next run of the batch in hand.
    fn apply_run(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        if cx.store.must_wait() || self.is_crowded() {
            return None;
        }
        let (received, at) = self.in_hand.batch.as_mut()?;
        let batch = &received.batch;
        let (begin, batch_end) = (*at, batch.hashes.len());
        let end = batch_end.min(begin + RUN_RECORDS);
        self.operator
            .prefetch(run_of(&batch.hashes, end + RUN_RECORDS), cx);
        cx.stamp_ns = batch.stamp_ns;
        for index in begin..end {
            let (hash, record) = (batch.hashes[index], batch.records.get(index));
            self.operator.record(hash, record, &mut self.next, cx);
        }
        *at = end;
        if end == batch_end
            && let Some((spent, _)) = self.in_hand.batch.take()
        {
            self.receiver.recycle(spent);
        }
        Some(end - begin)
    }

    /// Serves the second input, or takes the next batch in hand, or passes the barrier, or turns to
    /// the final records.
    fn receive(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        if self.barrier.is_some() {
            return None;
        }
        // Inputs that deliver beyond their barriers could keep the stage busy for ever.
        if self.receiver.is_loose() && self.pass_barrier(cx) {
            return Some(0);
        }
        if self.is_crowded() {
            return None;
        }
        if !cx.store.must_wait()
            && let Some(count) = self.second.step(&mut self.operator, &mut self.next, cx)
        {
            return Some(count);
        }
        if let Some(received) = self.receiver.poll() {
            for first in [0, RUN_RECORDS] {
                let run = run_of(&received.batch.hashes, first);
                self.operator.prefetch(run, cx);
            }
            self.in_hand.batch = Some((received, 0));
            return Some(0);
        }
        if self.pass_barrier(cx) {
            return Some(0);
        }
        let walks = self.operator.walks();
        if self.input_state() != InputState::Ended
            || walks.pending_count > 0
            || walks.has_keys_in_hand
        {
            return None;
        }
        self.operator.settle(cx);
        self.phase = Phase::Finals;
        Some(0)
    }

    fn input_state(&self) -> InputState {
        self.receiver.state().and(self.second.state())
    }

    /// Takes what comes to a stage that was restored as finished: barriers and ends, which would
    /// fill the rings. Records are those of an end that comes again: it has seen them.
    fn drain(&mut self) {
        if self.phase == Phase::Ended && self.input_state() != InputState::Ended {
            while let Some(seen) = self.receiver.poll() {
                self.receiver.recycle(seen);
            }
            self.second.drain();
        }
    }

    /// Passes the barrier on if it has come on all inputs.
    fn pass_barrier(&mut self, cx: &mut Context<'_>) -> bool {
        let InputState::Held(epoch) = self.input_state() else {
            return false;
        };
        if self.operator.walks().has_keys_in_hand {
            return false;
        }
        self.operator.settle(cx);
        self.next.barrier(epoch, cx);
        self.barrier = Some(epoch);
        true
    }
}

/// The run that begins at `first`, if the batch reaches so far.
fn run_of(hashes: &[KeyHash], first: usize) -> &[KeyHash] {
    let end = hashes.len();
    &hashes[first.min(end)..end.min(first + RUN_RECORDS)]
}

impl<R, S, O, N> Stage for KeyedStage<R, S, O, N>
where
    R: Record + ?Sized,
    S: SecondInput<R, O>,
    O: KeyedOperator<R>,
    N: Operator<O::Out>,
{
    fn run(&mut self, cx: &mut Context<'_>) -> Progress {
        let handed_on = Progress::of(self.publish(cx));
        self.drain();
        // Timers first: what is due by the time of this turn happens before records that are seen
        // at that time.
        let mut acted = self.fire_timers(cx);
        acted |= self.walk(cx);
        let changed = Progress::of(acted).max(self.take_input(cx));
        if changed != Progress::Waiting {
            self.is_published = self.next.publish(cx);
        }
        handed_on.max(changed)
    }

    fn inject(&mut self, _epoch: u64, _last: bool, _cx: &mut Context<'_>) {}

    fn is_aligned(&self, epoch: u64) -> bool {
        // Not with the end still in hand: the freeze must find the stage finished on all shards or
        // on none.
        self.is_finished() || self.barrier == Some(epoch)
    }

    fn release(&mut self) {
        self.barrier = None;
        self.receiver.release();
        self.second.release();
    }

    fn may_cut(&self) -> bool {
        (self.phase != Phase::Finals || !self.operator.has_finals())
            && !self.operator.walks().has_keys_in_hand
            && self.receiver.may_cut()
            && self.second.may_cut()
    }

    fn cut(&mut self, epoch: u64, cx: &mut Context<'_>) {
        // Also behind the final records: they may be in an open batch still.
        if self.barrier != Some(epoch) && self.phase != Phase::Ended {
            if self.phase == Phase::Running {
                self.operator.settle(cx);
            }
            self.next.barrier(epoch, cx);
            self.barrier = Some(epoch);
            self.is_published = false;
        }
        self.in_hand.cut();
        self.receiver.cut(epoch);
        self.second.cut(epoch);
        self.next.in_flight(&mut FlightStep::Cut(epoch));
    }

    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool {
        let is_received_recorded = self.in_hand.in_flight(&mut self.receiver, step);
        let is_second_recorded = self.second.in_flight(step);
        self.next.in_flight(step) && is_received_recorded && is_second_recorded
    }

    fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Ended)
    }

    fn has_emitted_finals(&self) -> bool {
        self.is_done() && self.operator.has_finals()
    }

    fn is_finished(&self) -> bool {
        self.phase == Phase::Ended && self.is_published
    }

    fn positions(&self) -> &[SplitPosition] {
        &[]
    }

    fn index(&self) -> u32 {
        self.index
    }
}
