//! Which files exist for what: the chain as it is durable, the manifests that are kept, and what
//! may go.
//!
//! A file is removed only when no kept manifest, no running fold and no chain names it. The
//! manifest goes before the files that it names, with a directory sync between, so that a crash
//! never leaves a manifest without its files.

use std::collections::{BTreeSet, VecDeque};

use frazil_io::IoError;
use frazil_io::storage::Storage;
use frazil_state::format::{ImageEntry, Manifest, SegmentEntry};

use super::names;

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
    pinned: Vec<String>,
    /// Files of checkpoints whose publishing ended undecided, until a later one is durable.
    undecided: Vec<String>,
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
            pinned: Vec::new(),
            undecided: Vec::new(),
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
        self.pinned.is_empty() && chain > self.fold_chain_bytes_min.max(base / 2)
    }

    /// Keeps the files that a fold to `epoch` reads and those that it writes.
    pub(crate) fn pin(&mut self, epoch: u64) {
        let images = self.images.iter().flatten().map(|image| image.file.clone());
        let segments = self.segments.iter().map(|segment| segment.file.clone());
        let shard_count = u16::try_from(self.images.len()).expect("shards are at most 65535");
        let written = (0..shard_count).map(|shard| names::image(epoch, shard));
        self.pinned = images.chain(segments).chain(written).collect();
    }

    /// The fold has ended; with new bases, older segments are needed no more.
    pub(crate) fn unpin(&mut self, images: Option<Vec<ImageEntry>>) {
        self.pinned.clear();
        if let Some(images) = images {
            let oldest = images.iter().map(|image| image.epoch).min();
            self.images = images.into_iter().map(Some).collect();
            let oldest = oldest.unwrap_or(0);
            self.segments.retain(|segment| segment.epoch > oldest);
        }
    }

    /// Removes manifests beyond those to keep, then every file that nothing needs.
    ///
    /// # Errors
    /// The storage's; what is left is removed next time.
    pub(crate) fn retire(&mut self, storage: &dyn Storage) -> Result<(), IoError> {
        let mut retired = false;
        while self.kept.len() > self.keep {
            if let Some(oldest) = self.kept.front() {
                storage.remove(&names::manifest(oldest.checkpoint))?;
            }
            self.kept.pop_front();
            retired = true;
        }
        if retired {
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
        for name in storage.list()? {
            if names::is_ours(&name) && !needed.contains(name.as_str()) {
                storage.remove(&name)?;
            }
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
            .chain(self.pinned.iter().cloned())
            .chain(self.undecided.iter().cloned())
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
