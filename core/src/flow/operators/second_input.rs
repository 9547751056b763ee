//! The second input of a keyed stage: records that all shards get alike.

use std::marker::PhantomData;

use crate::exchange::{InputState, Received, Receiver};
use crate::flow::build_context::BuildContext;
use crate::flow::chain::{BroadcastOperator, KeyedOperator, Operator};
use crate::flow::error::FlowError;
use crate::flow::in_hand::InHand;
use crate::flow::record::{Record, RecordBatch};
use crate::in_flight::{FlightStep, Route};
use crate::shard::Context;

/// Records between two looks at the tail's room.
const RUN_RECORDS: usize = 64;

/// What a keyed stream is connected with.
pub(crate) trait Connection<R: Record + ?Sized, O: KeyedOperator<R>>: 'static {
    type Input: SecondInput<R, O>;

    fn open(self, context: &mut BuildContext<'_>) -> Result<Self::Input, FlowError>;
}

/// An input beside the keyed one, aligned with it.
pub(crate) trait SecondInput<R: Record + ?Sized, O: KeyedOperator<R>>: 'static {
    /// Applies a run of records or takes the next batch in hand, with the number of records; none
    /// if there is nothing to do.
    fn step<N: Operator<O::Out>>(
        &mut self,
        operator: &mut O,
        next: &mut N,
        cx: &mut Context<'_>,
    ) -> Option<usize>;

    /// Takes what comes and does nothing about it.
    fn drain(&mut self);

    /// Where the input stands, with nothing in hand.
    fn state(&self) -> InputState;

    fn release(&mut self);

    /// Whether what was restored leaves room for more to be recorded.
    fn may_cut(&self) -> bool;

    /// The shard cuts before the barrier has come on all inputs, or when it has.
    fn cut(&mut self, epoch: u64);

    /// Does a step for what lies in front of a cut; true = nothing is left to record.
    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool;
}

/// No second input: as if it had ended.
pub struct Unconnected;

impl<R: Record + ?Sized, O: KeyedOperator<R>> Connection<R, O> for Unconnected {
    type Input = Self;

    fn open(self, _context: &mut BuildContext<'_>) -> Result<Self, FlowError> {
        Ok(self)
    }
}

impl<R: Record + ?Sized, O: KeyedOperator<R>> SecondInput<R, O> for Unconnected {
    #[inline]
    fn step<N: Operator<O::Out>>(
        &mut self,
        _operator: &mut O,
        _next: &mut N,
        _cx: &mut Context<'_>,
    ) -> Option<usize> {
        None
    }

    fn drain(&mut self) {}

    #[inline]
    fn state(&self) -> InputState {
        InputState::Ended
    }

    fn release(&mut self) {}

    fn may_cut(&self) -> bool {
        true
    }

    fn cut(&mut self, _epoch: u64) {}

    fn in_flight(&mut self, _step: &mut FlightStep<'_, '_>) -> bool {
        true
    }
}

/// A broadcast stream of `B`.
pub struct Connected<B: ?Sized> {
    exchanges: Vec<usize>,
    records: PhantomData<fn(&B)>,
}

impl<B: ?Sized> Connected<B> {
    pub(in crate::flow) fn new(exchanges: Vec<usize>) -> Self {
        Self {
            exchanges,
            records: PhantomData,
        }
    }
}

impl<R, O, B> Connection<R, O> for Connected<B>
where
    R: Record + ?Sized,
    O: BroadcastOperator<R, B>,
    B: Record + ?Sized,
{
    type Input = BroadcastInput<B>;

    fn open(self, context: &mut BuildContext<'_>) -> Result<BroadcastInput<B>, FlowError> {
        Ok(BroadcastInput {
            receiver: context.take_receiver::<B>(&self.exchanges, Route::EachShard)?,
            in_hand: InHand::default(),
        })
    }
}

pub(crate) struct BroadcastInput<B: Record + ?Sized> {
    receiver: Receiver<B>,
    in_hand: InHand<Received<B>>,
}

impl<R, O, B> SecondInput<R, O> for BroadcastInput<B>
where
    R: Record + ?Sized,
    O: BroadcastOperator<R, B>,
    B: Record + ?Sized,
{
    fn step<N: Operator<O::Out>>(
        &mut self,
        operator: &mut O,
        next: &mut N,
        cx: &mut Context<'_>,
    ) -> Option<usize> {
        if !self.in_hand.may_go_on() {
            return None;
        }
        let Some((received, at)) = &mut self.in_hand.batch else {
            self.in_hand.batch = Some((self.receiver.poll()?, 0));
            return Some(0);
        };
        let batch = &received.batch;
        let (begin, batch_end) = (*at, batch.records.len());
        let end = batch_end.min(begin + RUN_RECORDS);
        cx.stamp_ns = batch.stamp_ns;
        for index in begin..end {
            operator.broadcast(batch.records.get(index), next, cx);
        }
        *at = end;
        if end == batch_end
            && let Some((spent, _)) = self.in_hand.batch.take()
        {
            self.receiver.recycle(spent);
        }
        Some(end - begin)
    }

    fn drain(&mut self) {
        while let Some(seen) = self.receiver.poll() {
            self.receiver.recycle(seen);
        }
    }

    fn state(&self) -> InputState {
        self.receiver.state()
    }

    fn release(&mut self) {
        self.receiver.release();
    }

    fn may_cut(&self) -> bool {
        self.receiver.may_cut()
    }

    fn cut(&mut self, epoch: u64) {
        self.in_hand.cut();
        self.receiver.cut(epoch);
    }

    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool {
        self.in_hand.in_flight(&mut self.receiver, step)
    }
}
