//! Reserved anonymous memory, populated ahead of use.
//!
//! A reservation costs address space only; `populate` makes the kernel back it, so that later
//! touches take no page fault. Invariants that the unsafe blocks rest on:
//!
//! 1. The mapping is private, `capacity * size_of::<T>()` bytes or more, page-aligned, and lives as
//!    long as any clone of its `Arc`. Its bytes are zeros, or, where it was handed over, whatever
//!    its maker says, and nobody else changes them.
//! 2. `T` is one of the sealed types below: any bit pattern is valid, alignment at most a page.
//! 3. Only [`Mapped`] reads or writes the bytes, through `&self` or `&mut self`; a [`Populate`]
//!    holds the `Arc` but only advises the kernel, which changes no content.
//! 4. A [`Page`] is its 4096 bytes and nothing else, so `n` consecutive pages are `n * 4096`
//!    consecutive, initialised bytes.
//! 5. A plain value (an archive without out-of-line data) is one `T` that rkyv's `CheckBytes`
//!    accepts; bytes are looked at as a `T` only after it did.
#![expect(
    unsafe_code,
    reason = "typed slices over an anonymous mapping, typed views of slots, and prefetch"
)]

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::{Advice, MmapMut, MmapOptions, MmapRaw};
use rkyv::Portable;
use rkyv::api::low::LowValidator;
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{BoxedError, Strategy};
use rkyv::validation::Validator;
use rkyv::validation::archive::ArchiveValidator;

use crate::error::StateError;
use crate::page::{PAGE_BYTES, Page};

/// Types for which zero-filled or arbitrary bytes are a valid value.
pub(crate) trait Zeroed: private::Sealed {}

mod private {
    pub(crate) trait Sealed {}
}

impl private::Sealed for Page {}
impl Zeroed for Page {}
impl private::Sealed for u32 {}
impl Zeroed for u32 {}
impl private::Sealed for crate::arena::PageMeta {}
impl Zeroed for crate::arena::PageMeta {}

/// A slice of `capacity` elements in reserved memory; all of it can be touched, what is not
/// populated faults.
pub(crate) struct Mapped<T: Zeroed> {
    /// The mapping's first byte: read for every access, so it stands here and not behind the `Arc`.
    first: *mut T,
    capacity: usize,
    map: Arc<MmapRaw>,
}

// SAFETY: by invariant 3 a `Mapped` is to its memory what a boxed slice is to its own, and `T` is
// plain data.
unsafe impl<T: Zeroed> Send for Mapped<T> {}

// SAFETY: as for `Send`; through `&self` the memory is only read.
unsafe impl<T: Zeroed> Sync for Mapped<T> {}

impl<T: Zeroed> Mapped<T> {
    /// Reserves memory for `capacity` zeroed elements.
    pub(crate) fn reserve(capacity: usize, huge_pages: bool) -> Result<Self, StateError> {
        let bytes = capacity.max(1) * size_of::<T>();
        let mut options = MmapOptions::new();
        options.len(bytes);
        // Miri's anonymous maps are its heap, without flags or advice.
        if !cfg!(miri) {
            options.no_reserve_swap();
        }
        let map = options
            .map_anon()
            .map_err(|source| StateError::Reserve { bytes, source })?;
        advise_page_size(&map, huge_pages);
        let map = Arc::new(MmapRaw::from(map));
        Ok(Self {
            first: map.as_mut_ptr().cast::<T>(),
            capacity,
            map,
        })
    }

    /// Takes over memory of at least `capacity` elements, with what is in it.
    ///
    /// # Panics
    /// If it is too small.
    pub(crate) fn over(memory: MmapMut, capacity: usize, huge_pages: bool) -> Self {
        assert!(
            memory.len() / size_of::<T>() >= capacity,
            "{} bytes for capacity={capacity}",
            memory.len()
        );
        advise_page_size(&memory, huge_pages);
        let map = Arc::new(MmapRaw::from(memory));
        Self {
            first: map.as_mut_ptr().cast::<T>(),
            capacity,
            map,
        }
    }

    /// A handle that can populate elements from another thread.
    pub(crate) fn populate_handle(&self) -> Populate {
        Populate {
            map: Arc::clone(&self.map),
            element_bytes: size_of::<T>(),
        }
    }

    /// Hints the CPU to load the line at `offset` bytes into element `index`.
    #[inline]
    pub(crate) fn prefetch(&self, index: usize, offset: usize) {
        debug_assert!(index < self.capacity && offset < size_of::<T>());
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let element = self.first.wrapping_add(index).cast::<i8>();
            // SAFETY: a prefetch dereferences nothing: it cannot fault whatever the address is.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(element.wrapping_add(offset)) };
        }
    }
}

impl<T: Zeroed> Deref for Mapped<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: invariants 1 and 2: `capacity` valid, aligned elements live behind `first` as
        // long as `self.map`; invariant 3: `&self` excludes every writer.
        unsafe { std::slice::from_raw_parts(self.first, self.capacity) }
    }
}

impl<T: Zeroed> DerefMut for Mapped<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; `&mut self` excludes every other reader and writer (invariant 3).
        unsafe { std::slice::from_raw_parts_mut(self.first, self.capacity) }
    }
}

const _: () = assert!(size_of::<Page>() == PAGE_BYTES, "invariant 4");

impl Mapped<Page> {
    /// `length` bytes from the start of page `first` on, across page borders.
    #[inline]
    pub(crate) fn bytes(&self, first: usize, length: usize) -> &[u8] {
        let pages = &self[first..first + length.div_ceil(PAGE_BYTES)];
        // SAFETY: `pages` is at least `length` initialised bytes (invariant 4) that live and stay
        // unwritten as long as the slice that is borrowed here.
        unsafe { std::slice::from_raw_parts(pages.as_ptr().cast::<u8>(), length) }
    }

    /// As [`Mapped::bytes`], to be written.
    #[inline]
    pub(crate) fn bytes_mut(&mut self, first: usize, length: usize) -> &mut [u8] {
        let pages = &mut self[first..first + length.div_ceil(PAGE_BYTES)];
        // SAFETY: as in `bytes`; the slice is borrowed mutably, and any bytes make valid pages
        // (invariant 2).
        unsafe { std::slice::from_raw_parts_mut(pages.as_mut_ptr().cast::<u8>(), length) }
    }
}

/// Huge pages halve random writes; where the kernel has none the call fails and small pages serve.
fn advise_page_size(map: &MmapMut, huge_pages: bool) {
    if !cfg!(miri) {
        let _ = map.advise(match huge_pages {
            true => Advice::HugePage,
            false => Advice::NoHugePage,
        });
    }
}

/// `bytes` as a value without out-of-line data, once rkyv accepts them as one; none if they have
/// not its length and alignment.
#[inline]
pub(crate) fn view_plain<T>(bytes: &[u8]) -> Option<Result<&T, BoxedError>>
where
    T: Portable + for<'a> CheckBytes<LowValidator<'a, BoxedError>>,
{
    let value = bytes.as_ptr().cast::<T>();
    if bytes.len() != size_of::<T>() || !value.is_aligned() {
        return None;
    }
    let mut validator = Validator::new(ArchiveValidator::new(bytes), ());
    // SAFETY: `value` is aligned and `size_of::<T>()` initialised bytes, by the look at both.
    let checked = unsafe { T::check_bytes(value, Strategy::wrap(&mut validator)) };
    // SAFETY: the bytes are a valid `T` (invariant 5), borrowed as long as the result lives.
    Some(checked.map(|()| unsafe { &*value }))
}

/// Populates parts of a mapping, on any thread.
#[derive(Clone)]
pub(crate) struct Populate {
    map: Arc<MmapRaw>,
    element_bytes: usize,
}

impl Populate {
    /// Backs elements `first..end` with memory; content stays as it is.
    pub(crate) fn run(&self, first: usize, end: usize) {
        if cfg!(miri) {
            return;
        }
        let start = first * self.element_bytes;
        let length = (end * self.element_bytes).min(self.map.len()) - start;
        // Kernels before 5.14 refuse the advice: then the first touch faults, which is slow and
        // correct.
        let _ = self.map.advise_range(Advice::PopulateWrite, start, length);
    }
}

/// How many elements from the start are populated; shared between a shard and its populating
/// helper.
#[derive(Clone, Default)]
pub(crate) struct PopulatedMark(Arc<AtomicUsize>);

impl PopulatedMark {
    pub(crate) fn get(&self) -> usize {
        // Relaxed: the mark is a hint about page faults, no memory is published through it.
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn raise(&self, to: usize) {
        // Relaxed: see `get`.
        self.0.fetch_max(to, Ordering::Relaxed);
    }
}
