//! Shows every record to a closure.

use crate::flow::build_context::BuildContext;
use crate::flow::chain::{Chain, Operator, forward_to_next};
use crate::flow::error::FlowError;
use crate::flow::record::Record;
use crate::flow::stage::Stage;
use crate::shard::Context;

/// A chain with an `inspect` at its end.
pub struct Inspect<C, F> {
    before: C,
    look: F,
}

impl<C, F> Inspect<C, F> {
    pub(in crate::flow) fn new(before: C, look: F) -> Self {
        Self { before, look }
    }
}

impl<C, F> Chain for Inspect<C, F>
where
    C: Chain,
    F: for<'a> FnMut(<C::Out as Record>::Ref<'a>) + 'static,
{
    type Out = C::Out;

    fn build<N: Operator<C::Out>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        let operator = InspectOperator {
            look: self.look,
            next,
        };
        self.before.build(operator, context)
    }
}

struct InspectOperator<F, N> {
    look: F,
    next: N,
}

impl<R, F, N> Operator<R> for InspectOperator<F, N>
where
    R: Record + ?Sized,
    F: for<'a> FnMut(R::Ref<'a>) + 'static,
    N: Operator<R>,
{
    #[inline]
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>) {
        (self.look)(record);
        self.next.record(record, cx);
    }

    forward_to_next!();
}
