//! Images: one shard's dense pages, their checksums, and a footer at the very end.
//!
//! `file length = page_count * 4096 + pad64(page_count * 4) + 64`, so the footer is found from the
//! length alone, and the length is known before the first page is written.

use super::FormatError;
use super::frame::PAGE_ID_END;
use super::header::{HEADER_BYTES, HeaderReader, HeaderWriter, array_at};
use crate::page::PAGE_BYTES;

const IMAGE_MAGIC: [u8; 8] = *b"FRZIMAGE";
/// Bytes of a page's checksum in the table.
const CRC_BYTES: usize = 4;
/// The table is padded to a multiple of this.
const TABLE_ALIGNMENT: u64 = 64;

/// Offsets of the footer's fields.
mod at {
    pub(super) const FILE_ID: usize = 16;
    pub(super) const EPOCH: usize = 24;
    pub(super) const PAGE_COUNT: usize = 32;
    pub(super) const SHARD: usize = 36;
    pub(super) const ZEROS: usize = 38;
}

/// Which image this is; the checksums cover all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageAddress {
    /// Number of the file.
    pub file_id: u64,
    /// Epoch whose state the pages hold.
    pub epoch: u64,
    /// Shard whose pages these are.
    pub shard: u16,
    /// Pages in the image, from page 0; at most [`PAGE_ID_END`].
    pub page_count: u32,
}

impl ImageAddress {
    /// Length of the whole file, in bytes.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.table_offset() + self.table_bytes() + HEADER_BYTES as u64
    }

    /// Where the checksum table begins in the file, in bytes.
    #[must_use]
    pub fn table_offset(&self) -> u64 {
        u64::from(self.page_count) * PAGE_BYTES as u64
    }

    /// Length of the checksum table with its padding, in bytes.
    #[must_use]
    pub fn table_bytes(&self) -> u64 {
        (u64::from(self.page_count) * CRC_BYTES as u64).next_multiple_of(TABLE_ALIGNMENT)
    }

    fn page_crc(&self, page_id: u32, page: &[u8; PAGE_BYTES]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.file_id.to_le_bytes());
        hasher.update(&self.epoch.to_le_bytes());
        hasher.update(&page_id.to_le_bytes());
        hasher.update(page);
        hasher.finalize()
    }
}

/// Collects the checksums while an image is written.
///
/// ```
/// use frazil_state::format::{ImageAddress, ImageFooter, ImageTable, ImageWriter};
///
/// let address = ImageAddress { file_id: 1, epoch: 2, shard: 0, page_count: 1 };
/// let page = [7; 4096];
/// let mut writer = ImageWriter::new(address);
/// writer.push_page(&page);
/// let tail = writer.finish();
///
/// let file_length = (page.len() + tail.len()) as u64;
/// let (table, footer) = tail.split_last_chunk().expect("the footer is 64 bytes");
/// let footer = ImageFooter::decode("image", file_length, footer, &address)?;
/// let table = ImageTable::decode("image", &footer, table)?;
/// table.verify_page(0, &page)?;
/// # Ok::<(), frazil_state::format::FormatError>(())
/// ```
pub struct ImageWriter {
    address: ImageAddress,
    table: Vec<u8>,
    pushed_count: u32,
}

impl ImageWriter {
    /// Begins an image.
    ///
    /// # Panics
    /// If the page count is above [`PAGE_ID_END`].
    #[must_use]
    pub fn new(address: ImageAddress) -> Self {
        assert!(
            address.page_count <= PAGE_ID_END,
            "an image has at most {PAGE_ID_END} pages, found page_count={}",
            address.page_count
        );
        Self {
            address,
            table: Vec::new(),
            pushed_count: 0,
        }
    }

    /// Notes the checksum of the next page; the caller writes the page itself.
    ///
    /// # Panics
    /// If all pages were pushed.
    pub fn push_page(&mut self, page: &[u8; PAGE_BYTES]) {
        assert!(
            self.pushed_count < self.address.page_count,
            "more pages than page_count={}",
            self.address.page_count
        );
        let crc = self.address.page_crc(self.pushed_count, page);
        self.table.extend_from_slice(&crc.to_le_bytes());
        self.pushed_count += 1;
    }

    /// What follows the pages in the file: checksum table, padding and footer.
    ///
    /// # Panics
    /// If pages are missing.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let address = self.address;
        assert_eq!(
            self.pushed_count, address.page_count,
            "an image ends when all its pages were pushed"
        );
        let table_bytes = usize::try_from(address.table_bytes()).expect("the table is in memory");
        self.table.resize(table_bytes, 0);
        let footer = HeaderWriter::new(IMAGE_MAGIC)
            .put(at::FILE_ID, address.file_id.to_le_bytes())
            .put(at::EPOCH, address.epoch.to_le_bytes())
            .put(at::PAGE_COUNT, address.page_count.to_le_bytes())
            .put(at::SHARD, address.shard.to_le_bytes())
            .seal(&self.table, &[]);
        self.table.extend_from_slice(&footer);
        self.table
    }
}

/// The last 64 bytes of an image, checked against what was expected and against the file's length.
#[derive(Clone, Copy, Debug)]
pub struct ImageFooter {
    address: ImageAddress,
    bytes: [u8; HEADER_BYTES],
}

impl ImageFooter {
    /// Checks all of the footer but its checksum, which covers the table: [`ImageTable::decode`]
    /// looks at it.
    ///
    /// # Errors
    /// If this is not the footer of the expected image, or the file has another length than such an
    /// image.
    pub fn decode(
        file: &str,
        file_length: u64,
        bytes: &[u8; HEADER_BYTES],
        expected: &ImageAddress,
    ) -> Result<Self, FormatError> {
        let offset = file_length.saturating_sub(HEADER_BYTES as u64);
        let footer = HeaderReader::begin(file, offset, bytes, IMAGE_MAGIC)?;
        let found = ImageAddress {
            file_id: footer.u64_at(at::FILE_ID),
            epoch: footer.u64_at(at::EPOCH),
            shard: footer.u16_at(at::SHARD),
            page_count: footer.u32_at(at::PAGE_COUNT),
        };
        footer.check_equal(at::FILE_ID, "file id", expected.file_id, found.file_id)?;
        footer.check_equal(at::EPOCH, "epoch", expected.epoch, found.epoch)?;
        footer.check_equal(at::SHARD, "shard", expected.shard, found.shard)?;
        let page_count = expected.page_count;
        footer.check_equal(at::PAGE_COUNT, "page count", page_count, found.page_count)?;
        footer.check_zero(at::ZEROS..HEADER_BYTES)?;
        if page_count > PAGE_ID_END {
            let most = format!("at most {PAGE_ID_END}");
            return Err(footer.corrupt(at::PAGE_COUNT, "page count", most, page_count));
        }
        footer.check_equal(0, "file length", found.length_bytes(), file_length)?;
        Ok(Self {
            address: found,
            bytes: *bytes,
        })
    }

    /// Which image this is, and with it where the table stands.
    #[must_use]
    pub fn address(&self) -> &ImageAddress {
        &self.address
    }
}

/// The checksums of an image's pages.
#[derive(Clone, Debug)]
pub struct ImageTable {
    file: String,
    address: ImageAddress,
    crcs: Vec<u32>,
}

impl ImageTable {
    /// Checks the table, padding included, against the footer's checksum.
    ///
    /// # Errors
    /// If the table has the wrong length or is damaged, or the footer is.
    pub fn decode(file: &str, footer: &ImageFooter, table: &[u8]) -> Result<Self, FormatError> {
        let address = footer.address;
        let reader = HeaderReader {
            file,
            offset: address.table_offset() + address.table_bytes(),
            bytes: &footer.bytes,
        };
        let length = table.len() as u64;
        if length != address.table_bytes() {
            return Err(FormatError::Corrupt {
                file: file.to_owned(),
                offset: address.table_offset(),
                what: "checksum table length",
                expected: address.table_bytes().to_string(),
                found: length.to_string(),
            });
        }
        reader.check_crc(table, &[])?;
        let (crcs, padding) = table.split_at(address.page_count as usize * CRC_BYTES);
        if padding.iter().any(|byte| *byte != 0) {
            let what = "padding of the checksum table";
            return Err(reader.corrupt(0, what, "zeros", "other bytes"));
        }
        let crcs = crcs.chunks_exact(CRC_BYTES);
        Ok(Self {
            file: file.to_owned(),
            address,
            crcs: crcs
                .map(|crc| u32::from_le_bytes(array_at(crc, 0)))
                .collect(),
        })
    }

    /// Checks that these are the bytes of this page in this image.
    ///
    /// # Errors
    /// If they are not, or the image has no such page.
    ///
    /// # Cost
    /// One checksum over the page; allocates only for an error.
    pub fn verify_page(&self, page_id: u32, page: &[u8; PAGE_BYTES]) -> Result<(), FormatError> {
        let Some(&stored) = self.crcs.get(page_id as usize) else {
            let expected = format!("below {}", self.address.page_count);
            return Err(self.corrupt(page_id, "page id", expected, page_id.to_string()));
        };
        let computed = self.address.page_crc(page_id, page);
        if computed == stored {
            return Ok(());
        }
        let expected = format!("{stored:#010x} as stored for page={page_id}");
        let found = format!("{computed:#010x} over the bytes");
        Err(self.corrupt(page_id, "page checksum", expected, found))
    }

    fn corrupt(
        &self,
        page_id: u32,
        what: &'static str,
        expected: String,
        found: String,
    ) -> FormatError {
        FormatError::Corrupt {
            file: self.file.clone(),
            offset: u64::from(page_id) * PAGE_BYTES as u64,
            what,
            expected,
            found,
        }
    }
}
