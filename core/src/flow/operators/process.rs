//! Any number of records out for each one in, by code that keeps state for the record's key.

use std::marker::PhantomData;
use std::rc::Rc;

use frazil_state::{DueTimer, Key, KeyHash, hash_key};

use super::key::KeyOf;
use super::keyed_input::KeyedInput;
use super::second_input::{Connection, Unconnected};
use crate::flow::build_context::BuildContext;
use crate::flow::chain::{BroadcastOperator, Chain, KeyedOperator, Operator, Walks};
use crate::flow::error::FlowError;
use crate::flow::flow_builder::Flow;
use crate::flow::out::Out;
use crate::flow::process::{
    BroadcastContext, BroadcastProcess, Declared, KeysInHand, PendingTimers, Process,
    ProcessContext, ProcessResult, States,
};
use crate::flow::record::Record;
use crate::flow::stage::Stage;
use crate::shard::Context;

/// The front of a chain that begins with a process function.
pub struct ProcessHead<R: ?Sized, K: ?Sized, X, P, S = Unconnected> {
    input: KeyedInput<X, S>,
    /// Operator number, for messages.
    operator: u32,
    declared: Declared<K>,
    process: P,
    types: PhantomData<fn(&R)>,
}

impl<R: ?Sized, K: Key + ?Sized, X, P, S> ProcessHead<R, K, X, P, S> {
    /// The process function that `open` makes, with the states that it declares.
    pub(in crate::flow) fn new<'f>(
        input: KeyedInput<X, S>,
        flow: &'f Flow,
        operator: u32,
        open: impl FnOnce(&mut States<'f, K>) -> P,
    ) -> Self {
        let mut states = States::new(flow);
        let process = open(&mut states);
        Self {
            input,
            operator,
            declared: states.into_declared(),
            process,
            types: PhantomData,
        }
    }
}

impl<R: ?Sized, K: ?Sized, X, P, S> ProcessHead<R, K, X, P, S> {
    pub(in crate::flow) fn map_process<Q>(
        self,
        process: impl FnOnce(P) -> Q,
    ) -> ProcessHead<R, K, X, Q, S> {
        ProcessHead {
            input: self.input,
            operator: self.operator,
            declared: self.declared,
            process: process(self.process),
            types: PhantomData,
        }
    }
}

impl<R, K, X, P, S> Chain for ProcessHead<R, K, X, P, S>
where
    R: Record + ?Sized,
    K: Key + ?Sized,
    X: KeyOf<R, K>,
    P: Process<R, K>,
    S: Connection<R, ProcessOperator<R, K, X, P, P::Out>>,
{
    type Out = P::Out;

    fn build<N: Operator<P::Out>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        self.declared.open(context.store)?;
        let operator = ProcessOperator {
            key: Rc::clone(&self.input.key),
            exchange: self.input.id(),
            operator: self.operator,
            declared: self.declared,
            process: self.process,
            out: Out::new(),
            keys: KeysInHand::default(),
            types: PhantomData,
        };
        self.input.build(operator, next, context)
    }
}

pub(crate) struct ProcessOperator<R: ?Sized, K: ?Sized, X, P, U: Record + ?Sized> {
    key: Rc<X>,
    exchange: usize,
    operator: u32,
    declared: Declared<K>,
    process: P,
    /// What one call emits; its memory serves all calls.
    out: Out<U>,
    /// Of the walk that is on.
    keys: KeysInHand,
    types: PhantomData<fn(&R)>,
}

/// Which timers fire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    ByNow,
    All,
}

impl<R, K, X, P> ProcessOperator<R, K, X, P, P::Out>
where
    R: Record + ?Sized,
    K: Key + ?Sized,
    P: Process<R, K>,
{
    /// Passes on what a call emitted.
    #[inline]
    fn emit<N: Operator<P::Out>>(
        &mut self,
        result: ProcessResult,
        next: &mut N,
        cx: &mut Context<'_>,
    ) {
        if let Err(error) = result {
            cx.fail(FlowError::of_process(self.operator, error));
        }
        for index in 0..self.out.len() {
            next.record(self.out.get(index), cx);
        }
    }

    fn call_timer<N: Operator<P::Out>>(
        &mut self,
        timer: &DueTimer<K>,
        due: Due,
        next: &mut N,
        cx: &mut Context<'_>,
    ) {
        let (process, out, exchange) = (&mut self.process, &mut self.out, self.exchange);
        out.clear();
        let result = timer.with_key(|key| {
            let may_schedule = due == Due::ByNow;
            let mut context = ProcessContext::of(cx, hash_key(key), key, may_schedule, exchange);
            process.timer(timer.time(), &mut context, out)
        });
        self.emit(result, next, cx);
    }

    /// Visits the next key in hand, if it still has the state that is walked over; false if no key
    /// is in hand.
    fn visit<N: Operator<P::Out>>(&mut self, next: &mut N, cx: &mut Context<'_>) -> bool {
        let argument = self.keys.argument;
        let (process, out, exchange) = (&mut self.process, &mut self.out, self.exchange);
        let declared = &self.declared;
        let Some((state, hash, bytes)) = self.keys.take() else {
            return false;
        };
        out.clear();
        let visited = K::from_bytes(bytes, |key| {
            if !declared.has(state, cx.store, hash, key)? {
                return Ok(());
            }
            let mut context = ProcessContext::of(cx, hash, key, true, exchange);
            process.visit(argument, &mut context, out)
        });
        self.emit(visited.expect("bytes that a key gave"), next, cx);
        true
    }

    fn fire<N: Operator<P::Out>>(
        &mut self,
        due: Due,
        limit: usize,
        next: &mut N,
        cx: &mut Context<'_>,
    ) -> usize {
        let until_ms = match due {
            Due::ByNow => cx.now_ms,
            Due::All => u64::MAX,
        };
        let mut count = 0;
        while count < limit && cx.failure.is_none() {
            let Some(timers) = &self.declared.timers else {
                break;
            };
            match timers.pop_due(cx.store, until_ms) {
                Ok(None) => break,
                Ok(Some(timer)) => self.call_timer(&timer, due, next, cx),
                Err(error) => cx.fail(error),
            }
            count += 1;
        }
        count
    }
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
        self.declared.prefetch(cx.store, hashes);
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
            let mut context = ProcessContext::of(cx, hash, key, true, exchange);
            process.record(record, &mut context, out)
        });
        self.emit(result, next, cx);
    }

    fn has_finals(&self) -> bool {
        self.process.pending_timers_at_end() == PendingTimers::Fire
    }

    fn fire_timers<N: Operator<P::Out>>(
        &mut self,
        limit: usize,
        next: &mut N,
        cx: &mut Context<'_>,
    ) -> usize {
        let fired_count = self.fire(Due::ByNow, limit, next, cx);
        // Freeing what has expired changes state as well, so it has the same place in the turn.
        match self.declared.expire(cx.store) {
            Ok(expired_count) => fired_count + expired_count,
            Err(error) => {
                cx.fail(error);
                fired_count
            }
        }
    }

    fn walk<N: Operator<P::Out>>(
        &mut self,
        limit: usize,
        next: &mut N,
        cx: &mut Context<'_>,
    ) -> usize {
        if let Err(error) = self.declared.take_keys(&mut self.keys, cx.store) {
            cx.fail(error);
            return 0;
        }
        let mut count = 0;
        while count < limit && cx.failure.is_none() && self.visit(next, cx) {
            count += 1;
        }
        count
    }

    fn walks(&self) -> Walks {
        let walks = self.declared.walks.as_ref();
        Walks {
            pending_count: walks.map_or(0, |walks| walks.pending_count()),
            has_keys_in_hand: !self.keys.is_empty(),
        }
    }

    fn settle(&mut self, cx: &mut Context<'_>) {
        if let Some(walks) = &self.declared.walks
            && let Err(error) = walks.write(cx.store)
        {
            cx.fail(error);
        }
    }

    fn emit_finals<N: Operator<P::Out>>(
        &mut self,
        limit: usize,
        next: &mut N,
        cx: &mut Context<'_>,
    ) -> bool {
        match self.process.pending_timers_at_end() {
            PendingTimers::Discard => true,
            PendingTimers::Fire => self.fire(Due::All, limit, next, cx) < limit,
        }
    }
}

impl<R, B, K, X, P> BroadcastOperator<R, B> for ProcessOperator<R, K, X, P, P::Out>
where
    R: Record + ?Sized,
    B: Record + ?Sized,
    K: Key + ?Sized,
    X: KeyOf<R, K>,
    P: BroadcastProcess<R, B, K>,
{
    fn broadcast<N: Operator<P::Out>>(
        &mut self,
        record: B::Ref<'_>,
        next: &mut N,
        cx: &mut Context<'_>,
    ) {
        self.out.clear();
        let mut context = BroadcastContext {
            store: &mut *cx.store,
            now_ms: cx.now_ms,
        };
        let (process, out) = (&mut self.process, &mut self.out);
        let result = process.broadcast(record, &mut context, out);
        self.emit(result, next, cx);
    }
}
