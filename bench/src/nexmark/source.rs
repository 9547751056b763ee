//! Events that were made beforehand, read once or again and again.

use super::event::Event;
use frazil::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader};
use std::sync::Arc;

/// Reads events from memory, in one split for each shard.
#[derive(Clone)]
pub(super) struct EventSource {
    pub(super) events: Arc<Vec<Event>>,
    /// Whether the first event follows the last one again, without an end.
    pub(super) is_endless: bool,
}

impl Source for EventSource {
    type Record = Event;
    type Reader = EventReader;

    fn name(&self) -> String {
        "NEXMark events".to_owned()
    }

    fn plan(&self, shard_count: usize) -> Result<SourcePlan, SourceError> {
        let shard_count = shard_count as u64;
        let splits = (0..shard_count).map(|id| Split {
            id,
            description: [id, shard_count].map(u64::to_le_bytes).concat(),
        });
        Ok(SourcePlan {
            fingerprint: self.events.len() as u64,
            replayable: true,
            splits: splits.collect(),
        })
    }

    fn open(&self, split: &Split, position: Option<&[u8]>) -> Result<EventReader, SourceError> {
        let bad = |found: &[u8]| SourceError::bad_position("NEXMark events", "8 bytes", found);
        let [part, part_count] = match split.description.as_chunks::<8>().0 {
            [part, part_count] => [part, part_count].map(|bytes| u64::from_le_bytes(*bytes)),
            _ => return Err(bad(&split.description)),
        };
        let next = match position {
            None => 0,
            Some(bytes) => u64::from_le_bytes(bytes.try_into().map_err(|_| bad(bytes))?),
        };
        let at = |part: u64| self.events.len() as u64 * part / part_count;
        Ok(EventReader {
            source: self.clone(),
            begin: at(part),
            length: at(part + 1) - at(part),
            next,
        })
    }
}

/// Reads a part of the events.
pub(super) struct EventReader {
    source: EventSource,
    begin: u64,
    length: u64,
    /// Events read so far, of all rounds.
    next: u64,
}

impl SplitReader for EventReader {
    type Record = Event;

    #[inline]
    fn poll(
        &mut self,
        limit: usize,
        emit: &mut impl for<'a> FnMut(&'a Event),
    ) -> Result<ReadStatus, SourceError> {
        if self.length == 0 || (!self.source.is_endless && self.next >= self.length) {
            return Ok(ReadStatus::End);
        }
        // Up to the end of the round.
        let offset = self.next % self.length;
        let count = (self.length - offset).min(limit as u64);
        let first = usize::try_from(self.begin + offset).expect("an index of the events");
        let count = usize::try_from(count).expect("at most the limit");
        for event in &self.source.events[first..first + count] {
            emit(event);
        }
        self.next += count as u64;
        Ok(ReadStatus::More)
    }

    fn position(&self, position: &mut Vec<u8>) {
        position.extend_from_slice(&self.next.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::events;
    use super::*;

    fn read(source: &EventSource, split: &Split, from: Option<&[u8]>, polls: u32) -> Vec<Event> {
        let mut reader = source.open(split, from).unwrap();
        let mut found = Vec::new();
        for _ in 0..polls {
            reader
                .poll(7, &mut |event: &Event| found.push(event.clone()))
                .unwrap();
        }
        found
    }

    #[test]
    fn splits_make_up_all_events_and_resume_at_their_positions() {
        let made = Arc::new(events(50));
        let source = EventSource {
            events: Arc::clone(&made),
            is_endless: false,
        };
        let plan = source.plan(3).unwrap();
        let parts = plan
            .splits
            .iter()
            .map(|split| read(&source, split, None, 10));
        assert_eq!(parts.collect::<Vec<_>>().concat(), *made);
        let resumed = read(&source, &plan.splits[1], Some(&5_u64.to_le_bytes()), 10);
        assert_eq!(resumed, made[16 + 5..33]);
        assert!(source.open(&plan.splits[0], Some(&[1])).is_err());
    }

    #[test]
    fn endless_events_begin_again() {
        let source = EventSource {
            events: Arc::new(events(10)),
            is_endless: true,
        };
        let split = source.plan(1).unwrap().splits.remove(0);
        let found = read(&source, &split, None, 4);
        assert_eq!(found.len(), 7 + 3 + 7 + 3);
        assert_eq!(found[10..], found[..10]);
    }
}
