//! Where `flat_map` and `process` put their records.

use frazil_state::Value;

use super::record::{Keyed, Plain, Record, RecordBatch, VecBatch};

/// Takes the records that one call of a [`flat_map`](crate::Stream::flat_map) closure or of a
/// process function makes.
///
/// ```
/// use frazil::Out;
/// fn words(line: &str, out: &mut Out<str>) {
///     for word in line.split_whitespace() {
///         out.push(word);
///     }
/// }
/// ```
pub struct Out<U: Record + ?Sized> {
    records: U::Batch,
}

impl<U: Record + ?Sized> Out<U> {
    pub(super) fn new() -> Self {
        Self {
            records: U::Batch::default(),
        }
    }

    /// How many records this call has pushed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether this call has pushed no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn get(&self, index: usize) -> U::Ref<'_> {
        self.records.get(index)
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
    }
}

impl<U: Plain + ?Sized> Out<U> {
    /// Appends a copy of `record`.
    ///
    /// # Cost
    /// Copies the bytes of a `str` or `[u8]`; clones other records into memory of earlier ones.
    #[inline]
    pub fn push(&mut self, record: &U) {
        self.records.push(record);
    }
}

impl<U: Value + Clone + Send> Out<U> {
    /// Appends `record` without cloning it.
    #[inline]
    pub fn push_owned(&mut self, record: U) {
        VecBatch::push_owned(&mut self.records, record);
    }
}

impl<K: Plain + ?Sized, V: Value + Clone + Send> Out<Keyed<K, V>> {
    /// Appends a copy of a key and its value.
    #[inline]
    pub fn push_pair(&mut self, key: &K, value: &V) {
        self.records.push((key, value));
    }
}
