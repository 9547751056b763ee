//! Keeps the records that a predicate accepts.

use crate::flow::build_context::BuildContext;
use crate::flow::chain::{Chain, Operator, forward_to_next};
use crate::flow::error::FlowError;
use crate::flow::record::Record;
use crate::flow::stage::Stage;
use crate::shard::Context;

/// A chain with a `filter` at its end.
pub struct Filter<C, F> {
    before: C,
    accepts: F,
}

impl<C, F> Filter<C, F> {
    pub(in crate::flow) fn new(before: C, accepts: F) -> Self {
        Self { before, accepts }
    }
}

impl<C, F> Chain for Filter<C, F>
where
    C: Chain,
    F: for<'a> FnMut(<C::Out as Record>::Ref<'a>) -> bool + 'static,
{
    type Out = C::Out;

    fn build<N: Operator<C::Out>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        let operator = FilterOperator {
            accepts: self.accepts,
            next,
        };
        self.before.build(operator, context)
    }
}

struct FilterOperator<F, N> {
    accepts: F,
    next: N,
}

impl<R, F, N> Operator<R> for FilterOperator<F, N>
where
    R: Record + ?Sized,
    F: for<'a> FnMut(R::Ref<'a>) -> bool + 'static,
    N: Operator<R>,
{
    #[inline]
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>) {
        if (self.accepts)(record) {
            self.next.record(record, cx);
        }
    }

    forward_to_next!();
}
