//! The story: whoever reads faster than the next stage works must wait, holding a bounded amount.

use super::doubles::{Lines, Rows, line_count};
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
        simulation.read_count() < 2 * 5 * 1024,
        "read {}",
        simulation.read_count()
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
    let count = line_count(&noted.position);
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
        flow.source(lively.clone()).sink(Rows);
        // Declared last, it has its turn first and takes the buffer.
        flow.source(silent.clone()).sink(Rows);
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
    assert_eq!(simulation.rows_until(0, u64::MAX).len(), 10_000);
}

#[test]
fn records_wait_while_the_capture_needs_them_to() {
    let lines = many_lines(2000);
    let layout = Layout {
        shard_count: 1,
        ring_capacity: 64,
        ..LAYOUT
    };
    let mut simulation = Simulation::start(&|flow| declare(flow, &lines), layout, None);
    simulation.turn(0);
    simulation.turn(0);
    let store = simulation.store(0);
    store.set_patient(true);
    store.freeze();
    assert!(store.must_wait());
    assert_eq!(simulation.counts(0, "count").len(), 64);
    for _ in 0..100 {
        simulation.turn(0);
    }
    assert_eq!(simulation.counts(0, "count").len(), 64);
    simulation.store(0).set_patient(false);
    simulation.finish();
    assert_eq!(simulation.rows.len(), 2000);
}

#[test]
fn sources_emit_nothing_behind_the_last_barrier() {
    let lines = many_lines(10_000);
    let mut simulation = Simulation::start(&|flow| declare(flow, &lines), LAYOUT, None);
    for _ in 0..20 {
        simulation.run_stage(0, 0);
    }
    simulation.request_last();
    for _ in 0..1000 {
        for shard in 0..LAYOUT.shard_count {
            simulation.turn(shard);
            simulation.stage_rows(shard);
        }
    }
    let count = line_count(&simulation.checkpoints[0].positions[0].position);
    assert_eq!(simulation.rows_until(0, 1).len(), count);
    assert_eq!(simulation.rows.len(), count);
    assert_eq!(simulation.read_count(), count as u64);
    assert!(count < 10_000);
}
