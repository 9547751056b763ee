//! The story: streams join, branch and spread in any way that an application can write down, with
//! up to three exchanges one after the other and beside each other, from sources that end and
//! sources that do not. Shards turn in any order and barriers come at any moment. Each completed
//! checkpoint is an exact cut: the rows of every sink up to its epoch are what plain vectors give
//! for the input in front of the noted positions.

use std::collections::BTreeMap;

use frazil_state::ListRedistribution;
use proptest::collection::vec;
use proptest::prelude::*;

use super::alignment::{Step, layouts, perform, steps};
use super::doubles::{Lines, Rows, line_count};
use super::simulation::{Checkpoint, Layout, Simulation};
use crate::flow::local_head::LocalHead;
use crate::flow::operators::KeyOf;
use crate::flow::{Flow, KeyedStream, ListProcess, Out, ProcessResult, Stream};

/// Streams that a flow has at most at any moment.
const STREAMS_MAX: usize = 6;
/// Exchanges of a flow, not counting that a union in front of one makes several of it.
const EXCHANGES_MAX: usize = 3;

/// What happens to one of the open streams, which count modulo how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Map(usize),
    Union(usize, usize),
    FanOut(usize),
    Rebalance(usize),
    Broadcast(usize),
    /// Updates of a count a key.
    Count(usize),
    /// The same, odd counts to a side output.
    Part(usize),
    /// The same, beside counts of another stream that each shard keeps for itself.
    Connect(usize, usize),
    /// Counts at the end.
    Finals(usize),
}

impl Verb {
    fn has_exchange(self) -> bool {
        !matches!(self, Self::Map(_) | Self::Union(..) | Self::FanOut(_))
    }
}

/// A flow that begins with one source for each input; what is open at the end goes to sinks.
#[derive(Clone, Debug)]
pub(super) struct Shape(pub(super) Vec<Verb>);

pub(super) fn shapes() -> impl Strategy<Value = Shape> {
    let stream = || 0..STREAMS_MAX;
    let verb = prop_oneof![
        2 => stream().prop_map(Verb::Map),
        3 => (stream(), stream()).prop_map(|(a, b)| Verb::Union(a, b)),
        2 => stream().prop_map(Verb::FanOut),
        1 => stream().prop_map(Verb::Rebalance),
        1 => stream().prop_map(Verb::Broadcast),
        2 => stream().prop_map(Verb::Count),
        1 => stream().prop_map(Verb::Part),
        1 => (stream(), stream()).prop_map(|(a, b)| Verb::Connect(a, b)),
    ];
    vec(verb, 0..8).prop_map(|mut verbs| {
        let mut exchanges = 0;
        verbs.retain(|verb| {
            exchanges += usize::from(verb.has_exchange());
            !verb.has_exchange() || exchanges <= EXCHANGES_MAX
        });
        Shape(verbs)
    })
}

/// Lines of the splits of each source.
pub(super) fn inputs() -> impl Strategy<Value = Vec<Vec<Vec<String>>>> {
    let line = (0..8u64).prop_map(|number| number.to_string());
    vec(vec(vec(line, 0..12), 0..4), 1..4)
}

fn changed(number: u64) -> u64 {
    (number * 7 + 3) % 64
}

fn key_of(number: u64) -> u64 {
    number % 5
}

fn update(key: u64, count: u64) -> u64 {
    key * 1000 + count
}

type Open<'f> = Stream<'f, u64, LocalHead<u64>>;

/// Declares the flow that a shape describes.
pub(super) fn declare(flow: &Flow, shape: &Shape, sources: &[Lines]) {
    let parse = |line: &str| line.parse::<u64>().expect("a number");
    let sources = sources.iter().map(|lines| {
        let [open] = flow.source(lines.clone()).map(parse).fan_out();
        open
    });
    let mut open: Vec<Open<'_>> = sources.collect();
    for (index, verb) in shape.0.iter().enumerate() {
        apply(&mut open, *verb, index);
    }
    open.into_iter().for_each(|stream| stream.sink(Rows));
}

fn take<'f>(open: &mut Vec<Open<'f>>, at: usize) -> Open<'f> {
    open.remove(at % open.len())
}

fn apply(open: &mut Vec<Open<'_>>, verb: Verb, index: usize) {
    let table = format!("table {index}");
    let [made] = match verb {
        Verb::Map(at) => take(open, at).map(|n| changed(*n)).fan_out(),
        Verb::Union(a, b) if open.len() > 1 => {
            // One stage of its own, and one edge that is there anyway.
            let first = take(open, a).filter(|_number| true);
            let union = first.union(take(open, b));
            open.push(union);
            return;
        }
        Verb::FanOut(at) if open.len() < STREAMS_MAX => {
            let [first, second] = take(open, at).fan_out();
            open.push(first);
            [second]
        }
        Verb::Connect(a, b) if open.len() > 1 => {
            let keyed = take(open, a).key_by_value(|number| key_of(*number));
            [connect(keyed, take(open, b), &table)]
        }
        Verb::Union(..) | Verb::FanOut(_) | Verb::Connect(..) => return,
        Verb::Rebalance(at) => take(open, at).rebalance().fan_out(),
        Verb::Broadcast(at) => take(open, at).broadcast().fan_out(),
        Verb::Count(at) => take(open, at)
            .key_by_value(|number| key_of(*number))
            .aggregate(&table, 0u64, |count, _number| *count += 1)
            .map(|(key, count)| update(*key, *count))
            .fan_out(),
        Verb::Finals(at) => take(open, at)
            .key_by_value(|number| key_of(*number))
            .aggregate(&table, 0u64, |count, _number| *count += 1)
            .emit_at_end()
            .map(|(key, count)| update(*key, *count))
            .fan_out(),
        Verb::Part(at) => {
            let mut keyed = take(open, at).key_by_value(|number| key_of(*number));
            let (odd, odd_counts) = keyed.side_output::<u64>();
            open.push(odd_counts);
            let counts = keyed.process(
                |states| states.value::<u64>(&table),
                move |count, _number, cx, out| {
                    let count = count.update(cx, &0, |count| {
                        *count += 1;
                        *count
                    })?;
                    let made = update(*cx.key(), count);
                    if count % 2 == 1 {
                        odd.push_owned(cx, made);
                    } else {
                        out.push_owned(made);
                    }
                    Ok(())
                },
            );
            counts.fan_out()
        }
    };
    open.push(made);
}

type ByKey<'f, X> = KeyedStream<'f, u64, u64, X>;

fn connect<'f>(keyed: ByKey<'f, impl KeyOf<u64, u64>>, other: Open<'f>, table: &str) -> Open<'f> {
    let told = format!("told {table}");
    let connected = keyed.connect(other.broadcast()).process(
        |states| {
            (
                states.value::<u64>(table),
                states.broadcast::<u64, u64>(&told),
            )
        },
        |(count, _told), _number, cx, out| {
            let count = count.update(cx, &0, |count| {
                *count += 1;
                *count
            })?;
            out.push_owned(update(*cx.key(), count));
            Ok(())
        },
        |(_count, told), number, cx, out| {
            let key = key_of(*number);
            let count = told.get(cx, &key)?.unwrap_or(0) + 1;
            told.put(cx, &key, &count)?;
            out.push_owned(update(key + 10, count));
            Ok(())
        },
    );
    let [made] = connected.fan_out();
    made
}

/// The numbers that reach each sink, by plain vectors.
pub(super) fn reference(
    shape: &Shape,
    sources: Vec<Vec<u64>>,
    shard_count: usize,
) -> Vec<Vec<u64>> {
    let mut open = sources;
    for verb in &shape.0 {
        let take = |open: &mut Vec<Vec<u64>>, at: usize| open.remove(at % open.len());
        match *verb {
            Verb::Map(at) => {
                let numbers = take(&mut open, at);
                open.push(numbers.into_iter().map(changed).collect());
            }
            Verb::Union(a, b) if open.len() > 1 => {
                let mut union = take(&mut open, a);
                union.extend(take(&mut open, b));
                open.push(union);
            }
            Verb::FanOut(at) if open.len() < STREAMS_MAX => {
                let numbers = take(&mut open, at);
                open.extend([numbers.clone(), numbers]);
            }
            Verb::Connect(a, b) if open.len() > 1 => {
                let keyed = updates(&take(&mut open, a));
                let told: Vec<_> = updates(&take(&mut open, b)).collect();
                let told = told.repeat(shard_count).into_iter();
                let all = keyed.chain(told.map(|(key, count)| (key + 10, count)));
                open.push(all.map(|(key, count)| update(key, count)).collect());
            }
            Verb::Union(..) | Verb::FanOut(_) | Verb::Connect(..) => {}
            Verb::Rebalance(at) => {
                let numbers = take(&mut open, at);
                open.push(numbers);
            }
            Verb::Broadcast(at) => {
                let numbers = take(&mut open, at);
                open.push(numbers.repeat(shard_count));
            }
            Verb::Count(at) => {
                let updates = updates(&take(&mut open, at));
                open.push(updates.map(|(key, count)| update(key, count)).collect());
            }
            Verb::Finals(at) => {
                let counts = counts(&take(&mut open, at)).into_iter();
                open.push(counts.map(|(key, count)| update(key, count)).collect());
            }
            Verb::Part(at) => {
                let numbers = take(&mut open, at);
                let (odd, even) = updates(&numbers).partition(|(_key, count)| count % 2 == 1);
                let made = |updates: Vec<(u64, u64)>| {
                    let made = updates.into_iter().map(|(key, count)| update(key, count));
                    made.collect::<Vec<_>>()
                };
                open.extend([made(odd), made(even)]);
            }
        }
    }
    open
}

fn counts(numbers: &[u64]) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::<u64, u64>::new();
    for number in numbers {
        *counts.entry(key_of(*number)).or_default() += 1;
    }
    counts
}

fn updates(numbers: &[u64]) -> impl Iterator<Item = (u64, u64)> + use<> {
    let counts = counts(numbers).into_iter();
    counts.flat_map(|(key, count)| (1..=count).map(move |n| (key, n)))
}

/// The numbers of each source in front of a checkpoint's positions.
fn cut(inputs: &[Vec<Vec<String>>], operators: &[u32], checkpoint: &Checkpoint) -> Vec<Vec<u64>> {
    let read = |(splits, operator): (&Vec<Vec<String>>, &u32)| {
        let noted = checkpoint.positions.iter();
        let noted = noted.filter(|noted| noted.operator == *operator && !noted.position.is_empty());
        let lines = noted.flat_map(|noted| {
            let split = &splits[usize::try_from(noted.split_id).expect("an index")];
            &split[..line_count(&noted.position)]
        });
        lines.map(|line| line.parse().expect("a number")).collect()
    };
    inputs.iter().zip(operators).map(read).collect()
}

/// A run of a random flow with everything that is needed to check it.
struct Run {
    shape: Shape,
    inputs: Vec<Vec<Vec<String>>>,
    sources: Vec<Lines>,
    /// Operator numbers of the sources.
    operators: Vec<u32>,
    layout: Layout,
    simulation: Simulation,
}

impl Run {
    fn start(
        shape: Shape,
        inputs: Vec<Vec<Vec<String>>>,
        layout: Layout,
        is_endless: impl Fn(usize) -> bool,
    ) -> Self {
        let source = |(index, splits): (usize, &Vec<Vec<String>>)| Lines {
            is_endless: is_endless(index),
            ..Lines::new(splits, 2)
        };
        let sources: Vec<_> = inputs.iter().enumerate().map(source).collect();
        let flow = |flow: &Flow| declare(flow, &shape, &sources);
        let plan = Flow::plan(flow, layout.shard_count).expect("the flow is valid");
        let operators = plan.sources.iter().map(|it| it.operator).collect();
        let simulation = Simulation::start(&flow, layout, None);
        Self {
            shape,
            inputs,
            sources,
            operators,
            layout,
            simulation,
        }
    }

    fn check_cuts(&self) {
        for checkpoint in &self.simulation.checkpoints {
            let numbers = cut(&self.inputs, &self.operators, checkpoint);
            let expected = reference(&self.shape, numbers, self.layout.shard_count);
            for (sink, expected) in (0..).zip(expected) {
                let mut expected: Vec<_> = expected.iter().map(u64::to_string).collect();
                expected.sort_unstable();
                let rows = self.simulation.rows_until(sink, checkpoint.epoch);
                assert_eq!(rows, expected, "sink {sink} of {checkpoint:?}");
            }
        }
    }

    /// The last checkpoint knows all splits, with everything in them read.
    fn check_last(&self) {
        let last = self.simulation.checkpoints.last().expect("one was made");
        let read = cut(&self.inputs, &self.operators, last).concat().len();
        assert_eq!(read, self.inputs.concat().concat().len());
        for noted in &last.positions {
            let source = self.operators.iter().position(|it| *it == noted.operator);
            let source = &self.sources[source.expect("a source")];
            assert_eq!(noted.finished, !source.is_endless, "{noted:?}");
        }
        assert_eq!(last.positions.len(), self.inputs.concat().len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn each_checkpoint_is_an_exact_cut_of_any_flow(
        shape in shapes(),
        inputs in inputs(),
        layout in layouts(),
        steps in steps(),
    ) {
        let mut run = Run::start(shape, inputs, layout, |_source| false);
        perform(&mut run.simulation, &steps);
        run.simulation.finish();
        run.simulation.request();
        run.simulation.finish();
        run.check_cuts();
        run.check_last();
        prop_assert!(run.simulation.stages().all(|stage| stage.is_finished()));
    }

    #[test]
    fn source_that_ended_stays_in_the_checkpoints_of_those_that_did_not(
        shape in shapes(),
        inputs in inputs(),
        layout in layouts(),
        steps in steps(),
    ) {
        let mut run = Run::start(shape, inputs, layout, |source| source % 2 == 0);
        perform(&mut run.simulation, &steps);
        run.simulation.settle();
        for _ in 0..2 {
            run.simulation.request();
            run.simulation.settle();
        }
        run.check_cuts();
        run.check_last();
    }
}

/// Final values of words, of which one source has the first and another the second half.
fn declare_finals(flow: &Flow, sources: &[Lines; 2]) {
    let [first, second] = sources;
    flow.source(first.clone())
        .filter(|_line| true)
        .union(flow.source(second.clone()))
        .key_by(|line| line)
        .aggregate("count", 0u64, |count, _line| *count += 1)
        .emit_at_end()
        .sink(Rows);
}

#[test]
fn union_in_front_of_an_exchange_takes_no_stage_of_its_own() {
    let lines = Lines::new(&[vec![]], 1);
    let declare = |flow: &Flow| declare_finals(flow, &[lines.clone(), lines.clone()]);
    let plan = Flow::plan(declare, 1).expect("the flow is valid");
    assert_eq!(
        plan.stage_names,
        [
            "source > filter",
            "source",
            "aggregate > emit_at_end > sink"
        ]
    );
}

#[test]
fn final_values_come_once_all_streams_of_a_union_have_ended() {
    let words = |count: usize| vec![vec!["ice".to_owned(); count]];
    let mut endless = Lines::new(&words(300), 7);
    endless.is_endless = true;
    let layout = Layout {
        shard_count: 2,
        ring_capacity: 1,
        buffer_count: 1,
    };
    let sources = [Lines::new(&words(500), 7), endless];
    let mut simulation = Simulation::start(&|flow| declare_finals(flow, &sources), layout, None);
    simulation.settle();
    assert!(simulation.rows.is_empty(), "one of the streams goes on");
    let sources = sources.map(|lines| Lines {
        is_endless: false,
        ..lines
    });
    let mut simulation = Simulation::start(&|flow| declare_finals(flow, &sources), layout, None);
    perform(&mut simulation, &[Step::Request]);
    simulation.finish();
    assert_eq!(simulation.rows_until(0, u64::MAX), ["ice=800"]);
}

#[test]
fn copies_wait_for_the_slowest_of_them() {
    let lines: Vec<_> = (0..100_000).map(|line| line.to_string()).collect();
    let lines = Lines::new(&[lines], usize::MAX);
    let declare = |flow: &Flow| {
        let [first, second] = flow.source(lines.clone()).fan_out();
        first.sink(Rows);
        second.map(|line| line.len() as u64).sink(Rows);
    };
    let layout = Layout {
        shard_count: 1,
        ring_capacity: 2,
        buffer_count: 2,
    };
    let mut simulation = Simulation::start(&declare, layout, None);
    // The stage of the second copy never runs.
    for _ in 0..1_000 {
        simulation.run_stage(0, 0);
        simulation.run_stage(0, 1);
        simulation.stage_rows(0);
    }
    let read_count = simulation.read_count();
    assert!(read_count < 18 * 1024, "read {read_count}");
    simulation.finish();
    for sink in 0..2 {
        assert_eq!(simulation.rows_until(sink, u64::MAX).len(), 100_000);
    }
}

#[test]
fn rebalanced_records_are_dealt_to_all_shards_evenly() {
    let lines: Vec<_> = (0..999).map(|line| line.to_string()).collect();
    let lines = Lines::new(&[lines], 50);
    let declare = |flow: &Flow| {
        let dealt = flow.source(lines.clone()).rebalance();
        // One record a shard at the end: how many it got.
        dealt
            .process_list("count", ListRedistribution::Split, Counter(0))
            .sink(Rows);
    };
    let layout = Layout {
        shard_count: 3,
        ring_capacity: 2,
        buffer_count: 2,
    };
    let mut simulation = Simulation::start(&declare, layout, None);
    simulation.finish();
    assert_eq!(simulation.rows_until(0, u64::MAX), ["333"; 3]);
}

struct Counter(u64);

impl ListProcess<str> for Counter {
    type Element = u64;
    type Out = u64;

    fn restore(&mut self, _elements: Vec<u64>) {}

    fn record(&mut self, _line: &str, _out: &mut Out<u64>) -> ProcessResult {
        self.0 += 1;
        Ok(())
    }

    fn end(&mut self, out: &mut Out<u64>) -> ProcessResult {
        out.push(&self.0);
        Ok(())
    }

    fn snapshot(&mut self, elements: &mut Vec<u64>) {
        elements.push(self.0);
    }
}

#[test]
fn copies_of_one_stream_join_again() {
    let lines = Lines::new(&[vec!["a".to_owned(), "b".to_owned()]], 1);
    let declare = |flow: &Flow| {
        let [first, second] = flow.source(lines.clone()).fan_out();
        first
            .union(second)
            .key_by(|line| line)
            .aggregate("count", 0u64, |count, _line| *count += 1)
            .sink(Rows);
    };
    let layout = Layout {
        shard_count: 2,
        ring_capacity: 1,
        buffer_count: 1,
    };
    let mut simulation = Simulation::start(&declare, layout, None);
    simulation.finish();
    let expected: Vec<String> = ["a=1", "a=2", "b=1", "b=2"].map(str::to_owned).into();
    assert_eq!(simulation.rows_until(0, u64::MAX), expected);
}
