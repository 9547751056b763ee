//! Keyed state for one shard, in pages that freeze in O(1).
//!
//! A [`Store`] holds tables ([`ValueTable`]) whose every byte lies in 4 KiB pages. Changes are
//! tracked to the cache line. [`Store::freeze`] ends an epoch without walking anything;
//! [`Store::capture`] copies the frozen lines into [`format::Chunk`]s while the store goes on, and
//! what is written first is copied first. The chunks are the frames of a delta; [`Restore`] puts
//! images and deltas back.
//!
//! `examples/own_storage.rs` is a whole program with a storage of its own: checkpoints in plain
//! files while the store goes on, and the way back.
//!
//! The crate is deterministic memory: it knows no files, threads or clocks. `DESIGN.md` beside it
//! holds the invariants and byte formats.

mod adopt;
#[cfg(test)]
mod adopt_tests;
mod arena;
mod budget;
mod catalog;
#[cfg(test)]
mod checkpointed;
mod drop_table;
mod dump;
mod error;
mod form;
pub mod format;
mod hash;
#[cfg(test)]
mod hostile_tests;
mod identity;
mod key;
mod key_walk;
#[cfg(test)]
mod key_walk_tests;
mod mapped;
#[cfg(test)]
mod model_tests;
mod page;
mod restore;
#[cfg(test)]
mod run_value_tests;
mod runs;
mod scratch;
mod snapshot;
mod staging;
mod store;
mod superblock;
mod switches;
mod table;
#[cfg(test)]
mod table_model_tests;
#[cfg(test)]
mod test_cases;
mod tree;
mod ttl;
mod value;
mod verify;

pub use arena::PopulateJob;
pub use dump::DumpRecord;
pub use error::StateError;
pub use form::{TableForm, TableKind, TableScope};
pub use hash::{HASH_ID, HASH_SEED, KEY_GROUPS_MAX, KeyGroups, KeyHash, hash_bytes, hash_key};
pub use identity::TypeIdentity;
pub use key::{KEY_BYTES_MAX, Key, KeyBuffer, KeyError};
pub use key_walk::KeyWalk;
pub use page::{LINE_BYTES, LINES_PER_PAGE, PAGE_BYTES};
pub use restore::{ImagePages, Restore};
pub use rkyv::munge::munge;
pub use rkyv::seal::Seal;
pub use snapshot::CaptureStatus;
pub use staging::StagingSize;
pub use store::{Store, StoreConfig};
#[doc(hidden)]
pub use switches::Switches;
pub use table::{Lookahead, RUN_KEYS_MAX, ScanCursor, ValueTable};
pub use tree::{
    BroadcastTable, DueTimer, ListRedistribution, ListTable, MapTable, OperatorList, OrderedCursor,
    TimerTable,
};
pub use ttl::{Expired, ExpiringListTable, ExpiringMapTable, ExpiringTable, Expiry, ExpiryPolicy};
pub use value::{Value, append_archive, archive_types, read_archive};
