//! Records to the application's threads, when they are durable.
//!
//! Values stay typed: a writer sends each record through a queue of its own and puts only a ticket,
//! the writer's number, into the rows. Rows of one writer are staged in the order in which they
//! were made, so ticket and value meet again when they are staged, and Frazil's way of rows decides
//! about the epoch.
//!
//! `made <= staged for an epoch <= delivered, once its checkpoint is durable`

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use super::{Committer, Restored, Sink, SinkError, SinkWriter};
use crate::flow::{Keyed, Plain, Record};
use crate::lock::locked;

/// Sends records to the application when the checkpoint that they belong to is durable.
///
/// * **In one process, exactly once.** Whatever was received is part of a durable checkpoint: no
///   later recovery takes it back or sends it again, also if the job is started again in the same
///   process with a clone of the same sink.
/// * **Across a crash of the process, at most once.** Records that were durable in a checkpoint but
///   not yet received died with the process. Where every record counts, write files.
/// * Records arrive in the order of checkpoints, in any order between shards; the latency is that
///   of a checkpoint.
/// * **Memory:** the records since the last durable checkpoint, and those that the receiver has not
///   taken, stay in memory; the queue has no bound, so that a receiver which waits for the job's
///   end cannot hold it up. Take records as they come where they are many.
///
/// A receiver that is dropped before the job's end fails the job. The channel closes when the job
/// and all clones of the sink are gone.
///
/// Records are owned: `String` for `str`, `(String, u64)` for the pairs of an aggregation by text.
///
/// # Examples
/// ```
/// use frazil::{ChannelSink, Committer, Keyed, Sink, SinkWriter};
///
/// let (sink, counts) = ChannelSink::<(String, u64)>::new();
/// // In the flow: `.sink(sink.clone())`. What a job does with it:
/// let mut committer = Sink::<Keyed<str, u64>>::committer(&sink)?;
/// committer.recover(None)?;
/// let mut writer = Sink::<Keyed<str, u64>>::writer(&sink)?;
/// let mut rows = Vec::new();
/// SinkWriter::<Keyed<str, u64>>::write(&mut writer, ("ice", &7), &mut rows)?;
/// committer.stage(1, &rows)?;
/// committer.pre_commit(1)?;
/// assert!(counts.try_recv().is_err());
/// committer.commit(1)?;
/// assert_eq!(counts.try_recv()?, ("ice".to_owned(), 7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ChannelSink<T> {
    shared: Arc<Mutex<Shared<T>>>,
}

/// What outlives a job, so that a second one in this process neither loses nor repeats a record.
struct Shared<T> {
    /// Queues of the writers, by their number.
    made: Vec<Receiver<T>>,
    /// By epoch.
    staged: BTreeMap<u64, Vec<T>>,
    delivery: Sender<T>,
}

impl<T: Send + 'static> ChannelSink<T> {
    /// A sink and the application's end of it.
    #[must_use]
    pub fn new() -> (Self, Receiver<T>) {
        let (delivery, receiver) = mpsc::channel();
        let shared = Shared {
            made: Vec::new(),
            staged: BTreeMap::new(),
            delivery,
        };
        let shared = Arc::new(Mutex::new(shared));
        (Self { shared }, receiver)
    }

    /// At the start of a job: the writers of an earlier one are gone.
    fn new_committer(&self) -> Box<dyn Committer> {
        locked(&self.shared).made.clear();
        Box::new(ChannelCommitter {
            shared: Arc::clone(&self.shared),
        })
    }

    fn new_writer(&self) -> ChannelWriter<T> {
        let mut shared = locked(&self.shared);
        let (made, receiver) = mpsc::channel();
        let ticket = u32::try_from(shared.made.len()).expect("fewer shards than 2^32");
        shared.made.push(receiver);
        ChannelWriter { ticket, made }
    }
}

impl<T> Clone for ChannelSink<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<R> Sink<R> for ChannelSink<R::Owned>
where
    R: Plain + ToOwned<Owned: Send + 'static> + ?Sized,
{
    type Writer = ChannelWriter<R::Owned>;

    fn name(&self) -> String {
        "channel".to_owned()
    }

    fn committer(&self) -> Result<Box<dyn Committer>, SinkError> {
        Ok(self.new_committer())
    }

    fn writer(&self) -> Result<ChannelWriter<R::Owned>, SinkError> {
        Ok(self.new_writer())
    }
}

impl<K, V> Sink<Keyed<K, V>> for ChannelSink<(K::Owned, V)>
where
    K: ToOwned<Owned: Send + 'static> + ?Sized,
    V: Clone + Send + 'static,
    Keyed<K, V>: for<'a> Record<Ref<'a> = (&'a K, &'a V)>,
{
    type Writer = ChannelWriter<(K::Owned, V)>;

    fn name(&self) -> String {
        "channel".to_owned()
    }

    fn committer(&self) -> Result<Box<dyn Committer>, SinkError> {
        Ok(self.new_committer())
    }

    fn writer(&self) -> Result<ChannelWriter<(K::Owned, V)>, SinkError> {
        Ok(self.new_writer())
    }
}

/// Hands the records of one shard to a [`ChannelSink`].
pub struct ChannelWriter<T> {
    ticket: u32,
    made: Sender<T>,
}

impl<T> ChannelWriter<T> {
    fn make(&self, record: T, rows: &mut Vec<u8>) -> Result<(), SinkError> {
        rows.extend_from_slice(&self.ticket.to_le_bytes());
        // The other end is gone if another job took the sink over.
        self.made.send(record).map_err(|_| SinkError::ForeignRow)
    }
}

impl<R> SinkWriter<R> for ChannelWriter<R::Owned>
where
    R: Plain + ToOwned<Owned: Send + 'static> + ?Sized,
{
    fn write(&mut self, record: &R, rows: &mut Vec<u8>) -> Result<(), SinkError> {
        self.make(record.to_owned(), rows)
    }
}

impl<K, V> SinkWriter<Keyed<K, V>> for ChannelWriter<(K::Owned, V)>
where
    K: ToOwned<Owned: Send + 'static> + ?Sized,
    V: Clone + Send + 'static,
    Keyed<K, V>: for<'a> Record<Ref<'a> = (&'a K, &'a V)>,
{
    fn write(&mut self, (key, value): (&K, &V), rows: &mut Vec<u8>) -> Result<(), SinkError> {
        self.make((key.to_owned(), value.clone()), rows)
    }
}

struct ChannelCommitter<T> {
    shared: Arc<Mutex<Shared<T>>>,
}

impl<T: Send + 'static> Committer for ChannelCommitter<T> {
    /// Delivers what an earlier job in this process had no time to, and forgets what will be made
    /// again.
    fn recover(&mut self, restored: Option<Restored<'_>>) -> Result<(), SinkError> {
        if let Some(restored) = restored {
            self.commit(restored.checkpoint)?;
        }
        locked(&self.shared).staged.clear();
        Ok(())
    }

    /// What was received stays received.
    fn can_retract(&self) -> bool {
        false
    }

    fn stage(&mut self, epoch: u64, rows: &[u8]) -> Result<(), SinkError> {
        let mut shared = locked(&self.shared);
        let Shared { made, staged, .. } = &mut *shared;
        let (tickets, rest) = rows.as_chunks();
        assert!(rest.is_empty(), "rows of a channel sink were cut");
        let values = tickets.iter().map(|ticket| {
            let writer = usize::try_from(u32::from_le_bytes(*ticket)).ok();
            let writer = writer.and_then(|writer| made.get(writer));
            writer.and_then(|writer| writer.try_recv().ok())
        });
        let values: Option<Vec<T>> = values.collect();
        let values = values.ok_or(SinkError::ForeignRow)?;
        staged.entry(epoch).or_default().extend(values);
        Ok(())
    }

    fn pre_commit(&mut self, _epoch: u64) -> Result<Vec<u8>, SinkError> {
        Ok(Vec::new())
    }

    fn commit(&mut self, epoch: u64) -> Result<(), SinkError> {
        let mut shared = locked(&self.shared);
        while let Some(staged) = shared.staged.first_entry() {
            if *staged.key() > epoch {
                break;
            }
            for value in staged.remove() {
                let delivered = shared.delivery.send(value);
                delivered.map_err(|_| SinkError::ReceiverGone)?;
            }
        }
        Ok(())
    }
}
