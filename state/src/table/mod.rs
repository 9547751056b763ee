//! Hash tables in pages: extendible hashing over slotted buckets.

mod adopt;
mod bucket;
mod directory;
mod geometry;
mod hash_table;
mod hints;
mod pages;
mod records;
mod scan;
mod tags;
mod value_table;

pub(crate) use directory::{
    Visited, check_group, checked, record_count, root_at, roots_page_count,
};
pub(crate) use geometry::Geometry;
pub(crate) use hash_table::{HashTable, OwnedGroups};
pub use scan::ScanCursor;
pub use value_table::ValueTable;
