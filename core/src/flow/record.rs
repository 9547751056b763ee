//! What flows: records, lent one at a time and moved between shards in owned batches.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use frazil_state::{Value, append_archive, archive_types, hash_bytes, read_archive};

use crate::in_flight::{put_prefixed, split_prefixed};

/// A type of record that can flow: operators see it as [`Record::Ref`], edges carry it as
/// [`Record::Batch`].
///
/// Implemented for `str`, `[u8]`, [`Keyed`] pairs and every sized type with rkyv's `Archive`,
/// `Serialize` and `Deserialize` derives that is `Clone` and `Send` (numbers, strings and tuples of
/// such types are by nature).
pub trait Record: 'static {
    /// How an operator sees one record.
    type Ref<'a>: Copy;
    /// A run of records that owns its memory and keeps it when cleared.
    type Batch: RecordBatch<Self> + Default + Send + 'static;
}

/// A run of records in their order of arrival.
pub trait RecordBatch<R: Record + ?Sized> {
    /// Appends a copy of `record`.
    ///
    /// # Cost
    /// Does not allocate once the batch has held as much before.
    fn push(&mut self, record: R::Ref<'_>);

    /// The record at `index`.
    ///
    /// # Panics
    /// If `index` is not below [`RecordBatch::len`].
    fn get(&self, index: usize) -> R::Ref<'_>;

    /// How many records there are.
    fn len(&self) -> usize;

    /// Whether there is no record.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the records take, without what they own on the heap.
    fn byte_count(&self) -> usize;

    /// Forgets the records and keeps their memory.
    fn clear(&mut self);

    /// Appends the record at `index` to `bytes`, in the encoding of a checkpoint.
    ///
    /// # Panics
    /// If the record's type cannot be archived.
    fn encode(&self, index: usize, bytes: &mut Vec<u8>);

    /// Appends the record that was encoded as `bytes`; false if they are none.
    fn decode(&mut self, bytes: &[u8]) -> bool;

    /// Changes when the type of the records does.
    fn types() -> u64;

    /// An empty batch with memory, touched, for `records` records or for `bytes` bytes of them and
    /// one more of moderate size, whichever is reached first.
    fn with_capacity(records: usize, bytes: usize) -> Self;

    /// The memory that such a batch takes.
    fn capacity_bytes(records: usize, bytes: usize) -> usize;
}

/// Room for a batch's last record, which may lie beyond the bytes at which it is full.
const LAST_RECORD_BYTES: usize = 1 << 10;

/// Records that are lent as a plain reference: everything but [`Keyed`] pairs.
pub trait Plain: for<'a> Record<Ref<'a> = &'a Self> {}

/// Names the records that an aggregation emits: `(&K, &V)`, a key and its value.
///
/// It is only a name, no value of this type exists. The two parts are lent side by side, so a `str`
/// key reaches the next operator without being copied.
///
/// ```
/// use frazil::{Keyed, Sink, Stream};
/// // Any sink for pairs of text and count will do.
/// fn takes_counts(sink: impl Sink<Keyed<str, u64>>) {}
/// ```
pub struct Keyed<K: ?Sized, V>(PhantomData<fn(&K) -> V>);

macro_rules! slice_record {
    ($slice:ty, $owned:ty, $batch:ident, $append:ident, $filled:expr, $checked:expr) => {
        /// Records of varying length end to end, with the place where each one ends.
        #[derive(Default)]
        pub struct $batch {
            content: $owned,
            ends: Vec<usize>,
        }

        impl Record for $slice {
            type Ref<'a> = &'a $slice;
            type Batch = $batch;
        }

        impl Plain for $slice {}

        impl RecordBatch<$slice> for $batch {
            #[inline]
            fn push(&mut self, record: &$slice) {
                self.content.$append(record);
                self.ends.push(self.content.len());
            }

            #[inline]
            fn get(&self, index: usize) -> &$slice {
                let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
                &self.content[begin..self.ends[index]]
            }

            #[inline]
            fn len(&self) -> usize {
                self.ends.len()
            }

            #[inline]
            fn byte_count(&self) -> usize {
                self.content.len()
            }

            fn clear(&mut self) {
                self.content.clear();
                self.ends.clear();
            }

            fn encode(&self, index: usize, bytes: &mut Vec<u8>) {
                let record: &[u8] = self.get(index).as_ref();
                bytes.extend_from_slice(record);
            }

            fn decode(&mut self, bytes: &[u8]) -> bool {
                let checked: Option<&$slice> = $checked(bytes);
                checked.map(|record| self.push(record)).is_some()
            }

            fn types() -> u64 {
                hash_bytes(stringify!($slice).as_bytes()).0
            }

            fn with_capacity(records: usize, bytes: usize) -> Self {
                let mut batch = Self {
                    content: $filled(bytes + LAST_RECORD_BYTES),
                    ends: vec![usize::MAX; records],
                };
                batch.clear();
                batch
            }

            fn capacity_bytes(records: usize, bytes: usize) -> usize {
                bytes + LAST_RECORD_BYTES + records * size_of::<usize>()
            }
        }
    };
}

// Not zeros: those would come from the system untouched.
slice_record!(
    str,
    String,
    StrBatch,
    push_str,
    |bytes| "x".repeat(bytes),
    |bytes| str::from_utf8(bytes).ok()
);
slice_record!(
    [u8],
    Vec<u8>,
    BytesBatch,
    extend_from_slice,
    |bytes| vec![b'x'; bytes],
    Some
);

/// Sized records. Records behind `len` are of an earlier use: their heap memory serves the next
/// ones.
pub struct VecBatch<T> {
    records: Vec<T>,
    len: usize,
}

impl<T> Default for VecBatch<T> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            len: 0,
        }
    }
}

impl<T> VecBatch<T> {
    /// Appends a record that nobody else needs.
    #[inline]
    pub(super) fn push_owned(&mut self, record: T) {
        match self.records.get_mut(self.len) {
            Some(earlier) => *earlier = record,
            None => self.records.push(record),
        }
        self.len += 1;
    }
}

impl<T: Value + Clone + Send> Record for T {
    type Ref<'a> = &'a T;
    type Batch = VecBatch<T>;
}

impl<T: Value + Clone + Send> Plain for T {}

impl<T: Value + Clone + Send> RecordBatch<T> for VecBatch<T> {
    #[inline]
    fn push(&mut self, record: &T) {
        match self.records.get_mut(self.len) {
            Some(earlier) => earlier.clone_from(record),
            None => self.records.push(record.clone()),
        }
        self.len += 1;
    }

    #[inline]
    fn get(&self, index: usize) -> &T {
        &self.records[..self.len][index]
    }

    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn byte_count(&self) -> usize {
        self.len * size_of::<T>()
    }

    fn clear(&mut self) {
        self.len = 0;
    }

    fn encode(&self, index: usize, bytes: &mut Vec<u8>) {
        let archived = append_archive(self.get(index), bytes);
        archived.expect("a record in memory can be archived");
    }

    fn decode(&mut self, bytes: &[u8]) -> bool {
        let record = read_archive(bytes);
        record.map(|record| self.push_owned(record)).is_ok()
    }

    fn types() -> u64 {
        archive_types::<T>()
    }

    fn with_capacity(records: usize, bytes: usize) -> Self {
        let mut content = Vec::with_capacity(capacity_of::<T>(records, bytes));
        // Memory whose first writer is not in sight is not left untouched by the compiler.
        let content_seen = std::hint::black_box(&mut content);
        content_seen
            .spare_capacity_mut()
            .fill_with(MaybeUninit::zeroed);
        Self {
            records: content,
            len: 0,
        }
    }

    fn capacity_bytes(records: usize, bytes: usize) -> usize {
        capacity_of::<T>(records, bytes) * size_of::<T>()
    }
}

/// Records until there are `records` of them, or at least `bytes` bytes.
fn capacity_of<T>(records: usize, bytes: usize) -> usize {
    let by_bytes = bytes.checked_div(size_of::<T>());
    by_bytes.map_or(records, |count| records.min(count + 1))
}

/// Keys and values, each in a batch of their own kind.
pub struct KeyedBatch<K: Record + ?Sized, V> {
    keys: K::Batch,
    values: VecBatch<V>,
}

impl<K: Record + ?Sized, V> Default for KeyedBatch<K, V> {
    fn default() -> Self {
        Self {
            keys: K::Batch::default(),
            values: VecBatch::default(),
        }
    }
}

impl<K: Plain + ?Sized, V: Value + Clone + Send> Record for Keyed<K, V> {
    type Ref<'a> = (&'a K, &'a V);
    type Batch = KeyedBatch<K, V>;
}

impl<K: Plain + ?Sized, V: Value + Clone + Send> RecordBatch<Keyed<K, V>> for KeyedBatch<K, V> {
    #[inline]
    fn push(&mut self, (key, value): (&K, &V)) {
        self.keys.push(key);
        self.values.push(value);
    }

    #[inline]
    fn get(&self, index: usize) -> (&K, &V) {
        (self.keys.get(index), self.values.get(index))
    }

    #[inline]
    fn len(&self) -> usize {
        self.values.len()
    }

    #[inline]
    fn byte_count(&self) -> usize {
        self.keys.byte_count() + self.values.byte_count()
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
    }

    fn encode(&self, index: usize, bytes: &mut Vec<u8>) {
        put_prefixed(bytes, |bytes| self.keys.encode(index, bytes));
        self.values.encode(index, bytes);
    }

    fn decode(&mut self, bytes: &[u8]) -> bool {
        split_prefixed(bytes)
            .is_some_and(|(key, value)| self.keys.decode(key) && self.values.decode(value))
    }

    fn types() -> u64 {
        let (keys, values) = (K::Batch::types(), VecBatch::<V>::types());
        hash_bytes(&[keys.to_le_bytes(), values.to_le_bytes()].concat()).0
    }

    fn with_capacity(records: usize, bytes: usize) -> Self {
        Self {
            keys: K::Batch::with_capacity(records, bytes),
            values: VecBatch::with_capacity(records, bytes),
        }
    }

    fn capacity_bytes(records: usize, bytes: usize) -> usize {
        K::Batch::capacity_bytes(records, bytes) + VecBatch::<V>::capacity_bytes(records, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<R: Record + ?Sized>(batch: &mut R::Batch, records: &[R::Ref<'_>]) -> usize {
        batch.clear();
        for record in records {
            batch.push(*record);
        }
        assert_eq!(batch.len(), records.len());
        batch.byte_count()
    }

    #[test]
    fn text_comes_back_as_it_went_in_also_when_empty() {
        let mut batch = StrBatch::default();
        assert!(batch.is_empty());
        let words = ["", "ice", "", "eau glac\u{e9}e"];
        assert_eq!(round_trip::<str>(&mut batch, &words), 14);
        assert_eq!(words, [0, 1, 2, 3].map(|index| batch.get(index)));
    }

    #[test]
    fn cleared_batch_shows_only_new_records() {
        let mut batch = KeyedBatch::<str, String>::default();
        let (long, short) = ("x".repeat(100), String::from("y"));
        round_trip::<Keyed<str, String>>(&mut batch, &[("a", &long), ("b", &long)]);
        round_trip::<Keyed<str, String>>(&mut batch, &[("c", &short)]);
        assert_eq!(batch.get(0), ("c", &short));
        assert!(
            batch.values.records[0].capacity() >= 100,
            "memory is reused"
        );
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn record_of_an_earlier_use_cannot_be_read() {
        let mut batch = VecBatch::default();
        round_trip::<u64>(&mut batch, &[&1, &2]);
        round_trip::<u64>(&mut batch, &[&3]);
        let _ = batch.get(1);
    }
}
