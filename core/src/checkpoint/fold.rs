//! Folding: base image and chain of every shard become a new image, on a thread of its own.
//!
//! The fold reads immutable files and writes new ones; nothing refers to them before a later
//! manifest does. A crash leaves files that the next start sweeps away. Memory: 24 bytes for every
//! page entry of the chain, of one shard at a time.

use std::sync::Arc;
use std::time::Instant;

use frazil_io::storage::{ReadAt, Storage};
use frazil_state::PAGE_BYTES;
use frazil_state::format::{
    ChainIndex, FoldPlan, ImageAddress, ImageEntry, ImageWriter, SegmentEntry,
};

use super::budget::WriteBudget;
use super::names;
use super::restore::{VerifiedImage, read_segment};
use crate::error::Error;
use crate::statistics::nanos;

/// Pages that are read from the base, merged and appended to the image together: 1 MiB.
const BLOCK_PAGES: u32 = 256;

/// What to fold: all shards at one epoch.
pub(crate) struct FoldJob {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) budget: Arc<WriteBudget>,
    /// Where the new images go: the same storage, or a savepoint's.
    pub(crate) destination: Arc<dyn Storage>,
    /// Epoch of the last segment.
    pub(crate) epoch: u64,
    /// Per shard: base and page count at that epoch.
    pub(crate) shards: Vec<(Option<ImageEntry>, u32)>,
    pub(crate) segments: Vec<SegmentEntry>,
}

impl FoldJob {
    /// Writes and syncs the new images.
    ///
    /// # Errors
    /// Damage in the files read, a failed write, or the end of the job; files already written are
    /// removed as far as that is possible.
    pub(crate) fn run(&self) -> Result<Vec<ImageEntry>, Error> {
        let checkpoint = self.epoch;
        let _span = tracing::debug_span!("fold", checkpoint).entered();
        let mut images = Vec::new();
        for index in 0..self.shards.len() {
            let shard = u16::try_from(index).expect("shards are at most 65535");
            let begun = Instant::now();
            match self.fold_shard(shard) {
                Ok(image) => {
                    let bytes = image.length_bytes;
                    let duration_ns = nanos(begun.elapsed());
                    tracing::debug!(checkpoint, shard, bytes, duration_ns, "folded");
                    images.push(image);
                }
                Err(error) => {
                    for done in 0..=shard {
                        // The next sweep tries again.
                        let _ = self.destination.remove(&names::image(self.epoch, done));
                    }
                    return Err(error);
                }
            }
        }
        self.destination.sync_directory()?;
        Ok(images)
    }

    fn fold_shard(&self, shard: u16) -> Result<ImageEntry, Error> {
        let (base, page_count) = &self.shards[usize::from(shard)];
        let address = ImageAddress {
            file_id: names::image_id(self.epoch, shard),
            epoch: self.epoch,
            shard,
            page_count: *page_count,
        };
        let base = match base {
            Some(entry) => Some(VerifiedImage::open(&*self.storage, entry, shard)?),
            None => None,
        };
        let segments = self.segments_after(base.as_ref());
        let plan = self.index(shard, &segments)?;
        let readers: Vec<Box<dyn ReadAt>> = segments
            .iter()
            .map(|segment| self.storage.open(&segment.file))
            .collect::<Result<_, _>>()?;
        self.write_image(address, base.as_ref(), &plan, &readers)?;
        Ok(ImageEntry {
            file: names::image(self.epoch, shard),
            file_id: address.file_id,
            epoch: self.epoch,
            page_count: *page_count,
            length_bytes: address.length_bytes(),
        })
    }

    fn segments_after(&self, base: Option<&VerifiedImage>) -> Vec<&SegmentEntry> {
        let base_epoch = base.map_or(0, VerifiedImage::epoch);
        self.segments
            .iter()
            .filter(|segment| segment.epoch > base_epoch)
            .collect()
    }

    fn index(&self, shard: u16, segments: &[&SegmentEntry]) -> Result<FoldPlan, Error> {
        let files = segments.iter().map(|segment| segment.file.clone());
        let mut index = ChainIndex::new(shard, files.collect());
        for (number, segment) in segments.iter().enumerate() {
            let number = u32::try_from(number).expect("bounded by ChainIndex::new");
            let wanted = |found| found == shard;
            read_segment(&*self.storage, segment, wanted, |offset, frame| {
                index.add_frame(number, offset, frame);
                Ok(())
            })?;
        }
        Ok(index.finish())
    }

    fn write_image(
        &self,
        address: ImageAddress,
        base: Option<&VerifiedImage>,
        plan: &FoldPlan,
        readers: &[Box<dyn ReadAt>],
    ) -> Result<(), Error> {
        let name = names::image(self.epoch, address.shard);
        let mut file = self.destination.create(&name, address.length_bytes())?;
        let mut image = ImageWriter::new(address);
        let mut block = Vec::with_capacity(BLOCK_PAGES as usize * PAGE_BYTES);
        for first in (0..address.page_count).step_by(BLOCK_PAGES as usize) {
            let page_count = BLOCK_PAGES.min(address.page_count - first);
            block.clear();
            block.resize(page_count as usize * PAGE_BYTES, 0);
            if let Some(base) = base {
                let based = base.page_count().saturating_sub(first).min(page_count);
                base.read_pages(first, &mut block[..based as usize * PAGE_BYTES])?;
            }
            for (page_id, page) in (first..).zip(block.as_chunks_mut::<PAGE_BYTES>().0) {
                plan.merge_page::<Error>(page_id, page, &mut |segment, offset, lines| {
                    Ok(readers[segment as usize].read_exact_at(lines, offset)?)
                })?;
                image.push_page(page);
            }
            self.budget.append_fold(&mut *file, &block)?;
        }
        self.budget.append_fold(&mut *file, &image.finish())?;
        Ok(file.sync()?)
    }
}
