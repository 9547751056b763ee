//! Any number of records out for each one in, by code that keeps a list for its shard.
//!
//! The list is written at the barrier and not when a record changes it: records behind the barrier
//! may come before the freeze, from a source that reads on, and must not be in the frozen state.
//! The end, which has no barrier behind it, is passed on only while no freeze is awaited.

use frazil_state::{ListRedistribution, OperatorList, StateError};

use crate::flow::build_context::BuildContext;
use crate::flow::chain::{Chain, Operator};
use crate::flow::error::FlowError;
use crate::flow::out::Out;
use crate::flow::process::{ListProcess, ProcessResult};
use crate::flow::record::Record;
use crate::flow::stage::Stage;
use crate::in_flight::FlightStep;
use crate::shard::Context;

/// A chain with a `process_list` at its end.
pub struct ListProcessed<C, P> {
    before: C,
    /// Operator number, for messages.
    operator: u32,
    table: String,
    redistribution: ListRedistribution,
    process: P,
}

impl<C, P> ListProcessed<C, P> {
    pub(in crate::flow) fn new(
        before: C,
        operator: u32,
        table: &str,
        redistribution: ListRedistribution,
        process: P,
    ) -> Self {
        Self {
            before,
            operator,
            table: table.to_owned(),
            redistribution,
            process,
        }
    }
}

impl<C, P> Chain for ListProcessed<C, P>
where
    C: Chain,
    P: ListProcess<C::Out>,
{
    type Out = P::Out;

    fn build<N: Operator<P::Out>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        let (name, mut process) = (self.table, self.process);
        let opened = OperatorList::open(context.store, &name, self.redistribution);
        let restored = opened.and_then(|list| Ok((list.get(context.store)?, list)));
        let (elements, list) = match restored {
            Ok(restored) => restored,
            Err(source) => return Err(FlowError::State { name, source }),
        };
        process.restore(elements);
        let operator = ListOperator {
            operator: self.operator,
            name,
            list,
            process,
            elements: Vec::new(),
            out: Out::<P::Out>::new(),
            next,
        };
        self.before.build(operator, context)
    }
}

struct ListOperator<P, V, U: Record + ?Sized, N> {
    operator: u32,
    name: String,
    list: OperatorList<V>,
    process: P,
    /// The list on its way into the table.
    elements: Vec<V>,
    out: Out<U>,
    next: N,
}

impl<P, V, U: Record + ?Sized, N: Operator<U>> ListOperator<P, V, U, N> {
    /// Passes on what a call emitted.
    #[inline]
    fn emit(&mut self, result: ProcessResult, cx: &mut Context<'_>) {
        if let Err(error) = result {
            cx.fail(FlowError::of_process(self.operator, error));
        }
        for index in 0..self.out.len() {
            self.next.record(self.out.get(index), cx);
        }
    }

    fn note(&self, written: Result<(), StateError>, cx: &mut Context<'_>) {
        if let Err(source) = written {
            let name = self.name.clone();
            cx.fail(FlowError::State { name, source });
        }
    }
}

impl<R, P, N> Operator<R> for ListOperator<P, P::Element, P::Out, N>
where
    R: Record + ?Sized,
    P: ListProcess<R>,
    N: Operator<P::Out>,
{
    #[inline]
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>) {
        self.out.clear();
        let result = self.process.record(record, &mut self.out);
        self.emit(result, cx);
    }

    #[inline]
    fn has_room(&self, cx: &Context<'_>) -> bool {
        self.next.has_room(cx)
    }

    fn publish(&mut self, cx: &mut Context<'_>) -> bool {
        self.next.publish(cx)
    }

    fn barrier(&mut self, epoch: u64, cx: &mut Context<'_>) {
        self.elements.clear();
        self.process.snapshot(&mut self.elements);
        self.note(self.list.replace(cx.store, &self.elements), cx);
        self.next.barrier(epoch, cx);
    }

    fn end(&mut self, cx: &mut Context<'_>) {
        self.out.clear();
        let result = self.process.end(&mut self.out);
        self.emit(result, cx);
        self.elements.clear();
        self.process.snapshot(&mut self.elements);
        self.note(self.list.replace(cx.store, &self.elements), cx);
        self.next.end(cx);
    }

    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool {
        self.next.in_flight(step)
    }
}
