//! The story: final records come once, after all input; a barrier in their middle waits for them;
//! and a stage that a checkpoint has as finished does not emit them again.

use std::collections::BTreeSet;

use super::doubles::{Lines, Rows};
use super::simulation::{Checkpoint, Layout, Simulation};
use crate::flow::Flow;

const LAYOUT: Layout = Layout {
    shard_count: 3,
    ring_capacity: 2,
    buffer_count: 1,
};

/// Far more keys than one slice emits, each twice; long enough that finals fill many row buffers.
fn splits() -> Vec<Vec<String>> {
    let keys = || (0..5000).map(|key| format!("{key:040}")).collect();
    vec![keys(), keys()]
}

fn declare(flow: &Flow, lines: &Lines) {
    flow.source(lines.clone())
        .key_by(|line| line)
        .aggregate("keys", 0u64, |count, _line| *count += 1)
        .emit_at_end()
        .key_by(|(key, _count)| key)
        .aggregate("finals", 0u64, |count, _pair| *count += 1)
        .emit_at_end()
        .sink(Rows);
}

fn check_finals(rows: &[String]) {
    let distinct: BTreeSet<_> = rows.iter().collect();
    assert_eq!((rows.len(), distinct.len()), (5000, 5000));
    // The second aggregation counts how often the first one emitted each key.
    assert!(rows.iter().all(|row| row.ends_with("=1")));
}

/// Runs to the end and gives the checkpoints, requesting one at each opportunity.
fn run_with_barriers(lines: &Lines) -> (Simulation, Vec<Checkpoint>) {
    let mut simulation = Simulation::start(&|flow| declare(flow, lines), LAYOUT, None);
    while !simulation.stages().all(|stage| stage.is_finished()) {
        for shard in 0..LAYOUT.shard_count {
            simulation.request();
            simulation.turn(shard);
            simulation.stage_rows(shard);
        }
    }
    simulation.finish();
    simulation.request();
    simulation.finish();
    let checkpoints = simulation.checkpoints.clone();
    (simulation, checkpoints)
}

#[test]
fn final_records_come_once_and_never_split_by_a_barrier() {
    let (simulation, checkpoints) = run_with_barriers(&Lines::new(&splits(), 64));
    check_finals(&simulation.rows_until(0, u64::MAX));
    assert!(checkpoints.len() > 10, "barriers came all the time");
    for checkpoint in &checkpoints {
        let is_finished = checkpoint.finished_stages[0].contains(&2);
        let count = simulation.rows_until(0, checkpoint.epoch).len();
        assert_eq!(
            count,
            if is_finished { 5000 } else { 0 },
            "epoch={}",
            checkpoint.epoch
        );
    }
}

#[test]
fn restored_finished_stages_emit_nothing_again() {
    let lines = Lines::new(&splits(), 64);
    let (simulation, checkpoints) = run_with_barriers(&lines);
    let last = checkpoints.last().expect("the last one is made at the end");
    assert!(last.finished_stages.iter().all(|stages| stages.len() == 3));
    let mut restored = simulation.start_again(&|flow| declare(flow, &lines), LAYOUT, last);
    restored.request();
    restored.finish();
    assert!(restored.rows.is_empty());
    let positions = |checkpoint: &Checkpoint| {
        let mut positions = checkpoint.positions.clone();
        positions.sort_unstable_by_key(|noted| noted.split_id);
        positions
    };
    assert_eq!(positions(&restored.checkpoints[0]), positions(last));
}

#[test]
fn updates_that_the_predicate_refuses_are_not_emitted() {
    let lines = Lines::new(&[vec![String::from("ice"); 20]], 7);
    let declare = |flow: &Flow| {
        flow.source(lines.clone())
            .key_by(|line| line)
            .aggregate("count", 0u64, |count, _line| *count += 1)
            .emit_when(|_line, count| count.is_power_of_two())
            .map(|(line, count)| format!("{line} {count}"))
            .inspect(|text| assert!(text.starts_with("ice")))
            .flat_map(|text, out| out.push(text.as_str()))
            .filter(|text: &str| !text.ends_with('4'))
            .sink(Rows);
    };
    let mut simulation = Simulation::start(&declare, LAYOUT, None);
    simulation.finish();
    assert_eq!(
        simulation.rows_until(0, 1),
        ["ice 1", "ice 16", "ice 2", "ice 8"]
    );
}
