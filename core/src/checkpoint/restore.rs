//! Reading images and segments back, every byte checked before it is used.

use frazil_io::storage::{ReadAt, Storage};
use frazil_state::format::{
    FormatError, Frame, FrameExpectation, HEADER_BYTES, ImageAddress, ImageEntry, ImageFooter,
    ImageTable, Manifest, SegmentEntry, frame_length, frame_shard, is_in_flight, read_frame,
    read_in_flight,
};
use frazil_state::{PAGE_BYTES, Restore, StateError, Store, StoreConfig};

use super::names;
use super::restoring::Unverified;
use crate::error::Error;
use crate::in_flight::RestoredInFlight;

/// How a job comes back to its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestoreMode {
    /// Everything is read and verified before the first record. Records never wait afterwards.
    #[default]
    Eager,
    /// The base image is mapped and records run at once, while a thread verifies it and backs it
    /// with memory. Until then records may wait for page faults, and no checkpoint is made.
    ///
    /// The deltas since the base are applied before the first record in any case. A job that goes
    /// on with another number of shards is restored eagerly, and so are one that drops tables,
    /// shards without an image, and storages that cannot map.
    Mapped,
}

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
        // Everything below is bounded by a length that is real.
        if reader.length_bytes() != entry.length_bytes {
            return Err(Error::Format(FormatError::Corrupt {
                file: entry.file.clone(),
                offset: 0,
                what: "file length",
                expected: entry.length_bytes.to_string(),
                found: reader.length_bytes().to_string(),
            }));
        }
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

    pub(crate) fn page_count(&self) -> u32 {
        self.address.page_count
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

    /// Reads and verifies as many pages from `first` on as fit into `bytes`.
    ///
    /// # Errors
    /// A short file or a wrong checksum.
    pub(crate) fn read_pages(&self, first: u32, bytes: &mut [u8]) -> Result<(), Error> {
        let offset = u64::from(first) * PAGE_BYTES as u64;
        self.reader.read_exact_at(bytes, offset)?;
        for (page_id, page) in (first..).zip(bytes.as_chunks::<PAGE_BYTES>().0) {
            self.table.verify_page(page_id, page)?;
        }
        Ok(())
    }

    /// Reads all pages into a restore, in large reads to where they stay.
    fn read_into(&self, restore: &mut Restore, shard: usize) -> Result<(), Error> {
        const READ_PAGES: u32 = 256;
        let page_count = self.address.page_count;
        for first in (0..page_count).step_by(READ_PAGES as usize) {
            let pages = restore.pages_mut(first, READ_PAGES.min(page_count - first));
            let pages = pages.map_err(|source| self.refused(shard, source))?;
            self.read_pages(first, pages)?;
        }
        Ok(())
    }

    /// A restore over a map of the image, page 0 verified; `None` where it cannot be mapped.
    fn map_into(
        self,
        config: &StoreConfig,
        page_count: u32,
        shard: usize,
    ) -> Result<Result<(Restore, Unverified), Self>, Error> {
        if self.address.page_count == 0 {
            return Ok(Err(self));
        }
        self.read_page(0, &mut [0; PAGE_BYTES])?;
        let image_bytes = usize::try_from(self.address.table_offset()).unwrap_or(usize::MAX);
        let arena_bytes = Restore::arena_bytes(config);
        let arena_bytes = arena_bytes.map_err(|source| self.refused(shard, source))?;
        // What does not fit is refused by the eager way, with its reason.
        if image_bytes > arena_bytes {
            return Ok(Err(self));
        }
        let Some(memory) = self.reader.map_private(image_bytes, arena_bytes)? else {
            return Ok(Err(self));
        };
        let restore = Restore::over_image(config, page_count, memory, self.address.page_count);
        let (restore, pages) = restore.map_err(|source| self.refused(shard, source))?;
        Ok(Ok((restore, Unverified { image: self, pages })))
    }

    fn refused(&self, shard: usize, source: StateError) -> Error {
        tracing::debug!(file = self.file, "an image does not fit into its store");
        Error::State { shard, source }
    }
}

/// Hands the frames of pages of the shards that are `wanted` to `visit`, with their offsets in the
/// file. Of the others only the headers are read, and nobody vouches for them.
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
    let corrupt = |offset, what, expected: String, found: u64| {
        Error::Format(FormatError::Corrupt {
            file: segment.file.clone(),
            offset,
            what,
            expected,
            found: found.to_string(),
        })
    };
    // Everything below is bounded by a length that is real.
    let (announced, real) = (segment.length_bytes, reader.length_bytes());
    if real < announced {
        let expected = format!("at least {announced}");
        return Err(corrupt(0, "file length", expected, real));
    }
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
        let left = announced.saturating_sub(offset);
        if length as u64 > left {
            let expected = format!("at most {left}");
            return Err(corrupt(
                offset,
                "length of a frame",
                expected,
                length as u64,
            ));
        }
        if !wanted(frame_shard(&header)) {
            offset += length as u64;
            continue;
        }
        bytes.resize(length, 0);
        reader.read_exact_at(&mut bytes, offset)?;
        if is_in_flight(&header) {
            read_in_flight(&bytes, &expected)?;
        } else {
            visit(offset, &read_frame(&bytes, &expected)?.0)?;
        }
        offset += length as u64;
    }
    if offset == announced {
        return Ok(());
    }
    let what = "end of the last frame";
    Err(corrupt(offset, what, announced.to_string(), offset))
}

/// Reads the records that were in flight at a checkpoint.
///
/// # Errors
/// Missing, short or damaged files.
pub(crate) fn restore_in_flight(
    storage: &dyn Storage,
    manifest: &Manifest,
) -> Result<RestoredInFlight, Error> {
    let mut in_flight = RestoredInFlight::new(manifest.shards.len());
    let Some(segment) = (manifest.segments.last()).filter(|_| !manifest.in_flight.is_empty())
    else {
        return Ok(in_flight);
    };
    let reader = storage.open(&segment.file)?;
    let mut bytes = Vec::new();
    for entry in &manifest.in_flight {
        let expected = FrameExpectation {
            file: &segment.file,
            file_id: segment.file_id,
            epoch: segment.epoch,
            frame_index: entry.frame_index,
            offset_in_file: entry.offset,
        };
        bytes.resize(entry.length_bytes as usize, 0);
        reader.read_exact_at(&mut bytes, entry.offset)?;
        let (frame, _) = read_in_flight(&bytes, &expected)?;
        for piece in frame.pieces() {
            in_flight.add(frame.shard(), &piece);
        }
    }
    Ok(in_flight)
}

/// A restore with its base in it.
pub(crate) struct Based {
    pub(crate) restore: Restore,
    /// Epoch of the base, 0 without one.
    pub(crate) base_epoch: u64,
    /// The base, where it was mapped.
    unverified: Option<Unverified>,
}

/// Refuses a shard of more pages than its files can hold, before memory is taken for them.
fn check_page_count(manifest: &Manifest, shard: usize) -> Result<(), Error> {
    let (most, found) = (
        manifest.page_count_max(shard),
        manifest.shards[shard].page_count,
    );
    if u64::from(found) <= most {
        return Ok(());
    }
    Err(Error::Format(FormatError::Corrupt {
        file: names::manifest(manifest.checkpoint),
        offset: HEADER_BYTES as u64,
        what: "page count of a shard",
        expected: format!("at most {most}, as its image and chain can hold"),
        found: found.to_string(),
    }))
}

/// Begins the restore of a shard with its base.
///
/// # Errors
/// Missing, short or damaged files, or state that does not fit.
pub(crate) fn restore_image(
    storage: &dyn Storage,
    manifest: &Manifest,
    config: &StoreConfig,
    shard: usize,
    mode: RestoreMode,
) -> Result<Based, Error> {
    check_page_count(manifest, shard)?;
    let entry = &manifest.shards[shard];
    let new = || {
        let new = Restore::new(config, entry.page_count);
        new.map_err(|source| Error::State { shard, source })
    };
    let Some(image) = &entry.image else {
        return Ok(Based {
            restore: new()?,
            base_epoch: 0,
            unverified: None,
        });
    };
    let base_epoch = image.epoch;
    let number = u16::try_from(shard).expect("shards are at most 65535");
    let mut image = VerifiedImage::open(storage, image, number)?;
    if mode == RestoreMode::Mapped {
        match image.map_into(config, entry.page_count, shard)? {
            Ok((restore, unverified)) => {
                return Ok(Based {
                    restore,
                    base_epoch,
                    unverified: Some(unverified),
                });
            }
            Err(not_mapped) => image = not_mapped,
        }
    }
    let mut restore = new()?;
    image.read_into(&mut restore, shard)?;
    Ok(Based {
        restore,
        base_epoch,
        unverified: None,
    })
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

/// The stores of a checkpoint, and what of them is still to be verified.
pub(crate) struct RestoredShards {
    pub(crate) stores: Vec<Store>,
    pub(crate) unverified: Vec<Unverified>,
    pub(crate) in_flight: RestoredInFlight,
}

/// Restores all shards of a checkpoint.
///
/// # Errors
/// Missing, short or damaged files, or state that does not fit.
pub(crate) fn restore_shards(
    storage: &dyn Storage,
    manifest: &Manifest,
    configs: &[StoreConfig],
    mode: RestoreMode,
) -> Result<RestoredShards, Error> {
    let mut shards = Vec::with_capacity(configs.len());
    for (shard, config) in configs.iter().enumerate() {
        shards.push(restore_image(storage, manifest, config, shard, mode)?);
    }
    for segment in &manifest.segments {
        read_segment(
            storage,
            segment,
            |_| true,
            |offset, frame| {
                let shard = usize::from(frame.shard());
                let Some(based) = shards.get_mut(shard) else {
                    return Err(no_such_shard(segment, offset, configs.len(), shard));
                };
                if segment.epoch > based.base_epoch {
                    for delta in frame.pages() {
                        let applied = based.restore.apply(&delta);
                        applied.map_err(|source| Error::State { shard, source })?;
                    }
                }
                Ok(())
            },
        )?;
    }
    let mut restored = RestoredShards {
        stores: Vec::with_capacity(shards.len()),
        unverified: Vec::new(),
        in_flight: restore_in_flight(storage, manifest)?,
    };
    for (shard, based) in shards.into_iter().enumerate() {
        let store = based.restore.finish();
        let store = store.map_err(|source| Error::State { shard, source })?;
        restored.stores.push(store);
        restored.unverified.extend(based.unverified);
    }
    Ok(restored)
}
