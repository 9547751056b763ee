//! The second input of a keyed stage: records that all shards get alike.

use std::marker::PhantomData;

use crate::exchange::{InputState, Received, Receiver};
use crate::flow::build_context::BuildContext;
use crate::flow::chain::{BroadcastOperator, KeyedOperator, Operator};
use crate::flow::error::FlowError;
use crate::flow::record::{Record, RecordBatch};
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

    /// Where the input stands, with nothing in hand.
    fn state(&self) -> InputState;

    fn release(&mut self);
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

    #[inline]
    fn state(&self) -> InputState {
        InputState::Ended
    }

    fn release(&mut self) {}
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
            receiver: context.take_receiver::<B>(&self.exchanges)?,
            in_hand: None,
        })
    }
}

pub(crate) struct BroadcastInput<B: Record + ?Sized> {
    receiver: Receiver<B>,
    /// A batch and the place in it to go on at.
    in_hand: Option<(Received<B>, usize)>,
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
        let Some((received, at)) = &mut self.in_hand else {
            self.in_hand = Some((self.receiver.poll()?, 0));
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
            && let Some((spent, _)) = self.in_hand.take()
        {
            self.receiver.recycle(spent);
        }
        Some(end - begin)
    }

    fn state(&self) -> InputState {
        self.receiver.state()
    }

    fn release(&mut self) {
        self.receiver.release();
    }
}
