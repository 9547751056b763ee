//! The state tables alone, against a bare `hashbrown` loop.

mod command;
mod growth;
mod map_side;
mod table_side;

pub use command::{StateArguments, StateRow, run};
pub use growth::{Growth, map_growth, table_growth};
pub use map_side::MapSide;
pub use table_side::TableSide;

/// Keys that are generated, and looked up, together.
pub const BLOCK: usize = 64;

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read the value.
    Get,
    /// Add one to the value.
    Update,
}
