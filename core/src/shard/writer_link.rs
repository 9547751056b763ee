//! The rings between a shard and the checkpoint writer.
//!
//! Everything that a shard hands over (captured chunks, rows of sinks, the end of a snapshot)
//! travels in one ring, so that the writer has all rows and chunks of an epoch when it sees the
//! snapshot's end. Chunks and row buffers come back through the other ring. The ring has a slot for
//! every chunk, every row buffer and every signal that can be under way:
//!
//! `messages in the ring <= chunk_count + row_buffer_count + SIGNALS_MAX`, so a push never finds it
//! full.

use frazil_io::runtime::Bell;
use frazil_state::format::Chunk;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::checkpoint::PhaseTime;
use crate::flow::SplitPosition;

/// Signals of one epoch (frozen, declined, snapshot, settled) and the end of the input.
const SIGNALS_MAX: usize = 8;

/// Bytes after which a sink hands its row buffer over; capacity of a new one.
const ROW_BUFFER_BYTES: usize = 64 << 10;

/// A shard's part of a checkpoint, beside its chunks.
#[derive(Debug)]
pub(crate) struct SnapshotReport {
    pub(crate) epoch: u64,
    pub(crate) page_count: u32,
    pub(crate) positions: Vec<SplitPosition>,
    pub(crate) finished_stages: Vec<u32>,
    /// Those of them that emitted final records.
    pub(crate) final_stages: Vec<u32>,
    /// Records that the barrier overtook.
    pub(crate) in_flight_records: u64,
    /// All time without record processing.
    pub(crate) freeze: PhaseTime,
    /// From the freeze until every frozen line was staged.
    pub(crate) capture: PhaseTime,
}

/// From a shard to the checkpoint writer.
pub(crate) enum ToWriter {
    /// Captured lines.
    Chunk { epoch: u64, chunk: Chunk },
    /// Output of a sink.
    Rows {
        sink: u32,
        epoch: u64,
        rows: Vec<u8>,
    },
    /// The barrier was seen on every input, from the first to the last, and the state is frozen.
    Frozen { epoch: u64, align: PhaseTime },
    /// All chunks and rows of the epoch were sent.
    Snapshot(Box<SnapshotReport>),
    /// The staging pool was too small for the writes that came in.
    Declined { epoch: u64 },
    /// Nothing of the aborted epoch is left in flight.
    Settled { epoch: u64 },
    /// All stages have finished.
    Finished,
}

/// Back to the shard.
pub(crate) enum FromWriter {
    Chunk(Chunk),
    Rows(Vec<u8>),
}

/// How much can be under way between one shard and the writer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkSize {
    pub(crate) chunk_count: usize,
    pub(crate) row_buffer_count: usize,
}

/// The shard's end.
pub(crate) struct WriterLink {
    to_writer: Producer<ToWriter>,
    from_writer: Consumer<FromWriter>,
    row_buffers: Vec<Vec<u8>>,
}

/// The writer's end.
pub(crate) struct ShardLink {
    pub(crate) from_shard: Consumer<ToWriter>,
    to_shard: Producer<FromWriter>,
    /// A shard that waits for room may have gone to sleep over it.
    bell: Bell,
}

impl WriterLink {
    /// Both ends of one shard's rings; `bell` is the shard's.
    pub(crate) fn pair(size: LinkSize, bell: Bell) -> (Self, ShardLink) {
        let buffers = size.chunk_count + size.row_buffer_count;
        let (to_writer, from_shard) = RingBuffer::new(buffers + SIGNALS_MAX);
        let (to_shard, from_writer) = RingBuffer::new(buffers);
        let row_buffers = (0..size.row_buffer_count)
            .map(|_| Vec::with_capacity(ROW_BUFFER_BYTES))
            .collect();
        let link = Self {
            to_writer,
            from_writer,
            row_buffers,
        };
        (
            link,
            ShardLink {
                from_shard,
                to_shard,
                bell,
            },
        )
    }

    /// An empty row buffer; `None` is backpressure: the writer has them all.
    pub(crate) fn take_buffer(&mut self) -> Option<Vec<u8>> {
        self.row_buffers.pop()
    }

    /// Whether [`WriterLink::take_buffer`] would give one.
    pub(crate) fn has_room(&self) -> bool {
        !self.row_buffers.is_empty()
    }

    /// Hands rows over; never fails, because every buffer has its slot.
    pub(crate) fn send(&mut self, sink: u32, epoch: u64, rows: Vec<u8>) {
        self.push(ToWriter::Rows { sink, epoch, rows });
    }

    /// Hands over anything that is not rows.
    pub(crate) fn push(&mut self, message: ToWriter) {
        let pushed = self.to_writer.push(message);
        assert!(
            pushed.is_ok() || self.to_writer.is_abandoned(),
            "the ring to the checkpoint writer has a slot for everything under way"
        );
    }

    /// Takes back what the writer is done with; chunks go to `give_chunk`.
    pub(crate) fn take_back(&mut self, mut give_chunk: impl FnMut(Chunk)) {
        while let Ok(returned) = self.from_writer.pop() {
            match returned {
                FromWriter::Chunk(chunk) => give_chunk(chunk),
                FromWriter::Rows(mut rows) => {
                    rows.clear();
                    self.row_buffers.push(rows);
                }
            }
        }
    }
}

impl ShardLink {
    /// Gives a buffer back; a shard that ended needs it no more.
    pub(crate) fn give_back(&mut self, returned: FromWriter) {
        let pushed = self.to_shard.push(returned);
        assert!(
            pushed.is_ok() || self.to_shard.is_abandoned(),
            "the ring to the shard has a slot for every buffer"
        );
        self.bell.ring();
    }
}
