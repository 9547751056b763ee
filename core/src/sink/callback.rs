//! A function called for each record, at once.

use std::rc::Rc;

use super::no_commit::NothingToCommit;
use super::{Committer, Sink, SinkError, SinkWriter};
use crate::flow::Record;

/// Calls a function for each record, on the shard's thread, as soon as the record is there.
///
/// At-least-once: after a crash the function is called again for the records since the restored
/// checkpoint. Use [`ChannelSink`](super::ChannelSink) for records that are durable, or
/// [`CsvFiles`](super::CsvFiles) for output that appears exactly once.
///
/// The function must not block, and should not make system calls: the whole shard waits for it. It
/// is made anew on every shard by the flow's closure; what the shards share has to be `Sync`. Name
/// the types of its arguments: a closure is made before the compiler knows the stream.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use frazil::{ForEach, Keyed, Sink, SinkWriter};
///
/// let highest = Arc::new(AtomicU64::new(0));
/// let seen = Arc::clone(&highest);
/// let sink = ForEach::new(move |(_word, count): (&str, &u64)| {
///     seen.fetch_max(*count, Ordering::Relaxed);
/// });
/// // In the flow: `.sink(sink)`. What a shard does with it:
/// let mut writer = Sink::<Keyed<str, u64>>::writer(&sink)?;
/// SinkWriter::<Keyed<str, u64>>::write(&mut writer, ("ice", &7), &mut Vec::new())?;
/// assert_eq!(highest.load(Ordering::Relaxed), 7);
/// # Ok::<(), frazil::SinkError>(())
/// ```
pub struct ForEach<F> {
    call: Rc<F>,
}

impl<F> ForEach<F> {
    /// Calls `call` for each record.
    #[must_use]
    pub fn new(call: F) -> Self {
        Self {
            call: Rc::new(call),
        }
    }
}

impl<R, F> Sink<R> for ForEach<F>
where
    R: Record + ?Sized,
    F: for<'a> Fn(R::Ref<'a>) + 'static,
{
    type Writer = ForEachWriter<F>;

    fn name(&self) -> String {
        "function call".to_owned()
    }

    fn committer(&self) -> Result<Box<dyn Committer>, SinkError> {
        Ok(Box::new(NothingToCommit))
    }

    fn writer(&self) -> Result<ForEachWriter<F>, SinkError> {
        Ok(ForEachWriter {
            call: Rc::clone(&self.call),
        })
    }
}

/// Calls the function of a [`ForEach`] on one shard.
pub struct ForEachWriter<F> {
    call: Rc<F>,
}

impl<R, F> SinkWriter<R> for ForEachWriter<F>
where
    R: Record + ?Sized,
    F: for<'a> Fn(R::Ref<'a>) + 'static,
{
    #[inline]
    fn write(&mut self, record: R::Ref<'_>, _rows: &mut Vec<u8>) -> Result<(), SinkError> {
        (self.call)(record);
        Ok(())
    }
}
