//! One record in, one owned record out.

use std::marker::PhantomData;

use crate::flow::build_context::BuildContext;
use crate::flow::chain::{Chain, Operator, forward_to_next};
use crate::flow::error::FlowError;
use crate::flow::record::{Plain, Record};
use crate::flow::stage::Stage;
use crate::shard::Context;

/// A chain with a `map` at its end.
pub struct Map<C, U, F> {
    before: C,
    map: F,
    made: PhantomData<fn() -> U>,
}

impl<C, U, F> Map<C, U, F> {
    pub(in crate::flow) fn new(before: C, map: F) -> Self {
        Self {
            before,
            map,
            made: PhantomData,
        }
    }
}

impl<C, U, F> Chain for Map<C, U, F>
where
    C: Chain,
    U: Plain,
    F: for<'a> FnMut(<C::Out as Record>::Ref<'a>) -> U + 'static,
{
    type Out = U;

    fn build<N: Operator<U>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        let operator = MapOperator {
            map: self.map,
            made: PhantomData,
            next,
        };
        self.before.build(operator, context)
    }
}

struct MapOperator<U, F, N> {
    map: F,
    made: PhantomData<fn() -> U>,
    next: N,
}

impl<R, U, F, N> Operator<R> for MapOperator<U, F, N>
where
    R: Record + ?Sized,
    U: Plain,
    F: for<'a> FnMut(R::Ref<'a>) -> U + 'static,
    N: Operator<U>,
{
    #[inline]
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>) {
        let made = (self.map)(record);
        self.next.record(&made, cx);
    }

    forward_to_next!();
}
