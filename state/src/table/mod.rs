//! Hash tables in pages: extendible hashing over slotted buckets.

mod adopt;
mod bucket;
mod bucket_check;
mod directory;
mod directory_shrink;
mod geometry;
mod hash_table;
mod lookahead;
mod nodes;
mod pages;
mod records;
mod scan;
mod shrink;
mod tags;
mod value_table;
mod value_whole;

pub(crate) use bucket_check::check_shape;
pub(crate) use directory::{
    Visited, check_group, checked, record_count, root_at, roots_page_count, set_record_count,
};
pub(crate) use geometry::{Geometry, ValueForm};
pub(crate) use hash_table::{HashTable, OwnedGroups};
pub use lookahead::{Lookahead, RUN_KEYS_MAX};
pub(crate) use nodes::node_count;
pub(crate) use pages::{TablePages, met_once, root_pages};
pub use scan::ScanCursor;
pub use value_table::ValueTable;
