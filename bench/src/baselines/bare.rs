//! Maps without a flow around them: `hashbrown`, and Frazil's own table.

use super::contestant::{Contestant, EVENTS_TIMED, Turn, on_this_thread};
use crate::measure_error::MeasureError;
use crate::probe::cpus::on_cpu;
use crate::state_bench::{Access, BLOCK, MapSide, Operation, TableSide};
use crate::workload::Keys;
use std::time::Duration;

#[expect(clippy::cast_possible_truncation, reason = "256 blocks")]
const BLOCKS: u32 = (EVENTS_TIMED / BLOCK as u64) as u32;

/// A `hashbrown` map with the fx hash.
pub(super) struct BareMap(MapSide);

impl BareMap {
    pub(super) fn new(keys: Keys) -> Self {
        Self(MapSide::populated(keys))
    }
}

impl Contestant for BareMap {
    fn name(&self) -> &'static str {
        "hashbrown alone, keys in blocks"
    }

    fn turn(&mut self, duration: Duration) -> Result<Turn, MeasureError> {
        let map = &mut self.0;
        on_cpu(0, || {
            on_this_thread(duration, || Ok(map.run(Operation::Update, BLOCKS)))
        })
    }
}

/// Frazil's table without the engine.
pub(super) struct BareTable(TableSide);

impl BareTable {
    pub(super) fn new(keys: Keys) -> Result<Self, MeasureError> {
        Ok(Self(TableSide::populated(keys)?))
    }
}

impl Contestant for BareTable {
    fn name(&self) -> &'static str {
        "Frazil's table alone, found ahead"
    }

    fn turn(&mut self, duration: Duration) -> Result<Turn, MeasureError> {
        let table = &mut self.0;
        on_cpu(0, || {
            on_this_thread(duration, || {
                table.run(Operation::Update, Access::Announced, BLOCKS)
            })
        })
    }
}
