//! The unit of everything: 4 KiB pages of 64 cache lines.

/// Bytes in a page.
pub const PAGE_BYTES: usize = 4096;
/// Bytes in a line, the unit of dirty tracking.
pub const LINE_BYTES: usize = 64;
/// Lines in a page: one bit each of a `u64` mask.
pub const LINES_PER_PAGE: usize = PAGE_BYTES / LINE_BYTES;

const _: () = assert!(LINES_PER_PAGE == 64, "a line mask is one u64");

/// Number of a page in its shard's arena; page 0 is the superblock, so 0 also stands for "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PageId(pub(crate) u32);

impl PageId {
    /// The superblock, and "none" wherever a page refers to another.
    pub(crate) const SUPERBLOCK: Self = Self(0);

    /// Index into per-page arrays.
    #[inline]
    #[must_use]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a page holds; byte 0 of every page in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PageKind {
    /// Free, linked into the free list.
    Free = 1,
    Superblock = 2,
    /// Roots of the key groups of one table.
    Roots = 3,
    /// First directory level of one key group.
    Directory = 4,
    /// Line-sized directory nodes below the first level.
    Nodes = 5,
    /// Records.
    Bucket = 6,
    /// Entries of a tree.
    Leaf = 7,
    /// Separators and children of a tree.
    Branch = 8,
}

/// 4096 bytes, aligned so that archived values inside keep their alignment.
#[derive(Clone, Copy)]
#[repr(C, align(4096))]
pub(crate) struct Page(pub(crate) [u8; PAGE_BYTES]);

impl Page {
    /// A page of zeros.
    #[must_use]
    pub(crate) const fn zeroed() -> Self {
        Self([0; PAGE_BYTES])
    }

    #[inline]
    pub(crate) fn u8_at(&self, offset: usize) -> u8 {
        self.0[offset]
    }

    #[inline]
    pub(crate) fn u16_at(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.array_at(offset))
    }

    #[inline]
    pub(crate) fn u32_at(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.array_at(offset))
    }

    #[inline]
    pub(crate) fn u64_at(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.array_at(offset))
    }

    #[inline]
    pub(crate) fn bytes_at(&self, offset: usize, length: usize) -> &[u8] {
        &self.0[offset..offset + length]
    }

    #[inline]
    pub(crate) fn array_at<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.0[offset..offset + N]);
        array
    }

    #[inline]
    pub(crate) fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Kind byte, unchecked: any value can stand in a damaged page.
    #[inline]
    pub(crate) fn kind_byte(&self) -> u8 {
        self.0[0]
    }

    #[inline]
    pub(crate) fn is_kind(&self, kind: PageKind) -> bool {
        self.kind_byte() == kind as u8
    }
}

/// Mask of the lines that `length` bytes from `offset` lie in; `length` is at least 1.
#[inline]
pub(crate) fn line_mask(offset: usize, length: usize) -> u64 {
    debug_assert!(length > 0 && offset + length <= PAGE_BYTES);
    let first = offset / LINE_BYTES;
    let last = (offset + length - 1) / LINE_BYTES;
    let count = last - first + 1;
    (u64::MAX >> (LINES_PER_PAGE - count)) << first
}

/// `value` rounded up to a multiple of `alignment`, a power of two.
#[inline]
pub(crate) const fn align_up(value: usize, alignment: usize) -> usize {
    (value + alignment - 1) & !(alignment - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_mask_covers_exactly_the_touched_lines() {
        assert_eq!(line_mask(0, 1), 1);
        assert_eq!(line_mask(63, 2), 0b11);
        assert_eq!(line_mask(64, 64), 0b10);
        assert_eq!(line_mask(0, PAGE_BYTES), u64::MAX);
        assert_eq!(line_mask(4095, 1), 1 << 63);
    }
}
