//! Where prefetching found a key's bucket, so that the access that follows need not walk the
//! directory again.
//!
//! A direct-mapped cache of (hash, bucket), valid as long as no directory of the arena changed:
//! every change raises the arena's directory version, and a hint of another version is ignored. A
//! hint is never needed for correctness.

use std::cell::Cell;

use crate::hash::KeyHash;
use crate::page::PageId;

/// 4 KiB: twice the keys that a stage prefetches ahead, so that few hints are displaced before use.
const HINTS: usize = 1 << 8;

#[derive(Clone, Copy)]
struct Hint {
    hash: KeyHash,
    bucket: PageId,
    version: u32,
}

/// The hints of one table.
pub(crate) struct Hints(Box<[Cell<Hint>]>);

impl Hints {
    /// No hints: arenas start with version 1.
    pub(crate) fn new() -> Self {
        let none = Hint {
            hash: KeyHash(0),
            bucket: PageId::SUPERBLOCK,
            version: 0,
        };
        Self(vec![Cell::new(none); HINTS].into_boxed_slice())
    }

    #[inline]
    fn cell(&self, hash: KeyHash) -> &Cell<Hint> {
        // Any bits do that differ within a batch.
        &self.0[usize::from(hash.0.to_le_bytes()[0])]
    }

    #[inline]
    pub(crate) fn note(&self, hash: KeyHash, bucket: PageId, version: u32) {
        self.cell(hash).set(Hint {
            hash,
            bucket,
            version,
        });
    }

    #[inline]
    pub(crate) fn bucket(&self, hash: KeyHash, version: u32) -> Option<PageId> {
        let hint = self.cell(hash).get();
        (hint.hash == hash && hint.version == version).then_some(hint.bucket)
    }
}

impl std::fmt::Debug for Hints {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Hints")
    }
}
