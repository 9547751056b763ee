//! States that nobody sees any more once their time is over.

mod aggregating_state;
mod list_state;
mod map_state;
mod reducing_state;
mod slot;
mod states;
mod value_state;

pub use aggregating_state::ExpiringAggregatingState;
pub use list_state::ExpiringListState;
pub use map_state::ExpiringMapState;
pub use reducing_state::ExpiringReducingState;
pub use states::ExpiringStates;
pub use value_state::ExpiringValueState;
