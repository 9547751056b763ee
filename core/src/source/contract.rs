//! What a source promises so that no record is lost and none comes twice.

use super::SourceError;
use crate::flow::Record;

/// Where records come from, cut into splits that are read independently.
///
/// # The exactly-once contract
/// A record is applied to the state exactly once, whatever crashes, if a source keeps these
/// promises:
///
/// 1. **A split is a sequence.** Reading a split gives the same records in the same order each
///    time, on any shard, in any process. What happens between records (how they are grouped into
///    polls, when a reader is idle) may differ.
/// 2. **A position is a place in the sequence.** [`SplitReader::position`], asked between two
///    polls, names the place behind the last record that was emitted. A reader opened there emits
///    exactly what follows. Positions of finished splits are kept, but such a split is not opened
///    again.
/// 3. **Splits belong to the plan.** No record is in two splits. A split's `description` says all
///    that is needed to read it: it is kept in every checkpoint, and a restored job opens the
///    splits of the checkpoint, also on another number of shards.
/// 4. **The fingerprint stands for the input.** If the records of any split could differ,
///    [`SourcePlan::fingerprint`] differs, as far as the source can notice at a reasonable cost. A
///    job is not restored over an input with another fingerprint.
/// 5. **Nothing is dropped silently.** What cannot be read is an error, not the end of the split.
///
/// Frazil notes the positions of all splits at a barrier, makes them part of the checkpoint, and
/// after a crash opens the splits at the positions of the checkpoint that it restores. A source
/// that cannot read records twice says so by [`SourcePlan::replayable`]; then what was emitted
/// after the last checkpoint is gone with a crash, unless it is given again from outside.
///
/// # Examples
/// A source of one split that counts to ten:
/// ```
/// use frazil::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader};
///
/// struct Ten;
/// struct TenReader(u64);
///
/// impl Source for Ten {
///     type Record = u64;
///     type Reader = TenReader;
///
///     fn name(&self) -> String {
///         "ten numbers".to_owned()
///     }
///
///     fn plan(&self, _shard_count: usize) -> Result<SourcePlan, SourceError> {
///         let splits = vec![Split { id: 0, description: Vec::new() }];
///         Ok(SourcePlan { fingerprint: 10, replayable: true, splits })
///     }
///
///     fn open(&self, _: &Split, position: Option<&[u8]>) -> Result<TenReader, SourceError> {
///         let Some(position) = position else {
///             return Ok(TenReader(0));
///         };
///         match position.try_into() {
///             Ok(count) => Ok(TenReader(u64::from_le_bytes(count))),
///             Err(_) => Err(SourceError::bad_position("ten numbers", "8 bytes", position)),
///         }
///     }
/// }
///
/// impl SplitReader for TenReader {
///     type Record = u64;
///
///     fn poll(
///         &mut self,
///         limit: usize,
///         emit: &mut impl for<'a> FnMut(&'a u64),
///     ) -> Result<ReadStatus, SourceError> {
///         for _ in 0..limit {
///             if self.0 == 10 {
///                 return Ok(ReadStatus::End);
///             }
///             self.0 += 1;
///             emit(&self.0);
///         }
///         Ok(ReadStatus::More)
///     }
///
///     fn position(&self, position: &mut Vec<u8>) {
///         position.extend_from_slice(&self.0.to_le_bytes());
///     }
/// }
/// ```
pub trait Source: 'static {
    /// What the source emits.
    type Record: Record + ?Sized;
    /// Reads one split.
    type Reader: SplitReader<Record = Self::Record>;

    /// What the source is, for messages and statistics: a few words.
    fn name(&self) -> String;

    /// Finds out what there is to read; called once, on the starting thread, which may wait for it.
    ///
    /// More splits than shards let the job go on later with more shards.
    ///
    /// # Errors
    /// Whatever keeps the source from being read, as early as it can be known.
    fn plan(&self, shard_count: usize) -> Result<SourcePlan, SourceError>;

    /// Starts reading `split` from `position`, or from its start; called on the shard that will
    /// read it.
    ///
    /// # Errors
    /// [`SourceError::BadPosition`] for bytes that [`SplitReader::position`] did not write, and
    /// whatever keeps the split from being read.
    fn open(&self, split: &Split, position: Option<&[u8]>) -> Result<Self::Reader, SourceError>;
}

/// What a source has to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlan {
    /// Differs if the input does; kept in every checkpoint.
    pub fingerprint: u64,
    /// Whether splits can be read again from an earlier position.
    pub replayable: bool,
    /// The pieces, each with an id of its own.
    pub splits: Vec<Split>,
}

/// A piece of a source that is read in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Tells the splits of one source apart.
    pub id: u64,
    /// What [`Source::open`] needs to know; a few bytes, since every checkpoint holds them.
    pub description: Vec<u8>,
}

/// Reads the records of one split, on the shard that opened it.
pub trait SplitReader: 'static {
    /// What the reader emits.
    type Record: Record + ?Sized;

    /// Emits up to `limit` records, and says what is to be expected.
    ///
    /// It never blocks and makes no system call: where the input is slow, another thread reads
    /// ahead.
    ///
    /// # Errors
    /// Ends the job. The records emitted before stay emitted.
    fn poll(
        &mut self,
        limit: usize,
        emit: &mut impl for<'a> FnMut(<Self::Record as Record>::Ref<'a>),
    ) -> Result<ReadStatus, SourceError>;

    /// Appends the position behind the last record that was emitted; also asked after the end.
    fn position(&self, position: &mut Vec<u8>);
}

/// What a reader expects after a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadStatus {
    /// There may be more at once.
    More,
    /// Nothing for now: ask again later.
    Idle,
    /// There will never be more.
    End,
}
