//! Records that an iterator makes.

use frazil_state::Value;

use super::splits::{decode, encode, split_count};
use super::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader};

const NAME: &str = "iterator";

/// Emits what iterators give, one for each split; replayable if they are deterministic.
///
/// The position of a split is the number of records taken, and resuming skips as many with
/// [`Iterator::nth`]: give iterators a cheap `nth` (as ranges have) where splits are long. Frazil
/// cannot notice that the function makes other records than when the checkpoint was made.
///
/// # Examples
/// ```
/// use frazil::{Iter, Source};
///
/// // All numbers below a million, dealt out to the splits.
/// let source = Iter::new(|split, split_count| (split as u64..1_000_000).step_by(split_count));
/// assert_eq!(source.plan(3)?.splits.len(), 9);
/// # Ok::<(), frazil::SourceError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Iter<F> {
    make: F,
    split_count: Option<usize>,
}

impl<F, I> Iter<F>
where
    F: Fn(usize, usize) -> I,
    I: Iterator,
{
    /// Calls `make(split, split_count)` for the records of each split, numbered from 0.
    ///
    /// It has to give the same records for the same arguments, always.
    pub fn new(make: F) -> Self {
        Self {
            make,
            split_count: None,
        }
    }

    /// Fixes the number of splits, for example to one; else there are at least eight and equally
    /// many for each shard.
    ///
    /// # Panics
    /// If `split_count` is zero.
    #[must_use]
    pub fn splits(self, split_count: usize) -> Self {
        assert!(split_count > 0, "a source needs at least one split");
        Self {
            split_count: Some(split_count),
            ..self
        }
    }
}

impl<F, I> Source for Iter<F>
where
    F: Fn(usize, usize) -> I + 'static,
    I: Iterator + 'static,
    I::Item: Value + Clone + Send,
{
    type Record = I::Item;
    type Reader = IterReader<I>;

    fn name(&self) -> String {
        NAME.to_owned()
    }

    fn plan(&self, shard_count: usize) -> Result<SourcePlan, SourceError> {
        let split_count = self.split_count.unwrap_or_else(|| split_count(shard_count)) as u64;
        let splits = (0..split_count).map(|id| {
            let mut description = Vec::new();
            encode(&[split_count], &mut description);
            Split { id, description }
        });
        Ok(SourcePlan {
            fingerprint: 0,
            replayable: true,
            splits: splits.collect(),
        })
    }

    fn open(&self, split: &Split, position: Option<&[u8]>) -> Result<IterReader<I>, SourceError> {
        let numbers = decode(&split.description)
            .map(|[split_count]| (usize::try_from(split.id), usize::try_from(split_count)));
        let Some((Ok(index), Ok(split_count))) = numbers else {
            let expected = "the number of splits in 8 bytes";
            return Err(SourceError::bad_position(
                NAME,
                expected,
                &split.description,
            ));
        };
        let mut records = (self.make)(index, split_count);
        let taken = position.map_or(Ok(0), |bytes| skip(&mut records, bytes))?;
        Ok(IterReader { records, taken })
    }
}

/// Moves `records` to a position and gives the number of records before it.
fn skip(records: &mut impl Iterator, position: &[u8]) -> Result<u64, SourceError> {
    let bad = |expected: &str| SourceError::bad_position(NAME, expected, position);
    let [taken] = decode(position).ok_or_else(|| bad("a number of records in 8 bytes"))?;
    let index = usize::try_from(taken).map_err(|_| bad("a number of records in memory's range"))?;
    if let Some(last) = index.checked_sub(1)
        && records.nth(last).is_none()
    {
        return Err(bad("an iterator that gives the same records each time"));
    }
    Ok(taken)
}

/// Reads one split of [`Iter`].
pub struct IterReader<I> {
    records: I,
    taken: u64,
}

impl<I> SplitReader for IterReader<I>
where
    I: Iterator + 'static,
    I::Item: Value + Clone + Send,
{
    type Record = I::Item;

    #[inline]
    fn poll(
        &mut self,
        limit: usize,
        emit: &mut impl for<'a> FnMut(&'a I::Item),
    ) -> Result<ReadStatus, SourceError> {
        for _ in 0..limit {
            let Some(record) = self.records.next() else {
                return Ok(ReadStatus::End);
            };
            self.taken += 1;
            emit(&record);
        }
        Ok(ReadStatus::More)
    }

    fn position(&self, position: &mut Vec<u8>) {
        encode(&[self.taken], position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take<T: SplitReader<Record = u64>>(reader: &mut T, limit: usize) -> (Vec<u64>, ReadStatus) {
        let mut taken = Vec::new();
        let status = reader.poll(limit, &mut |record: &u64| taken.push(*record));
        (taken, status.unwrap())
    }

    #[test]
    fn reading_resumes_behind_any_record() {
        let source = Iter::new(|split, split_count| (split as u64..20).step_by(split_count));
        let plan = source.splits(3).plan(2).unwrap();
        let source = Iter::new(|split, split_count| (split as u64..20).step_by(split_count));
        let split = &plan.splits[1];
        for count in 0..=7 {
            let mut reader = source.open(split, None).unwrap();
            let (mut records, _) = take(&mut reader, count);
            let mut position = Vec::new();
            reader.position(&mut position);
            let mut resumed = source.open(split, Some(&position)).unwrap();
            let (rest, status) = take(&mut resumed, 100);
            records.extend(rest);
            assert_eq!(records, [1, 4, 7, 10, 13, 16, 19], "after {count}");
            assert_eq!(status, ReadStatus::End);
        }
    }

    #[test]
    fn a_position_behind_the_end_is_refused() {
        let source = Iter::new(|_, _| 0_u64..3);
        let split = source.plan(1).unwrap().splits.remove(0);
        assert!(source.open(&split, Some(&3_u64.to_le_bytes())).is_ok());
        for bad in [&4_u64.to_le_bytes()[..], &[1, 2, 3]] {
            let opened = source.open(&split, Some(bad));
            assert!(matches!(opened, Err(SourceError::BadPosition { .. })));
        }
    }
}
