//! One record in, any number of records out.

use std::marker::PhantomData;

use crate::flow::build_context::BuildContext;
use crate::flow::chain::{Chain, Operator, forward_to_next};
use crate::flow::error::FlowError;
use crate::flow::out::Out;
use crate::flow::record::Record;
use crate::flow::stage::Stage;
use crate::shard::Context;

/// A chain with a `flat_map` at its end.
pub struct FlatMap<C, U: ?Sized, F> {
    before: C,
    expand: F,
    made: PhantomData<fn(&U)>,
}

impl<C, U: ?Sized, F> FlatMap<C, U, F> {
    pub(in crate::flow) fn new(before: C, expand: F) -> Self {
        Self {
            before,
            expand,
            made: PhantomData,
        }
    }
}

impl<C, U, F> Chain for FlatMap<C, U, F>
where
    C: Chain,
    U: Record + ?Sized,
    F: for<'a> FnMut(<C::Out as Record>::Ref<'a>, &mut Out<U>) + 'static,
{
    type Out = U;

    fn build<N: Operator<U>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        let operator = FlatMapOperator {
            expand: self.expand,
            out: Out::new(),
            next,
        };
        self.before.build(operator, context)
    }
}

struct FlatMapOperator<U: Record + ?Sized, F, N> {
    expand: F,
    out: Out<U>,
    next: N,
}

impl<R, U, F, N> Operator<R> for FlatMapOperator<U, F, N>
where
    R: Record + ?Sized,
    U: Record + ?Sized,
    F: for<'a> FnMut(R::Ref<'a>, &mut Out<U>) + 'static,
    N: Operator<U>,
{
    #[inline]
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>) {
        self.out.clear();
        (self.expand)(record, &mut self.out);
        for index in 0..self.out.len() {
            self.next.record(self.out.get(index), cx);
        }
    }

    forward_to_next!();
}
