//! The independent count: one thread, one plain map, no Frazil code; and the comparison of
//! committed rows with it.

mod comparison;
mod count;

pub use comparison::{Comparison, ComparisonReport, Difference};
pub use count::{Reference, ReferenceError};
