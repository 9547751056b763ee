//! Values as rkyv archives, read in place and written straight into their slot.

use std::mem::MaybeUninit;

use rkyv::api::low::{
    LowDeserializer, LowSerializer, LowValidator, access, deserialize, to_bytes_in_with_alloc,
};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::BoxedError;
use rkyv::ser::allocator::SubAllocator;
use rkyv::ser::writer::Buffer;
use rkyv::{Archive, Deserialize, Portable, Serialize};

use crate::hash::hash_bytes;
use crate::page::PAGE_BYTES;

/// A type that can be kept as state: everything with rkyv's `Archive`, `Serialize` and
/// `Deserialize` derives and no shared pointers.
///
/// Implemented for all such types; nothing is to be written by hand.
pub trait Value:
    'static
    + Sized
    + Archive<
        Archived: Portable
                      + for<'a> CheckBytes<LowValidator<'a, BoxedError>>
                      + Deserialize<Self, LowDeserializer<BoxedError>>,
    >
    + for<'a, 'b> Serialize<LowSerializer<Buffer<'b>, SubAllocator<'a>, BoxedError>>
{
}

impl<V> Value for V where
    V: 'static
        + Sized
        + Archive<
            Archived: Portable
                          + for<'a> CheckBytes<LowValidator<'a, BoxedError>>
                          + Deserialize<Self, LowDeserializer<BoxedError>>,
        >
        + for<'a, 'b> Serialize<LowSerializer<Buffer<'b>, SubAllocator<'a>, BoxedError>>
{
}

/// Space for what an archive needs while it is written (resolvers of nested vectors).
const SCRATCH_BYTES: usize = 1024;
/// The same where that was too small; more than any value that fits into a page needs.
const LARGE_SCRATCH_BYTES: usize = 64 * PAGE_BYTES;

/// Length of every archive of `V` where it is the same for all values, else `None`.
///
/// A resolver of size zero carries no position of out-of-line data, so there is none.
pub(crate) fn fixed_bytes<V: Value>() -> Option<usize> {
    (size_of::<V::Resolver>() == 0).then_some(size_of::<V::Archived>())
}

/// Alignment that a slot for `V` needs; archives of out-of-line data may need more than their root.
pub(crate) fn alignment<V: Value>() -> usize {
    match fixed_bytes::<V>() {
        Some(_) => align_of::<V::Archived>(),
        None => align_of::<V::Archived>().max(16),
    }
}

/// Archives `value` into `slot` and gives the length; `slot` is aligned for `V`.
#[inline]
pub(crate) fn archive<V: Value>(value: &V, slot: &mut [u8]) -> Result<usize, BoxedError> {
    if fixed_bytes::<V>().is_some() {
        let empty = SubAllocator::empty();
        let written = to_bytes_in_with_alloc(value, Buffer::from(slot), empty)?;
        return Ok(written.len());
    }
    archive_with_scratch(value, slot)
}

fn archive_with_scratch<V: Value>(value: &V, slot: &mut [u8]) -> Result<usize, BoxedError> {
    let mut scratch = [MaybeUninit::<u8>::uninit(); SCRATCH_BYTES];
    let small = SubAllocator::new(&mut scratch);
    if let Ok(written) = to_bytes_in_with_alloc(value, Buffer::from(&mut *slot), small) {
        return Ok(written.len());
    }
    let mut scratch = vec![MaybeUninit::<u8>::uninit(); LARGE_SCRATCH_BYTES];
    let large = SubAllocator::new(&mut scratch);
    Ok(to_bytes_in_with_alloc(value, Buffer::from(slot), large)?.len())
}

/// Checked view of archived bytes.
#[inline]
pub(crate) fn view<V: Value>(bytes: &[u8]) -> Result<&V::Archived, BoxedError> {
    access::<V::Archived, BoxedError>(bytes)
}

/// The value that archived bytes stand for.
#[inline]
pub(crate) fn unarchive<V: Value>(bytes: &[u8]) -> Result<V, BoxedError> {
    deserialize::<V, BoxedError>(view::<V>(bytes)?)
}

/// Changes when the type's name, archived size or archived alignment does.
pub(crate) fn type_fingerprint<T: ?Sized>(bytes: usize, alignment: usize) -> u64 {
    let description = format!("{} {bytes} {alignment}", std::any::type_name::<T>());
    hash_bytes(description.as_bytes()).0
}

/// Fingerprint of a value type.
pub(crate) fn fingerprint<V: Value>() -> u64 {
    type_fingerprint::<V>(size_of::<V::Archived>(), align_of::<V::Archived>())
}
