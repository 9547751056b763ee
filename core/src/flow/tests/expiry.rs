//! The story: a deduplicator forgets lines after a while, at the very millisecond, and the memory
//! of what it forgot comes back in slices although no record asks for it.

use super::doubles::{Lines, Rows};
use super::simulation::{Layout, Simulation};
use crate::flow::Flow;
use frazil_state::{Expiry, ExpiryPolicy};

const LAYOUT: Layout = Layout {
    shard_count: 1,
    ring_capacity: 2,
    buffer_count: 1,
};

/// Emits each line that was not seen in the last 10 ms, with the time.
fn declare(flow: &Flow, lines: &Lines) {
    let expiry = Expiry {
        after_ms: 10,
        policy: ExpiryPolicy::OnCreate,
    };
    flow.source(lines.clone())
        .key_by(|line| line)
        .process(
            move |states| states.expiring::<()>("seen", expiry),
            |seen, line, cx, out| {
                if !seen.exists(cx)? {
                    seen.put(cx, &())?;
                    out.push_pair(line, &cx.now_ms());
                }
                Ok(())
            },
        )
        .sink(Rows);
}

#[test]
fn what_expired_is_new_again_from_its_millisecond_on() {
    let mut lines = Lines::new(&[vec![String::from("a"); 300]], 1);
    lines.is_endless = true;
    let mut simulation = Simulation::start(&|flow| declare(flow, &lines), LAYOUT, None);
    // The times at which the operator sees a line.
    let mut seen_ms = vec![];
    let mut now_ms = 0;
    while simulation.read_count() < 300 {
        // The source is in front: what it reads reaches the operator in the same millisecond.
        simulation.run_stage(0, 0);
        simulation.run_stage(0, 1);
        simulation.stage_rows(0);
        seen_ms.push(now_ms);
        simulation.advance_ms(3);
        now_ms += 3;
    }
    simulation.request();
    while simulation.turn(0) | simulation.stage_rows(0) {}
    let mut expected: Vec<u64> = vec![];
    for ms in seen_ms {
        if expected.last().is_none_or(|last| ms - last >= 10) {
            expected.push(ms);
        }
    }
    let rows = simulation.rows.iter().map(|row| row.text.clone());
    let expected = expected.iter().map(|ms| format!("a={ms}"));
    assert!(rows.eq(expected), "{:?}", simulation.rows);
    assert!(simulation.rows.len() > 1, "nothing expired");
}

#[test]
fn memory_of_what_expired_comes_back_in_slices() {
    let lines: Vec<_> = (0..20_000).map(|line| format!("line {line}")).collect();
    let mut lines = Lines::new(&[lines], usize::MAX);
    lines.is_endless = true;
    let mut simulation = Simulation::start(&|flow| declare(flow, &lines), LAYOUT, None);
    while simulation.turn(0) | simulation.stage_rows(0) {}
    let used_bytes = simulation.store(0).used_bytes();
    simulation.advance_ms(10);
    simulation.run_stage(0, 1);
    let after_slice = simulation.store(0).used_bytes();
    assert!(after_slice > used_bytes / 2, "one slice freed nearly all");
    while simulation.turn(0) {}
    let left = simulation.store(0).used_bytes();
    assert!(left < used_bytes / 2, "used={used_bytes} left={left}");
}
