//! What the flow's closure declared, evaluated once on the starting thread.

use frazil_state::TypeIdentity;

use super::error::FlowError;
use super::operator_id::OperatorId;
use crate::exchange::{MeshFactory, ShardRings};
use crate::sink::Committer;
use crate::source::Split;

/// The validated flow: everything that has to exist once per job rather than once per shard.
pub(crate) struct FlowPlan {
    /// The method that made each operator, by operator number. Equal on every shard.
    pub(crate) operators: Vec<&'static str>,
    /// What tells each operator from all others, by operator number.
    pub(crate) ids: Vec<OperatorId>,
    /// The sources in call order.
    pub(crate) sources: Vec<PlannedSource>,
    /// The sinks in call order; rows name their sink by the place in here.
    pub(crate) sinks: Vec<PlannedSink>,
    /// The tables in call order.
    pub(crate) tables: Vec<PlannedTable>,
    /// The operators of each stage, by stage index; for messages.
    pub(crate) stage_names: Vec<String>,
    pub(super) exchanges: Vec<MeshFactory>,
}

/// A source with its splits listed and its input fingerprinted.
pub(crate) struct PlannedSource {
    /// Operator number.
    pub(crate) operator: u32,
    /// The source's own name.
    pub(crate) name: String,
    /// Of the input, to notice that it changed.
    pub(crate) fingerprint: u64,
    /// Whether it can be read again from a position.
    pub(crate) replayable: bool,
    /// The pieces that shards read.
    pub(crate) splits: Vec<Split>,
}

/// A sink with the half of it that commits.
pub(crate) struct PlannedSink {
    /// Operator number.
    pub(crate) operator: u32,
    /// The sink's own name.
    pub(crate) name: String,
    /// Goes to the checkpoint writer.
    pub(crate) committer: Box<dyn Committer>,
}

/// A table of the flow, to be compared with a restored one.
pub(crate) struct PlannedTable {
    /// The table's name.
    pub(crate) name: String,
    /// Of its keys and values.
    pub(crate) types: TypeIdentity,
    /// The operator that declared it.
    pub(crate) operator: u32,
}

impl FlowPlan {
    /// Makes the rings of all exchanges and gives every shard its ends; `capacity` is in messages
    /// per ring.
    pub(crate) fn connect(&self, shard_count: usize, capacity: usize) -> Vec<ShardRings> {
        let mut shards: Vec<_> = (0..shard_count).map(|_| ShardRings::default()).collect();
        for mesh in &self.exchanges {
            for (rings, ends) in shards.iter_mut().zip(mesh(shard_count, capacity)) {
                rings.push(ends);
            }
        }
        shards
    }
}

/// Evaluates a source's plan for a number of shards.
pub(super) type SourcePlanner = Box<dyn FnOnce(usize) -> Result<PlannedSource, FlowError>>;
/// Opens a sink's committing half.
pub(super) type SinkPlanner = Box<dyn FnOnce() -> Result<PlannedSink, FlowError>>;
