//! The state tables alone, against a bare `hashbrown` loop.

mod command;
mod growth;
mod map_side;
mod position;
mod table_side;

use position::next_position;

pub use command::{StateArguments, StateRow, run};
pub use growth::{Growth, map_growth, table_growth};
pub use map_side::MapSide;
pub use table_side::TableSide;

/// Keys that are generated, and looked up, together.
pub const BLOCK: usize = 64;

/// How keys come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// One at a time: the next key is known when the value of the one before is.
    Single,
    /// In blocks, whose accesses the processor may overlap.
    Block,
    /// In blocks that are announced two blocks ahead, as the engine does.
    Announced,
}

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read the value.
    Get,
    /// Add one to the value.
    Update,
}
