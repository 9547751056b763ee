//! One value per key, changed by every record of the key.

use std::marker::PhantomData;
use std::rc::Rc;

use frazil_state::{Key, KeyHash, Lookahead, ScanCursor, StateError, Value, ValueTable};

use super::emission::Emission;
use super::key::KeyOf;
use super::keyed_input::KeyedInput;
use crate::flow::build_context::BuildContext;
use crate::flow::chain::{Chain, KeyedOperator, Operator};
use crate::flow::error::FlowError;
use crate::flow::record::{Keyed, KeyedBatch, Plain, Record, RecordBatch};
use crate::flow::stage::Stage;
use crate::shard::Context;

/// The front of a chain that begins with an aggregation.
pub struct AggregateHead<R: ?Sized, K: ?Sized, V, X, F, E> {
    pub(in crate::flow) input: KeyedInput<X>,
    pub(in crate::flow) table: String,
    pub(in crate::flow) initial: V,
    pub(in crate::flow) update: F,
    pub(in crate::flow) emission: E,
    pub(in crate::flow) types: PhantomData<fn(&R, &K)>,
}

impl<R: ?Sized, K: ?Sized, V, X, F, E> AggregateHead<R, K, V, X, F, E> {
    pub(in crate::flow) fn map_emission<T>(
        self,
        emission: impl FnOnce(E) -> T,
    ) -> AggregateHead<R, K, V, X, F, T> {
        AggregateHead {
            input: self.input,
            table: self.table,
            initial: self.initial,
            update: self.update,
            emission: emission(self.emission),
            types: PhantomData,
        }
    }
}

impl<R, K, V, X, F, E> Chain for AggregateHead<R, K, V, X, F, E>
where
    R: Record + ?Sized,
    K: Key + Plain + ?Sized,
    V: Value + Clone + Send,
    X: KeyOf<R, K>,
    F: for<'a> FnMut(&mut V, R::Ref<'a>) + 'static,
    E: Emission<K, V>,
{
    type Out = Keyed<K, V>;

    fn build<N: Operator<Keyed<K, V>>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        let table = match ValueTable::open(context.store, &self.table) {
            Ok(table) => table,
            Err(source) => {
                let name = self.table;
                return Err(FlowError::State { name, source });
            }
        };
        let operator = Aggregate {
            ahead: table.lookahead(),
            table,
            name: self.table,
            key: Rc::clone(&self.input.key),
            update: self.update,
            emission: self.emission,
            updated: self.initial.clone(),
            initial: self.initial,
            finals: KeyedBatch::default(),
            cursor: ScanCursor::default(),
            record: PhantomData,
        };
        self.input.build(operator, next, context)
    }
}

struct Aggregate<R: ?Sized, K: Record + ?Sized, V, X, F, E> {
    table: ValueTable<K, V>,
    ahead: Lookahead,
    name: String,
    key: Rc<X>,
    initial: V,
    update: F,
    emission: E,
    /// The value that is being emitted; its heap memory serves every update.
    updated: V,
    /// Final pairs on their way out of the table.
    finals: KeyedBatch<K, V>,
    cursor: ScanCursor,
    record: PhantomData<fn(&R)>,
}

impl<R, K, V, X, F, E> Aggregate<R, K, V, X, F, E>
where
    R: ?Sized,
    K: Record + ?Sized,
{
    fn failure(&self, source: StateError) -> FlowError {
        let name = self.name.clone();
        FlowError::State { name, source }
    }
}

impl<R, K, V, X, F, E> KeyedOperator<R> for Aggregate<R, K, V, X, F, E>
where
    R: Record + ?Sized,
    K: Key + Plain + ?Sized,
    V: Value + Clone + Send,
    X: KeyOf<R, K>,
    F: for<'a> FnMut(&mut V, R::Ref<'a>) + 'static,
    E: Emission<K, V>,
{
    type Out = Keyed<K, V>;

    fn prefetch(&mut self, hashes: &[KeyHash], cx: &Context<'_>) {
        self.table.look_ahead(cx.store, &mut self.ahead, hashes);
    }

    #[inline]
    fn record<N: Operator<Keyed<K, V>>>(
        &mut self,
        hash: KeyHash,
        record: R::Ref<'_>,
        next: &mut N,
        cx: &mut Context<'_>,
    ) {
        let (update, emission, updated) = (&mut self.update, &mut self.emission, &mut self.updated);
        let (table, ahead, initial) = (&self.table, &mut self.ahead, &self.initial);
        let result = self.key.with_key(record, |key| {
            let emits = table.update_ahead(cx.store, ahead, hash, key, initial, |value| {
                update(value, record);
                let emits = emission.emits_update(key, value);
                if emits {
                    updated.clone_from(value);
                }
                emits
            })?;
            if emits {
                next.record((key, &*updated), cx);
            }
            Ok(())
        });
        if let Err(error) = result {
            cx.fail(self.failure(error));
        }
    }

    fn has_finals(&self) -> bool {
        E::AT_END
    }

    fn fire_timers<N: Operator<Keyed<K, V>>>(
        &mut self,
        _limit: usize,
        _next: &mut N,
        _cx: &mut Context<'_>,
    ) -> usize {
        0
    }

    fn emit_finals<N: Operator<Keyed<K, V>>>(
        &mut self,
        limit: usize,
        next: &mut N,
        cx: &mut Context<'_>,
    ) -> bool {
        if !E::AT_END {
            return true;
        }
        let finals = &mut self.finals;
        finals.clear();
        let scanned = self
            .table
            .scan(cx.store, &mut self.cursor, limit, |key, value| {
                finals.push((key, &value));
            });
        for index in 0..finals.len() {
            next.record(finals.get(index), cx);
        }
        scanned.unwrap_or_else(|error| {
            cx.fail(self.failure(error));
            false
        })
    }
}
