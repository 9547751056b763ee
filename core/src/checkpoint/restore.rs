//! Reading images and segments back, every byte checked before it is used.

use frazil_io::storage::{ReadAt, Storage};
use frazil_state::format::{
    FormatError, Frame, FrameExpectation, HEADER_BYTES, ImageAddress, ImageEntry, ImageFooter,
    ImageTable, Manifest, SegmentEntry, ShardEntry, frame_length, frame_shard, read_frame,
};
use frazil_state::{PAGE_BYTES, Restore, StateError, Store, StoreConfig};

use crate::error::Error;

/// An image whose footer and checksum table are verified; pages are verified when they are read.
pub(crate) struct VerifiedImage {
    file: String,
    reader: Box<dyn ReadAt>,
    address: ImageAddress,
    table: ImageTable,
}

impl VerifiedImage {
    /// Opens an image of `shard`.
    ///
    /// # Errors
    /// Missing, short or damaged files.
    pub(crate) fn open(
        storage: &dyn Storage,
        entry: &ImageEntry,
        shard: u16,
    ) -> Result<Self, Error> {
        let reader = storage.open(&entry.file)?;
        let address = ImageAddress {
            file_id: entry.file_id,
            epoch: entry.epoch,
            shard,
            page_count: entry.page_count,
        };
        let mut footer = [0; HEADER_BYTES];
        let footer_at = entry.length_bytes.saturating_sub(HEADER_BYTES as u64);
        reader.read_exact_at(&mut footer, footer_at)?;
        let footer = ImageFooter::decode(&entry.file, entry.length_bytes, &footer, &address)?;
        let table_bytes = usize::try_from(address.table_bytes()).expect("4 bytes a page");
        let mut table = vec![0; table_bytes];
        reader.read_exact_at(&mut table, address.table_offset())?;
        let table = ImageTable::decode(&entry.file, &footer, &table)?;
        Ok(Self {
            file: entry.file.clone(),
            reader,
            address,
            table,
        })
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.address.epoch
    }

    /// Reads and verifies a page; pages beyond the image are left as they are.
    ///
    /// # Errors
    /// A short file or a wrong checksum.
    pub(crate) fn read_page(&self, page_id: u32, page: &mut [u8; PAGE_BYTES]) -> Result<(), Error> {
        if page_id >= self.address.page_count {
            return Ok(());
        }
        let offset = u64::from(page_id) * PAGE_BYTES as u64;
        self.reader.read_exact_at(page, offset)?;
        self.table.verify_page(page_id, page)?;
        Ok(())
    }

    /// Copies all pages into a restore, in large reads.
    fn copy_into(&self, restore: &mut Restore, shard: usize) -> Result<(), Error> {
        const READ_PAGES: u32 = 256;
        let mut block = vec![0; READ_PAGES as usize * PAGE_BYTES];
        let mut first = 0;
        while first < self.address.page_count {
            let count = READ_PAGES.min(self.address.page_count - first);
            let block = &mut block[..count as usize * PAGE_BYTES];
            self.reader
                .read_exact_at(block, u64::from(first) * PAGE_BYTES as u64)?;
            for (page_id, bytes) in (first..).zip(block.as_chunks::<PAGE_BYTES>().0) {
                self.table.verify_page(page_id, bytes)?;
                let page = restore.page_mut(page_id);
                *page.map_err(|source| self.refused(shard, source))? = *bytes;
            }
            first += count;
        }
        Ok(())
    }

    fn refused(&self, shard: usize, source: StateError) -> Error {
        tracing::debug!(file = self.file, "an image does not fit into its store");
        Error::State { shard, source }
    }
}

/// Hands the frames of the shards that are `wanted` to `visit`, with their offsets in the file. Of
/// the others only the headers are read, and nobody vouches for them.
///
/// # Errors
/// Missing, short or damaged files, and what `visit` returns.
pub(crate) fn read_segment(
    storage: &dyn Storage,
    segment: &SegmentEntry,
    wanted: impl Fn(u16) -> bool,
    mut visit: impl FnMut(u64, &Frame<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let reader = storage.open(&segment.file)?;
    let mut offset = 0;
    let mut bytes = Vec::new();
    for frame_index in 0..segment.frame_count {
        let expected = FrameExpectation {
            file: &segment.file,
            file_id: segment.file_id,
            epoch: segment.epoch,
            frame_index,
            offset_in_file: offset,
        };
        let mut header = [0; HEADER_BYTES];
        reader.read_exact_at(&mut header, offset)?;
        let length = frame_length(&header, &expected)?;
        if !wanted(frame_shard(&header)) {
            offset += length as u64;
            continue;
        }
        bytes.resize(length, 0);
        reader.read_exact_at(&mut bytes, offset)?;
        let (frame, consumed) = read_frame(&bytes, &expected)?;
        visit(offset, &frame)?;
        offset += consumed as u64;
    }
    if offset == segment.length_bytes {
        return Ok(());
    }
    Err(Error::Format(FormatError::Corrupt {
        file: segment.file.clone(),
        offset,
        what: "end of the last frame",
        expected: segment.length_bytes.to_string(),
        found: offset.to_string(),
    }))
}

/// Begins the restore of a shard with its base; gives the epoch of the base, 0 without one.
///
/// # Errors
/// Missing, short or damaged files, or state that does not fit.
pub(crate) fn restore_image(
    storage: &dyn Storage,
    entry: &ShardEntry,
    config: &StoreConfig,
    shard: usize,
) -> Result<(Restore, u64), Error> {
    let refused = |source| Error::State { shard, source };
    let mut restore = Restore::new(config, entry.page_count).map_err(refused)?;
    let Some(image) = &entry.image else {
        return Ok((restore, 0));
    };
    let number = u16::try_from(shard).expect("shards are at most 65535");
    VerifiedImage::open(storage, image, number)?.copy_into(&mut restore, shard)?;
    Ok((restore, image.epoch))
}

pub(crate) fn no_such_shard(
    segment: &SegmentEntry,
    offset: u64,
    shard_count: usize,
    found: usize,
) -> Error {
    Error::Format(FormatError::Corrupt {
        file: segment.file.clone(),
        offset,
        what: "shard of a frame",
        expected: format!("below {shard_count}"),
        found: found.to_string(),
    })
}

/// Restores all shards of a checkpoint.
///
/// # Errors
/// Missing, short or damaged files, or state that does not fit.
pub(crate) fn restore_shards(
    storage: &dyn Storage,
    manifest: &Manifest,
    configs: &[StoreConfig],
) -> Result<Vec<Store>, Error> {
    let mut restores = Vec::with_capacity(configs.len());
    for (shard, (config, entry)) in configs.iter().zip(&manifest.shards).enumerate() {
        restores.push(restore_image(storage, entry, config, shard)?);
    }
    for segment in &manifest.segments {
        read_segment(
            storage,
            segment,
            |_| true,
            |offset, frame| {
                let shard = usize::from(frame.shard());
                let Some((restore, base_epoch)) = restores.get_mut(shard) else {
                    return Err(no_such_shard(segment, offset, configs.len(), shard));
                };
                if segment.epoch > *base_epoch {
                    for delta in frame.pages() {
                        let applied = restore.apply(&delta);
                        applied.map_err(|source| Error::State { shard, source })?;
                    }
                }
                Ok(())
            },
        )?;
    }
    let finish = |(shard, (restore, _)): (usize, (Restore, u64))| {
        restore
            .finish()
            .map_err(|source| Error::State { shard, source })
    };
    restores.into_iter().enumerate().map(finish).collect()
}
