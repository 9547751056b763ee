//! Writing a frame: the buffer that captured lines are copied into, and that is the frame when it
//! is sealed.

use super::frame::{ENTRY_BYTES, FLAG_FRESH, FRAME_MAGIC, MAX_FRAME_BODY_BYTES, PAGE_ID_END, at};
use super::header::{HEADER_BYTES, HeaderWriter};
use super::in_flight::{IN_FLIGHT_MAGIC, PIECE_ALIGNMENT, PIECE_BYTES, piece};
use super::lines::{gather_lines, packed_bytes};
use crate::page::PAGE_BYTES;

/// Where a frame belongs; the checksum covers all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameAddress {
    /// Number of the segment, equal for all its frames.
    pub file_id: u64,
    /// Epoch whose lines the frame holds.
    pub epoch: u64,
    /// Index of the frame in the segment, from 0.
    pub frame_index: u32,
    /// Shard whose pages these are.
    pub shard: u16,
}

/// A reusable staging buffer of fixed capacity: one frame in the making.
///
/// ```
/// use frazil_state::format::{Chunk, FrameAddress, FrameExpectation, read_frame};
///
/// let mut chunk = Chunk::with_capacity(64 << 10);
/// let page = [7; 4096];
/// chunk.push(3, false, 0b101, &page);
/// let bytes = chunk.seal(FrameAddress { file_id: 1, epoch: 2, frame_index: 0, shard: 0 });
///
/// let expected =
///     FrameExpectation { file: "delta", file_id: 1, epoch: 2, frame_index: 0, offset_in_file: 0 };
/// let (frame, length) = read_frame(bytes, &expected)?;
/// assert_eq!(length, bytes.len());
/// let mut restored = [0; 4096];
/// frame.pages().for_each(|delta| delta.apply(&mut restored));
/// assert_eq!(restored[..64], page[..64]);
/// assert_eq!(restored[64], 0);
/// # Ok::<(), frazil_state::format::FormatError>(())
/// ```
pub struct Chunk {
    bytes: Box<[u8]>,
    /// Header and body so far: `HEADER_BYTES <= length <= bytes.len()`.
    length: usize,
    /// Page entries, or pieces of records in flight.
    entry_count: u32,
    /// Which of the two.
    magic: [u8; 8],
}

impl Chunk {
    /// Fewest bytes a chunk can have: room for the header and one whole page.
    pub const MIN_CAPACITY_BYTES: usize = HEADER_BYTES + ENTRY_BYTES + PAGE_BYTES;

    /// Allocates an empty chunk of `capacity_bytes`, the header included, and touches all its
    /// memory.
    ///
    /// # Panics
    /// If `capacity_bytes` is below [`Chunk::MIN_CAPACITY_BYTES`] or above
    /// [`MAX_FRAME_BODY_BYTES`].
    #[must_use]
    pub fn with_capacity(capacity_bytes: usize) -> Self {
        assert!(
            (Self::MIN_CAPACITY_BYTES..=MAX_FRAME_BODY_BYTES).contains(&capacity_bytes),
            "a chunk has {} to {MAX_FRAME_BODY_BYTES} bytes, found capacity_bytes={capacity_bytes}",
            Self::MIN_CAPACITY_BYTES
        );
        Self {
            // Zeros would come from the operating system untouched, and fault on the record path.
            bytes: vec![0xFF; capacity_bytes].into_boxed_slice(),
            length: HEADER_BYTES,
            entry_count: 0,
            magic: FRAME_MAGIC,
        }
    }

    /// Whether a page entry with the lines of `mask` fits.
    #[inline]
    #[must_use]
    pub fn has_room(&self, mask: u64) -> bool {
        self.bytes.len() - self.length >= ENTRY_BYTES + packed_bytes(mask)
    }

    /// Copies the masked lines of a page; `fresh` says that the page is zeroed before they apply.
    ///
    /// A page may come several times in one segment and shard, with disjoint masks and fresh only
    /// at first: entries apply in their order.
    ///
    /// # Panics
    /// If there is no room, the page id is not below [`PAGE_ID_END`], or the entry would say
    /// nothing (an empty mask, not fresh).
    ///
    /// # Cost
    /// One copy of 64 bytes per set bit, a single copy for a whole page; does not allocate.
    #[inline]
    pub fn push(&mut self, page_id: u32, fresh: bool, mask: u64, page: &[u8; PAGE_BYTES]) {
        debug_assert_eq!(self.magic, FRAME_MAGIC, "a frame is of one kind");
        assert!(
            self.has_room(mask),
            "no room in chunk: length={} capacity={} mask={mask:#018x}",
            self.length,
            self.bytes.len()
        );
        assert!(
            page_id < PAGE_ID_END && (mask != 0 || fresh),
            "no valid entry: page={page_id} mask={mask:#018x} fresh={fresh}"
        );
        let end = self.length + ENTRY_BYTES + packed_bytes(mask);
        let (entry, lines) = self.bytes[self.length..end].split_at_mut(ENTRY_BYTES);
        let flags = if fresh { FLAG_FRESH } else { 0 };
        entry[..at::ENTRY_FLAGS].copy_from_slice(&page_id.to_le_bytes());
        entry[at::ENTRY_FLAGS..at::ENTRY_MASK].copy_from_slice(&flags.to_le_bytes());
        entry[at::ENTRY_MASK..].copy_from_slice(&mask.to_le_bytes());
        gather_lines(page, mask, lines);
        self.length = end;
        self.entry_count += 1;
    }

    /// Takes the next bytes of a channel of records in flight, as many as there is room for, and
    /// gives how many; the chunk holds nothing else from then on.
    ///
    /// # Panics
    /// If pages were pushed.
    pub fn push_in_flight(&mut self, channel: u32, types: u64, bytes: &[u8]) -> usize {
        assert!(
            self.is_empty() || self.is_in_flight(),
            "a frame is of one kind"
        );
        let room = (self.bytes.len() - self.length).saturating_sub(PIECE_BYTES);
        let room = room - room % PIECE_ALIGNMENT;
        let taken = &bytes[..bytes.len().min(room)];
        if taken.is_empty() {
            return 0;
        }
        self.magic = IN_FLIGHT_MAGIC;
        let length = u32::try_from(taken.len()).expect("a chunk is at most MAX_FRAME_BODY_BYTES");
        let end = self.length + PIECE_BYTES + taken.len().next_multiple_of(PIECE_ALIGNMENT);
        let (head, content) = self.bytes[self.length..end].split_at_mut(PIECE_BYTES);
        head[..piece::LENGTH].copy_from_slice(&channel.to_le_bytes());
        head[piece::LENGTH..piece::TYPES].copy_from_slice(&length.to_le_bytes());
        head[piece::TYPES..].copy_from_slice(&types.to_le_bytes());
        content[..taken.len()].copy_from_slice(taken);
        content[taken.len()..].fill(0);
        self.length = end;
        self.entry_count += 1;
        taken.len()
    }

    /// Whether records in flight were pushed, and not pages.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.magic == IN_FLIGHT_MAGIC
    }

    /// Whether nothing was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entry_count == 0
    }

    /// Page entries pushed.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        match self.is_in_flight() {
            true => 0,
            false => self.entry_count,
        }
    }

    /// Length of the body so far, in bytes: what the frame takes beyond its header.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.length - HEADER_BYTES
    }

    /// Forgets what was pushed; the memory stays.
    pub fn clear(&mut self) {
        self.length = HEADER_BYTES;
        self.entry_count = 0;
        self.magic = FRAME_MAGIC;
    }

    /// Writes header and checksum and gives the bytes of the whole frame.
    ///
    /// # Cost
    /// One checksum over the body; does not allocate.
    pub fn seal(&mut self, address: FrameAddress) -> &[u8] {
        let body_bytes =
            u32::try_from(self.body_bytes()).expect("a chunk is at most MAX_FRAME_BODY_BYTES");
        let (header, rest) = self.bytes.split_at_mut(HEADER_BYTES);
        let sealed = HeaderWriter::new(self.magic)
            .put(at::FILE_ID, address.file_id.to_le_bytes())
            .put(at::EPOCH, address.epoch.to_le_bytes())
            .put(at::FRAME_INDEX, address.frame_index.to_le_bytes())
            .put(at::SHARD, address.shard.to_le_bytes())
            .put(at::PAGE_COUNT, self.entry_count.to_le_bytes())
            .put(at::BODY_BYTES, body_bytes.to_le_bytes())
            .seal(&[], &rest[..body_bytes as usize]);
        header.copy_from_slice(&sealed);
        &self.bytes[..self.length]
    }
}
