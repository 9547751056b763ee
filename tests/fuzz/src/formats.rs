//! Frames, images and manifests. Each is tried as it is, and once more with its checksum made
//! right: else all but one in four billion inputs would end at the checksum.

use std::ops::Range;

use frazil_state::PAGE_BYTES;
use frazil_state::format::{
    FormatError, FrameExpectation, HEADER_BYTES, ImageAddress, ImageFooter, ImageTable, Manifest,
    decode, encode, frame_length, read_frame,
};

const CRC_AT: usize = 12;

/// The bytes, and the bytes with the checksum of the header at `header` made right: it covers all
/// that stands in `covered` but itself.
fn with_and_without_checksum(
    bytes: &[u8],
    header: usize,
    covered: Range<usize>,
    mut feed: impl FnMut(&[u8]),
) {
    feed(bytes);
    let crc_at = header + CRC_AT;
    if covered.start <= crc_at && crc_at + 4 <= covered.end && covered.end <= bytes.len() {
        let mut sealed = bytes.to_vec();
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes[covered.start..crc_at]);
        hasher.update(&bytes[crc_at + 4..covered.end]);
        sealed[crc_at..crc_at + 4].copy_from_slice(&hasher.finalize().to_le_bytes());
        feed(&sealed);
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).map_or(0, |bytes| {
        u64::from_le_bytes(bytes.try_into().expect("8 bytes"))
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |bytes| {
        u32::from_le_bytes(bytes.try_into().expect("4 bytes"))
    })
}

/// The first frame of a segment, at the place that it says it stands at.
pub fn frame(bytes: &[u8]) {
    let expected = FrameExpectation {
        file: "fuzz",
        file_id: u64_at(bytes, 16),
        epoch: u64_at(bytes, 24),
        frame_index: u32_at(bytes, 32),
        offset_in_file: 0,
    };
    let announced = bytes
        .first_chunk()
        .and_then(|header| frame_length(header, &expected).ok());
    let length = announced.map_or(bytes.len(), |length| length.min(bytes.len()));
    with_and_without_checksum(bytes, 0, 0..length, |bytes| {
        let Ok((frame, length)) = read_frame(bytes, &expected) else {
            return;
        };
        assert!(Some(length) == announced && length <= bytes.len());
        let mut page = [0; PAGE_BYTES];
        let deltas = frame.pages().map(|delta| {
            let lines = &bytes[delta.lines_offset..][..delta.lines.len()];
            assert!(lines == delta.lines, "lines_offset leads astray");
            delta.apply(&mut page);
        });
        assert_eq!(deltas.count(), frame.page_count() as usize);
    });
}

/// A whole image, with the address in its footer.
pub fn image(bytes: &[u8]) {
    let Some(header) = bytes.len().checked_sub(HEADER_BYTES) else {
        return;
    };
    let footer = &bytes[header..];
    let address = ImageAddress {
        file_id: u64_at(footer, 16),
        epoch: u64_at(footer, 24),
        page_count: u32_at(footer, 32),
        shard: u16::from_le_bytes([footer[36], footer[37]]),
    };
    let table_at = usize::try_from(address.table_offset()).unwrap_or(usize::MAX);
    let covered = table_at.min(header)..bytes.len();
    with_and_without_checksum(bytes, header, covered, |bytes| {
        // Damage of any of the pages is found by their own checksums, and nothing else is wrong.
        let _ = read_image(bytes, &address);
    });
}

fn read_image(bytes: &[u8], address: &ImageAddress) -> Result<(), FormatError> {
    let footer = bytes.last_chunk().expect("looked at by the caller");
    let footer = ImageFooter::decode("fuzz", bytes.len() as u64, footer, address)?;
    assert_eq!(footer.address(), address);
    // The length was right, so these are inside.
    let table_at = usize::try_from(address.table_offset()).expect("inside the file");
    let table = &bytes[table_at..bytes.len() - HEADER_BYTES];
    let table = ImageTable::decode("fuzz", &footer, table)?;
    let (pages, _) = bytes[..table_at].as_chunks();
    for (page_id, page) in (0..address.page_count).zip(pages) {
        table.verify_page(page_id, page)?;
    }
    Ok(())
}

/// A manifest, which is equal to itself when it was written and read once more.
pub fn manifest(bytes: &[u8]) {
    with_and_without_checksum(bytes, 0, 0..bytes.len(), |bytes| {
        if let Ok(manifest) = decode("fuzz", bytes) {
            let again: Result<Manifest, _> = decode("fuzz", &encode(&manifest));
            assert_eq!(again.as_ref(), Ok(&manifest));
        }
    });
}
