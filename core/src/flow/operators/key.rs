//! How a record gives its key.

use std::marker::PhantomData;

use frazil_state::{Key, Value};

use crate::flow::record::{Keyed, Plain, Record};

/// Lends a record's key: to the sender for its hash, to the receiving shard for the lookup.
pub(crate) trait KeyOf<R: Record + ?Sized, K: ?Sized>: 'static {
    /// Calls `with` with the key of `record`.
    fn with_key<T>(&self, record: R::Ref<'_>, with: impl FnOnce(&K) -> T) -> T;
}

/// The key is a part of the record.
pub struct BorrowedKey<F>(pub(in crate::flow) F);

impl<R, K, F> KeyOf<R, K> for BorrowedKey<F>
where
    R: Plain + ?Sized,
    K: Key + ?Sized,
    F: for<'a> Fn(&'a R) -> &'a K + 'static,
{
    #[inline]
    fn with_key<T>(&self, record: &R, with: impl FnOnce(&K) -> T) -> T {
        with((self.0)(record))
    }
}

/// The key is a part of a pair's key or value.
pub struct PairKey<F>(pub(in crate::flow) F);

impl<K0, V, K, F> KeyOf<Keyed<K0, V>, K> for PairKey<F>
where
    K0: Plain + ?Sized,
    V: Value + Clone + Send,
    K: Key + ?Sized,
    F: for<'a> Fn((&'a K0, &'a V)) -> &'a K + 'static,
{
    #[inline]
    fn with_key<T>(&self, pair: (&K0, &V), with: impl FnOnce(&K) -> T) -> T {
        with((self.0)(pair))
    }
}

/// The key is computed from the record.
pub struct ComputedKey<K, F> {
    compute: F,
    made: PhantomData<fn() -> K>,
}

impl<K, F> ComputedKey<K, F> {
    pub(in crate::flow) fn new(compute: F) -> Self {
        Self {
            compute,
            made: PhantomData,
        }
    }
}

impl<R, K, F> KeyOf<R, K> for ComputedKey<K, F>
where
    R: Record + ?Sized,
    K: Key,
    F: for<'a> Fn(R::Ref<'a>) -> K + 'static,
{
    #[inline]
    fn with_key<T>(&self, record: R::Ref<'_>, with: impl FnOnce(&K) -> T) -> T {
        with(&(self.compute)(record))
    }
}
