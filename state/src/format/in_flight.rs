//! Frames of records in flight: what a checkpoint holds beside the state if its barrier overtook
//! records.
//!
//! A frame as those of pages, under a magic of its own, with pieces in place of page entries: the
//! next bytes of one channel of the shard. What a channel and its bytes are is for the caller to
//! know; all pieces of a channel, in the order of their frames, are its content.

use super::FormatError;
use super::frame::{self, FrameExpectation, at};
use super::header::{HEADER_BYTES, array_at};

pub(super) const IN_FLIGHT_MAGIC: [u8; 8] = *b"FRZINFLT";
/// Bytes of a piece before its content.
pub(super) const PIECE_BYTES: usize = 16;
/// Pieces begin at multiples of this; zeros fill what is left.
pub(super) const PIECE_ALIGNMENT: usize = 16;

/// Offsets in a piece; the channel is at 0.
pub(super) mod piece {
    pub(in super::super) const LENGTH: usize = 4;
    pub(in super::super) const TYPES: usize = 8;
}

/// A frame of records in flight whose bytes were checked.
#[derive(Clone, Copy, Debug)]
pub struct InFlightFrame<'a> {
    shard: u16,
    body: &'a [u8],
}

/// The next bytes of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlightPiece<'a> {
    /// Whose bytes they are, in the caller's numbering.
    pub channel: u32,
    /// Fingerprint of what the bytes stand for.
    pub types: u64,
    /// The bytes, at least one.
    pub bytes: &'a [u8],
}

impl<'a> InFlightFrame<'a> {
    /// The shard that they were in flight on; whether it exists is for the caller to check.
    #[must_use]
    pub fn shard(&self) -> u16 {
        self.shard
    }

    /// The pieces, in the order in which they were recorded.
    pub fn pieces(&self) -> impl Iterator<Item = InFlightPiece<'a>> + use<'a> {
        let body = self.body;
        let mut at = 0;
        std::iter::from_fn(move || {
            let (piece, end) = read_piece(body, at)?;
            at = end;
            Some(piece)
        })
    }
}

/// Whether a header announces a frame of records in flight rather than one of pages; only reading
/// the frame says whether the header is true.
#[must_use]
pub fn is_in_flight(header: &[u8; HEADER_BYTES]) -> bool {
    header.starts_with(&IN_FLIGHT_MAGIC)
}

/// As [`read_frame`](super::read_frame), for a frame of records in flight.
///
/// # Errors
/// If the bytes are cut short or damaged, are not the frame that was expected here, or hold pieces
/// that no chunk writes.
pub fn read_in_flight<'a>(
    bytes: &'a [u8],
    expected: &FrameExpectation<'_>,
) -> Result<(InFlightFrame<'a>, usize), FormatError> {
    let (header, body) = frame::checked(bytes, expected, IN_FLIGHT_MAGIC)?;
    let mut end = 0;
    for _ in 0..header.u32_at(at::PAGE_COUNT) {
        let place = HEADER_BYTES + end;
        let Some((piece, next)) = read_piece(body, end) else {
            let found = format!("{} bytes up to the end of the body", body.len() - end);
            return Err(header.corrupt(place, "piece", "a whole piece", found));
        };
        if piece.bytes.is_empty() {
            return Err(header.corrupt(place + piece::LENGTH, "length of a piece", "not 0", 0));
        }
        let padding = end + PIECE_BYTES + piece.bytes.len()..next;
        if body[padding].iter().any(|byte| *byte != 0) {
            return Err(header.corrupt(place, "bytes behind a piece", "zeros", "others"));
        }
        end = next;
    }
    header.check_equal(HEADER_BYTES + end, "end of pieces", body.len(), end)?;
    let shard = header.u16_at(at::SHARD);
    Ok((InFlightFrame { shard, body }, HEADER_BYTES + body.len()))
}

/// The piece at `at` and where the next one begins; `None` if the body ends before it does.
fn read_piece(body: &[u8], at: usize) -> Option<(InFlightPiece<'_>, usize)> {
    let (head, rest) = body.get(at..)?.split_first_chunk::<PIECE_BYTES>()?;
    let length = u32::from_le_bytes(array_at(head, piece::LENGTH)) as usize;
    let end = length.checked_next_multiple_of(PIECE_ALIGNMENT)?;
    rest.get(..end)?;
    let piece = InFlightPiece {
        channel: u32::from_le_bytes(array_at(head, 0)),
        types: u64::from_le_bytes(array_at(head, piece::TYPES)),
        bytes: &rest[..length],
    };
    Some((piece, at + PIECE_BYTES + end))
}
