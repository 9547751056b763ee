//! The story: whoever reads faster than the next stage works must wait, holding a bounded amount.

use super::doubles::{Lines, Rows};
use super::simulation::{Layout, Simulation};
use crate::flow::Flow;

const LAYOUT: Layout = Layout {
    shard_count: 2,
    ring_capacity: 2,
    buffer_count: 2,
};

fn declare(flow: &Flow, lines: &Lines) {
    flow.source(lines.clone())
        .key_by(|line| line)
        .aggregate("count", 0u64, |count, _line| *count += 1)
        .sink(Rows);
}

fn many_lines(count: usize) -> Lines {
    let lines = (0..count).map(|line| format!("line {line}")).collect();
    Lines::new(&[lines], usize::MAX)
}

#[test]
fn source_stops_reading_when_nobody_takes_its_records() {
    let lines = many_lines(100_000);
    let mut simulation = Simulation::start(&|flow| declare(flow, &lines), LAYOUT, None);
    for _ in 0..10_000 {
        simulation.run_stage(0, 0);
    }
    // For each of two targets: two batches in the ring, two in the outbox and one open, of 1024
    // records each.
    assert!(
        lines.read_count.get() < 2 * 5 * 1024,
        "read {}",
        lines.read_count.get()
    );
    simulation.finish();
    assert_eq!(simulation.rows.len(), 100_000);
}

#[test]
fn barrier_reaches_its_place_behind_a_full_outbox() {
    let lines = many_lines(50_000);
    let mut simulation = Simulation::start(&|flow| declare(flow, &lines), LAYOUT, None);
    for _ in 0..1000 {
        simulation.run_stage(0, 0);
    }
    simulation.request();
    simulation.finish();
    let noted = &simulation.checkpoints[0].positions[0];
    let count = super::doubles::line_count(&noted.position);
    assert_eq!(simulation.rows_until(0, 1).len(), count);
    assert!(count < 50_000);
}

#[test]
fn one_record_may_make_more_than_all_rings_hold() {
    let lines = Lines::new(&[vec![String::from("x")]], 1);
    let declare = |flow: &Flow| {
        flow.source(lines.clone())
            .flat_map(|_line, out| (0..100_000u64).for_each(|number| out.push_owned(number)))
            .key_by(|number| number)
            .aggregate("numbers", 0u64, |count, _number| *count += 1)
            .sink(Rows);
    };
    let mut simulation = Simulation::start(&declare, LAYOUT, None);
    simulation.finish();
    assert_eq!(simulation.rows.len(), 100_000);
}

#[test]
fn sink_gives_its_only_buffer_up_when_another_sink_needs_one() {
    let mut silent = many_lines(3);
    silent.is_endless = true;
    let lively = many_lines(10_000);
    let declare = |flow: &Flow| {
        flow.source(silent.clone()).sink(Rows);
        flow.source(lively.clone()).sink(Rows);
    };
    let layout = Layout {
        buffer_count: 1,
        ..LAYOUT
    };
    let mut simulation = Simulation::start(&declare, layout, None);
    for _ in 0..1000 {
        simulation.turn(0);
        simulation.stage_rows(0);
    }
    assert_eq!(simulation.rows_until(1, u64::MAX).len(), 10_000);
}
