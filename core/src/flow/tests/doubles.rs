//! A source of lines held in memory, and a sink that writes one line a record.

use std::fmt::Display;
use std::rc::Rc;

use crate::flow::{Keyed, Plain, Record};
use crate::sink::{Committer, Restored, Sink, SinkError, SinkWriter};
use crate::source::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader};
use crate::{Key, Value};

/// The lines of every split; a position is the number of lines read.
#[derive(Clone)]
pub(super) struct Lines {
    pub(super) splits: Rc<Vec<Vec<String>>>,
    /// Lines that one poll gives at most; after each the split is idle until its next turn.
    pub(super) burst: usize,
    /// Whether the source waits for more behind its last line.
    pub(super) is_endless: bool,
}

impl Lines {
    pub(super) fn new(splits: &[Vec<String>], burst: usize) -> Self {
        Self {
            splits: Rc::new(splits.to_vec()),
            burst,
            is_endless: false,
        }
    }
}

/// Reads a noted position.
pub(super) fn line_count(position: &[u8]) -> usize {
    let bytes = position.try_into().expect("a position has 8 bytes");
    usize::try_from(u64::from_le_bytes(bytes)).expect("fits memory")
}

pub(super) struct LinesReader {
    lines: Lines,
    split: usize,
    next: usize,
}

impl Source for Lines {
    type Record = str;
    type Reader = LinesReader;

    fn name(&self) -> String {
        "lines".into()
    }

    fn plan(&self, _shard_count: usize) -> Result<SourcePlan, SourceError> {
        let split = |index: usize| Split {
            id: index as u64,
            description: vec![],
        };
        Ok(SourcePlan {
            fingerprint: 1,
            replayable: true,
            splits: (0..self.splits.len()).map(split).collect(),
        })
    }

    fn open(&self, split: &Split, position: Option<&[u8]>) -> Result<LinesReader, SourceError> {
        Ok(LinesReader {
            lines: self.clone(),
            split: usize::try_from(split.id).expect("an index"),
            next: position.map_or(0, line_count),
        })
    }
}

impl SplitReader for LinesReader {
    type Record = str;

    fn poll(
        &mut self,
        limit: usize,
        emit: &mut impl for<'a> FnMut(&'a str),
    ) -> Result<ReadStatus, SourceError> {
        let rest = &self.lines.splits[self.split][self.next..];
        let count = rest.len().min(limit).min(self.lines.burst);
        rest[..count].iter().for_each(|line| emit(line));
        self.next += count;
        let has_ended = count == rest.len() && !self.lines.is_endless;
        Ok(if has_ended {
            ReadStatus::End
        } else {
            ReadStatus::Idle
        })
    }

    fn position(&self, position: &mut Vec<u8>) {
        position.extend_from_slice(&(self.next as u64).to_le_bytes());
    }
}

/// Writes `record` or `key=value` lines.
pub(super) struct Rows;

pub(super) struct RowsWriter;

pub(super) struct NoCommitter;

impl<R: Record + ?Sized> Sink<R> for Rows
where
    RowsWriter: SinkWriter<R>,
{
    type Writer = RowsWriter;

    fn name(&self) -> String {
        "rows".into()
    }

    fn committer(&self) -> Result<Box<dyn Committer>, SinkError> {
        Ok(Box::new(NoCommitter))
    }

    fn writer(&self) -> Result<RowsWriter, SinkError> {
        Ok(RowsWriter)
    }
}

impl SinkWriter<str> for RowsWriter {
    fn write(&mut self, record: &str, rows: &mut Vec<u8>) -> Result<(), SinkError> {
        rows.extend_from_slice(record.as_bytes());
        rows.push(b'\n');
        Ok(())
    }
}

impl SinkWriter<u64> for RowsWriter {
    fn write(&mut self, record: &u64, rows: &mut Vec<u8>) -> Result<(), SinkError> {
        rows.extend_from_slice(format!("{record}\n").as_bytes());
        Ok(())
    }
}

impl<K, V> SinkWriter<Keyed<K, V>> for RowsWriter
where
    K: Key + Plain + Display + ?Sized,
    V: Value + Clone + Send + Display,
{
    fn write(&mut self, (key, value): (&K, &V), rows: &mut Vec<u8>) -> Result<(), SinkError> {
        rows.extend_from_slice(format!("{key}={value}\n").as_bytes());
        Ok(())
    }
}

impl Committer for NoCommitter {
    fn recover(&mut self, _restored: Option<Restored<'_>>) -> Result<(), SinkError> {
        Ok(())
    }

    fn can_retract(&self) -> bool {
        false
    }

    fn stage(&mut self, _epoch: u64, _rows: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }

    fn pre_commit(&mut self, _epoch: u64) -> Result<Vec<u8>, SinkError> {
        Ok(vec![])
    }

    fn commit(&mut self, _epoch: u64) -> Result<(), SinkError> {
        Ok(())
    }
}
