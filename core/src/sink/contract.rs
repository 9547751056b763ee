//! What a sink promises so that no row is lost and none appears twice.

use super::SinkError;
use crate::flow::Record;

/// Where records go: writers on the shards, which make rows of them, and one committer, which makes
/// the rows appear.
///
/// # The exactly-once contract
/// A record's row appears exactly once, whatever crashes, if the three parts keep these promises:
///
/// 1. **A writer only makes bytes.** [`SinkWriter::write`] appends to the buffer it is given and
///    has no other effect. After a crash the records since the restored checkpoint are written
///    again.
/// 2. **Frazil assigns rows to epochs.** Rows of records in front of barrier n go to
///    [`Committer::stage`] with epoch n or an earlier one, in any order between shards, all before
///    [`Committer::pre_commit`]`(n)`. Rows stay invisible, and need not survive anything yet.
/// 3. **A pre-commit is a promise.** When `pre_commit(n)` has returned, all rows staged for epochs
///    up to n and not committed are durable (where the sink keeps its output beyond the process),
///    and the bytes it returned are all that is needed to commit them, in this process or another.
/// 4. **The checkpoint decides.** Frazil puts these bytes into the manifest of checkpoint n. If it
///    becomes durable, `commit(n)` follows. If it does not, nothing follows: the rows stay staged
///    and are part of the next pre-commit.
/// 5. **A commit can be repeated.** It makes exactly the rows of `pre_commit(n)` appear; again, it
///    does nothing. A commit that failed is repeated or is made good by a later one.
/// 6. **Recovery finishes or takes back.** [`Committer::recover`] finishes the commit of the
///    restored checkpoint, and makes everything later as if it had never been. Where committed
///    output cannot be taken back, [`Committer::can_retract`] says so, and Frazil does not fall
///    back past a checkpoint whose output may have been committed.
///
/// A sink that does more in `write` than make bytes (as [`ForEach`](super::ForEach)) is
/// at-least-once across a crash. In [`CheckpointMode::AtLeastOnce`](crate::CheckpointMode) all
/// sinks are: the promises hold, but records are read again whose rows were committed.
///
/// The flow's closure makes the sink once for planning, where its committer is taken, and once on
/// every shard, where its writer is taken.
///
/// # Examples
/// A sink that writes one line for each number, into the files of another sink:
/// ```
/// use frazil::{Committer, CsvFiles, Sink, SinkError, SinkWriter};
///
/// struct Lines(CsvFiles);
/// struct LineWriter;
///
/// impl Sink<u64> for Lines {
///     type Writer = LineWriter;
///
///     fn name(&self) -> String {
///         "lines".to_owned()
///     }
///
///     fn committer(&self) -> Result<Box<dyn Committer>, SinkError> {
///         Sink::<u64>::committer(&self.0)
///     }
///
///     fn writer(&self) -> Result<LineWriter, SinkError> {
///         Ok(LineWriter)
///     }
/// }
///
/// impl SinkWriter<u64> for LineWriter {
///     fn write(&mut self, record: &u64, rows: &mut Vec<u8>) -> Result<(), SinkError> {
///         rows.extend_from_slice(format!("{record:x}\n").as_bytes());
///         Ok(())
///     }
/// }
/// ```
pub trait Sink<R: Record + ?Sized>: 'static {
    /// Makes rows of records.
    type Writer: SinkWriter<R>;

    /// What the sink is, for messages and statistics: a few words.
    fn name(&self) -> String;

    /// Opens the output; called once, on the starting thread, which may wait for it.
    ///
    /// # Errors
    /// Whatever keeps the sink from being written to, as early as it can be known.
    fn committer(&self) -> Result<Box<dyn Committer>, SinkError>;

    /// The writer of the shard that calls.
    ///
    /// # Errors
    /// Whatever keeps records from being written.
    fn writer(&self) -> Result<Self::Writer, SinkError>;
}

/// Makes rows of records, on one shard.
pub trait SinkWriter<R: Record + ?Sized>: 'static {
    /// Appends the row of `record` to `rows`. It never blocks and makes no system call.
    ///
    /// # Errors
    /// Ends the job.
    fn write(&mut self, record: R::Ref<'_>, rows: &mut Vec<u8>) -> Result<(), SinkError>;
}

/// Makes the rows of all shards appear; lives on the checkpoint writer's thread, and may block.
///
/// The calls of one job are: `recover` once, and then in turn any number of `stage`,
/// `pre_commit(n)`, and `commit(n)` if checkpoint n became durable. Epochs only grow.
pub trait Committer: Send + 'static {
    /// Brings the output to the state of the restored checkpoint, or of a start without one.
    ///
    /// Exactly what `pre_commit` of the restored checkpoint listed is committed, and everything
    /// later is dropped or taken back. Can be repeated, also after a crash in the middle of it.
    ///
    /// # Errors
    /// If that is not possible, and for a start without a checkpoint if there is output of another
    /// run.
    fn recover(&mut self, restored: Option<Restored<'_>>) -> Result<(), SinkError>;

    /// Whether there could be a start without a checkpoint; asked before anything is changed for
    /// it.
    ///
    /// # Errors
    /// What `recover` without a checkpoint would refuse, above all output of another run.
    fn check_fresh(&self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Whether `recover` can take back output that was committed after the restored checkpoint.
    fn can_retract(&self) -> bool;

    /// Adds rows, as writers made them, to an epoch: all of them or none.
    ///
    /// # Errors
    /// The same call is repeated later, unless the error [is fatal](SinkError::is_fatal).
    fn stage(&mut self, epoch: u64, rows: &[u8]) -> Result<(), SinkError>;

    /// Makes everything durable that was staged for epochs up to `epoch` and not committed; the
    /// bytes returned go into the manifest.
    ///
    /// # Errors
    /// The checkpoint is dropped; the rows are part of the next one, unless the error
    /// [is fatal](SinkError::is_fatal).
    fn pre_commit(&mut self, epoch: u64) -> Result<Vec<u8>, SinkError>;

    /// Makes the rows of `pre_commit(epoch)` appear; called after its manifest is durable.
    ///
    /// # Errors
    /// The call is repeated, or one for a later epoch takes its place.
    fn commit(&mut self, epoch: u64) -> Result<(), SinkError>;
}

/// The checkpoint that a job goes on from, as far as a sink is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored<'a> {
    /// Its number: the last epoch whose rows belong to it.
    pub checkpoint: u64,
    /// What [`Committer::pre_commit`] returned for it.
    pub pre_commit: &'a [u8],
}
