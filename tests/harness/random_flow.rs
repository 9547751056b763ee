//! A flow put together at random from parts whose result depends on no order, and its reference.

use std::collections::BTreeMap;
use std::sync::Arc;

use frazil::storage::Storage;
use frazil::{CsvFiles, Flow, Iter};

use super::faults::{Faults, FragileFiles, FragileNumbers, Place};

/// What follows the source, in a row; each link has one exchange.
#[derive(Clone, Copy, Debug)]
pub enum Link {
    /// Records in turn to all shards.
    Rebalance,
    /// Updates of a count a key.
    Count,
    /// Two copies, one of them by way of other shards, and their union.
    Twice,
}

/// A flow of numbers.
#[derive(Clone, Debug)]
pub struct RandomFlow {
    /// Numbers that its source has.
    pub records: u64,
    /// Keys of each count.
    pub keys: u64,
    /// What follows the source.
    pub links: Vec<Link>,
    /// Whether shards give way between some rows.
    pub is_slow: bool,
}

impl RandomFlow {
    /// Declares the flow, with code that fails as planned and rows that go to `output`.
    pub fn declare(&self, flow: &Flow, faults: &Faults, output: &Arc<dyn Storage>) {
        let (records, keys) = (self.records, self.keys);
        let numbers = FragileNumbers {
            numbers: Iter::new(move |split, splits| (split as u64..records).step_by(splits)),
            faults: faults.clone(),
        };
        let operator = faults.clone();
        let [mut stream] = flow
            .source(numbers)
            .inspect(move |_number| operator.pass(Place::Operator))
            .fan_out();
        for (index, link) in self.links.iter().enumerate() {
            let [linked] = match link {
                Link::Rebalance => stream.rebalance().fan_out(),
                Link::Count => {
                    let state = faults.clone();
                    stream
                        .key_by_value(move |number| number % keys)
                        .aggregate(&format!("count {index}"), 0u64, move |count, _number| {
                            *count += 1_000;
                            state.pass(Place::State);
                            *count -= 999;
                        })
                        .map(|(key, count)| update(*key, *count))
                        .fan_out()
                }
                Link::Twice => {
                    let [first, second] = stream.fan_out();
                    let [second] = second.rebalance().fan_out();
                    first.union(second).fan_out()
                }
            };
            stream = linked;
        }
        let is_slow = self.is_slow;
        let rows = stream.map(move |number| {
            if is_slow && number % 8 == 0 {
                std::thread::yield_now();
            }
            row(*number)
        });
        rows.sink(FragileFiles {
            files: CsvFiles::new("out").storage(Arc::clone(output)),
            faults: faults.clone(),
        });
    }

    /// The rows that a run must commit, by plain maps.
    #[must_use]
    pub fn reference_rows(&self) -> BTreeMap<(String, u64), u64> {
        let mut numbers: Vec<u64> = (0..self.records).collect();
        for link in &self.links {
            numbers = match link {
                Link::Rebalance => numbers,
                Link::Count => updates(&numbers, self.keys),
                Link::Twice => numbers.repeat(2),
            };
        }
        let mut rows = BTreeMap::new();
        for number in numbers {
            *rows.entry(row(number)).or_default() += 1;
        }
        rows
    }
}

fn update(key: u64, count: u64) -> u64 {
    key * 7 + count
}

fn updates(numbers: &[u64], keys: u64) -> Vec<u64> {
    let mut counts = BTreeMap::<u64, u64>::new();
    for number in numbers {
        *counts.entry(number % keys).or_default() += 1;
    }
    let updates = counts.into_iter();
    updates
        .flat_map(|(key, count)| (1..=count).map(move |n| update(key, n)))
        .collect()
}

fn row(number: u64) -> (String, u64) {
    (format!("row {}", number % 5), number)
}
