//! Reading a frame: the unit of a delta segment.
//!
//! Header (64 bytes), then page entries back to back: page id, flags, line mask, and 64 bytes for
//! every set bit. Header and entries are multiples of 16 bytes, so in a segment all of them start
//! at multiples of 16.

use super::FormatError;
use super::header::{HEADER_BYTES, HeaderReader, array_at};
use super::in_flight::{IN_FLIGHT_MAGIC, is_in_flight};
use super::lines::{packed_bytes, scatter_lines};
use crate::page::PAGE_BYTES;

/// Most bytes in the body of a frame.
pub const MAX_FRAME_BODY_BYTES: usize = 1 << 20;
/// Page ids in frames and images are below this: one bit is left for whoever packs them.
pub const PAGE_ID_END: u32 = u32::MAX / 2;

pub(super) const FRAME_MAGIC: [u8; 8] = *b"FRZFRAME";
/// Bytes of a page entry before its lines.
pub(super) const ENTRY_BYTES: usize = 16;
/// The page is zeroed before the lines apply.
pub(super) const FLAG_FRESH: u32 = 1;

/// Offsets of the fields.
pub(super) mod at {
    pub(in super::super) const FILE_ID: usize = 16;
    pub(in super::super) const EPOCH: usize = 24;
    pub(in super::super) const FRAME_INDEX: usize = 32;
    pub(in super::super) const SHARD: usize = 36;
    pub(in super::super) const PAGE_COUNT: usize = 40;
    pub(in super::super) const BODY_BYTES: usize = 44;
    /// In a page entry; the page id is at 0.
    pub(in super::super) const ENTRY_FLAGS: usize = 4;
    pub(in super::super) const ENTRY_MASK: usize = 8;
}

/// Which frame should stand at the place that is read.
#[derive(Clone, Copy, Debug)]
pub struct FrameExpectation<'a> {
    /// Name of the segment file, for messages.
    pub file: &'a str,
    /// Number of the segment.
    pub file_id: u64,
    /// Epoch of the segment.
    pub epoch: u64,
    /// Index of the frame in the segment, from 0.
    pub frame_index: u32,
    /// Where the frame begins in the file, in bytes.
    pub offset_in_file: u64,
}

/// A frame whose bytes were checked.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    shard: u16,
    page_count: u32,
    body: &'a [u8],
}

/// The changed lines of one page.
#[derive(Clone, Copy, Debug)]
pub struct PageDelta<'a> {
    /// The page; below [`PAGE_ID_END`].
    pub page_id: u32,
    /// The page is zeroed before the lines apply.
    pub fresh: bool,
    /// Which lines follow; zero only if `fresh`.
    pub mask: u64,
    /// 64 bytes for every set bit of the mask, in rising order.
    pub lines: &'a [u8],
    /// Where `lines` begin, in bytes from the start of the frame.
    pub lines_offset: usize,
}

impl PageDelta<'_> {
    /// Changes a page from its content before the epoch to its content at the freeze.
    pub fn apply(&self, page: &mut [u8; PAGE_BYTES]) {
        if self.fresh {
            page.fill(0);
        }
        scatter_lines(self.lines, self.mask, self.mask, page);
    }
}

impl<'a> Frame<'a> {
    /// The shard whose pages these are; whether it exists is for the caller to check.
    #[must_use]
    pub fn shard(&self) -> u16 {
        self.shard
    }

    /// Page entries in the frame.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        self.page_count
    }

    /// The page entries, in the order in which they were captured.
    #[must_use]
    pub fn pages(&self) -> FramePages<'a> {
        FramePages {
            body: self.body,
            at: 0,
        }
    }
}

/// Iterator over the page entries of a frame.
#[derive(Clone, Debug)]
pub struct FramePages<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Iterator for FramePages<'a> {
    type Item = PageDelta<'a>;

    fn next(&mut self) -> Option<PageDelta<'a>> {
        let entry = Entry::read(self.body, self.at)?;
        self.at = entry.end;
        Some(entry.delta)
    }
}

/// Length of the whole frame of any kind that a header announces, in bytes, at most 64 +
/// [`MAX_FRAME_BODY_BYTES`].
///
/// For reading the header first and then the rest; only [`read_frame`] says whether the header is
/// true.
///
/// # Errors
/// If magic, version or the bound on the length do not hold.
pub fn frame_length(
    header: &[u8; HEADER_BYTES],
    expected: &FrameExpectation<'_>,
) -> Result<usize, FormatError> {
    let magic = match is_in_flight(header) {
        true => IN_FLIGHT_MAGIC,
        false => FRAME_MAGIC,
    };
    let header = begin(header, expected, magic)?;
    Ok(HEADER_BYTES + body_length(&header)?)
}

/// Shard that a header announces, for leaving out frames of others; only [`read_frame`] says
/// whether the header is true.
#[must_use]
pub fn frame_shard(header: &[u8; HEADER_BYTES]) -> u16 {
    u16::from_le_bytes([header[at::SHARD], header[at::SHARD + 1]])
}

/// Checks the frame at the start of `bytes` and gives it with its length in bytes; what follows it
/// is left alone.
///
/// # Errors
/// If the bytes are cut short or damaged, are not the frame that was expected here, or hold entries
/// that no chunk writes.
///
/// # Cost
/// One checksum over the frame and one look at every entry; allocates only for an error.
pub fn read_frame<'a>(
    bytes: &'a [u8],
    expected: &FrameExpectation<'_>,
) -> Result<(Frame<'a>, usize), FormatError> {
    let (header, body) = checked(bytes, expected, FRAME_MAGIC)?;
    let frame = Frame {
        shard: header.u16_at(at::SHARD),
        page_count: header.u32_at(at::PAGE_COUNT),
        body,
    };
    check_entries(&header, &frame)?;
    Ok((frame, HEADER_BYTES + body.len()))
}

/// Header and body of the frame at the start of `bytes`: whole, undamaged and in its place.
pub(super) fn checked<'a, 'e>(
    bytes: &'a [u8],
    expected: &FrameExpectation<'e>,
    magic: [u8; 8],
) -> Result<(HeaderReader<'e>, &'a [u8]), FormatError>
where
    'a: 'e,
{
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(cut_short(expected, HEADER_BYTES, bytes.len()));
    };
    let header = begin(header, expected, magic)?;
    let length = HEADER_BYTES + body_length(&header)?;
    let Some(body) = rest.get(..length - HEADER_BYTES) else {
        return Err(cut_short(expected, length, bytes.len()));
    };
    header.check_crc(&[], body)?;
    check_address(&header, expected)?;
    Ok((header, body))
}

fn begin<'a>(
    header: &'a [u8; HEADER_BYTES],
    expected: &FrameExpectation<'a>,
    magic: [u8; 8],
) -> Result<HeaderReader<'a>, FormatError> {
    HeaderReader::begin(expected.file, expected.offset_in_file, header, magic)
}

fn body_length(header: &HeaderReader<'_>) -> Result<usize, FormatError> {
    let length = header.u32_at(at::BODY_BYTES) as usize;
    if length <= MAX_FRAME_BODY_BYTES {
        return Ok(length);
    }
    let expected = format!("at most {MAX_FRAME_BODY_BYTES} bytes");
    Err(header.corrupt(at::BODY_BYTES, "body length", expected, length))
}

fn cut_short(expected: &FrameExpectation<'_>, needed: usize, found: usize) -> FormatError {
    FormatError::Corrupt {
        file: expected.file.to_owned(),
        offset: expected.offset_in_file,
        what: "frame length",
        expected: format!("{needed} bytes"),
        found: format!("{found} bytes"),
    }
}

fn check_address(
    header: &HeaderReader<'_>,
    expected: &FrameExpectation<'_>,
) -> Result<(), FormatError> {
    let file_id = header.u64_at(at::FILE_ID);
    header.check_equal(at::FILE_ID, "file id", expected.file_id, file_id)?;
    let epoch = header.u64_at(at::EPOCH);
    header.check_equal(at::EPOCH, "epoch", expected.epoch, epoch)?;
    let index = header.u32_at(at::FRAME_INDEX);
    header.check_equal(at::FRAME_INDEX, "frame index", expected.frame_index, index)?;
    header.check_zero(at::SHARD + 2..at::PAGE_COUNT)?;
    header.check_zero(at::BODY_BYTES + 4..HEADER_BYTES)
}

/// Every entry is whole and valid, and together they fill the body: what [`FramePages`] relies on.
fn check_entries(header: &HeaderReader<'_>, frame: &Frame<'_>) -> Result<(), FormatError> {
    let mut end = 0;
    for _ in 0..frame.page_count {
        let place = HEADER_BYTES + end;
        let Some(entry) = Entry::read(frame.body, end) else {
            let found = format!("{} bytes up to the end of the body", frame.body.len() - end);
            return Err(header.corrupt(place, "page entry", "a whole entry", found));
        };
        let delta = entry.delta;
        if delta.page_id >= PAGE_ID_END {
            let expected = format!("below {PAGE_ID_END}");
            return Err(header.corrupt(place, "page id", expected, delta.page_id));
        }
        if entry.flags & !FLAG_FRESH != 0 {
            let found = format!("{:#x}", entry.flags);
            return Err(header.corrupt(place + at::ENTRY_FLAGS, "flags", "0 or 1", found));
        }
        if delta.mask == 0 && !delta.fresh {
            let what = "line mask of a page that is not fresh";
            return Err(header.corrupt(place + at::ENTRY_MASK, what, "not 0", 0));
        }
        end = entry.end;
    }
    header.check_equal(HEADER_BYTES + end, "end of entries", frame.body.len(), end)
}

struct Entry<'a> {
    delta: PageDelta<'a>,
    flags: u32,
    /// Where the entry ends in the body.
    end: usize,
}

impl<'a> Entry<'a> {
    /// The entry at `at`; `None` if the body ends before it does.
    fn read(body: &'a [u8], at: usize) -> Option<Self> {
        let (head, rest) = body.get(at..)?.split_first_chunk::<ENTRY_BYTES>()?;
        let flags = u32::from_le_bytes(array_at(head, at::ENTRY_FLAGS));
        let mask = u64::from_le_bytes(array_at(head, at::ENTRY_MASK));
        let lines = rest.get(..packed_bytes(mask))?;
        let delta = PageDelta {
            page_id: u32::from_le_bytes(array_at(head, 0)),
            fresh: flags & FLAG_FRESH != 0,
            mask,
            lines,
            lines_offset: HEADER_BYTES + at + ENTRY_BYTES,
        };
        Some(Self {
            delta,
            flags,
            end: at + ENTRY_BYTES + lines.len(),
        })
    }
}
