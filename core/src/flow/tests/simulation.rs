//! Shards without threads: the test says whose turn it is, when a barrier is requested and when the
//! checkpoint writer returns its buffers.
//!
//! A shard's turn is that of the real loop: stages downstream first, injection, freeze once all
//! stages are aligned.

use std::collections::VecDeque;

use frazil_io::runtime::Bell;
use frazil_state::{DumpRecord, KeyGroups, Store};

use super::cutter::{CHUNK_COUNT, Cutter, Snapshot, restore_all};
use super::stores::{dump, new_store};
use crate::checkpoint::CheckpointMode;
use crate::flow::{AssignedSplit, BuildContext, Flow, FlowPlan, Progress, SplitPosition, Stage};
use crate::in_flight::RestoredInFlight;
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
    /// Those of them that emitted final records, by shard.
    final_stages: Vec<Vec<u32>>,
    /// The counts that all shards had in a table at their freeze, sorted.
    pub(super) counts: Vec<(String, u64)>,
    /// Where a simulation can start from it: everything else of each shard, by shard.
    pub(super) snapshots: Vec<Snapshot>,
}

/// A row as the checkpoint writer got it.
#[derive(Clone, Debug)]
pub(super) struct StagedRow {
    pub(super) sink: u32,
    pub(super) epoch: u64,
    pub(super) text: String,
}

impl Checkpoint {
    /// Stages that are finished on all shards.
    fn finished_on_all(&self) -> Vec<u32> {
        let mut finished = self.finished_stages[0].clone();
        let shards = &self.finished_stages;
        finished.retain(|stage| shards.iter().all(|shard| shard.contains(stage)));
        finished
    }

    /// Whether a stage has emitted its final records on some shards only: then it is dropped.
    fn is_amid_finals(&self) -> bool {
        let mut shards = self.final_stages.iter();
        shards.any(|stages| *stages != self.final_stages[0])
    }

    fn in_flight(&self) -> RestoredInFlight {
        let mut in_flight = RestoredInFlight::new(self.snapshots.len());
        for (shard, snapshot) in (0..).zip(&self.snapshots) {
            snapshot.add_in_flight(shard, &mut in_flight);
        }
        in_flight
    }
}

pub(super) struct Simulation {
    shards: Vec<Shard>,
    requested: u64,
    /// Turns that a barrier waits for alignment before it overtakes; `None` = for ever.
    overtake_after: Option<u32>,
    /// The next barrier overtakes nothing.
    aligns_next: bool,
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
    /// Turns since the barrier was injected.
    waited: u32,
    /// This shard's part of the checkpoint in flight.
    snapshot: Checkpoint,
    /// Where checkpoints can be started from.
    cutter: Option<Cutter>,
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
            .map(|shard| new_store(shard, layout.shard_count, 1))
            .collect();
        Self::start_with(stores, declare, layout, CheckpointMode::Aligned, restored)
    }

    /// In any mode, with checkpoints that another simulation can start from.
    pub(super) fn start_in(mode: CheckpointMode, declare: &dyn Fn(&Flow), layout: Layout) -> Self {
        Self::restore_in(mode, declare, layout, None)
    }

    /// The same, from such a checkpoint.
    pub(super) fn restore_in(
        mode: CheckpointMode,
        declare: &dyn Fn(&Flow),
        layout: Layout,
        restored: Option<&Checkpoint>,
    ) -> Self {
        let new = |shard| new_store(shard, layout.shard_count, CHUNK_COUNT);
        let stores = match restored {
            Some(checkpoint) => restore_all(&checkpoint.snapshots, layout.shard_count),
            None => (0..layout.shard_count).map(new).collect(),
        };
        let mut simulation = Self::start_with(stores, declare, layout, mode, restored);
        let overtakes = mode == CheckpointMode::Unaligned;
        simulation.overtake_after = overtakes.then_some(0);
        for shard in &mut simulation.shards {
            shard.cutter = Some(Cutter::default());
        }
        simulation
    }

    /// Lets barriers overtake after so many turns.
    pub(super) fn overtake_after(&mut self, turns: u32) {
        self.overtake_after = Some(turns);
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
        let finished_stages = restored.map_or(vec![], Checkpoint::finished_on_all);
        let in_flight = restored.map_or_else(RestoredInFlight::default, Checkpoint::in_flight);
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
                in_flight: &in_flight,
                finished_stages: &finished_stages,
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
                waited: 0,
                snapshot: Checkpoint::default(),
                cutter: None,
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
            overtake_after: None,
            aligns_next: false,
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
        let overtake_after = self.overtake_after.filter(|_| !self.aligns_next);
        let request = (self.requested, self.is_last, overtake_after);
        worked |= shard.advance_checkpoint(request, self.table);
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

    /// The canonical dump of all shards.
    pub(super) fn dump(&self) -> Vec<DumpRecord> {
        let shards = self.shards.iter();
        let dumps = shards.map(|shard| shard.store.dump().expect("store is whole"));
        let mut records: Vec<_> = dumps.flatten().collect();
        records.sort_unstable();
        records
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
            checkpoint.final_stages.extend(part.final_stages);
            checkpoint.counts.extend(part.counts);
            checkpoint.snapshots.extend(part.snapshots);
        }
        checkpoint.counts.sort_unstable();
        if checkpoint.finished_stages.is_empty() {
            return;
        }
        self.aligns_next = checkpoint.is_amid_finals();
        if !self.aligns_next {
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

    /// Injects a requested barrier and freezes when all stages are aligned, or when it overtakes.
    fn advance_checkpoint(
        &mut self,
        (epoch, is_last, overtake_after): (u64, bool, Option<u32>),
        table: Option<&str>,
    ) -> bool {
        let injects = self.injected < epoch;
        if injects {
            self.injected = epoch;
            self.waited = 0;
            for stage in 0..self.stages.len() {
                self.with_stage(stage, |stage, cx| stage.inject(epoch, is_last, cx));
            }
        }
        if self.frozen == self.injected {
            return false;
        }
        let worked = match self.cutter.take() {
            Some(mut cutter) => {
                let worked = self.advance_snapshot(&mut cutter, epoch, overtake_after, table);
                self.cutter = Some(cutter);
                worked
            }
            None => {
                let freezes = self.stages.iter().all(|stage| stage.is_aligned(epoch));
                if freezes {
                    self.freeze(epoch, table, false);
                }
                freezes
            }
        };
        self.waited += 1;
        injects || worked
    }

    /// Freezes, records what is in flight slice by slice, then captures for the others to see.
    fn advance_snapshot(
        &mut self,
        cutter: &mut Cutter,
        epoch: u64,
        overtake_after: Option<u32>,
        table: Option<&str>,
    ) -> bool {
        if cutter.is_recording {
            let is_done = cutter.record(&mut self.store, &mut self.stages, epoch);
            self.frozen = if is_done { epoch } else { epoch - 1 };
            if is_done {
                self.snapshot.snapshots = vec![cutter.finish(&mut self.store, epoch)];
            }
            return true;
        }
        let is_aligned = self.stages.iter().all(|stage| stage.is_aligned(epoch));
        let may_cut = self.stages.iter().all(|stage| stage.may_cut());
        assert!(
            may_cut || !is_aligned,
            "a stage that may not cut is not aligned"
        );
        let is_due = overtake_after.is_some_and(|turns| is_aligned || self.waited >= turns);
        let is_cut = is_due && may_cut;
        if is_cut {
            for stage in (0..self.stages.len()).rev() {
                self.with_stage(stage, |stage, cx| stage.cut(epoch, cx));
            }
        } else if !is_aligned {
            return false;
        }
        cutter.begin(&mut self.store);
        self.freeze(epoch, table, is_cut);
        self.frozen = epoch - 1;
        true
    }

    fn freeze(&mut self, epoch: u64, table: Option<&str>, is_cut: bool) {
        self.frozen = epoch;
        let finished = self.stages.iter().filter(|stage| match is_cut {
            true => stage.is_done(),
            false => stage.is_finished(),
        });
        let finals = self.stages.iter();
        let finals = finals.filter(|stage| stage.has_emitted_finals());
        self.snapshot = Checkpoint {
            epoch,
            finished_stages: vec![finished.map(|stage| stage.index()).collect()],
            final_stages: vec![finals.map(|stage| stage.index()).collect()],
            positions: self
                .stages
                .iter()
                .flat_map(|stage| stage.positions())
                .cloned()
                .collect(),
            counts: table.map_or_else(Vec::new, |table| dump(&mut self.store, table)),
            snapshots: vec![],
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
