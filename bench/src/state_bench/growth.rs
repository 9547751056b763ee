//! What one insert costs while the state grows: a map doubles, pages split.

use super::table_side::{POPULATED_AHEAD_BYTES, new_table};
use crate::measure_error::MeasureError;
use crate::probe::hiccups::nanos;
use crate::probe::threads::own_cpu_ns;
use crate::workload::Keys;
use frazil::state::{PopulateJob, Store, hash_key};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

/// Inserts between two looks at the memory that is left, as a shard looks once a turn.
const TURN_INSERTS: u64 = 256;

/// Inserts while growing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// The longest insert, in ns of wall time.
    pub worst_ns: f64,
    /// The mean insert, in ns of CPU time, a reading of the clock included.
    pub mean_ns: f64,
}

/// Grows a `hashbrown` map from `from` to `to` keys.
#[must_use]
pub fn map_growth(from: u64, to: u64) -> Growth {
    let keys = Keys::new(to);
    let mut map: HashMap<u64, u64, FxBuildHasher> = HashMap::with_hasher(FxBuildHasher);
    for position in 0..from {
        map.insert(keys.at(position), 1);
    }
    let mut clock = Clock::start();
    for position in from..to {
        map.insert(keys.at(position), 1);
        clock.lap();
    }
    clock.growth(to - from)
}

/// Grows a table of Frazil from `from` to `to` keys; a helper thread asks for memory ahead of it,
/// as in a job.
///
/// # Errors
///
/// The store's.
pub fn table_growth(from: u64, to: u64) -> Result<Growth, MeasureError> {
    let keys = Keys::new(to);
    let (mut store, table) = new_table(to)?;
    let (jobs, inbox) = channel::<PopulateJob>();
    thread::scope(|scope| {
        scope.spawn(move || inbox.iter().for_each(|job| job.run()));
        let mut ahead = Ahead { jobs, job: None };
        for position in 0..from {
            let key = keys.at(position);
            table.put(&mut store, hash_key(&key), &key, &1)?;
            ahead.look(&store, position);
        }
        let mut clock = Clock::start();
        for position in from..to {
            let key = keys.at(position);
            table.put(&mut store, hash_key(&key), &key, &1)?;
            ahead.look(&store, position);
            clock.lap();
        }
        Ok(clock.growth(to - from))
    })
}

/// Keeps memory ready ahead of the store's end, one job at a time.
struct Ahead {
    jobs: Sender<PopulateJob>,
    job: Option<PopulateJob>,
}

impl Ahead {
    fn look(&mut self, store: &Store, position: u64) {
        let is_due = position.is_multiple_of(TURN_INSERTS);
        if !is_due || self.job.as_ref().is_some_and(|job| !job.is_done()) {
            return;
        }
        self.job = store.populate_ahead(POPULATED_AHEAD_BYTES);
        if let Some(job) = &self.job {
            // The helper lives as long as this sender.
            let _ = self.jobs.send(job.clone());
        }
    }
}

/// One reading a lap: nothing between two laps goes unseen.
struct Clock {
    begun_cpu_ns: u64,
    last: Instant,
    worst_ns: u64,
}

impl Clock {
    fn start() -> Self {
        Self {
            begun_cpu_ns: own_cpu_ns(),
            last: Instant::now(),
            worst_ns: 0,
        }
    }

    #[inline]
    fn lap(&mut self) {
        let now = Instant::now();
        self.worst_ns = self.worst_ns.max(nanos(now - self.last));
        self.last = now;
    }

    fn growth(&self, laps: u64) -> Growth {
        Growth {
            worst_ns: self.worst_ns as f64,
            mean_ns: (own_cpu_ns() - self.begun_cpu_ns) as f64 / laps as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_is_not_below_the_mean() {
        let map = map_growth(1_000, 20_000);
        let table = table_growth(1_000, 20_000).unwrap();
        assert!(map.worst_ns >= map.mean_ns && map.mean_ns > 0.0);
        assert!(table.worst_ns >= table.mean_ns && table.mean_ns > 0.0);
    }
}
