//! The story: a deduplicator forgets lines after a while, at the very millisecond, and the memory
//! of what it forgot comes back in slices although no record asks for it.

use std::ops::ControlFlow;

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
            move |states| states.ttl(expiry).value::<()>("seen"),
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

/// Emits what each other kind of state holds of the last 10 ms, two digits each.
fn declare_others(flow: &Flow, lines: &Lines) {
    let expiry = Expiry {
        after_ms: 10,
        policy: ExpiryPolicy::OnCreate,
    };
    flow.source(lines.clone())
        .key_by(|line| line)
        .process(
            move |states| {
                let list = states.ttl(expiry).list::<u64>("list");
                let map = states.ttl(expiry).map::<u64, ()>("map");
                let add = |sum: &mut u64, added: &u64| *sum += added;
                let reducing = states.ttl(expiry).reducing("reducing", add);
                let aggregating =
                    states
                        .ttl(expiry)
                        .aggregating("aggregating", 0, add, |sum: &u64| sum * 2);
                (list, map, reducing, aggregating)
            },
            |(list, map, reducing, aggregating), line, cx, out| {
                let now_ms = cx.now_ms();
                list.push(cx, &now_ms)?;
                map.put(cx, &now_ms, &())?;
                reducing.add(cx, &1)?;
                aggregating.add(cx, &1)?;
                let mut entry_count = 0;
                map.range(cx, .., |_, ()| {
                    entry_count += 1;
                    ControlFlow::Continue(())
                })?;
                let counts = [
                    list.get(cx)?.len() as u64,
                    entry_count,
                    reducing.get(cx)?.unwrap_or(0),
                    aggregating.get(cx)?.unwrap_or(0),
                ];
                let digits = counts.iter().fold(0, |digits, count| digits * 100 + count);
                out.push_pair(line, &digits);
                Ok(())
            },
        )
        .sink(Rows);
}

#[test]
fn elements_entries_and_folds_expire_at_their_millisecond() {
    let mut lines = Lines::new(&[vec![String::from("a"); 100]], 1);
    lines.is_endless = true;
    let mut simulation = Simulation::start(&|flow| declare_others(flow, &lines), LAYOUT, None);
    let (mut seen_ms, mut fold_ms, mut fold, mut expected) = (vec![], 0, 0, vec![]);
    let mut now_ms = 0;
    while simulation.read_count() < 100 {
        simulation.run_stage(0, 0);
        simulation.run_stage(0, 1);
        simulation.stage_rows(0);
        seen_ms.push(now_ms);
        if now_ms - fold_ms >= 10 {
            (fold_ms, fold) = (now_ms, 0);
        }
        fold += 1;
        let live = seen_ms.iter().filter(|ms| now_ms - *ms < 10).count() as u64;
        expected.push(format!("a={}", live * 1_010_000 + fold * 100 + fold * 2));
        simulation.advance_ms(3);
        now_ms += 3;
    }
    simulation.request();
    while simulation.turn(0) | simulation.stage_rows(0) {}
    let rows: Vec<_> = simulation.rows.iter().map(|row| row.text.clone()).collect();
    assert_eq!(rows, expected);
    let store = simulation.store(0);
    assert!(store.expired_record_count() > 0 && store.expired_bytes() > 0);
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
