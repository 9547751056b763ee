//! The story: shards run in any order, rings hold two messages, the writer returns buffers when it
//! likes, and barriers come at any moment. Whatever the order, each completed checkpoint must be an
//! exact cut: with the first `p` lines of each split for the noted position `p`, state at the
//! freeze and rows up to the epoch are what a plain count over those lines gives, no more and no
//! less. And nothing may get stuck.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::doubles::{Lines, Rows, line_count};
use super::simulation::{Checkpoint, Layout, Simulation};
use crate::checkpoint::CheckpointMode;
use crate::flow::{Flow, Out};

/// One thing that happens; shards and stages count modulo how many there are.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Turn(usize),
    RunStage(usize, usize),
    StageRows(usize),
    Request,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..4usize).prop_map(Step::Turn),
        8 => (0..4usize, 0..5usize).prop_map(|(shard, stage)| Step::RunStage(shard, stage)),
        3 => (0..4usize).prop_map(Step::StageRows),
        1 => Just(Step::Request),
    ];
    vec(step, 0..300)
}

pub(super) fn layouts() -> impl Strategy<Value = Layout> {
    (1..=4usize, 1..=2usize, 1..=3usize).prop_map(|(shard_count, ring_capacity, buffer_count)| {
        Layout {
            shard_count,
            ring_capacity,
            buffer_count,
        }
    })
}

pub(super) fn splits() -> impl Strategy<Value = Vec<Vec<String>>> {
    vec(vec("[ab ]{0,8}", 0..30), 0..6)
}

pub(super) fn words(line: &str, out: &mut Out<str>) {
    line.split_whitespace().for_each(|word| out.push(word));
}

/// Sink 0 gets counts of words over one exchange, sink 1 counts of word lengths over two, sink 2
/// plain lines.
fn declare(flow: &Flow, lines: &Lines) {
    flow.source(lines.clone())
        .flat_map(words)
        .key_by(|word| word)
        .aggregate("words", 0u64, |count, _word| *count += 1)
        .sink(Rows);
    flow.source(lines.clone())
        .flat_map(words)
        .key_by(|word| word)
        .aggregate("words again", 0u64, |count, _word| *count += 1)
        .key_by_value(|(word, _count)| word.len() as u64)
        .aggregate("lengths", 0u64, |count, _pair| *count += 1)
        .sink(Rows);
    flow.source(lines.clone())
        .filter(|line| line.contains('a'))
        .sink(Rows);
}

/// Number of the first operator of each source in `declare`.
const SOURCES: [u32; 3] = [0, 5, 12];

/// The lines in front of a checkpoint's positions.
pub(super) fn cut<'a>(
    splits: &'a [Vec<String>],
    checkpoint: &Checkpoint,
    sink: usize,
) -> Vec<&'a str> {
    let noted = checkpoint
        .positions
        .iter()
        .filter(|noted| noted.operator == SOURCES[sink]);
    let lines = noted.flat_map(|noted| {
        let lines = &splits[usize::try_from(noted.split_id).expect("an index")];
        let count = if noted.position.is_empty() {
            0
        } else {
            line_count(&noted.position)
        };
        &lines[..count]
    });
    lines.map(String::as_str).collect()
}

fn counts<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

/// Each update is a row, so a key counted to n has the rows 1 to n.
pub(super) fn updates<K: Ord + std::fmt::Display>(counts: &BTreeMap<K, u64>) -> Vec<String> {
    let rows = counts
        .iter()
        .flat_map(|(key, count)| (1..=*count).map(move |n| (key, n)));
    let mut rows: Vec<_> = rows.map(|(key, n)| format!("{key}={n}")).collect();
    rows.sort_unstable();
    rows
}

/// The rows that a sink must have for some lines.
fn expected_rows(lines: &[&str], sink: usize) -> Vec<String> {
    let words = lines.iter().flat_map(|line| line.split_whitespace());
    match sink {
        0 => updates(&counts(words)),
        1 => updates(&counts(words.map(str::len))),
        _ => {
            let lines = lines.iter().filter(|line| line.contains('a'));
            let mut lines: Vec<_> = lines.map(|line| (*line).to_owned()).collect();
            lines.sort_unstable();
            lines
        }
    }
}

fn check_cut(simulation: &Simulation, splits: &[Vec<String>], checkpoint: &Checkpoint) {
    for sink in 0..3u8 {
        let lines = cut(splits, checkpoint, sink.into());
        let rows = simulation.rows_until(sink.into(), checkpoint.epoch);
        assert_eq!(
            rows,
            expected_rows(&lines, sink.into()),
            "sink {sink} of {checkpoint:?}"
        );
    }
    let lines = cut(splits, checkpoint, 0);
    let words = counts(lines.iter().flat_map(|line| line.split_whitespace()));
    let words: Vec<_> = words
        .into_iter()
        .map(|(word, n)| (word.to_owned(), n))
        .collect();
    assert_eq!(checkpoint.counts, words, "state of {checkpoint:?}");
    check_finished(checkpoint);
}

fn check_finished(checkpoint: &Checkpoint) {
    // Stages behind an exchange: 1, 3 and 4 (0 and 2 end in one, 5 has none).
    let behind_exchange = |finished: &Vec<u32>| -> Vec<u32> {
        let stages = finished.iter().copied();
        stages.filter(|stage| [1, 3, 4].contains(stage)).collect()
    };
    let mut finished = checkpoint.finished_stages.iter().map(behind_exchange);
    let first = finished.next().expect("one shard at least");
    assert!(
        finished.all(|other| other == first),
        "finished on all shards or on none"
    );
}

/// Rows and counts of the lines in front of the positions, among others.
fn check_nothing_is_missing(
    simulation: &Simulation,
    splits: &[Vec<String>],
    checkpoint: &Checkpoint,
) {
    for sink in 0..3u8 {
        let lines = cut(splits, checkpoint, sink.into());
        let mut rows = counts(
            simulation
                .rows_until(sink.into(), checkpoint.epoch)
                .into_iter(),
        );
        for row in expected_rows(&lines, sink.into()) {
            let count = rows.entry(row.clone()).or_default();
            *count = count.checked_sub(1).unwrap_or_else(|| {
                panic!("sink {sink} has no {row} at {checkpoint:?}");
            });
        }
    }
    let lines = cut(splits, checkpoint, 0);
    for (word, count) in counts(lines.iter().flat_map(|line| line.split_whitespace())) {
        let held = checkpoint.counts.iter().find(|(held, _)| held == word);
        assert!(
            held.is_some_and(|(_, held)| *held >= count),
            "{word} {count}: {checkpoint:?}"
        );
    }
    check_finished(checkpoint);
}

pub(super) fn perform(simulation: &mut Simulation, steps: &[Step]) {
    let shard_count = simulation.shard_count();
    for step in steps {
        match *step {
            Step::Turn(shard) => _ = simulation.turn(shard % shard_count),
            Step::RunStage(shard, stage) => simulation.run_stage(shard % shard_count, stage),
            Step::StageRows(shard) => _ = simulation.stage_rows(shard % shard_count),
            Step::Request => simulation.request(),
        }
    }
}

proptest! {
    #[test]
    fn each_checkpoint_is_an_exact_cut_whatever_the_order(
        layout in layouts(),
        splits in splits(),
        burst in 1..4usize,
        steps in steps(),
    ) {
        let lines = Lines::new(&splits, burst);
        let mut simulation = Simulation::start(&|flow| declare(flow, &lines), layout, None);
        simulation.dump_counts("words");
        perform(&mut simulation, &steps);
        simulation.finish();
        // A last one with all stages finished: it must hold everything.
        simulation.request();
        simulation.finish();
        for checkpoint in &simulation.checkpoints {
            check_cut(&simulation, &splits, checkpoint);
        }
        let last = simulation.checkpoints.last().expect("one was just made");
        prop_assert!(last.positions.iter().all(|noted| noted.finished));
        prop_assert_eq!(cut(&splits, last, 0).len(), splits.concat().len());
        prop_assert!(simulation.stages().all(|stage| stage.is_finished()));
    }

    #[test]
    fn at_least_once_checkpoint_holds_the_cut_and_maybe_more_whatever_the_order(
        layout in layouts(),
        splits in splits(),
        burst in 1..4usize,
        steps in steps(),
    ) {
        let lines = Lines::new(&splits, burst);
        let mode = CheckpointMode::AtLeastOnce;
        let mut simulation = Simulation::start_in(mode, &|flow| declare(flow, &lines), layout);
        simulation.dump_counts("words");
        perform(&mut simulation, &steps);
        simulation.finish();
        simulation.request();
        simulation.finish();
        for checkpoint in &simulation.checkpoints {
            check_nothing_is_missing(&simulation, &splits, checkpoint);
        }
        // With all input in front of it nothing can be behind it.
        let last = simulation.checkpoints.last().expect("one was just made");
        check_cut(&simulation, &splits, last);
        prop_assert!(simulation.stages().all(|stage| stage.is_finished()));
    }

    #[test]
    fn overtaken_records_come_once_whatever_the_order_and_the_shards(
        layout in layouts(),
        splits in splits(),
        burst in 1..4usize,
        steps in vec(steps(), 3),
        restored_shard_counts in vec(1..=4usize, 2),
        choices in vec(0..100usize, 2),
    ) {
        let lines = Lines::new(&splits, burst);
        let declare = |flow: &Flow| declare(flow, &lines);
        let mode = CheckpointMode::Unaligned;
        let mut simulation = Simulation::start_in(mode, &declare, layout);
        let mut rows = [vec![], vec![], vec![]];
        for run in 0..3 {
            perform(&mut simulation, &steps[run]);
            if run == 2 {
                simulation.finish();
                break;
            }
            // Any checkpoint that was made, or one that is finished now.
            if simulation.checkpoints.is_empty() {
                simulation.request();
                simulation.finish();
            }
            let Some(count) = std::num::NonZero::new(simulation.checkpoints.len()) else {
                simulation.finish();
                break;
            };
            let checkpoint = simulation.checkpoints.swap_remove(choices[run] % count);
            // The checkpoint is there once the writer has all rows in front of it.
            (0..simulation.shard_count()).for_each(|shard| _ = simulation.stage_rows(shard));
            for (sink, rows) in (0..).zip(&mut rows) {
                rows.extend(simulation.rows_until(sink, checkpoint.epoch));
            }
            let layout = Layout { shard_count: restored_shard_counts[run], ..layout };
            simulation = Simulation::restore_in(mode, &declare, layout, Some(&checkpoint));
        }
        let all: Vec<_> = splits.iter().flatten().map(String::as_str).collect();
        for (sink, mut rows) in (0..).zip(rows) {
            rows.extend(simulation.rows_until(sink, u64::MAX));
            rows.sort_unstable();
            let sink = usize::try_from(sink).expect("an index");
            prop_assert_eq!(rows, expected_rows(&all, sink), "sink {}", sink);
        }
    }

    #[test]
    fn sources_read_on_from_where_the_checkpoint_noted_them(
        layout in layouts(),
        splits in splits(),
        steps in steps(),
        restored_shard_count in 1..=4usize,
    ) {
        // The stateless part of the flow: rows up to the checkpoint and rows of the restored run
        // are all rows.
        let lines = Lines::new(&splits, 2);
        let declare = |flow: &Flow| flow.source(lines.clone()).sink(Rows);
        let mut first = Simulation::start(&declare, layout, None);
        perform(&mut first, &steps);
        first.request();
        first.finish();
        let all = first.rows_until(0, u64::MAX);
        for checkpoint in &first.checkpoints {
            let layout = Layout { shard_count: restored_shard_count, ..layout };
            let mut second = Simulation::start(&declare, layout, Some(checkpoint));
            second.finish();
            let mut rows = first.rows_until(0, checkpoint.epoch);
            rows.extend(second.rows_until(0, u64::MAX));
            rows.sort_unstable();
            prop_assert_eq!(&rows, &all);
        }
    }
}

/// Shard 0 gets a barrier from itself, shard 1 is silent: what comes behind the barrier waits in
/// one mode and not in the other.
fn rows_behind_a_barrier(mode: CheckpointMode) -> usize {
    let mut lines = Lines::new(&[vec!["ice".to_owned(); 10]], 5);
    lines.is_endless = true;
    let declare = |flow: &Flow| {
        let source = flow.source(lines.clone());
        source.rebalance().sink(Rows);
    };
    let layout = Layout {
        shard_count: 2,
        ring_capacity: 4,
        buffer_count: 4,
    };
    let mut simulation = Simulation::start_in(mode, &declare, layout);
    for _ in 0..20 {
        simulation.request();
        simulation.turn(0);
    }
    simulation.request();
    simulation.settle();
    simulation.rows_until(0, 1).len()
}

#[test]
fn input_is_held_at_its_barrier_unless_once_is_not_asked_for() {
    // Five lines were read before the barrier, the others between it and the freeze.
    assert_eq!(rows_behind_a_barrier(CheckpointMode::Aligned), 5);
    assert!(rows_behind_a_barrier(CheckpointMode::AtLeastOnce) > 5);
}
