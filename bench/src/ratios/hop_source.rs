//! A source that sends one stamped record at a time, the next when the last one was seen.

use crate::probe::hiccups::nanos;
use frazil::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

/// Longer hops, in ns, count as one second.
const TIME_MAX: u64 = 1_000_000_000;

/// What both ends of the hop know; clones share it.
#[derive(Clone)]
pub(super) struct Hops(Arc<Shared>);

struct Shared {
    /// Owned by the other shard.
    key: u64,
    start: Instant,
    wanted: AtomicU64,
    seen: AtomicU64,
    times: Mutex<Histogram<u64>>,
    source_thread: Mutex<Option<ThreadId>>,
}

impl Hops {
    pub(super) fn new(key: u64) -> Self {
        Self(Arc::new(Shared {
            key,
            start: Instant::now(),
            wanted: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            times: Mutex::new(
                Histogram::new_with_bounds(1, TIME_MAX, 3).expect("the bounds are valid"),
            ),
            source_thread: Mutex::new(None),
        }))
    }

    /// Asks for `count` more hops; gives the number that will have been seen then.
    pub(super) fn want(&self, count: u64) -> u64 {
        let wanted = self.seen() + count;
        self.0.wanted.store(wanted, Ordering::Relaxed);
        wanted
    }

    pub(super) fn seen(&self) -> u64 {
        self.0.seen.load(Ordering::Acquire)
    }

    /// The times in ns since the last call.
    pub(super) fn take(&self) -> Histogram<u64> {
        let mut times = self.0.times.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = times.clone();
        times.reset();
        taken
    }

    /// Called where the record arrives; nothing is recorded on the thread that sent it.
    pub(super) fn arrived(&self, stamp_ns: u64) {
        let now_ns = nanos(self.0.start.elapsed());
        let source = *self
            .0
            .source_thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if source != Some(thread::current().id()) {
            let mut times = self.0.times.lock().unwrap_or_else(PoisonError::into_inner);
            times.saturating_record(now_ns.saturating_sub(stamp_ns));
        }
        // The only writer. Release: what was recorded is there when this is seen.
        let seen = self.0.seen.load(Ordering::Relaxed);
        self.0.seen.store(seen + 1, Ordering::Release);
    }
}

#[derive(Clone)]
pub(super) struct HopSource(pub(super) Hops);

impl Source for HopSource {
    type Record = (u64, u64);
    type Reader = HopReader;

    fn name(&self) -> String {
        "hops".to_owned()
    }

    fn plan(&self, _shard_count: usize) -> Result<SourcePlan, SourceError> {
        let split = Split {
            id: 0,
            description: Vec::new(),
        };
        Ok(SourcePlan {
            fingerprint: 0,
            replayable: false,
            splits: vec![split],
        })
    }

    fn open(&self, _split: &Split, _position: Option<&[u8]>) -> Result<HopReader, SourceError> {
        let thread = self.0.0.source_thread.lock();
        *thread.unwrap_or_else(PoisonError::into_inner) = Some(thread::current().id());
        Ok(HopReader {
            hops: self.0.clone(),
            sent: 0,
        })
    }
}

pub(super) struct HopReader {
    hops: Hops,
    sent: u64,
}

impl SplitReader for HopReader {
    type Record = (u64, u64);

    fn poll(
        &mut self,
        _limit: usize,
        emit: &mut impl for<'a> FnMut(&'a (u64, u64)),
    ) -> Result<ReadStatus, SourceError> {
        let shared = &self.hops.0;
        let is_due = self.sent == shared.seen.load(Ordering::Acquire)
            && self.sent < shared.wanted.load(Ordering::Relaxed);
        if !is_due {
            return Ok(ReadStatus::Idle);
        }
        self.sent += 1;
        emit(&(shared.key, nanos(shared.start.elapsed())));
        // No more in this poll: the batch of one leaves at once.
        Ok(ReadStatus::Idle)
    }

    fn position(&self, position: &mut Vec<u8>) {
        position.extend_from_slice(&self.sent.to_le_bytes());
    }
}
