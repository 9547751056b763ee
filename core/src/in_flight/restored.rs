//! Records in flight as a checkpoint has them, on their way back into the queues of the stages.

use std::collections::{BTreeMap, VecDeque};

use frazil_state::format::InFlightPiece;
use frazil_state::{KeyGroups, KeyHash};

use super::prefixed::split_prefixed;
use super::recorder::{Channel, Route};

/// A stage that comes back with more bytes of records than this takes them before its shard cuts
/// again: else crash after crash could add what the rings hold to what is in flight. Some times
/// that of one exchange's rings.
const QUEUE_BYTES_MAX: usize = 16 << 20;

/// Batches of one stage that were in flight at the restored checkpoint.
pub(crate) struct RestoredQueue<B> {
    batches: VecDeque<B>,
    /// What their records took in the checkpoint.
    bytes: usize,
}

impl<B> Default for RestoredQueue<B> {
    fn default() -> Self {
        Self {
            batches: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<B: Default> RestoredQueue<B> {
    /// The batch for the next record, which takes so many bytes; `is_full` says of the last one.
    pub(crate) fn open_batch(
        &mut self,
        record_bytes: usize,
        is_full: impl FnOnce(&B) -> bool,
    ) -> &mut B {
        self.bytes += record_bytes;
        if self.batches.back().is_none_or(is_full) {
            self.batches.push_back(B::default());
        }
        self.batches.back_mut().expect("one was just added")
    }
}

impl<B> RestoredQueue<B> {
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&B> {
        self.batches.get(index)
    }

    pub(crate) fn pop(&mut self) -> Option<B> {
        self.batches.pop_front()
    }

    /// Whether what is left of it may be recorded again.
    pub(crate) fn may_cut(&self) -> bool {
        self.is_empty() || self.bytes <= QUEUE_BYTES_MAX
    }
}

/// All records that were in flight at the restored checkpoint.
#[derive(Debug, Default)]
pub(crate) struct RestoredInFlight {
    /// Shards that made the checkpoint.
    shard_count: usize,
    /// By channel and shard.
    channels: BTreeMap<(u32, u16), Content>,
}

#[derive(Debug)]
struct Content {
    types: u64,
    bytes: Vec<u8>,
}

/// The shard that takes records over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewOwner {
    pub(crate) shard: usize,
    pub(crate) shard_count: usize,
    pub(crate) key_groups: KeyGroups,
}

impl RestoredInFlight {
    pub(crate) fn new(shard_count: usize) -> Self {
        Self {
            shard_count,
            channels: BTreeMap::new(),
        }
    }

    /// Adds the next piece of a shard's channel.
    pub(crate) fn add(&mut self, shard: u16, piece: &InFlightPiece<'_>) {
        let content = self.channels.entry((piece.channel, shard));
        let content = content.or_insert_with(|| Content {
            types: piece.types,
            bytes: Vec::new(),
        });
        content.bytes.extend_from_slice(piece.bytes);
    }

    /// Shows the records of a channel that `owner` takes over to `take`, in their order of each
    /// shard.
    ///
    /// # Errors
    /// What was found where a record of `types` was expected.
    pub(crate) fn visit(
        &self,
        channel: Channel,
        types: u64,
        route: Route,
        owner: NewOwner,
        mut take: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), String> {
        let number = channel.number();
        for content in self.channels.range((number, 0)..=(number, u16::MAX)) {
            let content = content.1;
            if content.types != types {
                return Err(format!("types {:#x} instead of {types:#x}", content.types));
            }
            let mut rest = &content.bytes[..];
            while !rest.is_empty() {
                let Some((target, record, behind)) = split_record(rest) else {
                    return Err(format!("{} bytes of a record", rest.len()));
                };
                if self.belongs(target, route, owner) && !take(target, record) {
                    return Err(format!("{} bytes that are no record", record.len()));
                }
                rest = behind;
            }
        }
        Ok(())
    }

    fn belongs(&self, target: u64, route: Route, owner: NewOwner) -> bool {
        let shard_count = owner.shard_count as u64;
        let new_shard = match route {
            Route::Key => {
                let shard_of = owner
                    .key_groups
                    .shard_of(KeyHash(target), owner.shard_count);
                return shard_of == owner.shard;
            }
            Route::EachShard if self.shard_count != owner.shard_count => return target == 0,
            Route::Shard | Route::EachShard => {
                target * shard_count / self.shard_count.max(1) as u64
            }
        };
        new_shard == owner.shard as u64
    }
}

/// Route, content, and what follows the first record.
fn split_record(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (route, rest) = bytes.split_first_chunk()?;
    let (record, behind) = split_prefixed(rest)?;
    Some((u64::from_le_bytes(*route), record, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_is_recorded_again_only_within_a_bound() {
        let mut queue = RestoredQueue::<Vec<u8>>::default();
        assert!(queue.may_cut());
        for _ in 0..16 {
            queue.open_batch(1 << 20, |batch| !batch.is_empty()).push(1);
        }
        assert_eq!((queue.len(), queue.may_cut()), (16, true));
        queue.open_batch(1, Vec::is_empty).push(2);
        assert_eq!((queue.len(), queue.may_cut()), (16, false));
        while queue.pop().is_some() {
            assert_eq!(queue.may_cut(), queue.is_empty());
        }
    }
}
