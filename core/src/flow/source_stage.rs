//! The stage that reads a source's splits.

use std::rc::Rc;

use super::build_context::{AssignedSplit, BuildContext};
use super::chain::{Chain, Operator};
use super::error::FlowError;
use super::stage::{Progress, SplitPosition, Stage};
use crate::in_flight::FlightStep;
use crate::shard::Context;
use crate::source::{ReadStatus, Source, SourceError, SplitReader};

/// Records that one slice reads at most.
const SLICE_RECORDS: usize = 256;
/// Records that are read between two looks at the tail's room, and from one split in a row.
const RUN_RECORDS: usize = 64;

/// The front of a chain that begins with a source.
pub struct SourceHead<S> {
    source: Rc<S>,
    operator: u32,
}

impl<S> SourceHead<S> {
    pub(super) fn new(source: Rc<S>, operator: u32) -> Self {
        Self { source, operator }
    }
}

impl<S: Source> Chain for SourceHead<S> {
    type Out = S::Record;

    fn build<N: Operator<S::Record>>(
        self,
        next: N,
        context: &mut BuildContext<'_>,
    ) -> Result<Box<dyn Stage>, FlowError> {
        let name = self.source.name();
        let mut splits = Vec::new();
        let mut positions = Vec::new();
        for assigned in context.take_splits(self.operator) {
            let opened = open_split(&*self.source, &assigned);
            splits.push(opened.map_err(|source| FlowError::Source {
                name: name.clone(),
                source,
            })?);
            positions.push(SplitPosition {
                operator: assigned.operator,
                split_id: assigned.split.id,
                description: assigned.split.description,
                position: assigned.position.unwrap_or_default(),
                finished: assigned.finished,
            });
        }
        Ok(Box::new(SourceStage {
            index: context.stage,
            name,
            splits,
            positions,
            turn: 0,
            barrier: 0,
            is_stopped: false,
            is_held: false,
            is_ended: false,
            is_published: true,
            next,
        }))
    }
}

fn open_split<S: Source>(
    source: &S,
    assigned: &AssignedSplit,
) -> Result<OpenSplit<S::Reader>, SourceError> {
    let reader = if assigned.finished {
        None
    } else {
        Some(source.open(&assigned.split, assigned.position.as_deref())?)
    };
    Ok(OpenSplit {
        reader,
        has_ended: assigned.finished,
    })
}

/// A split that ended keeps its reader until a barrier has noted its last position.
struct OpenSplit<T> {
    reader: Option<T>,
    has_ended: bool,
}

struct SourceStage<T, N> {
    index: u32,
    name: String,
    splits: Vec<OpenSplit<T>>,
    /// One for each split, as of the last barrier.
    positions: Vec<SplitPosition>,
    /// The split to read next.
    turn: usize,
    /// The last barrier injected.
    barrier: u64,
    /// Whether that was the last one ever.
    is_stopped: bool,
    /// Whether the barrier was passed on and the shard not frozen yet.
    is_held: bool,
    /// Whether the end was passed on.
    is_ended: bool,
    is_published: bool,
    next: N,
}

impl<T: SplitReader, N: Operator<T::Record>> SourceStage<T, N> {
    /// Reads the splits in turn until the slice is full, the tail is, or no split has anything.
    fn read(&mut self, cx: &mut Context<'_>) -> Progress {
        let mut left = SLICE_RECORDS;
        let mut idle_in_a_row = 0;
        while left > 0 && idle_in_a_row < self.splits.len() && self.next.has_room(cx) {
            let (count, has_more) = self.read_run(left.min(RUN_RECORDS), cx);
            if cx.failure.is_some() {
                break;
            }
            // A run without a record counts too: a reader may skip for long.
            left = left.saturating_sub(count.max(usize::from(has_more)));
            idle_in_a_row = if has_more { 0 } else { idle_in_a_row + 1 };
        }
        match left {
            SLICE_RECORDS => Progress::Waiting,
            _ => Progress::of_input(left),
        }
    }

    /// Reads up to `limit` records of one split; gives how many came and whether there may be more.
    fn read_run(&mut self, limit: usize, cx: &mut Context<'_>) -> (usize, bool) {
        let split_count = self.splits.len();
        let split = &mut self.splits[self.turn];
        self.turn = (self.turn + 1) % split_count;
        let Some(reader) = split.reader.as_mut().filter(|_| !split.has_ended) else {
            return (0, false);
        };
        let next = &mut self.next;
        let mut count = 0;
        let status = reader.poll(limit, &mut |record| {
            count += 1;
            next.record(record, cx);
        });
        cx.statistics.count_records(count as u64);
        match status {
            Ok(ReadStatus::More) => (count, true),
            Ok(ReadStatus::Idle) => (count, false),
            Ok(ReadStatus::End) => {
                split.has_ended = true;
                (count, false)
            }
            Err(source) => {
                let name = self.name.clone();
                cx.fail(FlowError::Source { name, source });
                (count, false)
            }
        }
    }

    fn publish(&mut self, cx: &mut Context<'_>) -> bool {
        let had_leftovers = !self.is_published;
        self.is_published = self.next.publish(cx);
        had_leftovers && self.is_published
    }
}

impl<T: SplitReader, N: Operator<T::Record>> Stage for SourceStage<T, N> {
    fn run(&mut self, cx: &mut Context<'_>) -> Progress {
        let handed_on = Progress::of(self.publish(cx));
        if self.is_ended || self.is_stopped || cx.sources_held {
            return handed_on;
        }
        cx.stamp_ns = cx.now_ns;
        let mut progress = handed_on.max(self.read(cx));
        // Not between the barrier and the freeze: operators write what they keep when they end.
        if !self.is_held && self.splits.iter().all(|split| split.has_ended) {
            self.next.end(cx);
            self.is_ended = true;
            progress = progress.max(Progress::Worked);
        }
        self.is_published = self.next.publish(cx);
        progress
    }

    fn inject(&mut self, epoch: u64, last: bool, cx: &mut Context<'_>) {
        for (split, noted) in self.splits.iter_mut().zip(&mut self.positions) {
            let Some(reader) = &split.reader else {
                continue;
            };
            noted.position.clear();
            reader.position(&mut noted.position);
            noted.finished = split.has_ended;
            if split.has_ended {
                split.reader = None;
            }
        }
        self.barrier = epoch;
        self.is_stopped = last;
        if !self.is_ended {
            self.next.barrier(epoch, cx);
            self.is_held = true;
            self.is_published = false;
        }
    }

    fn drain(&mut self) {
        for split in &mut self.splits {
            split.has_ended = true;
        }
    }

    fn is_aligned(&self, epoch: u64) -> bool {
        self.barrier >= epoch || self.is_ended
    }

    fn release(&mut self) {
        self.is_held = false;
    }

    fn may_cut(&self) -> bool {
        true
    }

    fn cut(&mut self, epoch: u64, _cx: &mut Context<'_>) {
        self.next.in_flight(&mut FlightStep::Cut(epoch));
    }

    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool {
        self.next.in_flight(step)
    }

    fn is_done(&self) -> bool {
        self.is_ended
    }

    fn has_emitted_finals(&self) -> bool {
        false
    }

    fn is_finished(&self) -> bool {
        self.is_ended && self.is_published
    }

    fn positions(&self) -> &[SplitPosition] {
        &self.positions
    }

    fn index(&self) -> u32 {
        self.index
    }
}
