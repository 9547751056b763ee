//! Records that the application's threads push.

use std::fmt;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};
use frazil_state::Value;

use super::splits::encode;
use super::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader};

/// How long a pusher waits before it looks again for room. It looks, and is not woken, so that a
/// shard makes no system call when it takes a record.
const FULL_PAUSE: Duration = Duration::from_micros(200);

/// A queue of at most `capacity` records from the application to the flow.
///
/// The source ends when every [`Pusher`] is dropped. Records are **not replayable**: what was
/// pushed after the last checkpoint is gone with a crash, unless the application pushes it again.
/// (State and output stay consistent with each other: both are as if the lost records had never
/// been pushed.) A record that was pushed is first in the queue, then in the flow; neither is part
/// of a checkpoint before it was applied.
///
/// # Panics
/// If `capacity` is zero.
///
/// # Examples
/// ```
/// use frazil::push;
///
/// let (pusher, source) = push::channel::<u64>(2);
/// // In the flow: `flow.source(source.clone())`, on every shard the same queue.
/// pusher.push(1)?;
/// pusher.try_push(2)?;
/// assert!(matches!(pusher.try_push(3), Err(push::PushError::Full(3))));
/// drop(source);
/// assert!(matches!(pusher.push(3), Err(push::PushError::Closed(3))));
/// # Ok::<(), push::PushError<u64>>(())
/// ```
#[must_use]
pub fn channel<T: Value + Clone + Send>(capacity: usize) -> (Pusher<T>, PushSource<T>) {
    assert!(capacity > 0, "a queue without room takes no record");
    let (sender, receiver) = crossbeam_channel::bounded(capacity);
    (Pusher { sender }, PushSource { receiver })
}

/// Pushes records into a flow; clones push into the same queue.
pub struct Pusher<T> {
    sender: Sender<T>,
}

impl<T> Clone for Pusher<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
        }
    }
}

impl<T> Pusher<T> {
    /// Pushes a record, and waits while the queue is full.
    ///
    /// # Errors
    /// [`PushError::Closed`] with the record, if the job has ended and every [`PushSource`] is
    /// dropped.
    pub fn push(&self, record: T) -> Result<(), PushError<T>> {
        let mut record = record;
        loop {
            match self.try_push(record) {
                Err(PushError::Full(returned)) => record = returned,
                outcome => return outcome,
            }
            thread::sleep(FULL_PAUSE);
        }
    }

    /// Pushes a record if the queue has room.
    ///
    /// # Errors
    /// [`PushError::Full`] or [`PushError::Closed`], with the record.
    pub fn try_push(&self, record: T) -> Result<(), PushError<T>> {
        self.sender.try_send(record).map_err(|error| match error {
            TrySendError::Full(record) => PushError::Full(record),
            TrySendError::Disconnected(record) => PushError::Closed(record),
        })
    }
}

/// A record that was not pushed.
#[derive(thiserror::Error)]
pub enum PushError<T> {
    /// The flow is behind.
    #[error("the queue to the flow is full; push again later")]
    Full(T),
    /// Nobody will ever take it.
    #[error("the job that took these records has ended")]
    Closed(T),
}

impl<T> PushError<T> {
    /// The record.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(record) | Self::Closed(record) => record,
        }
    }
}

// By hand, so that an error of any record can be printed.
impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Full(_) => "Full",
            Self::Closed(_) => "Closed",
        })
    }
}

/// The flow's end of a [`channel`]: one split for each shard, all fed from the same queue.
///
/// Which shard takes a record is open; records of one pusher may overtake each other on different
/// shards.
pub struct PushSource<T> {
    receiver: Receiver<T>,
}

impl<T> Clone for PushSource<T> {
    fn clone(&self) -> Self {
        Self {
            receiver: self.receiver.clone(),
        }
    }
}

impl<T: Value + Clone + Send> Source for PushSource<T> {
    type Record = T;
    type Reader = PushReader<T>;

    fn name(&self) -> String {
        "pushed records".to_owned()
    }

    fn plan(&self, shard_count: usize) -> Result<SourcePlan, SourceError> {
        let split = |id| Split {
            id,
            description: Vec::new(),
        };
        Ok(SourcePlan {
            fingerprint: 0,
            replayable: false,
            splits: (0..shard_count as u64).map(split).collect(),
        })
    }

    /// The position only counts: what lay before it cannot be had again.
    fn open(&self, _: &Split, _: Option<&[u8]>) -> Result<PushReader<T>, SourceError> {
        Ok(PushReader {
            receiver: self.receiver.clone(),
            taken: 0,
        })
    }
}

/// Takes records from a [`channel`] on one shard.
pub struct PushReader<T> {
    receiver: Receiver<T>,
    taken: u64,
}

impl<T: Value + Clone + Send> SplitReader for PushReader<T> {
    type Record = T;

    #[inline]
    fn poll(
        &mut self,
        limit: usize,
        emit: &mut impl for<'a> FnMut(&'a T),
    ) -> Result<ReadStatus, SourceError> {
        for _ in 0..limit {
            match self.receiver.try_recv() {
                Ok(record) => {
                    self.taken += 1;
                    emit(&record);
                }
                Err(TryRecvError::Empty) => return Ok(ReadStatus::Idle),
                Err(TryRecvError::Disconnected) => return Ok(ReadStatus::End),
            }
        }
        Ok(ReadStatus::More)
    }

    /// The number of records taken since the job was started.
    fn position(&self, position: &mut Vec<u8>) {
        encode(&[self.taken], position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(source: &PushSource<u64>) -> PushReader<u64> {
        let split = source.plan(1).unwrap().splits.remove(0);
        source.open(&split, None).unwrap()
    }

    #[test]
    fn every_pushed_record_is_taken_once_by_some_shard_and_then_the_source_ends() {
        let (pusher, source) = channel(4);
        let mut readers = [reader(&source), reader(&source)];
        let pushing = thread::spawn(move || {
            let other = pusher.clone();
            (0..1_000).for_each(|number| pusher.push(number).unwrap());
            (1_000..2_000).for_each(|number| other.push(number).unwrap());
        });
        let mut taken = Vec::new();
        let mut ended = [false; 2];
        while ended != [true; 2] {
            for (reader, ended) in readers.iter_mut().zip(&mut ended) {
                let status = reader
                    .poll(3, &mut |record: &u64| taken.push(*record))
                    .unwrap();
                *ended = status == ReadStatus::End;
            }
        }
        pushing.join().unwrap();
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..2_000));
    }

    #[test]
    fn an_empty_queue_is_idle_until_the_last_pusher_is_gone() {
        let (pusher, source) = channel(4);
        let mut reader = reader(&source);
        let mut poll = || reader.poll(8, &mut |_: &u64| ()).unwrap();
        assert_eq!(poll(), ReadStatus::Idle);
        let last = pusher.clone();
        drop(pusher);
        assert_eq!(poll(), ReadStatus::Idle);
        last.push(1).unwrap();
        drop(last);
        assert_eq!(poll(), ReadStatus::End);
    }

    #[test]
    fn a_record_that_is_not_taken_comes_back() {
        let (pusher, source) = channel(1);
        pusher.push(1).unwrap();
        assert_eq!(pusher.try_push(2).unwrap_err().into_inner(), 2);
        drop(source);
        let error = pusher.push(3).unwrap_err();
        assert!(error.to_string().contains("ended"));
        assert_eq!(error.into_inner(), 3);
    }
}
