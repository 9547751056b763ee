//! A source of keys that emits as far as it is allowed to.

use super::keys::Keys;
use frazil::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Opens and closes a [`GatedSource`]; clones are the same gate. Closed at first.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Levels>);

/// Apart from each other, because one is written by the shard and one by the bench.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Level(AtomicU64);

#[derive(Debug, Default)]
struct Levels {
    limit: Level,
    emitted: Level,
}

impl Gate {
    /// Allows all records before `position`, and none behind.
    pub fn allow(&self, position: u64) {
        self.0.limit.0.store(position, Ordering::Relaxed);
    }

    /// Allows all records.
    pub fn open(&self) {
        self.allow(u64::MAX);
    }

    /// Allows no further record. The source may emit one more run.
    pub fn close(&self) {
        self.allow(0);
    }

    /// Records emitted so far.
    #[must_use]
    pub fn emitted(&self) -> u64 {
        self.0.emitted.0.load(Ordering::Relaxed)
    }
}

/// Emits keys in one split, as far as its gate allows.
#[derive(Clone, Debug)]
pub struct GatedSource {
    keys: Keys,
    gate: Gate,
}

impl GatedSource {
    /// The keys behind `gate`.
    #[must_use]
    pub fn new(keys: Keys, gate: Gate) -> Self {
        Self { keys, gate }
    }
}

impl Source for GatedSource {
    type Record = u64;
    type Reader = GatedReader;

    fn name(&self) -> String {
        "keys".to_owned()
    }

    fn plan(&self, _shard_count: usize) -> Result<SourcePlan, SourceError> {
        let split = Split {
            id: 0,
            description: Vec::new(),
        };
        Ok(SourcePlan {
            fingerprint: self.keys.count(),
            replayable: true,
            splits: vec![split],
        })
    }

    fn open(&self, _split: &Split, position: Option<&[u8]>) -> Result<GatedReader, SourceError> {
        let next = match position {
            None => 0,
            Some(bytes) => u64::from_le_bytes(
                bytes
                    .try_into()
                    .map_err(|_| SourceError::bad_position("keys", "8 bytes", bytes))?,
            ),
        };
        Ok(GatedReader {
            keys: self.keys,
            gate: self.gate.clone(),
            next,
        })
    }
}

/// Reads the one split of a [`GatedSource`].
#[derive(Debug)]
pub struct GatedReader {
    keys: Keys,
    gate: Gate,
    next: u64,
}

impl SplitReader for GatedReader {
    type Record = u64;

    #[inline]
    fn poll(
        &mut self,
        limit: usize,
        emit: &mut impl for<'a> FnMut(&'a u64),
    ) -> Result<ReadStatus, SourceError> {
        let allowed = self.gate.0.limit.0.load(Ordering::Relaxed);
        let end = allowed.min(self.next.saturating_add(limit as u64));
        if end <= self.next {
            return Ok(ReadStatus::Idle);
        }
        for position in self.next..end {
            emit(&self.keys.at(position));
        }
        self.next = end;
        self.gate.0.emitted.0.store(end, Ordering::Relaxed);
        Ok(ReadStatus::More)
    }

    fn position(&self, position: &mut Vec<u8>) {
        position.extend_from_slice(&self.next.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emits_what_the_gate_allows_and_resumes_at_its_position() {
        let gate = Gate::default();
        let source = GatedSource::new(Keys::new(100), gate.clone());
        let split = source.plan(1).unwrap().splits.remove(0);
        let mut reader = source.open(&split, None).unwrap();
        let take = |reader: &mut GatedReader| {
            let mut taken = Vec::new();
            let status = reader.poll(4, &mut |key: &u64| taken.push(*key)).unwrap();
            (taken, status)
        };
        assert_eq!(take(&mut reader), (vec![], ReadStatus::Idle));
        gate.allow(6);
        assert_eq!(take(&mut reader), (vec![0, 1, 2, 3], ReadStatus::More));
        assert_eq!(take(&mut reader), (vec![4, 5], ReadStatus::More));
        assert_eq!(take(&mut reader).1, ReadStatus::Idle);
        assert_eq!(gate.emitted(), 6);
        let mut position = Vec::new();
        reader.position(&mut position);
        let mut resumed = source.open(&split, Some(&position)).unwrap();
        gate.open();
        assert_eq!(take(&mut resumed).0, [6, 7, 8, 9]);
        gate.close();
        assert_eq!(take(&mut resumed).1, ReadStatus::Idle);
        assert!(source.open(&split, Some(&[1])).is_err());
    }
}
