//! Records in flight on their way into the staging pool.
//!
//! A channel's content is its records one after the other: route (8 bytes), length (4), and the
//! record in the encoding of its batch.

use frazil_state::Store;

use super::prefixed::put_prefixed;
use crate::flow::{Record, RecordBatch};

/// Where records were in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    /// With the stage behind this exchange: in its hand or in its rings.
    Received(u32),
    /// In an outbox in front of this exchange: behind all that was received from it.
    Outbox(u32),
    /// On local edges to this stage.
    Local(u32),
}

impl Channel {
    /// Of an exchange, or a stage.
    pub(crate) fn received(exchange: usize) -> Self {
        Self::Received(u32::try_from(exchange).expect("a flow is written by hand"))
    }

    pub(crate) fn outbox(exchange: usize) -> Self {
        Self::Outbox(u32::try_from(exchange).expect("a flow is written by hand"))
    }

    /// Its number in a checkpoint.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Received(exchange) => exchange << 2,
            Self::Outbox(exchange) => exchange << 2 | 1,
            Self::Local(stage) => stage << 2 | 2,
        }
    }
}

/// What tells where a record goes on after a restore onto another number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The hash of its key: to the shard that owns it now.
    Key,
    /// The shard that it was on its way to: to that one's successor.
    Shard,
    /// The same, where all shards get the same records: those of the first shard go to all.
    EachShard,
}

/// What is done with the records in flight in the parts of a stage.
pub(crate) enum FlightStep<'a, 'b> {
    /// The shard cuts at this epoch: what lies in front of its barrier is to be recorded.
    Cut(u64),
    /// The next records.
    Record(&'a mut Recording<'b>),
    /// Nothing more is to be recorded.
    Stop,
}

/// A shard's buffer for what finds no room in the staging pool at once: one batch.
#[derive(Default)]
pub(crate) struct Recorder {
    bytes: Vec<u8>,
    /// Bytes of it that were staged.
    staged: usize,
    channel: u32,
    types: u64,
    /// Records that were taken for the epoch.
    record_count: u64,
}

/// One slice of recording.
pub(crate) struct Recording<'a> {
    recorder: &'a mut Recorder,
    store: &'a mut Store,
    epoch: u64,
    left_bytes: usize,
    staged_bytes: usize,
}

impl Recorder {
    /// A slice for about so many bytes.
    pub(crate) fn slice<'a>(
        &'a mut self,
        store: &'a mut Store,
        epoch: u64,
        left_bytes: usize,
    ) -> Recording<'a> {
        Recording {
            recorder: self,
            store,
            epoch,
            left_bytes,
            staged_bytes: 0,
        }
    }

    /// Ends the epoch and forgets what was not staged of it; gives the records that were taken.
    pub(crate) fn end(&mut self) -> u64 {
        self.clear();
        std::mem::take(&mut self.record_count)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.staged = 0;
    }
}

impl Recording<'_> {
    /// The epoch that is recorded.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes the records of a batch from `from` on, all or none; false = not in this slice.
    pub(crate) fn take<R: Record + ?Sized>(
        &mut self,
        channel: Channel,
        records: &R::Batch,
        from: usize,
        route: impl Fn(usize) -> u64,
    ) -> bool {
        if self.left_bytes == 0 || !self.flush() {
            return false;
        }
        let recorder = &mut *self.recorder;
        recorder.channel = channel.number();
        recorder.types = R::Batch::types();
        recorder.record_count += (records.len() - from) as u64;
        for index in from..records.len() {
            let bytes = &mut recorder.bytes;
            bytes.extend_from_slice(&route(index).to_le_bytes());
            put_prefixed(bytes, |bytes| records.encode(index, bytes));
        }
        self.left_bytes = self.left_bytes.saturating_sub(recorder.bytes.len());
        self.flush();
        true
    }

    /// Whether anything was staged.
    pub(crate) fn has_worked(&self) -> bool {
        self.staged_bytes > 0
    }

    /// Stages what was taken; true = nothing is left of it.
    pub(crate) fn flush(&mut self) -> bool {
        let recorder = &mut *self.recorder;
        let rest = &recorder.bytes[recorder.staged..];
        let taken = self
            .store
            .stage_in_flight(recorder.channel, recorder.types, rest);
        recorder.staged += taken;
        self.staged_bytes += taken;
        let is_done = recorder.staged == recorder.bytes.len();
        if is_done {
            recorder.clear();
        }
        is_done
    }
}
