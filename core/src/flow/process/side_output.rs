//! A second way out of a process function.

use frazil_state::Value;

use super::context::ProcessContext;
use crate::flow::local_edge::SharedEdge;
use crate::flow::record::{Keyed, Plain, Record, VecBatch};

/// Takes records of type `U` out of a process function, beside its main output; made together with
/// the stream of these records by [`KeyedStream::side_output`](crate::KeyedStream::side_output).
///
/// # Panics
/// All methods panic if the side output was made for another stream than the one in hand.
pub struct SideOutput<U: Record + ?Sized> {
    edge: SharedEdge<U>,
    /// The (first) exchange of the stream that it was made for.
    exchange: usize,
}

impl<U: Record + ?Sized> SideOutput<U> {
    pub(in crate::flow) fn new(edge: SharedEdge<U>, exchange: usize) -> Self {
        Self { edge, exchange }
    }

    #[inline]
    fn check_owner<K: ?Sized>(&self, cx: &ProcessContext<'_, K>) {
        assert_eq!(
            self.exchange, cx.exchange,
            "a side output is used by the process function of the stream that it was made for"
        );
    }
}

impl<U: Plain + ?Sized> SideOutput<U> {
    /// Appends a copy of `record`.
    #[inline]
    pub fn push<K: ?Sized>(&self, cx: &ProcessContext<'_, K>, record: &U) {
        self.check_owner(cx);
        self.edge.borrow_mut().push(record, cx.stamp_ns);
    }
}

impl<U: Value + Clone + Send> SideOutput<U> {
    /// Appends `record` without cloning it.
    #[inline]
    pub fn push_owned<K: ?Sized>(&self, cx: &ProcessContext<'_, K>, record: U) {
        self.check_owner(cx);
        let mut edge = self.edge.borrow_mut();
        VecBatch::push_owned(edge.open_batch(cx.stamp_ns), record);
    }
}

impl<K1: Plain + ?Sized, V: Value + Clone + Send> SideOutput<Keyed<K1, V>> {
    /// Appends a copy of a key and its value.
    #[inline]
    pub fn push_pair<K: ?Sized>(&self, cx: &ProcessContext<'_, K>, key: &K1, value: &V) {
        self.check_owner(cx);
        let mut edge = self.edge.borrow_mut();
        edge.push((key, value), cx.stamp_ns);
    }
}
