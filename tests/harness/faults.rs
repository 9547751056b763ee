//! Failures planted into user code: each fires once, at a chosen pass of a chosen place.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use frazil::{
    Committer, CsvFiles, CsvWriter, Iter, IterReader, ReadStatus, Restored, Sink, SinkError,
    SinkWriter, Source, SourceError, SourcePlan, Split, SplitReader,
};

/// Code of the user that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The flow's closure itself, in the plan and on shards.
    Closure,
    /// A source's reader, between two records.
    Source,
    /// An operator in front of the key.
    Operator,
    /// A function that has changed half of a value.
    State,
    /// A sink's writer, with half a row written.
    Writer,
    /// A committer that is given rows.
    Stage,
    /// A committer that makes rows durable.
    PreCommit,
    /// A committer after the checkpoint was published, before its output is visible.
    Commit,
}

impl Place {
    /// All places.
    pub const ALL: [Self; 8] = [
        Self::Closure,
        Self::Source,
        Self::Operator,
        Self::State,
        Self::Writer,
        Self::Stage,
        Self::PreCommit,
        Self::Commit,
    ];
}

/// The failures of a run; clones are the same plan.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<BTreeMap<Place, Planted>>>);

#[derive(Debug, Default)]
struct Planted {
    passes: u64,
    at: BTreeSet<u64>,
}

impl Faults {
    /// Lets the pass number `pass` of `place` fail, counted from 1 over all shards and restarts.
    pub fn plant(&self, place: Place, pass: u64) {
        self.with(|faults| faults.entry(place).or_default().at.insert(pass));
    }

    /// Failures that did not happen yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.with(|faults| faults.values().map(|planted| planted.at.len()).sum())
    }

    /// Unwinds if a failure is planted here, without the message that a panic prints.
    pub fn pass(&self, place: Place) {
        let fails = self.with(|faults| {
            let planted = faults.entry(place).or_default();
            planted.passes += 1;
            planted.at.remove(&planted.passes)
        });
        if fails {
            resume_unwind(Box::new(format!("planted in {place:?}")));
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<Place, Planted>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Numbers from a source that can fail.
pub struct FragileNumbers<F> {
    /// The numbers.
    pub numbers: Iter<F>,
    /// Its failures.
    pub faults: Faults,
}

/// Reads one split of [`FragileNumbers`].
pub struct FragileReader<I> {
    numbers: IterReader<I>,
    faults: Faults,
}

impl<F, I> Source for FragileNumbers<F>
where
    F: Fn(usize, usize) -> I + 'static,
    I: Iterator<Item = u64> + 'static,
{
    type Record = u64;
    type Reader = FragileReader<I>;

    fn name(&self) -> String {
        self.numbers.name()
    }

    fn plan(&self, shard_count: usize) -> Result<SourcePlan, SourceError> {
        self.numbers.plan(shard_count)
    }

    fn open(&self, split: &Split, position: Option<&[u8]>) -> Result<Self::Reader, SourceError> {
        Ok(FragileReader {
            numbers: self.numbers.open(split, position)?,
            faults: self.faults.clone(),
        })
    }
}

impl<I: Iterator<Item = u64> + 'static> SplitReader for FragileReader<I> {
    type Record = u64;

    fn poll(
        &mut self,
        limit: usize,
        emit: &mut impl for<'a> FnMut(&'a u64),
    ) -> Result<ReadStatus, SourceError> {
        self.numbers.poll(limit, &mut |number: &u64| {
            self.faults.pass(Place::Source);
            emit(number);
        })
    }

    fn position(&self, position: &mut Vec<u8>) {
        self.numbers.position(position);
    }
}

/// CSV files whose writers and committer can fail.
pub struct FragileFiles {
    /// The files.
    pub files: CsvFiles,
    /// Their failures.
    pub faults: Faults,
}

/// Writes rows of one shard.
pub struct FragileWriter {
    writer: CsvWriter,
    faults: Faults,
}

struct FragileCommitter {
    committer: Box<dyn Committer>,
    faults: Faults,
}

type Count = (String, u64);

impl Sink<Count> for FragileFiles {
    type Writer = FragileWriter;

    fn name(&self) -> String {
        Sink::<Count>::name(&self.files)
    }

    fn committer(&self) -> Result<Box<dyn Committer>, SinkError> {
        Ok(Box::new(FragileCommitter {
            committer: Sink::<Count>::committer(&self.files)?,
            faults: self.faults.clone(),
        }))
    }

    fn writer(&self) -> Result<FragileWriter, SinkError> {
        Ok(FragileWriter {
            writer: Sink::<Count>::writer(&self.files)?,
            faults: self.faults.clone(),
        })
    }
}

impl SinkWriter<Count> for FragileWriter {
    fn write(&mut self, row: &Count, rows: &mut Vec<u8>) -> Result<(), SinkError> {
        let whole = rows.len();
        rows.extend_from_slice(b"half a r");
        self.faults.pass(Place::Writer);
        rows.truncate(whole);
        SinkWriter::<Count>::write(&mut self.writer, row, rows)
    }
}

impl Committer for FragileCommitter {
    fn recover(&mut self, restored: Option<Restored<'_>>) -> Result<(), SinkError> {
        self.committer.recover(restored)
    }

    fn can_retract(&self) -> bool {
        self.committer.can_retract()
    }

    fn stage(&mut self, epoch: u64, rows: &[u8]) -> Result<(), SinkError> {
        self.faults.pass(Place::Stage);
        self.committer.stage(epoch, rows)
    }

    fn pre_commit(&mut self, epoch: u64) -> Result<Vec<u8>, SinkError> {
        self.faults.pass(Place::PreCommit);
        self.committer.pre_commit(epoch)
    }

    fn commit(&mut self, epoch: u64) -> Result<(), SinkError> {
        self.faults.pass(Place::Commit);
        self.committer.commit(epoch)
    }
}
