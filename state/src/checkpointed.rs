//! A store under test whose snapshots become a chain of frames, each checked and restored.
//!
//! The story: whatever is written while a snapshot is captured, the frames of the snapshot hold the
//! state at its freeze, neither older nor newer; and whatever was aborted is in the next snapshot.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::format::{Frame, FrameAddress, FrameExpectation, read_frame};
use crate::{
    CaptureStatus, KeyGroups, PAGE_BYTES, Restore, StagingSize, Store, StoreConfig, Switches,
};

/// What a test does to snapshots between its operations.
#[derive(Clone, Debug)]
pub(crate) enum SnapshotStep {
    Freeze,
    Capture(u16),
    Durable,
    Abort,
    Merge(u8),
}

pub(crate) fn snapshot_step() -> impl Strategy<Value = SnapshotStep> {
    prop_oneof![
        3 => Just(SnapshotStep::Freeze),
        6 => (0..20_000u16).prop_map(SnapshotStep::Capture),
        3 => Just(SnapshotStep::Durable),
        1 => Just(SnapshotStep::Abort),
        2 => (1..50u8).prop_map(SnapshotStep::Merge),
    ]
}

/// A store and the chain of its durable frames; `M` is the test's model of its content.
pub(crate) struct Checkpointed<M> {
    config: StoreConfig,
    pub(crate) store: Store,
    /// Page count and model at the freeze in flight, and its frames so far.
    frozen: Option<(u32, M)>,
    frames: Vec<Vec<u8>>,
    chain: Vec<Vec<Vec<u8>>>,
    bytes: ExactBytes,
}

/// Full copies of all pages: at the last durable checkpoint and at the freeze in flight.
#[derive(Default)]
struct ExactBytes {
    durable: Vec<[u8; PAGE_BYTES]>,
    frozen: Vec<[u8; PAGE_BYTES]>,
}

fn copy_pages(store: &Store) -> Vec<[u8; PAGE_BYTES]> {
    (0..store.page_count() as usize)
        .map(|index| store.arena().pages[index].0)
        .collect()
}

impl<M: Clone> Checkpointed<M> {
    pub(crate) fn new(groups: u32, staging: StagingSize) -> Self {
        Self::with_switches(groups, staging, Switches::default())
    }

    pub(crate) fn with_switches(groups: u32, staging: StagingSize, switches: Switches) -> Self {
        let config = StoreConfig {
            key_groups: KeyGroups::new(groups),
            budget_bytes: 64 << 20,
            staging,
            switches,
            ..StoreConfig::default()
        };
        Self {
            config,
            store: Store::new(&config).expect("64 MiB can be reserved"),
            frozen: None,
            frames: Vec::new(),
            chain: Vec::new(),
            bytes: ExactBytes::default(),
        }
    }

    /// Does a step; `check` sees a store restored from the chain and the model at its freeze.
    pub(crate) fn apply(
        &mut self,
        step: &SnapshotStep,
        model: &M,
        check: impl FnOnce(&mut Store, &M),
    ) {
        match *step {
            SnapshotStep::Freeze => self.freeze(model),
            SnapshotStep::Capture(bytes) => self.capture(usize::from(bytes)),
            SnapshotStep::Durable => self.durable(check),
            SnapshotStep::Abort => {
                self.store.abort_snapshot();
                self.dropped();
            }
            SnapshotStep::Merge(pages) => {
                self.capture(0);
                self.store.merge(usize::from(pages));
            }
        }
        self.check_dirty_bytes();
    }

    /// What counts up line by line is what the masks say.
    fn check_dirty_bytes(&self) {
        let arena = self.store.arena();
        let list = &arena.dirty[arena.live];
        let ids = (0..list.count).map(|index| list.ids[index] as usize);
        let lines = ids.map(|id| arena.metas[id].masks[arena.live].count_ones());
        let bytes = lines.map(u64::from).sum::<u64>() * 64;
        assert_eq!(self.store.dirty_bytes(), bytes);
    }

    /// Ends what is in flight, then makes one more snapshot durable.
    pub(crate) fn finish(&mut self, model: &M, mut check: impl FnMut(&mut Store, &M)) {
        while !self.store.is_idle() {
            self.durable(&mut check);
            self.store.merge(1000);
        }
        self.freeze(model);
        self.durable(check);
    }

    fn freeze(&mut self, model: &M) {
        if !self.store.is_idle() {
            return;
        }
        self.bytes.frozen = copy_pages(&self.store);
        self.store.freeze();
        self.frozen = Some((self.store.page_count(), model.clone()));
    }

    fn capture(&mut self, bytes: usize) {
        if self.store.capture(bytes) == CaptureStatus::Declined {
            self.dropped();
        }
        self.collect();
    }

    fn dropped(&mut self) {
        self.frozen = None;
        self.frames.clear();
    }

    /// What the checkpoint writer does with full chunks.
    fn collect(&mut self) {
        while let Some(mut chunk) = self.store.take_chunk() {
            let address = FrameAddress {
                file_id: self.chain.len() as u64,
                epoch: self.chain.len() as u64,
                frame_index: u32::try_from(self.frames.len()).expect("few"),
                shard: 0,
            };
            self.frames.push(chunk.seal(address).to_vec());
            self.store.give_chunk(chunk);
        }
    }

    fn durable(&mut self, check: impl FnOnce(&mut Store, &M)) {
        if self.store.capture(0) == CaptureStatus::Declined {
            self.dropped();
        }
        if self.frozen.is_none() {
            return;
        }
        while self.store.is_capturing() {
            self.capture(4096);
        }
        self.collect();
        let (page_count, model) = self.frozen.take().expect("a freeze is in flight");
        self.check_lines_are_needed();
        self.chain.push(std::mem::take(&mut self.frames));
        self.store.forget_snapshot();
        self.bytes.durable = std::mem::take(&mut self.bytes.frozen);
        let mut restored = self.restore(page_count);
        check(&mut restored, &model);
    }

    fn deltas<'a>(&self, number: usize, frames: &'a [Vec<u8>]) -> Vec<Frame<'a>> {
        let read = |(index, bytes): (usize, &'a Vec<u8>)| {
            let expected = FrameExpectation {
                file: "model",
                file_id: number as u64,
                epoch: number as u64,
                frame_index: u32::try_from(index).expect("few"),
                offset_in_file: 0,
            };
            read_frame(bytes, &expected)
                .expect("own frames are whole")
                .0
        };
        frames.iter().enumerate().map(read).collect()
    }

    /// A frame holds no line twice, and no page that is not dirty; a line that changed is there.
    fn check_lines_are_needed(&self) {
        let mut masks: HashMap<u32, (u64, bool)> = HashMap::new();
        for frame in self.deltas(self.chain.len(), &self.frames) {
            for delta in frame.pages() {
                let Some((before, _)) = masks.get_mut(&delta.page_id) else {
                    masks.insert(delta.page_id, (delta.mask, delta.fresh));
                    continue;
                };
                let page = delta.page_id;
                assert_eq!(*before & delta.mask, 0, "lines of page={page} come twice");
                assert!(
                    !delta.fresh,
                    "page={page} would be zeroed after its first lines"
                );
                *before |= delta.mask;
            }
        }
        let zeros = [0; PAGE_BYTES];
        for (index, page) in self.bytes.frozen.iter().enumerate() {
            let (mask, fresh) = *masks
                .get(&u32::try_from(index).expect("few"))
                .unwrap_or(&(0, false));
            let base = match self.bytes.durable.get(index) {
                Some(durable) if !fresh => durable,
                _ => &zeros,
            };
            for line in 0..64 {
                let range = line * 64..(line + 1) * 64;
                let changed = page[range.clone()] != base[range];
                let staged = mask & (1 << line) != 0;
                assert!(
                    staged || !changed,
                    "page={index} line={line} changed and is missing"
                );
            }
        }
    }

    /// The store that the chain holds.
    fn restore(&self, page_count: u32) -> Store {
        let mut restore = Restore::new(&self.config, page_count).expect("fits");
        for (number, frames) in self.chain.iter().enumerate() {
            for frame in self.deltas(number, frames) {
                for delta in frame.pages() {
                    restore.apply(&delta).expect("inside the arena");
                }
            }
        }
        let store = restore.finish().expect("own superblock");
        assert!(
            copy_pages(&store) == self.bytes.durable,
            "restored pages differ"
        );
        store.verify().expect("restored store is sound");
        store
    }
}
