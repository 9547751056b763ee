//! Values that expire, in processing time.

#[cfg(test)]
mod expiring_entries_tests;
mod expiring_list;
mod expiring_map;
#[cfg(test)]
mod expiring_model_tests;
mod expiring_table;
mod policy;
mod timed;
mod timed_table;
mod timed_tree;

pub use expiring_list::ExpiringListTable;
pub use expiring_map::ExpiringMapTable;
pub use expiring_table::ExpiringTable;
pub use policy::{Expired, Expiry, ExpiryPolicy};
