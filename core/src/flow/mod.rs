//! From the user's closure to stages: records, the builder, operators and the stages they become.

mod build_context;
mod chain;
mod connected_stream;
mod error;
mod flow_builder;
mod in_hand;
mod keyed_stage;
mod keyed_stream;
mod local_edge;
mod local_head;
mod open_end;
mod operator_id;
mod operators;
mod out;
mod plain_stage;
mod plan;
mod process;
mod record;
mod shapes;
mod sink_tail;
mod source_stage;
mod stage;
mod stage_input;
mod stream;
#[cfg(test)]
mod tests;

pub use connected_stream::ConnectedStream;
pub use error::FlowError;
pub use flow_builder::Flow;
pub use keyed_stream::{AggregatedStream, KeyedStream, ProcessedStream};
pub use out::Out;
pub use process::{
    AggregatingState, BroadcastContext, BroadcastProcess, BroadcastState, ExpiringAggregatingState,
    ExpiringListState, ExpiringMapState, ExpiringReducingState, ExpiringStates, ExpiringValueState,
    KeyWalks, KeyedState, ListProcess, ListState, MapState, PendingTimers, Process, ProcessContext,
    ProcessResult, ReadContext, ReducingState, SideOutput, States, Timers, ValueState,
};
pub use record::{Keyed, Plain, Record, RecordBatch};
pub use shapes::BroadcastStream;
pub use stream::Stream;

pub(crate) use build_context::{AssignedSplit, BuildContext};
pub(crate) use operator_id::OperatorId;
pub(crate) use plan::{FlowPlan, PlannedSink, PlannedTable};
pub(crate) use stage::{Progress, SplitPosition, Stage};
