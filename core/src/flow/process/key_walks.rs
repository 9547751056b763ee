//! Walks over all keys of a state.

use std::marker::PhantomData;
use std::rc::Rc;

use super::context::ReadContext;
use super::walks_slot::WalksSlot;

/// Walks over all keys that have a state, each shard over its own; declared with
/// [`States::walks`](crate::States::walks).
///
/// A walk shows its keys one by one to the process function ([`Process::visit`], or a closure given
/// to `on_visit`), in short runs between the records, so that the shard goes on. A record of a
/// broadcast stream that starts one reaches all keys of the job (Flink's `applyToKeyedState`); with
/// a record or a timer of a key in hand it reaches the keys of the same shard.
///
/// A key that has the state from the start of the walk to its visit is visited once. One that gets
/// the state meanwhile is visited once or not at all, one that loses it is not; records that come
/// before a key's visit find it as it was. Walks go one after the other, in the order in which they
/// were started. What is left of them belongs to the checkpoint, like a state: no visit is lost or
/// done twice by a crash, also when the number of shards changes. While more than sixteen walks are
/// pending the shard takes no records; when all input has ended, they are finished first.
///
/// ```
/// use frazil::{Flow, Keyed, Sink, Source};
/// /// Whoever has an account gets interest whenever a rate (in basis points) comes.
/// fn interest(
///     flow: &Flow,
///     payments: impl Source<Record = (String, u64)>,
///     rates: impl Source<Record = u64>,
///     paid: impl Sink<Keyed<str, u64>>,
/// ) {
///     flow.source(payments)
///         .key_by(|(owner, _cents)| owner.as_str())
///         .connect(flow.source(rates).broadcast())
///         .process(
///             |states| (states.value::<u64>("cents"), states.walks("interest due")),
///             |(cents, _walks), (_owner, paid), cx, _out| {
///                 cents.update(cx, &0, |cents| *cents += paid)?;
///                 Ok(())
///             },
///             |(cents, walks), rate, cx, _out| {
///                 walks.start(cx, cents, *rate);
///                 Ok(())
///             },
///         )
///         .on_visit(|(cents, _walks), rate, cx, out| {
///             let interest = cents.update(cx, &0, |cents| {
///                 let interest = *cents * rate / 10_000;
///                 *cents += interest;
///                 interest
///             })?;
///             out.push_pair(cx.key(), &interest);
///             Ok(())
///         })
///         .sink(paid);
/// }
/// ```
///
/// [`Process::visit`]: crate::Process::visit
pub struct KeyWalks<K: ?Sized> {
    slot: Rc<WalksSlot>,
    key: PhantomData<fn(&K)>,
}

impl<K: ?Sized> Clone for KeyWalks<K> {
    /// Another handle of the same walks.
    fn clone(&self) -> Self {
        Self::new(Rc::clone(&self.slot))
    }
}

impl<K: ?Sized> KeyWalks<K> {
    pub(super) fn new(slot: Rc<WalksSlot>) -> Self {
        Self {
            slot,
            key: PhantomData,
        }
    }

    /// Starts a walk over the keys that have `state` on this shard. The visits are told `argument`:
    /// what to do, or with what. (More than a number fits into a broadcast state, under it.)
    ///
    /// A walk that is started by timers which fire because the input has ended is discarded, as
    /// timers are.
    ///
    /// # Panics
    /// If the state was declared by another operator.
    ///
    /// # Cost
    /// Looks at no key. Each of the visits costs about what a record does.
    pub fn start(&self, cx: &mut impl ReadContext, state: &impl KeyedState<K>, argument: u64) {
        if cx.may_schedule() {
            self.slot.start(cx.store(), state.table_name(), argument);
        }
    }

    /// How many walks of this shard were started and are not done.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.slot.pending_count()
    }
}

/// A state of which each key has its own: all but broadcast states.
pub trait KeyedState<K: ?Sized>: sealed::Sealed {
    #[doc(hidden)]
    fn table_name(&self) -> &str;
}

macro_rules! keyed_state {
    ($state:ident, [$($other:ident $(: ?$sized:ident)?),*], $($place:ident).+) => {
        impl<K: ?Sized, $($other $(: ?$sized)?),*> KeyedState<K>
            for super::$state<K, $($other),*>
        {
            fn table_name(&self) -> &str {
                self.$($place).+.name()
            }
        }

        impl<K: ?Sized, $($other $(: ?$sized)?),*> sealed::Sealed
            for super::$state<K, $($other),*>
        {
        }
    };
}

keyed_state!(ValueState, [V], slot);
keyed_state!(ReducingState, [V], value.slot);
keyed_state!(AggregatingState, [A, I: ?Sized, T], value.slot);
keyed_state!(ListState, [V], slot);
keyed_state!(MapState, [M: ?Sized, V], slot);
keyed_state!(ExpiringValueState, [V], slot);
keyed_state!(ExpiringReducingState, [V], slot);
keyed_state!(ExpiringAggregatingState, [A, I: ?Sized, T], value.slot);
keyed_state!(ExpiringListState, [V], slot);
keyed_state!(ExpiringMapState, [M: ?Sized, V], slot);

mod sealed {
    pub trait Sealed {}
}
