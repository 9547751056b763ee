//! Values as rkyv archives, read in place and written straight into their slot.

use std::error::Error;
use std::mem::MaybeUninit;

use rkyv::api::low::{
    LowDeserializer, LowSerializer, LowValidator, access, access_mut, deserialize,
    to_bytes_in_with_alloc,
};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::BoxedError;
use rkyv::seal::Seal;
use rkyv::ser::allocator::SubAllocator;
use rkyv::ser::{Positional, Writer};
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Portable, Serialize};

use crate::hash::hash_bytes;
use crate::mapped;

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
    + for<'a, 'b> Serialize<LowSerializer<ArchiveSlot<'b>, SubAllocator<'a>, BoxedError>>
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
        + for<'a, 'b> Serialize<LowSerializer<ArchiveSlot<'b>, SubAllocator<'a>, BoxedError>>
{
}

/// Where an archive is written; what does not fit is counted only, so that one pass tells the
/// length that is needed.
pub struct ArchiveSlot<'a> {
    bytes: &'a mut [u8],
    length: usize,
}

impl Positional for ArchiveSlot<'_> {
    #[inline]
    fn pos(&self) -> usize {
        self.length
    }
}

impl Writer<BoxedError> for ArchiveSlot<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), BoxedError> {
        let end = self.length + bytes.len();
        if let Some(slot) = self.bytes.get_mut(self.length..end) {
            slot.copy_from_slice(bytes);
        }
        self.length = end;
        Ok(())
    }
}

/// Length of every archive of `V` where it is the same for all values, else `None`.
///
/// A resolver of size zero carries no position of out-of-line data, so there is none.
pub(crate) const fn fixed_bytes<V: Value>() -> Option<usize> {
    if size_of::<V::Resolver>() == 0 {
        Some(size_of::<V::Archived>())
    } else {
        None
    }
}

/// Alignment that a slot for `V` needs; archives of out-of-line data may need more than their root.
pub(crate) const fn alignment<V: Value>() -> usize {
    let root = align_of::<V::Archived>();
    if fixed_bytes::<V>().is_none() && root < 16 {
        16
    } else {
        root
    }
}

/// Archives a value whose archives all have one length into a slot of that length and alignment.
#[inline]
pub(crate) fn archive_fixed<V: Value>(value: &V, slot: &mut [u8]) -> Result<(), BoxedError> {
    debug_assert_eq!(fixed_bytes::<V>(), Some(slot.len()));
    let slot = ArchiveSlot {
        bytes: slot,
        length: 0,
    };
    to_bytes_in_with_alloc(value, slot, SubAllocator::empty())?;
    Ok(())
}

/// Archives `value` into `slot`, which is aligned for it, and gives the archive's length; if that
/// is more than the slot has, the slot's content is of no use. `workspace` is for what rkyv needs
/// meanwhile (resolvers of nested vectors).
pub(crate) fn archive<V: Value>(
    value: &V,
    slot: &mut [u8],
    workspace: &mut [MaybeUninit<u8>],
) -> Result<usize, BoxedError> {
    let slot = ArchiveSlot {
        bytes: slot,
        length: 0,
    };
    let written = to_bytes_in_with_alloc(value, slot, SubAllocator::new(workspace))?;
    Ok(written.length)
}

/// Checked view of archived bytes.
#[inline]
pub(crate) fn view<V: Value>(bytes: &[u8]) -> Result<&V::Archived, BoxedError> {
    // The same checks, but the compiler sees through these: for numbers nothing is left.
    if fixed_bytes::<V>().is_some()
        && let Some(checked) = mapped::view_plain(bytes)
    {
        return checked;
    }
    access::<V::Archived, BoxedError>(bytes)
}

/// Checked view of archived bytes, to be changed in place.
#[inline]
pub(crate) fn view_mut<V: Value>(bytes: &mut [u8]) -> Result<Seal<'_, V::Archived>, BoxedError> {
    access_mut::<V::Archived, BoxedError>(bytes)
}

/// The value that archived bytes stand for.
#[inline]
pub(crate) fn unarchive<V: Value>(bytes: &[u8]) -> Result<V, BoxedError> {
    owned(view::<V>(bytes)?)
}

/// The value that an archived one stands for.
#[inline]
pub(crate) fn owned<V: Value>(archived: &V::Archived) -> Result<V, BoxedError> {
    deserialize::<V, BoxedError>(archived)
}

/// Bytes for resolvers at first, and the factor by which they grow.
const WORKSPACE_BYTES: usize = 1 << 10;
const WORKSPACE_FACTOR: usize = 16;
/// Resolvers beyond this are refused.
const WORKSPACE_BYTES_MAX: usize = 64 << 20;

/// Appends a value's archive, for reading it again with [`read_archive`].
///
/// # Errors
/// What rkyv cannot archive.
///
/// # Cost
/// Allocates; not for the record path.
pub fn append_archive<V: Value>(
    value: &V,
    bytes: &mut Vec<u8>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let begin = bytes.len();
    let mut length = size_of::<V::Archived>();
    let mut workspace = vec![MaybeUninit::uninit(); WORKSPACE_BYTES];
    loop {
        bytes.resize(begin + length, 0);
        match archive(value, &mut bytes[begin..], &mut workspace) {
            Ok(needed) if needed <= length => {
                bytes.truncate(begin + needed);
                return Ok(());
            }
            Ok(needed) => length = needed,
            // rkyv does not say whether it was the workspace that failed.
            Err(_) if workspace.len() * WORKSPACE_FACTOR <= WORKSPACE_BYTES_MAX => {
                workspace.resize(workspace.len() * WORKSPACE_FACTOR, MaybeUninit::uninit());
            }
            Err(error) => return Err(Box::new(error)),
        }
    }
}

/// The value in an archive that [`append_archive`] wrote.
///
/// # Errors
/// Bytes that are no archive of `V`.
pub fn read_archive<V: Value>(bytes: &[u8]) -> Result<V, Box<dyn Error + Send + Sync>> {
    let mut aligned = AlignedVec::<16>::with_capacity(bytes.len());
    aligned.extend_from_slice(bytes);
    Ok(unarchive::<V>(&aligned)?)
}

/// Changes when the type's name, archived size or archived alignment does.
#[must_use]
pub fn archive_types<V: Value>() -> u64 {
    fingerprint::<V>()
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
