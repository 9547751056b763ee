//! An edge between two stages of one shard: a queue without a ring, a bell or a key.
//!
//! The stage in front asks for room before it takes input, as it does of a ring; what one record
//! makes is always taken, and so are barriers and the end. Order is that of the pushes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::record::{Record, RecordBatch};

/// Batches after which the stage in front has to wait.
const QUEUE_BATCHES_MAX: usize = 16;
/// Records in one batch.
const BATCH_RECORDS_MAX: usize = 1024;
/// A batch takes no further record once it holds this many bytes.
const BATCH_BYTES_FULL: usize = 64 << 10;

/// Both ends of the edge: everything on it happens on the shard's thread.
pub(super) type SharedEdge<R> = Rc<RefCell<LocalEdge<R>>>;

/// What travels on the edge.
pub(super) enum LocalMessage<R: Record + ?Sized> {
    /// Records, at least one.
    Batch(LocalBatch<R>),
    /// The records in front of it belong to this epoch or an earlier one.
    Barrier(u64),
    /// Nothing follows.
    End,
}

/// Records that entered the flow at the same time. Its memory is used again and again.
pub(super) struct LocalBatch<R: Record + ?Sized> {
    pub(super) stamp_ns: u64,
    pub(super) records: R::Batch,
}

impl<R: Record + ?Sized> Default for LocalBatch<R> {
    fn default() -> Self {
        Self {
            stamp_ns: 0,
            records: R::Batch::default(),
        }
    }
}

impl<R: Record + ?Sized> LocalBatch<R> {
    /// Whether it takes no further record.
    pub(super) fn is_full(&self) -> bool {
        let records = &self.records;
        records.len() >= BATCH_RECORDS_MAX || records.byte_count() >= BATCH_BYTES_FULL
    }
}

pub(super) struct LocalEdge<R: Record + ?Sized> {
    /// Takes records until it is full or published.
    open: LocalBatch<R>,
    queue: VecDeque<LocalMessage<R>>,
    /// Spent batches.
    spare: Vec<LocalBatch<R>>,
}

impl<R: Record + ?Sized> LocalEdge<R> {
    pub(super) fn shared() -> SharedEdge<R> {
        Rc::new(RefCell::new(Self {
            open: LocalBatch::default(),
            queue: VecDeque::with_capacity(QUEUE_BATCHES_MAX + 2),
            spare: Vec::with_capacity(QUEUE_BATCHES_MAX + 2),
        }))
    }

    #[inline]
    pub(super) fn push(&mut self, record: R::Ref<'_>, stamp_ns: u64) {
        self.make_place(stamp_ns);
        self.open.records.push(record);
    }

    /// The open batch, for a record with this stamp to be put in.
    #[inline]
    pub(super) fn open_batch(&mut self, stamp_ns: u64) -> &mut R::Batch {
        self.make_place(stamp_ns);
        &mut self.open.records
    }

    #[inline]
    fn make_place(&mut self, stamp_ns: u64) {
        if self.open.is_full() || self.open.stamp_ns != stamp_ns {
            self.close_batch();
            self.open.stamp_ns = stamp_ns;
        }
    }

    fn close_batch(&mut self) {
        if !self.open.records.is_empty() {
            let empty = self.spare.pop().unwrap_or_default();
            let closed = std::mem::replace(&mut self.open, empty);
            self.queue.push_back(LocalMessage::Batch(closed));
        }
    }

    /// What comes next; batches come back through [`LocalEdge::recycle`].
    pub(super) fn pop(&mut self) -> Option<LocalMessage<R>> {
        self.queue.pop_front()
    }

    /// Takes a barrier of at most this epoch if it comes next; whether it did.
    pub(super) fn pop_barrier_until(&mut self, epoch: u64) -> bool {
        let front = self.queue.front();
        let is_old = matches!(front, Some(LocalMessage::Barrier(old)) if *old <= epoch);
        if is_old {
            self.queue.pop_front();
        }
        is_old
    }

    /// Whether a batch comes next.
    pub(super) fn has_batch(&self) -> bool {
        matches!(self.queue.front(), Some(LocalMessage::Batch(_)))
    }

    /// What comes next but for `index` messages.
    pub(super) fn get(&self, index: usize) -> Option<&LocalMessage<R>> {
        self.queue.get(index)
    }

    pub(super) fn recycle(&mut self, mut spent: LocalBatch<R>) {
        spent.records.clear();
        self.spare.push(spent);
    }
}

/// The front end of an edge, whatever it carries: for the tail of the stage in front.
pub(super) trait LocalOutlet {
    /// Whether another run of records may be pushed.
    fn has_room(&self) -> bool;
    /// Shows the stage behind what was pushed.
    fn publish(&self);
    /// Puts the barrier behind everything that was pushed.
    fn barrier(&self, epoch: u64);
    /// Puts the end behind everything that was pushed.
    fn end(&self);
}

impl<R: Record + ?Sized> LocalOutlet for RefCell<LocalEdge<R>> {
    fn has_room(&self) -> bool {
        self.borrow().queue.len() < QUEUE_BATCHES_MAX
    }

    fn publish(&self) {
        self.borrow_mut().close_batch();
    }

    fn barrier(&self, epoch: u64) {
        let mut edge = self.borrow_mut();
        edge.close_batch();
        // A barrier that is still here was overtaken, and its checkpoint is over.
        edge.queue
            .retain(|message| !matches!(message, LocalMessage::Barrier(_)));
        edge.queue.push_back(LocalMessage::Barrier(epoch));
    }

    fn end(&self) {
        let mut edge = self.borrow_mut();
        edge.close_batch();
        edge.queue.push_back(LocalMessage::End);
    }
}
