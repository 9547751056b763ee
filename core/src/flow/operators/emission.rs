//! What an aggregation tells the next operator, and when.

/// Decides which pairs an aggregation emits.
pub(crate) trait Emission<K: ?Sized, V>: 'static {
    /// Whether every key's last value is emitted when the input has ended.
    const AT_END: bool;

    /// Whether an update is emitted.
    fn emits_update(&mut self, key: &K, value: &V) -> bool;
}

/// Every update.
pub struct EachUpdate;

impl<K: ?Sized, V> Emission<K, V> for EachUpdate {
    const AT_END: bool = false;

    #[inline]
    fn emits_update(&mut self, _key: &K, _value: &V) -> bool {
        true
    }
}

/// The updates that a predicate accepts.
pub struct When<P>(pub(in crate::flow) P);

impl<K: ?Sized, V, P: FnMut(&K, &V) -> bool + 'static> Emission<K, V> for When<P> {
    const AT_END: bool = false;

    #[inline]
    fn emits_update(&mut self, key: &K, value: &V) -> bool {
        (self.0)(key, value)
    }
}

/// No update.
pub struct Never;

impl<K: ?Sized, V> Emission<K, V> for Never {
    const AT_END: bool = false;

    #[inline]
    fn emits_update(&mut self, _key: &K, _value: &V) -> bool {
        false
    }
}

/// Last values, beside the updates that `E` emits.
pub struct AtEnd<E>(pub(in crate::flow) E);

impl<K: ?Sized, V, E: Emission<K, V>> Emission<K, V> for AtEnd<E> {
    const AT_END: bool = true;

    #[inline]
    fn emits_update(&mut self, key: &K, value: &V) -> bool {
        self.0.emits_update(key, value)
    }
}
