//! The 64 bytes that frames and manifests begin with and images end with.
//!
//! All three start alike: magic (8 bytes), format version (4), crc (4), then fields of their own.
//! The crc covers all of the 64 bytes but itself, and what the header describes.

use std::fmt::Display;
use std::ops::Range;

use super::FormatError;

/// Version of all three formats.
pub const FORMAT_VERSION: u32 = 1;
/// Bytes in a frame's and a manifest's header and in an image's footer.
pub const HEADER_BYTES: usize = 64;

const MAGIC: Range<usize> = 0..8;
const VERSION_AT: usize = 8;
const CRC_AT: usize = 12;
const FIELDS_AT: usize = 16;

/// Reads `N` bytes at `offset`; the caller has checked the length.
#[inline]
pub(super) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

/// Crc of `before`, the header without its crc field, and `after`, in this order.
fn checksum(before: &[u8], header: &[u8; HEADER_BYTES], after: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    hasher.update(&header[..CRC_AT]);
    hasher.update(&header[FIELDS_AT..]);
    hasher.update(after);
    hasher.finalize()
}

/// A header being filled; fields that are not put are zero.
pub(super) struct HeaderWriter {
    bytes: [u8; HEADER_BYTES],
}

impl HeaderWriter {
    pub(super) fn new(magic: [u8; 8]) -> Self {
        let mut bytes = [0; HEADER_BYTES];
        bytes[MAGIC].copy_from_slice(&magic);
        bytes[VERSION_AT..CRC_AT].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        Self { bytes }
    }

    pub(super) fn put<const N: usize>(mut self, offset: usize, field: [u8; N]) -> Self {
        debug_assert!(offset >= FIELDS_AT, "the first fields are common to all");
        self.bytes[offset..offset + N].copy_from_slice(&field);
        self
    }

    /// The whole header, with the crc over itself and what lies `before` and `after` it.
    pub(super) fn seal(mut self, before: &[u8], after: &[u8]) -> [u8; HEADER_BYTES] {
        let crc = checksum(before, &self.bytes, after);
        self.bytes[CRC_AT..FIELDS_AT].copy_from_slice(&crc.to_le_bytes());
        self.bytes
    }
}

/// A header being checked, and where it was read.
#[derive(Clone, Copy)]
pub(super) struct HeaderReader<'a> {
    pub(super) file: &'a str,
    /// Offset of the header in the file, in bytes.
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8; HEADER_BYTES],
}

impl<'a> HeaderReader<'a> {
    /// Checks magic and version, so that the other fields have a meaning.
    pub(super) fn begin(
        file: &'a str,
        offset: u64,
        bytes: &'a [u8; HEADER_BYTES],
        magic: [u8; 8],
    ) -> Result<Self, FormatError> {
        let reader = Self {
            file,
            offset,
            bytes,
        };
        if bytes[MAGIC] != magic {
            let expected = magic.escape_ascii();
            return Err(reader.corrupt(0, "magic", expected, bytes[MAGIC].escape_ascii()));
        }
        let found = reader.u32_at(VERSION_AT);
        if found != FORMAT_VERSION {
            return Err(FormatError::Version {
                file: file.to_owned(),
                found,
                supported: FORMAT_VERSION,
            });
        }
        Ok(reader)
    }

    pub(super) fn u16_at(&self, offset: usize) -> u16 {
        u16::from_le_bytes(array_at(self.bytes, offset))
    }

    pub(super) fn u32_at(&self, offset: usize) -> u32 {
        u32::from_le_bytes(array_at(self.bytes, offset))
    }

    pub(super) fn u64_at(&self, offset: usize) -> u64 {
        u64::from_le_bytes(array_at(self.bytes, offset))
    }

    pub(super) fn check_crc(&self, before: &[u8], after: &[u8]) -> Result<(), FormatError> {
        let computed = checksum(before, self.bytes, after);
        let stored = self.u32_at(CRC_AT);
        if computed == stored {
            return Ok(());
        }
        let expected = format!("{stored:#010x} as stored");
        let found = format!("{computed:#010x} over the bytes");
        Err(self.corrupt(CRC_AT, "checksum", expected, found))
    }

    pub(super) fn check_equal<T: PartialEq + Display>(
        &self,
        at: usize,
        what: &'static str,
        expected: T,
        found: T,
    ) -> Result<(), FormatError> {
        if expected == found {
            return Ok(());
        }
        Err(self.corrupt(at, what, expected, found))
    }

    pub(super) fn check_zero(&self, range: Range<usize>) -> Result<(), FormatError> {
        for at in range {
            self.check_equal(at, "reserved byte", 0, self.bytes[at])?;
        }
        Ok(())
    }

    /// The error for a place `at` bytes after the start of the header.
    pub(super) fn corrupt(
        &self,
        at: usize,
        what: &'static str,
        expected: impl Display,
        found: impl Display,
    ) -> FormatError {
        FormatError::Corrupt {
            file: self.file.to_owned(),
            offset: self.offset.saturating_add(at as u64),
            what,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}
