//! The story: each line sets a timer for its key, some time ahead. Time passes at any moment, and
//! each timer fires once when it is due: in order, in slices, never between a barrier and the
//! freeze, and again after a restore only if the checkpoint has it as pending.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::alignment::{Step, cut, layouts, perform, steps};
use super::doubles::{Lines, Rows};
use super::simulation::{Layout, Simulation};
use crate::flow::Flow;

const LAYOUT: Layout = Layout {
    shard_count: 1,
    ring_capacity: 2,
    buffer_count: 1,
};

/// A line is `key number`: the key's timer number `number` is due at that time.
fn key_and_time(line: &str) -> (&str, u64) {
    let (key, number) = line.split_once(' ').expect("a key and a number");
    (key, number.parse().expect("a number"))
}

/// Emits each due timer, and keeps how many are pending for each key.
macro_rules! timers {
    ($flow:expr, $lines:expr) => {
        $flow
            .source($lines.clone())
            .key_by(|line| key_and_time(line).0)
            .process(
                |states| (states.value::<u64>("pending"), states.timers("timers")),
                |(pending, timers), line, cx, _out| {
                    let (_key, time_ms) = key_and_time(line);
                    timers.set(cx, time_ms)?;
                    pending.update(cx, &0, |pending| *pending += 1)?;
                    Ok(())
                },
            )
            .on_timer(|(pending, _timers), time_ms, cx, out| {
                pending.update(cx, &0, |pending| *pending -= 1)?;
                out.push_pair(cx.key(), &time_ms);
                Ok(())
            })
    };
}

/// Keys with numbers that differ within the key.
fn splits() -> impl Strategy<Value = Vec<Vec<String>>> {
    proptest::collection::vec(proptest::collection::vec("[ab]", 0..30), 0..6).prop_map(|splits| {
        let split = |(index, keys): (usize, Vec<String>)| {
            let lines = keys.into_iter().enumerate();
            let lines = lines.map(|(line, key)| format!("{key} {}", line * 7 + index));
            lines.collect()
        };
        splits.into_iter().enumerate().map(split).collect()
    })
}

proptest! {
    #[test]
    fn each_timer_is_pending_or_has_fired_at_every_checkpoint(
        layout in layouts(),
        splits in splits(),
        steps in proptest::collection::vec((steps(), 0..40u64), 0..6),
    ) {
        let lines = Lines::new(&splits, 2);
        let declare = |flow: &Flow| timers!(flow, lines).fire_timers_at_end().sink(Rows);
        let mut simulation = Simulation::start(&declare, layout, None);
        simulation.dump_counts("pending");
        for (steps, ms) in steps {
            let steps: Vec<Step> = steps.into_iter().take(50).collect();
            perform(&mut simulation, &steps);
            simulation.advance_ms(ms);
        }
        simulation.request();
        simulation.finish();
        for checkpoint in &simulation.checkpoints {
            let mut due = BTreeMap::<String, u64>::new();
            for line in cut(&splits, checkpoint, 0) {
                *due.entry(key_and_time(line).0.to_owned()).or_default() += 1;
            }
            let mut known: BTreeMap<_, _> = checkpoint.counts.iter().cloned().collect();
            for row in simulation.rows_until(0, checkpoint.epoch) {
                let (key, _time) = row.split_once('=').expect("a pair");
                *known.entry(key.to_owned()).or_default() += 1;
            }
            prop_assert_eq!(known, due);
        }
        let mut all: Vec<_> = splits.concat().iter().map(|line| line.replace(' ', "=")).collect();
        all.sort_unstable();
        prop_assert_eq!(simulation.rows_until(0, u64::MAX), all);
    }
}

fn endless(lines: &[&str]) -> Lines {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut lines = Lines::new(&[lines], usize::MAX);
    lines.is_endless = true;
    lines
}

/// Turns until nothing more happens, then makes a checkpoint: rows in hand go out with its barrier.
fn turns(simulation: &mut Simulation) {
    while simulation.turn(0) | simulation.stage_rows(0) {}
    simulation.request();
    simulation.turn(0);
    simulation.turn(0);
    simulation.stage_rows(0);
}

fn rows(simulation: &Simulation) -> Vec<&str> {
    simulation
        .rows
        .iter()
        .map(|row| row.text.as_str())
        .collect()
}

#[test]
fn timers_fire_by_rising_time_when_they_are_due() {
    let lines = endless(&["b 30", "a 20", "c 10", "a 40"]);
    let mut simulation = Simulation::start(&|flow| timers!(flow, lines).sink(Rows), LAYOUT, None);
    turns(&mut simulation);
    simulation.advance_ms(9);
    turns(&mut simulation);
    assert!(simulation.rows.is_empty());
    simulation.advance_ms(26);
    turns(&mut simulation);
    assert_eq!(rows(&simulation), ["c=10", "a=20", "b=30"]);
}

#[test]
fn pending_timers_fire_after_a_restore_and_fired_ones_do_not() {
    let lines = endless(&["a 10", "b 20"]);
    let declare = |flow: &Flow| timers!(flow, lines).sink(Rows);
    let mut simulation = Simulation::start(&declare, LAYOUT, None);
    turns(&mut simulation);
    simulation.advance_ms(15);
    turns(&mut simulation);
    assert_eq!(rows(&simulation), ["a=10"]);
    let last = simulation
        .checkpoints
        .last()
        .cloned()
        .expect("one was made");
    let mut restored = simulation.start_again(&declare, LAYOUT, &last);
    // The time at which the job comes back.
    restored.advance_ms(1000);
    turns(&mut restored);
    assert_eq!(rows(&restored), ["b=20"]);
}

#[test]
fn pending_timers_are_discarded_at_the_end_unless_told_otherwise() {
    let lines = Lines::new(&[vec!["a 10".into(), "b 20".into(), "c 5".into()]], 1);
    let mut simulation = Simulation::start(&|flow| timers!(flow, lines).sink(Rows), LAYOUT, None);
    simulation.finish();
    assert!(simulation.rows.is_empty());
    let declare = |flow: &Flow| timers!(flow, lines).fire_timers_at_end().sink(Rows);
    let mut simulation = Simulation::start(&declare, LAYOUT, None);
    simulation.finish();
    assert_eq!(rows(&simulation), ["c=5", "a=10", "b=20"]);
}

#[test]
fn deleted_timers_do_not_fire_and_one_set_twice_fires_once() {
    let lines = endless(&["a 10", "a 20", "a 20", "a 10"]);
    let declare = |flow: &Flow| {
        flow.source(lines.clone())
            .key_by(|line| key_and_time(line).0)
            .process(
                |states| states.timers("timers"),
                |timers, line, cx, _out| {
                    match key_and_time(line) {
                        (_, 10) if timers.delete(cx, 10)? => {}
                        (_, time_ms) => timers.set(cx, time_ms)?,
                    }
                    Ok(())
                },
            )
            .on_timer(|_timers, time_ms, cx, out| {
                out.push_pair(cx.key(), &time_ms);
                Ok(())
            })
            .sink(Rows);
    };
    let mut simulation = Simulation::start(&declare, LAYOUT, None);
    turns(&mut simulation);
    simulation.advance_ms(100);
    turns(&mut simulation);
    assert_eq!(rows(&simulation), ["a=20"]);
}

#[test]
fn many_due_timers_fire_in_slices_and_wait_for_room() {
    const COUNT: u64 = 20_000;
    let lines: Vec<_> = (0..COUNT).map(|key| format!("key{key} 10")).collect();
    let mut lines = Lines::new(&[lines], usize::MAX);
    lines.is_endless = true;
    let mut simulation = Simulation::start(&|flow| timers!(flow, lines).sink(Rows), LAYOUT, None);
    let pending = |simulation: &mut Simulation| -> u64 {
        let counts = simulation.counts(0, "pending");
        counts.iter().map(|(_key, count)| count).sum()
    };
    while pending(&mut simulation) < COUNT {
        simulation.turn(0);
    }
    simulation.advance_ms(10);
    simulation.run_stage(0, 1);
    let fired = COUNT - pending(&mut simulation);
    assert!((1..=1024 + 64).contains(&fired), "fired {fired}");
    for _ in 0..100 {
        simulation.turn(0);
    }
    assert!(pending(&mut simulation) > 0, "nobody took the rows");
    turns(&mut simulation);
    assert_eq!(simulation.rows.len() as u64, COUNT);
}
