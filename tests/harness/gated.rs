//! A source that gives only as many records as the test has allowed, so that a job is in the middle
//! of its input for as long as the test wants, however fast the machine is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use frazil::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader, TextFiles};

/// How many records may still be read; clones share the number.
#[derive(Clone, Debug)]
pub struct Gate(Arc<AtomicU64>);

impl Gate {
    /// Lets everything through.
    #[must_use]
    pub fn open() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    /// Lets nothing through until [`Gate::allow`].
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(AtomicU64::new(0)))
    }

    /// Lets `records` more through.
    pub fn allow(&self, records: u64) {
        self.change(|left| left.saturating_add(records));
    }

    fn change(&self, change: impl Fn(u64) -> u64) -> u64 {
        let changed = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(change(left))
            });
        changed.expect("always changes")
    }

    /// Takes at most `limit`; gives how many.
    fn take(&self, limit: usize) -> usize {
        let limit = limit as u64;
        let left = self.change(|left| left - left.min(limit));
        usize::try_from(left.min(limit)).expect("at most a usize")
    }
}

/// Lines of files, through a gate.
pub struct GatedText {
    pub(crate) lines: TextFiles,
    pub(crate) gate: Gate,
}

/// Reads one split of a [`GatedText`].
pub struct GatedReader {
    lines: <TextFiles as Source>::Reader,
    gate: Gate,
}

impl Source for GatedText {
    type Record = str;
    type Reader = GatedReader;

    fn name(&self) -> String {
        self.lines.name()
    }

    fn plan(&self, shard_count: usize) -> Result<SourcePlan, SourceError> {
        self.lines.plan(shard_count)
    }

    fn open(&self, split: &Split, position: Option<&[u8]>) -> Result<GatedReader, SourceError> {
        Ok(GatedReader {
            lines: self.lines.open(split, position)?,
            gate: self.gate.clone(),
        })
    }
}

impl SplitReader for GatedReader {
    type Record = str;

    fn poll(
        &mut self,
        limit: usize,
        emit: &mut impl for<'a> FnMut(&'a str),
    ) -> Result<ReadStatus, SourceError> {
        let allowed = self.gate.take(limit);
        if allowed == 0 {
            return Ok(ReadStatus::Idle);
        }
        let mut given = 0;
        let status = self.lines.poll(allowed, &mut |line: &str| {
            given += 1;
            emit(line);
        });
        self.gate.allow(allowed as u64 - given);
        status
    }

    fn position(&self, position: &mut Vec<u8>) {
        self.lines.position(position);
    }
}
