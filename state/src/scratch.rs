//! Where a value of unknown archive length is archived before it gets its place.

use std::mem::MaybeUninit;

use rkyv::rancor::BoxedError;

use crate::error::StateError;
use crate::mapped::Mapped;
use crate::page::{PAGE_BYTES, Page};
use crate::runs::RUN_BYTES_MAX;
use crate::value::{self, Value};

/// Bytes for resolvers at first; many times as much each time that was too little.
const WORKSPACE_BYTES_MIN: usize = 1 << 10;
const WORKSPACE_FACTOR: usize = 16;
/// Resolvers of any value within the limit need less than this, which is kept.
const WORKSPACE_BYTES_KEPT: usize = 4 << 20;
/// Resolvers of a value beyond the limit, so that its length can be told.
const WORKSPACE_BYTES_MAX: usize = 64 << 20;

/// A buffer for the longest value, of which only what was ever used takes memory: it grows with the
/// longest value seen and then stays, so that the record path does not allocate.
pub(crate) struct Scratch {
    pages: Mapped<Page>,
    workspace: Vec<MaybeUninit<u8>>,
}

impl Scratch {
    pub(crate) fn new() -> Result<Self, StateError> {
        let pages = Mapped::reserve(RUN_BYTES_MAX / PAGE_BYTES, true)?;
        pages.populate_handle().run(0, 1);
        Ok(Self {
            pages,
            workspace: vec![MaybeUninit::uninit(); WORKSPACE_BYTES_MIN],
        })
    }

    /// Archives a value and gives the archive's length, which may be more than is kept.
    pub(crate) fn archive<V: Value>(&mut self, value: &V) -> Result<usize, BoxedError> {
        let archived = loop {
            let slot = self.pages.bytes_mut(0, RUN_BYTES_MAX);
            let archived = value::archive(value, slot, &mut self.workspace);
            let grown = self.workspace.len() * WORKSPACE_FACTOR;
            if archived.is_ok() || grown > WORKSPACE_BYTES_MAX {
                break archived;
            }
            // rkyv does not say whether it was the workspace that failed.
            self.workspace.resize(grown, MaybeUninit::uninit());
        };
        if self.workspace.len() > WORKSPACE_BYTES_KEPT {
            self.workspace.truncate(WORKSPACE_BYTES_MIN);
            self.workspace.shrink_to_fit();
        }
        archived
    }

    /// The first bytes of what was archived last; all of them if it was longer than any value may
    /// be.
    pub(crate) fn bytes(&self, length: usize) -> &[u8] {
        self.pages.bytes(0, length.min(RUN_BYTES_MAX))
    }
}
