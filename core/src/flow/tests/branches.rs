//! The story: a process function has two outputs, one of which goes on over a further exchange.
//! Barriers and the end reach every tail, a full tail holds its whole stage up, and each completed
//! checkpoint is an exact cut of both outputs.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::alignment::{cut, layouts, perform, splits, steps, updates, words};
use super::doubles::{Lines, Rows};
use super::simulation::{Layout, Simulation};
use crate::flow::{Flow, Keyed};

/// Sink 0 gets the odd counts of each word, from the side; sink 1 counts these by word length; sink
/// 2 gets the even counts.
fn declare(flow: &Flow, lines: &Lines) {
    let mut by_word = flow
        .source(lines.clone())
        .flat_map(words)
        .key_by(|word| word);
    let (odd, odd_counts) = by_word.side_output::<Keyed<str, u64>>();
    let (odd_again, odd_words) = by_word.side_output::<str>();
    odd_counts.sink(Rows);
    odd_words
        .filter(|word| !word.is_empty())
        .key_by_value(|word| word.len() as u64)
        .aggregate("lengths", 0u64, |count, _word| *count += 1)
        .sink(Rows);
    by_word
        .process(
            |states| states.value::<u64>("words"),
            move |count, word, cx, out| {
                let count = count.update(cx, &0, |count| {
                    *count += 1;
                    *count
                })?;
                if count % 2 == 0 {
                    out.push_pair(word, &count);
                } else {
                    odd.push_pair(cx, word, &count);
                    odd_again.push(cx, word);
                }
                Ok(())
            },
        )
        .sink(Rows);
}

/// The rows that a sink must have for some lines.
fn expected_rows(lines: &[&str], sink: usize) -> Vec<String> {
    let mut counts = BTreeMap::<&str, u64>::new();
    let mut lengths = BTreeMap::<usize, u64>::new();
    let mut rows = [vec![], vec![]];
    for word in lines.iter().flat_map(|line| line.split_whitespace()) {
        let count = counts.entry(word).or_default();
        *count += 1;
        let is_odd = *count % 2 == 1;
        rows[usize::from(!is_odd)].push(format!("{word}={count}"));
        if is_odd {
            *lengths.entry(word.len()).or_default() += 1;
        }
    }
    let [mut odd, mut even] = rows;
    odd.sort_unstable();
    even.sort_unstable();
    vec![odd, updates(&lengths), even].swap_remove(sink)
}

proptest! {
    #[test]
    fn each_checkpoint_is_an_exact_cut_of_both_outputs(
        layout in layouts(),
        splits in splits(),
        burst in 1..4usize,
        steps in steps(),
    ) {
        let lines = Lines::new(&splits, burst);
        let mut simulation = Simulation::start(&|flow| declare(flow, &lines), layout, None);
        perform(&mut simulation, &steps);
        simulation.finish();
        simulation.request();
        simulation.finish();
        for checkpoint in &simulation.checkpoints {
            let lines = cut(&splits, checkpoint, 0);
            for sink in 0..3u8 {
                let rows = simulation.rows_until(sink.into(), checkpoint.epoch);
                prop_assert_eq!(rows, expected_rows(&lines, sink.into()), "sink {}", sink);
            }
        }
        prop_assert!(simulation.stages().all(|stage| stage.is_finished()));
    }
}

#[test]
fn operator_waits_while_its_side_output_is_full() {
    let lines: Vec<_> = (0..200_000).map(|line| line.to_string()).collect();
    let lines = Lines::new(&[lines], usize::MAX);
    let declare = |flow: &Flow| {
        let mut by_line = flow.source(lines.clone()).key_by(|line| line);
        let (side, side_lines) = by_line.side_output::<str>();
        by_line
            .process(
                |_states| side,
                |side, line, cx, out| {
                    side.push(cx, line);
                    out.push(line);
                    Ok(())
                },
            )
            .filter(|_line| false)
            .sink(Rows);
        side_lines.sink(Rows);
    };
    let layout = Layout {
        shard_count: 1,
        ring_capacity: 2,
        buffer_count: 2,
    };
    let mut simulation = Simulation::start(&declare, layout, None);
    // The stage of the side output never runs.
    for _ in 0..10_000 {
        simulation.run_stage(0, 0);
        simulation.run_stage(0, 1);
    }
    let read_count = simulation.read_count();
    assert!(read_count < (16 + 1 + 5) * 1024, "read {read_count}");
    simulation.request();
    simulation.finish();
    assert_eq!(simulation.rows_until(1, u64::MAX).len(), 200_000);
}

#[test]
fn stages_are_named_by_their_own_operators() {
    let lines = Lines::new(&[vec![]], 1);
    let plan = Flow::plan(|flow| declare(flow, &lines), 1).expect("the flow is valid");
    assert_eq!(
        plan.stage_names,
        [
            "source > flat_map > key_by",
            "side_output > sink",
            "side_output > filter > key_by_value",
            "aggregate > sink",
            "process > sink",
        ]
    );
}
