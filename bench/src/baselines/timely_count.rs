//! Timely dataflow: the same flow (input, exchange, count in a map, probe) on one worker. It has no
//! fault tolerance.

use super::contestant::{Contestant, Turn, on_this_thread};
use crate::measure_error::MeasureError;
use crate::probe::cpus::on_cpu;
use crate::workload::Keys;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use std::time::Duration;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::{Input, Probe};
use timely::dataflow::{InputHandle, ProbeHandle};
use timely::worker::Worker;

/// Keys that go in between two steps of the worker.
const BATCH: u64 = 1024;

/// Makes its dataflow and counts every key once at the beginning of each turn.
pub(super) struct TimelyCount {
    keys: Keys,
}

impl TimelyCount {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys }
    }
}

impl Contestant for TimelyCount {
    fn name(&self) -> &'static str {
        "timely, exchange and count in hashbrown"
    }

    fn turn(&mut self, duration: Duration) -> Result<Turn, MeasureError> {
        let keys = self.keys;
        let turn = move |worker: &mut Worker| count(worker, keys, duration).0;
        on_cpu(0, || timely::execute_directly(turn))
    }
}

/// Gives the turn, and how many keys were counted in all.
fn count(worker: &mut Worker, keys: Keys, duration: Duration) -> (Result<Turn, MeasureError>, u64) {
    type Builder = CapacityContainerBuilder<Vec<u64>>;
    type CountBuilder = CapacityContainerBuilder<Vec<(u64, u64)>>;
    let mut input = InputHandle::<u64, Builder>::new_with_builder();
    let probe = ProbeHandle::new();
    worker.dataflow::<u64, _, _>(|scope| {
        let exchange = Exchange::new(|key: &u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let keys = scope.input_from(&mut input);
        keys.unary::<CountBuilder, _, _, _>(exchange, "count", |_capability, _info| {
            let mut counts: HashMap<u64, u64, FxBuildHasher> = HashMap::default();
            move |input, output| {
                input.for_each(|capability, batch| {
                    let mut session = output.session(&capability);
                    for key in batch.drain(..) {
                        let count = counts.entry(key).or_insert(0);
                        *count += 1;
                        session.give((key, *count));
                    }
                });
            }
        })
        .probe_with(&probe);
    });
    let (mut position, mut batch) = (0, Vec::new());
    let mut step = |worker: &mut Worker, until: u64| {
        batch.extend((position..until).map(|at| keys.at(at)));
        let done = until - position;
        position = until;
        input.send_batch(&mut batch);
        input.advance_to(position);
        while probe.less_than(input.time()) {
            worker.step();
        }
        done
    };
    let mut filled = 0;
    while filled < keys.count() {
        filled = keys.count().min(filled + BATCH);
        step(worker, filled);
    }
    let mut next = filled;
    let turn = on_this_thread(duration, || {
        let mut done = 0;
        for _ in 0..16 {
            next += BATCH;
            done += step(worker, next);
        }
        Ok(done)
    });
    (turn, next)
}
