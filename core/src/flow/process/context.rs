//! What a process function sees of the record in hand and of its shard.

use frazil_state::{KeyHash, Store};

use crate::shard::Context;

/// The key in hand, the time, and the way to the key's states.
///
/// Every access to a state goes through the context, which says which key's state it is.
pub struct ProcessContext<'a, K: ?Sized> {
    pub(in crate::flow) store: &'a mut Store,
    pub(in crate::flow) hash: KeyHash,
    pub(in crate::flow) key: &'a K,
    pub(in crate::flow) now_ms: u64,
    /// When the record in hand entered the flow.
    pub(in crate::flow) stamp_ns: u64,
    /// False while timers fire because the input has ended: then no timer is set and no walk
    /// started.
    pub(in crate::flow) may_schedule: bool,
    /// The (first) exchange behind which the operator stands.
    pub(in crate::flow) exchange: usize,
}

impl<'a, K: ?Sized> ProcessContext<'a, K> {
    /// The key of the record in hand.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &'a K {
        self.key
    }

    /// The processing time in milliseconds since 1970: the time of the machine, read once a turn
    /// of the shard's loop, which never goes back while the job runs.
    #[inline]
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

/// What a process function sees of its shard when it is told a record of a broadcast stream: no
/// key, and the states that are the same on all shards.
pub struct BroadcastContext<'a> {
    pub(in crate::flow) store: &'a mut Store,
    pub(in crate::flow) now_ms: u64,
}

impl BroadcastContext<'_> {
    /// The processing time, as [`ProcessContext::now_ms`]. It differs from shard to shard: what a
    /// broadcast state is set to must not depend on it.
    #[inline]
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

/// A context that broadcast states can be read and walks started with: both of them.
pub trait ReadContext: sealed::Sealed {
    #[doc(hidden)]
    fn store(&self) -> &Store;

    #[doc(hidden)]
    fn may_schedule(&self) -> bool;
}

impl<'a, K: ?Sized> ProcessContext<'a, K> {
    /// That of a key in what a shard's stage may touch.
    #[inline]
    pub(in crate::flow) fn of(
        cx: &'a mut Context<'_>,
        hash: KeyHash,
        key: &'a K,
        may_schedule: bool,
        exchange: usize,
    ) -> Self {
        Self {
            now_ms: cx.now_ms,
            stamp_ns: cx.stamp_ns,
            store: &mut *cx.store,
            hash,
            key,
            may_schedule,
            exchange,
        }
    }
}

impl<K: ?Sized> ReadContext for ProcessContext<'_, K> {
    #[inline]
    fn store(&self) -> &Store {
        self.store
    }

    fn may_schedule(&self) -> bool {
        self.may_schedule
    }
}

impl ReadContext for BroadcastContext<'_> {
    #[inline]
    fn store(&self) -> &Store {
        self.store
    }

    fn may_schedule(&self) -> bool {
        true
    }
}

mod sealed {
    pub trait Sealed {}
    impl<K: ?Sized> Sealed for super::ProcessContext<'_, K> {}
    impl Sealed for super::BroadcastContext<'_> {}
}
