//! How builder types become one monomorphised stage.
//!
//! The builder composes from the front: every call wraps the chain before it. Operators compose
//! from the back: every operator owns the next one. `Chain::build` turns one into the other, so a
//! record passes a whole stage in direct calls that the compiler can inline.

use frazil_state::KeyHash;

use super::build_context::BuildContext;
use super::error::FlowError;
use super::local_head::LocalInput;
use super::record::Record;
use super::stage::Stage;
use crate::in_flight::FlightStep;
use crate::shard::Context;

/// How to produce records of type `Out`: the front part of a stage, from its input on.
pub(crate) trait Chain: 'static {
    /// What comes out.
    type Out: Record + ?Sized;

    /// Completes the stage with what takes the records.
    fn build<N: Operator<Self::Out>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError>;

    /// The local edges that the chain is made of, if it is nothing else: the stage that follows can
    /// take them for its own.
    fn into_inputs(self) -> Result<Vec<LocalInput<Self::Out>>, Self>
    where
        Self: Sized,
    {
        Err(self)
    }
}

/// What takes records of type `R`: the back part of a stage, to its tail.
pub(crate) trait Operator<R: Record + ?Sized>: 'static {
    /// Takes one record. Never refuses: room is asked for between runs of records.
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>);

    /// Whether the tail can take another run of records.
    fn has_room(&self, cx: &Context<'_>) -> bool;

    /// Hands on what the tail holds; true = nothing is left in hand.
    fn publish(&mut self, cx: &mut Context<'_>) -> bool;

    /// Ends `epoch`: the tail puts the barrier behind everything it took, whether it has room or
    /// not.
    fn barrier(&mut self, epoch: u64, cx: &mut Context<'_>);

    /// No record follows: the tail puts the end behind everything it took, whether it has room or
    /// not.
    fn end(&mut self, cx: &mut Context<'_>);

    /// Does a step for what the tail holds in front of a cut; true = nothing is left to record.
    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool;
}

/// A tail whose type the stage in front of it does not know.
impl<R: Record + ?Sized> Operator<R> for Box<dyn Operator<R>> {
    #[inline]
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>) {
        (**self).record(record, cx);
    }

    #[inline]
    fn has_room(&self, cx: &Context<'_>) -> bool {
        (**self).has_room(cx)
    }

    fn publish(&mut self, cx: &mut Context<'_>) -> bool {
        (**self).publish(cx)
    }

    fn barrier(&mut self, epoch: u64, cx: &mut Context<'_>) {
        (**self).barrier(epoch, cx);
    }

    fn end(&mut self, cx: &mut Context<'_>) {
        (**self).end(cx);
    }

    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool {
        (**self).in_flight(step)
    }
}

/// How far an operator is with its walks over keys.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walks {
    /// Walks that are not done.
    pub(crate) pending_count: usize,
    /// Keys were found that are not visited yet: no barrier may pass.
    pub(crate) has_keys_in_hand: bool,
}

/// The operator behind an exchange: it alone touches keyed state.
pub(crate) trait KeyedOperator<R: Record + ?Sized>: 'static {
    /// What comes out.
    type Out: Record + ?Sized;

    /// Announces a run of records, so that their state is in the cache when they come. Runs are
    /// announced in order, each once, two runs before it comes; at the end of a batch empty ones.
    fn prefetch(&mut self, hashes: &[KeyHash], cx: &Context<'_>);

    /// Takes one record with its key's hash.
    fn record<N: Operator<Self::Out>>(
        &mut self,
        hash: KeyHash,
        record: R::Ref<'_>,
        next: &mut N,
        cx: &mut Context<'_>,
    );

    /// Whether it emits final records.
    fn has_finals(&self) -> bool;

    /// Fires timers that are due, at most `limit`; gives how many.
    fn fire_timers<N: Operator<Self::Out>>(
        &mut self,
        limit: usize,
        next: &mut N,
        cx: &mut Context<'_>,
    ) -> usize;

    /// Visits keys of the walks that are pending, at most `limit`; gives how many.
    fn walk<N: Operator<Self::Out>>(
        &mut self,
        limit: usize,
        next: &mut N,
        cx: &mut Context<'_>,
    ) -> usize {
        let _ = (limit, next, cx);
        0
    }

    /// How far the operator is with its walks.
    fn walks(&self) -> Walks {
        Walks::default()
    }

    /// Writes what the operator keeps beside its states into the store: at a barrier and at the
    /// end, with no key of a walk in hand.
    fn settle(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// After the last record: emits up to `limit` final records; true = all are emitted.
    fn emit_finals<N: Operator<Self::Out>>(
        &mut self,
        limit: usize,
        next: &mut N,
        cx: &mut Context<'_>,
    ) -> bool;
}

/// A keyed operator that sees a second stream, all of it on every shard.
pub(crate) trait BroadcastOperator<R: Record + ?Sized, B: Record + ?Sized>:
    KeyedOperator<R>
{
    /// Takes one record of the second stream. May come between any two batches of keyed records.
    fn broadcast<N: Operator<Self::Out>>(
        &mut self,
        record: B::Ref<'_>,
        next: &mut N,
        cx: &mut Context<'_>,
    );
}

/// Forwards the calls that an operator without a memory of its own has no part in.
macro_rules! forward_to_next {
    () => {
        #[inline]
        fn has_room(&self, cx: &Context<'_>) -> bool {
            self.next.has_room(cx)
        }

        fn publish(&mut self, cx: &mut Context<'_>) -> bool {
            self.next.publish(cx)
        }

        fn barrier(&mut self, epoch: u64, cx: &mut Context<'_>) {
            self.next.barrier(epoch, cx);
        }

        fn end(&mut self, cx: &mut Context<'_>) {
            self.next.end(cx);
        }

        fn in_flight(&mut self, step: &mut crate::in_flight::FlightStep<'_, '_>) -> bool {
            self.next.in_flight(step)
        }
    };
}
pub(super) use forward_to_next;
