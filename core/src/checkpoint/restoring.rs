//! The `restoring` phase: after a mapped restore a thread verifies the base images while the job
//! already runs.
//!
//! It reads the files, not the maps: these change with every record. What it has verified it backs
//! with memory of its own, so that records stop faulting. Until it is done the coordinator requests
//! no checkpoint, so nothing new is published and no sink commits; what is damaged can still be
//! left behind. Then it notes the checkpoint as damaged, and the job fails: the next start verifies
//! this checkpoint before it uses it, and falls back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use frazil_io::storage::Storage;
use frazil_state::{ImagePages, PAGE_BYTES};

use super::coordinator::Notice;
use super::names;
use super::restore::VerifiedImage;
use crate::error::Error;
use crate::statistics::{CheckpointStatistics, nanos};

/// Pages that are read and populated together: 1 MiB.
const BLOCK_PAGES: u32 = 256;

/// A shard's image under its store, not verified but for page 0.
pub(crate) struct Unverified {
    pub(crate) image: VerifiedImage,
    pub(crate) pages: ImagePages,
}

/// How far the verification of a mapped state has come; clones show the same.
#[derive(Clone, Debug)]
pub struct Restoring {
    progress: Arc<Progress>,
}

#[derive(Debug)]
struct Progress {
    begun: Instant,
    total_bytes: u64,
    verified_bytes: AtomicU64,
    /// 0 until the phase has ended.
    ended_ns: AtomicU64,
}

impl Restoring {
    fn new(unverified: &[Unverified]) -> Self {
        let pages = unverified.iter().map(|of| u64::from(of.image.page_count()));
        Self {
            progress: Arc::new(Progress {
                begun: Instant::now(),
                total_bytes: pages.sum::<u64>() * PAGE_BYTES as u64,
                verified_bytes: AtomicU64::new(0),
                ended_ns: AtomicU64::new(0),
            }),
        }
    }

    /// Bytes of state that were mapped.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.progress.total_bytes
    }

    /// Bytes verified and backed with memory so far.
    #[must_use]
    pub fn verified_bytes(&self) -> u64 {
        // Relaxed: a number to look at.
        self.progress.verified_bytes.load(Ordering::Relaxed)
    }

    /// From the restore until all bytes were verified; `None` before that.
    #[must_use]
    pub fn ended_after(&self) -> Option<Duration> {
        // Relaxed: as above.
        let ended_ns = self.progress.ended_ns.load(Ordering::Relaxed);
        (ended_ns > 0).then(|| Duration::from_nanos(ended_ns))
    }
}

/// What the verifying thread does.
pub(crate) struct RestoringJob {
    storage: Arc<dyn Storage>,
    checkpoint: u64,
    unverified: Vec<Unverified>,
    restoring: Restoring,
}

impl RestoringJob {
    /// The phase that a mapped restore of `checkpoint` begins; `None` if nothing was mapped.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        checkpoint: u64,
        unverified: Vec<Unverified>,
    ) -> Option<Self> {
        (!unverified.is_empty()).then(|| Self {
            storage,
            checkpoint,
            restoring: Restoring::new(&unverified),
            unverified,
        })
    }

    pub(crate) fn progress(&self) -> Restoring {
        self.restoring.clone()
    }

    /// Verifies and populates everything, and says so.
    ///
    /// # Errors
    /// [`Error::DamagedRestore`] with the first damage, or why the files could not be read.
    pub(crate) fn run(
        self,
        notices: &Sender<Notice>,
        statistics: &Mutex<CheckpointStatistics>,
    ) -> Result<(), Error> {
        // A storage is user code.
        let verified = catch_unwind(AssertUnwindSafe(|| self.verify()));
        let verified =
            verified.unwrap_or_else(|payload| Err(Error::panicked("restorer", &*payload)));
        let verified = verified.map_err(|source| self.note_damage(source));
        if verified.is_ok() {
            let ended_ns = nanos(self.restoring.progress.begun.elapsed()).max(1);
            // Relaxed: as in `Restoring`.
            let progress = &self.restoring.progress;
            progress.ended_ns.store(ended_ns, Ordering::Relaxed);
            let bytes = self.restoring.verified_bytes();
            tracing::info!(
                checkpoint = self.checkpoint,
                bytes,
                duration_ns = ended_ns,
                "verified"
            );
            if let Ok(mut statistics) = statistics.lock() {
                statistics.restoring_ns = ended_ns;
                statistics.restored_bytes = self.restoring.verified_bytes();
            }
        }
        let whole = verified.is_ok();
        // Without a coordinator the job is over.
        let _ = notices.send(Notice::Verified { whole });
        verified
    }

    fn verify(&self) -> Result<(), Error> {
        let mut block = vec![0; BLOCK_PAGES as usize * PAGE_BYTES];
        for Unverified { image, pages } in &self.unverified {
            for first in (0..image.page_count()).step_by(BLOCK_PAGES as usize) {
                let count = BLOCK_PAGES.min(image.page_count() - first);
                let block = &mut block[..count as usize * PAGE_BYTES];
                image.read_pages(first, block)?;
                pages.populate(first, count);
                // Relaxed: as in `Restoring`.
                let verified = &self.restoring.progress.verified_bytes;
                verified.fetch_add(block.len() as u64, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn note_damage(&self, source: Error) -> Error {
        let name = names::damaged(self.checkpoint);
        if let Err(error) = self.storage.publish(&name, source.to_string().as_bytes()) {
            tracing::warn!(%error, "the next start will find the same damage again");
        }
        Error::DamagedRestore {
            checkpoint: self.checkpoint,
            source: Box::new(source),
        }
    }
}
