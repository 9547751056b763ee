//! Which files exist for what: the chain as it is durable, the manifests that are kept, and what
//! may go.
//!
//! A file is removed only when no kept manifest, no running fold and no chain names it. The
//! manifest goes before the files that it names, with a directory sync between, so that a crash
//! never leaves a manifest without its files.
//!
//! Kept are the newest manifests, as many as the user chose, those that the user pinned, and those
//! that a savepoint is being written from. A pin is a file of its own beside the manifest, so it
//! outlives the process; it is taken away with the manifest or by the user.

use std::collections::{BTreeSet, VecDeque};

use frazil_io::IoError;
use frazil_io::storage::Storage;
use frazil_state::format::{ImageEntry, Manifest, SegmentEntry};

use super::names;
use crate::error::Error;

/// What a pin says to whoever looks into it.
const PIN_TEXT: &[u8] = b"kept until JobHandle::unpin\n";

/// One kept manifest and the files that it names.
struct Kept {
    checkpoint: u64,
    files: Vec<String>,
}

/// The checkpoint directory as the writer knows it.
pub(crate) struct Ledger {
    keep: usize,
    /// The chain is folded when it is longer than this, and longer than half of its base.
    fold_chain_bytes_min: u64,
    kept: VecDeque<Kept>,
    /// Base of every shard, as of the newest durable checkpoint or a fold since.
    images: Vec<Option<ImageEntry>>,
    /// Segments that the bases need, oldest first.
    segments: Vec<SegmentEntry>,
    /// Files that a running fold reads or writes.
    folding: Vec<String>,
    /// Files of checkpoints whose publishing ended undecided, until a later one is durable.
    undecided: Vec<String>,
    /// Checkpoints that the user keeps.
    pinned: BTreeSet<u64>,
    /// Names of notes without which a kept manifest would count again.
    notes: Vec<String>,
    /// Checkpoints that savepoints are being written from, each once for every savepoint.
    held: Vec<u64>,
}

impl Ledger {
    /// An empty directory.
    pub(crate) fn new(shard_count: usize, keep: usize) -> Self {
        Self {
            keep,
            fold_chain_bytes_min: u64::MAX,
            kept: VecDeque::new(),
            images: vec![None; shard_count],
            segments: Vec::new(),
            folding: Vec::new(),
            undecided: Vec::new(),
            pinned: BTreeSet::new(),
            notes: Vec::new(),
            held: Vec::new(),
        }
    }

    /// The directory as recovery found it: `restored` and older manifests that decoded, oldest
    /// first.
    pub(crate) fn recovered(manifests: &[Manifest], restored: &Manifest, keep: usize) -> Self {
        Self {
            images: restored.shards.iter().map(|s| s.image.clone()).collect(),
            segments: restored.segments.clone(),
            ..Self::without_base(manifests, restored.shards.len(), keep)
        }
    }

    /// A directory whose checkpoints are of no use to the next one, which will hold everything:
    /// `manifests`, oldest first, stay until they are retired.
    pub(crate) fn without_base(manifests: &[Manifest], shard_count: usize, keep: usize) -> Self {
        let kept = manifests.iter().map(|manifest| Kept {
            checkpoint: manifest.checkpoint,
            files: files_of(manifest),
        });
        Self {
            kept: kept.collect(),
            ..Self::new(shard_count, keep)
        }
    }

    /// With the pins among the names in the directory, and with the notes about abandoned
    /// checkpoints as far as they are kept; one without its manifest is no pin.
    pub(crate) fn with_notes(mut self, names: &[String]) -> Self {
        let pins = names.iter().filter_map(|name| names::pinned_by(name));
        self.pinned = pins.filter(|pin| self.keeps(*pin)).collect();
        let is_needed = |name: &&String| {
            let range = names::abandoned_by(name);
            range.is_some_and(|range| self.kept.iter().any(|k| range.contains(&k.checkpoint)))
        };
        self.notes = names.iter().filter(is_needed).cloned().collect();
        self
    }

    /// From which length on a chain is folded; a new ledger never folds.
    pub(crate) fn fold_from(&mut self, chain_bytes_min: u64) {
        self.fold_chain_bytes_min = chain_bytes_min;
    }

    pub(crate) fn images(&self) -> &[Option<ImageEntry>] {
        &self.images
    }

    pub(crate) fn segments(&self) -> &[SegmentEntry] {
        &self.segments
    }

    /// A checkpoint became durable.
    pub(crate) fn durable(&mut self, manifest: &Manifest) {
        self.segments.clone_from(&manifest.segments);
        self.undecided.clear();
        self.kept.push_back(Kept {
            checkpoint: manifest.checkpoint,
            files: files_of(manifest),
        });
    }

    /// A publish ended undecided: its files stay until a later checkpoint is durable.
    pub(crate) fn undecided(&mut self, manifest: &Manifest) {
        self.undecided.extend(files_of(manifest));
    }

    /// True if the chain has outgrown its bases and no fold is running.
    pub(crate) fn wants_fold(&self) -> bool {
        let chain: u64 = self.segments.iter().map(|s| s.length_bytes).sum();
        let base: u64 = self.images.iter().flatten().map(|i| i.length_bytes).sum();
        self.folding.is_empty() && chain > self.fold_chain_bytes_min.max(base / 2)
    }

    /// Keeps the files that a fold to `epoch` reads and those that it writes.
    pub(crate) fn begin_fold(&mut self, epoch: u64) {
        let images = self.images.iter().flatten().map(|image| image.file.clone());
        let segments = self.segments.iter().map(|segment| segment.file.clone());
        let shard_count = u16::try_from(self.images.len()).expect("shards are at most 65535");
        let written = (0..shard_count).map(|shard| names::image(epoch, shard));
        self.folding = images.chain(segments).chain(written).collect();
    }

    /// The fold has ended; with new bases, older segments are needed no more.
    pub(crate) fn end_fold(&mut self, images: Option<Vec<ImageEntry>>) {
        self.folding.clear();
        if let Some(images) = images {
            let oldest = images.iter().map(|image| image.epoch).min();
            self.images = images.into_iter().map(Some).collect();
            let oldest = oldest.unwrap_or(0);
            self.segments.retain(|segment| segment.epoch > oldest);
        }
    }

    fn keeps(&self, checkpoint: u64) -> bool {
        self.kept.iter().any(|kept| kept.checkpoint == checkpoint)
    }

    /// Keeps a checkpoint until it is unpinned, whatever comes after it, also in later processes.
    ///
    /// # Errors
    /// [`Error::UnknownCheckpoint`], and the storage's: then it may or may not be pinned.
    pub(crate) fn pin(&mut self, storage: &dyn Storage, checkpoint: u64) -> Result<(), Error> {
        if !self.keeps(checkpoint) {
            return Err(Error::UnknownCheckpoint {
                checkpoint,
                kept: self.kept.iter().map(|kept| kept.checkpoint).collect(),
            });
        }
        storage.publish(&names::pin(checkpoint), PIN_TEXT)?;
        self.pinned.insert(checkpoint);
        Ok(())
    }

    /// Leaves a checkpoint to retention again; one that is not pinned already is.
    ///
    /// # Errors
    /// The storage's: then it may or may not be pinned.
    pub(crate) fn unpin(&mut self, storage: &dyn Storage, checkpoint: u64) -> Result<(), Error> {
        storage.remove(&names::pin(checkpoint))?;
        storage.sync_directory()?;
        self.pinned.remove(&checkpoint);
        Ok(self.retire(storage)?)
    }

    /// Keeps the newest checkpoint until it is released; none before the first is durable.
    pub(crate) fn hold_newest(&mut self) -> Option<u64> {
        let newest = self.kept.back()?.checkpoint;
        self.held.push(newest);
        Some(newest)
    }

    /// Ends one hold.
    pub(crate) fn release(&mut self, checkpoint: u64) {
        if let Some(place) = self.held.iter().position(|held| *held == checkpoint) {
            self.held.swap_remove(place);
        }
    }

    /// Removes manifests beyond those to keep, then every file that nothing needs.
    ///
    /// # Errors
    /// The storage's; what is left is removed next time.
    pub(crate) fn retire(&mut self, storage: &dyn Storage) -> Result<(), IoError> {
        let older = self.kept.len().saturating_sub(self.keep);
        let surplus = self.kept.iter().take(older).map(|kept| kept.checkpoint);
        let surplus: Vec<u64> = surplus
            .filter(|old| !self.pinned.contains(old) && !self.held.contains(old))
            .collect();
        for checkpoint in &surplus {
            storage.remove(&names::manifest(*checkpoint))?;
            self.kept.retain(|kept| kept.checkpoint != *checkpoint);
        }
        if !surplus.is_empty() {
            storage.sync_directory()?;
            self.sweep(storage)?;
        }
        Ok(())
    }

    /// Removes files of the engine that nothing needs; other files in the directory are not
    /// touched.
    ///
    /// # Errors
    /// The storage's.
    pub(crate) fn sweep(&self, storage: &dyn Storage) -> Result<(), IoError> {
        let needed = self.needed();
        let mut unneeded = storage.list()?;
        unneeded.retain(|name| names::is_ours(name) && !needed.contains(name));
        // Left by a publish that ended undecided, or newer than what recovery restored.
        let (manifests, files): (Vec<_>, Vec<_>) = unneeded
            .into_iter()
            .partition(|name| names::checkpoint_of(name).is_some());
        for name in &manifests {
            storage.remove(name)?;
        }
        if !manifests.is_empty() {
            storage.sync_directory()?;
        }
        for name in &files {
            storage.remove(name)?;
        }
        Ok(())
    }

    fn needed(&self) -> BTreeSet<String> {
        let kept = self.kept.iter().flat_map(|kept| {
            let manifest = names::manifest(kept.checkpoint);
            kept.files.iter().cloned().chain([manifest])
        });
        let images = self.images.iter().flatten().map(|image| image.file.clone());
        let segments = self.segments.iter().map(|segment| segment.file.clone());
        kept.chain(images)
            .chain(segments)
            .chain(self.folding.iter().cloned())
            .chain(self.pinned.iter().map(|pinned| names::pin(*pinned)))
            .chain(self.undecided.iter().cloned())
            .chain(self.notes.iter().cloned())
            .collect()
    }
}

/// Images and segments that a manifest names, and the manifest itself.
fn files_of(manifest: &Manifest) -> Vec<String> {
    let images = manifest
        .shards
        .iter()
        .filter_map(|shard| shard.image.as_ref());
    images
        .map(|image| image.file.clone())
        .chain(manifest.segments.iter().map(|segment| segment.file.clone()))
        .chain([names::manifest(manifest.checkpoint)])
        .collect()
}
