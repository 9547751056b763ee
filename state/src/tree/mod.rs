//! Ordered tables in pages: a B+ tree for each key group.

mod adopt;
mod broadcast_table;
mod check;
#[cfg(test)]
mod damage_tests;
mod edit;
mod elements;
mod first_times;
mod keyed;
#[cfg(test)]
mod list_model_tests;
mod list_table;
#[cfg(test)]
mod map_model_tests;
mod map_table;
mod node;
mod operator_list;
#[cfg(test)]
mod operator_tests;
mod ordered_table;
mod put;
mod remove;
mod scan;
#[cfg(test)]
mod timer_model_tests;
mod timer_table;
mod typed;

pub use broadcast_table::BroadcastTable;
pub(crate) use check::TreeVisit;
pub(crate) use keyed::{KeyedTree, Span};
pub use list_table::ListTable;
pub use map_table::MapTable;
pub use operator_list::{ListRedistribution, OperatorList};
pub(crate) use ordered_table::{Edge, FoundEntry, OrderedTable};
pub use scan::OrderedCursor;
pub use timer_table::{DueTimer, TimerTable};
pub(crate) use typed::Order;
