//! Events that are due at fixed times, read late after a stall but never left out.

use super::recorder::Recording;
use frazil::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader, Value};

/// Emits `(due_ns, event)`: event i is due i / rate seconds after the start.
///
/// It has one split for each shard; a split has every n-th event. It cannot be replayed, because
/// due times belong to one process.
pub struct TimedSource<F> {
    make: F,
    rate: f64,
    shard_count: usize,
    recording: Recording,
}

impl<F> TimedSource<F> {
    pub(super) fn new(make: F, rate: f64, shard_count: usize, recording: Recording) -> Self {
        Self {
            make,
            rate,
            shard_count,
            recording,
        }
    }
}

impl<T, F> Source for TimedSource<F>
where
    F: Fn(u64) -> T + Clone + 'static,
    T: 'static,
    (u64, T): Value + Clone + Send,
{
    type Record = (u64, T);
    type Reader = TimedReader<F>;

    fn name(&self) -> String {
        "events on time".to_owned()
    }

    fn plan(&self, _shard_count: usize) -> Result<SourcePlan, SourceError> {
        let splits = (0..self.shard_count as u64).map(|id| Split {
            id,
            description: Vec::new(),
        });
        Ok(SourcePlan {
            fingerprint: 0,
            replayable: false,
            splits: splits.collect(),
        })
    }

    fn open(&self, split: &Split, _position: Option<&[u8]>) -> Result<TimedReader<F>, SourceError> {
        Ok(TimedReader {
            make: self.make.clone(),
            ns_per_event: 1e9 / self.rate,
            recording: self.recording.clone(),
            next: split.id,
            step: self.shard_count as u64,
        })
    }
}

/// Reads one split of a [`TimedSource`].
pub struct TimedReader<F> {
    make: F,
    ns_per_event: f64,
    recording: Recording,
    next: u64,
    step: u64,
}

impl<F> TimedReader<F> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast from f64 ends at the largest u64"
    )]
    fn due_ns(&self, index: u64) -> u64 {
        (index as f64 * self.ns_per_event) as u64
    }
}

impl<T, F> SplitReader for TimedReader<F>
where
    F: Fn(u64) -> T + 'static,
    T: 'static,
    (u64, T): Value + Clone + Send,
{
    type Record = (u64, T);

    fn poll(
        &mut self,
        limit: usize,
        emit: &mut impl for<'a> FnMut(&'a (u64, T)),
    ) -> Result<ReadStatus, SourceError> {
        let now_ns = self.recording.now_ns();
        for _ in 0..limit {
            let due_ns = self.due_ns(self.next);
            if due_ns > now_ns {
                return Ok(ReadStatus::Idle);
            }
            emit(&(due_ns, (self.make)(self.next)));
            self.next += self.step;
        }
        Ok(ReadStatus::More)
    }

    fn position(&self, position: &mut Vec<u8>) {
        position.extend_from_slice(&self.next.to_le_bytes());
    }
}
