//! Any number of records out for each one in, by code that keeps state for the record's key.

use std::marker::PhantomData;
use std::rc::Rc;

use frazil_state::{Key, KeyHash};

use super::key::KeyOf;
use super::keyed_input::KeyedInput;
use crate::flow::build_context::BuildContext;
use crate::flow::chain::{Chain, KeyedOperator, Operator};
use crate::flow::error::FlowError;
use crate::flow::out::Out;
use crate::flow::process::{DeclaredTables, Process, ProcessContext};
use crate::flow::record::Record;
use crate::flow::stage::Stage;
use crate::shard::Context;

/// The front of a chain that begins with a process function.
pub struct ProcessHead<R: ?Sized, K: ?Sized, X, P> {
    pub(in crate::flow) input: KeyedInput<X>,
    /// Operator number, for messages.
    pub(in crate::flow) operator: u32,
    pub(in crate::flow) tables: DeclaredTables,
    pub(in crate::flow) process: P,
    pub(in crate::flow) types: PhantomData<fn(&R, &K)>,
}

impl<R, K, X, P> Chain for ProcessHead<R, K, X, P>
where
    R: Record + ?Sized,
    K: Key + ?Sized,
    X: KeyOf<R, K>,
    P: Process<R, K>,
{
    type Out = P::Out;

    fn build<N: Operator<P::Out>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        self.tables.open(context.store)?;
        let operator = ProcessOperator {
            key: Rc::clone(&self.input.key),
            exchange: self.input.exchange,
            operator: self.operator,
            tables: self.tables,
            process: self.process,
            out: Out::new(),
            types: PhantomData,
        };
        self.input.build(operator, next, context)
    }
}

struct ProcessOperator<R: ?Sized, K: ?Sized, X, P, U: Record + ?Sized> {
    key: Rc<X>,
    exchange: usize,
    operator: u32,
    tables: DeclaredTables,
    process: P,
    /// What one call emits; its memory serves all calls.
    out: Out<U>,
    types: PhantomData<fn(&R, &K)>,
}

impl<R, K, X, P> KeyedOperator<R> for ProcessOperator<R, K, X, P, P::Out>
where
    R: Record + ?Sized,
    K: Key + ?Sized,
    X: KeyOf<R, K>,
    P: Process<R, K>,
{
    type Out = P::Out;

    fn prefetch(&mut self, hashes: &[KeyHash], cx: &Context<'_>) {
        self.tables.prefetch(cx.store, hashes);
    }

    #[inline]
    fn record<N: Operator<P::Out>>(
        &mut self,
        hash: KeyHash,
        record: R::Ref<'_>,
        next: &mut N,
        cx: &mut Context<'_>,
    ) {
        let (process, out, exchange) = (&mut self.process, &mut self.out, self.exchange);
        out.clear();
        let result = self.key.with_key(record, |key| {
            let mut context = ProcessContext {
                store: &mut *cx.store,
                hash,
                key,
                now_ms: cx.now_ms,
                stamp_ns: cx.stamp_ns,
                exchange,
            };
            process.record(record, &mut context, out)
        });
        if let Err(error) = result {
            cx.fail(FlowError::of_process(self.operator, error));
        }
        for index in 0..out.len() {
            next.record(out.get(index), cx);
        }
    }

    fn emit_finals<N: Operator<P::Out>>(
        &mut self,
        _limit: usize,
        _next: &mut N,
        _cx: &mut Context<'_>,
    ) -> bool {
        true
    }
}
