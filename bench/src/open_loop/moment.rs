//! What can be seen of a running flow, ten times a second.

use super::activity::Activity;
use super::part::Part;
use frazil::CheckpointReport;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A running flow, as far as it can be seen from outside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Moment {
    /// Events a second that are due.
    pub offered_rate: f64,
    /// Events a second that came out since the last moment.
    pub reached_rate: f64,
    /// Whether checkpoints are asked for.
    pub with_checkpoints: bool,
    /// The latencies since the last moment.
    pub part: Part,
    /// The part of its CPU that each shard used lately, from 0 to 1.
    pub shard_loads: Vec<f64>,
    /// What the engine is doing beside records.
    pub activity: Activity,
    /// The newest checkpoint that is durable.
    pub newest: Option<CheckpointReport>,
}

/// Is told of every [`Moment`] while a flow is measured; clones are the same.
#[derive(Clone)]
pub struct Watcher(Arc<Mutex<Tell>>);

type Tell = dyn FnMut(&Moment) + Send;

impl Watcher {
    /// Calls `tell` on the measuring thread, ten times a second: it has to be quick.
    pub fn new(tell: impl FnMut(&Moment) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(tell)))
    }

    pub(super) fn tell(&self, moment: &Moment) {
        let mut tell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tell(moment);
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Watcher")
    }
}
