//! What can be wrong with a flow, and what its edges to the world report.

use std::error::Error;

use frazil_state::StateError;

use crate::sink::SinkError;
use crate::source::SourceError;

/// A flow cannot be planned or built, or one of its operators cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// The closure declared no source.
    #[error("the flow has no source: call Flow::source in the closure that builds it")]
    Empty,
    /// What a stream carries goes nowhere.
    #[error(
        "the stream that ends at operator {operator} ({verb}) goes nowhere: end it with sink(), or \
         remove it"
    )]
    Dangling {
        /// Number of the operator in call order, from 0.
        operator: u32,
        /// The method that made it.
        verb: &'static str,
    },
    /// Two tables of one flow have the same name.
    #[error("two states of the flow have the name {name:?}: give each its own")]
    DuplicateTable {
        /// The name.
        name: String,
    },
    /// Two operators of one flow have the same id.
    #[error("two operators of the flow have the id {id:?}: give each its own")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// A process function has declared two sets of timers.
    #[error("a process function has one set of timers: remove the second one, {name:?}")]
    SecondTimers {
        /// Name of the second one.
        name: String,
    },
    /// A process function has declared two sets of walks.
    #[error("a process function has one set of walks: remove the second one, {name:?}")]
    SecondWalks {
        /// Name of the second one.
        name: String,
    },
    /// The closure did not declare the same flow on a shard as it did when the flow was planned.
    #[error(
        "the flow built on shard {shard} differs from the planned one at operator {operator} \
         (expected {expected}, found {found}): the closure must make the same calls each time"
    )]
    PlanDiffers {
        /// The shard.
        shard: usize,
        /// Number of the first operator that differs, in call order from 0.
        operator: usize,
        /// The method that made it in the plan.
        expected: &'static str,
        /// The method that made it on the shard.
        found: &'static str,
    },
    /// An exchange carries another record type on a shard than it does in the plan.
    #[error(
        "exchange {exchange} carries other records on shard {shard} than in the plan (found \
         {found}): the closure must make the same calls each time"
    )]
    RecordDiffers {
        /// The shard.
        shard: usize,
        /// Number of the exchange in call order, from 0.
        exchange: usize,
        /// Record type on the shard.
        found: &'static str,
    },
    /// A source cannot be planned, opened or read.
    #[error("source {name}: {source}")]
    Source {
        /// The source's own name.
        name: String,
        /// Its reason.
        source: SourceError,
    },
    /// A sink cannot be opened, or refuses a record.
    #[error("sink {name}: {source}")]
    Sink {
        /// The sink's own name.
        name: String,
        /// Its reason.
        source: SinkError,
    },
    /// A process function returned an error of its own.
    #[error("process function at operator {operator}: {source}")]
    Process {
        /// Number of the operator in call order, from 0.
        operator: u32,
        /// The error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Records that were in flight at the checkpoint are not those of the stream now.
    #[error(
        "records of type {records} were in flight at the checkpoint, found {found}: start the flow \
         that made the checkpoint and make a savepoint, which has none in flight"
    )]
    InFlight {
        /// Record type of the stream.
        records: &'static str,
        /// What the checkpoint has.
        found: String,
    },
    /// A table cannot be opened, read or changed.
    #[error("table {name}: {source}")]
    State {
        /// The table's name.
        name: String,
        /// The state's reason.
        source: StateError,
    },
}

impl FlowError {
    /// What a process function returned: the failure of one of its states, or an error of its own.
    pub(super) fn of_process(operator: u32, error: Box<dyn Error + Send + Sync>) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => *error,
            Err(source) => Self::Process { operator, source },
        }
    }
}
