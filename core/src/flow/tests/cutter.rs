//! One simulated shard's part of a checkpoint whose barrier overtakes records: what is recorded is
//! sealed into frames, read back, and restored from.

use frazil_state::format::{FrameAddress, FrameExpectation, read_frame, read_in_flight};
use frazil_state::{CaptureStatus, Restore, Store};

use super::stores::{new_store, store_config};
use crate::flow::Stage;
use crate::in_flight::{FlightStep, Recorder, RestoredInFlight};

/// Bytes of records in flight encoded in one slice: a few records, so that slices interleave.
const SLICE_BYTES: usize = 64;

/// Chunks for staging.
pub(super) const CHUNK_COUNT: usize = 8;

/// Frames of one shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    page_count: u32,
    /// Of pages, since the start of the simulation.
    pages: Vec<(u64, Vec<u8>)>,
    in_flight: Vec<(u64, Vec<u8>)>,
}

#[derive(Default)]
pub(super) struct Cutter {
    pub(super) is_recording: bool,
    recorder: Recorder,
    snapshot: Snapshot,
}

fn expectation(epoch: u64) -> FrameExpectation<'static> {
    FrameExpectation {
        file: "simulated",
        file_id: 1,
        epoch,
        frame_index: 0,
        offset_in_file: 0,
    }
}

impl Snapshot {
    /// Whether records were in flight.
    pub(super) fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    pub(super) fn add_in_flight(&self, shard: u16, in_flight: &mut RestoredInFlight) {
        for (epoch, frame) in &self.in_flight {
            let frame = read_in_flight(frame, &expectation(*epoch))
                .expect("whole")
                .0;
            frame
                .pieces()
                .for_each(|piece| in_flight.add(shard, &piece));
        }
    }

    fn restore(&self, shard: usize, shard_count: usize) -> Store {
        let config = store_config(shard, shard_count, CHUNK_COUNT);
        let mut restore = Restore::new(&config, self.page_count).expect("fits");
        for (epoch, frame) in &self.pages {
            let frame = read_frame(frame, &expectation(*epoch)).expect("whole").0;
            frame
                .pages()
                .for_each(|delta| restore.apply(&delta).expect("fits"));
        }
        restore.finish().expect("whole")
    }
}

/// The stores of as many shards as there are to be: the old ones, or new ones that take over their
/// key groups.
pub(super) fn restore_all(snapshots: &[Snapshot], shard_count: usize) -> Vec<Store> {
    let old = snapshots.iter().enumerate();
    let mut old: Vec<_> = old
        .map(|(shard, snapshot)| snapshot.restore(shard, snapshots.len()))
        .collect();
    if old.len() == shard_count {
        // The next checkpoint begins a chain of its own.
        old.iter_mut().for_each(Store::dirty_everything);
        return old;
    }
    let adopted = |shard| {
        let mut store = new_store(shard, shard_count, CHUNK_COUNT);
        old.iter().for_each(|old| store.adopt(old).expect("fits"));
        store
    };
    (0..shard_count).map(adopted).collect()
}

impl Cutter {
    /// Freezes behind the stages' cut.
    pub(super) fn begin(&mut self, store: &mut Store) {
        store.freeze();
        self.snapshot.page_count = store.page_count();
        self.is_recording = true;
    }

    /// One slice; true = nothing is left to record.
    pub(super) fn record(
        &mut self,
        store: &mut Store,
        stages: &mut [Box<dyn Stage>],
        epoch: u64,
    ) -> bool {
        let mut recording = self.recorder.slice(store, epoch, SLICE_BYTES);
        let mut is_done = true;
        for stage in stages {
            is_done &= stage.in_flight(&mut FlightStep::Record(&mut recording));
        }
        is_done &= recording.flush();
        self.take_chunks(store, epoch);
        is_done
    }

    /// Captures the state; the checkpoint counts as durable.
    pub(super) fn finish(&mut self, store: &mut Store, epoch: u64) -> Snapshot {
        store.finish_in_flight();
        while store.capture(64 << 10) != CaptureStatus::Done {
            self.take_chunks(store, epoch);
        }
        self.take_chunks(store, epoch);
        store.forget_snapshot();
        self.is_recording = false;
        let snapshot = self.snapshot.clone();
        self.snapshot.in_flight.clear();
        snapshot
    }

    fn take_chunks(&mut self, store: &mut Store, epoch: u64) {
        while let Some(mut chunk) = store.take_chunk() {
            let frames = match chunk.is_in_flight() {
                true => &mut self.snapshot.in_flight,
                false => &mut self.snapshot.pages,
            };
            let address = FrameAddress {
                file_id: 1,
                epoch,
                frame_index: 0,
                shard: 0,
            };
            frames.push((epoch, chunk.seal(address).to_vec()));
            store.give_chunk(chunk);
        }
    }
}
