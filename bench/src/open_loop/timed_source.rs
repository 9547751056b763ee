//! Events that are due at fixed times, read late after a stall but never left out.

use super::pace::{Pace, Schedule};
use super::recorder::Recording;
use frazil::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader, Value};

/// Emits `(due_ns, event)`: event i is due i / rate seconds after the start. A due time of zero
/// says that nobody is to time the event, as with most of a fast flow.
///
/// First come the events that fill the state, without a due time and as fast as they go. It has one
/// split for each shard; a split has every n-th event. It cannot be replayed, because due times
/// belong to one process.
pub struct TimedSource<F> {
    pub(super) make: F,
    pub(super) shard_count: usize,
    pub(super) fill_events: u64,
    pub(super) recording: Recording,
    pub(super) pace: Pace,
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
            split: split.id,
            split_count: self.shard_count as u64,
            fill_events: self.fill_events,
            recording: self.recording.clone(),
            pace: self.pace.clone(),
            generation: 0,
            schedule: None,
            next: split.id,
            read_count: 0,
        })
    }
}

/// Reads one split of a [`TimedSource`].
pub struct TimedReader<F> {
    make: F,
    split: u64,
    split_count: u64,
    fill_events: u64,
    recording: Recording,
    pace: Pace,
    generation: u64,
    schedule: Option<Schedule>,
    /// Index of the event that `make` is asked for next.
    next: u64,
    /// Events of this split read since the schedule began.
    read_count: u64,
}

impl<F> TimedReader<F> {
    fn emit<T>(&mut self, due_ns: u64, emit: &mut impl for<'a> FnMut(&'a (u64, T)))
    where
        F: Fn(u64) -> T,
    {
        emit(&(due_ns, (self.make)(self.next)));
        self.next += self.split_count;
    }

    /// The due time of the next event, zero where it is not to be timed.
    #[inline]
    fn due_ns(&self, schedule: &Schedule) -> u64 {
        if !self.read_count.is_multiple_of(schedule.sample_every) {
            return 0;
        }
        let index = self.read_count * self.split_count + self.split;
        schedule.due_ns(index).max(1)
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
        let limit = limit as u64;
        if self.next < self.fill_events {
            let left = (self.fill_events - self.next).div_ceil(self.split_count);
            let count = left.min(limit);
            for _ in 0..count {
                self.emit(0, emit);
            }
            self.pace.add_filled(count);
            return Ok(ReadStatus::More);
        }
        if let Some(schedule) = self.pace.changed(&mut self.generation) {
            self.schedule = schedule;
            self.read_count = 0;
        }
        let Some(schedule) = self.schedule else {
            return Ok(ReadStatus::Idle);
        };
        let now_ns = self.recording.now_ns();
        let due_count = schedule.due_count(now_ns, self.split, self.split_count);
        let count = due_count.saturating_sub(self.read_count).min(limit);
        for _ in 0..count {
            let due_ns = self.due_ns(&schedule);
            self.emit(due_ns, emit);
            self.read_count += 1;
        }
        Ok(if count == limit {
            ReadStatus::More
        } else {
            ReadStatus::Idle
        })
    }

    fn position(&self, position: &mut Vec<u8>) {
        position.extend_from_slice(&self.next.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn fills_first_and_then_emits_every_event_that_is_due_once() {
        let recording = Recording::new(Instant::now());
        let pace = Pace::default();
        let source = TimedSource {
            make: |index: u64| index,
            shard_count: 2,
            fill_events: 5,
            recording: recording.clone(),
            pace: pace.clone(),
        };
        let splits = source.plan(2).unwrap().splits;
        let open = |split| source.open(split, None).unwrap();
        let mut readers: Vec<_> = splits.iter().map(open).collect();
        let mut found = Vec::new();
        let mut poll = |reader: &mut TimedReader<_>| {
            let emit = &mut |event: &(u64, u64)| found.push(*event);
            reader.poll(4, emit).unwrap()
        };
        for reader in &mut readers {
            assert_eq!(poll(reader), ReadStatus::More);
            assert_eq!(poll(reader), ReadStatus::Idle, "nothing is due");
        }
        assert_eq!(pace.filled(), 5);
        while recording.now_ns() < 9_000 {}
        // Ten events lie behind, the rest an eternity ahead.
        pace.set(Some(Schedule::at_rate(1e-3, 0)));
        assert_eq!(poll(&mut readers[0]), ReadStatus::Idle);
        pace.set(Some(Schedule {
            sample_every: 3,
            ..Schedule::at_rate(1e6, 0)
        }));
        assert_eq!(poll(&mut readers[1]), ReadStatus::More);
        let expected = [
            // Filled, split by split; then the one event of the slow schedule; then four of the
            // other split at 1, 3, 5 and 7 us, of which each third is timed.
            (0, 0),
            (0, 2),
            (0, 4),
            (0, 1),
            (0, 3),
            (1, 6),
            (1_000, 5),
            (0, 7),
            (0, 9),
            (7_000, 11),
        ];
        assert_eq!(found, expected);
    }
}
