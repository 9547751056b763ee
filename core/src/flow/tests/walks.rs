//! The story: lines make keys, and commands that all shards get walk over all of them. Shards run
//! in any order and barriers come at any moment, also when keys are in hand. Whatever the order, a
//! key is visited once by each walk from the first that found it on; and a checkpoint has exactly
//! the visits whose rows are in front of it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::alignment::{Step, layouts, perform, steps};
use super::doubles::{Lines, Rows};
use super::simulation::{Layout, Simulation};
use crate::flow::Flow;

const LAYOUT: Layout = Layout {
    shard_count: 1,
    ring_capacity: 2,
    buffer_count: 1,
};

/// Each number among the commands is a walk that emits its keys with the number.
fn declare(flow: &Flow, lines: &Lines, commands: &Lines) {
    flow.source(lines.clone())
        .key_by(|line| line)
        .connect(flow.source(commands.clone()).broadcast())
        .process(
            |states| {
                let seen = states.map::<u64, ()>("seen");
                (seen, states.value::<u64>("visits"), states.walks("walks"))
            },
            |(seen, _visits, _walks), line, cx, _out| {
                seen.put(cx, &(line.len() as u64), &())?;
                Ok(())
            },
            |(seen, _visits, walks), command, cx, _out| {
                walks.start(cx, seen, command.parse()?);
                Ok(())
            },
        )
        .on_visit(|(_seen, visits, _walks), number, cx, out| {
            visits.update(cx, &0, |visits| *visits += 1)?;
            out.push_pair(cx.key(), &number);
            Ok(())
        })
        .sink(Rows);
}

fn keys() -> impl Strategy<Value = Vec<Vec<String>>> {
    let split = proptest::collection::vec((0..400u32).prop_map(|key| format!("key{key}")), 0..200);
    proptest::collection::vec(split, 0..4)
}

fn numbered(count: usize) -> Vec<String> {
    (1..=count).map(|number| number.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_key_is_visited_once_by_each_walk_that_found_it(
        layout in layouts(),
        splits in keys(),
        command_count in 0..25usize,
        rounds in proptest::collection::vec(steps(), 0..4),
    ) {
        let lines = Lines::new(&splits, 20);
        let commands = Lines::new(&[numbered(command_count)], 3);
        let declare = |flow: &Flow| declare(flow, &lines, &commands);
        let mut simulation = Simulation::start(&declare, layout, None);
        simulation.dump_counts("visits");
        for steps in rounds {
            let steps: Vec<Step> = steps.into_iter().take(80).collect();
            perform(&mut simulation, &steps);
        }
        simulation.request();
        simulation.finish();
        for checkpoint in &simulation.checkpoints {
            let mut visits = BTreeMap::<String, u64>::new();
            for row in simulation.rows_until(0, checkpoint.epoch) {
                let (key, _number) = row.split_once('=').expect("a pair");
                *visits.entry(key.to_owned()).or_default() += 1;
            }
            let counts: BTreeMap<_, _> = checkpoint.counts.iter().cloned().collect();
            prop_assert_eq!(counts, visits);
        }
        let mut numbers = BTreeMap::<String, Vec<usize>>::new();
        for row in simulation.rows_until(0, u64::MAX) {
            let (key, number) = row.split_once('=').expect("a pair");
            let number = number.parse().expect("a number");
            numbers.entry(key.to_owned()).or_default().push(number);
        }
        for (key, mut found) in numbers {
            found.sort_unstable();
            let expected: Vec<usize> = (found[0]..=command_count).collect();
            prop_assert_eq!(found, expected, "walks that visited {}", key);
        }
    }
}

/// Each line is a key; one of a `!` and a number is no key but a walk over all before it.
fn declare_single(flow: &Flow, lines: &Lines) {
    flow.source(lines.clone())
        .key_by(|line| line)
        .process(
            |states| (states.value::<u64>("visits"), states.walks("walks")),
            |(visits, walks), line, cx, _out| {
                match line.strip_prefix('!') {
                    Some(number) => walks.start(cx, visits, number.parse()?),
                    None => visits.put(cx, &0)?,
                }
                Ok(())
            },
        )
        .on_visit(|(visits, _walks), number, cx, out| {
            visits.put(cx, &number)?;
            out.push_pair(cx.key(), &number);
            Ok(())
        })
        .sink(Rows);
}

fn key_lines(key_count: usize, walk_count: usize) -> Lines {
    let keys = (0..key_count).map(|key| format!("key{key}"));
    let walks = (1..=walk_count).map(|number| format!("!{number}"));
    let mut lines = Lines::new(&[keys.chain(walks).collect()], usize::MAX);
    lines.is_endless = true;
    lines
}

fn rows(simulation: &Simulation) -> Vec<&str> {
    let rows = simulation.rows.iter();
    rows.map(|row| row.text.as_str()).collect()
}

/// Turns until nothing more happens, then makes a checkpoint: rows in hand go out with its barrier.
fn turns(simulation: &mut Simulation) {
    while simulation.turn(0) | simulation.stage_rows(0) {}
    simulation.request();
    simulation.turn(0);
    simulation.turn(0);
    simulation.stage_rows(0);
}

#[test]
fn a_walk_goes_in_slices_waits_for_room_and_goes_on_after_a_restore() {
    const COUNT: usize = 5000;
    let lines = key_lines(COUNT, 1);
    let declare = |flow: &Flow| declare_single(flow, &lines);
    let mut simulation = Simulation::start(&declare, LAYOUT, None);
    simulation.dump_counts("visits");
    let visited = |simulation: &mut Simulation| {
        let counts = simulation.counts(0, "visits");
        counts
            .into_iter()
            .filter(|(_key, number)| *number > 0)
            .count()
    };
    let mut before = 0;
    while before == 0 {
        simulation.turn(0);
        before = visited(&mut simulation);
    }
    assert!(before <= 256 + 64, "a slice of {before} keys");
    for _ in 0..100 {
        simulation.turn(0);
    }
    assert!(visited(&mut simulation) < COUNT, "nobody took the rows");
    // A checkpoint in the middle, after which nothing changes.
    simulation.request();
    while simulation.checkpoints.is_empty() {
        simulation.stage_rows(0);
        simulation.turn(0);
    }
    simulation.stage_rows(0);
    let checkpoint = simulation.checkpoints[0].clone();
    let counts = checkpoint.counts.iter();
    let visited_count = counts.filter(|(_key, number)| *number > 0).count();
    assert!(visited_count < COUNT, "the walk was over");
    let mut all: Vec<String> = simulation.rows_until(0, checkpoint.epoch);
    assert_eq!(all.len(), visited_count);
    let mut restored = simulation.start_again(&declare, LAYOUT, &checkpoint);
    turns(&mut restored);
    all.extend(rows(&restored).into_iter().map(str::to_owned));
    all.sort_unstable();
    let mut expected: Vec<String> = (0..COUNT).map(|key| format!("key{key}=1")).collect();
    expected.sort_unstable();
    assert_eq!(all, expected);
}

#[test]
fn a_key_that_lost_its_state_is_not_visited() {
    let mut lines = Lines::new(&[(0..2000).map(|key| format!("key{key}")).collect()], 50);
    lines.is_endless = true;
    let declare = |flow: &Flow| {
        flow.source(lines.clone())
            .key_by(|line| line)
            .process(
                |states| {
                    let expiry = frazil_state::Expiry {
                        after_ms: 10,
                        policy: frazil_state::ExpiryPolicy::OnWrite,
                    };
                    (
                        states.ttl(expiry).list::<u64>("list"),
                        states.walks("walks"),
                    )
                },
                |(list, walks), line, cx, _out| {
                    list.push(cx, &1)?;
                    if line == "key1999" {
                        walks.start(cx, list, 0);
                    }
                    Ok(())
                },
            )
            .on_visit(|(list, _walks), _number, cx, out| {
                out.push_pair(cx.key(), &(list.get(cx)?.len() as u64));
                Ok(())
            })
            .sink(Rows);
    };
    let mut simulation = Simulation::start(&declare, LAYOUT, None);
    while simulation.read_count() < 1000 {
        simulation.turn(0);
    }
    // What follows comes when this has expired, and starts the walk.
    simulation.advance_ms(10);
    turns(&mut simulation);
    assert!(rows(&simulation).len() < 2000 && !rows(&simulation).is_empty());
    assert!(rows(&simulation).iter().all(|row| row.ends_with("=1")));
}

#[test]
fn walks_go_one_after_the_other_and_too_many_hold_the_records() {
    let lines = key_lines(300, 40);
    let declare = |flow: &Flow| declare_single(flow, &lines);
    let mut simulation = Simulation::start(&declare, LAYOUT, None);
    turns(&mut simulation);
    let numbers = rows(&simulation).into_iter().map(|row| {
        let (_key, number) = row.split_once('=').expect("a pair");
        number.parse::<usize>().expect("a number")
    });
    let numbers: Vec<usize> = numbers.collect();
    assert!(numbers.is_sorted());
    assert_eq!(numbers.last(), Some(&40));
}
