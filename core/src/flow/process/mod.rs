//! What a user of the `process` operator sees: the function, its context, its states and outputs.

mod aggregating_state;
mod broadcast_process;
mod broadcast_state;
mod context;
mod declared;
mod expiring;
mod function;
mod key_walks;
mod keys_in_hand;
mod list_process;
mod list_state;
mod map_state;
mod reducing_state;
mod side_output;
mod states;
mod timers;
mod value_state;
mod walks_slot;

pub use aggregating_state::AggregatingState;
pub use broadcast_process::BroadcastProcess;
pub use broadcast_state::BroadcastState;
pub use context::{BroadcastContext, ProcessContext, ReadContext};
pub use expiring::{
    ExpiringAggregatingState, ExpiringListState, ExpiringMapState, ExpiringReducingState,
    ExpiringStates, ExpiringValueState,
};
pub use function::{PendingTimers, Process, ProcessResult};
pub use key_walks::{KeyWalks, KeyedState};
pub use list_process::ListProcess;
pub use list_state::ListState;
pub use map_state::MapState;
pub use reducing_state::ReducingState;
pub use side_output::SideOutput;
pub use states::States;
pub use timers::Timers;
pub use value_state::ValueState;

pub(super) use broadcast_process::OnBroadcast;
pub(super) use declared::Declared;
pub(super) use function::{Each, KeyCall, NoKeyCall, OnKey};
pub(super) use keys_in_hand::KeysInHand;
