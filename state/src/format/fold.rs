//! Folding: base image + chain of segments = new image, one page at a time.
//!
//! First all frames of one shard are read once and only the places of their lines are kept. Then
//! the pages are merged one by one in any order, each wanted line being read again from its
//! segment. That second read is checked too: a checksum of every entry's lines is kept, or damage
//! between the reads would get a fresh checksum in the new image.
//!
//! Memory: 24 bytes per page entry of the chain, up to 48 as the list grows by doubling (72 at the
//! moment of a move), and one page on the stack while merging. An entry with a line takes at least
//! 80 bytes in its segment, so the index stays below the size of the chain; only fresh pages
//! without lines, 16 bytes each, could make it larger.

use super::FormatError;
use super::frame::{Frame, PAGE_ID_END};
use super::lines::{packed_bytes, scatter_lines, zero_lines};
use crate::page::PAGE_BYTES;

/// Lines start at multiples of this in a segment, because headers and entries are multiples of it.
const LINES_ALIGNMENT: u64 = 16;
/// Bits for the offset in a place, in units of [`LINES_ALIGNMENT`]: segments of up to 16 TiB.
const OFFSET_BITS: u32 = 40;
/// Segments that the other bits of a place can number.
const SEGMENTS_MAX: usize = 1 << (u64::BITS - OFFSET_BITS);

/// Where the lines of one page entry stand, and what they are.
#[derive(Clone, Copy)]
struct Entry {
    /// Segment number, then offset in units of 16 bytes: rises along the chain.
    place: u64,
    mask: u64,
    /// Page id times 2, plus 1 for a fresh page.
    page_and_fresh: u32,
    /// Of the packed lines.
    crc: u32,
}

const _: () = assert!(size_of::<Entry>() == 24, "the memory bound above");
const _: () = assert!(PAGE_ID_END <= u32::MAX / 2, "a page id leaves one bit free");

impl Entry {
    fn page_id(&self) -> u32 {
        self.page_and_fresh >> 1
    }

    fn is_fresh(&self) -> bool {
        self.page_and_fresh & 1 != 0
    }

    fn segment(&self) -> u32 {
        u32::try_from(self.place >> OFFSET_BITS).expect("24 bits are left")
    }

    fn offset(&self) -> u64 {
        (self.place & ((1 << OFFSET_BITS) - 1)) * LINES_ALIGNMENT
    }
}

/// Collects where the lines of one shard stand in a chain.
///
/// ```
/// use frazil_state::format::{
///     ChainIndex, Chunk, FormatError, FrameAddress, FrameExpectation, read_frame,
/// };
///
/// let mut chunk = Chunk::with_capacity(64 << 10);
/// chunk.push(1, true, 0b10, &[7; 4096]);
/// let segment = chunk.seal(FrameAddress { file_id: 1, epoch: 2, frame_index: 0, shard: 0 });
///
/// let expected =
///     FrameExpectation { file: "delta", file_id: 1, epoch: 2, frame_index: 0, offset_in_file: 0 };
/// let mut index = ChainIndex::new(0, vec!["delta".to_owned()]);
/// index.add_frame(0, 0, &read_frame(segment, &expected)?.0);
/// let plan = index.finish();
/// assert_eq!(plan.page_count_needed(), 2);
///
/// let mut page = [1; 4096];
/// plan.merge_page(1, &mut page, &mut |_segment, offset, lines| {
///     let begin = offset as usize;
///     lines.copy_from_slice(&segment[begin..begin + lines.len()]);
///     Ok::<(), FormatError>(())
/// })?;
/// assert_eq!((page[0], page[64]), (0, 7));
/// # Ok::<(), FormatError>(())
/// ```
pub struct ChainIndex {
    shard: u16,
    files: Vec<String>,
    entries: Vec<Entry>,
}

impl ChainIndex {
    /// An empty index for one shard; `files` are the segments' names, oldest first: the index in it
    /// is a segment's number.
    ///
    /// # Panics
    /// If there are more than 2^24 segments.
    #[must_use]
    pub fn new(shard: u16, files: Vec<String>) -> Self {
        assert!(
            files.len() <= SEGMENTS_MAX,
            "a chain has at most {SEGMENTS_MAX} segments, found {}",
            files.len()
        );
        Self {
            shard,
            files,
            entries: Vec::new(),
        }
    }

    /// Notes the entries of a frame that begins `frame_offset` bytes into its segment; the order of
    /// calls is free.
    ///
    /// # Panics
    /// If the frame is another shard's, or the segment or offset cannot be.
    ///
    /// # Cost
    /// One checksum over the frame's lines.
    pub fn add_frame(&mut self, segment: u32, frame_offset: u64, frame: &Frame<'_>) {
        assert_eq!(frame.shard(), self.shard, "a fold takes one shard's frames");
        assert!(
            (segment as usize) < self.files.len(),
            "segment={segment} of segment_count={}",
            self.files.len()
        );
        for delta in frame.pages() {
            let offset = frame_offset + delta.lines_offset as u64;
            assert!(
                offset.is_multiple_of(LINES_ALIGNMENT)
                    && offset / LINES_ALIGNMENT < 1 << OFFSET_BITS,
                "no frame begins at frame_offset={frame_offset}"
            );
            self.entries.push(Entry {
                place: (u64::from(segment) << OFFSET_BITS) | (offset / LINES_ALIGNMENT),
                mask: delta.mask,
                page_and_fresh: (delta.page_id << 1) | u32::from(delta.fresh),
                crc: crc32fast::hash(delta.lines),
            });
        }
    }

    /// Sorts the entries by page and age.
    ///
    /// # Cost
    /// O(n log n) in the entries of the chain, in place.
    #[must_use]
    pub fn finish(mut self) -> FoldPlan {
        self.entries
            .sort_unstable_by_key(|entry| (entry.page_id(), entry.place));
        FoldPlan {
            files: self.files,
            entries: self.entries,
        }
    }
}

/// A chain whose pages can be merged into their base.
pub struct FoldPlan {
    files: Vec<String>,
    /// By page, then oldest first.
    entries: Vec<Entry>,
}

impl FoldPlan {
    /// Pages from page 0 that hold all pages of the chain; check it against the manifest before
    /// allocating so many.
    #[must_use]
    pub fn page_count_needed(&self) -> u32 {
        self.entries.last().map_or(0, |entry| entry.page_id() + 1)
    }

    /// Brings a page, which holds its base content or zeros, to its content at the end of the
    /// chain.
    ///
    /// `read_lines(segment, offset, lines)` fills `lines` from that segment. It is called once for
    /// every entry of the page of which something is still visible, newest first.
    ///
    /// # Errors
    /// What `read_lines` returns, or [`FormatError::Corrupt`] if it gave other bytes than the frame
    /// had. The page's content is then of no use.
    ///
    /// # Cost
    /// A binary search; then at most one read of 4 KiB per entry of the page, and no allocation.
    pub fn merge_page<E: From<FormatError>>(
        &self,
        page_id: u32,
        page: &mut [u8; PAGE_BYTES],
        read_lines: &mut impl FnMut(u32, u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut packed = [0; PAGE_BYTES];
        // Lines whose newest content is in place.
        let mut settled = 0;
        for entry in self.entries_of(page_id).iter().rev() {
            let wanted = entry.mask & !settled;
            if wanted != 0 {
                let lines = &mut packed[..packed_bytes(entry.mask)];
                read_lines(entry.segment(), entry.offset(), lines)?;
                self.check_lines(entry, lines)?;
                scatter_lines(lines, entry.mask, wanted, page);
            }
            settled |= entry.mask;
            if entry.is_fresh() {
                zero_lines(!settled, page);
                break;
            }
        }
        Ok(())
    }

    fn entries_of(&self, page_id: u32) -> &[Entry] {
        let begin = self
            .entries
            .partition_point(|entry| entry.page_id() < page_id);
        let rest = &self.entries[begin..];
        // A page has few entries: stepping through them beats a second search of the whole chain.
        let next = rest.iter().position(|entry| entry.page_id() != page_id);
        &rest[..next.unwrap_or(rest.len())]
    }

    fn check_lines(&self, entry: &Entry, lines: &[u8]) -> Result<(), FormatError> {
        let computed = crc32fast::hash(lines);
        if computed == entry.crc {
            return Ok(());
        }
        Err(FormatError::Corrupt {
            file: self.files[entry.segment() as usize].clone(),
            offset: entry.offset(),
            what: "lines read again for a fold",
            expected: format!(
                "checksum {:#010x} as before, page={}",
                entry.crc,
                entry.page_id()
            ),
            found: format!("{computed:#010x}"),
        })
    }
}
