//! Values that expire, in processing time.

#[cfg(test)]
mod expiring_model_tests;
mod expiring_table;
mod policy;
mod timed;

pub use expiring_table::ExpiringTable;
pub use policy::{Expired, Expiry, ExpiryPolicy};
