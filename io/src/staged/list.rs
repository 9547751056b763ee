//! The bytes of the list that goes into a checkpoint.
//!
//! Little-endian: magic `FZOL`, version `u32`, count `u32`; for each file length `u64`, CRC `u32`
//! and two names (length `u16`, UTF-8 bytes; staged, then final); at the end the CRC-32 of all
//! bytes before.

use super::StagedError;

const MAGIC: [u8; 4] = *b"FZOL";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 12;
const CRC_BYTES: usize = 4;

/// One sealed file: what was synced, and its two names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedFile {
    pub(super) staged_name: String,
    pub(super) final_name: String,
    pub(super) length_bytes: u64,
    pub(super) crc: u32,
}

pub(super) fn encode<'a>(files: impl ExactSizeIterator<Item = &'a ListedFile>) -> Vec<u8> {
    let count = u32::try_from(files.len()).expect("fewer output files than 2^32");
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    for file in files {
        bytes.extend_from_slice(&file.length_bytes.to_le_bytes());
        bytes.extend_from_slice(&file.crc.to_le_bytes());
        for name in [&file.staged_name, &file.final_name] {
            let length = u16::try_from(name.len()).expect("file names have at most 255 bytes");
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(name.as_bytes());
        }
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Vec<ListedFile>, StagedError> {
    let bad = |reason: String| StagedError::BadList { reason };
    let found_bytes = bytes.len();
    let Some((covered, crc)) = bytes.split_last_chunk::<CRC_BYTES>() else {
        return Err(bad(format!(
            "expected at least {} bytes, found {found_bytes}",
            HEADER_BYTES + CRC_BYTES
        )));
    };
    let (expected_crc, found_crc) = (u32::from_le_bytes(*crc), crc32fast::hash(covered));
    if expected_crc != found_crc {
        return Err(bad(format!(
            "expected crc {expected_crc:08x} over {} bytes, found {found_crc:08x}",
            covered.len()
        )));
    }
    let mut fields = Fields { rest: covered };
    let magic = fields.take::<4>().unwrap_or_default();
    let version = fields.take().map_or(0, u32::from_le_bytes);
    if magic != MAGIC || version != VERSION {
        return Err(bad(format!(
            "expected format {MAGIC:02x?} version {VERSION}, found {magic:02x?} version {version}"
        )));
    }
    let count = fields.take().map_or(0, u32::from_le_bytes);
    let files: Option<Vec<_>> = (0..count).map(|_| fields.file()).collect();
    match files {
        Some(files) if fields.rest.is_empty() => Ok(files),
        _ => Err(bad(format!(
            "its {found_bytes} bytes do not hold exactly {count} files"
        ))),
    }
}

/// What is left to decode; every step is `None` where too little is left.
struct Fields<'a> {
    rest: &'a [u8],
}

impl Fields<'_> {
    fn take<const COUNT: usize>(&mut self) -> Option<[u8; COUNT]> {
        let (taken, rest) = self.rest.split_first_chunk::<COUNT>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn name(&mut self) -> Option<String> {
        let length = usize::from(u16::from_le_bytes(self.take()?));
        let (name, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        String::from_utf8(name.to_vec()).ok()
    }

    fn file(&mut self) -> Option<ListedFile> {
        Some(ListedFile {
            length_bytes: u64::from_le_bytes(self.take()?),
            crc: u32::from_le_bytes(self.take()?),
            staged_name: self.name()?,
            final_name: self.name()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_files() -> Vec<ListedFile> {
        let file = |generation: u64| ListedFile {
            staged_name: format!(".staged-part-{generation:010}.0"),
            final_name: format!("part-{generation:010}.csv"),
            length_bytes: 100 + generation,
            crc: 0xfeed_0000,
        };
        vec![file(3), file(4)]
    }

    #[test]
    fn a_list_reads_back_as_it_was_written() {
        assert_eq!(decode(&encode(two_files().iter())).unwrap(), two_files());
        assert_eq!(decode(&encode([].iter())).unwrap(), []);
    }

    #[test]
    fn no_cut_and_no_flipped_bit_goes_unnoticed() {
        let bytes = encode(two_files().iter());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "cut to {length} bytes");
        }
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_err(), "bit {bit} flipped");
        }
    }

    #[test]
    fn the_format_of_version_1_stays() {
        let file = ListedFile {
            staged_name: "s".to_owned(),
            final_name: "fi".to_owned(),
            length_bytes: 0x0102,
            crc: 0x0304,
        };
        let expected = b"FZOL\x01\0\0\0\x01\0\0\0\x02\x01\0\0\0\0\0\0\x04\x03\0\0\x01\0s\x02\0fi";
        let encoded = encode([file].iter());
        let (covered, crc) = encoded.split_last_chunk::<4>().unwrap();
        assert_eq!(covered, expected);
        assert_eq!(u32::from_le_bytes(*crc), crc32fast::hash(expected));
    }
}
