//! The story: any flow, in any mode, is killed at any moment and starts again from any of its
//! checkpoints, on any number of shards, again and again. In the end its sinks have what plain
//! vectors give for the input, once, and its state is that of a run in which nothing happened; at
//! least once, where no more was asked for.
//!
//! A failing case is said with its seed; `FRAZIL_SEED=N` runs that case alone.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::alignment::{Step, layouts, perform, steps};
use super::cutter::Snapshot;
use super::doubles::Lines;
use super::shapes::{Shape, Verb, declare, inputs, reference, shapes};
use super::simulation::{Checkpoint, Layout, Simulation};
use crate::checkpoint::CheckpointMode;
use crate::flow::Flow;

const CASES: u64 = 1_000;

/// What the barriers of a case wait for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Barriers {
    Aligned,
    AtLeastOnce,
    Unaligned,
    /// So many turns for alignment before they overtake.
    AlignedFor(u32),
}

/// From one start to the kill.
#[derive(Clone, Debug)]
struct Leg {
    steps: Vec<Step>,
    /// Which of the checkpoints so far is started from then, or none of them.
    choice: usize,
    /// The shards of the next leg.
    shard_count: usize,
}

#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    inputs: Vec<Vec<Vec<String>>>,
    burst: usize,
    layout: Layout,
    barriers: Barriers,
    legs: Vec<Leg>,
}

fn cases() -> impl Strategy<Value = Case> {
    let barriers = prop_oneof![
        2 => Just(Barriers::Aligned),
        1 => Just(Barriers::AtLeastOnce),
        4 => Just(Barriers::Unaligned),
        2 => (0..40u32).prop_map(Barriers::AlignedFor),
    ];
    let leg = (steps(), 0..100usize, 1..=4usize).prop_map(|(steps, choice, shard_count)| Leg {
        steps,
        choice,
        shard_count,
    });
    let legs = vec(leg, 1..4);
    let flow = (shapes(), any::<bool>(), inputs(), 1..4usize);
    (flow, layouts(), barriers, legs).prop_map(|(flow, layout, barriers, mut legs)| {
        let (mut shape, has_finals, inputs, burst) = flow;
        // A value at the end tells whether something was counted twice.
        let is_exact = barriers != Barriers::AtLeastOnce;
        for verb in &mut shape.0 {
            if let Verb::Count(at) = *verb
                && has_finals
                && is_exact
            {
                *verb = Verb::Finals(at);
            }
        }
        // A record that is broadcast counts as often as there are shards just then.
        let spreads = |verb: &Verb| matches!(verb, Verb::Broadcast(_) | Verb::Connect(..));
        if shape.0.iter().any(spreads) {
            let same = |leg: &mut Leg| leg.shard_count = layout.shard_count;
            legs.iter_mut().for_each(same);
        }
        Case {
            shape,
            inputs,
            burst,
            layout,
            barriers,
            legs,
        }
    })
}

/// A checkpoint, and what each sink has committed with it.
struct Saved {
    checkpoint: Checkpoint,
    committed: Vec<Vec<String>>,
}

impl Case {
    fn sources(&self) -> Vec<Lines> {
        let splits = self.inputs.iter();
        splits.map(|it| Lines::new(it, self.burst)).collect()
    }

    fn start(&self, shard_count: usize, from: Option<&Saved>) -> Simulation {
        let sources = self.sources();
        let flow = |flow: &Flow| declare(flow, &self.shape, &sources);
        let mode = match self.barriers {
            Barriers::Aligned | Barriers::AlignedFor(_) => CheckpointMode::Aligned,
            Barriers::AtLeastOnce => CheckpointMode::AtLeastOnce,
            Barriers::Unaligned => CheckpointMode::Unaligned,
        };
        let layout = Layout {
            shard_count,
            ..self.layout
        };
        let checkpoint = from.map(|saved| &saved.checkpoint);
        let mut simulation = Simulation::restore_in(mode, &flow, layout, checkpoint);
        if let Barriers::AlignedFor(turns) = self.barriers {
            simulation.overtake_after(turns);
        }
        simulation
    }

    /// Takes all legs, runs to the end, and gives the rows of each sink and the last run.
    fn run(&self, sink_count: usize) -> (Vec<Vec<String>>, Simulation) {
        let mut history: Vec<Saved> = vec![];
        let mut committed = vec![vec![]; sink_count];
        let mut simulation = self.start(self.layout.shard_count, None);
        for leg in &self.legs {
            perform(&mut simulation, &leg.steps);
            // A checkpoint is there once the writer has all rows in front of it.
            (0..simulation.shard_count()).for_each(|shard| _ = simulation.stage_rows(shard));
            for checkpoint in std::mem::take(&mut simulation.checkpoints) {
                let committed = rows(&simulation, &committed, checkpoint.epoch);
                history.push(Saved {
                    checkpoint,
                    committed,
                });
            }
            // What came after the chosen one counts no more.
            history.truncate((leg.choice % (history.len() + 1)).max(history.len() / 2));
            let from = history.last();
            committed = from.map_or(vec![vec![]; sink_count], |it| it.committed.clone());
            simulation = self.start(leg.shard_count, from);
        }
        simulation.finish();
        (rows(&simulation, &committed, u64::MAX), simulation)
    }

    fn check(&self) {
        let numbers = |splits: &Vec<Vec<String>>| {
            let lines = splits.iter().flatten();
            lines.map(|line| line.parse().expect("a number")).collect()
        };
        let numbers = self.inputs.iter().map(numbers).collect();
        let expected = reference(&self.shape, numbers, self.layout.shard_count);
        let (rows, simulation) = self.run(expected.len());
        for (sink, (mut rows, numbers)) in rows.into_iter().zip(expected).enumerate() {
            let mut expected: Vec<_> = numbers.iter().map(u64::to_string).collect();
            expected.sort_unstable();
            rows.sort_unstable();
            match self.barriers {
                Barriers::AtLeastOnce => assert_holds(&rows, &expected),
                _ => assert_eq!(rows, expected, "sink {sink}"),
            }
        }
        let last_shard_count = simulation.shard_count();
        if self.barriers != Barriers::AtLeastOnce {
            let spreads = self.layout.shard_count == last_shard_count;
            let undisturbed_shard_count = if spreads { last_shard_count } else { 1 };
            let mut undisturbed = self.start(undisturbed_shard_count, None);
            undisturbed.finish();
            assert_eq!(simulation.dump(), undisturbed.dump(), "state");
        }
    }
}

/// What each sink has up to an epoch, with what was committed before the run.
fn rows(simulation: &Simulation, committed: &[Vec<String>], epoch: u64) -> Vec<Vec<String>> {
    let sinks = (0..).zip(committed);
    let rows = sinks.map(|(sink, committed)| {
        let rows = simulation.rows_until(sink, epoch);
        committed.iter().cloned().chain(rows).collect()
    });
    rows.collect()
}

fn assert_holds(rows: &[String], expected: &[String]) {
    let mut left = BTreeMap::<&str, usize>::new();
    rows.iter()
        .for_each(|row| *left.entry(row).or_default() += 1);
    for row in expected {
        let count = left.entry(row).or_default();
        *count = count
            .checked_sub(1)
            .unwrap_or_else(|| panic!("{row} was lost"));
    }
}

fn run_case(seed: u64) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = ProptestConfig {
        cases: 1,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&cases(), |case| {
        case.check();
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("FRAZIL_SEED={seed} {failure}"));
}

#[test]
fn any_flow_comes_back_from_any_checkpoint_in_any_mode() {
    if let Ok(seed) = std::env::var("FRAZIL_SEED") {
        run_case(seed.parse().expect("FRAZIL_SEED is a number"));
        return;
    }
    let first = std::time::UNIX_EPOCH.elapsed().expect("the clock is set");
    let first = first.as_secs() << 16;
    (first..first + CASES).for_each(run_case);
}

/// Each shard of whatever number has had each record of the broadcast once, though shards were
/// at different places in it.
#[test]
fn broadcast_in_flight_reaches_every_shard_of_another_number_once() {
    let numbers: Vec<_> = (0..60u64).map(|n| (n % 8).to_string()).collect();
    let case = Case {
        shape: Shape(vec![Verb::Connect(0, 0)]),
        inputs: vec![vec![numbers.clone()], vec![numbers]],
        burst: 2,
        layout: Layout {
            shard_count: 2,
            ring_capacity: 1,
            buffer_count: 1,
        },
        barriers: Barriers::Unaligned,
        legs: vec![],
    };
    let mut simulation = case.start(2, None);
    // Nobody takes the rows, and one shard turns more often.
    for shard in [0, 1, 0, 0].into_iter().cycle().take(40) {
        simulation.turn(shard);
    }
    simulation.request();
    while simulation.checkpoints.is_empty() {
        (0..2).for_each(|shard| _ = simulation.turn(shard));
    }
    let saved = Saved {
        checkpoint: simulation.checkpoints.remove(0),
        committed: vec![],
    };
    let snapshots = &saved.checkpoint.snapshots;
    assert!(snapshots.iter().any(Snapshot::has_in_flight));
    for shard_count in [1, 2, 3, 4] {
        let mut restored = case.start(shard_count, Some(&saved));
        restored.finish();
        let mut undisturbed = case.start(shard_count, None);
        undisturbed.finish();
        assert_eq!(restored.dump(), undisturbed.dump(), "{shard_count} shards");
    }
}
