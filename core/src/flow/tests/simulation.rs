//! Shards without threads: the test says whose turn it is, when a barrier is requested and when the
//! checkpoint writer returns its buffers.
//!
//! A shard's turn is that of the real loop: stages downstream first, injection, freeze once all
//! stages are aligned.

use std::collections::VecDeque;

use frazil_io::runtime::Bell;
use frazil_state::{KeyGroups, ScanCursor, StagingSize, Store, StoreConfig, ValueTable};

use crate::checkpoint::CheckpointMode;
use crate::flow::{AssignedSplit, BuildContext, Flow, FlowPlan, Progress, SplitPosition, Stage};
use crate::shard::{Context, FromWriter, LinkSize, ShardLink, ToWriter, WriterLink};
use crate::statistics::ShardStatistics;

/// Rounds in a row in which nobody says that it worked. Moving a barrier or an end on does not
/// count as work, and there are at most one of each for every pair of shards and exchange.
const IDLE_ROUNDS_MAX: u32 = 100;

/// Sizes of a simulated job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) shard_count: usize,
    pub(super) ring_capacity: usize,
    pub(super) buffer_count: usize,
}

/// What a completed checkpoint knows, besides the state.
#[derive(Clone, Debug, Default)]
pub(super) struct Checkpoint {
    pub(super) epoch: u64,
    pub(super) positions: Vec<SplitPosition>,
    /// Finished stages by shard.
    pub(super) finished_stages: Vec<Vec<u32>>,
    /// The counts that all shards had in a table at their freeze, sorted.
    pub(super) counts: Vec<(String, u64)>,
}

/// A row as the checkpoint writer got it.
#[derive(Clone, Debug)]
pub(super) struct StagedRow {
    pub(super) sink: u32,
    pub(super) epoch: u64,
    pub(super) text: String,
}

pub(super) struct Simulation {
    shards: Vec<Shard>,
    requested: u64,
    /// Whether the requested barrier is the last one.
    is_last: bool,
    /// Table of counts that is dumped at every freeze.
    table: Option<&'static str>,
    pub(super) rows: Vec<StagedRow>,
    pub(super) checkpoints: Vec<Checkpoint>,
}

struct Shard {
    store: Store,
    stages: Vec<Box<dyn Stage>>,
    rows: WriterLink,
    writer: ShardLink,
    statistics: ShardStatistics,
    now_ms: u64,
    injected: u64,
    frozen: u64,
    /// This shard's part of the checkpoint in flight.
    snapshot: Checkpoint,
}

impl Simulation {
    /// Plans and builds the flow, from `restored` if given; state is not restored.
    pub(super) fn start(
        declare: &dyn Fn(&Flow),
        layout: Layout,
        restored: Option<&Checkpoint>,
    ) -> Self {
        let shards = 0..layout.shard_count;
        let stores = shards
            .map(|shard| new_store(shard, layout.shard_count))
            .collect();
        Self::start_with(stores, declare, layout, CheckpointMode::Aligned, restored)
    }

    /// The same without a checkpoint before, in another mode.
    pub(super) fn start_in(mode: CheckpointMode, declare: &dyn Fn(&Flow), layout: Layout) -> Self {
        let shards = 0..layout.shard_count;
        let stores = shards
            .map(|shard| new_store(shard, layout.shard_count))
            .collect();
        Self::start_with(stores, declare, layout, mode, None)
    }

    /// Starts the flow again from a checkpoint behind which no record changed any state.
    pub(super) fn start_again(
        self,
        declare: &dyn Fn(&Flow),
        layout: Layout,
        restored: &Checkpoint,
    ) -> Self {
        let stores = self.shards.into_iter().map(|shard| shard.store).collect();
        Self::start_with(
            stores,
            declare,
            layout,
            CheckpointMode::Aligned,
            Some(restored),
        )
    }

    fn start_with(
        stores: Vec<Store>,
        declare: &dyn Fn(&Flow),
        layout: Layout,
        mode: CheckpointMode,
        restored: Option<&Checkpoint>,
    ) -> Self {
        let plan = Flow::plan(declare, layout.shard_count).expect("flow is valid");
        let mut splits = assign_splits(&plan, layout.shard_count, restored);
        let bells = vec![Bell::new(); layout.shard_count];
        let epoch = restored.map_or(0, |checkpoint| checkpoint.epoch);
        let rings = plan.connect(layout.shard_count, layout.ring_capacity);
        let link_size = LinkSize {
            chunk_count: 0,
            row_buffer_count: layout.buffer_count,
        };
        let shard = |((shard, rings), mut store)| {
            let (rows, writer) = WriterLink::pair(link_size, Bell::new());
            let context = BuildContext {
                shard,
                shard_count: layout.shard_count,
                key_groups: KeyGroups::default(),
                first_epoch: epoch + 1,
                operators: &plan.operators,
                splits: splits.pop_front().expect("one for each shard"),
                mode,
                finished_stages: restored.map_or(&[], |it| &it.finished_stages[0]),
                rings,
                bells: &bells,
                store: &mut store,
                stage: 0,
            };
            Shard {
                stages: Flow::build(declare, context).expect("builds as planned"),
                store,
                rows,
                writer,
                statistics: ShardStatistics::new(),
                now_ms: 0,
                injected: epoch,
                frozen: epoch,
                snapshot: Checkpoint::default(),
            }
        };
        Self {
            shards: rings
                .into_iter()
                .enumerate()
                .zip(stores)
                .map(shard)
                .collect(),
            requested: epoch,
            is_last: false,
            table: None,
            rows: vec![],
            checkpoints: vec![],
        }
    }

    /// Has every freeze dump a table from `str` to `u64`.
    pub(super) fn dump_counts(&mut self, table: &'static str) {
        self.table = Some(table);
    }

    /// Lets time pass on all shards.
    pub(super) fn advance_ms(&mut self, ms: u64) {
        self.shards.iter_mut().for_each(|shard| shard.now_ms += ms);
    }

    /// Requests the next checkpoint, unless one is in flight.
    pub(super) fn request(&mut self) {
        if self
            .shards
            .iter()
            .all(|shard| shard.frozen == self.requested)
        {
            self.requested += 1;
        }
    }

    /// Completes the checkpoint in flight and one more; no shard turns again after its freeze. For
    /// flows without an exchange.
    pub(super) fn checkpoint_and_halt(&mut self) -> Checkpoint {
        for _ in 0..2 {
            self.request();
            for shard in 0..self.shards.len() {
                while self.shards[shard].frozen < self.requested {
                    self.turn(shard);
                    self.stage_rows(shard);
                }
            }
        }
        self.checkpoints.last().cloned().expect("one was just made")
    }

    /// Requests a checkpoint behind which sources emit nothing.
    pub(super) fn request_last(&mut self) {
        self.is_last = true;
        self.request();
    }

    /// One turn of a shard's loop; true = it did something.
    pub(super) fn turn(&mut self, shard: usize) -> bool {
        let shard = &mut self.shards[shard];
        let mut worked = false;
        for stage in (0..shard.stages.len()).rev() {
            worked |= shard.run_stage(stage);
        }
        worked |= shard.advance_checkpoint(self.requested, self.is_last, self.table);
        self.complete_checkpoint();
        worked
    }

    /// One slice of a single stage.
    pub(super) fn run_stage(&mut self, shard: usize, stage: usize) {
        let shard = &mut self.shards[shard];
        let stage = stage % shard.stages.len();
        shard.run_stage(stage);
    }

    /// The checkpoint writer takes the rows of a shard and returns the buffers.
    pub(super) fn stage_rows(&mut self, shard: usize) -> bool {
        let shard = &mut self.shards[shard];
        let mut worked = false;
        while let Ok(message) = shard.writer.from_shard.pop() {
            let ToWriter::Rows { sink, epoch, rows } = message else {
                continue;
            };
            let staged = |text: &str| StagedRow {
                sink,
                epoch,
                text: text.to_owned(),
            };
            let text = str::from_utf8(&rows).expect("rows are text");
            self.rows.extend(text.lines().map(staged));
            shard.writer.give_back(FromWriter::Rows(rows));
            worked = true;
        }
        shard.rows.take_back(|_chunk| ());
        worked
    }

    /// Turns all shards until all stages are finished and no checkpoint is in flight.
    ///
    /// # Panics
    /// If round after round does nothing before that.
    pub(super) fn finish(&mut self) {
        let mut idle_rounds = 0;
        loop {
            let worked = self.round();
            if !self.is_in_flight() && self.stages().all(|stage| stage.is_finished()) {
                return;
            }
            idle_rounds = if worked { 0 } else { idle_rounds + 1 };
            let is_stuck = idle_rounds > IDLE_ROUNDS_MAX;
            assert!(!is_stuck, "deadlock: nobody can do anything");
        }
    }

    /// Turns all shards until round after round does nothing: for sources without an end.
    ///
    /// # Panics
    /// If a checkpoint is in flight then.
    pub(super) fn settle(&mut self) {
        let mut idle_rounds = 0;
        while idle_rounds <= IDLE_ROUNDS_MAX {
            idle_rounds = if self.round() { 0 } else { idle_rounds + 1 };
        }
        assert!(!self.is_in_flight(), "deadlock: nobody can do anything");
    }

    /// A turn of every shard; true = somebody did something.
    fn round(&mut self) -> bool {
        (0..self.shards.len()).fold(false, |worked, shard| {
            let turned = self.turn(shard);
            let staged = self.stage_rows(shard);
            worked | turned | staged
        })
    }

    fn is_in_flight(&self) -> bool {
        let mut shards = self.shards.iter();
        shards.any(|shard| shard.frozen < self.requested)
    }

    /// The rows of a sink up to an epoch, sorted.
    pub(super) fn rows_until(&self, sink: u32, epoch: u64) -> Vec<String> {
        let rows = self
            .rows
            .iter()
            .filter(|row| row.sink == sink && row.epoch <= epoch);
        let mut rows: Vec<_> = rows.map(|row| row.text.clone()).collect();
        rows.sort_unstable();
        rows
    }

    pub(super) fn store(&mut self, shard: usize) -> &mut Store {
        &mut self.shards[shard].store
    }

    /// What a table from `str` to `u64` holds on a shard.
    pub(super) fn counts(&mut self, shard: usize, table: &str) -> Vec<(String, u64)> {
        dump(&mut self.shards[shard].store, table)
    }

    /// Records that the sources have emitted.
    pub(super) fn read_count(&self) -> u64 {
        self.shards
            .iter()
            .map(|shard| shard.statistics.record_count)
            .sum()
    }

    pub(super) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// The stages of all shards.
    pub(super) fn stages(&self) -> impl Iterator<Item = &dyn Stage> {
        self.shards
            .iter()
            .flat_map(|shard| &shard.stages)
            .map(|stage| &**stage)
    }

    fn complete_checkpoint(&mut self) {
        let epoch = self.requested;
        let is_complete = self.shards.iter().all(|shard| shard.frozen == epoch);
        if !is_complete
            || self
                .checkpoints
                .last()
                .is_some_and(|last| last.epoch == epoch)
        {
            return;
        }
        let mut checkpoint = Checkpoint {
            epoch,
            ..Checkpoint::default()
        };
        for shard in &mut self.shards {
            let part = std::mem::take(&mut shard.snapshot);
            checkpoint.positions.extend(part.positions);
            checkpoint.finished_stages.extend(part.finished_stages);
            checkpoint.counts.extend(part.counts);
        }
        checkpoint.counts.sort_unstable();
        if !checkpoint.finished_stages.is_empty() {
            self.checkpoints.push(checkpoint);
        }
    }
}

impl Shard {
    fn run_stage(&mut self, stage: usize) -> bool {
        self.with_stage(stage, |stage, cx| stage.run(cx)) != Progress::Waiting
    }

    fn with_stage<T>(
        &mut self,
        stage: usize,
        call: impl FnOnce(&mut dyn Stage, &mut Context<'_>) -> T,
    ) -> T {
        let mut failure = None;
        self.store.set_time(self.now_ms);
        let mut cx = Context {
            store: &mut self.store,
            rows: &mut self.rows,
            statistics: &mut self.statistics,
            failure: &mut failure,
            sources_held: false,
            now_ns: 1,
            now_ms: self.now_ms,
            stamp_ns: 0,
        };
        let result = call(&mut *self.stages[stage], &mut cx);
        assert!(failure.is_none(), "{failure:?}");
        result
    }

    /// Injects a requested barrier and freezes when all stages are aligned.
    fn advance_checkpoint(&mut self, requested: u64, is_last: bool, table: Option<&str>) -> bool {
        let injects = self.injected < requested;
        if injects {
            self.injected = requested;
            for stage in 0..self.stages.len() {
                self.with_stage(stage, |stage, cx| stage.inject(requested, is_last, cx));
            }
        }
        let freezes = self.frozen < self.injected
            && self.stages.iter().all(|stage| stage.is_aligned(requested));
        if freezes {
            self.freeze(requested, table);
        }
        injects || freezes
    }

    fn freeze(&mut self, epoch: u64, table: Option<&str>) {
        self.frozen = epoch;
        let finished = self.stages.iter().filter(|stage| stage.is_finished());
        self.snapshot = Checkpoint {
            epoch,
            finished_stages: vec![finished.map(|stage| stage.index()).collect()],
            positions: self
                .stages
                .iter()
                .flat_map(|stage| stage.positions())
                .cloned()
                .collect(),
            counts: table.map_or_else(Vec::new, |table| dump(&mut self.store, table)),
        };
        self.stages.iter_mut().for_each(|stage| stage.release());
    }
}

/// Gives the splits of every source to the shards in turn.
fn assign_splits(
    plan: &FlowPlan,
    shard_count: usize,
    restored: Option<&Checkpoint>,
) -> VecDeque<Vec<AssignedSplit>> {
    let mut shards: VecDeque<_> = (0..shard_count).map(|_| Vec::new()).collect();
    for source in &plan.sources {
        for (index, split) in source.splits.iter().enumerate() {
            let noted = restored.and_then(|checkpoint| {
                checkpoint.positions.iter().find(|position| {
                    (position.operator, position.split_id) == (source.operator, split.id)
                })
            });
            shards[index % shard_count].push(AssignedSplit {
                operator: source.operator,
                split: split.clone(),
                position: noted.map(|noted| noted.position.clone()),
                finished: noted.is_some_and(|noted| noted.finished),
            });
        }
    }
    shards
}

fn dump(store: &mut Store, table: &str) -> Vec<(String, u64)> {
    let table = ValueTable::<str, u64>::open(store, table).expect("table is open");
    let mut cursor = ScanCursor::default();
    let mut counts = vec![];
    let is_done = table.scan(store, &mut cursor, usize::MAX, |key, count| {
        counts.push((key.to_owned(), count));
    });
    assert!(is_done.expect("store is whole"));
    counts
}

fn new_store(shard: usize, shard_count: usize) -> Store {
    let config = StoreConfig {
        shard,
        shard_count,
        key_groups: KeyGroups::default(),
        budget_bytes: 32 << 20,
        staging: StagingSize {
            chunk_count: 1,
            chunk_bytes: 64 << 10,
        },
        ..StoreConfig::default()
    };
    Store::new(&config).expect("address space is to be had")
}
